"""One task a database, so that one's trouble never stops another; databases come and go while the relay runs."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import psycopg
import structlog

from pgstream_relay.dsn import parse_target
from pgstream_relay.errors import EXIT_FINDINGS
from pgstream_relay.masking import mask_passwords
from pgstream_relay.runtime.discovery import discover_databases
from pgstream_relay.runtime.health import ClusterHealth, DatabaseHealth, Health
from pgstream_relay.runtime.keeper import Worker, WorkerFactory, keep_running
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.settings import ClusterSettings, DatabaseSettings, RelaySettings

DISCOVERY_SECONDS = 30.0
LOOK_SECONDS = 0.5
# Below the ten seconds that container runtimes give by default.
STOP_SECONDS = 8.0
CANCEL_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Running:
    settings: DatabaseSettings
    stop: asyncio.Event
    task: asyncio.Task[None]
    ending: asyncio.Task[None] | None = field(default=None)


class Supervisor:
    """`metrics` is by database key, as in Health. `apply` may be called at any time from the event loop."""

    def __init__(
        self,
        settings: RelaySettings,
        health: Health,
        metrics: dict[str, DatabaseMetrics],
        make_worker: WorkerFactory,
        *,
        stop_seconds: float = STOP_SECONDS,
        discovery_seconds: float = DISCOVERY_SECONDS,
    ) -> None:
        self._health = health
        self._metrics = metrics
        self._make_worker = make_worker
        self._stop_seconds = stop_seconds
        self._discovery_seconds = discovery_seconds
        self._settings = self._register(settings)
        self._found: dict[str, tuple[DatabaseSettings, ...]] = {}
        self._running: dict[str, _Running] = {}
        self._wake = asyncio.Event()
        self._look_again = asyncio.Event()

    def apply(self, settings: RelaySettings) -> None:
        """New settings: databases that are new start, those that are gone stop, changed ones do both."""
        self._settings = self._register(settings)
        self._look_again.set()
        self._wake.set()

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> int:
        """Until `stop` is set or every database waits for a person; returns the exit code.

        What is under way gets `stop_seconds` to be acknowledged and confirmed; `hurry` ends that wait at once, with
        exit code 1. What was not confirmed is read again at the next start, so nothing is lost either way.
        """
        discovery = asyncio.create_task(self._discover(stop))
        code = None
        while not stop.is_set() and code is None:
            self._reconcile()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_first_of(stop, self._wake), LOOK_SECONDS)
            self._wake.clear()
            code = self._health.exit_code()
        if code is not None:
            log.error("every database waits for a person: the relay ends", exit_code=code)
        self._health.stopping = True
        discovery.cancel()
        await asyncio.gather(discovery, return_exceptions=True)
        drained = await self._stop_all(hurry)
        if code is not None:
            return code
        return EXIT_FINDINGS if hurry.is_set() and not drained else 0

    def _register(self, settings: RelaySettings) -> RelaySettings:
        """Shows the clusters at once: until each was looked through, the relay is not ready and does not end."""
        keys = [str(parse_target(cluster.dsn, "dsn")) for cluster in settings.clusters]
        self._health.clusters = {key: self._health.clusters.get(key) or ClusterHealth(key) for key in keys}
        return settings

    def _desired(self) -> dict[str, DatabaseSettings]:
        """By key. A database that is named beats the same one found in a cluster."""
        found = [one for key in self._health.clusters for one in self._found.get(key, ())]
        return {str(parse_target(database.dsn, "dsn")): database for database in (*found, *self._settings.databases)}

    def _reconcile(self) -> None:
        desired = self._desired()
        for key, running in self._running.items():
            if running.ending is None and desired.get(key) != running.settings:
                log.info("database leaves or changes its settings", database=self._health.databases[key].name)
                running.ending = asyncio.create_task(self._end(key, running))
        for key, settings in desired.items():
            if key not in self._running:
                self._start(key, settings)

    def _start(self, key: str, settings: DatabaseSettings) -> None:
        health = DatabaseHealth(key, parse_target(settings.dsn, "dsn").database)
        metrics = self._metrics.setdefault(key, DatabaseMetrics())
        self._health.databases[key] = health
        stop = asyncio.Event()

        def make_worker() -> Worker:
            return self._make_worker(settings.dsn, settings.nats, health, metrics, self._health.relay_id)

        log.info("database starts", database=health.name, server=key)
        task = asyncio.create_task(keep_running(make_worker, health, stop), name=f"database {key}")
        self._running[key] = _Running(settings, stop, task)

    async def _end(self, key: str, running: _Running) -> None:
        """Stops one database. Its counters stay, so that one that comes back goes on counting."""
        running.stop.set()
        await _finish({running.task}, self._stop_seconds, asyncio.Event())
        del self._running[key]
        del self._health.databases[key]
        self._wake.set()

    async def _stop_all(self, hurry: asyncio.Event) -> bool:
        tasks = set()
        for running in self._running.values():
            running.stop.set()
            tasks.add(running.task)
        drained = await _finish(tasks, self._stop_seconds, hurry)
        for running in self._running.values():
            if running.ending is not None:
                running.ending.cancel()
        if not drained:
            log.warning(
                "stopped before everything was acknowledged: what was not confirmed is read again at the next start"
            )
        return drained

    async def _discover(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._look_again.clear()
            clusters = zip(self._health.clusters, self._settings.clusters, strict=True)
            await asyncio.gather(*(self._look(key, cluster) for key, cluster in clusters))
            self._wake.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_again.wait(), self._discovery_seconds)

    async def _look(self, key: str, cluster: ClusterSettings) -> None:
        health = self._health.clusters[key]
        try:
            seen = await discover_databases(cluster.dsn)
        except (psycopg.Error, OSError) as error:
            health.set_error(mask_passwords(str(error).strip()))
            return
        except Exception as error:
            log.error("looking for databases failed in a way that it should not", cluster=key, exc_info=error)
            health.set_error(f"internal error: {type(error).__qualname__}")
            return
        running = {database.dsn for database in self._found.get(key, ())}
        kept = [dsn for dsn in seen.unknown if dsn in running]
        self._found[key] = tuple(DatabaseSettings(dsn, cluster.nats) for dsn in (*seen.installed, *kept))
        health.set_found(len(self._found[key]))


async def _first_of(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _all_of(tasks: set[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


async def _finish(tasks: set[asyncio.Task[None]], seconds: float, hurry: asyncio.Event) -> bool:
    """Waits for the tasks; cancels what is left after `seconds` or on `hurry`. True if none had to be cancelled."""
    if not tasks:
        return True
    hurried = asyncio.create_task(hurry.wait())
    whole = asyncio.create_task(_all_of(tasks))
    await asyncio.wait({whole, hurried}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    whole.cancel()
    left = {task for task in tasks if not task.done()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=CANCEL_SECONDS)
    return not left
