"""The main job on real servers: from INSERT INTO pgstream.tables to events in NATS, as the contract says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.relay import (
    RelayProcess,
    connected,
    eventually,
    install_pgstream,
    read_stream,
    running_relay,
    wait_for_events,
)

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def installed(postgres: EmbeddedPostgres, database: str) -> Iterator[Connection]:
    """An autocommit connection to a database in which pgstream is installed."""
    install_pgstream(postgres.dsn(database))
    with postgres.connect(database) as connection:
        yield connection


@pytest.fixture
def stream(database: str) -> str:
    return f"PGSTREAM_{database}"


@pytest.fixture
def relay(
    installed: Connection, postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> Iterator[RelayProcess]:
    with running_relay(postgres.dsn(database), nats.url) as process:
        yield process


async def test_insert_update_delete_truncate_arrive(
    relay: RelayProcess, installed: Connection, nats: EmbeddedNats, database: str, stream: str
) -> None:
    installed.execute("create table t (id int primary key, status text, total numeric)")
    installed.execute("insert into pgstream.tables (table_name) values ('t')")
    installed.execute("insert into t values (7, 'new', 19.90)")
    installed.execute("update t set status = 'paid'")
    installed.execute("delete from t")
    installed.execute("truncate t")
    events = await wait_for_events(nats.url, stream, 4)
    assert [event.subject for event in events] == [
        f"{database}.public.t.{operation}" for operation in ("insert", "update", "delete", "truncate")
    ]
    new = {"id": 7, "status": "new", "total": Decimal("19.9")}
    paid = new | {"status": "paid"}
    assert [event.data for event in events] == [
        {"before": None, "after": new, "diff": None},
        {"before": new, "after": paid, "diff": {"status": "paid"}},
        {"before": paid, "after": None, "diff": None},
        {"before": None, "after": None, "diff": None},
    ]
    assert b'"total":19.90}' in events[0].payload
    assert [event.document["id"] for event in events] == [event.headers["Nats-Msg-Id"] for event in events]
    (state,) = installed.execute("select state from pgstream.status").fetchone() or ("",)
    assert state == "streaming"


async def test_an_ephemeral_table_reaches_a_subscriber_and_no_stream(
    relay: RelayProcess, installed: Connection, nats: EmbeddedNats, database: str, stream: str
) -> None:
    installed.execute("create table p (id int primary key)")
    installed.execute("create table e (id int primary key)")
    seen: list[str] = []
    async with connected(nats.url) as client:

        async def receive(message: Any) -> None:
            seen.append(message.subject)

        await client.subscribe(f"{database}.>", cb=receive)
        await client.flush()
        installed.execute("insert into pgstream.tables (table_name, mode) values ('p', null), ('e', 'ephemeral')")
        installed.execute("insert into p values (1)")
        installed.execute("insert into e values (1)")
        installed.execute("insert into p values (2)")
        await wait_for_events(nats.url, stream, 2)

        async def all_seen() -> bool:
            return len(seen) >= 3

        await eventually(all_seen)
        assert seen == [f"{database}.public.{table}.insert" for table in ("p", "e", "p")]
        info = await client.jetstream().stream_info(stream)
        assert info.config.subjects == [f"{database}.public.p.*"]
    assert [event.subject for event in await read_stream(nats.url, stream)] == [f"{database}.public.p.insert"] * 2


async def test_a_transaction_that_adds_a_table_streams_its_later_changes_and_a_subject_changes_in_its_middle(
    relay: RelayProcess, installed: Connection, nats: EmbeddedNats, database: str, stream: str
) -> None:
    installed.execute("create table t (id int primary key)")
    with installed.transaction():
        installed.execute("insert into pgstream.tables (table_name) values ('t')")
        installed.execute("insert into t values (1)")
        installed.execute("update pgstream.tables set subject = %s", [f"{database}.moved.{{operation}}"])
        installed.execute("insert into t values (2)")
    installed.execute("insert into t values (3)")
    installed.execute("delete from pgstream.tables")
    installed.execute("insert into t values (4)")
    installed.execute("insert into pgstream.tables (table_name) values ('t')")
    installed.execute("insert into t values (5)")
    events = await wait_for_events(nats.url, stream, 4)
    assert [(event.subject.removeprefix(database), event.data["after"]["id"]) for event in events] == [
        (".public.t.insert", 1), (".moved.insert", 2), (".moved.insert", 3), (".public.t.insert", 5),
    ]  # fmt: skip


async def test_partitions_appear_under_their_root_and_messages_as_unknown(
    relay: RelayProcess, installed: Connection, nats: EmbeddedNats, database: str, stream: str
) -> None:
    installed.execute("create table m (day date, id int, primary key (day, id)) partition by range (day)")
    for month in (1, 2):
        installed.execute(
            f"create table m_{month} partition of m for values from ('2026-0{month}-01') to ('2026-0{month + 1}-01')"
        )
    installed.execute("insert into pgstream.tables (table_name) values ('m')")
    installed.execute("update pgstream.settings set message_prefixes = '{audit}'")
    installed.execute("insert into m values ('2026-01-05', 1)")
    installed.execute("update m set day = '2026-02-05'")
    installed.execute("select pg_logical_emit_message(true, 'audit', 'hello')")
    installed.execute("select pg_logical_emit_message(true, 'other', 'hello')")
    installed.execute("truncate m")
    events = await wait_for_events(nats.url, stream, 5)
    assert [(event.document["table"], event.operation) for event in events] == [
        ("m", "insert"), ("m", "delete"), ("m", "insert"), ("messages", "unknown"), ("m", "truncate"),
    ]  # fmt: skip
    assert events[3].subject == f"{database}.pgstream.messages.unknown"
    assert events[3].data["after"] == {"prefix": "audit", "content": "hello"}


async def test_ids_of_a_copy_differ_and_the_same_wal_gives_the_same_bytes_twice(
    installed: Connection, postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str, stream: str
) -> None:
    installed.execute("create table t (id int primary key, note text)")
    installed.execute("insert into pgstream.tables (table_name) values ('t')")
    with installed.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
        copy.write("1\ta\n2\tb\n3\tc\n")
    installed.execute("update t set note = 'x' where id = 2")
    slot = f"pgstream_{database}"
    installed.execute("select pg_copy_logical_replication_slot(%s, %s)", [slot, f"{slot}_copy"])
    with running_relay(postgres.dsn(database), nats.url):
        first = await wait_for_events(nats.url, stream, 4)
    assert len({event.document["id"] for event in first}) == 4
    assert len({event.headers["Pgstream-Lsn"] for event in first[:3]}) == 1

    # The same WAL from the copied slot, with the settings as they were, into an empty stream.
    async with connected(nats.url) as client:
        await client.jetstream().delete_stream(stream)
    await eventually(lambda: _slot_is_free(installed, slot))
    installed.execute("select pg_drop_replication_slot(%s)", [slot])
    installed.execute("select pg_copy_logical_replication_slot(%s, %s)", [f"{slot}_copy", slot])
    installed.execute(
        "update pgstream.relay_state set lsn = '0/1', control = jsonb_set(control, '{tables}', '[]')"
        " where slot_name = %s",
        [slot],
    )
    with running_relay(postgres.dsn(database), nats.url):
        second = await wait_for_events(nats.url, stream, 4)
    assert [event.payload for event in second] == [event.payload for event in first]
    assert [event.headers for event in second] == [event.headers for event in first]


async def _slot_is_free(connection: Connection, slot: str) -> bool:
    row = connection.execute("select active from pg_replication_slots where slot_name = %s", [slot]).fetchone()
    return row == (False,)


async def test_an_idle_database_advances_its_slot(
    relay: RelayProcess, installed: Connection, postgres: EmbeddedPostgres, database: str
) -> None:
    with postgres.connect() as other:
        other.execute("create table if not exists noise (t text)")
        other.execute("insert into noise select repeat('x', 1000) from generate_series(1, 5000)")
        (target,) = other.execute("select pg_current_wal_lsn()::text").fetchone() or ("",)

    async def confirmed() -> bool:
        row = installed.execute(
            "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where database = %s",
            [target, database],
        ).fetchone()
        return row == (True,)

    await eventually(confirmed)


async def test_a_relay_stopped_twenty_times_under_load_loses_nothing_and_keeps_the_order(
    installed: Connection, postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str, stream: str
) -> None:
    installed.execute("create table t (id bigint generated always as identity primary key, note text)")
    installed.execute("insert into pgstream.tables (table_name) values ('t')")
    finished = asyncio.Event()

    async def write() -> int:
        written = 0
        async with await psycopg.AsyncConnection.connect(postgres.dsn(database), autocommit=True) as connection:
            while not finished.is_set():
                count = 1 if written % 7 else 20
                await connection.execute("insert into t (note) select 'n' from generate_series(1, %s)", [count])
                written += count
                await asyncio.sleep(0.02)
        return written

    writer = asyncio.create_task(write())
    for round_number in range(20):
        with RelayProcess.of(postgres.dsn(database), nats.url) as relay:
            await eventually(relay.is_streaming)
            await asyncio.sleep(0.02 * round_number)
            assert relay.running, relay.log
            code = await asyncio.to_thread(relay.stop)
            assert code == 0, relay.log
    finished.set()
    written = await writer
    with running_relay(postgres.dsn(database), nats.url):
        events = await wait_for_events(nats.url, stream, written)
    assert [event.data["after"]["id"] for event in events] == list(range(1, written + 1))


async def test_two_databases_in_one_relay_are_each_on_their_own(nats: EmbeddedNats) -> None:
    with EmbeddedPostgres() as one, EmbeddedPostgres() as two:
        servers = {"one": one, "two": two}
        for name, server in servers.items():
            with server.connect() as connection:
                connection.execute(f"create database two_servers_{name}")
            install_pgstream(server.dsn(f"two_servers_{name}"))
            with server.connect(f"two_servers_{name}") as connection:
                connection.execute("create table t (id int primary key)")
                connection.execute("insert into pgstream.tables (table_name) values ('t')")

        def insert(name: str, number: int) -> None:
            with servers[name].connect(f"two_servers_{name}") as connection:
                connection.execute("insert into t values (%s)", [number])

        dsns = [server.dsn(f"two_servers_{name}") for name, server in servers.items()]
        with running_relay(dsns, nats.url):
            for name in servers:
                insert(name, 1)
                await wait_for_events(nats.url, f"PGSTREAM_two_servers_{name}", 1)
            await asyncio.to_thread(one.stop, "immediate")
            insert("two", 2)
            await wait_for_events(nats.url, "PGSTREAM_two_servers_two", 2)
            await asyncio.to_thread(one.start)
            insert("one", 2)
            events = await wait_for_events(nats.url, "PGSTREAM_two_servers_one", 2)
            assert [event.data["after"]["id"] for event in events] == [1, 2]
