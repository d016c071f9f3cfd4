"""What tasks run in: `python _process.py PARENT`. Each task is a line of stdin: ["MODULE:FUNCTION", ARGUMENTS].

Each task that is over is answered by a line. What the tasks print goes to stderr. A task that raises ends the process.
So does the end of PARENT, whose number it is given, and which holds the other end of stdin: from the beginning, as the
imports of a task take seconds.
"""

import importlib
import json
import os
import queue
import runpy
import sys
from pathlib import Path

# A script's own folder leads sys.path, where its neighbours would hide modules of the same name.
sys.path[:] = [entry for entry in sys.path if entry != str(Path(__file__).resolve().parent)]

WORKER = Path(__file__).resolve().parents[1] / "deployment" / "_worker.py"


def main(parent: int) -> None:
    """Run what the parent asks for, for as long as it lives."""
    answers = os.dup(1)
    os.dup2(2, 1)
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            tasks.put(line)

    # By its path: the package would be imported for it first.
    runpy.run_path(str(WORKER))["end_with"](parent, read)
    while True:
        function, arguments = json.loads(tasks.get())
        module, _, name = function.partition(":")
        getattr(importlib.import_module(module), name)(*arguments)
        os.write(answers, b"done\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
