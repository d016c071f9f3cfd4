"""A network as C++ sources that a firmware compiles as they are, with a test that they compute what they should.

    keras.Model --to_tflite--> .tflite --TFLite-Micro--> inputs and outputs --sources.render--> files --> directory
                                  |                                               ^
                                  +--profile--> arena, report --------------------+

Everything that can be wrong is found before anything is written. The files are then written into a directory beside the
one asked for, which takes that one's place at once (`folders.py`): there is either the whole bundle or what was there.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from .. import checks
from ..costs import cores
from ..costs.faults import faults
from ..errors import DeploymentError
from ..folders import replace, restore, temporary
from .advice import require_runnable
from .batch import TAKEN, of_one
from .calibration import as_arrays, as_samples
from .converter import Signature
from .cpp import sources
from .cpp.names import check_labels, check_name
from .cpp.operators import registrations
from .data_axes import data_axes
from .feeds import prepare, require_feedable
from .file_graph import Graph, TensorInfo
from .flatbuffer import File
from .limits import LIMITS, beyond
from .operands import work
from .profile import profile_file
from .qat import aware_inputs, is_quantize_aware
from .quantize import make_file
from .rate import decision_rate
from .runtimes import micro_run
from .step_tests import step_tests
from .stream_file import timing_of
from .verify import spread, verified_run

# So many samples are tested, fewer where one of them is large.
TESTS = 4
_TEST_BYTES = 64 * 1024

# For messages and what an application may allocate; on the host also for what allocation takes for a moment.
ARENA_SLACK = 512


def deploy(
    model: Any,
    directory: str | os.PathLike[str],
    *,
    calibration: Any = None,
    test_data: Any = None,
    labels: Sequence[str] | None = None,
    name: str = "model",
    quantization: str | None = "int8",
    streaming: bool = False,
    decide_every: int = 1,
    core: str = "cortex-m4",
    margin: float = 0.1,
    axes: Any = None,
    overwrite: bool = False,
) -> Path:
    """Write a network as a bundle of C++ sources for TFLite-Micro, with a self-test.

    Args:
        model: what `to_tflite` takes, or the content or path of a .tflite file with batch size 1 (of any origin).
        directory: where the bundle goes; new, empty, or with `overwrite` an older bundle.
        calibration: some 100 typical inputs, as for `to_tflite`; not needed for a .tflite file.
        test_data: inputs for the self-test, in any form that `calibration` takes; real values, or integers of the
            file's own type as they are. Up to 4 samples are used, of more these at even distances. Default:
            `calibration`, or random numbers if there is none.
        labels: names for the numbers of the first output.
        name: C++ namespace of the sources, and name of the Arduino sketch.
        quantization: as for `to_tflite`; does not matter for a .tflite file.
        streaming: as for `to_tflite`: the bundle then has `bool Push(const float* sample, float* output)` and
            `void Reset()` in stream.h, and the self-test replays a sequence. A streaming file is one in any case; its
            test data may be windows, one after the other, or a single recording of shape (steps, channels).
        decide_every: as for `to_tflite`.
        core: processor whose tensor arena is reserved, a name of `keras_pit.costs.cores`: which kernels run there
            decides the arena. Known faults of these kernels are warned of.
        margin: share by which the arena is made larger than the estimate of what is used (which is an upper bound for
            this core); 512 bytes are added in any case, more where allocation needs more. The self-test prints what is
            really used.
        axes: which axes of the data the inputs take, where a search over "inputs" has left some only: what
            `keras_pit.summary(search).inputs` returns, or their numbers by the name of the input. README, header and
            report say it.
        overwrite: replace an older bundle, with what its Makefile made. Other files are never replaced: a directory
            that holds any is refused.

    Returns:
        The directory, with model.tflite, the sources (see its README.md), an Arduino sketch and report.json.

    Raises:
        TypeError: if an argument is of a wrong type.
        ValueError: if a name, label or number does not fit, or the data does not fit the model; if `streaming` is set
            for a file of a whole window.
        FileExistsError: if the directory holds anything else, or a bundle and `overwrite` is not set.
        NotADirectoryError: if there is a file in its place.
        PermissionError: if it cannot be written there.
        DeploymentError: if the model cannot run on TFLite-Micro, or computes something else there.
        ImportError: if ai_edge_litert or tflite_micro is not installed.

    Example:

        deploy(slim, "firmware/watch", calibration=x_train[:200], labels=["rest", "walk"], name="watch")
    """
    names = () if labels is None else checks.listed(labels, "`labels`", "a list of names")
    check_name(name)
    check_labels(names)
    margin = checks.number(margin, "`margin`", most=10)
    checks.one_of(core, "`core`", cores.names())
    target = checks.path(directory, "`directory`", 'a path for the bundle, as "firmware/watch"').resolve()
    restore(target)
    _check_target(target, checks.flag(overwrite, "`overwrite`"))
    made_here = not isinstance(model, (bytes, bytearray, memoryview, str, os.PathLike))
    every = decision_rate(streaming, decide_every)
    if made_here:
        file, batch_fixed = make_file(model, calibration, quantization=quantization, core=core, every=every), False
    else:
        file, batch_fixed = _read(model)
    graph, timing = file.graph, timing_of(file)
    if every is not None and timing is None:
        raise ValueError(
            "streaming=True is for a Keras model; received a .tflite file of a whole window. Make a streaming file "
            "with keras_pit.to_tflite(model, calibration, streaming=True)."
        )
    _check_limits(file)
    _check_label_count(graph, names)
    if not made_here:
        inputs = [Signature(t.name or f"input {i}", t.shape, t.dtype) for i, t in enumerate(graph.inputs)]
    else:
        inputs = aware_inputs(model) if is_quantize_aware(model) else list(model.inputs)
        if test_data is None and calibration is not None:
            calibration = as_samples(inputs, calibration)
    read = data_axes(axes, [one.name for one in inputs], [tensor.shape for tensor in graph.inputs])
    _check_kernels(file, core)
    if timing is None:
        samples, origin = _test_samples(graph, inputs, test_data, calibration)
        run = micro_run(file, samples) if made_here else verified_run(file, samples, LIMITS.seconds)[1]
        tests = sources.Tests(tuple(samples), run.outputs, origin)
    else:
        tests, run = step_tests(file, timing, test_data if test_data is not None else calibration)
    if batch_fixed:
        warnings.warn(f"{TAKEN} The bundle holds the file with this size, verified.", stacklevel=2)
    report = profile_file(file)
    bundle = sources.Bundle(
        name,
        file,
        tests,
        names,
        sources.ArenaSize(
            core, report.arena[core].total, report.arena[core].needed, run.arena_bytes, margin, ARENA_SLACK
        ),
        {**report.as_dict(), "batch_fixed": batch_fixed, **({"axes": read} if any(read) else {})},
        timing,
        read,
    )
    _write(sources.render(bundle), target, overwrite)
    return target


def _check_kernels(file: File, core: str) -> None:
    """Refuse what the core's kernels would break, warn of what they may compute wrongly."""
    found = faults(file.program, cores.get(core).library)
    told = " ".join(f"{one.place}: {one.problem}. Cure: {one.fault.cure}." for one in found)
    if any(one.fault.corrupts for one in found):
        raise DeploymentError(f"The network cannot be deployed for core {core!r}. {told}")
    if found:
        warnings.warn(f"On core {core!r}, {told}", stacklevel=3)


