from __future__ import annotations

import pytest

from pgstream_relay.pgoutput.reader import MalformedMessage
from pgstream_relay.pgoutput.timeline import TimelineSwitch, parse_timeline_history


def test_a_history_lists_where_each_ancestor_ended() -> None:
    content = b"1\t0/30000A0\tno recovery target specified\n\n2\t1/0\tbefore caf\xe9 # 2\n# a comment\n"
    assert parse_timeline_history(content) == (TimelineSwitch(1, 0x30000A0), TimelineSwitch(2, 0x1_00000000))


def test_a_first_timeline_has_no_history() -> None:
    assert parse_timeline_history(b"") == ()


@pytest.mark.parametrize("content", [b"1", b"1\tx\ty", b"one\t0/1\ty", b"2\t0/1\ta\n1\t0/2\tb"])
def test_other_text_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_timeline_history(content)
