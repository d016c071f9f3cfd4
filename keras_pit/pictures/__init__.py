"""Pictures of networks and searches, in one look.

    architecture       a report of `summary`            each layer before and after
    cost_by_layer      the same, or one of `profile`    where a cost comes from
    channels_over_time, layers_over_time                a history: an ArchitectureLog, or the epochs of a run
    costs_over_time                                     the same
    accuracy_against_cost                               points of any origin
    arena              a report of `profile`            what lies where in memory, and while which layer runs

Each takes the object (most also what its `as_dict` returns), returns a Matplotlib figure, and saves it where a path is
given.
Colours are told apart by colour-blind readers and in black and white; what grows with the network is the height.
Knows no models: it draws numbers. Open `style` first.
"""

from .architecture import architecture, cost_by_layer
from .memory import arena
from .over_time import channels_over_time, costs_over_time, layers_over_time
from .tradeoff import accuracy_against_cost

__all__ = [
    "accuracy_against_cost",
    "architecture",
    "arena",
    "channels_over_time",
    "cost_by_layer",
    "costs_over_time",
    "layers_over_time",
]
