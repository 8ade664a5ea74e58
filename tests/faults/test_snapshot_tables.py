"""Incremental snapshots of tables of every kind, and of tables that the relay may not read."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from nats.aio.msg import Msg

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.relay import RelayProcess, StoredEvent, connected, eventually, run_command
from tests.support.snapshots import (
    applied,
    marks,
    signal,
    snapshot_rows,
    state_of,
    stored_events,
    table_rows,
    wait_for_state,
)
from tests.support.streamed import StreamedDatabase, streamed_database

TABLES = {
    "partitioned": """
        create table partitioned (id bigint, part text, note text, primary key (id, part)) partition by list (part);
        create table leaf_a partition of partitioned for values in ('a');
        create table leaf_b partition of partitioned for values in ('b') partition by range (id);
        create table leaf_b_low partition of leaf_b for values from (0) to (500);
        create table leaf_b_high partition of leaf_b for values from (500) to (1000000);
        create table leaf_rest partition of partitioned default;
        insert into partitioned select n, (array['a', 'b', 'c', 'd'])[n % 4 + 1], 'note ' || n
          from generate_series(1, 1000) n
        """,
    "inherited": """
        create table inherited (id bigint primary key, note text);
        create table child (more text) inherits (inherited);
        insert into inherited select n, 'parent' from generate_series(1, 500) n;
        insert into child select n, 'child', 'more' from generate_series(1001, 1500) n
        """,
    "empty": "create table empty (id bigint primary key, note text)",
    "one_row": "create table one_row (id bigint primary key, note text); insert into one_row values (1, 'alone')",
    "wide": "wide",
    "toasted": """
        create table toasted (id bigint primary key, body text, more jsonb);
        alter table toasted alter column body set storage external;
        insert into toasted select n, repeat(md5(n::text), 300), jsonb_build_object('n', repeat(md5(n::text), 5000))
          from generate_series(1, 60) n
        """,
    "composite": """
        create table composite (b text, a integer, "the note" text, primary key (b, a));
        insert into composite select E'k\\t"\\\\' || n, n % 3, null from generate_series(1, 300) n
        """,
    "unique_only": """
        create table unique_only (code text not null unique, id bigint);
        insert into unique_only select 'c' || n, n from generate_series(1, 300) n
        """,
    "indexed": """
        create table indexed (code text not null, id bigint);
        create unique index indexed_code on indexed (code);
        alter table indexed replica identity using index indexed_code;
        insert into indexed select 'c' || n, n from generate_series(1, 300) n
        """,
    "a.b": """create table "a.b" (id bigint primary key, "c.d" text);
        insert into "a.b" select n, 'x' from generate_series(1, 20) n""",
    'sa"y': """create table "sa""y" (id bigint primary key, "no""te" text);
        insert into "sa""y" select n, 'x' from generate_series(1, 20) n""",
    "with space": """create table "with space" ("the id" bigint primary key, " " text);
        insert into "with space" select n, 'x' from generate_series(1, 20) n""",
    "größe_表": """create table "größe_表" ("schlüssel_鍵" bigint primary key, "naïve" text);
        insert into "größe_表" select n, 'ü' || n from generate_series(1, 20) n""",
}
KEYS = {
    "partitioned": ("id", "part"),
    "wide": ("c1",),
    "composite": ("b", "a"),
    "unique_only": ("code",),
    "indexed": ("code",),
    "with space": ("the id",),
    "größe_表": ("schlüssel_鍵",),
}
IDENTITIES = {"indexed": "keep", "toasted": "keep"}
COLUMNS_MAX = 1600


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def create(database: StreamedDatabase, name: str) -> None:
    definition = TABLES[name]
    if name == "wide":
        columns = ", ".join(f"c{number} integer" for number in range(2, COLUMNS_MAX + 1))
        values = ", ".join(f"n + {number}" for number in range(2, COLUMNS_MAX + 1))
        definition = f"create table wide (c1 integer primary key, {columns});"
        definition += f"insert into wide select n, {values} from generate_series(1, 20) n"
    for statement in definition.split(";\n"):
        database.execute(statement)
    database.execute(
        "insert into pgstream.tables (table_name, replica_identity) values (%s, %s)",
        name, IDENTITIES.get(name, "full"),
    )  # fmt: skip


@pytest.fixture
def database(postgres: EmbeddedPostgres, nats: EmbeddedNats) -> Iterator[StreamedDatabase]:
    with streamed_database(postgres, nats, start=False) as streamed:
        yield streamed


def assert_told_whole(database: StreamedDatabase, name: str, events: list[StoredEvent]) -> None:
    keys = KEYS.get(name, ("id",))
    only = "" if name == "partitioned" else "only "
    expected = table_rows(database, f"{only}{quoted(name)}", *keys)
    assert applied(events, *keys) == expected
    assert marks(events) == ["begin", "end"]
    assert len(snapshot_rows(events)) == len(expected)
    assert {event.document["schema"] for event in events} == {"public"}


async def test_tables_of_every_kind(database: StreamedDatabase) -> None:
    """One signal for all of them."""
    for name in TABLES:
        create(database, name)
    newest = signal(database)
    database.relay.start()
    for snapshot in range(1, newest + 1):
        done = await wait_for_state(database, snapshot, "completed", "failed")
        assert done.state == "completed", done
        assert done.blocks_done == done.blocks_total
    await database.catch_up()
    for name in TABLES:
        assert_told_whole(database, name, await stored_events(database, name))
    told = {name: len(snapshot_rows(await stored_events(database, name))) for name in ("empty", "one_row", "inherited")}
    assert told == {"empty": 0, "one_row": 1, "inherited": 500}
    assert await stored_events(database, "leaf_a") == await stored_events(database, "child") == []


async def test_a_row_that_moves_between_partitions_meanwhile(database: StreamedDatabase) -> None:
    create(database, "partitioned")
    database.relay.start()
    snapshot = signal(database, "partitioned", options={"block_count": 1})
    for number in range(1, 1001, 3):
        database.execute("update partitioned set part = case part when 'a' then 'd' else 'a' end where id = %s", number)
    assert (await wait_for_state(database, snapshot, "completed", "failed")).state == "completed"
    await database.catch_up()
    events = await stored_events(database, "partitioned")
    begin = next(at for at, event in enumerate(events) if event.headers.get("Pgstream-Mark") == "begin")
    assert applied(events[begin:], "id", "part") == table_rows(database, "partitioned", "id", "part")


async def test_only_the_rows_of_a_filter(database: StreamedDatabase) -> None:
    create(database, "inherited")
    database.relay.start()
    snapshot = signal(database, "inherited", options={"row_filter": "id % 100 < 10 and note = 'parent'"})
    assert (await wait_for_state(database, snapshot, "completed", "failed")).state == "completed"
    rows = snapshot_rows(await stored_events(database, "inherited"))
    assert sorted(row["id"] for row in rows) == [n for n in range(1, 501) if n % 100 < 10]


async def test_initial_snapshot(database: StreamedDatabase) -> None:
    database.relay.start()
    database.execute("create table t (id bigint primary key)")
    database.execute("insert into t select generate_series(1, 100)")
    database.execute("insert into pgstream.tables (table_name, initial_snapshot) values ('t', true)")
    assert (await wait_for_state(database, 1, "completed", "failed")).state == "completed"
    assert_told_whole(database, "t", await stored_events(database, "t"))


async def test_rows_go_where_the_tables_settings_send_them(database: StreamedDatabase) -> None:
    columns = "id bigint primary key, total numeric, twice bigint generated always as (id * 2) stored"
    database.execute(f"create table t ({columns})")
    database.execute("insert into t select n, n + 0.50 from generate_series(1, 30) n")
    database.execute("insert into pgstream.tables (table_name, subject) values ('t', '{database}.rows.{operation}')")
    database.relay.start()
    snapshot = signal(database, "t")
    assert (await wait_for_state(database, snapshot, "completed", "failed")).state == "completed"
    events = await stored_events(database, "t")
    assert {event.subject for event in events} == {f"{database.name}.rows.snapshot"}
    assert [(row["id"], str(row["total"])) for row in snapshot_rows(events)] == [(n, f"{n}.50") for n in range(1, 31)]
    assert {tuple(row) for row in snapshot_rows(events)} == {("id", "total")}
    assert [event.headers.get("Pgstream-Key") for event in events[1:-1]] == [f"[{n}]" for n in range(1, 31)]


async def test_an_ephemeral_table(database: StreamedDatabase) -> None:
    database.execute("create table t (id bigint primary key)")
    database.execute("insert into t select generate_series(1, 100)")
    database.execute("insert into pgstream.tables (table_name, mode) values ('t', 'ephemeral')")
    heard: list[StoredEvent] = []

    async def hear(message: Msg) -> None:
        heard.append(StoredEvent(0, message.subject, dict(message.headers or {}), message.data))

    async with connected(database.nats.url) as client:
        await client.subscribe(f"{database.name}.>", cb=hear)
        await client.flush()
        database.relay.start()
        snapshot = signal(database, "t")
        assert (await wait_for_state(database, snapshot, "completed", "failed")).state == "completed"
        await eventually(lambda: marks(heard) == ["begin", "end"])
    assert {event.subject for event in heard} == {f"{database.name}.public.t.snapshot"}
    assert sorted(row["id"] for row in snapshot_rows(heard)) == list(range(1, 101))
    assert heard[-1].headers["Pgstream-Rows"] == "100"


async def test_a_table_that_leaves_the_stream_fails_and_the_relay_goes_on(database: StreamedDatabase) -> None:
    create(database, "toasted")
    database.add_table("(id bigint primary key)", "other")
    signal(database, "toasted")
    database.execute("delete from pgstream.tables where table_name = 'toasted'")
    database.relay.start()
    failed = await wait_for_state(database, 1, "failed", "completed", "stopped")
    assert failed.state == "failed"
    assert failed.error
    assert failed.hint
    database.execute("insert into other values (1)")
    assert len(await database.events("other")) == 1


@pytest.fixture
def restricted(database: StreamedDatabase, postgres: EmbeddedPostgres) -> Iterator[StreamedDatabase]:
    """Its relay is a role with the rights that the installer gives, and no others. Table t is to be snapshot."""
    role = f"relay_{uuid.uuid4().hex[:8]}"
    run_command("install", "--dsn", postgres.dsn(database.name), "--relay-role", role)
    database.relay.__exit__(None, None, None)
    dsn = postgres.dsn(database.name, user=role)
    database.relay = RelayProcess("--dsn", dsn, "--nats", database.nats.url, "--http", "127.0.0.1:0")
    database.execute("create table t (id bigint primary key, owner text)")
    database.execute("insert into t select n, 'somebody' from generate_series(1, 100) n")
    yield database
    database.relay.kill()
    database.execute(f"drop owned by {role} cascade")
    database.execute(f"drop role {role}")


async def test_without_select_it_fails_with_the_grant(restricted: StreamedDatabase) -> None:
    restricted.execute("insert into pgstream.tables (table_name) values ('t')")
    restricted.relay.start()
    snapshot = signal(restricted, "t")
    failed = await wait_for_state(restricted, snapshot, "failed", "completed", "stopped")
    assert failed.state == "failed"
    assert failed.hint is not None
    assert "GRANT SELECT" in failed.hint
    ((grant,),) = restricted.execute("select substring(%s from 'GRANT [^;]*')", failed.hint)
    restricted.execute(grant)
    snapshot = signal(restricted, "t")
    assert (await wait_for_state(restricted, snapshot, "failed", "completed")).state == "completed"
    events = await stored_events(restricted, "t", snapshot)
    assert_told_whole(restricted, "t", events)


async def test_row_level_security_is_never_a_silent_omission(restricted: StreamedDatabase) -> None:
    restricted.execute("alter table t enable row level security")
    restricted.execute("create policy own on t using (id % 2 = 0)")
    restricted.execute("grant select on t to public")
    restricted.execute("insert into pgstream.tables (table_name) values ('t')")
    restricted.relay.start()
    snapshot = signal(restricted, "t")
    failed = await wait_for_state(restricted, snapshot, "failed", "completed", "stopped")
    assert failed.state == "failed"
    assert failed.error is not None
    assert "row" in failed.error
    assert "security" in failed.error
    assert failed.hint
    assert snapshot_rows(await stored_events(restricted, "t")) == []


async def test_tables_of_one_signal_take_turns(database: StreamedDatabase) -> None:
    """The small one need not wait for the large one that was named first."""
    database.execute("create table large (id bigint primary key, note text)")
    database.execute("insert into large select n, repeat('x', 500) from generate_series(1, 1500) n")
    database.execute("create table small (id bigint primary key)")
    database.execute("insert into small select generate_series(1, 10)")
    database.execute("insert into pgstream.tables (table_name) values ('large'), ('small')")
    database.relay.start()
    newest = signal(database, "large", "small", options={"block_count": 1})
    await wait_for_state(database, newest, "completed")
    assert state_of(database, newest - 1).state == "running"
    await wait_for_state(database, newest - 1, "completed")
