"""Predicted milliseconds against published ones, board by board.

    python benchmarks/milliseconds.py      prints the table, writes out/milliseconds.json

The networks are the reference networks of MLPerf Tiny, and others whose architecture is published. What is predicted is
for the kernels of today; figures of 2021 were measured with older, slower ones, so that an interval belongs to each
estimate (see `keras_pit.costs.cores`). "engine" says what ran: microTVM calls the same kernels of CMSIS-NN.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import keras

sys.path.insert(0, str(Path(__file__).parents[1]))

from examples.networks import NETWORKS
from keras_pit.blueprint import Blueprint
from keras_pit.costs.latency import interval, milliseconds
from keras_pit.costs.program import Program

NETWORK_OF = {"KWS": "ds_cnn", "IC": "resnet8", "VWW": "mobilenet_v1_025", "AD": "autoencoder"}
"""The tasks of MLPerf Tiny."""


@dataclass(frozen=True)
class Published:
    """A published time of one inference."""

    board: str
    core: str
    clock_mhz: float
    engine: str
    network: str
    ms: float
    source: str
    external_flash: bool = False


def _per_second(board: str, core: str, clock: float, engine: str, source: str, **rates: float) -> list[Published]:
    return [Published(board, core, clock, engine, task, 1000 / rate, source) for task, rate in rates.items()]


def _of_v05(**times: float) -> list[Published]:
    source = "MLPerf Tiny v0.5, closed/reference"
    return [
        Published("STM32L4R5", "cortex-m4", 120, "TFLite-Micro 2.3.1", task, ms, source) for task, ms in times.items()
    ]


TABLE = [
    *_of_v05(KWS=181.9, VWW=600.6, IC=704.2, AD=10.05),
    *_per_second(
        "STM32L4R5", "cortex-m4", 120, "microTVM", "MLPerf Tiny v1.1, closed/Krai",
        AD=116.212, IC=2.567, KWS=10.019, VWW=3.324,
    ),
    *_per_second(
        "nRF5340", "cortex-m33", 128, "microTVM", "MLPerf Tiny v1.1, closed/Krai",
        AD=159.020, IC=3.146, KWS=13.074, VWW=4.286,
    ),
    *_per_second(
        "RA6M4", "cortex-m33", 200, "TFLite-Micro", "MLPerf Tiny v0.7, closed/renesas",
        AD=216.772, IC=4.062, KWS=19.774, VWW=6.159,
    ),
    Published(
        "STM32F746", "cortex-m7", 216, "TFLite-Micro 2.5", "MobileNetV2", 129.0,
        "blog.plumerai.com/2021/10/cortex-m-inference-software",
    ),
    Published(
        "ESP32-S3", "esp32-s3", 240, "ESP-NN", "VWW", 54.0, "Espressif, esp-tflite-micro: person detection", True
    ),
]  # fmt: skip


def _mobilenet_v2() -> keras.Model:
    return keras.applications.MobileNetV2(input_shape=(80, 80, 3), alpha=0.30, weights=None, classes=1000)


MODELS: dict[str, Callable[[], keras.Model]] = {
    **{task: partial(lambda name: NETWORKS[name].build(), name) for task, name in NETWORK_OF.items()},
    "MobileNetV2": _mobilenet_v2,
}


@cache
def program(network: str) -> Program:
    """A network as if it were trained: no bias is zero."""
    model = MODELS[network]()
    model.set_weights([weight + 0.01 for weight in model.get_weights()])
    return Blueprint.of(model).program()


def compare(row: Published) -> dict:
    """One line of the table."""
    net = program(row.network)
    predicted = float(milliseconds(net, row.core, row.clock_mhz))
    least, most = map(float, interval(net, row.core, row.clock_mhz, external_flash=row.external_flash))
    return {
        "board": row.board,
        "core": row.core,
        "engine": row.engine,
        "network": row.network,
        "published": round(row.ms, 3),
        "predicted": round(predicted, 3),
        "interval": [round(least, 3), round(most, 3)],
        "error": round(predicted / row.ms - 1, 4),
        "within": least <= row.ms <= most,
        "source": row.source,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out/milliseconds.json"), help="JSON to write")
    arguments = parser.parse_args()
    rows = [compare(row) for row in TABLE]
    print(
        f"{'board':10} {'engine':18} {'network':12} {'published':>10} {'predicted':>10} {'interval':>19} {'error':>7}"
    )
    for row in rows:
        least, most = row["interval"]
        print(
            f"{row['board']:10} {row['engine']:18} {row['network']:12} {row['published']:7.1f} ms "
            f"{row['predicted']:7.1f} ms {least:7.1f} to {most:7.1f} "
            f"{row['error']:+7.0%}{'' if row['within'] else '  outside'}"
        )
    print(f"{sum(row['within'] for row in rows)} of {len(rows)} within the interval")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
