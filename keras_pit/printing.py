"""Tables that can be read in 80 columns."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table


def table(**options: Any) -> Table:
    """A table without vertical lines, and one space between columns; options as for `rich.table.Table`."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, **options)
