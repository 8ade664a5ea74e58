"""Subjects: templates, and the reversible escape that makes any name one legal NATS token (CONTRACT section 3)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

OPERATIONS: Final[tuple[str, ...]] = ("insert", "update", "delete", "truncate", "snapshot", "unknown")

_LITERAL: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


@lru_cache(maxsize=4096)
def escape_token(text: str) -> str:
    """One legal NATS token: each UTF-8 byte outside `A-Z a-z 0-9 _ -` becomes `=XX`; empty becomes `=`."""
    if not text:
        return "="
    return "".join(chr(byte) if byte in _LITERAL else f"={byte:02X}" for byte in text.encode())


def format_subject(template: str, *, database: str, schema: str, table: str, operation: str) -> str:
    """The subject of an event. The four values are escaped, the template's literal text is used as written."""
    # Escaped tokens hold no braces, so one replacement can't produce another placeholder.
    return (
        template.replace("{database}", escape_token(database))
        .replace("{schema}", escape_token(schema))
        .replace("{table}", escape_token(table))
        .replace("{operation}", operation)
    )


def format_pattern(template: str, *, database: str, schema: str, table: str) -> str:
    """The one pattern that covers the subjects of every operation: a token with `{operation}` in it becomes `*`."""
    tokens = ("*" if "{operation}" in token else token for token in template.split("."))
    return format_subject(".".join(tokens), database=database, schema=schema, table=table, operation="*")


def is_covered(subject: str, pattern: str) -> bool:
    """Whether every subject that `subject` (possibly a pattern) stands for is matched by `pattern`."""
    tokens, cover = subject.split("."), pattern.split(".")
    for index, part in enumerate(cover):
        if part == ">":
            return len(tokens) > index
        if index >= len(tokens) or tokens[index] == ">":
            return False
        if part != "*" and part != tokens[index]:
            return False
    return len(tokens) == len(cover)
