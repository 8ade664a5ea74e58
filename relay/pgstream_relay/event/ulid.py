"""Event ids: ULIDs that come from the WAL alone, so that the same change has the same id however often it is read.

Layout of the 128 bits, highest first; ids of one database sort in commit order within a millisecond:

====  =======================================================================
bits  meaning
====  =======================================================================
48    commit time, ms since 1970
10    tag of system identifier and database oid (not of the timeline: a change
      read again after a promotion keeps its id)
37    commit LSN / 8, modulo 2**37 (wraps after 1 TiB of WAL)
1     1 for a snapshot row
31    ordinal of the change in its transaction, from 1; of a snapshot row: its
      number in its snapshot
1     1 for the second event of a change that became two
====  =======================================================================

The text form is Crockford's base 32, 26 characters of 5 bits (https://github.com/ulid/spec). Within a transaction
all but the last characters stay the same; `id_stem` gives the first 23 and `ID_TAILS` the last three, so that an id
on the path of every row costs one lookup and one concatenation.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_ALPHABET: Final = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TAIL_BITS: Final = 15

ID_TAIL_MASK: Final = (1 << _TAIL_BITS) - 1
"""`ID_TAILS[(ordinal << 1 | second_half) & ID_TAIL_MASK]` are the last three characters of an id."""

ID_TAILS: Final = tuple(
    bytes((_ALPHABET[low >> 10], _ALPHABET[low >> 5 & 31], _ALPHABET[low & 31])) for low in range(1 << _TAIL_BITS)
)


_STEM_SHIFTS: Final = range(90, -1, -_TAIL_BITS)


def source_tag(system_identifier: str, database_oid: int) -> int:
    """The 10 bits that tell databases apart in an id."""
    digest = blake2b(f"{system_identifier}/{database_oid}".encode(), digest_size=2).digest()
    return int.from_bytes(digest) & 0x3FF


def id_stem(time_ms: int, tag: int, commit_lsn: int, ordinal: int, *, snapshot: bool = False) -> bytes:
    """The first 23 characters of the ids of all ordinals that share `ordinal >> 14`."""
    number = (
        (time_ms & 0xFFFF_FFFF_FFFF) << 80
        | tag << 70
        | (commit_lsn >> 3 & 0x1F_FFFF_FFFF) << 33
        | snapshot << 32
        | (ordinal & 0x7FFF_FFFF) << 1
    )
    number >>= _TAIL_BITS
    # Three characters at a time; the highest two stand alone.
    return ID_TAILS[number >> 105][1:] + b"".join([ID_TAILS[number >> shift & ID_TAIL_MASK] for shift in _STEM_SHIFTS])


def format_id(
    time_ms: int, tag: int, commit_lsn: int, ordinal: int, *, snapshot: bool = False, second_half: bool = False
) -> bytes:
    """One whole id, for code that is not on the path of every row."""
    tail = ID_TAILS[(ordinal << 1 | second_half) & ID_TAIL_MASK]
    return id_stem(time_ms, tag, commit_lsn, ordinal, snapshot=snapshot) + tail
