"""Names and texts as SQL writes them: for SQL that people read and psql runs. Queries of our own use parameters."""

from __future__ import annotations


def identifier(name: str) -> str:
    """A name in double quotes; always quoted, so that no list of keywords is needed."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in single quotes, whatever standard_conforming_strings says."""
    quoted = "'" + text.replace("'", "''") + "'"
    return f" E{quoted.replace(chr(92), chr(92) * 2)}" if "\\" in text else quoted
