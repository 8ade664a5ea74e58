"""Snapshots as a DBA asks for them, with a real relay, and nobody superuser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.relay import StoredEvent, read_stream, run_command, running_relay, wait_for_events
from tests.support.roles import dropped_grants

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def roles(postgres: EmbeddedPostgres, database: str) -> Iterator[dict[str, str]]:
    """A member of pgstream_dba who owns table t of ten rows, and a role for the relay; their names by part."""
    names = {part: f"{part}_{database}" for part in ("owner", "relay")}
    run_command("install", "--dsn", postgres.dsn(database), "--relay-role", names["relay"])
    with postgres.connect(database) as admin:
        admin.execute(f'create role "{names["owner"]}" login in role pgstream_dba')
        admin.execute(f'grant create on schema public to "{names["owner"]}"')
    with postgres.connect(database, user=names["owner"]) as owner:
        owner.execute("create table t (id int primary key, note text)")
        owner.execute("insert into t select i, 'note ' || i from generate_series(1, 10) as i")
    with dropped_grants(postgres, database, names.values()):
        yield names


def told(events: Sequence[StoredEvent]) -> list[str | int]:
    """Marks by name, rows by their id, of what snapshots published."""
    return [
        event.headers.get("Pgstream-Mark") or event.data["after"]["id"]
        for event in events
        if event.operation == "snapshot"
    ]


async def test_a_right_that_is_missing_is_told_and_then_all_is_read(
    roles: dict[str, str], postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    stream = f"PGSTREAM_{database}"
    follow = ("snapshot", "t", "--follow", "--dsn", postgres.dsn(database, user=roles["owner"]))
    with (
        running_relay(postgres.dsn(database, user=roles["relay"]), nats.url),
        postgres.connect(database, user=roles["owner"]) as owner,
    ):
        owner.execute("insert into pgstream.tables (table_name) values ('t')")
        refused = await asyncio.to_thread(run_command, *follow, check=False)
        assert refused.returncode == 1, refused.stdout
        assert f"GRANT SELECT ON public.t TO {roles['relay']};" in refused.stderr
        assert "the snapshot of public.t failed" in refused.stderr

        owner.execute(f'grant select on t to "{roles["relay"]}"')
        done = await asyncio.to_thread(run_command, *follow)
        assert "public.t: completed 100 %, 10 rows" in done.stdout
        assert done.stderr == ""
        await asyncio.to_thread(run_command, *follow, "--full")
        ended = ["begin", *range(1, 11), "end"]
        assert told(await read_stream(nats.url, stream)) == ["begin", "failed", *ended, *ended]


async def test_an_initial_snapshot_and_one_of_some_rows(
    roles: dict[str, str], postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    stream = f"PGSTREAM_{database}"
    with (
        running_relay(postgres.dsn(database, user=roles["relay"]), nats.url),
        postgres.connect(database, user=roles["owner"]) as owner,
    ):
        owner.execute(f'grant select on t to "{roles["relay"]}"')
        owner.execute("insert into pgstream.tables (table_name, initial_snapshot) values ('t', true)")
        assert told(await wait_for_events(nats.url, stream, 12)) == ["begin", *range(1, 11), "end"]
        owner.execute(
            "insert into pgstream.signals (type, tables, options)"
            """ values ('incremental-snapshot', '{t}', '{"row_filter": "id in (3, 4) or note like ''%7''"}')"""
        )
        assert told(await wait_for_events(nats.url, stream, 17))[12:] == ["begin", 3, 4, 7, "end"]


async def test_after_a_gap_all_tables_are_read_again(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    stream = f"PGSTREAM_{database}"
    dsn = postgres.dsn(database)
    run_command("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        connection.execute("create table t (id int primary key); create table keyless (id int)")
        connection.execute("insert into t values (1); insert into keyless values (7)")
        connection.execute("insert into pgstream.tables (table_name) values ('t'), ('keyless')")
        with running_relay(dsn, nats.url) as relay:
            connection.execute("insert into t values (2)")
            await wait_for_events(nats.url, stream, 1)
            assert await asyncio.to_thread(relay.stop) == 0
        # One that was under way has read rows which the gap may have changed.
        connection.execute("insert into pgstream.signals (type, tables) values ('incremental-snapshot', '{t}')")
        connection.execute("update pgstream.snapshots set state = 'running', blocks_total = 9, blocks_done = 9")
        connection.execute("select pg_drop_replication_slot(%s)", [f"pgstream_{database}"])
        connection.execute("update t set id = 3 where id = 1")
        run_command("install", "--dsn", dsn, "--new-slot", "--snapshot")
        with running_relay(dsn, nats.url):
            events = await wait_for_events(nats.url, stream, 9)
    assert [event.operation for event in events[:2]] == ["insert", "unknown"]
    by_table = {name: told([event for event in events if event.document["table"] == name]) for name in ("t", "keyless")}
    assert by_table == {"t": ["begin", 2, 3, "end"], "keyless": ["begin", 7, "end"]}
