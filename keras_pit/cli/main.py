"""The commands as a group, and what becomes of errors: one line on stderr and an exit code.

0   yes, or done
1   no: it does not fit, differs, or cannot run on a microcontroller
2   wrong use: an option, a file, a model or data that cannot be used
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import click

from .. import __version__
from ..errors import DeploymentError, UnreadableFileError
from . import fronts, look, make, run
from .options import debug
from .session import Session

COMMANDS = (
    look.summary,
    run.search,
    fronts.sweep,
    make.export,
    make.convert,
    make.deploy,
    look.profile,
    look.fits,
    look.boards,
    make.verify,
    run.report,
)
NO, WRONG, STOPPED = 1, 2, 130

_EPILOG = """\b
From a model to firmware:
  keras-pit summary model.keras
  keras-pit search model.keras --data data.npz --target nano33ble --latency 20 --out run/
  keras-pit deploy run/slim.tflite --out firmware/

\b
Exit codes: 0 yes, 1 no (does not fit, differs, cannot be deployed), 2 wrong use.
Tab completion: eval "$(_KERAS_PIT_COMPLETE=bash_source keras-pit)" (or zsh_source, fish_source).
"""


class _InOrder(click.Group):
    """Lists its commands in the order of the way that a model goes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    "keras-pit",
    cls=_InOrder,
    commands={command.name or "": command for command in COMMANDS},
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="keras-pit")
@debug
def group() -> None:
    """Search the small network inside your big one, and put it on a microcontroller."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; None for those of this process.

    Returns:
        The exit code: 0 yes, 1 no, 2 wrong use, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    session = Session()
    with warnings.catch_warnings():
        session.catch_warnings()
        try:
            code = group.main(arguments, prog_name="keras-pit", standalone_mode=False, obj=session)
            return code if isinstance(code, int) else 0
        except click.ClickException as error:
            _usage(session, error)
            return WRONG
        except (click.Abort, KeyboardInterrupt):
            session.tell("stopped")
            return STOPPED
        except BrokenPipeError:  # whoever read the output has gone
            sys.stderr.close()
            return 0
        except DeploymentError as error:
            session.fail(error)
            return WRONG if isinstance(error, UnreadableFileError) else NO
        except Exception as error:  # noqa: BLE001  whatever it is, the user gets a line
            session.fail(error)
            return WRONG


def _usage(session: Session, error: click.ClickException) -> None:
    context = getattr(error, "ctx", None)
    hint = f" Try: {context.command_path} --help" if context is not None else ""
    session.fail(ValueError(f"{error.format_message().rstrip('.')}.{hint}"))
