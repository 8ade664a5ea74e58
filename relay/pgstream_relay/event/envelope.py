"""The envelope: one JSON document with exactly these keys in this order (CONTRACT section 2)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

_encode_json: Final = msgspec.json.encode

NULL: Final = b"null"


def json_string(text: str) -> bytes:
    """UTF-8, quoted; non-ASCII characters as they are."""
    return _encode_json(text)


def envelope_format(database: str, schema: str, table: str, operation: str, data: bytes) -> bytes:
    """A %-format of the whole event that takes the id, what `data` (a %-format itself) takes, and the timestamp."""
    return b'{"id":"%%b","database":%b,"schema":%b,"table":%b,"operation":"%b","data":%b,"timestamp":"%%b"}' % (
        _constant(json_string(database)),
        _constant(json_string(schema)),
        _constant(json_string(table)),
        operation.encode(),
        data,
    )


def data_format(before: bytes, after: bytes, diff: bytes) -> bytes:
    """The `data` object; each argument is a %-format or the constant `null`."""
    return b'{"before":%b,"after":%b,"diff":%b}' % (before, after, diff)


def object_format(names: Sequence[str]) -> bytes:
    """A %-format of a JSON object that takes one JSON value a name."""
    return b"{" + b",".join(_constant(json_string(name)) + b":%b" for name in names) + b"}"


def json_object(keys: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    """An object out of encoded keys and encoded values."""
    return b"{" + b",".join([key + b":" + value for key, value in zip(keys, values, strict=True)]) + b"}"


def format_timestamp(timestamp_us: int) -> bytes:
    """Microseconds since 1970 as `2026-11-22T09:45:10.123456+00:00`."""
    seconds, micros = divmod(timestamp_us, 1_000_000)
    return b"%b.%06d+00:00" % (_format_second(seconds), micros)


@lru_cache(maxsize=8)
def _format_second(seconds: int) -> bytes:
    """Many transactions share it."""
    return b"%04d-%02d-%02dT%02d:%02d:%02d" % time.gmtime(seconds)[:6]


def _constant(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")
