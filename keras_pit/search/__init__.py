"""The search: a seed becomes a search model, and that a slim model.

    seed --convert: wire--> SearchModel --fit: settling--> the same, its masks decided --export: slim--> slim model

`convert` and `export` are what users call; `wire` and `slim` do the work, on graphs. `model` is the search model
itself: its loss, its logs, how it is saved. `settling` leads a `fit` to its end, `targets` holds costs at their bounds,
`prices` are what the masks cost, `report` and `cost` tell what it costs now. Open `wire` first, then `slim`.
"""

from .. import streaming  # noqa: F401 - its costs have names, as all others
