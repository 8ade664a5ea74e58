"""NATS refuses or is away: the database stalls with a hint, goes on by itself, and the stream is exact afterwards."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.hasty_relay import HASTY
from tests.support.relay import connected
from tests.support.streamed import StreamedDatabase, metrics, streamed_database
from tests.support.waiting import eventually

TABLE = "(id int generated always as identity primary key, note text)"
ALL_RIGHTS = 'publish: ">", subscribe: ">"'
NO_PUBLISHING = 'publish: { deny: ["*.public.>"] }, subscribe: ">"'
NO_INBOX = 'publish: ">", subscribe: { deny: ["_INBOX.>"] }'

pytestmark = pytest.mark.xdist_group("nats refuses")


@pytest.fixture(scope="module")
def own_nats() -> Iterator[EmbeddedNats]:
    """A server that may be stopped and configured; streams survive."""
    with EmbeddedNats() as server:
        yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres, own_nats: EmbeddedNats) -> Iterator[StreamedDatabase]:
    with streamed_database(postgres, own_nats, program=HASTY) as streamed:
        streamed.add_table(TABLE)
        yield streamed


def write(database: StreamedDatabase, rows: int = 50) -> None:
    with database.connection.transaction():
        database.execute(f"insert into t (note) select repeat('n', 200) from generate_series(1, {rows})")
        database.execute("update t set note = 'changed' where id % 5 = 0")
        database.execute("delete from t where id % 7 = 0")


async def publish_errors(database: StreamedDatabase) -> dict[str, float]:
    """By reason."""
    text = await metrics(database.relay)
    found = re.findall(r'^pgstream_publish_errors_total\{.*reason="([^"]+)"\} (\S+)', text, re.MULTILINE)
    return {reason: float(count) for reason, count in found if float(count)}


async def healed(database: StreamedDatabase) -> None:
    write(database)
    await database.wait_for_state("streaming")
    await database.assert_exact()
    assert await publish_errors(database)


async def test_a_server_that_is_stopped_for_seconds(database: StreamedDatabase, own_nats: EmbeddedNats) -> None:
    write(database)
    await database.catch_up()
    await asyncio.to_thread(own_nats.stop)
    write(database)
    await database.wait_for_state("stalled", "NATS")
    await asyncio.to_thread(own_nats.start)
    await healed(database)


async def test_a_server_that_is_frozen(database: StreamedDatabase, own_nats: EmbeddedNats) -> None:
    write(database)
    await database.catch_up()
    os.kill(own_nats.pid, signal.SIGSTOP)
    try:
        write(database)
        await database.wait_for_state("stalled", "NATS")
    finally:
        os.kill(own_nats.pid, signal.SIGCONT)
    await healed(database)


async def test_a_stream_that_is_full(database: StreamedDatabase) -> None:
    database.execute("update pgstream.streams set discard = 'new', max_bytes = 100000")
    write(database)
    await database.catch_up()
    for _ in range(10):
        write(database)
    _, _, hint = await database.wait_for_state("stalled", "max_bytes")
    assert "pgstream.streams" in hint
    assert (await publish_errors(database)).keys() == {"full"}
    database.execute("update pgstream.streams set max_bytes = 10000000")
    await healed(database)


async def test_a_stream_that_is_deleted_while_it_streams(database: StreamedDatabase, own_nats: EmbeddedNats) -> None:
    write(database)
    before = await database.assert_exact()
    async with connected(own_nats.url) as client:
        await client.jetstream().delete_stream(database.stream)
    database.execute("insert into t (note) values ('after')")
    await database.catch_up()
    events = await database.events("t")
    # Deleting it was somebody's will: it begins anew, with nothing of what it held and all that came since.
    assert [event.data["after"]["note"] for event in events] == ["after"]
    assert not {event.headers["Nats-Msg-Id"] for event in before} & {event.headers["Nats-Msg-Id"] for event in events}
    await database.wait_for_state("streaming")


async def test_rights_that_are_taken_and_given_back(database: StreamedDatabase, own_nats: EmbeddedNats) -> None:
    own_nats.write_config(users(ALL_RIGHTS))
    await restart(own_nats)
    write(database)
    await database.catch_up()
    for rights in (NO_PUBLISHING, NO_INBOX):
        own_nats.write_config(users(rights))
        own_nats.reload()
        write(database)
        await database.wait_for_state("stalled", "NATS refuses", "grant")
        own_nats.write_config(users(ALL_RIGHTS))
        own_nats.reload()
        await database.wait_for_state("streaming")
    await healed(database)
    assert "denied" in await publish_errors(database)
    own_nats.write_config()
    await restart(own_nats)


def users(rights: str) -> str:
    """The relay gives no name, so it is the user that counts for those who give none."""
    return (
        f"no_auth_user: relay\nauthorization {{ users: [{{ user: relay, password: x, permissions: {{ {rights} }} }}] }}"
    )


async def test_jetstream_that_is_switched_off(database: StreamedDatabase, own_nats: EmbeddedNats) -> None:
    write(database)
    await database.catch_up()
    own_nats.write_config(jetstream=False)
    await restart(own_nats)
    write(database)
    await database.wait_for_state("stalled", "JetStream")
    assert database.relay.running
    own_nats.write_config()
    await restart(own_nats)
    await healed(database)


async def restart(server: EmbeddedNats) -> None:
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)


async def test_ephemeral_events_wait_while_nats_is_away(database: StreamedDatabase, own_nats: EmbeddedNats) -> None:
    database.add_table("(id int primary key)", "e", mode="ephemeral")
    database.execute("insert into e values (1)")
    await database.catch_up()
    await asyncio.to_thread(own_nats.stop)
    for number in range(2, 200):
        database.execute(f"insert into e values ({number})")
    database.execute("insert into t (note) values ('between')")
    await database.wait_for_state("stalled", "NATS")
    database.execute("insert into e values (200)")
    assert await asyncio.to_thread(database.relay.stop) == 0
    await asyncio.to_thread(own_nats.start)
    seen: list[Any] = []
    async with connected(own_nats.url) as client:

        async def receive(message: Any) -> None:
            seen.append(message.data)

        await client.subscribe(f"{database.name}.public.e.*", cb=receive)
        await client.flush()
        database.relay.start()
        await database.catch_up()
        await eventually(lambda: len(seen) >= 199)
    assert [int(re.findall(rb'"after":\{"id":(\d+)', data)[0]) for data in seen] == list(range(2, 201))
    assert len(await database.events("t")) == 1
