"""Commands that make files, or try them: export, convert, deploy, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import models
from .options import calibration, command, core, quantization
from .session import Session

SAMPLES = 200
"""Of which the ranges of the integers are taken."""

_ALL = "an .npz file with x, an .npy file, or module:function"


@command("export", "export run/ -o slim.keras", "export search.keras -o slim.keras")
@click.argument("source", metavar="RUN|SEARCH_MODEL", type=click.Path())
@click.option("-o", "--output", required=True, metavar="FILE", help="Where the slim model goes, a .keras file.")
def export(session: Session, source: str, output: str) -> None:
    """Write the slim model of a RUN, fine-tuned, or of a SEARCH_MODEL, as its masks are.

    It is a plain Keras model of stock layers.
    """
    from ..runs import Folder
    from ..runs.folder import REQUEST, SEARCH, SLIM

    _require_ending(output, ".keras")
    folder = Path(source)
    if folder.is_dir() and (folder / REQUEST).exists():
        run = Folder(folder)
        if not (run.has(SLIM) or run.has(SEARCH)):
            raise ValueError(f"The run in {source!r} has found nothing yet: call keras-pit search again, it goes on.")
        source = str(run / (SLIM if run.has(SLIM) else SEARCH))
    model = models.load(source)
    from ..search.cost import cost
    from ..search.export import export as exported
    from ..search.model import SearchModel

    slim = exported(model) if isinstance(model, SearchModel) else model
    if slim is model and Path(source).name != SLIM:
        raise ValueError(f"{source!r} is no search model: expected a run, or a model that keras-pit search has saved.")
    _folder_of(output)
    slim.save(output)
    size = cost(slim)
    session.show(f"wrote {output}: {size:,} parameters", {"output": output, "model": slim.name, "size": size})


@command(
    "convert",
    "convert slim.keras --calibration data.npz -o model.tflite",
    "convert slim.keras --calibration data.py:load -o model.tflite --logits",
    "convert slim.keras --quantization none -o float.tflite",
)
@click.argument("model", type=click.Path())
@calibration
@click.option("-o", "--output", required=True, metavar="FILE", help="Where the file goes.")
@quantization
@click.option("--logits", is_flag=True, help="Leave out a softmax at the end, which is slow.")
@core(help="The processor it is for, if its kernels have faults that can be avoided.")
@click.option("--no-verify", is_flag=True, help="Do not run it on TFLite-Micro first.")
def convert(
    session: Session,
    model: str,
    calibration: str | None,
    output: str,
    quantization: str,
    logits: bool,
    core: str | None,
    no_verify: bool,
) -> None:
    """Convert a MODEL to a small .tflite file, checked on TFLite-Micro."""
    _require_ending(output, ".tflite")
    samples = _calibration(calibration, quantization)
    loaded = models.load(model)
    from ..deployment.quantize import to_tflite

    kind = None if quantization == "none" else quantization
    content = to_tflite(loaded, samples, quantization=kind, logits=logits, core=core, verify=not no_verify)
    _folder_of(output)
    Path(output).write_bytes(content)
    said = "not run yet" if no_verify else "checked on TFLite-Micro"
    data = {"output": output, "bytes": len(content), "quantization": kind, "verified": not no_verify}
    session.show(f"wrote {output}: {len(content):,} bytes, {said}", data)


@command(
    "deploy",
    "deploy run/slim.tflite --out firmware/",
    "deploy slim.keras --calibration data.npz --out firmware/ --name watch --labels rest,walk,run",
)
@click.argument("model", type=click.Path())
@calibration
@click.option("--data", metavar="DATA", help="Inputs of the self-test; else the calibration data, or random numbers.")
@click.option("--out", "directory", required=True, metavar="FOLDER", help="Where the C++ sources go.")
@click.option("--name", default="model", show_default=True, help="C++ namespace, and name of the Arduino sketch.")
@click.option("--labels", metavar="A,B,C", help="Names of the classes.")
@quantization
@core(default="cortex-m4", show_default=True, help="Whose tensor arena is reserved.")
@click.option("--margin", type=float, default=0.1, show_default=True, help="Share by which the arena is made larger.")
@click.option("--overwrite", is_flag=True, help="Replace an older bundle.")
def deploy(
    session: Session,
    model: str,
    calibration: str | None,
    data: str | None,
    directory: str,
    name: str,
    labels: str | None,
    quantization: str,
    core: str,
    margin: float,
    overwrite: bool,
) -> None:
    """Write a MODEL (Keras or .tflite) as C++ sources for TFLite-Micro, with a self-test."""
    is_file = models.is_tflite(model)
    samples = None if is_file and calibration is None else _calibration(calibration, quantization)
    tests = None if data is None else _inputs(data)
    subject: Any = models.require_file(model, "a .tflite file") if is_file else models.load(model)
    with models.quietly():
        from ..deployment.bundle import deploy as deployed
    bundle = deployed(
        subject,
        directory,
        calibration=None if is_file else samples,
        test_data=samples if is_file and tests is None else tests,
        labels=None if labels is None else [label.strip() for label in labels.split(",")],
        name=name,
        quantization=None if quantization == "none" else quantization,
        core=core,
        margin=margin,
        overwrite=overwrite,
    )
    files = sorted(path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file())
    text = f"wrote {len(files)} files into {bundle}: README.md there says how to build them"
    session.show(text, {"directory": str(bundle), "files": files, "core": core})


@command("verify", "verify model.tflite --data data.npz", "verify model.tflite --data data.npz --limit 500 --json")
@click.argument("tflite", type=click.Path())
@click.option(
    "--data", required=True, metavar="DATA", help="x, and y for the accuracy: .npz, .npy, or module:function."
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="So many samples are run.")
@click.pass_context
def verify(context: click.Context, session: Session, tflite: str, data: str, limit: int) -> None:
    """Run a TFLITE file on TFLite-Micro, and compare it with LiteRT's reference kernels. Exit code 1 if they differ.

    With targets in the data (y), also tell how often it is right.
    """
    from dataclasses import asdict

    import numpy as np

    from ..deployment.runtimes import run_tflite_micro
    from ..deployment.verify import verify as verified
    from ..errors import DeploymentError
    from ..runs import data as sources

    content = models.require_file(tflite, "a .tflite file").read_bytes()
    x, y, _ = sources.read(data).measured
    x, y = sources.spread(x, limit), None if y is None else sources.spread(y, limit)
    feeds = list(x.values()) if isinstance(x, dict) else x
    try:
        result = verified(content, feeds, limit=limit)
    except DeploymentError as error:
        if session.json:
            session.show("", {"equal": False, "reason": str(error)})
        raise
    answer = {"equal": True, **asdict(result)}
    lines = [
        f"TFLite-Micro computes what LiteRT does: {result.different:,} of {result.elements:,} outputs of "
        f"{result.samples:,} samples differ, by {result.largest:g} at most; arena here {result.arena_bytes:,} B."
    ]
    if isinstance(y, np.ndarray):
        from ..runs.score import kind_of, score

        outputs = run_tflite_micro(content, feeds).dequantized[0]
        outputs = outputs.reshape(len(outputs), -1)
        kind = kind_of(y, outputs)
        scores = score(outputs, y, kind)
        answer |= scores
        lines += [f"{name} on TFLite-Micro: {value:.4g}" for name, value in scores.items()]
    session.show(lines, answer)
    context.exit(0)


def _calibration(source: str | None, quantization: str) -> Any:
    if source is None:
        if quantization == "none":
            return None
        raise click.UsageError(f"--calibration is missing: typical inputs, {_ALL}", click.get_current_context())
    return _inputs(source)


def _inputs(source: str) -> Any:
    from ..runs import data

    return data.spread(data.read(source).x, SAMPLES)


def _require_ending(output: str, ending: str) -> None:
    if Path(output).suffix != ending:
        raise click.UsageError(f"--output must end in {ending}, received {output!r}", click.get_current_context())


def _folder_of(output: str) -> None:
    Path(output).parent.mkdir(parents=True, exist_ok=True)
