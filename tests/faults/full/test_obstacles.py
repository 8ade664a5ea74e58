"""What keeps a full snapshot from its point, or ends it: the row says so with a hint, and the events go on."""

from __future__ import annotations

import asyncio
import sys

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.faults.full.judge import judge, rows_of
from tests.faults.full.stage import add_keyless, halted, readers, signal, snapshot, wait_for
from tests.faults.full.writers import overlapping
from tests.support.relay import RelayProcess, eventually, run_command
from tests.support.streamed import StreamedDatabase, streamed_database

IMPATIENT = (sys.executable, "-m", "tests.faults.full.impatient_relay")
SCARCE = {"max_replication_slots": "1", "max_wal_senders": "1"}
LIMITED = {"max_slot_wal_keep_size": "64MB", "wal_keep_size": "0", "max_wal_size": "64MB", "min_wal_size": "32MB"}


@pytest.mark.parametrize("prepared", [False, True])
async def test_an_open_transaction_is_waited_for_and_the_events_go_on(
    streamed: StreamedDatabase, prepared: bool
) -> None:
    add_keyless(streamed, rows=100)
    initial = rows_of(streamed, "k")
    with psycopg.connect(streamed.postgres.dsn(streamed.name), autocommit=True) as connection:
        connection.execute("begin; insert into k values (1, 'open', 1, 'x')")
        if prepared:
            connection.execute(f"prepare transaction '{streamed.name}'".encode())
        signal(streamed, "full-snapshot", "k")
        waits = await wait_for(streamed, "pending", "transactions that are open", "pg_prepared_xacts")
        assert waits.rows_done == 0
        for number in range(3):
            streamed.execute("insert into k values (%s, 'goes on', 1, 'x')", number)
            await streamed.catch_up()
        connection.execute(f"commit prepared '{streamed.name}'".encode() if prepared else b"commit")
    done = await wait_for(streamed, "completed")
    assert (done.error, done.rows_done) == ("", 104)
    assert (await judge(streamed, "k", initial)).marks == ["begin", "end"]


async def test_a_point_that_is_not_found_in_time_gives_the_events_free_and_is_looked_for_again(
    postgres: EmbeddedPostgres, nats: EmbeddedNats
) -> None:
    with streamed_database(postgres, nats, program=IMPATIENT) as streamed:
        add_keyless(streamed, rows=100)
        initial = rows_of(streamed, "k")
        with overlapping(streamed, seconds=1):
            signal(streamed, "full-snapshot", "k")
            await wait_for(streamed, "pending", "no consistent point was found")
            await streamed.catch_up()
            assert snapshot(streamed).state == "pending"
        await wait_for(streamed, "completed")
        assert (await judge(streamed, "k", initial)).marks == ["begin", "end"]


async def test_without_a_slot_to_spare_it_fails_and_the_events_go_on(nats: EmbeddedNats) -> None:
    with EmbeddedPostgres(settings=SCARCE) as postgres, streamed_database(postgres, nats) as streamed:
        add_keyless(streamed, rows=10)
        signal(streamed, "full-snapshot", "k")
        await wait_for(streamed, "failed", "max_wal_senders", "max_replication_slots")
        streamed.execute("insert into k values (1)")
        await streamed.catch_up()


async def test_it_ends_before_the_slot_would_be_lost(nats: EmbeddedNats) -> None:
    with EmbeddedPostgres(settings=LIMITED) as postgres, streamed_database(postgres, nats) as streamed:
        add_keyless(streamed, rows=12_000)
        initial = rows_of(streamed, "k")
        async with halted(streamed):
            for number in range(60):
                streamed.execute("insert into k values (%s, 'must not be lost', 1, 'x')", number)
                streamed.execute("select pg_logical_emit_message(true, 'x', repeat('x', 1000000))")
                await asyncio.sleep(0.1)
                if not readers(streamed):
                    break
        await wait_for(streamed, "failed", "max_slot_wal_keep_size", "incremental-snapshot")
        assert (await judge(streamed, "k", initial, copied=False)).marks == ["begin", "failed"]
        streamed.execute("checkpoint")
        assert streamed.execute("select wal_status <> 'lost' from pg_replication_slots") == [(True,)]


@pytest.mark.parametrize(
    ("obstacle", "words", "remedy"),
    [
        ("revoke all on k from {role}", ("may not read", "GRANT SELECT"), "grant select on k to {role}"),
        ("alter table k enable row level security", ("row-level security", "BYPASSRLS"), "alter role {role} bypassrls"),
    ],
    ids=["no SELECT", "RLS"],
)
async def test_what_the_relay_may_not_read_fails_with_the_remedy(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, obstacle: str, words: tuple[str, ...], remedy: str
) -> None:
    with streamed_database(postgres, nats, start=False) as streamed:
        role = f"relay_{streamed.name}"
        run_command("install", "--dsn", postgres.dsn(streamed.name), "--relay-role", role)
        streamed.relay = RelayProcess.of(postgres.dsn(streamed.name, user=role), nats.url)
        add_keyless(streamed, rows=10)
        initial = rows_of(streamed, "k")
        streamed.execute(f"grant select on k to {role}")
        streamed.execute(obstacle.format(role=role))
        with streamed.relay:
            signal(streamed, "full-snapshot", "k")
            await wait_for(streamed, "failed", *words, role)
            streamed.execute("insert into k values (1)")
            await streamed.catch_up()
            streamed.execute(remedy.format(role=role))
            signal(streamed, "full-snapshot", "k", row_filter="a >= 0")
            await wait_for(streamed, "completed")
            assert (await judge(streamed, "k", initial)).marks[-2:] == ["begin", "end"]
        streamed.execute(f"drop owned by {role}")


async def test_a_dropped_table_fails_also_after_its_begin(streamed: StreamedDatabase) -> None:
    add_keyless(streamed, rows=8000)
    async with halted(streamed):
        streamed.relay.kill()
    await eventually(lambda: not readers(streamed))
    streamed.execute("drop table k")
    streamed.relay.start()
    await wait_for(streamed, "failed", "does not exist")
    marks = [event.headers.get("Pgstream-Mark") for event in await streamed.events("k")]
    assert [mark for mark in marks if mark] == ["begin", "failed"]


async def test_a_reader_that_is_ended_makes_it_begin_again(streamed: StreamedDatabase) -> None:
    add_keyless(streamed, rows=12_000)
    initial = rows_of(streamed, "k")
    async with halted(streamed):
        for pid in readers(streamed):
            streamed.execute("select pg_terminate_backend(%s, 5000)", pid)
    await wait_for(streamed, "completed")
    assert (await judge(streamed, "k", initial)).marks == ["begin", "begin", "end"]
