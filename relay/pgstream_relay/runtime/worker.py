"""One database: connects, waits for the slot, streams, and begins again after whatever went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import uuid
from importlib.metadata import version
from typing import Any, Final

import structlog

from pgstream_relay.control.state import ControlState
from pgstream_relay.control.tables import database_alias
from pgstream_relay.errors import EXIT_CONFIGURATION, EXIT_RIGHTS, RelayError
from pgstream_relay.pgoutput.lsn import format_lsn
from pgstream_relay.runtime.control_store import PUBLICATION, ControlStore, KeptState, SettingsOfACopy, SlotState
from pgstream_relay.runtime.health import DatabaseHealth, State
from pgstream_relay.runtime.lag import LagClock
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.runtime.nats_errors import NatsError, NatsLoginRefused, PublishInterrupted
from pgstream_relay.runtime.nats_login import connect
from pgstream_relay.runtime.postgres_errors import (
    PublicationMissing,
    ServerUnavailable,
    SlotActive,
    SlotLost,
    SlotMissing,
)
from pgstream_relay.runtime.replication import ReplicationSession
from pgstream_relay.runtime.streaming import StreamingSession
from pgstream_relay.settings import NatsSettings
from pgstream_relay.source import Source

FIRST_DELAY_SECONDS: Final = 0.1
LAST_DELAY_SECONDS: Final = 5.0
STANDBY_POLL_SECONDS: Final = 0.5
HEARTBEAT_SECONDS: Final = 1.0
VERSION: Final = version("pgstream-nats")
FROZEN_SECONDS: Final = 4.0
"""An active relay whose heartbeat is older has lost the slot to a standby: it no longer moves."""

_NEW_SLOT_HINT: Final = "run `pgstream install --new-slot`: it records the gap and goes on from now"

log = structlog.get_logger()


class DatabaseWorker:
    """Streams one database until `stop` is set. `health` and `metrics` are written, never read."""

    def __init__(
        self,
        dsn: str,
        nats: NatsSettings,
        health: DatabaseHealth,
        metrics: DatabaseMetrics,
        relay_id: str,
    ) -> None:
        self._dsn = dsn
        self._nats = nats
        self._health = health
        self._metrics = metrics
        self._relay = f"{relay_id}/{health.key}" if relay_id else f"{socket.gethostname()}/{uuid.uuid4().hex[:8]}"
        self._role = "standby"
        self._publication_missing = False
        self._lag = LagClock()

    async def run(self, stop: asyncio.Event) -> None:
        """Returns after `stop` only; every RelayError is shown in health and tried again."""
        delay = FIRST_DELAY_SECONDS
        while not stop.is_set():
            started = time.monotonic()
            try:
                await self._run_once(stop)
            except RelayError as error:
                self._show(error)
                if time.monotonic() - started > LAST_DELAY_SECONDS:
                    delay = FIRST_DELAY_SECONDS
                self._count(error)
                # Time for the process to see that all wait for a person, before this one looks well again.
                await _wait(stop, LAST_DELAY_SECONDS if self._health.waits_for_person else delay)
                delay = min(delay * 2, LAST_DELAY_SECONDS)
            else:
                delay = FIRST_DELAY_SECONDS

    def _count(self, error: RelayError) -> None:
        self._metrics.count_reconnect("nats" if isinstance(error, NatsError) else "postgres")
        if isinstance(error, PublishInterrupted):
            self._metrics.count_publish_error(error.reason)
        if isinstance(error, ServerUnavailable):
            # Not known while the server is away; what it was before says nothing.
            self._health.lag_bytes = self._health.lag_seconds = None

    def _show(self, error: RelayError) -> None:
        # A stream that refuses is retried until somebody mends it (CONTRACT 4.7): no reason to end the process.
        for_a_person = not isinstance(error, NatsError) or isinstance(error, NatsLoginRefused)
        waits = error.exit_code if for_a_person and error.exit_code in (EXIT_RIGHTS, EXIT_CONFIGURATION) else None
        # `pgstream install --new-slot` looks at it: such a slot seems to be sound, but can't be read from any more.
        self._publication_missing = isinstance(error, PublicationMissing)
        state: State = "stalled"
        if isinstance(error, SlotLost):
            state = "lost"
        elif isinstance(error, SettingsOfACopy):
            state = "offline"
        self._health.set_state(state, error.message, error.hint, waits_for_person=waits)

    async def _run_once(self, stop: asyncio.Event) -> None:
        store = await ControlStore.connect(self._dsn)
        try:
            kept = await store.read_state()
            self._health.name = database_alias(ControlState.from_document(kept.document).settings)
            self._health.slot_name = kept.slot_name
            heartbeat = asyncio.create_task(self._beat(store, kept.slot_name))
            holding = asyncio.create_task(self._hold_slot(store, kept, stop))
            try:
                # Without a heartbeat pgstream.status says offline, and a standby takes the slot: begin again then.
                await asyncio.wait({holding, heartbeat}, return_when=asyncio.FIRST_COMPLETED)
                (holding if holding.done() else heartbeat).result()
            except RelayError as error:
                # The reason reaches pgstream.status even where it ends this connection's use.
                self._show(error)
                with contextlib.suppress(RelayError):
                    await self._write_beat(store)
                raise
            finally:
                for task in (holding, heartbeat):
                    task.cancel()
                await asyncio.gather(holding, heartbeat, return_exceptions=True)
            with contextlib.suppress(RelayError):
                await store.forget(self._relay)
        finally:
            await store.close()

    async def _hold_slot(self, store: ControlStore, kept: KeptState, stop: asyncio.Event) -> None:
        """Waits until the slot is free, takes it, and streams."""
        while not stop.is_set():
            slot = _usable_slot(kept.slot_name, await store.read_slot(kept.slot_name))
            start_lsn = max(kept.lsn, slot.confirmed_flush_lsn or 0)
            try:
                replication = await ReplicationSession.start(self._dsn, kept.slot_name, PUBLICATION, start_lsn)
            except SlotActive:
                await self._stand_by(store, kept.slot_name, stop)
                # The active relay keeps settings of its own: read them again before taking over.
                kept = await store.read_state()
                continue
            try:
                # Until we held the slot, another relay could write newer settings, and confirm past them.
                held = await store.read_state()
                if (held.lsn, held.slot_name) == (kept.lsn, kept.slot_name):
                    await self._stream(replication, store, kept, start_lsn, stop)
                    return
                kept = held
            finally:
                await replication.close()

    async def _stand_by(self, store: ControlStore, slot_name: str, stop: asyncio.Event) -> None:
        self._role = "standby"
        self._health.set_state("standby")
        self._health.oldest_commit_at = None
        age = await store.active_heartbeat_age_seconds()
        if age is not None and age > FROZEN_SECONDS:
            log.warning("takes the slot from a relay that no longer moves", database=self._health.name)
            await store.terminate_walsender(slot_name)
            return
        await _wait(stop, STANDBY_POLL_SECONDS)

    async def _stream(
        self,
        replication: ReplicationSession,
        store: ControlStore,
        kept: KeptState,
        start_lsn: int,
        stop: asyncio.Event,
    ) -> None:
        self._role = "active"
        await self._write_beat(store)
        identity = replication.identity
        source = Source(identity.system_identifier, kept.database_oid, identity.timeline, identity.switches)

        async def ready() -> None:
            self._health.set_state("streaming")
            await self._write_beat(store)

        nats = await connect(self._nats, name=f"pgstream-relay {self._health.name}")
        try:
            session = StreamingSession(
                replication, store, nats, kept, source, start_lsn, self._health, self._metrics, self._dsn
            )
            try:
                await session.run(stop, ready)
            finally:
                await session.close()
        finally:
            await nats.close()

    async def _beat(self, store: ControlStore, slot_name: str) -> None:
        """This relay's row in pgstream.relays, and the slot's figures, once a second."""
        while True:
            slot = await store.read_slot(slot_name)
            if slot is not None:
                self._observe(slot)
            await self._write_beat(store)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _observe(self, slot: SlotState) -> None:
        health = self._health
        health.server_lsn, health.retained_bytes, health.safe_bytes = (
            slot.server_lsn,
            slot.retained_bytes,
            slot.safe_bytes,
        )
        confirmed = slot.confirmed_flush_lsn
        if confirmed is None:
            health.lag_bytes = health.lag_seconds = None
            return
        health.lag_bytes = max(slot.server_lsn - confirmed, 0)
        health.lag_seconds = self._lag.measure(slot.server_lsn, confirmed, health.oldest_commit_at, time.time())

    async def _write_beat(self, store: ControlStore) -> None:
        health = self._health
        row: dict[str, Any] = {
            "role": self._role,
            "state": health.state,
            "version": VERSION,
            "error": health.error,
            "hint": health.hint,
            "published_lsn": None if health.confirmed_lsn is None else format_lsn(health.confirmed_lsn),
            "last_event_at": health.last_event_at,
            "details": {"lag_seconds": health.lag_seconds, "in_flight_events": health.in_flight_events}
            | ({"publication_missing": True} if self._publication_missing else {}),
        }
        await store.beat(self._relay, row)


def _usable_slot(name: str, slot: SlotState | None) -> SlotState:
    """Raises SlotMissing, SlotLost."""
    if slot is None:
        raise SlotMissing(
            f"replication slot {name} does not exist: changes since its last confirmed position can't be read any more",
            hint=_NEW_SLOT_HINT,
        )
    if slot.wal_status == "lost":
        raise SlotLost(
            f"replication slot {name} is lost: Postgres has removed WAL that was not published yet", hint=_NEW_SLOT_HINT
        )
    return slot


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