def _check_target(target: Path, overwrite: bool) -> None:
    """Refuse a place where nothing may, or can, be written."""
    _check_contents(target, overwrite)
    # Writing needs the right to do so beside the target. Trying is the only sure way to know.
    existing = next(parent for parent in target.parents if parent.exists())
    try:
        with temporary(beside=existing / target.name):
            pass
    except OSError as error:
        raise PermissionError(
            f"Cannot write into {existing} ({error.strerror}), where {target.name!r} is to be put; expected a place "
            "that may be written to. Choose another, or change its permissions."
        ) from error


def _check_contents(target: Path, overwrite: bool) -> None:
    """Refuse a place that holds anything but a bundle that may be replaced."""
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{target} is a file; expected a directory for the bundle. Choose another.")
    if not target.exists() or not any(target.iterdir()):
        return
    settings = target / "model_settings.h"
    name = sources.name_of(settings.read_text(errors="replace")) if settings.is_file() else None
    foreign = _foreign(target, sources.paths(name or ""))
    if foreign:
        raise FileExistsError(
            f"{target} holds {foreign[0]!r}{f' and {len(foreign) - 1} more files' if foreign[1:] else ''}, not written "
            "by keras_pit.deploy; expected a new or empty directory, or an older bundle alone. Choose another, or move "
            "what is there."
        )
    if name is None:
        raise FileExistsError(
            f"{target} is not empty, and not a bundle (there is no model_settings.h by keras_pit.deploy); expected a "
            "new or empty directory. Choose another."
        )
    if not overwrite:
        raise FileExistsError(f"{target} holds an older bundle. Pass overwrite=True to replace it.")


