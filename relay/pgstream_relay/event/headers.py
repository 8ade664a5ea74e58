"""Header lines of an event (CONTRACT section 2): ASCII, each ends with CR LF."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

ENVELOPE_VERSION: Final = 1
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_SAFE: Final = "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~ "
"""Everything printable in ASCII but the percent sign itself stands as it is."""


def key_header(key: bytes) -> bytes:
    """`Pgstream-Key` of the key columns' JSON values, joined by commas; non-ASCII characters as JSON escapes."""
    if not key.isascii():
        key = _NOT_ASCII.sub(_json_escape, key.decode()).encode("ascii")
    return b"Pgstream-Key: [%b]\r\n" % key


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def header(name: str, value: str) -> bytes:
    """One line; what is not printable ASCII, and the percent sign, is percent-encoded."""
    return f"{name}: {quote(value, safe=_SAFE)}\r\n".encode("ascii")


def unchanged_header(columns: Sequence[str]) -> bytes:
    """`Pgstream-Unchanged`: names joined by commas; a comma in a name is percent-encoded."""
    names = ",".join(quote(name, safe=_SAFE.replace(",", "")) for name in columns)
    return b"Pgstream-Unchanged: %b\r\n" % names.encode("ascii")


def transaction_headers(source: str, commit_lsn: str, xid: int) -> bytes:
    """The lines that all events of one transaction share."""
    return (
        f"Content-Type: application/json\r\nPgstream-Version: {ENVELOPE_VERSION}\r\nPgstream-Source: {source}\r\n"
        f"Pgstream-Lsn: {commit_lsn}\r\nPgstream-Xid: {xid}\r\n"
    ).encode("ascii")
