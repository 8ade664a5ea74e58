"""Postgres shuts down while the relay has work: the server is not kept waiting, nobody spins, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.faults.table import insert, install, numbers
from tests.support.relay import RelayProcess, connected, eventually, read_stream, running_relay, wait_for_events

DATABASE = "shut"
STREAM = f"PGSTREAM_{DATABASE}"
STOP_SECONDS = 15
LARGE = 15_000


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A Postgres of the test's own, in which pgstream is installed."""
    with EmbeddedPostgres() as postgres:
        with postgres.connect() as connection:
            connection.execute(f"create database {DATABASE}")
        install(postgres, DATABASE)
        yield postgres


@pytest.fixture
def queue() -> Iterator[EmbeddedNats]:
    """A nats-server of the test's own."""
    with EmbeddedNats() as nats:
        yield nats


def cpu_seconds(relay: RelayProcess) -> float:
    """What the process has used so far; 0 where the system does not tell."""
    assert relay.process is not None
    stat = Path(f"/proc/{relay.process.pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def write_until_down(postgres: EmbeddedPostgres, first: int) -> int:
    """Inserts row after row until the server lets nobody in; the last number that was committed."""
    last = first - 1
    try:
        async with await psycopg.AsyncConnection.connect(postgres.dsn(DATABASE), autocommit=True) as connection:
            while True:
                await connection.execute("insert into t values (%s)", [last + 1])
                last += 1
                await asyncio.sleep(0.002)
    except psycopg.OperationalError:
        return last


async def stop_fast(postgres: EmbeddedPostgres, relay: RelayProcess, what: str) -> None:
    """The server must be down in time. How busy the relay was meanwhile is printed, for people to judge."""
    before, since = cpu_seconds(relay), time.monotonic()
    await asyncio.to_thread(postgres.stop, timeout_seconds=STOP_SECONDS)
    elapsed = time.monotonic() - since
    # A relay that went on asking in a loop would show here.
    await asyncio.sleep(1)
    used = cpu_seconds(relay) - before
    print(f"fast shutdown with {what}: {elapsed:.1f} s; the relay used {used:.2f} s of CPU in {elapsed + 1:.1f} s")


@pytest.mark.parametrize("state", ["stopped", "frozen"])
async def test_a_fast_shutdown_under_load_is_not_held_up_by_a_nats_that_does_not_answer(
    server: EmbeddedPostgres, queue: EmbeddedNats, state: str
) -> None:
    with running_relay(server.dsn(DATABASE), queue.url) as relay:
        with server.connect(DATABASE) as connection:
            insert(connection, 1)
        await wait_for_events(queue.url, STREAM, 1)
        writing = asyncio.create_task(write_until_down(server, 2))
        await wait_for_events(queue.url, STREAM, 20)
        if state == "stopped":
            await asyncio.to_thread(queue.stop)
        else:
            os.kill(queue.pid, SIGSTOP)
        await asyncio.sleep(0.5)
        try:
            await stop_fast(server, relay, f"NATS {state}")
        finally:
            if state == "frozen":
                os.kill(queue.pid, SIGCONT)
        last = await writing
        assert relay.running
        await asyncio.to_thread(server.start)
        if state == "stopped":
            await asyncio.to_thread(queue.start)
        with server.connect(DATABASE) as connection:
            insert(connection, last + 1)
        assert numbers(await wait_for_events(queue.url, STREAM, last + 1)) == list(range(1, last + 2))


async def test_shutdowns_with_events_in_flight_lose_and_repeat_nothing(
    server: EmbeddedPostgres, queue: EmbeddedNats
) -> None:
    with running_relay(server.dsn(DATABASE), queue.url) as relay:
        with server.connect(DATABASE) as connection:
            insert(connection, 1)
        await wait_for_events(queue.url, STREAM, 1)
        last = 1
        async with connected(queue.url) as client:

            async def more_is_stored() -> bool:
                return (await client.jetstream().stream_info(STREAM)).state.messages > last

            for mode in ("fast", "immediate"):
                with server.connect(DATABASE) as connection:
                    insert(connection, last + 1, last + LARGE)
                await eventually(more_is_stored)
                if mode == "fast":
                    await stop_fast(server, relay, "events in flight")
                else:
                    await asyncio.to_thread(server.stop, "immediate")
                last += LARGE
                assert relay.running
                await asyncio.to_thread(server.start)
        with server.connect(DATABASE) as connection:
            insert(connection, last + 1)
        await wait_for_events(queue.url, STREAM, last + 1)
    assert numbers(await read_stream(queue.url, STREAM)) == list(range(1, last + 2))
