"""Keeps one database's worker running: whatever ends it, it is started again, until it is asked to stop."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from pgstream_relay.errors import EXIT_CONFIGURATION, EXIT_RIGHTS, RelayError
from pgstream_relay.runtime.health import DatabaseHealth, State
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.settings import NatsSettings

FIRST_DELAY_SECONDS = 1.0
LAST_DELAY_SECONDS = 30.0
# A worker that ran this long was well: the next trouble is a new one.
WELL_SECONDS = 60.0

log = structlog.get_logger()


class Worker(Protocol):
    """Streams one database until `stop` is set, and returns once what is under way is acknowledged and confirmed.

    It retries what may mend itself and says so in its DatabaseHealth. What it raises all the same is shown there by
    its keeper, which then starts a new worker.
    """

    async def run(self, stop: asyncio.Event) -> None: ...


# dsn, NATS, health and metrics to write to, relay id.
WorkerFactory = Callable[[str, NatsSettings, DatabaseHealth, DatabaseMetrics, str], Worker]


async def keep_running(
    make_worker: Callable[[], Worker],
    health: DatabaseHealth,
    stop: asyncio.Event,
    *,
    first_delay_seconds: float = FIRST_DELAY_SECONDS,
) -> None:
    """Returns after `stop` only."""
    delay = first_delay_seconds
    while not stop.is_set():
        started = time.monotonic()
        try:
            await make_worker().run(stop)
            if not stop.is_set():
                raise RelayError("the worker of this database ended without having been asked to")
        except Exception as error:
            _show(health, error)
        if time.monotonic() - started > WELL_SECONDS:
            delay = first_delay_seconds
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)
        delay = min(delay * 2, LAST_DELAY_SECONDS)


def _show(health: DatabaseHealth, error: Exception) -> None:
    if isinstance(error, RelayError):
        waits = error.exit_code if error.exit_code in (EXIT_RIGHTS, EXIT_CONFIGURATION) else None
        # `lost` says more than `stalled`: the worker knew it when it gave up.
        state: State = "lost" if health.state == "lost" else "stalled"
        health.set_state(state, error.message, error.hint, waits_for_person=waits)
        return
    log.error("the worker failed in a way that it should not, and starts again", database=health.name, exc_info=error)
    # Type and place, not the text: that may quote a row value.
    place = traceback.extract_tb(error.__traceback__)[-1]
    health.set_state(
        "stalled",
        f"internal error: {type(error).__qualname__} in {Path(place.filename).name}, line {place.lineno}",
        "it is tried again by itself; if it stays, report it with the traceback from the relay's log",
    )
