"""What a row of pgstream.streams means for JetStream."""

from __future__ import annotations

import pytest

from pgstream_relay.control.streams import KeptStream, StreamNeed
from pgstream_relay.runtime.publisher.desired_stream import DesiredStream, interval_seconds, uncovered


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7 days", 604_800),
        ("00:02:00", 120),
        ("1 day 01:00:00.5", 90_000.5),
        ("1 mon -1 days", 2_505_600),
        ("2 years 1 mon", 65_707_200),
        ("-00:00:01.25", -1.25),
        ("1 day -01:00:00", 82_800),
        ("00:00:00", 0),
        ("1000:00:00", 3_600_000),
    ],
)
def test_intervals_as_postgres_writes_them(text: str, seconds: float) -> None:
    assert interval_seconds(text) == seconds


@pytest.mark.parametrize("text", ["P7D", "7 weeks", "infinity", "1 day extra"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="interval"):
        interval_seconds(text)


def test_from_the_control_tables() -> None:
    assert DesiredStream.from_need(StreamNeed("S", ("a.*",), None)) == DesiredStream("S", False, ("a.*",))
    row = KeptStream("file", None, "1 day", None, "old", "00:02:00")
    assert DesiredStream.from_need(StreamNeed("S", ("a.*",), row)) == DesiredStream(
        "S", True, ("a.*",), max_age_seconds=86_400.0
    )
    forever = KeptStream("memory", 3, None, 1000, "new", "00:00:30")
    assert DesiredStream.from_need(StreamNeed("S", (), forever)) == DesiredStream(
        "S", True, (), "memory", 3, 0.0, 1000, "new", 30.0
    )


def test_uncovered_subjects() -> None:
    assert uncovered(["a.b.*", "c.d", "e.f"], ["a.>", "e.*"]) == ["c.d"]
