"""One walsender session: reads a slot's payloads in batches, tells the server what it may forget.

A connection streams once: after an error, or `close()`, a new session is started. While nobody reads, TCP's
back-pressure reaches walsender; `send_status` works all the same, and has to go on by a timer.
"""

from __future__ import annotations

import asyncio
import time
from typing import TypeAlias

import psycopg
from psycopg import pq

from pgstream_relay.pgoutput.lsn import format_lsn
from pgstream_relay.pgoutput.walsender import (
    KEEPALIVE,
    XLOGDATA_HEADER_SIZE,
    decode_walsender,
    encode_standby_status,
)
from pgstream_relay.runtime.postgres_errors import PostgresError, ServerUnavailable, StreamEnded
from pgstream_relay.runtime.replication.connection import Connection, connect_walsender
from pgstream_relay.runtime.replication.identity import SystemIdentity, read_identity
from pgstream_relay.runtime.replication.readiness import Readiness
from pgstream_relay.runtime.replication.slot import (
    OBJECT_NOT_IN_PREREQUISITE_STATE,
    explain_start_failure,
    explain_stream_end,
    publication_missing,
    read_slot,
    require_usable,
)

Batch: TypeAlias = list[bytes]
"""CopyData payloads in order: XLogData (`w`) and keepalives (`k`), see pgoutput/walsender.py."""

START_TIMEOUT_SECONDS = 30
"""For the few catalog reads between the login and the stream: a server that needs longer is frozen."""

_COMMIT = b"C"
_MESSAGE_BETWEEN_TRANSACTIONS = b"M\x00"
_KIND_END = XLOGDATA_HEADER_SIZE + 1


