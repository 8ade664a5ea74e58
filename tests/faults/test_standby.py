"""Two relays on one database: one streams, the other takes over, and never both (CONTRACT section 4.3)."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from contextlib import ExitStack
from signal import SIGCONT, SIGSTOP, SIGTERM
from typing import Any

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.faults.table import Connection, Writer, insert, install, numbers
from tests.support.relay import RelayProcess, connected, eventually, read_stream, running_relay, wait_for_events

JSON_LOG = {"PGSTREAM_LOG_FORMAT": "json"}
LARGE = 30_000


async def ready(relay: RelayProcess) -> Any:
    """What /readyz says; it must be 200."""
    url = await asyncio.to_thread(relay.url)

    def ask() -> Any:
        with urllib.request.urlopen(f"{url}/readyz", timeout=30) as answer:
            return json.load(answer)

    return await asyncio.to_thread(ask)


async def stands_by(connection: Connection, count: int = 1) -> None:
    """Waits until pgstream.status counts that many standbys beside a relay that streams."""

    def counted() -> bool:
        return connection.execute("select standbys, state from pgstream.status").fetchone() == (count, "streaming")

    await eventually(counted, otherwise=lambda: str(connection.execute("table pgstream.relays").fetchall()))


async def wait_for_row(url: str, stream: str, number: int) -> None:
    """Until the stream's last event is of that row."""

    async def arrived() -> bool:
        async with connected(url) as client:
            jetstream = client.jetstream()
            info = await jetstream.stream_info(stream)
            last = await jetstream.get_msg(stream, seq=info.state.last_seq)
        return bool(json.loads(last.data or b"")["data"]["after"]["id"] == number)

    await eventually(arrived)


async def test_a_standby_takes_over_from_a_relay_that_is_killed_and_from_one_that_is_stopped(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    stream, dsn = f"PGSTREAM_{database}", postgres.dsn(database)
    install(postgres, database)
    with postgres.connect(database) as connection, ExitStack() as relays:
        first = relays.enter_context(running_relay(dsn, nats.url))
        await eventually(first.is_streaming)
        async with Writer(dsn) as writer:
            second = relays.enter_context(RelayProcess.of(dsn, nats.url, env=JSON_LOG))
            await stands_by(connection)
            await asyncio.to_thread(second.wait_for, "database is standby")
            assert (await ready(second))["databases"] == {database: "standby"}

            first.kill()
            await eventually(second.is_streaming)
            third = relays.enter_context(running_relay(dsn, nats.url))
            await stands_by(connection)

            second.send(SIGTERM)
            await eventually(third.is_streaming)
            assert await asyncio.to_thread(second.wait) == 0
            await eventually(lambda: connection.execute("select standbys from pgstream.status").fetchone() == (0,))
        await wait_for_row(nats.url, stream, writer.last)
    assert numbers(await read_stream(nats.url, stream)) == list(range(1, writer.last + 1))


async def test_a_standby_takes_over_from_a_frozen_relay_which_wakes_up_in_the_middle_of_its_batch(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    stream, dsn = f"PGSTREAM_{database}", postgres.dsn(database)
    install(postgres, database)
    with postgres.connect(database) as connection, ExitStack() as relays:
        frozen = relays.enter_context(running_relay(dsn, nats.url))
        insert(connection, 1)
        await wait_for_events(nats.url, stream, 1)
        successor = relays.enter_context(running_relay(dsn, nats.url))
        await stands_by(connection)
        async with connected(nats.url) as client:

            async def stored() -> int:
                return (await client.jetstream().stream_info(stream)).state.messages

            async def begun() -> bool:
                return await stored() > 1

            insert(connection, 2, LARGE)
            await eventually(begun)
            frozen.send(SIGSTOP)
            assert 1 < await stored() < LARGE, "the freeze came too late for this test to mean anything"
            await eventually(successor.is_streaming)
            assert "takes the slot from a relay that no longer moves" in successor.log
            async with Writer(dsn, LARGE + 1) as writer:

                async def overtaken() -> bool:
                    return await stored() > LARGE

                await eventually(overtaken)
                frozen.send(SIGCONT)
                await stands_by(connection)
        await wait_for_row(nats.url, stream, writer.last)
        assert frozen.running
    assert numbers(await read_stream(nats.url, stream)) == list(range(1, writer.last + 1))
