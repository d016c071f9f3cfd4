"""The cost models against 600 measured networks: latency, arena and flash, on the fifth that nothing was fitted on.

    python benchmarks/cost_models.py          prints the errors and writes out/cost_models.json
    python benchmarks/cost_models.py --fit    fits keras_pit/costs/cortex_m.json anew on the other four fifths

Latency is counted in instructions; beside it stands what multiply-accumulates alone would say, with one factor fitted.
The files' sizes are those after trimming. The measured networks are untrained, with biases of zero that would be
shared in a file, so each bias is given random values first.
"""

import argparse
import copy
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import flatbuffers
import measured
import numpy as np

from keras_pit.costs.arena import arena
from keras_pit.costs.flash import flash
from keras_pit.costs.latency import COEFFICIENTS, INVOKE, Loops, coefficients, instructions, paths
from keras_pit.costs.program import BIAS, Program
from keras_pit.deployment import trim
from keras_pit.deployment.flatbuffer import read_program, unpack

DATA = Path("data")

# Instructions an element of operators that the measured networks lack, each measured alone on 4096 elements on a
# Cortex-M4. They run as reference code, which takes the Cortex-M55 about as many. Per MAC for TRANSPOSE_CONV.
BY_HAND = {
    "tanh": {"call": 500, "element": 369, "mac": 0},
    "hard_swish": {"call": 500, "element": 86, "mac": 0},
    "relu": {"call": 500, "element": 50, "mac": 0},
    "relu6": {"call": 500, "element": 50, "mac": 0},
    "leaky_relu": {"call": 500, "element": 60, "mac": 0},
    "mul": {"call": 500, "element": 60, "mac": 0},
    "transpose_conv": {"call": 1000, "element": 50, "mac": 3},
    "other": {"call": 500, "element": 60, "mac": 0},
}


def fit(networks: list[measured.Measured]) -> dict:
    """Instructions for each loop: non-negative least squares of the relative errors, path by path."""
    return {core: _fit_core(networks, core) | BY_HAND for core in measured.CORES}


def _fit_core(networks: list[measured.Measured], core: str) -> dict[str, dict[str, float]]:
    rows = defaultdict(list)
    for network in networks:
        for call, taken in zip(network.program.calls(), network.operators[core], strict=True):
            path = next(path for path in paths(call, core) if path.condition)
            rows[path.name].append((path.loops, taken))
        overhead = {"call": 1, "operator": len(network.program.operators)}
        rows[INVOKE].append((overhead, network.invoke[core] - sum(network.operators[core])))
    return {name: _fit_path(found) for name, found in sorted(rows.items())}


def _fit_path(found: list[tuple[Loops, int]]) -> dict[str, float]:
    from scipy.optimize import nnls

    names = list(found[0][0])
    taken = np.array([taken for _, taken in found], float)
    counts = np.array([[loops[name] for name in names] for loops, _ in found], float)
    # Columns of one size, so that the solver's tolerance fits all of them.
    scale = np.maximum((counts / taken[:, None]).max(axis=0), 1e-30)
    factors, _ = nnls(counts / taken[:, None] / scale, np.ones(len(taken)), maxiter=10_000)
    return {name: float(f"{factor:.4g}") for name, factor in zip(names, factors / scale, strict=True)}


def errors(estimated: Iterable[float], true: Iterable[float]) -> dict[str, float]:
    """Relative errors and the rank correlation."""
    one, two = np.array(list(estimated), float), np.array(list(true), float)
    relative = np.abs(one - two) / two
    ranks = np.corrcoef(one.argsort().argsort(), two.argsort().argsort())[0, 1]
    return {
        "median": float(np.median(relative)),
        "95th percentile": float(np.percentile(relative, 95)),
        "largest": float(relative.max()),
        "rank correlation": float(ranks),
    }


def latencies(fitted: list[measured.Measured], aside: list[measured.Measured]) -> dict:
    """Errors of the latency model and of MACs alone, by core."""
    found = {}
    for core in measured.CORES:
        true = [network.invoke[core] for network in aside]
        ratios = [_macs(network.program) / network.invoke[core] for network in fitted]
        # The factor that is best for the median of the relative errors is near the median of the ratios.
        by_macs = [_macs(network.program) / float(np.median(ratios)) for network in aside]
        model = errors([instructions(network.program, core) for network in aside], true)
        found[core] = {"model": model, "MACs alone": errors(by_macs, true)}
    return found