def _foreign(folder: Path, ours: frozenset[str]) -> list[str]:
    """What a folder holds besides these files: their paths, and those of links and folders in their place."""
    within = {parent.as_posix() for path in ours for parent in PurePosixPath(path).parents}
    found, places = [], ["."]
    for place in places:
        for entry in os.scandir(folder / place):
            path = (PurePosixPath(place) / entry.name).as_posix()
            # Not all that is below the folder, which could be a whole disk.
            if entry.is_dir(follow_symlinks=False) and (path in within or place in within - {"."}):
                places.append(path)
            elif path not in ours or not entry.is_file(follow_symlinks=False):
                found.append(path)
    return sorted(found)


def _read(source: Any) -> tuple[File, bool]:
    """A file that can be deployed, and whether its batch was open."""
    given = File.of(source)
    require_runnable(given.graph)
    registrations(given.graph)  # raises for what a bundle does not set up
    require_feedable(given.graph)
    file = of_one(given)
    return file, file is not given


def _check_limits(file: File) -> None:
    """Refuse a file that would take long to run, or to write down what it computes."""
    numbers = sum(int(np.prod(tensor.shape)) for tensor in (*file.graph.inputs, *file.graph.outputs))
    for what, number, most in (
        (f"its inputs and outputs have {numbers:,} numbers", numbers, LIMITS.vectors),
        (f"it takes {work(file.program):,} operations", work(file.program), LIMITS.run),
    ):
        if number > most:
            raise beyond(what, most)


def _check_label_count(graph: Graph, labels: Sequence[str]) -> None:
    numbers = int(np.prod(graph.outputs[0].shape))
    if labels and len(labels) != numbers:
        raise ValueError(
            f"labels has {len(labels)} names; expected {numbers}, one for each number of the model's first output, of "
            f"shape {graph.outputs[0].shape}."
        )


def _test_samples(
    graph: Graph, inputs: Sequence[Any], test_data: Any, calibration: Any
) -> tuple[list[np.ndarray], str]:
    """Some samples as one array per input, in the number types of the file, and what they are."""
    count = max(1, min(TESTS, _TEST_BYTES // sum(int(np.prod(tensor.shape)) for tensor in graph.inputs)))
    if test_data is not None:
        given, origin = as_arrays(inputs, test_data, "test_data"), "from the test data, at even distances"
    elif calibration is not None:
        given, origin = as_arrays(inputs, calibration), "from the calibration data, at even distances"
    else:
        given, origin = _random_samples(graph, count), "random numbers"
    numbers = [_reals(tensor, np.asarray(part)) for tensor, part in zip(graph.inputs, given, strict=True)]
    arrays = [array[:, 0] for array in prepare(graph, numbers)]
    return [spread(array, count) for array in arrays], origin


def _reals(tensor: TensorInfo, array: np.ndarray) -> np.ndarray:
    """Integers that are not of the type of a quantised input are real values."""
    other = array.dtype.kind in "bi" and array.dtype != tensor.dtype
    return array.astype("float32") if tensor.quantized and other else array


def _random_samples(graph: Graph, count: int) -> list[np.ndarray]:
    """The whole range of quantised integers, normal floats, zeros for what may be an index."""
    generator = np.random.default_rng(0)
    samples = []
    for tensor in graph.inputs:
        shape = (count, *tensor.shape[1:])
        if tensor.floating:
            samples.append(generator.normal(size=shape).astype(tensor.dtype))
        elif tensor.quantized:
            limits = np.iinfo(tensor.dtype)
            samples.append(generator.integers(limits.min, limits.max, shape, tensor.dtype, endpoint=True))
        else:
            samples.append(np.zeros(shape, tensor.dtype))
    return samples


def _write(files: dict[str, bytes], target: Path, overwrite: bool) -> None:
    """Put the files at `target`, all or none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary(beside=target) as folder:
        new = folder / target.name
        for file, content in files.items():
            path = new / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        # Since the first look, a network may have been converted.
        _check_contents(target, overwrite)
        replace(new, target)
