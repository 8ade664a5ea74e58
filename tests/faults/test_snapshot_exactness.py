"""Incremental snapshots where something happens in the middle: a consumer ends with the table, and has no row twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.relay import StoredEvent, eventually
from tests.support.snapshots import (
    applied,
    marks,
    signal,
    snapshot_rows,
    state_of,
    stored_events,
    table_rows,
    wait_for_blocks,
    wait_for_state,
)
from tests.support.streamed import StreamedDatabase, streamed_database

BLOCKS = 150
ONE_BLOCK = {"block_count": 1}
FULL_BLOCK = "repeat('x', 500)"
"""Fourteen such rows fill a block."""


@pytest.fixture
def database(postgres: EmbeddedPostgres, nats: EmbeddedNats) -> Iterator[StreamedDatabase]:
    """With table t of about BLOCKS blocks, whose last rows have a TOASTed body."""
    with streamed_database(postgres, nats, start=False) as streamed:
        streamed.execute("create table t (id bigint primary key, note text, body text)")
        streamed.execute("alter table t alter column body set storage external")
        streamed.execute("alter table t set (autovacuum_enabled = off)")
        streamed.execute(
            f"insert into t select n, {FULL_BLOCK}, case when n > {BLOCKS * 12} then repeat(md5(n::text), 90) end"
            f" from generate_series(1, {BLOCKS * 14}) n"
        )
        yield streamed


def stream_table(database: StreamedDatabase, identity: str = "full") -> None:
    database.execute(
        "insert into pgstream.tables (table_name, replica_identity) values ('t', %s)", identity
    )  # fmt: skip
    database.relay.start()


def assert_exact(database: StreamedDatabase, events: list[StoredEvent]) -> None:
    """The consumer's table is the table, and so it was at the end of the snapshot if nothing came behind it."""
    held, table = applied(events, "id"), table_rows(database, "t", "id")
    different = [key for key in held.keys() | table.keys() if held.get(key) != table.get(key)]
    assert not different, f"{len(different)} rows differ, such as {different[:3]}"


async def finish(database: StreamedDatabase, snapshot_id: int) -> list[StoredEvent]:
    """The events of the table, once the snapshot is completed."""
    done = await wait_for_state(database, snapshot_id, "completed", "failed", "stopped")
    assert done.state == "completed", done
    await database.catch_up()
    events = await stored_events(database, "t")
    own = [event for event in events if event.headers.get("Pgstream-Snapshot") == str(snapshot_id)]
    assert marks(own) == ["begin", "end"]
    assert own[0].headers["Pgstream-Mark"] == "begin"
    assert own[-1].headers["Pgstream-Rows"] == str(len(own) - 2) == str(done.rows_done)
    assert [int(event.headers["Pgstream-Seq"]) for event in own] == list(range(len(own)))
    assert len({event.headers["Nats-Msg-Id"] for event in events}) == len(events)
    return events


async def test_a_row_that_moves_to_a_block_already_read_arrives_with_its_unchanged_toasted_value(
    database: StreamedDatabase,
) -> None:
    database.execute("delete from t where id <= 70")
    database.execute("vacuum t")
    stream_table(database, "keep")
    snapshot = signal(database, "t", options=ONE_BLOCK)
    await wait_for_blocks(database, snapshot, 20)
    signal(database, "t", kind="pause-snapshot")
    paused = await wait_for_state(database, snapshot, "paused")
    assert paused.blocks_done < BLOCKS // 2
    database.execute(f"update t set note = {FULL_BLOCK} || 'moved' where id > {BLOCKS * 14 - 40}")
    moved = database.execute(
        "select count(*) from t where ctid < format('(%%s,0)', %s::int)::tid and length(note) > 500", paused.blocks_done
    )
    assert moved[0][0] > 0, "no row has moved: the test shows nothing"
    signal(database, "t", kind="resume-snapshot")
    events = await finish(database, snapshot)
    assert any("Pgstream-Unchanged" in event.headers for event in events)
    assert_exact(database, events)