def _macs(program: Program) -> int:
    return sum(call.macs for call in program.calls())


def arenas(aside: list[measured.Measured]) -> dict:
    """How far the arena estimates are above the measured ones, in bytes, by core."""
    found = {}
    for core in measured.CORES:
        pairs = [(arena(network.program, core).total, network.arena[core]) for network in aside]
        above = [estimated - true for estimated, true in pairs]
        found[core] = {
            "networks below": sum(value < 0 for value in above),
            "networks over 5 % + 256 B": sum(one > 1.05 * true + 256 for one, true in pairs),
            "least above": min(above),
            "most above": max(above),
            "most above, relative": max(one / true - 1 for one, true in pairs),
        }
    return found


def flashes(folder: Path, aside: list[measured.Measured]) -> dict:
    """Errors of the flash model against trimmed files."""
    pairs = []
    with zipfile.ZipFile(folder / "cortex_m_nets.zip") as archive:
        for network in aside:
            tflite = trim(with_random_biases(archive.read(f"{network.name}.tflite")))
            pairs.append((flash(read_program(tflite)), len(tflite)))
    return errors(*zip(*pairs, strict=True)) | {
        "networks within 2 %": sum(abs(one / true - 1) <= 0.02 for one, true in pairs),
        "networks": len(pairs),
    }


def with_random_biases(tflite: bytes) -> bytes:
    """The same network as if it were trained: no two biases are equal."""
    model, rng = unpack(tflite), np.random.default_rng(0)
    tensors = model.subgraphs[0].tensors
    for op in read_program(tflite).operators:
        number = op.inputs[BIAS[op.name]] if op.name in BIAS and len(op.inputs) > BIAS[op.name] else -1
        if number >= 0:
            own = copy.copy(model.buffers[0])
            own.data = rng.integers(0, 256, len(model.buffers[tensors[number].buffer].data)).astype("uint8")
            tensors[number].buffer = len(model.buffers)
            model.buffers.append(own)
    builder = flatbuffers.Builder(len(tflite))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def print_memory(results: dict) -> None:
    """Prints what `arenas` and `flashes` found."""
    for core, found in results["arena"].items():
        print(
            f"arena on {core}: {found['networks below']} networks below the measured one, "
            f"{found['networks over 5 % + 256 B']} over 5 % + 256 B, {found['least above']} to {found['most above']} B "
            f"({found['most above, relative']:.1%}) above"
        )
    found = results["flash"]
    print(
        f"flash: median error {found['median']:.2%}, 95th percentile {found['95th percentile']:.2%}, largest "
        f"{found['largest']:.2%}; {found['networks within 2 %']} of {found['networks']} networks within 2 %"
    )


def arguments_parser(description: str, output: Path) -> argparse.ArgumentParser:
    """The options that the benchmarks of the cost models share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help=f"folder of the measured networks ({DATA})")
    parser.add_argument("--output", type=Path, default=output, help="JSON to write")
    return parser


def main() -> None:
    parser = arguments_parser(__doc__ or "", Path("out/cost_models.json"))
    parser.add_argument("--fit", action="store_true", help="fit the latency model first, and write its factors")
    arguments = parser.parse_args()
    networks = measured.read(arguments.data)
    fitted = [network for network in networks if not network.kept_aside]
    aside = [network for network in networks if network.kept_aside]
    if arguments.fit:
        about = (
            f"Instructions for each run of a loop, fitted on {len(fitted)} networks by benchmarks/cost_models.py --fit"
        )
        content = {"about": about, "instructions": fit(fitted)}
        COEFFICIENTS.write_text(json.dumps(content, indent=1) + "\n")
        coefficients.cache_clear()
    print(f"{len(aside)} networks kept aside of {len(networks)}")
    results = {"latency": latencies(fitted, aside), "arena": arenas(aside), "flash": flashes(arguments.data, aside)}
    for core, kinds in results["latency"].items():
        for kind, found in kinds.items():
            print(
                f"latency on {core}, {kind:10}: median error {found['median']:6.1%}, 95th percentile "
                f"{found['95th percentile']:6.1%}, rank correlation {found['rank correlation']:.4f}"
            )
    print_memory(results)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
