"""A table without a key is copied while it is written to: what a consumer holds is the table, then and later."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from tests.faults.full.judge import judge, rows_of
from tests.faults.full.stage import add_keyless, halted, signal, snapshot, wait_for, wait_for_rows
from tests.faults.full.writers import overlapping, writing
from tests.faults.snapshots.sync_standby import SlowStandby
from tests.support.streamed import StreamedDatabase

ROWS = 8000
OTHER = "create table other (id int generated always as identity primary key, note text)"


def prepare(streamed: StreamedDatabase, rows: int = ROWS) -> list[str]:
    """Both tables of the writers; the rows of `k`."""
    add_keyless(streamed, rows=rows)
    streamed.execute(OTHER)
    streamed.execute("insert into pgstream.tables (table_name) values ('other')")
    return rows_of(streamed, "k")


@pytest.mark.parametrize("commits", ["at once", "delayed"])
async def test_a_keyless_table_under_writers_is_copied_exactly(
    streamed: StreamedDatabase, postgres: EmbeddedPostgres, commits: str
) -> None:
    initial = prepare(streamed)
    with ExitStack() as stack:
        if commits == "delayed":
            stack.enter_context(SlowStandby(postgres))
        writers = stack.enter_context(writing(streamed))
        for _ in range(2):
            await asyncio.sleep(0.3)
            signal(streamed, "full-snapshot", "k")
            await wait_for(streamed, "completed")
        await asyncio.sleep(0.2)
    found = await judge(streamed, "k", initial)
    assert found.marks == ["begin", "end"] * 2
    assert found.snapshot_rows == snapshot(streamed).rows_done > ROWS // 2
    assert sum(writer.transactions for writer in writers) > 50
    assert found.changes > 50


async def test_what_is_committed_while_the_point_is_looked_for_comes_before_the_begin(
    streamed: StreamedDatabase,
) -> None:
    initial = prepare(streamed, rows=1000)
    with overlapping(streamed, seconds=0.3):
        signal(streamed, "full-snapshot", "k")
        while snapshot(streamed).state == "pending":
            streamed.execute("insert into k select -1, 'meanwhile', g, 'x' from generate_series(1, 50) g")
            await asyncio.sleep(0.01)
        await wait_for(streamed, "completed")
    await judge(streamed, "k", initial)


async def test_a_killed_relay_starts_over_and_the_consumer_can_tell(streamed: StreamedDatabase) -> None:
    initial = prepare(streamed)
    with writing(streamed):
        await asyncio.sleep(0.3)
        async with halted(streamed):
            streamed.relay.kill()
        streamed.relay.start()
        await wait_for(streamed, "completed")
        await asyncio.sleep(0.2)
    found = await judge(streamed, "k", initial)
    assert found.marks == ["begin", "begin", "end"]


async def test_an_end_that_was_published_and_not_noted_is_not_published_again(streamed: StreamedDatabase) -> None:
    initial = prepare(streamed, rows=100)
    # Nothing can be noted from the moment on at which the end is written.
    streamed.execute(
        "create function pgstream.wait() returns trigger language plpgsql as $$ begin"
        " if new.state = 'completed' then perform pg_sleep(60); end if; return new; end $$"
    )
    streamed.execute(
        "create trigger wait before update on pgstream.snapshots for each row execute function pgstream.wait()"
    )
    signal(streamed, "full-snapshot", "k")
    await wait_for_rows(streamed, 101)
    streamed.relay.kill()
    streamed.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where wait_event = 'PgSleep'")
    streamed.execute("drop function pgstream.wait cascade")
    streamed.execute("insert into k values (1)")
    streamed.relay.start()
    assert (await wait_for(streamed, "completed")).rows_done == 100
    found = await judge(streamed, "k", initial)
    assert found.marks == ["begin", "end"]


async def test_tables_of_one_signal_follow_one_another_also_beside_an_incremental_snapshot(
    streamed: StreamedDatabase,
) -> None:
    initial = prepare(streamed)
    add_keyless(streamed, "k2", rows=2000)
    second = rows_of(streamed, "k2")
    streamed.execute("insert into other (note) select 'other' from generate_series(1, 20000)")
    with writing(streamed):
        signal(streamed, "incremental-snapshot", "other")
        signal(streamed, "full-snapshot", "k", "k2")
        for table in ("k", "k2", "other"):
            await wait_for(streamed, "completed", table=table)
    assert (await judge(streamed, "k", initial)).marks == ["begin", "end"]
    assert (await judge(streamed, "k2", second)).marks == ["begin", "end"]