async def test_kill_at_half_goes_on_from_there(database: StreamedDatabase) -> None:
    stream_table(database)
    snapshot = signal(database, "t", options=ONE_BLOCK)
    await wait_for_blocks(database, snapshot, BLOCKS // 2)
    database.relay.kill()
    at_kill = state_of(database, snapshot)
    stored = len(snapshot_rows(await stored_events(database, "t", snapshot)))
    assert stored < BLOCKS * 14
    database.relay.start()
    events = await finish(database, snapshot)
    assert state_of(database, snapshot).rows_done == BLOCKS * 14 >= at_kill.rows_done
    rows = snapshot_rows(events)
    assert len(rows) == len({row["id"] for row in rows}) == BLOCKS * 14
    assert_exact(database, events)


async def test_many_kills_write_no_row_twice(database: StreamedDatabase) -> None:
    stream_table(database)
    snapshot = signal(database, "t", options={"block_count": 3})
    for part in (1, 2, 3, 4, 5):
        await wait_for_blocks(database, snapshot, BLOCKS * part // 6)
        database.relay.kill()
        database.execute("update t set note = 'changed' where id %% 100 = %s", part)
        database.relay.start()
    events = await finish(database, snapshot)
    rows = [(row["id"], row["note"]) for row in snapshot_rows(events)]
    assert len(rows) == len(set(rows))
    assert_exact(database, events)


async def test_a_signal_inserted_while_no_relay_runs_is_carried_out_once(database: StreamedDatabase) -> None:
    database.execute("insert into pgstream.tables (table_name) values ('t')")
    snapshot = signal(database, "t")
    assert state_of(database, snapshot).state == "pending"
    database.relay.start()
    events = await finish(database, snapshot)
    assert len(snapshot_rows(events)) == BLOCKS * 14
    for end in (database.relay.kill, database.relay.stop):
        end()
        database.relay.start()
        database.execute("update t set note = 'after' where id = 1")
        await database.catch_up()
    assert_exact(database, await stored_events(database, "t"))
    assert len(snapshot_rows(await stored_events(database, "t"))) == BLOCKS * 14


@pytest.mark.parametrize(
    "statement",
    [
        "vacuum full t",
        "cluster t using t_pkey",
        "truncate t",
        "alter table t alter column note type varchar(900)",
        "vacuum t",
    ],
)
async def test_a_table_rewritten_in_the_middle(database: StreamedDatabase, statement: str) -> None:
    stream_table(database, "keep")
    snapshot = signal(database, "t", options=ONE_BLOCK)
    await wait_for_blocks(database, snapshot, 20)
    database.execute("delete from t where id % 10 = 1")
    database.execute("update t set note = 'long ' || note where id % 10 = 2")
    database.execute(statement)
    assert state_of(database, snapshot).state == "running", "it was over before: the test shows nothing"
    database.execute("insert into t select n, 'late', null from generate_series(100001, 100050) n")
    database.execute("update t set note = 'changed' where id % 10 = 3")
    assert_exact(database, await finish(database, snapshot))


async def test_a_column_that_is_added_in_the_middle(database: StreamedDatabase) -> None:
    stream_table(database)
    snapshot = signal(database, "t", options=ONE_BLOCK)
    await wait_for_blocks(database, snapshot, 20)
    database.execute("alter table t add column extra text")
    database.execute("update t set extra = 'there' where id % 50 = 0")
    events = await finish(database, snapshot)
    assert "extra" not in snapshot_rows(events)[0]
    assert "extra" in snapshot_rows(events)[-1]
    held = {key: {"extra": None} | row for key, row in applied(events, "id").items()}
    assert held == table_rows(database, "t", "id")


async def test_a_table_that_is_dropped_in_the_middle(database: StreamedDatabase) -> None:
    stream_table(database)
    snapshot = signal(database, "t", options=ONE_BLOCK)
    await wait_for_blocks(database, snapshot, 20)
    database.execute("drop table t")
    failed = await wait_for_state(database, snapshot, "failed", "completed", "stopped")
    assert failed.state == "failed"
    assert failed.error
    assert failed.hint
    database.add_table("(id bigint primary key)", "other")
    database.execute("insert into other values (1)")
    assert len(await database.events("other")) == 1, "the relay must go on"


async def test_pause_and_resume_across_restarts(database: StreamedDatabase) -> None:
    stream_table(database)
    snapshot = signal(database, "t", options=ONE_BLOCK)
    await wait_for_blocks(database, snapshot, 20)
    signal(database, kind="pause-snapshot")
    paused = await wait_for_state(database, snapshot, "paused")
    database.relay.kill()
    database.relay.start()
    database.execute("update t set note = 'meanwhile' where id % 7 = 0")
    await database.catch_up()
    assert state_of(database, snapshot).state == "paused"
    assert state_of(database, snapshot).blocks_done == paused.blocks_done
    assert marks(await stored_events(database, "t", snapshot)) == ["begin"]
    database.relay.stop()
    signal(database, "t", kind="resume-snapshot")
    database.relay.start()
    events = await finish(database, snapshot)
    rows = [(row["id"], row["note"]) for row in snapshot_rows(events)]
    assert len(rows) == len(set(rows))
    assert_exact(database, events)


@pytest.mark.parametrize("relay", ["runs", "is away", "is away, and it is paused"])
async def test_stop(database: StreamedDatabase, relay: str) -> None:
    stream_table(database)
    snapshot = signal(database, "t", options=ONE_BLOCK)
    await wait_for_blocks(database, snapshot, 20)
    if relay.endswith("paused"):
        signal(database, "t", kind="pause-snapshot")
        await wait_for_state(database, snapshot, "paused")
    if relay != "runs":
        database.relay.kill()
    signal(database, "t", kind="stop-snapshot")
    if relay != "runs":
        database.relay.start()
    stopped = await wait_for_state(database, snapshot, "stopped", "completed", "failed")
    assert stopped.state == "stopped"
    await database.catch_up()
    events = await stored_events(database, "t", snapshot)
    assert marks(events) == ["begin", "stopped"]
    assert events[-1].headers["Pgstream-Mark"] == "stopped"
    assert 0 < len(snapshot_rows(events)) == stopped.rows_done < BLOCKS * 14
    again = signal(database, "t")
    assert_exact(database, await finish(database, again))


async def test_a_snapshot_of_a_table_waits_for_the_one_before_it(database: StreamedDatabase) -> None:
    stream_table(database)
    first = signal(database, "t", options={"block_count": 5})
    second = signal(database, "t", options={"block_count": 5})
    third = signal(database, "t")
    signal(database, "t", kind="stop-snapshot")
    await wait_for_state(database, third, "stopped", "completed")
    fourth = signal(database, "t")
    await finish(database, fourth)
    events = [event for event in await stored_events(database, "t") if "Pgstream-Mark" in event.headers]
    told = [(int(event.headers["Pgstream-Snapshot"]), event.headers["Pgstream-Mark"]) for event in events]
    assert told[-2:] == [(fourth, "begin"), (fourth, "end")]
    assert [state_of(database, each).state for each in (first, second, third)] == ["stopped"] * 3


async def test_a_commit_that_waits_for_its_standby_does_not_hide_the_signal(
    database: StreamedDatabase, postgres: EmbeddedPostgres
) -> None:
    """The relay reads the signal from the WAL long before the rows that it wrote are visible."""
    stream_table(database)
    await eventually(database.relay.is_streaming)
    waiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep' and query like 'insert%signals%'"
    sent = "select bool_and(sent_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication"
    with postgres.connect() as server:
        server.execute("alter system set synchronous_standby_names = 'nobody'")
        server.execute("select pg_reload_conf()")
        try:
            await eventually(lambda: server.execute("show synchronous_standby_names").fetchone() == ("nobody",))
            writer = asyncio.create_task(asyncio.to_thread(_signal, database.postgres.dsn(database.name)))
            await eventually(lambda: server.execute(waiting).fetchone() == (1,))
            await eventually(lambda: server.execute(sent).fetchone() == (True,))
        finally:
            server.execute("alter system reset synchronous_standby_names")
            server.execute("select pg_reload_conf()")
        await writer
    ((snapshot,),) = database.execute("select id from pgstream.snapshots")
    assert_exact(database, await finish(database, snapshot))


def _signal(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("insert into pgstream.signals (type, tables) values ('incremental-snapshot', '{t}')")
