"""The states of a snapshot of one table, and what leads from one to the next.

A pending snapshot waits for its turn. A paused one keeps its position, and its turn. The last three are final.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

State: TypeAlias = Literal["pending", "running", "paused", "completed", "stopped", "failed"]
"""As in `pgstream.snapshots.state`."""
Transition: TypeAlias = Literal["start", "pause", "resume", "stop", "finish", "fail"]
"""`start`, `finish` and `fail` come from the relay, the others from signals."""

_TABLE: Final[dict[tuple[State, Transition], State]] = {
    ("pending", "start"): "running",
    ("pending", "pause"): "paused",
    ("pending", "stop"): "stopped",
    ("pending", "fail"): "failed",
    ("running", "pause"): "paused",
    ("running", "stop"): "stopped",
    ("running", "finish"): "completed",
    ("running", "fail"): "failed",
    ("paused", "resume"): "running",
    ("paused", "stop"): "stopped",
    ("paused", "fail"): "failed",
}

OPEN_STATES: Final[frozenset[State]] = frozenset({"pending", "running", "paused"})
"""The others are final."""


def after(state: State, transition: Transition) -> State | None:
    """The state that follows; None where there is nothing to do."""
    return _TABLE.get((state, transition))
