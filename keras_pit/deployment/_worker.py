"""What runs in a process of its own: `python _worker.py RUNTIME FOLDER PARENT [NUMBER...]`.

Runtimes are native code, which may end its process, never end, and explain itself on C stderr only. So `worker` starts
this file by its path. It reads FOLDER/model.tflite and FOLDER/inputs.npz (per input, in order, an array of shape
(samples, *tensor)), runs the samples one by one and writes FOLDER/results.npz likewise. A runtime is a function in
`RUNTIMES`, and may take further numbers. The process ends with PARENT, whose number it is given.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# A script's own folder leads sys.path, where its neighbours would hide modules of the same name.
sys.path[:] = [entry for entry in sys.path if entry != str(Path(__file__).resolve().parent)]

Arrays = Sequence[Any]
"""Of numpy, which is imported only once this process ends with its parent: that takes a while."""


def tflite_micro(content: bytes, inputs: Arrays, arena_bytes: int, outputs: int, *tensors: int) -> Arrays:
    """The outputs (so many), or the tensors whose numbers are given, which takes an arena that keeps them all."""
    import numpy as np
    from tflite_micro import runtime

    kinds = runtime.InterpreterConfig
    interpreter = runtime.Interpreter.from_bytes(
        content,
        arena_size=arena_bytes,
        intrepreter_config=kinds.kPreserveAllTensors if tensors else kinds.kAllocationRecording,
    )
    results: list[list[Any]] = [[] for _ in tensors or range(outputs)]
    for sample in range(len(inputs[0])):
        interpreter.reset()
        for index, array in enumerate(inputs):
            interpreter.set_input(array[sample], index)
        interpreter.invoke()
        for index, result in enumerate(results):
            if tensors:
                value = interpreter.GetTensor(tensors[index], 0)["tensor_data"]
            else:
                value = interpreter.get_output(index)
            result.append(np.array(value))
    if not tensors:
        interpreter.print_allocations()
    return list(map(np.stack, results))


def tflite_micro_steps(content: bytes, inputs: Arrays, arena_bytes: int, outputs: int, steps: int) -> Arrays:
    """The outputs of samples that are steps of sequences, each from the beginning, and the status of each run.

    A CIRCULAR_BUFFER ends a run with the status `kTfLiteAbort`; outputs are those of the run before then.
    """
    import numpy as np
    from tflite_micro import runtime

    kinds = runtime.InterpreterConfig
    results: list[list[Any]] = [[] for _ in range(outputs + 1)]
    for sample in range(len(inputs[0])):
        if sample % steps == 0:
            # A new one, as in older versions a reset leaves the count of operators that end runs early.
            interpreter = runtime.Interpreter.from_bytes(
                content, arena_size=arena_bytes, intrepreter_config=kinds.kAllocationRecording
            )
        for index, array in enumerate(inputs):
            interpreter.set_input(array[sample], index)
        status = interpreter.invoke()
        results[-1].append(np.array(status))
        for index, result in enumerate(results[:-1]):
            result.append(np.array(interpreter.get_output(index)))
    interpreter.print_allocations()
    return list(map(np.stack, results))


def litert(content: bytes, inputs: Arrays) -> Arrays:
    """The outputs from LiteRT's reference kernels."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    except ValueError as error:
        if "Didn't find op for builtin opcode" not in str(error):
            raise
        # Some operators (ELU) are only in the set of optimised kernels.
        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    sources = [detail["index"] for detail in interpreter.get_input_details()]
    sinks = [detail["index"] for detail in interpreter.get_output_details()]
    results: list[list[Any]] = [[] for _ in sinks]
    for sample in range(len(inputs[0])):
        interpreter.reset_all_variables()
        for index, array in zip(sources, inputs, strict=True):
            interpreter.set_tensor(index, array[sample])
        interpreter.invoke()
        for index, result in zip(sinks, results, strict=True):
            result.append(interpreter.get_tensor(index))
    return list(map(np.stack, results))


RUNTIMES: dict[str, Callable[..., Arrays]] = {
    "TFLite-Micro": tflite_micro,
    "TFLite-Micro, steps": tflite_micro_steps,
    "LiteRT": litert,
}


def leave_no_core() -> None:
    """Write no memory image into the working directory in a crash."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def end_with(parent: int, closed: Callable[[], object] = lambda: os.read(0, 1)) -> None:
    """Let this process end when its parent does, however that ends.

    Args:
        parent: its number. It holds the other end of stdin.
        closed: returns when that is closed; reads what the parent writes, if it does.
    """
    threading.Thread(target=lambda: (closed(), os.abort()), daemon=True).start()
    # Native code may keep that thread from running. Linux needs no thread.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os.abort()


def main(runtime: str, folder: Path, *numbers: int) -> None:
    """Run every sample of `folder` and leave the results there."""
    import numpy as np

    with np.load(folder / "inputs.npz") as file:
        inputs = [file[key] for key in file.files]
    results = RUNTIMES[runtime]((folder / "model.tflite").read_bytes(), inputs, *numbers)
    np.savez(folder / "results.npz", *results)


if __name__ == "__main__":
    leave_no_core()
    end_with(int(sys.argv[3]))
    try:
        main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[4:]))
    except (RuntimeError, ValueError) as error:
        sys.exit(str(error))
