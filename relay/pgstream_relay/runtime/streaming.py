"""One streaming session of one database: from the slot to NATS, until it is stopped or something fails.

It owns nothing that outlives it. Whatever fails ends the session; the next one asks the streams where they stand and
reads the slot from what is confirmed (laws 1 and 4).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from pgstream_relay.control.refused import take_newest_streams
from pgstream_relay.control.state import ControlState
from pgstream_relay.control.tables import database_alias
from pgstream_relay.effects import NeedRelation, NeedStreams, PositionReached
from pgstream_relay.event.oversize import StoreObject, oversize_bucket
from pgstream_relay.pgoutput.shutdown import ShutdownDetector
from pgstream_relay.pipeline import Pipeline
from pgstream_relay.progress import Ledger
from pgstream_relay.runtime.control_store import ControlStore, KeptPosition, KeptState
from pgstream_relay.runtime.figures import SessionFigures
from pgstream_relay.runtime.gaps import GapAnnouncer, lost_tails
from pgstream_relay.runtime.health import DatabaseHealth
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import SUBJECTS_OVERLAP, JetStreamRefused, NatsError, StreamNotOurs
from pgstream_relay.runtime.postgres_errors import ServerUnavailable
from pgstream_relay.runtime.publisher.outlets import Outlets
from pgstream_relay.runtime.replication import Batch, ReplicationSession
from pgstream_relay.runtime.snapshots.emitter import SnapshotEmitter, Standstill
from pgstream_relay.runtime.snapshots.pace import Pace
from pgstream_relay.runtime.snapshots.runner import SnapshotRunner
from pgstream_relay.runtime.snapshots.store import SnapshotStore
from pgstream_relay.source import Source

READ_BYTES_MAX: Final = 256 * 1024
"""WAL payloads that are worked through at once; bounds what is held in memory beside what is in flight."""
STATUS_INTERVAL_SECONDS: Final = 1.0
STATUS_PAUSE_SECONDS: Final = 0.02
"""Between two statuses that tell Postgres of newly confirmed positions."""
REPLY_INTERVAL_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 15.0
MID_TRANSACTION_PATIENCE_SECONDS: Final = 0.005
"""How long the rest of a transaction is waited for before what came so far is settled."""
MOMENT_SECONDS: Final = 0.02
POSITIONS_INTERVAL_SECONDS: Final = 5.0
SHUTDOWN_GRACE_SECONDS: Final = 10.0


log = structlog.get_logger()


class StreamingSession:
    """Made when the slot is ours and NATS is connected; `run` returns after `stop`, or raises what went wrong."""

    def __init__(
        self,
        replication: ReplicationSession,
        store: ControlStore,
        nats: NatsConnection,
        kept: KeptState,
        source: Source,
        start_lsn: int,
        health: DatabaseHealth,
        metrics: DatabaseMetrics,
        dsn: str,
    ) -> None:
        self._replication = replication
        self._store = store
        self._kept = kept
        self._source = source
        self._ledger = Ledger(start_lsn)
        control = self._control = ControlState.from_document(kept.document)
        self._pipeline = Pipeline(control, source, self._ledger, event_bytes_max=nats.max_payload)
        self._outlets = Outlets(nats, source)
        self._figures = SessionFigures(control, self._pipeline, self._ledger, self._outlets, health, metrics)
        snapshots = SnapshotStore(store)
        self._pace = Pace(snapshots, self._ledger)
        self._emitter = SnapshotEmitter(
            self._pipeline,
            self._ledger,
            self._outlets,
            source,
            metrics,
            self._figures,
            self._pace,
            event_bytes_max=nats.max_payload,
            wake=self._wake,
            align=self._align_streams,
        )
        self._snapshots = SnapshotRunner(dsn, snapshots, self._pipeline, self._ledger, self._emitter, nats, health)
        self._shutdown = ShutdownDetector()
        self._status_at = 0.0
        self._reported_lsn = start_lsn
        self._heard_at = time.monotonic()
        self._listening = False
        self._standing = False
        self._nap: asyncio.Timeout | None = None
        self._stopping = False
        self._kept_sequences: dict[str, int] = {}

    async def _open(self) -> None:
        """Asks the streams where they stand and tells them of gaps."""
        store, pipeline = self._store, self._pipeline
        take_newest_streams(self._control, ControlState.from_document(await store.read_newest_settings()))
        pipeline.announce_gaps = await store.has_gaps()
        await self._align_streams()
        for stream in await store.read_adoptions() & self._outlets.targets.keys():
            # Asked for, and not needed: it must not wait for the day on which another database adopts the stream.
            await store.finish_adoption(stream)
        start_lsn = self._reported_lsn
        lost = lost_tails(self._outlets.standings, await store.read_positions(self._kept.slot_name), start_lsn)
        recorded = {
            stream: await store.record_gap(
                held_lsn, start_lsn, f"JetStream stream {stream} came back without its last messages"
            )
            for stream, held_lsn in lost.items()
        }
        if recorded:
            pipeline.announce_gaps = True
            await self._align_streams()
        announcer = GapAnnouncer(store, self._outlets, self._ledger, pipeline.settings, self._source)
        needs = pipeline.needed_streams()
        for stream, gap in recorded.items():
            await announcer.announce(gap, {stream: needs[stream]})
        for gap in await store.read_gaps():
            await announcer.announce(gap, needs)
        await self._snapshots.open()

    async def close(self) -> None:
        await self._snapshots.close()
        self._outlets.report(self._ledger)
        self._figures.close()
        await self._outlets.close()

    async def run(self, stop: asyncio.Event, ready: Callable[[], Awaitable[None]]) -> None:
        """Returns after `stop`; awaits `ready` before the first change is read. `close` comes next in any case.

        Raises RelayError; after it nothing of this session may be used again.
        """
        pump = asyncio.create_task(self._pump(ready))
        # The pump ends when it is stopped; the others never do by themselves.
        others = [
            asyncio.create_task(other) for other in (self._keep_in_touch(), self._snapshots.run(), self._pace.run())
        ]
        stopper = asyncio.create_task(self._stop_pump(stop, pump))
        try:
            await asyncio.wait({pump, *others}, return_when=asyncio.FIRST_COMPLETED)
            for task in (pump, *others):
                if task.done() and not task.cancelled():
                    task.result()
            await self._drain()
        finally:
            for task in (pump, *others, stopper):
                task.cancel()
            await asyncio.gather(pump, *others, stopper, return_exceptions=True)

    async def _stop_pump(self, stop: asyncio.Event, pump: asyncio.Task[None]) -> None:
        await stop.wait()
        self._stopping = True
        if self._listening or self._standing:
            pump.cancel()

    async def _pump(self, ready: Callable[[], Awaitable[None]]) -> None:
        await self._open()
        await ready()
        while not self._stopping:
            if (standstill := self._emitter.standstill) is not None and standstill.lsn is None:
                await self._stand_still(standstill)
            payloads = await self._replication.try_read(READ_BYTES_MAX)
            if not payloads and self._pipeline.in_transaction and self._outlets.unacknowledged:
                payloads = await self._read_soon()
            if not payloads and self._emitter.due:
                await self._emitter.emit()
                await self._confirm()
                continue
            if not payloads:
                # Between two slices of a snapshot there is no rest: waiting for NATS each time would halve its rate.
                if (self._emitter.patience_seconds or MOMENT_SECONDS) >= MOMENT_SECONDS:
                    await self._rest()
                payloads = await self._read_unless_woken()
            if payloads:
                self._heard_at = time.monotonic()
                await self._process(payloads)

    async def _read(self) -> Batch:
        self._listening, self._heard_at = True, time.monotonic()
        try:
            return await self._replication.read(READ_BYTES_MAX)
        finally:
            self._listening = False

    async def _read_unless_woken(self) -> Batch:
        """Nothing where `_wake` was called, or there is something of a snapshot to do."""
        standstill = self._emitter.standstill
        if self._emitter.due or (standstill is not None and standstill.lsn is None):
            return []
        try:
            async with asyncio.timeout(self._emitter.patience_seconds) as self._nap:
                return await self._read()
        except TimeoutError:
            return []
        finally:
            self._nap = None

    def _wake(self) -> None:
        nap, self._nap = self._nap, None
        if nap is not None:
            nap.reschedule(asyncio.get_running_loop().time())

    async def _read_soon(self) -> Batch:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MID_TRANSACTION_PATIENCE_SECONDS):
                return await self._read()
        return []

    async def _process(self, payloads: Sequence[bytes]) -> None:
        pipeline = self._pipeline
        position = 0
        while position < len(payloads):
            standstill = self._emitter.standstill
            pipeline.stop_lsn = None if standstill is None else standstill.lsn
            if position == 0 or standstill is not None:
                pipeline.wake_lsn = pipeline.stop_lsn or self._emitter.wake_lsn()
            position = pipeline.feed(payloads, position)
            await self._observe_keepalives()
            effect = pipeline.effect
            if isinstance(effect, StoreObject):
                await self._outlets.store_object(effect)
            await self._publish()
            if isinstance(effect, NeedRelation):
                relation = effect.relation
                type_oids = [column.type_oid for column in relation.columns]
                pipeline.describe(relation, *await self._store.describe(relation, type_oids))
            elif isinstance(effect, NeedStreams):
                await self._align_streams()
            elif isinstance(effect, PositionReached) and standstill is not None and standstill.lsn is not None:
                standstill.reached.set()
                await self._stand_still(standstill)
            elif isinstance(effect, PositionReached):
                # Once a batch: live events come first.
                pipeline.wake_lsn = None
                await self._emitter.emit()
        await self._confirm()

    async def _stand_still(self, standstill: Standstill) -> None:
        """Reads no changes while a full snapshot finds its point, and while it is published there."""
        found = standstill.reached.is_set()
        standstill.begun.set()
        while self._emitter.standstill is standstill and (found or standstill.lsn is None) and not self._stopping:
            if self._emitter.due:
                await self._emitter.emit()
            elif self._outlets.unacknowledged:
                await self._outlets.settle()
            else:
                self._standing = True
                await self._emitter.changed()
                self._standing = False
            await self._confirm()

    async def _publish(self) -> None:
        for target, events in self._pipeline.take_segments():
            await self._outlets.publish(target, events)
            self._figures.add_size(sum([len(payload) for _, _, payload in events]))

    async def _align_streams(self) -> None:
        """Brings streams and writers in line with the settings at this point of the WAL."""
        outlets, pipeline = self._outlets, self._pipeline
        while True:
            try:
                await outlets.align(pipeline.needed_streams(), self._ledger)
                break
            except NatsError as error:
                if outlets.refused is None or not await self._mend(outlets.refused, error):
                    raise
        pipeline.set_targets(outlets.targets, outlets.marks)

    async def _mend(self, stream: str, error: NatsError) -> bool:
        """NATS refuses `stream`: whether something was changed, so that it is worth another try."""
        pipeline, store = self._pipeline, self._store
        if not error.refused_for_good:
            return False
        if isinstance(error, StreamNotOurs) and stream in await store.read_adoptions():
            once_ours = stream in await store.read_positions(self._kept.slot_name)
            bucket = oversize_bucket(database_alias(pipeline.settings))
            await self._outlets.adopt(stream, bucket, once_ours=once_ours)
            await store.finish_adoption(stream)
            return True
        newest = await store.read_newest_settings()
        if isinstance(error, JetStreamRefused) and error.err_code == SUBJECTS_OVERLAP:
            # A relay that died here had let another stream have the subjects, or had not yet taken them from it.
            kept = pipeline.kept_streams | {row["name"] for row in newest["streams"]}
            if await self._outlets.release(kept - pipeline.needed_streams().keys()):
                return True
        if not pipeline.take_newest_settings(newest, stream):
            return False
        log.warning("NATS refuses a setting: takes the newest one", stream=stream, error=error.message)
        return True

    async def _rest(self) -> None:
        """Nothing more to read for now: what was published gets acknowledged and confirmed."""
        if self._pipeline.streams_outdated and not self._pipeline.in_transaction:
            await self._align_streams()
        await self._outlets.settle()
        await self._confirm()

    async def _confirm(self) -> None:
        self._outlets.report(self._ledger)
        self._emitter.observe_acknowledgements()
        if self._pipeline.signalled_by and not self._pipeline.in_transaction:
            self._snapshots.signalled(self._pipeline.signalled_by)
            self._pipeline.signalled_by = set()
        self._snapshots.limit_confirmation()
        await self._keep_settings()
        confirmed = self._ledger.confirmed_lsn
        self._figures.observe_latency()
        if confirmed > self._reported_lsn and time.monotonic() - self._status_at > STATUS_PAUSE_SECONDS:
            await self._send_status()

    async def _keep_settings(self) -> None:
        """Writes changed settings to Postgres before the slot moves past them (law 7)."""
        kept = self._pipeline.kept_settings
        if kept is None or self._ledger.stored_lsn < kept.lsn:
            return
        self._pipeline.kept_settings = None
        self._ledger.release(await self._store.write_settings(self._kept.slot_name, kept.lsn, kept.document))

    async def _send_status(self, *, reply_requested: bool = False) -> None:
        confirmed = self._ledger.confirmed_lsn
        received = max(self._ledger.received_lsn, confirmed)
        await self._replication.send_status(received, confirmed, reply_requested=reply_requested)
        self._status_at, self._reported_lsn = time.monotonic(), confirmed

    async def _observe_keepalives(self) -> None:
        for keepalive in self._pipeline.keepalives:
            now = time.monotonic()
            if self._shutdown.observe(keepalive.wal_end, reply_requested=keepalive.reply_requested, now_seconds=now):
                await self._let_server_stop()
                return
            if keepalive.reply_requested:
                await self._confirm()
                await self._send_status()

    async def _let_server_stop(self) -> None:
        """A fast shutdown waits until we confirm exactly what was sent; any other answer keeps it from stopping."""
        await self._publish()
        try:
            async with asyncio.timeout(SHUTDOWN_GRACE_SECONDS):
                await self._outlets.settle()
        except TimeoutError:
            pass
        else:
            self._outlets.report(self._ledger)
            self._snapshots.limit_confirmation()
            await self._send_status()
            await asyncio.sleep(0.1)
        raise ServerUnavailable(
            "Postgres is shutting down", hint="nothing to do: the relay goes on when the server is back"
        )

    async def _keep_in_touch(self) -> None:
        """Statuses go on from here while the pump waits for NATS; a server that no longer answers is given up."""
        asked_at = positions_at = 0.0
        while True:
            await asyncio.sleep(STATUS_INTERVAL_SECONDS)
            now = time.monotonic()
            self._outlets.report(self._ledger)
            if not self._shutdown.shutting_down:
                ask = now - asked_at >= REPLY_INTERVAL_SECONDS
                await self._send_status(reply_requested=ask)
                asked_at = now if ask else asked_at
            if self._listening and now - self._heard_at > SILENCE_SECONDS:
                raise ServerUnavailable(
                    f"Postgres has sent nothing for {SILENCE_SECONDS:.0f} s, not even an answer to a keepalive",
                    hint="nothing to do: the relay connects again",
                )
            self._outlets.check()
            self._figures.measure()
            if now - positions_at >= POSITIONS_INTERVAL_SECONDS:
                await self._keep_positions()
                positions_at = now

    async def _keep_positions(self) -> None:
        """What the streams hold, so that one that comes back shorter is noticed."""
        stored_lsn = self._ledger.stored_lsn
        positions = {
            stream: KeptPosition(created, last_sequence, stored_lsn)
            for stream, (created, last_sequence) in self._outlets.last_sequences().items()
        }
        sequences = {stream: kept.last_sequence for stream, kept in positions.items()}
        if sequences != self._kept_sequences:
            await self._store.write_positions(self._kept.slot_name, positions)
            self._kept_sequences = sequences

    async def _drain(self) -> None:
        """Stopped: reads no more, waits for outstanding acknowledgements, confirms."""
        await self._outlets.settle()
        self._outlets.report(self._ledger)
        await self._keep_settings()
        await self._send_status()
        await self._keep_positions()
        self._figures.measure()
