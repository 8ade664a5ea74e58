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


_POSITION: Final = (
    b"Content-Type: application/json\r\nPgstream-Version: %d\r\nPgstream-Source: %%b\r\n"
    b"Pgstream-Lsn: %%X/%%X\r\n" % ENVELOPE_VERSION
)
_TRANSACTION: Final = _POSITION + b"Pgstream-Xid: %d\r\n"
_SNAPSHOT: Final = _POSITION + b"Pgstream-Snapshot: %d\r\n"
EVENT_HEADERS: Final = b"Nats-Msg-Id: %b\r\n%bPgstream-Seq: %d\r\n"
"""A %-format of (id, the transaction's lines, ordinal): what the headers of every event begin with."""
BEFORE_FULL: Final = b"Pgstream-Before: full\r\n"
BEFORE_KEY: Final = b"Pgstream-Before: key\r\n"


def key_header_format(columns: int) -> bytes:
    """A %-format of `Pgstream-Key` that takes as many JSON values, through `escape_key`; nothing without columns."""
    return b"Pgstream-Key: [" + b",".join([b"%b"] * columns) + b"]\r\n" if columns else b""


def escape_key(json_value: bytes) -> bytes:
    """A JSON value in ASCII: other characters as JSON escapes."""
    if json_value.isascii():
        return json_value
    return _NOT_ASCII.sub(_json_escape, json_value.decode()).encode("ascii")


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


def transaction_headers(source: str, commit_lsn: int, xid: int) -> bytes:
    """The lines that all events of one transaction share."""
    return _TRANSACTION % (source.encode("ascii"), commit_lsn >> 32, commit_lsn & 0xFFFF_FFFF, xid)


def snapshot_headers(source: str, commit_lsn: int, snapshot_id: int) -> bytes:
    """The lines that the rows and marks share that a snapshot emits behind the same transaction."""
    return _SNAPSHOT % (source.encode("ascii"), commit_lsn >> 32, commit_lsn & 0xFFFF_FFFF, snapshot_id)


def mark_header(mark: str, rows: int | None = None) -> bytes:
    """`Pgstream-Mark`: begin, end, stopped or failed; with the number of rows where it is given."""
    line = b"Pgstream-Mark: %b\r\n" % mark.encode("ascii")
    return line if rows is None else line + b"Pgstream-Rows: %d\r\n" % rows
