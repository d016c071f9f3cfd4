"""Commands on a run, the folder of a search: search, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import models
from .options import command, latency
from .session import Session


def _target(_: click.Context, __: click.Parameter, text: str | None) -> Any:
    """The name of a board, a number, or costs with their bounds."""
    if text is None:
        return None
    try:
        if "=" in text:
            return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
        if text.replace(".", "", 1).replace("_", "").isdigit():
            return float(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: expected a board, a number, or as flash=64000,latency=20") from error
    return text


@command(
    "search",
    "search model.keras --data data.npz --target nano33ble --latency 20 --out run/",
    "search model.keras --data data.npz --target flash=64000,ram=32000 --out run/",
    "search model.keras --data data.py:load --cost macs --target 1000000 --out run/ --epochs 100",
    "search model.keras --data data.npz --cost latency --strength 1 --out run/",
)
@click.argument("model", type=click.Path())
@click.option(
    "--data", required=True, metavar="DATA", help="x, y and if there are x_val, y_val: .npz or module:function."
)
@click.option("--out", "directory", required=True, metavar="FOLDER", help="Where the run goes; called again, goes on.")
@click.option(
    "--target",
    callback=_target,
    metavar="TARGET",
    help="What the network may cost: a board, costs as flash=64000,latency=20, or a number for --cost.",
)
@latency
@click.option("--cost", metavar="NAME", help="What is pressed down: size (default), macs, flash, ram, latency.")
@click.option("--strength", type=float, help="How hard, where there is no target.  [default: 2]")
@click.option("--epochs", type=int, default=50, show_default=True, help="Of the search.")
@click.option("--fine-tune", type=int, metavar="EPOCHS", help="Of the exported network.  [default: as many]")
@click.option("--batch-size", type=int, default=32, show_default=True)
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="Of Adam.")
@click.option("--round-to", type=int, default=1, show_default=True, help="Channels live and die in blocks of so many.")
@click.option("--exclude", multiple=True, metavar="LAYER", help="A layer that is left as it is; repeat for more.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.pass_context
def search(
    context: click.Context,
    session: Session,
    model: str,
    data: str,
    directory: str,
    target: Any,
    latency: float | None,
    cost: str | None,
    strength: float | None,
    **settings: Any,
) -> None:
    """Search the small network inside a MODEL, fine-tune it, make its int8 file, and measure it.

    The loss and metrics are those that the model was compiled with, else what the data says. If it is interrupted,
    the same command goes on where it was. Exit code 1 if the target is not met in the end.
    """
    from ..runs import read

    if Path(model).is_dir():
        raise ValueError(f"{model!r} is a SavedModel, which Keras 3 reads as one layer: a search needs .keras or .h5.")
    bounds, told = _bounds(target, latency)
    found = read(data).require_targets()
    loaded = models.load(model)
    from ..runs.steps import Settings
    from ..runs.steps import search as searched

    asked = Settings(
        regularizer=cost, strength=2.0 if strength is None else strength, target=bounds, board=told, latency=latency,
        **{**settings, "exclude": tuple(settings["exclude"])},
    )  # fmt: skip
    from .progress import Bar

    run = searched(
        loaded, found, directory, asked, callbacks=lambda phase: [Bar(phase, session.notes)], tell=session.tell
    )
    result = run.json("result.json")
    session.show(_found(result, run.path), {"run": str(run.path), **result})
    for complaint in result["unmet"]:
        session.warn(complaint)
    context.exit(1 if result["unmet"] else 0)


def _bounds(target: Any, latency: float | None) -> tuple[Any, str | None]:
    """The target of the search, and the board whose costs are told."""
    from .. import boards

    if isinstance(target, str):
        return boards.get(target).target(latency=latency), target
    if latency is None:
        return target, None
    if target is None:
        return {"latency": latency}, None
    if isinstance(target, dict):
        return {"latency": latency, **target}, None
    raise click.UsageError("--latency comes with a board or with costs by name, not with a number for --target")


def _found(result: dict[str, Any], folder: Path) -> list[Any]:
    """The table at the end of a search."""
    from rich.table import Table

    on = result["measured on"]
    table = Table(title=f"measured on {on['samples']:,} samples of {on['data']}", title_justify="left", pad_edge=False)
    for title in ("model", "accuracy" if result["task"] != "numbers" else "error", "size", "MACs", "file", "RAM", "ms"):
        table.add_column(title, justify="left" if title == "model" else "right")
    for row in result["models"]:
        costs = row["costs"]
        right = f"{row['accuracy']:.2%}" if "accuracy" in row else f"{row['mae']:.4g}" if "mae" in row else "?"
        file = row.get("file", costs["flash"])
        numbers = (_number(value) for value in (costs["size"], costs["macs"], file, costs["ram"]))
        table.add_row(row["model"], right, *numbers, "?" if costs["latency"] is None else f"{costs['latency']:,.2f}")
    return [table, f"Everything is in {folder}/. Next: keras-pit report {folder}"]


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


@command("report", "report run/", "report run/ -o report.html")
@click.argument("run", type=click.Path())
@click.option("-o", "--output", metavar="FILE", help="Where the page goes.  [default: report.html in the run]")
def report(session: Session, run: str, output: str | None) -> None:
    """Write a RUN as one HTML page: what was searched, curves, architecture, accuracy, costs, boards, next steps."""
    from ..runs.page import report as reported

    page = reported(run, output)
    session.show(f"wrote {page}", {"output": str(page)})
