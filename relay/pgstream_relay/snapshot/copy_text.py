"""Rows as `COPY … TO STDOUT` writes them in its text format."""

from __future__ import annotations


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
    return [_unescape(field) if field and b"\\" in field else field for field in fields]


def _unescape(field: bytes) -> bytes | None:
    r"""COPY writes a backslash before itself and in place of the control characters `\b \f \n \r \t \v`.

    No text of Postgres holds a NUL: it stands for the backslashes that are done with.
    """
    if field == b"\\N":
        return None
    return (
        field.replace(b"\\\\", b"\0")
        .replace(b"\\n", b"\n")
        .replace(b"\\t", b"\t")
        .replace(b"\\r", b"\r")
        .replace(b"\\b", b"\b")
        .replace(b"\\f", b"\f")
        .replace(b"\\v", b"\v")
        .replace(b"\0", b"\\")
    )
