"""Somebody drops the publication, or takes a table out of it: never a hole that nobody hears of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.relay import run_command
from tests.support.streamed import StreamedDatabase, streamed_database
from tests.support.waiting import eventually


@pytest.fixture
def database(postgres: EmbeddedPostgres, nats: EmbeddedNats) -> Iterator[StreamedDatabase]:
    with streamed_database(postgres, nats) as streamed:
        streamed.add_table("(id int primary key)")
        yield streamed


async def test_a_dropped_publication_stops_the_relay_before_it_confirms_what_was_skipped(
    database: StreamedDatabase,
) -> None:
    database.execute("insert into t values (1)")
    await database.catch_up()
    database.execute("drop publication pgstream")
    database.execute("insert into t values (2)")
    ((skipped,),) = database.execute("select pg_current_wal_insert_lsn()")
    # It waits for a person, and is the only database: the process says so and ends.
    assert await asyncio.to_thread(database.relay.wait) == 78
    state, error, hint = database.status()
    assert (state, "publication pgstream" in error) == ("stalled", True)
    assert "pgstream install --new-slot" in hint
    ((behind,),) = database.execute(
        "select confirmed_flush_lsn < %s::pg_lsn from pg_replication_slots where database = current_database()", skipped
    )
    assert behind
    # The publication comes back, but no change before that can ever be read from this slot.
    assert "--new-slot" in run_command("install", "--dsn", database.postgres.dsn(database.name), check=False).stderr
    database.relay.start()
    assert await asyncio.to_thread(database.relay.wait) == 78
    run_command("install", "--dsn", database.postgres.dsn(database.name), "--new-slot")
    # The tables went with the publication: table_status names the UPDATE that brings each back.
    database.execute("update pgstream.tables set enabled = enabled")
    database.execute("insert into t values (3)")
    database.relay.start()
    await database.catch_up()
    await database.wait_for_state("streaming")
    events = await database.events()
    assert [event.document["table"] for event in events] == ["t", "gaps", "t"]
    assert [event.data["after"].get("id") for event in events] == [1, None, 3]
    assert database.execute("select problem from pgstream.table_status") == [(None,)]


async def test_a_table_taken_out_by_hand_shows_as_a_problem_and_its_row_mends_it(database: StreamedDatabase) -> None:
    database.execute("insert into t values (1)")
    database.execute("alter publication pgstream drop table t")
    database.execute("insert into t values (2)")

    def problem() -> str:
        ((problem, hint),) = database.execute("select problem, hint from pgstream.table_status")
        return f"{problem} {hint}" if problem else ""

    assert "UPDATE" in await eventually(problem)
    database.execute("update pgstream.tables set enabled = enabled")
    assert not problem()
    database.execute("insert into t values (3)")
    assert [event.data["after"]["id"] for event in await database.events("t")] == [1, 3]
