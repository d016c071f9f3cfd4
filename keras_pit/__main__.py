"""`python -m keras_pit`: the command line."""

import sys

from .cli import main

sys.exit(main())
