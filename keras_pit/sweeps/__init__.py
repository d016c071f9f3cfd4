"""The front: what accuracy there is for which cost, from one call.

    sweep(seed, data) --plan--> steps --schedule: executor--> directory --Front.load--> Front: table, picture, page

In comes a seed with data to train it, out comes a directory with a model, an int8 file and figures for each bound, and
a `Front` that shows it. A sweep is made of steps, each a folder that is there whole or not at all, and each can be made
by any process that sees the directory. So it can be killed at any moment, go on, and be shared among machines.

Open `sweep.py` first, then `plan.py` (what is to be done) and `steps.py` (how). `schedule.py` hands steps to executors,
`store.py` is the directory; `training.py` and `measure.py` do the work of a step; `front.py` is what users look at.
"""

from .executors import Processes
from .front import Front
from .pareto import hypervolume
from .points import Point
from .store import Failure
from .sweep import sweep
from .training import Stage

__all__ = ["Failure", "Front", "Point", "Processes", "Stage", "hypervolume", "sweep"]
