"""What a report on a .tflite file says of memory, against what 108 networks kept from fitting really took.

    python benchmarks/estimates.py      prints the errors of arena and flash, writes out/estimates.json

The arena's estimate must not be below the measured one, nor more than 5 % and 256 B above. These are two of the figures
of cost_models.py, which compares latency as well.
"""

import json
from pathlib import Path

import measured
from cost_models import arenas, arguments_parser, flashes, print_memory


def main() -> None:
    arguments = arguments_parser(__doc__ or "", Path("out/estimates.json")).parse_args()
    aside = [network for network in measured.read(arguments.data) if network.kept_aside]
    results = {"arena": arenas(aside), "flash": flashes(arguments.data, aside)}
    print_memory(results)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
