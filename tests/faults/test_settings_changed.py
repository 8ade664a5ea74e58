"""Settings that were changed while the relay was down: each change goes where the settings of its time say, once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nats.js.errors import NotFoundError

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.faults.table import Connection, insert, install, numbers
from tests.support.relay import StoredEvent, connected, eventually, read_stream, running_relay, wait_for_events

ROWS = 3000
"""Between two changes of settings."""


def change_everything(connection: Connection, alias: str, second: str) -> None:
    """Rows from 2 on, `ROWS` at a time, under a stream, a subject and a mode that change between them."""
    changes = (
        ("stream = %s", second),
        ("subject = %s", f"{alias}.moved.{{operation}}"),
        ("mode = %s", "ephemeral"),
        ("mode = %s", None),
        ("stream = %s", None),
    )
    insert(connection, 2, ROWS)
    for number, (change, value) in enumerate(changes, start=1):
        connection.execute(f"update pgstream.tables set {change}".encode(), [value])
        insert(connection, number * ROWS + 1, (number + 1) * ROWS)


def placed(events: list[StoredEvent], alias: str) -> list[tuple[str, int]]:
    """Subject below the alias and number, of each event."""
    return [(event.subject.removeprefix(f"{alias}."), event.data["after"]["id"]) for event in events]


def expected(database: str, second: str) -> dict[str, list[tuple[str, int]]]:
    """What each stream must hold in the end."""
    default = [("public.t.insert", number) for number in range(1, ROWS + 1)]
    default += [("moved.insert", number) for number in range(5 * ROWS + 1, 6 * ROWS + 2)]
    moved = [("public.t.insert", number) for number in range(ROWS + 1, 2 * ROWS + 1)]
    moved += [
        ("moved.insert", number) for number in (*range(2 * ROWS + 1, 3 * ROWS + 1), *range(4 * ROWS + 1, 5 * ROWS + 1))
    ]
    return {f"PGSTREAM_{database}": default, second: moved}


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "in one transaction"])
async def test_events_that_were_not_read_yet_go_where_the_settings_of_their_time_say(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str, *, at_once: bool
) -> None:
    first, second = f"PGSTREAM_{database}", f"SECOND_{database}"
    install(postgres, database)
    with postgres.connect(database) as connection, running_relay(postgres.dsn(database), nats.url) as relay:
        connection.execute("insert into pgstream.streams (name, duplicate_window) values (%s, '1 s')", [second])
        insert(connection, 1)
        await wait_for_events(nats.url, first, 1)
        relay.kill()
        if at_once:
            with connection.transaction():
                change_everything(connection, database, second)
        else:
            change_everything(connection, database, second)

        ephemeral: list[str] = []
        async with connected(nats.url) as client:

            async def receive(message: Any) -> None:
                if b'"id":' in message.data and not message.reply:
                    ephemeral.append(message.subject)

            await client.subscribe(f"{database}.moved.>", cb=receive)
            await client.flush()
            jetstream = client.jetstream()

            async def stored(stream: str) -> int:
                try:
                    return (await jetstream.stream_info(stream)).state.messages
                except NotFoundError:
                    return 0

            # Each kill comes while the relay is at work behind another change of the settings.
            for stream, least in (
                (first, 2),
                (second, 1),
                (second, ROWS + 1),
                (second, 2 * ROWS + 1),
                (first, ROWS + 1),
            ):

                async def reached(stream: str = stream, least: int = least) -> bool:
                    return await stored(stream) >= least

                relay.start()
                await eventually(reached, otherwise=lambda: relay.log)
                relay.kill()
            relay.start()
            insert(connection, 6 * ROWS + 1)

            async def complete() -> bool:
                last = await jetstream.get_last_msg(first, f"{database}.moved.insert")
                return f'"id":{6 * ROWS + 1},'.encode() in (last.data or b"")

            await eventually(complete, otherwise=lambda: relay.log)
        assert await asyncio.to_thread(relay.stop) == 0
        for stream, events in expected(database, second).items():
            assert placed(await read_stream(nats.url, stream), database) == events
        assert len(ephemeral) >= ROWS


async def stop_behind_row(
    connection: Connection, postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str, number: int
) -> None:
    """Runs a relay until that row is in the default stream and confirmed."""
    with running_relay(postgres.dsn(database), nats.url) as relay:
        insert(connection, number)
        await wait_for_events(nats.url, f"PGSTREAM_{database}", number)
        assert await asyncio.to_thread(relay.stop) == 0


async def test_a_relay_that_died_before_the_streams_followed_the_settings_is_no_obstacle(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    """The settings are kept, and their subject is still another stream's."""
    second = f"SECOND_{database}"
    install(postgres, database)
    with postgres.connect(database) as connection:
        await stop_behind_row(connection, postgres, nats, database, 1)
        connection.execute("insert into pgstream.streams (name) values (%s)", [second])
        connection.execute("update pgstream.tables set stream = %s", [second])
        connection.execute(
            "update pgstream.relay_state set control = pgstream.control_rows(), lsn = pg_current_wal_insert_lsn()"
        )
        with running_relay(postgres.dsn(database), nats.url):
            insert(connection, 2)
            assert numbers(await wait_for_events(nats.url, second, 1)) == [2]


async def test_a_relay_that_died_after_the_streams_had_followed_the_settings_goes_back_with_them(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    """What was not stored before the change goes where it had to go then, whichever stream has the subject now."""
    first, second = f"PGSTREAM_{database}", f"SECOND_{database}"
    install(postgres, database)
    with postgres.connect(database) as connection:
        await stop_behind_row(connection, postgres, nats, database, 1)
        insert(connection, 2)
        with connection.transaction():
            insert(connection, 3)
            connection.execute("insert into pgstream.streams (name) values (%s)", [second])
            connection.execute("update pgstream.tables set stream = %s", [second])
            insert(connection, 4)
        async with connected(nats.url) as client:
            jetstream = client.jetstream()
            config = (await jetstream.stream_info(first)).config
            subjects = config.subjects
            await jetstream.update_stream(config, subjects=[f"_pgstream.placeholder.{first}"])
            await jetstream.add_stream(name=second, subjects=subjects, metadata=config.metadata)
        with running_relay(postgres.dsn(database), nats.url) as relay:
            assert numbers(await wait_for_events(nats.url, second, 1)) == [4]
            assert numbers(await read_stream(nats.url, first)) == [1, 2, 3]
            assert "takes the newest" not in relay.log
