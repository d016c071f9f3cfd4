"""Commands that tell what is there: summary, profile, fits, boards."""

from __future__ import annotations

import warnings
from typing import Any

import click

from . import models
from .options import board, command, complete_board, latency
from .session import Session


@command("summary", "summary model.keras", "summary model.keras --board pico2", "summary run/search.keras --json")
@click.argument("model", type=click.Path())
@board(default="nano33ble", show_default=True, help="Whose flash, RAM and milliseconds.")
def summary(session: Session, model: str, board: str) -> None:
    """Tell what a MODEL costs, layer by layer, and what can be searched of it.

    Of a search model, what the search has found so far.
    """
    from rich.table import Table

    from .. import boards

    boards.get(board)
    loaded = models.load(model)
    from ..runs import measure
    from ..search.convert import convert
    from ..search.model import SearchModel
    from ..search.report import summary as summarize

    report = summarize(loaded if isinstance(loaded, SearchModel) else convert(loaded))
    costs = measure.costs_of(loaded, board)
    searched = [layer.name for layer in report.layers if layer.searched]
    table = Table(title=f"costs of {report.model}, in int8 on {board}", title_justify="left", pad_edge=False)
    for title in ("cost", "value", "unit"):
        table.add_column(title, justify="right" if title == "value" else "left")
    for name, value in costs.items():
        table.add_row(
            name, "unknown" if value is None else f"{value:,.4g}" if value % 1 else f"{value:,.0f}", UNITS.get(name, "")
        )
    words = f"{len(searched)} of {len(report.layers)} layers can be searched."
    rows = [{"layer": layer.name, "searched": layer.searched} for layer in report.layers]
    session.show([report, table, words], {**report.as_dict(), "board": board, "costs": costs, "searchable": rows})


UNITS = {
    "size": "parameters",
    "macs": "multiply-accumulates",
    "flash": "B of the file",
    "ram": "B of the tensor arena",
    "latency": "ms, estimated",
}


@command("profile", "profile model.tflite", "profile model.tflite --json", "profile model.tflite --plot arena.png")
@click.argument("tflite", type=click.Path())
@click.option("--plot", type=click.Path(), metavar="FILE", help="Also draw the tensor arena over time.")
def profile(session: Session, tflite: str, plot: str | None) -> None:
    """Tell what a TFLITE file takes of a microcontroller, operator by operator, and what could be better."""
    from ..deployment import profile as profiled

    report = profiled(models.require_file(tflite, "a .tflite file"))
    if plot is not None:
        report.plot(plot)
        session.tell(f"wrote {plot}")
    session.show(report, report.as_dict())


@command(
    "fits",
    "fits model.tflite --board pico",
    "fits slim.keras --board nano33ble --latency 20",
    "fits model.tflite --json",
)
@click.argument("model", type=click.Path())
@board(help="Default: all boards.")
@latency
@click.pass_context
def fits(context: click.Context, session: Session, model: str, board: str | None, latency: float | None) -> None:
    """Tell whether a MODEL (.tflite or Keras) fits a board: flash, RAM and time. Exit code 1 if not.

    Without --board, the answer for each board; exit code 1 if it fits none.
    """
    from .. import boards
    from ..deployment.fits import fits as fitting

    if board is not None:
        boards.get(board)
    subject: Any = models.require_file(model, "a .tflite file or a Keras model") if models.is_tflite(model) else None
    subject = models.load(model) if subject is None else subject
    if board is not None:
        answer = fitting(subject, board, latency=latency)
        session.show(answer, answer.as_dict())
        context.exit(0 if answer else 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a fault of one board's kernels is none of the others'
        answers = [fitting(subject, name, latency=latency) for name in boards.with_room()]
    session.show(_table(answers), {"boards": [answer.as_dict() for answer in answers]})
    context.exit(0 if any(answers) else 1)


def _table(answers: list[Any]) -> Any:
    from rich.table import Table

    table = Table(title="what it takes of each board, and what there is for a network", title_justify="left")
    table.add_column("board")
    table.add_column("fits")
    for title in ("flash (B)", "of", "RAM (B)", "of", "ms, estimated"):
        table.add_column(title, justify="right")
    for one in answers:
        least = "≥" * bool(one.unknown)
        cells = (f"{one.flash.used:,.0f}", f"{one.flash.bound:,.0f}", f"{least}{one.ram.used:,.0f}")
        time = f"{least}{one.latency.used:,.2f}" + " (rough)" * one.rough
        faulty = " (see --board)" * bool(one.faults)
        table.add_row(one.board.name, ("yes" if one else "no") + faulty, *cells, f"{one.ram.bound:,.0f}", time)
    return table


@command("boards", "boards", "boards pico2", "boards --json")
@click.argument("name", required=False, shell_complete=complete_board)
def boards(session: Session, name: str | None) -> None:
    """List the boards that are known, or tell about the one of a NAME."""
    from dataclasses import asdict

    from rich.table import Table

    from .. import boards as known

    rows = [known.get(each) for each in ([name] if name else known.names())]
    table = Table(title="boards: what they have, and what TFLite-Micro and an application leave", title_justify="left")
    for title in ("name", "board", "core", "MHz", "flash (kB)", "for a network", "RAM (kB)", "for a network"):
        table.add_column(title, justify="left" if title in ("name", "board", "core") else "right")
    data = []
    for row in rows:
        left = _left(row)
        shares = {key: "none" if value is None else f"{value / known.KB:,.0f}" for key, value in left.items()}
        memory = (f"{row.flash / known.KB:,.0f}", shares["flash"], f"{row.ram / known.KB:,.0f}", shares["ram"])
        table.add_row(row.name, row.title, row.core, f"{row.clock_mhz:g}", *memory)
        data.append({**asdict(row), "available": left})
    session.show(table, {"boards": data})


def _left(board: Any) -> dict[str, float | None]:
    """Bytes that are left for a network; None where nothing is."""
    from .. import boards

    left = {"flash": board.flash - boards.RESERVED.flash, "ram": board.ram - boards.RESERVED.ram}
    return {name: float(value) if value > 0 else None for name, value in left.items()}
