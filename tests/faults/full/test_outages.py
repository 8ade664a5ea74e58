"""Servers go away in the middle of a full snapshot: it begins again, and what the consumer ends with is the table."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.faults.full.judge import judge, rows_of
from tests.faults.full.stage import add_keyless, halted, signal, wait_for
from tests.support.streamed import StreamedDatabase, streamed_database

ROWS = 8000
STOP_SECONDS = 15


@pytest.fixture
def own_servers() -> Iterator[StreamedDatabase]:
    """Servers that the test may stop."""
    with EmbeddedPostgres() as postgres, EmbeddedNats() as nats, streamed_database(postgres, nats) as streamed:
        yield streamed


async def write(streamed: StreamedDatabase, stop: asyncio.Event) -> None:
    """Row after row, also after an outage; whether the last one of a connection was committed is open."""
    while not stop.is_set():
        with contextlib.suppress(psycopg.OperationalError):
            dsn = streamed.postgres.dsn(streamed.name)
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
                while not stop.is_set():
                    await connection.execute("insert into k values (-1, 'live', random() * 100, 'x')")
                    await connection.execute("delete from k where ctid = (select ctid from k limit 1)")
                    await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)


async def test_servers_that_stop_and_come_back(own_servers: StreamedDatabase) -> None:
    streamed = own_servers
    add_keyless(streamed, rows=ROWS)
    initial = rows_of(streamed, "k")
    stop = asyncio.Event()
    writing = asyncio.create_task(write(streamed, stop))
    try:
        async with halted(streamed):
            pass
        await wait_for(streamed, "completed")
        async with halted(streamed):
            # A fast shutdown waits for walsenders; those that make a slot, or stand by one, must not keep it up.
            stopping = asyncio.create_task(asyncio.to_thread(streamed.postgres.stop, timeout_seconds=STOP_SECONDS))
            await asyncio.sleep(0.5)
        await stopping
        await asyncio.to_thread(streamed.postgres.start)
        streamed.connection = streamed.postgres.connect(streamed.name)
        await wait_for(streamed, "completed")
        signal(streamed, "full-snapshot", "k")
        await wait_for(streamed, "running")
        await asyncio.to_thread(streamed.nats.stop)
        await asyncio.to_thread(streamed.nats.start)
        await wait_for(streamed, "completed")
    finally:
        stop.set()
        await writing
    found = await judge(streamed, "k", initial)
    assert found.marks.count("end") == 3
    assert found.marks[:2] == ["begin", "end"]
    assert found.marks[-1] == "end"
    assert "failed" not in found.marks
    streamed.connection.close()
