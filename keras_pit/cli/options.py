"""What commands share: how they are made, and options that several of them take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .session import Session

pass_session = click.make_pass_decorator(Session)

Function = Callable[..., Any]


def _flag(name: str, attribute: str, text: str) -> Callable[[Function], Function]:
    def note(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            setattr(context.ensure_object(Session), attribute, True)

    return click.option(name, is_flag=True, expose_value=False, is_eager=True, callback=note, help=text)


as_json = _flag("--json", "json", "Print the answer as JSON, on stdout alone.")
debug = _flag("--debug", "debug", "Show where an error comes from.")


def _load(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> None:
    if names:
        from ..runs.data import module

        for name in names:
            module(name)


imports = click.option(
    "--import",
    "imports",
    multiple=True,
    metavar="MODULE",
    expose_value=False,
    callback=_load,
    help="Import a module or file.py first: layers, costs and boards of your own.",
)


def command(name: str, *examples: str) -> Callable[[Function], click.Command]:
    """Make a command of a function that takes the `Session` first.

    Args:
        name: of the command.
        *examples: what is shown below its help, without "keras-pit".
    """

    def decorate(function: Function) -> click.Command:
        for option in (debug, as_json, imports):
            function = option(function)
        lines = "\n".join(f"  keras-pit {example}" for example in examples)
        made = click.command(name, epilog=f"\b\nExamples:\n{lines}", no_args_is_help=False)
        return made(pass_session(function))

    return decorate


def complete_board(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """The names of boards, for the shell."""
    from .. import boards

    return [name for name in boards.names() if name.startswith(begun)]


def complete_core(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """The names of cores, for the shell."""
    from ..costs import cores

    return [name for name in cores.names() if name.startswith(begun)]


def board(**settings: Any) -> Callable[[Function], Function]:
    """The option `--board`."""
    return click.option("--board", metavar="NAME", shell_complete=complete_board, **settings)


def core(**settings: Any) -> Callable[[Function], Function]:
    """The option `--core`."""
    return click.option("--core", metavar="NAME", shell_complete=complete_core, **settings)


latency = click.option("--latency", type=float, metavar="MS", help="Milliseconds that one inference may take.")

calibration = click.option(
    "--calibration",
    metavar="DATA",
    help="Typical inputs: .npz with x, .npy, or module:function. The first 200 of the samples at even distances.",
)

quantization = click.option(
    "--quantization",
    type=click.Choice(["int8", "int16x8", "none"]),
    default="int8",
    show_default=True,
    help="Numbers of the file.",
)
