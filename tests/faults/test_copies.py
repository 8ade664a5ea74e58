"""A stream belongs to one database: copies are refused, and go on under an alias or by adopting the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.faults.table import Connection, insert, install, numbers, status
from tests.support.relay import (
    RelayProcess,
    connected,
    eventually,
    install_pgstream,
    read_stream,
    run_command,
    running_relay,
    wait_for_events,
)


@pytest.fixture
def second(postgres: EmbeddedPostgres, database: str) -> Iterator[str]:
    """The name of a second database, which the test makes; it goes first, as the other may be its template."""
    name = f"{database}_second"
    yield name
    with postgres.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(active_pid, 5000) from pg_replication_slots"
            " where database = %s and active_pid is not null",
            [name],
        )
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", [name]
        )
        connection.execute(f'drop database if exists "{name}" with (force)'.encode())


async def wait_for_status(connection: Connection, state: str) -> tuple[str, str]:
    """Error and hint, once pgstream.status has that state and both."""

    def told() -> tuple[str, str] | None:
        now, error, hint = status(connection)
        return (error, hint) if now == state and error and hint else None

    found = await eventually(told, otherwise=lambda: f"{status(connection)} and not {state}")
    assert found is not None
    return found


async def test_a_clone_stays_off_the_originals_stream_and_gets_its_own_by_alias_and_install(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str, second: str
) -> None:
    stream = f"PGSTREAM_{database}"
    install(postgres, database)
    with running_relay(postgres.dsn(database), nats.url) as relay, postgres.connect(database) as connection:
        insert(connection, 1)
        await wait_for_events(nats.url, stream, 1)
        connection.close()
        assert await asyncio.to_thread(relay.stop) == 0
    with postgres.connect() as connection:
        connection.execute(f'create database "{second}" template "{database}"'.encode())

    with (
        running_relay(postgres.dsn(database), nats.url),
        postgres.connect(database) as original,
        postgres.connect(second) as clone,
    ):
        with RelayProcess.of(postgres.dsn(second), nats.url) as refused:
            insert(clone, 100)
            # It waits for a person, and is the only database of that relay: the process says so and ends.
            assert await asyncio.to_thread(refused.wait) == 78
            assert "copy" in refused.log
        state, error, hint = status(clone)
        assert state == "offline"
        assert error is not None
        assert "copy" in error
        assert hint is not None
        assert "pgstream install" in hint

        alias = f"{second}_alias"
        clone.execute("update pgstream.settings set database = %s", [alias])
        install_pgstream(postgres.dsn(second))
        assert status(clone)[0] == "offline"
        with running_relay(postgres.dsn(second), nats.url):
            insert(clone, 101)
            insert(original, 2)
            own = await wait_for_events(nats.url, f"PGSTREAM_{alias}", 1)
            await wait_for_events(nats.url, stream, 2)
        assert [(event.subject, event.data["after"]["id"]) for event in own] == [(f"{alias}.public.t.insert", 101)]
        assert numbers(await read_stream(nats.url, stream)) == [1, 2]


async def test_a_stream_of_another_database_is_refused_until_the_settings_name_another(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str, second: str
) -> None:
    stream = f"PGSTREAM_{database}"
    with postgres.connect() as connection:
        connection.execute(f'create database "{second}"'.encode())
    install(postgres, database)
    install(postgres, second)
    with postgres.connect(database) as owner, postgres.connect(second) as other:
        with running_relay(postgres.dsn(database), nats.url):
            insert(owner, 1)
            await wait_for_events(nats.url, stream, 1)
        other.execute("update pgstream.settings set stream = %s", [stream])
        insert(other, 100)
        with running_relay(postgres.dsn(second), nats.url) as relay:
            error, hint = await wait_for_status(other, "stalled")
            assert stream in error
            assert "--adopt-stream" in hint
            assert relay.running
            assert numbers(await read_stream(nats.url, stream)) == [1]

            other.execute("update pgstream.settings set stream = null")
            insert(other, 101)
            own = await wait_for_events(nats.url, f"PGSTREAM_{second}", 2)
            assert numbers(own) == [100, 101]
            await eventually(lambda: status(other)[0] == "streaming")
        assert numbers(await read_stream(nats.url, stream)) == [1]


async def test_an_adopted_stream_changes_hands_with_its_oversize_events_and_back(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str, second: str
) -> None:
    stream = f"PGSTREAM_{database}"
    with postgres.connect() as connection:
        connection.execute(f'create database "{second}"'.encode())
    install(postgres, database)
    install(postgres, second)
    with postgres.connect(database) as former, postgres.connect(second) as latter:
        # As after a restore into another database: everything is named alike.
        latter.execute("update pgstream.settings set database = %s", [database])
        with running_relay(postgres.dsn(database), nats.url) as old:
            former.execute("insert into t values (1, repeat('x', 1500000))")
            insert(former, 2)
            await wait_for_events(nats.url, stream, 2)
            old.kill()
        insert(latter, 100)
        with running_relay(postgres.dsn(second), nats.url) as new:
            await wait_for_status(latter, "stalled")
            run_command("install", "--dsn", postgres.dsn(second), "--adopt-stream")
            latter.execute("insert into t values (101, repeat('y', 1500000))")
            events = await wait_for_events(nats.url, stream, 4)
            assert [event.headers.get("Pgstream-Object") is not None for event in events] == [True, False, False, True]
            assert "took a stream over" in new.log
            assert latter.execute("select count(*) from pgstream.adoptions where done_at is null").fetchone() == (0,)
            new.kill()
        with running_relay(postgres.dsn(second), nats.url):
            # Where the new owner stands is found although another's events stand below.
            insert(latter, 102)
            await wait_for_events(nats.url, stream, 5)
            insert(former, 3)
            with running_relay(postgres.dsn(database), nats.url):
                await wait_for_status(former, "stalled")
                run_command("install", "--dsn", postgres.dsn(database), "--adopt-stream")
                events = await wait_for_events(nats.url, stream, 6)
                insert(latter, 103)
                error, _hint = await wait_for_status(latter, "stalled")
                assert stream in error
        assert numbers(await read_stream(nats.url, stream)) == [None, 2, 100, None, 102, 3]
        async with connected(nats.url) as client:
            bucket = await client.jetstream().object_store(f"pgstream_{database}_oversize")
            sizes = [(entry.name, entry.size) for entry in await bucket.list()]
        assert {name for name, _ in sizes} == {events[index].document["id"] for index in (0, 3)}
