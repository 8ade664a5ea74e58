"""Events as they arrive in NATS, put to the transactions that made them by their transaction id."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from pgstream_installer.render import Event
from pgstream_installer.tail import Tail

CHECK_SECONDS = 0.5


@dataclass(frozen=True)
class Arrival:
    """An event, and how many seconds after its commit it was here."""

    event: Event
    latency_seconds: float

    @property
    def operation(self) -> str:
        return str(self.event.document.get("operation"))

    @property
    def ephemeral(self) -> bool:
        """Whatever goes to a stream carries the fence against a second writer."""
        return "Nats-Expected-Last-Sequence" not in self.event.headers


@dataclass
class SnapshotRows:
    """What has come of a snapshot: the first row, how many there were, and the mark that ended it."""

    first: Arrival | None = None
    count: int = 0
    last_mark: str | None = None

    def add(self, event: Event) -> None:
        mark = event.headers.get("Pgstream-Mark")
        if mark is not None:
            self.last_mark = mark
        else:
            self.first = self.first or Arrival(event, seconds_since_commit(event))
            self.count += 1


class Feed:
    """What a subscription brings, as long as it is entered as a context.

    `check` is called while we wait: it raises where waiting is in vain.
    """

    def __init__(self, tail: Tail, check: Callable[[], None]) -> None:
        self._tail = tail
        self._check = check
        self.snapshot = SnapshotRows()
        self._arrived: defaultdict[str, list[Arrival]] = defaultdict(list)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        async for event in self._tail.events():
            if "Pgstream-Snapshot" in event.headers:
                self.snapshot.add(event)
                self._news.set()
                continue
            self._arrived[event.headers.get("Pgstream-Xid", "")].append(Arrival(event, seconds_since_commit(event)))
            self._news.set()

    async def take(self, xid: str, count: int, *, timeout_seconds: float) -> list[Arrival]:
        """The `count` events of a transaction, in its order; after `timeout_seconds`, those that have come."""
        deadline = time.monotonic() + timeout_seconds
        while len(self._arrived[xid]) < count and time.monotonic() < deadline:
            await self._wait()
        # Ephemeral and persistent events come by different ways: only within one stream is arrival the order.
        return sorted(self._arrived.pop(xid), key=lambda one: int(one.event.headers.get("Pgstream-Seq", "0")))

    async def take_snapshot(self, *, timeout_seconds: float) -> SnapshotRows:
        """The rows of a snapshot up to its mark `end`; after `timeout_seconds`, what has come."""
        deadline = time.monotonic() + timeout_seconds
        while self.snapshot.last_mark != "end" and time.monotonic() < deadline:
            await self._wait()
        return self.snapshot

    async def _wait(self) -> None:
        """For news, or until it is time to check."""
        self.check()
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), CHECK_SECONDS)

    def check(self) -> None:
        """Raises where waiting is in vain."""
        self._check()
        if self._task is not None and self._task.done():
            self._task.result()

    def take_others(self) -> list[Arrival]:
        """Events of transactions that nobody has asked for: somebody else works in this database, too."""
        others = [arrival for arrivals in self._arrived.values() for arrival in arrivals]
        self._arrived.clear()
        return others


def seconds_since_commit(event: Event) -> float:
    """Postgres and we read the same clock."""
    return time.time() - datetime.fromisoformat(str(event.document["timestamp"])).timestamp()
