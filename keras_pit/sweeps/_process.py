"""What a task runs in: `python _process.py PARENT MODULE:FUNCTION ARGUMENTS`, the arguments as a JSON list.

The process ends with PARENT, whose number it is given, and which holds the other end of stdin.
"""

import importlib
import json
import sys
from pathlib import Path

# A script's own folder leads sys.path, where its neighbours would hide modules of the same name.
sys.path[:] = [entry for entry in sys.path if entry != str(Path(__file__).resolve().parent)]

if __name__ == "__main__":
    from keras_pit.deployment._worker import end_with

    end_with(int(sys.argv[1]))
    module, _, name = sys.argv[2].partition(":")
    getattr(importlib.import_module(module), name)(*json.loads(sys.argv[3]))
