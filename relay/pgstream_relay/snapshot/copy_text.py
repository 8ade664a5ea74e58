"""Rows as `COPY … TO STDOUT` writes them in its text format."""

from __future__ import annotations

from typing import Final

_CONTROLS: Final = (
    (b"\\n", b"\n"),
    (b"\\t", b"\t"),
    (b"\\r", b"\r"),
    (b"\\b", b"\b"),
    (b"\\f", b"\f"),
    (b"\\v", b"\v"),
)


def split_line(line: bytes, columns: int) -> list[bytes | None]:
    """The values of one row: texts as Postgres printed them, None for NULL. `line` ends with a line feed.

    Raises ValueError where it has not `columns` values.
    """
    fields: list[bytes | None] = line[:-1].split(b"\t")  # type: ignore[assignment]  # of values no other list holds
    if len(fields) != columns:
        if columns == 0 and line == b"\n":
            return []
        raise ValueError(f"a row of COPY has {len(fields)} values in place of {columns}")
    if b"\\" not in line:
        return fields
    if line.count(b"\\") == line.count(b"\\N"):
        # Nulls alone: an escaped backslash has another one beside it.
        return [None if field == b"\\N" else field for field in fields]
    return [_unescape(field) if field and b"\\" in field else field for field in fields]


def _unescape(field: bytes) -> bytes | None:
    r"""COPY writes a backslash before itself and in place of the control characters `\b \f \n \r \t \v`.

    No text of Postgres holds a NUL: it stands for the backslashes that are done with.
    """
    if field == b"\\N":
        return None
    text = field.replace(b"\\\\", b"\0")
    for escape, character in _CONTROLS:
        if b"\\" not in text:
            break
        text = text.replace(escape, character)
    return text.replace(b"\0", b"\\")
