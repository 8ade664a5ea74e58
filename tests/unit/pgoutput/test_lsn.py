from __future__ import annotations

import pytest

from pgstream_relay.pgoutput.lsn import format_lsn, parse_lsn


@pytest.mark.parametrize(
    ("text", "lsn"),
    [("0/0", 0), ("0/16B3748", 0x16B3748), ("16/B374D848", 0x16_B374D848), ("FFFFFFFF/FFFFFFFF", 2**64 - 1)],
)
def test_round_trip(text: str, lsn: int) -> None:
    assert parse_lsn(text) == lsn
    assert format_lsn(lsn) == text


@pytest.mark.parametrize("text", ["", "0", "/", "0/", "0/123456789", "0/0 ", "-1/0", "0x1/0", "g/0", "0/0\n"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an LSN"):
        parse_lsn(text)
