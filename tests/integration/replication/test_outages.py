"""The server goes away under a session, or comes back as another."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from pgstream_relay.pgoutput.shutdown import ShutdownDetector
from pgstream_relay.pgoutput.timeline import TimelineSwitch
from pgstream_relay.pgoutput.walsender import Keepalive, decode_walsender
from pgstream_relay.runtime.replication import ReplicationSession, ServerUnavailable, StreamEnded
from tests.integration.replication.conftest import Source
from tests.support.stream import READ_BYTES, inserted, read_transactions


async def read_until_the_end(session: ReplicationSession) -> None:
    while True:
        await session.read(READ_BYTES)


@pytest.mark.parametrize("kill", [True, False])
async def test_a_server_that_stops_at_once_ends_the_stream(own_source: Source, kill: bool) -> None:
    async with own_source.session() as session:
        own_source.insert(1)
        await read_transactions(session, 1)
        reading = asyncio.create_task(read_until_the_end(session))
        await asyncio.to_thread(own_source.postgres.kill if kill else lambda: own_source.postgres.stop("immediate"))
        with pytest.raises(StreamEnded) as raised:
            await reading
        assert raised.value.retryable
    with pytest.raises(ServerUnavailable):
        async with own_source.session():
            pass


async def test_what_was_not_confirmed_comes_again_after_a_crash(own_source: Source) -> None:
    async with own_source.session() as session:
        own_source.insert(1, 2)
        await read_transactions(session, 2)
        own_source.postgres.kill()
    own_source.postgres.start()
    async with own_source.session() as session:
        assert inserted(await read_transactions(session, 2)) == [b"1", b"2"]


async def answer_until_the_end(session: ReplicationSession, flushed: int) -> bool:
    """Answers with an old position, as if NATS hung, until the detector sees why the server asks; then with the exact
    one. Returns what the detector says when the stream is over.
    """
    detector = ShutdownDetector()
    clock = asyncio.get_running_loop().time
    with contextlib.suppress(StreamEnded):
        while True:
            for payload in await session.read(READ_BYTES):
                header = decode_walsender(payload)
                if isinstance(header, Keepalive) and header.reply_requested:
                    if detector.observe(header.wal_end, reply_requested=True, now_seconds=clock()):
                        flushed = header.wal_end
                    await session.send_status(header.wal_end, flushed)
    return detector.shutting_down


async def test_a_fast_shutdown_is_told_apart_and_ends_once_all_is_confirmed(own_source: Source) -> None:
    async with own_source.session() as session:
        start_lsn = session.received_lsn
        own_source.insert(1)
        await read_transactions(session, 1)
        stopping = asyncio.create_task(asyncio.to_thread(own_source.postgres.stop, "fast"))
        assert await answer_until_the_end(session, start_lsn)
        await stopping


async def test_a_promoted_server_tells_where_its_timeline_began(own_source: Source) -> None:
    server = own_source.postgres
    own_source.insert(1)
    server.stop("fast")
    (server.data_directory / "standby.signal").touch()
    server.start()
    with server.connect() as connection:
        connection.execute("select pg_promote()")
        own_source.connection = connection
        own_source.insert(2)
        async with own_source.session() as session:
            assert session.identity.timeline == 2
            ((timeline, switch_lsn),) = session.identity.switches
            assert inserted(await read_transactions(session, 2)) == [b"1", b"2"]
    assert (timeline, switch_lsn) == TimelineSwitch(1, switch_lsn)
    assert 0 < switch_lsn < session.received_lsn
