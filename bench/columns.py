"""Text in columns, and medians as their cells."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def in_columns(rows: Sequence[Sequence[str]]) -> str:
    """The first column is aligned left, the others right. There is an empty line before and after."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(cells))
        for cells in ([*zip(row, widths, strict=True)] for row in rows)
    ]
    return "\n".join(["", *lines, ""])


def median_cell(specification: str, values: Sequence[float | None]) -> str:
    """The median of those that are known, as `format` writes it."""
    known = [value for value in values if value is not None]
    return format(median(known), specification) if known else "-"
