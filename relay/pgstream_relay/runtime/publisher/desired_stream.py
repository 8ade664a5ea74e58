"""What a JetStream stream should be, and the three questions about subjects that go with it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pgstream_relay.control.streams import StreamNeed
from pgstream_relay.event.subject import is_covered

_UNIT_SECONDS: Final = {"year": 31_557_600, "mon": 2_592_000, "day": 86_400}
"""As `extract(epoch from interval)` counts them: a year of 365.25 days, a month of 30."""
_UNIT = re.compile(r"([+-]?\d+) (year|mon|day)s?")
_CLOCK = re.compile(r"([+-]?)(\d+):(\d{2}):(\d{2}(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class DesiredStream:
    """`kept`: pgstream creates and updates it; otherwise it is only looked at, and the settings below do not count.

    `subjects` are patterns of which none covers another, possibly none at all. `replicas` None: 3 in a cluster of
    three or more, else 1. `max_age_seconds` 0 and `max_bytes` None are without limit.
    """

    name: str
    kept: bool
    subjects: tuple[str, ...]
    storage: str = "file"
    replicas: int | None = None
    max_age_seconds: float = 7 * 86_400.0
    max_bytes: int | None = None
    discard: str = "old"
    duplicate_window_seconds: float = 120.0

    @classmethod
    def from_need(cls, need: StreamNeed) -> DesiredStream:
        """What the control tables ask for."""
        if need.kept is None:
            return cls(need.name, kept=False, subjects=need.subjects)
        row = need.kept
        return cls(
            need.name,
            kept=True,
            subjects=need.subjects,
            storage=row.storage,
            replicas=row.replicas,
            max_age_seconds=interval_seconds(row.max_age) if row.max_age is not None else 0.0,
            max_bytes=row.max_bytes,
            discard=row.discard,
            duplicate_window_seconds=interval_seconds(row.duplicate_window),
        )


def interval_seconds(text: str) -> float:
    """An interval in Postgres's own style (`7 days`, `1 mon -00:02:00`) as seconds. Raises ValueError."""
    rest, seconds = text, 0.0
    for amount, unit in _UNIT.findall(text):
        seconds += int(amount) * _UNIT_SECONDS[unit]
    rest = _UNIT.sub("", rest)
    clock = _CLOCK.search(rest)
    if clock is not None:
        sign, hours, minutes, partial = clock.groups()
        seconds += (int(hours) * 3600 + int(minutes) * 60 + float(partial)) * (-1 if sign == "-" else 1)
        rest = rest.replace(clock[0], "", 1)
    if rest.strip():
        raise ValueError(f"not an interval in Postgres's style: {text!r}")
    return seconds


def placeholder_subject(stream: str) -> str:
    """What a kept stream listens to when no table is left in it: JetStream takes an empty list for the stream's name.

    Nothing publishes there; the leading underscore keeps it apart from the subjects of any sensible alias.
    """
    return f"_pgstream.placeholder.{stream}"


def uncovered(subjects: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The subjects that no pattern covers, in their order."""
    cover = tuple(patterns)
    return [subject for subject in subjects if not any(is_covered(subject, pattern) for pattern in cover)]
