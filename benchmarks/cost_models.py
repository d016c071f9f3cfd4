"""The cost models against measured networks: latency, arena and flash, on the fifth that nothing was fitted on.

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
from pathlib import Path as FilePath

import flatbuffers
import measured
import numpy as np

from keras_pit.costs.arena import arena
from keras_pit.costs.flash import flash
from keras_pit.costs.kernels import Path
from keras_pit.costs.latency import (
    COEFFICIENTS,
    INVOKE,
    WORST,
    coefficients,
    instructions,
    operator_instructions,
    paths,
    unknown,
    worst,
)
from keras_pit.costs.operators import BIAS
from keras_pit.costs.program import Program
from keras_pit.deployment import trim
from keras_pit.deployment.flatbuffer import read_program, unpack

DATA = FilePath("data")

VALUE_DEPENDENT = ("softmax",)
"""Paths that take more or less time for other values, so that a bound is of interest."""
FEW = 3
"""Measurements a factor; with less of them, single ones shall not decide."""
TOLERANCE = 0.01
"""Of such a fit: relative errors that do not matter."""


def fit(networks: list[measured.Measured]) -> dict:
    """Instructions for each loop, path by path: those with the least relative errors, none below 0."""
    return {core: _fit_core(networks, core) for core in measured.CORES}


def _fit_core(networks: list[measured.Measured], core: str) -> dict[str, dict[str, float]]:
    rows = defaultdict(list)
    for network in networks:
        for call, taken in zip(network.program.calls(), network.operators[core], strict=True):
            if not unknown(call):
                path = next(path for path in paths(call, core) if path.condition)
                rows[path.name].append((path, taken))
        overhead = {"call": 1, "operator": len(network.program.operators)}
        rows[INVOKE].append((Path(INVOKE, overhead), network.invoke[core] - sum(network.operators[core])))
    factors: dict[str, dict[str, float]] = {}
    # Paths that share loops of others come behind them.
    for name in sorted(rows, key=lambda name: (any("/" in loop for loop in rows[name][0][0].loops), name)):
        factors[name] = _fit_path(rows[name], factors)
    factors |= {f"{name}{WORST}": _above(rows[name]) for name in VALUE_DEPENDENT}
    return dict(sorted(factors.items()))


def _fit_path(found: list[tuple[Path, int]], factors: dict[str, dict[str, float]]) -> dict[str, float]:
    names = [name for name in found[0][0].loops if "/" not in name]
    taken = np.array([taken for _, taken in found], float)
    counts = np.array([[float(path.loops[name]) for name in names] for path, _ in found])
    shared = [
        sum(factors[there][loop] * count for (there, loop), count in path.named() if there != path.name)
        for path, _ in found
    ]
    # Columns of one size, so that the solver's tolerance fits all of them.
    scale = np.maximum((counts / taken[:, None]).max(axis=0), 1e-30)
    solved = _least_errors(counts / taken[:, None] / scale, 1 - np.array(shared) / taken)
    return {name: float(f"{factor:.4g}") for name, factor in zip(names, solved / scale, strict=True)}


def _above(found: list[tuple[Path, int]]) -> dict[str, float]:
    """Factors with which no measurement is above the estimate, and the estimates are as low as that allows."""
    from scipy.optimize import linprog

    names = list(found[0][0].loops)
    counts = np.array([[float(path.loops[name]) / taken for name in names] for path, taken in found])
    solved = linprog(counts.sum(axis=0), A_ub=-counts, b_ub=-np.ones(len(found)), method="highs").x
    return {name: _rounded_up(factor) for name, factor in zip(names, solved, strict=True)}


def _rounded_up(factor: float) -> float:
    return float(f"{factor * 1.001:.4g}")


def _least_errors(shares: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Factors of at least 0 for which the errors are least, absolute: what depends on values does not count much.

    With few measurements they are squared where they are small, as else some would be met exactly.
    """
    from scipy.optimize import linprog, nnls
    from scipy.sparse import csr_matrix, hstack, identity, vstack

    number, width = shares.shape
    if number < FEW * width:
        weights = np.ones(number)
        for _ in range(100):
            solved, _ = nnls(shares * weights[:, None], wanted * weights, maxiter=100_000)
            weights = np.maximum(np.abs(shares @ solved - wanted), TOLERANCE) ** -0.5
        return solved
    # With an error for each measurement: shares x - error <= wanted <= shares x + error.
    error = identity(number)
    bounds = vstack([hstack([csr_matrix(shares), -error]), hstack([csr_matrix(-shares), -error])])
    # Of equal solutions, the one with small factors.
    costs = np.concatenate([np.full(width, 1e-6), np.ones(number)])
    return linprog(costs, A_ub=bounds, b_ub=np.concatenate([wanted, -wanted]), method="highs").x[:width]


def errors(estimated: Iterable[float], true: Iterable[float]) -> dict[str, float]:
    """Relative errors and the rank correlation."""
    one, two = np.array(list(estimated), float), np.array(list(true), float)
    ranks = np.corrcoef(one.argsort().argsort(), two.argsort().argsort())[0, 1]
    return _relative(one, two) | {"rank correlation": float(ranks)}


