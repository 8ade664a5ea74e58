"""A setting that NATS refuses for good: the database stalls with a hint, and an UPDATE of the row mends it."""

from __future__ import annotations

from nats.js.api import StreamConfig

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.relay import connected, eventually, install_pgstream, running_relay, wait_for_events


async def test_a_subject_that_another_stream_has_is_mended_by_an_update_and_nothing_is_lost(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    stream = f"PGSTREAM_{database}"
    async with connected(nats.url) as client:
        await client.jetstream().add_stream(StreamConfig(name=f"FOREIGN_{database}", subjects=[f"{database}_taken.>"]))
    install_pgstream(postgres.dsn(database))
    with running_relay(postgres.dsn(database), nats.url) as relay, postgres.connect(database) as connection:
        connection.execute("create table good (id int primary key)")
        connection.execute("create table bad (id int primary key)")
        connection.execute("insert into pgstream.tables (table_name) values ('good')")
        connection.execute("insert into good values (1)")
        await wait_for_events(nats.url, stream, 1)
        connection.execute(
            "insert into pgstream.tables (table_name, subject) values ('bad', %s)", [f"{database}_taken.{{operation}}"]
        )
        connection.execute("insert into bad values (2)")
        connection.execute("insert into good values (3)")

        async def stalled() -> str | None:
            row = connection.execute("select state, error, hint from pgstream.status").fetchone()
            return f"{row[1]} {row[2]}" if row is not None and row[0] == "stalled" and row[1] else None

        said = await eventually(stalled)
        assert said is not None
        assert "UPDATE" in said
        assert f"FOREIGN_{database}" in said
        connection.execute("update pgstream.tables set subject = null where table_name = 'bad'")
        events = await wait_for_events(nats.url, stream, 3)
        assert [(event.subject, event.data["after"]["id"]) for event in events] == [
            (f"{database}.public.good.insert", 1),
            (f"{database}.public.bad.insert", 2),
            (f"{database}.public.good.insert", 3),
        ]

        async def streaming() -> bool:
            return connection.execute("select state from pgstream.status").fetchone() == ("streaming",)

        await eventually(streaming)
        assert relay.running
