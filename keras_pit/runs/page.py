"""A run as one HTML page that needs nothing else: no network, no script, no file beside it.

It is made of what the run has written down (request.json, history.jsonl, result.json), so neither models are loaded
nor is anything computed. Of a run that is not over it shows what there is.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import boards, checks, pictures
from ..pictures.memory import drawing
from ..pictures.style import operators_named
from . import html
from .folder import PAGE, REQUEST, RESULT, SEARCH, Folder
from .html import Cell, Section, number

INSTALL = 'Pictures need matplotlib: pip install "keras_pit[plot]".'


def report(run: str | os.PathLike[str] | Folder, output: str | os.PathLike[str] | None = None) -> Path:
    """Write a run as an HTML page: result, curves, architecture, accuracy, costs, memory, boards, next steps.

    Args:
        run: the folder of a search.
        output: where the page goes; None for "report.html" in the folder.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: if there is no run.
        TypeError: if an argument is no path.

    Example:

        runs.report("run")  # run/report.html
    """
    folder = (run if isinstance(run, Folder) else Folder(run)).require()
    asked, history = folder.json(REQUEST), folder.history()
    result = folder.json(RESULT) if folder.has(RESULT) else {}
    sections = (
        Section("result", "Result", _result(result, asked, history)),
        Section("question", "What was searched", _question(asked, result)),
        Section("curves", "Over time", _curves(history, asked)),
        Section("architecture", "Architecture", _architecture(result)),
        Section("accuracy", "Accuracy", _accuracy(result)),
        Section("costs", "Costs by layer", _costs(result)),
        Section("memory", "Memory", _memory(result)),
        Section("boards", "Boards", _boards(result, asked)),
        Section("next", "Next steps", _next(folder, result)),
    )
    state = "complete" if result else f"not over: {len(history)} epochs so far" + ", searched" * folder.has(SEARCH)
    text = html.page(f"{asked['model']}: report of a search", f"keras_pit, {folder.path}, {state}", sections)
    if output is None:
        return folder.put(PAGE, lambda path: path.write_text(text, encoding="utf-8"))
    target = checks.path(output, "`output`")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target


def _result(result: Mapping[str, Any], asked: Mapping[str, Any], history: list[Any]) -> str:
    if not result:
        told = f"The search is not over ({len(history)} epochs so far). Call the same command again: it goes on."
        return html.paragraph(told)
    on, numbers = result["measured on"], result["task"] == "numbers"
    rows = []
    for row in result["models"]:
        costs = row["costs"]
        right = number(row.get("mae")) if numbers else _percent(row.get("accuracy"))
        flash = row.get("file", costs["flash"])
        memory = (number(costs["ram"]), number(row.get("arena")) if "arena" in row else "")
        rows.append((row["model"], right, *(number(costs[name]) for name in ("size", "macs")), number(flash), *memory,
                     number(costs["latency"])))  # fmt: skip
    header = ("model", "mean error" if numbers else "accuracy", "parameters", "MACs", "flash (B)", "RAM (B)",
              "arena here (B)", "ms")  # fmt: skip
    seen = ", held out of x, on which the seed may have been trained" * on["held out"]
    caption = (
        f"Measured on {on['samples']:,} samples of {on['data']}{seen}. Flash, RAM and time in int8 on {_board(asked)}."
    )
    return html.table(header, [(row[0], *(Cell(text) for text in row[1:])) for row in rows], caption)


def _question(asked: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    bounds = asked["target"]
    goal = f"strength {asked['strength']:g} on {asked['regularizer'] or 'size'}"
    if bounds is not None:
        named = bounds if isinstance(bounds, Mapping) else {str(asked["regularizer"] or "size"): bounds}
        goal = ", ".join(f"{name} at most {number(value)}" for name, value in named.items())
    rows = [
        ("goal", goal),
        ("trained for", result.get("told", "")),
        ("epochs", f"{asked['epochs']} of search, {_tuning(asked)} of fine-tuning"),
        ("batch size, learning rate", f"{asked['batch_size']}, {asked['learning_rate']:g}"),
        ("left as they are", ", ".join(asked["exclude"]) or "no layers by name"),
        ("channels in blocks of", str(asked["round_to"])),
        ("random seed", str(asked["seed"])),
    ]
    return html.table(("asked for", ""), rows)


def _curves(history: list[dict[str, Any]], asked: Mapping[str, Any]) -> str:
    searched = [row for row in history if row["phase"] == "search"]
    if not searched:
        return ""
    target = asked["target"] if isinstance(asked["target"], Mapping) else {}
    parts = [(lambda: pictures.costs_over_time(searched, target=target), "Costs and losses of the search, by epoch.")]
    if searched[0].get("layers"):
        words = "Channels of each layer, by epoch; on the right those that are left."
        parts.append((lambda: pictures.channels_over_time(searched), words))
    if any(row["phase"] == "fine-tune" for row in history):
        words = "Losses of fine-tuning, by epoch."
        parts.append((lambda: pictures.costs_over_time(history, costs=(), phase="fine-tune"), words))
    return _pictures(parts)


def _architecture(result: Mapping[str, Any]) -> str:
    if not result:
        return ""
    found = result["layers"]
    words = "Each layer before and after: channels, kernel, parameters, multiply-accumulates."
    kept = [(f"{layer['name']} ({layer['kind']})", layer["frozen"]) for layer in found["layers"] if layer["frozen"]]
    kept += [(f"{one['name']} ({one['kind']})", one["reason"]) for one in found["kept"]]
    reasons = html.table(("layer", "why its channels are not searched"), kept) if kept else ""
    return _pictures([(lambda: pictures.architecture(found), words)]) + reasons


def _accuracy(result: Mapping[str, Any]) -> str:
    confusion = result.get("confusion")
    if not confusion:
        return ""
    rows = []
    for number_of, counts in enumerate(confusion):
        total = sum(counts)
        cells = [_shaded(count, total, hit=number_of == column) for column, count in enumerate(counts)]
        rows.append((f"{number_of}", *cells, Cell(_percent(counts[number_of] / total if total else None))))
    header = ("true class", *map(str, range(len(confusion))), "right")
    caption = "What the int8 file said on TFLite-Micro, by the true class (row); on the diagonal it is right."
    return html.table(header, rows, caption)


def _shaded(count: int, total: int, *, hit: bool) -> Cell:
    share = count / total if total else 0.0
    shade = f"background: rgba(11, 79, 138, {0.75 * share:.2f}); color: {'#fff' if share > 0.55 else '#1c2733'}"
    return Cell(str(count), "hit" if hit else "", shade if count else "")


def _costs(result: Mapping[str, Any]) -> str:
    if "profile" not in result:
        return ""
    profile, layers = result["profile"], result["memory"]["layers"]
    operators = [{**op, "layer": layer} for op, layer in zip(profile["operators"], layers, strict=True)]
    named = {**profile, "operators": operators}
    core = next(iter(profile["instructions"]))
    drawn = _pictures([(lambda: pictures.cost_by_layer(named, core), f"Estimated instructions by layer on {core}.")])
    advice = [(one["place"], one["problem"], one["cure"]) for one in profile["advice"]]
    return drawn + (html.table(("where", "what could be better", "cure"), advice) if advice else "")


def _memory(result: Mapping[str, Any]) -> str:
    if "memory" not in result:
        return ""
    memory, profile = result["memory"], result["profile"]
    steps = operators_named((op["name"] for op in profile["operators"]), memory["layers"])
    arena = profile["arena"][memory["core"]]
    flash = ", ".join(f"{name} {value:,}" for name, value in profile["flash"].items() if name != "total")
    text = (
        f"Reserve {arena['needed']:,} bytes for the tensor arena on {memory['core']}; {arena['total']:,} of them are "
        f"in use in the end (head {arena['head']:,}, tail {arena['tail']:,}). The file has "
        f"{profile['flash']['total']:,} bytes: {flash}."
    )
    words = "Which buffer lies where, and while which layer runs."
    drawn = _pictures([(lambda: drawing(memory["rows"], steps, core=memory["core"]), words)])
    return html.paragraph(text) + drawn


def _boards(result: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    if "boards" not in result:
        return ""
    rows = []
    for row in result["boards"]:
        board = boards.get(row["board"]) if row["board"] in boards.names() else None
        low, high = row["interval"]
        cells = (row["flash"]["used"], row["flash"]["bound"], row["ram"]["used"], row["ram"]["bound"])
        rows.append((
            board.title if board else row["board"],
            Cell("fits" if row["fits"] else "does not fit", "text yes" if row["fits"] else "text no"),
            *cells,
            Cell(number(row["latency"]["used"])),
            Cell(f"{low:,.3g} to {high:,.3g}"),
        ))  # fmt: skip
    latency = asked["latency"]
    caption = "What the file takes of each board, and what TFLite-Micro and an application leave."
    caption += f" One inference may take {latency:g} ms." if latency else ""
    return html.table(("board", "", "flash (B)", "of", "RAM (B)", "of", "ms", "between"), rows, caption)


def _next(folder: Folder, result: Mapping[str, Any]) -> str:
    run = folder.path
    if not result:
        return html.paragraph("Call the same search again: it goes on behind the last epoch.")
    if "profile" not in result:
        lines = [f"keras-pit convert {run}/slim.keras --calibration DATA -o {run}/slim.tflite"]
    else:
        lines = [
            f"keras-pit deploy {run}/slim.tflite --out firmware/   # C++ sources, with a self-test",
            f"keras-pit profile {run}/slim.tflite                  # every operator, and what could be better",
            f"keras-pit fits {run}/slim.tflite --board NAME        # one board in detail",
        ]
    words = (
        "Smaller or faster: search with a tighter target into another folder, or fine-tune with the rounding of int8"
    )
    return html.code("\n".join(lines)) + html.paragraph(f"{words} (keras_pit.quantize_aware).")


def _pictures(parts: list[tuple[Callable[[], Any], str]]) -> str:
    if importlib.util.find_spec("matplotlib") is None:
        return html.paragraph(INSTALL, "note")
    return "\n".join(html.picture(draw(), words) for draw, words in parts)


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{share:.2%}"


def _board(asked: Mapping[str, Any]) -> str:
    return str(asked["board"] or "nano33ble")


def _tuning(asked: Mapping[str, Any]) -> int:
    tuning: int = asked["epochs"] if asked["fine_tune"] is None else asked["fine_tune"]
    return tuning
