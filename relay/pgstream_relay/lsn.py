"""LSNs: integers inside, `0/16B3748` outside."""

from __future__ import annotations


def format_lsn(lsn: int) -> str:
    """As Postgres prints it: two hexadecimal halves without leading zeros."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> int:
    """Raises ValueError where the text is not an LSN."""
    high, separator, low = text.partition("/")
    if not separator:
        raise ValueError(f"not an LSN: {text!r}")
    return int(high, 16) << 32 | int(low, 16)