class ReplicationSession:
    """Made by `start`. One task reads at a time; `send_status` and `close` may be called beside it.

    `received_lsn` is the position up to which payloads were handed out: the end of the last commit or keepalive.
    """

    def __init__(self, connection: Connection, identity: SystemIdentity, publication: str, start_lsn: int) -> None:
        self.identity = identity
        self.received_lsn = start_lsn
        self._connection = connection
        self._pgconn = connection.pgconn
        self._publication = publication
        self._readiness = Readiness(connection.pgconn.socket)
        self._sending = asyncio.Lock()
        self._batch: Batch = []
        self._failure: PostgresError | None = None
        # How many payloads of the batch came before the server said that it skips the publication.
        self._skips_after: int | None = None
        connection.add_notice_handler(self._observe_notice)

    @classmethod
    async def start(cls, dsn: str, slot: str, publication: str, start_lsn: int) -> ReplicationSession:
        """Streams `slot` from `start_lsn` (or from its confirmed position, if that is later).

        Raises a PostgresError: ServerUnavailable, MissingPrivilege, DatabaseMissing, ServerUnsuitable, SlotActive,
        SlotMissing, SlotLost, SlotUnsuitable, PositionAhead, StreamEnded; ConfigurationError for a DSN that can't be
        read. A publication that is missing shows while reading.
        """
        connection = await connect_walsender(dsn)
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                identity, confirmed_lsn = await _prepare(connection, slot, start_lsn)
                session = cls(connection, identity, publication, max(start_lsn, confirmed_lsn))
                await _start_streaming(connection, slot, publication, start_lsn)
        except BaseException as error:
            await connection.close()
            if isinstance(error, TimeoutError):
                raise ServerUnavailable(
                    f"Postgres let the relay in, but did not start to stream within {START_TIMEOUT_SECONDS} s",
                    hint="the relay tries again; look whether the server is frozen or overloaded",
                ) from None
            raise
        return session

    async def read(self, max_bytes: int) -> Batch:
        """The next payloads, at least one: waits for it, then takes what has arrived up to about `max_bytes`.

        Cancelling it loses nothing. Raises StreamEnded or PublicationMissing, once all that came before was read.
        """
        while not (batch := await self.try_read(max_bytes)):
            await self._readiness.wait_readable()
        return batch

    async def try_read(self, max_bytes: int) -> Batch:
        """Like `read`, but an empty batch where nothing has arrived. Lets other tasks run once, each time."""
        await asyncio.sleep(0)
        if self._failure is None:
            try:
                self._drain(max_bytes)
            except psycopg.Error as error:
                self._failure = explain_stream_end(None, str(error).strip(), self._publication)
            # Emptied in any case: libpq may pass on a notice while a status is sent, and then nothing came before it.
            batch, self._batch = self._batch, []
            if self._skips_after is not None:
                del batch[self._skips_after :]
                self._failure = publication_missing(self._publication)
            if batch:
                self._advance(batch)
                return batch
        if self._failure is not None:
            raise self._failure
        return []

    def _drain(self, max_bytes: int) -> None:
        get_copy_data, append = self._pgconn.get_copy_data, self._batch.append
        size, may_hold_more = 0, True
        while size < max_bytes:
            length, data = get_copy_data(1)
            if length > 0:
                append(bytes(data))
                size += length
                may_hold_more = True
            elif length == 0:
                if not may_hold_more:
                    return
                # One call takes about 16 KB off the socket: ask again before anybody sleeps.
                self._pgconn.consume_input()
                may_hold_more = False
            else:
                self._failure = self._explain_end()
                return

    def _explain_end(self) -> PostgresError:
        # Not further than what has arrived: get_result would block the event loop.
        while not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None:
                break
            if result.status == pq.ExecStatus.FATAL_ERROR:
                sqlstate = result.error_field(pq.DiagnosticField.SQLSTATE)
                message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message
                return explain_stream_end(
                    sqlstate.decode() if sqlstate else None, message.decode(errors="replace"), self._publication
                )
        return explain_stream_end(None, "the server closed it", self._publication)

    def _observe_notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        """Postgres 18 goes on without a missing publication and only warns: what follows lacks its changes.

        By SQLSTATE, as the text may be in any language; a stream has no other warning of this one.
        """
        is_warning = diagnostic.severity_nonlocalized == "WARNING"
        if is_warning and diagnostic.sqlstate == OBJECT_NOT_IN_PREREQUISITE_STATE and self._skips_after is None:
            # Called while get_copy_data looks for the payload that comes next.
            self._skips_after = len(self._batch)

    def _advance(self, batch: Batch) -> None:
        """Only a commit, a keepalive or a message that is not transactional is a position; the last one of a batch is
        its highest."""
        for payload in reversed(batch):
            if (
                payload[0] == KEEPALIVE
                or payload[XLOGDATA_HEADER_SIZE:_KIND_END] == _COMMIT
                or payload.startswith(_MESSAGE_BETWEEN_TRANSACTIONS, XLOGDATA_HEADER_SIZE)
            ):
                self.received_lsn = max(self.received_lsn, decode_walsender(payload).wal_end)
                return

    async def send_status(self, received: int, flushed: int, *, reply_requested: bool = False) -> None:
        """Tells the server that WAL up to `received` has arrived, and that it may forget it up to `flushed`.

        `reply_requested` makes it answer with a keepalive at once. AssertionError where `flushed` is past `received`
        or `received` past what was read: Postgres would believe it, and lose data. StreamEnded when the stream is over.
        """
        if not flushed <= received <= self.received_lsn:
            raise AssertionError(
                f"a status must hold flushed {format_lsn(flushed)} <= received {format_lsn(received)}"
                f" <= read {format_lsn(self.received_lsn)}"
            )
        status = encode_standby_status(received, flushed, time.time_ns() // 1000, reply_requested=reply_requested)
        async with self._sending:
            try:
                await self._send(status)
            except psycopg.Error as error:
                raise explain_stream_end(None, str(error).strip(), self._publication) from None

    async def _send(self, status: bytes) -> None:
        while self._pgconn.put_copy_data(status) == 0:
            await self._readiness.wait_writable()
        while self._pgconn.flush() == 1:
            await self._readiness.wait_writable()

    async def close(self) -> None:
        """Ends the session; the server frees the slot within milliseconds. A read under way raises StreamEnded."""
        if self._failure is None:
            self._failure = StreamEnded("the replication session was closed", sqlstate=None)
        self._readiness.close()
        await self._connection.close()


async def _prepare(connection: Connection, slot: str, start_lsn: int) -> tuple[SystemIdentity, int]:
    """What has to be known and sound before streaming: the server, and the slot with its confirmed position."""
    try:
        identity = await read_identity(connection)
        state = await read_slot(connection, slot)
        require_usable(state, identity, start_lsn)
        if connection.pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII":
            # Such a database holds any bytes. Asked for UTF-8, the server would stop for good at the first others.
            await connection.execute("set client_encoding to 'SQL_ASCII'")
    except psycopg.Error as error:
        reason = error.diag.message_primary or str(error).partition("\n")[0]
        raise StreamEnded(
            f"Postgres did not tell about itself and slot {slot}: {reason}",
            sqlstate=error.sqlstate,
        ) from None
    return identity, state.confirmed_flush_lsn


async def _start_streaming(connection: Connection, slot: str, publication: str, start_lsn: int) -> None:
    options = {"proto_version": "1", "publication_names": _quote_name(publication), "messages": "true"}
    plugin_options = ", ".join(f"{name} {_quote_literal(value)}" for name, value in options.items())
    command = f"START_REPLICATION SLOT {_quote_name(slot)} LOGICAL {format_lsn(start_lsn)} ({plugin_options})"
    try:
        await connection.execute(command.encode())
    except psycopg.Error as error:
        try:
            raise await explain_start_failure(error, connection, slot) from None
        except psycopg.Error:
            raise explain_stream_end(error.sqlstate, str(error), publication) from None
    connection.pgconn.nonblocking = 1


def _quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quote_literal(text: str) -> str:
    # The replication grammar's own literals: no backslash escapes, no E''.
    return "'" + text.replace("'", "''") + "'"
