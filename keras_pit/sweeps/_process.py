"""What a task runs in: `python _process.py PARENT MODULE:FUNCTION ARGUMENTS`, the arguments as a JSON list.

The process ends with PARENT, whose number it is given, and which holds the other end of stdin: from the beginning, as
the imports of a task take seconds.
"""

import importlib
import json
import runpy
import sys
from pathlib import Path

# A script's own folder leads sys.path, where its neighbours would hide modules of the same name.
sys.path[:] = [entry for entry in sys.path if entry != str(Path(__file__).resolve().parent)]

WORKER = Path(__file__).resolve().parents[1] / "deployment" / "_worker.py"

if __name__ == "__main__":
    # By its path: the package would be imported for it first.
    runpy.run_path(str(WORKER))["end_with"](int(sys.argv[1]))
    module, _, name = sys.argv[2].partition(":")
    getattr(importlib.import_module(module), name)(*json.loads(sys.argv[3]))
