"""A gap is never silent: a lost slot, and a stream that came back without its tail."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import psycopg

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.relay import RelayProcess, eventually, install_pgstream, run_command, running_relay, wait_for_events

Connection = psycopg.Connection[tuple[Any, ...]]


def install(postgres: EmbeddedPostgres, database: str) -> None:
    install_pgstream(postgres.dsn(database))
    with postgres.connect(database) as connection:
        connection.execute("create table t (id int primary key)")
        connection.execute("insert into pgstream.tables (table_name) values ('t')")


async def test_a_dropped_slot_is_lost_until_an_install_makes_a_new_one_and_the_streams_are_told(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    stream = f"PGSTREAM_{database}"
    install(postgres, database)
    with postgres.connect(database) as connection:
        with running_relay(postgres.dsn(database), nats.url) as relay:
            connection.execute("insert into t values (1)")
            await wait_for_events(nats.url, stream, 1)
            assert await asyncio.to_thread(relay.stop) == 0
        connection.execute("select pg_drop_replication_slot(%s)", [f"pgstream_{database}"])
        connection.execute("insert into t values (2)")
        with RelayProcess.of(postgres.dsn(database), nats.url) as relay:
            # It waits for a person, and is the only database: the process says so and ends.
            assert await asyncio.to_thread(relay.wait) == 78
            assert "install --new-slot" in relay.log
        assert connection.execute("select state from pgstream.status").fetchone() == ("lost",)
        run_command("install", "--dsn", postgres.dsn(database), "--new-slot")
        connection.execute("insert into t values (3)")
        with running_relay(postgres.dsn(database), nats.url):
            events = await wait_for_events(nats.url, stream, 3)
        assert [event.data["after"].get("id") for event in events] == [1, None, 3]
        gap = events[1]
        assert (gap.document["schema"], gap.document["table"], gap.operation) == ("pgstream", "gaps", "unknown")
        assert gap.subject == f"{database}.pgstream.gaps.unknown"
        row = connection.execute(
            "select from_lsn::text, to_lsn::text, published_at is not null from pgstream.gaps"
        ).fetchone()
        assert row is not None
        assert gap.headers["Pgstream-Gap"] == f"{row[0]}-{row[1]}"
        assert gap.data["after"]["to_lsn"] == row[1]
        assert row[2]
        with running_relay(postgres.dsn(database), nats.url):
            connection.execute("insert into t values (4)")
            events = await wait_for_events(nats.url, stream, 4)
        assert [event.data["after"].get("id") for event in events] == [1, None, 3, 4]


async def test_a_stream_that_lost_its_tail_is_noticed(postgres: EmbeddedPostgres, database: str) -> None:
    stream = f"PGSTREAM_{database}"
    install(postgres, database)
    with EmbeddedNats() as nats, postgres.connect(database) as connection:
        with running_relay(postgres.dsn(database), nats.url) as relay:
            connection.execute("insert into t values (1)")
            await wait_for_events(nats.url, stream, 1)
            assert await asyncio.to_thread(relay.stop) == 0
        nats.stop()
        shutil.copytree(nats.directory / "store", nats.directory / "older")
        nats.start()
        with running_relay(postgres.dsn(database), nats.url) as relay:
            connection.execute("insert into t values (2)")
            connection.execute("insert into t values (3)")
            await wait_for_events(nats.url, stream, 3)
            assert await asyncio.to_thread(relay.stop) == 0
        # What a power loss does to a machine whose disk had not seen the last messages yet.
        nats.stop()
        shutil.rmtree(nats.directory / "store")
        shutil.move(nats.directory / "older", nats.directory / "store")
        nats.start()
        with running_relay(postgres.dsn(database), nats.url):
            connection.execute("insert into t values (4)")
            events = await wait_for_events(nats.url, stream, 3)
        assert [event.data["after"].get("id") for event in events] == [1, None, 4]
        assert stream in events[1].data["after"]["reason"]
        assert connection.execute("select count(*) from pgstream.gaps where published_at is not null").fetchone() == (
            1,
        )


async def test_a_stream_that_was_deleted_goes_on_from_the_confirmed_position(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    from tests.support.relay import connected

    stream = f"PGSTREAM_{database}"
    install(postgres, database)
    with postgres.connect(database) as connection, running_relay(postgres.dsn(database), nats.url) as relay:
        connection.execute("insert into t values (1)")
        await wait_for_events(nats.url, stream, 1)

        async def confirmed() -> bool:
            row = connection.execute(
                "select confirmed_flush_lsn >= (select max(published_lsn) from pgstream.relays)"
                " and exists (select from pgstream.relay_positions) from pg_replication_slots where database = %s",
                [database],
            ).fetchone()
            return row == (True,)

        await eventually(confirmed)
        async with connected(nats.url) as client:
            await client.jetstream().delete_stream(stream)
        connection.execute("insert into t values (2)")
        events = await wait_for_events(nats.url, stream, 1)
        assert [event.data["after"]["id"] for event in events] == [2]
        assert "made anew" in relay.log
        assert connection.execute("select count(*) from pgstream.gaps").fetchone() == (0,)
