"""What a converter is, the two that need no work of their own, and the one error that all of them raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Converter = Callable[[bytes], bytes]
"""The text of one value, never null, as Postgres printed it, to its JSON (compact UTF-8). Raises UnrepresentableValue.

A *trusting* converter may count on the text to be of its type: it serves columns, whose types travel in the WAL itself.
A *checking* one gives legal JSON or raises, whatever the text is: it serves what stands inside a composite or an array,
whose types come from a catalog that may be older or newer than the text.
"""


class UnrepresentableValue(ValueError):
    """A value has no JSON form, or its text is not of the type that the catalog names.

    `type_name` and `reason` never hold any part of the value, so the message may go into a log or a header.
    """

    def __init__(self, type_name: str, reason: str) -> None:
        super().__init__(f"a value of type {type_name} can't be represented as JSON: {reason}")
        self.type_name = type_name
        self.reason = reason


def pass_through(text: bytes) -> bytes:
    """The text is the JSON."""
    return text


_QUOTES = (b'"', b'"')


def quote(text: bytes) -> bytes:
    """A JSON string, for types whose text never holds anything that JSON escapes."""
    return text.join(_QUOTES)  # the text as separator of two quotes: faster than formatting


PASS: Final[Converter] = pass_through
"""A plan that meets this very object can leave the call out."""

QUOTE: Final[Converter] = quote
"""A plan that meets this very object can put the quotes into its constant parts, and leave the call out."""
