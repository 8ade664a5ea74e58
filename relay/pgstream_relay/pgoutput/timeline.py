"""A timeline's history: where each of its ancestors ended. What TIMELINE_HISTORY sends."""

from __future__ import annotations

from typing import NamedTuple

from pgstream_relay.pgoutput.lsn import parse_lsn
from pgstream_relay.pgoutput.reader import MalformedMessage


class TimelineSwitch(NamedTuple):
    """WAL up to `switch_lsn` belongs to `timeline` (or its ancestors); from there on the next one goes on."""

    timeline: int
    switch_lsn: int


def parse_timeline_history(content: bytes) -> tuple[TimelineSwitch, ...]:
    """The ancestors in order, the oldest first. Raises MalformedMessage.

    A line is `timeline TAB switch LSN TAB reason`; the reason is for people, and not always UTF-8.
    """
    switches: list[TimelineSwitch] = []
    for number, line in enumerate(content.decode("latin-1").split("\n"), start=1):
        fields = line.split("#", 1)[0].split(None, 2)
        if not fields:
            continue
        try:
            switch = TimelineSwitch(int(fields[0]), parse_lsn(fields[1]))
        except (IndexError, ValueError):
            raise MalformedMessage(f"line {number} of a timeline history is not one") from None
        if switches and switch.timeline <= switches[-1].timeline:
            raise MalformedMessage(f"line {number} of a timeline history is out of order")
        switches.append(switch)
    return tuple(switches)
