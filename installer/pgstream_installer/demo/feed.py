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

from pgstream_installer.errors import InstallerError
from pgstream_installer.render import Event
from pgstream_installer.tail import Tail

ARRIVAL_TIMEOUT_SECONDS = 20.0
CHECK_SECONDS = 0.5


@dataclass(frozen=True)
class Arrival:
    """An event, and how many seconds after its commit it was here."""

    event: Event
    latency_seconds: float

    @property
    def operation(self) -> str:
        return str(self.event.document.get("operation"))


class Feed:
    """What a subscription brings, as long as it is entered as a context.

    `check` is called while we wait: it raises where waiting is in vain.
    """

    def __init__(self, tail: Tail, check: Callable[[], None]) -> None:
        self._tail = tail
        self._check = check
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
            self._arrived[event.headers.get("Pgstream-Xid", "")].append(Arrival(event, seconds_since_commit(event)))
            self._news.set()

    async def take(self, xid: str, count: int) -> list[Arrival]:
        """The `count` events of a transaction, in its order. Raises InstallerError where they do not come."""
        deadline = time.monotonic() + ARRIVAL_TIMEOUT_SECONDS
        while len(self._arrived[xid]) < count:
            self._check()
            if self._task is not None and self._task.done():
                self._task.result()
            if time.monotonic() > deadline:
                raise InstallerError(
                    f"{count} events of transaction {xid} were to arrive in NATS, and {len(self._arrived[xid])} did"
                )
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), CHECK_SECONDS)
        # Ephemeral and persistent events come by different ways: only within one stream is arrival the order.
        return sorted(self._arrived.pop(xid), key=lambda one: int(one.event.headers.get("Pgstream-Seq", "0")))


def seconds_since_commit(event: Event) -> float:
    """Postgres and we read the same clock."""
    return time.time() - datetime.fromisoformat(str(event.document["timestamp"])).timestamp()