def _relative(estimated: Iterable[float], true: Iterable[float]) -> dict[str, float]:
    one, two = np.array(list(estimated), float), np.array(list(true), float)
    relative = np.abs(one - two) / two
    return {
        "median": float(np.median(relative)),
        "95th percentile": float(np.percentile(relative, 95)),
        "largest": float(relative.max()),
    }


def latencies(fitted: list[measured.Measured], aside: list[measured.Measured]) -> dict:
    """Errors of the latency model and of MACs alone, by core."""
    found = {}
    fitted, aside = ([network for network in one if _macs(network.program)] for one in (fitted, aside))
    for core in measured.CORES:
        true = [network.invoke[core] for network in aside]
        ratios = [_macs(network.program) / network.invoke[core] for network in fitted]
        # The factor that is best for the median of the relative errors is near the median of the ratios.
        by_macs = [_macs(network.program) / float(np.median(ratios)) for network in aside]
        model = errors([instructions(network.program, core) for network in aside], true)
        found[core] = {"model": model, "MACs alone": errors(by_macs, true)}
    return found


def operators(aside: list[measured.Measured]) -> dict[str, dict[str, dict[str, float]]]:
    """Errors of the latency of single operators, by name and core; "_16" behind the name: int16x8."""
    rows: dict[str, dict[str, list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
    for core in measured.CORES:
        for network in aside:
            for call, taken in zip(network.program.calls(), network.operators[core], strict=True):
                name = call.op.name + "_16" * (call.outputs[0].dtype == "int16")
                if not unknown(call):
                    rows[name][core].append((operator_instructions(call, core), taken))
    return {
        name: {core: _relative(*zip(*pairs, strict=True)) | {"operators": len(pairs)} for core, pairs in cores.items()}
        for name, cores in sorted(rows.items())
    }


def bounds(networks: list[measured.Measured]) -> dict[str, dict[str, float]]:
    """How far the bound of operators that depend on their values is above what was measured, by core."""
    found = {}
    for core in measured.CORES:
        ratios = [
            worst(call, core) / taken
            for network in networks
            for call, taken in zip(network.program.calls(), network.operators[core], strict=True)
            if call.op.name == "SOFTMAX" and call.source.dtype == "int8"
        ]
        found[core] = {"least": min(ratios) - 1, "median": float(np.median(ratios)) - 1}
    return found


def chains(aside: list[measured.Measured]) -> dict[str, dict[str, float]]:
    """Errors of networks that run one time step at a time, of latency and arena by core."""
    steps = [network for network in aside if any(op.name == "CIRCULAR_BUFFER" for op in network.program.operators)]
    found = {}
    for core in measured.CORES:
        latency = errors([instructions(one.program, core) for one in steps], [one.invoke[core] for one in steps])
        found[core] = {"networks": len(steps)} | latency
    return {core: found[core] | {"arena": memory} for core, memory in arenas(steps).items()}


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


def flashes(folder: FilePath, aside: list[measured.Measured]) -> dict:
    """Errors of the flash model against trimmed files."""
    pairs = []
    with zipfile.ZipFile(folder / "cortex_m_nets.zip") as archive:
        for network in (network for network in aside if network.archive == "cortex_m_nets"):
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


def print_latency(results: dict) -> None:
    """Prints what `latencies`, `operators` and `bounds` found."""
    for core, kinds in results["latency"].items():
        for kind, found in kinds.items():
            print(
                f"latency on {core}, {kind:10}: median error {found['median']:6.1%}, 95th percentile "
                f"{found['95th percentile']:6.1%}, rank correlation {found['rank correlation']:.4f}"
            )
    print(f"\n{'median error by operator (number)':40}" + "".join(f"{core:>13}" for core in measured.CORES))
    for name, cores in results["operators"].items():
        number = max(found["operators"] for found in cores.values())
        print(f"{name} ({number})".ljust(40) + "".join(f"{cores[core]['median']:13.2%}" for core in measured.CORES))
    print()
    for core, found in results["bound of SOFTMAX"].items():
        print(f"bound of SOFTMAX on {core}: {found['least']:.1%} to (median) {found['median']:.1%} above the measured")


def print_chains(results: dict) -> None:
    """Prints what `chains` found."""
    for core, found in results["streaming chains"].items():
        memory = found["arena"]
        print(
            f"{found['networks']} streaming chains on {core}: latency median error {found['median']:.1%}, largest "
            f"{found['largest']:.1%}; arena {memory['least above']} to {memory['most above']} B above"
        )


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


def arguments_parser(description: str, output: FilePath) -> argparse.ArgumentParser:
    """The options that the benchmarks of the cost models share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=FilePath, default=DATA, help=f"folder of the measured networks ({DATA})")
    parser.add_argument("--output", type=FilePath, default=output, help="JSON to write")
    return parser


def main() -> None:
    parser = arguments_parser(__doc__ or "", FilePath("out/cost_models.json"))
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
    results = {
        "latency": latencies(fitted, aside),
        "operators": operators(aside),
        "bound of SOFTMAX": bounds(networks),
        "streaming chains": chains(aside),
        "arena": arenas(networks),
        "flash": flashes(arguments.data, aside),
    }
    print_latency(results)
    print_chains(results)
    print_memory(results)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
