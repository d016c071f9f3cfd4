"""The process TFLite-Micro runs in: `python _micro.py FOLDER ARENA_BYTES OUTPUTS [TENSOR...]`.

The interpreter of the `tflite_micro` wheel may end its process and gives its reasons on C stderr
only, so `runtimes` starts this file by its path, in a process of its own. It reads
FOLDER/model.tflite and FOLDER/inputs.npz (per input, in order, an array of shape (samples,
*tensor)), runs the samples one by one and writes FOLDER/results.npz likewise: the outputs, OUTPUTS
in number, or the tensors whose numbers are given, which takes an arena that keeps them all.
"""

import sys
from pathlib import Path

# A script's own folder leads sys.path, where its neighbours would hide modules of the same name.
sys.path[:] = [entry for entry in sys.path if entry != str(Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
from tflite_micro import runtime  # noqa: E402


def main(folder: Path, arena_bytes: int, outputs: int, tensors: list[int]) -> None:
    """Run every sample of `folder` and leave the results there."""
    with np.load(folder / "inputs.npz") as file:
        inputs = [file[key] for key in file.files]
    kinds = runtime.InterpreterConfig
    interpreter = runtime.Interpreter.from_bytes(
        (folder / "model.tflite").read_bytes(),
        arena_size=arena_bytes,
        intrepreter_config=kinds.kPreserveAllTensors if tensors else kinds.kAllocationRecording,
    )
    results: list[list[np.ndarray]] = [[] for _ in tensors or range(outputs)]
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
    np.savez(folder / "results.npz", *map(np.stack, results))
    if not tensors:
        interpreter.print_allocations()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), list(map(int, sys.argv[4:])))
    except RuntimeError as error:
        sys.exit(str(error))
