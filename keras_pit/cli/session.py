"""Where the output of a command goes: its answer on stdout, as a table or as JSON, and all else on stderr."""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape


class Session:
    """One call of the command line.

    Attributes:
        json: whether the answer is JSON.
        debug: whether errors come with their traceback.
    """

    def __init__(self) -> None:
        self.json = self.debug = False
        self._told: set[str] = set()

    @property
    def notes(self) -> Console:
        """For what is no answer: progress, warnings, errors."""
        return Console(stderr=True, soft_wrap=True, highlight=False)

    def show(self, answer: Any, data: Mapping[str, Any]) -> None:
        """Print the answer.

        Args:
            answer: what rich prints, or several of these.
            data: the same for JSON.
        """
        if self.json:
            print(json.dumps(data, indent=2))
            return
        console = Console(width=None if sys.stdout.isatty() else 120)
        for one in answer if isinstance(answer, (list, tuple)) else [answer]:
            console.print(one)

    def tell(self, message: str) -> None:
        """Say on stderr what is going on."""
        self.notes.print(escape(message), style="dim")

    def warn(self, message: str) -> None:
        """Say once, in one line, what the user should know."""
        if message not in self._told:
            self._told.add(message)
            self.notes.print(f"[yellow]warning:[/] {escape(_line(message))}")

    def fail(self, error: BaseException) -> None:
        """Say in one line what went wrong."""
        if self.debug:
            traceback.print_exception(error)
        self.notes.print(f"[red]error:[/] {escape(_line(_said(error)))}")

    def catch_warnings(self) -> None:
        """From now on, until the enclosing `warnings.catch_warnings` ends, warnings are lines as those of `warn`."""
        warnings.simplefilter("always", UserWarning)
        for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        warnings.showwarning = lambda message, *_, **__: self.warn(str(message))


def _said(error: BaseException) -> str:
    """What an error says; of those that say little, also what it is."""
    message = str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    plain = isinstance(error, (ValueError, TypeError, OSError, ImportError, RuntimeError)) and message
    return message if plain else f"{type(error).__name__}: {message}".rstrip(": ")


def _line(message: str) -> str:
    return " ".join(message.split())
