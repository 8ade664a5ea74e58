"""The relay beside the other peers that carry events to somewhere, round by round."""

from __future__ import annotations

from collections.abc import Sequence

from bench.columns import in_columns, median_cell
from bench.peers.peer import Drain

_HEADINGS = ("second half of the backlog", "events/s", "CPU µs")
_RATIO_HEADINGS = ("times as many events/s", "stream", "second half", "CPU/event", "second half", "peak MB")


def paired_with(rounds: Sequence[Sequence[Drain]], reference: str) -> list[list[tuple[Drain, Drain]]]:
    """For each peer its drains, each with that of the peer `reference` in the same round."""
    pairs: dict[str, list[tuple[Drain, Drain]]] = {}
    for drains in rounds:
        for other in (drain for drain in drains if drain.peer == reference):
            for drain in drains:
                pairs.setdefault(drain.peer, []).append((drain, other))
    return list(pairs.values())


def comparison_table(rounds: Sequence[Sequence[Drain]], ours: str) -> str:
    """Second halves, and `ours` divided by each other peer; empty where there is no other that streams."""
    streaming = [[drain for drain in drains if drain.streaming_seconds is not None] for drains in rounds]
    peers = paired_with(streaming, ours)
    if len(peers) < 2:
        return ""
    halves = [
        (
            pairs[0][0].peer,
            median_cell(",.0f", [drain.late_events_per_second for drain, _ in pairs]),
            median_cell(".1f", [drain.late_cpu_us_per_event for drain, _ in pairs]),
        )
        for pairs in peers
    ]
    ratios = [_ratios(pairs) for pairs in peers if pairs[0][0].peer != ours]
    return in_columns([_HEADINGS, *halves]) + in_columns([(f"{ours} / the other", *_RATIO_HEADINGS), *ratios])


def _ratios(pairs: Sequence[tuple[Drain, Drain]]) -> tuple[str, ...]:
    return (
        pairs[0][0].peer,
        median_cell(".2f", [own.events_per_second / other.events_per_second for other, own in pairs]),
        median_cell(
            ".2f", [own.streaming_events_per_second / other.streaming_events_per_second for other, own in pairs]
        ),
        median_cell(".2f", [_ratio(own.late_events_per_second, other.late_events_per_second) for other, own in pairs]),
        median_cell(".2f", [_ratio(own.cpu_us_per_event, other.cpu_us_per_event) for other, own in pairs]),
        median_cell(".2f", [_ratio(own.late_cpu_us_per_event, other.late_cpu_us_per_event) for other, own in pairs]),
        median_cell(".2f", [_ratio(own.peak_bytes, other.peak_bytes) for other, own in pairs]),
    )


def _ratio(own: float | None, other: float | None) -> float | None:
    return None if own is None or not other else own / other
