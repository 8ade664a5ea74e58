"""`python -m tests.support.fake_relay run …`: the relay's real shell around workers that act out one part each.

The part is the database's name in the DSN, so that a test chooses it by configuration alone.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from pgstream_relay.app import main
from pgstream_relay.errors import RelayError
from pgstream_relay.runtime import health as health_module
from pgstream_relay.runtime.health import DatabaseHealth
from pgstream_relay.runtime.keeper import Worker
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.settings import NatsSettings

log = structlog.get_logger()


class ActingWorker:
    """Streams until stopped, unless the database's name says otherwise."""

    def __init__(self, health: DatabaseHealth, metrics: DatabaseMetrics) -> None:
        self._health = health
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        part = self._health.name
        if part == "crashes":
            # Computed, since the traceback shows the line itself.
            raise KeyError(f"row value {4700 + 11}")
        if part == "raises":
            raise RelayError("the slot is gone", hint="pgstream install --new-slot", exit_code=78)
        if part in ("waits77", "waits78"):
            self._health.set_state("stalled", "no rights", "grant them", waits_for_person=int(part[-2:]))
        elif part == "away":
            self._health.set_state("stalled", "the server is away", "nothing to do")
        else:
            self._metrics.count_events(("public", "orders", "insert"), 2, 300)
            self._health.beat()
            self._health.set_state("streaming")
        if part == "blocks_the_event_loop":
            health_module.LOOP_HANG_SECONDS = 1.0
            time.sleep(3600)  # noqa: ASYNC251 - it is what the part is about
        await stop.wait()
        if part == "never_drains":
            await asyncio.Event().wait()
        log.info("worker drained", database=part)


def make_worker(
    dsn: str, nats: NatsSettings, health: DatabaseHealth, metrics: DatabaseMetrics, relay_id: str
) -> Worker:
    """Takes what the real worker takes."""
    log.info("worker made", database=health.name, nats=nats.servers[0])
    return ActingWorker(health, metrics)


if __name__ == "__main__":
    main(make_worker)
