"""The command for many searches: sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import models
from .options import command
from .session import Session


def _bounds(_: click.Context, __: click.Parameter, text: str | None) -> list[float] | None:
    """Numbers in the unit of the cost."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: expected numbers, as 64000,32000,16000") from error


@command(
    "sweep",
    "sweep model.keras --data data.npz --cost latency:nano33ble --out front/",
    "sweep model.keras --data data.py:load --cost size --bounds 16000,8000,4000 --out front/",
)
@click.argument("model", type=click.Path())
@click.option(
    "--data", required=True, metavar="DATA", help="x, y and if there are x_val, y_val: .npz or module:function."
)
@click.option("--out", "directory", required=True, metavar="FOLDER", help="Where all goes; called again, goes on.")
@click.option("--cost", default="size", show_default=True, metavar="NAME", help="size, macs, flash, ram, latency.")
@click.option("--points", type=int, default=6, show_default=True, help="How many bounds, evenly in the logarithm.")
@click.option("--bounds", callback=_bounds, metavar="NUMBERS", help="The bounds themselves, in the cost's unit.")
@click.option("--epochs", type=int, help="Of the seed.  [default: as it was trained, else 30]")
@click.option("--search-epochs", type=int, metavar="EPOCHS", help="Of each search.")
@click.option("--fine-tune", "fine_tune_epochs", type=int, metavar="EPOCHS", help="Of each point.")
@click.option("--independent", is_flag=True, help="Each search starts from the seed, none from the one before.")
@click.option("--batch-size", type=int, default=32, show_default=True)
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="Of Adam, if nothing is compiled.")
@click.option("--round-to", type=int, default=1, show_default=True, help="Channels live and die in blocks of so many.")
@click.option("--exclude", multiple=True, metavar="LAYER", help="A layer that is left as it is; repeat for more.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="Which share the cores.  [default: 2, or 1 if there is one core or a GPU]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option("--float", "is_float", is_flag=True, help="Make no int8 files.")
@click.pass_context
def sweep(
    context: click.Context,
    session: Session,
    model: str,
    data: str,
    directory: str,
    cost: str,
    points: int,
    bounds: list[float] | None,
    independent: bool,
    learning_rate: float,
    exclude: tuple[str, ...],
    processes: int | None,
    seed: int,
    is_float: bool,
    **settings: Any,
) -> None:
    """Find the front of accuracy against a cost: several networks inside a MODEL, each fine-tuned, in int8, measured.

    A model that was compiled is taken as trained and trained on alike; any other is trained first, for what the data
    says. If it is interrupted, the same command goes on where it was. Exit code 1 if a point fails.
    """
    from ..runs import read

    if Path(model).is_dir():
        raise ValueError(f"{model!r} is a SavedModel, which Keras 3 reads as one layer: a search needs .keras or .h5.")
    found = read(data).require_targets().with_validation(seed)
    loaded = models.load(model)
    _compile(loaded, found, learning_rate)
    from ..sweeps import sweep as swept

    front = swept(
        loaded,
        found.x,
        found.y,
        directory=directory,
        validation_data=(found.x_val, found.y_val),
        metric=cost,
        points=points,
        bounds=bounds,
        seeds=[seed],
        descent=not independent,
        exclude=exclude,
        executor=processes,
        quantization=None if is_float else "int8",
        verbose=not session.json,
        **settings,
    )
    if found.x_test is not None:
        front.test(found.x_test, found.y_test)
    page = front.html(Path(directory) / "front.html")
    session.show([front, f"Everything is in {directory}/. Next: open {page}"], {"page": str(page), **front.as_dict()})
    for failure in front.failures:
        session.warn(f"{failure.step.name}: {failure.reason}")
    context.exit(1 if front.failures else 0)


def _compile(model: Any, data: Any, rate: float) -> None:
    """Compile a model that is not, for what the data says."""
    if model.compiled:
        return
    import keras

    from ..runs import task

    model.compile(keras.optimizers.Adam(rate), **task.of(model, data).losses())
