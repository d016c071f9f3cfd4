"""The search: a seed becomes a search model, and that a slim model.

    seed --convert: wire--> SearchModel --fit: targets--> the same, its masks decided --export: slim--> slim Keras model

`convert` and `export` are what users call; `wire` and `slim` do the work, on graphs. `model` is the search model
itself: its loss, its logs, how it is saved. `targets` holds costs at their bounds, `report` and `cost` tell what it
costs now. Open `wire` first, then `slim`.
"""
