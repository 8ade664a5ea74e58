"""What the supervisor does that a signal can't reach: bounded stops, workers that end or fail by themselves."""

from __future__ import annotations

import asyncio

from pgstream_relay.errors import RelayError
from pgstream_relay.runtime.health import DatabaseHealth, Health
from pgstream_relay.runtime.keeper import Worker, keep_running
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.runtime.supervisor import Supervisor
from pgstream_relay.settings import DatabaseSettings, NatsSettings, RelaySettings
from tests.support.waiting import eventually


class Part:
    """A worker that does what the test says, run after run, and streams when the list is used up."""

    def __init__(self, health: DatabaseHealth, acts: list[Exception | None]) -> None:
        self._health = health
        self._acts = acts

    async def run(self, stop: asyncio.Event) -> None:
        if not self._acts:
            self._health.set_state("streaming")
            await stop.wait()
            return
        act = self._acts.pop(0)
        if act is not None:
            raise act


async def test_a_worker_that_fails_or_just_ends_is_started_again() -> None:
    health = DatabaseHealth("h:1/a", "a")
    stop = asyncio.Event()
    acts: list[Exception | None] = [ValueError("4711"), None, RelayError("no rights", exit_code=77), ConnectionError()]
    keeper = asyncio.create_task(keep_running(lambda: Part(health, acts), health, stop, first_delay_seconds=0.001))
    await eventually(lambda: health.state == "streaming")
    assert (health.error, health.waits_for_person) == (None, None)
    stop.set()
    await keeper


async def test_an_unexpected_failure_shows_type_and_place_and_not_its_text() -> None:
    health = DatabaseHealth("h:1/a", "a")
    stop = asyncio.Event()
    keeper = asyncio.create_task(keep_running(lambda: Part(health, [ValueError("4711")]), health, stop))
    await eventually(lambda: health.state == "stalled")
    assert health.error is not None
    assert health.error.startswith("internal error: ValueError in test_supervisor.py, line ")
    stop.set()
    await keeper


async def test_a_lost_slot_stays_lost() -> None:
    health = DatabaseHealth("h:1/a", "a", "lost")
    stop = asyncio.Event()
    error = RelayError("the slot is gone", hint="pgstream install --new-slot", exit_code=78)
    keeper = asyncio.create_task(keep_running(lambda: Part(health, [error]), health, stop))
    await eventually(lambda: health.waits_for_person is not None)
    assert (health.state, health.error, health.waits_for_person) == ("lost", "the slot is gone", 78)
    stop.set()
    await keeper


class NeverDrains:
    async def run(self, stop: asyncio.Event) -> None:
        await asyncio.Event().wait()


async def test_a_stop_is_bounded() -> None:
    health = Health("relay-1", "1.0")
    made: list[str] = []

    def make_worker(
        dsn: str, nats: NatsSettings, database: DatabaseHealth, metrics: DatabaseMetrics, relay_id: str
    ) -> Worker:
        made.append(relay_id)
        return NeverDrains()

    settings = RelaySettings((DatabaseSettings("host=h dbname=a"),))
    supervisor = Supervisor(settings, health, {}, make_worker, stop_seconds=0.01)
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop, asyncio.Event()))
    await eventually(lambda: bool(made))
    stop.set()
    assert await running == 0
    assert made == ["relay-1"]
    assert health.stopping
