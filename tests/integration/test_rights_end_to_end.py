"""The main job without any superuser: an owner who is a member of pgstream_dba, and a relay with REPLICATION."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.relay import eventually, run_command, running_relay, wait_for_events
from tests.support.roles import dropped_grants

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def roles(postgres: EmbeddedPostgres, database: str) -> Iterator[dict[str, str]]:
    """Two members of pgstream_dba of whom one owns the tables, and a role for the relay; their names by part."""
    names = {part: f"{part}_{database}" for part in ("owner", "member", "relay")}
    run_command("install", "--dsn", postgres.dsn(database), "--relay-role", names["relay"], "--no-slot")
    with postgres.connect(database) as admin:
        for part in ("owner", "member"):
            admin.execute(f'create role "{names[part]}" login in role pgstream_dba')
        admin.execute(f'grant create on schema public to "{names["owner"]}"')
    run_command("install", "--dsn", postgres.dsn(database), "--relay-role", names["relay"])
    with dropped_grants(postgres, database, names.values()):
        yield names


async def test_nobody_is_superuser(
    roles: dict[str, str], postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    with (
        running_relay(postgres.dsn(database, user=roles["relay"]), nats.url),
        postgres.connect(database, user=roles["owner"]) as owner,
        postgres.connect(database, user=roles["member"]) as member,
    ):
        superusers = owner.execute(
            "select rolname from pg_roles where rolsuper and rolname = any(%s)", [list(roles.values())]
        ).fetchall()
        assert superusers == []
        owner.execute("create table t (id int primary key, note text)")
        owner.execute("insert into pgstream.tables (table_name) values ('t')")
        owner.execute("insert into t values (1, 'a')")
        for statement in (
            "update pgstream.tables set enabled = false",
            "delete from pgstream.tables",
            "alter table t replica identity default",
            "insert into pgstream.tables (table_name) values ('t') on conflict (table_schema, table_name) do update set mode = 'ephemeral'",  # noqa: E501
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                member.execute(statement)
        owner.execute("update t set note = 'b'")
        owner.execute("update pgstream.tables set subject = '{database}.changed.{operation}'")
        owner.execute("delete from t")
        events = await wait_for_events(nats.url, f"PGSTREAM_{database}", 3)
        assert [event.subject.removeprefix(f"{database}.") for event in events] == [
            "public.t.insert", "public.t.update", "changed.delete",
        ]  # fmt: skip
        owner.execute("delete from pgstream.tables")
        assert owner.execute("select relreplident from pg_class where relname = 't'").fetchone() == ("d",)


async def test_a_table_added_beside_an_open_writer_streams_each_transaction_whole_or_not_at_all(
    roles: dict[str, str], postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    stream = f"PGSTREAM_{database}"
    with (
        running_relay(postgres.dsn(database, user=roles["relay"]), nats.url),
        postgres.connect(database, user=roles["owner"]) as owner,
        postgres.connect(database, user=roles["owner"]) as writer,
    ):
        owner.execute("create table t (id int primary key, batch int)")
        stop = asyncio.Event()

        async def write() -> None:
            """Transactions of three rows with pauses in their middle."""
            number = 0
            async with await psycopg.AsyncConnection.connect(
                postgres.dsn(database, user=roles["owner"]), autocommit=True
            ) as connection:
                while not stop.is_set():
                    async with connection.transaction():
                        for offset in range(3):
                            await connection.execute("insert into t values (%s, %s)", [number + offset, number // 3])
                            await asyncio.sleep(0.005)
                    number += 3

        writing = asyncio.create_task(write())
        with writer.transaction():
            writer.execute("insert into t values (-2, -1)")
            # The open writer is waited for in vain: refused with a hint, and nothing has changed.
            with pytest.raises(errors.LockNotAvailable) as refused:
                await asyncio.to_thread(
                    owner.execute, "insert into pgstream.tables (table_name, replica_identity) values ('t', 'keep')"
                )
            assert refused.value.diag.message_hint
            writer.execute("insert into t values (-1, -1)")
        assert owner.execute("select count(*) from pgstream.tables").fetchone() == (0,)

        async def added() -> bool:
            try:
                await asyncio.to_thread(
                    owner.execute, "insert into pgstream.tables (table_name, replica_identity) values ('t', 'keep')"
                )
            except errors.LockNotAvailable:
                return False
            return True

        await eventually(added)
        await wait_for_events(nats.url, stream, 30)
        stop.set()
        await writing
        owner.execute("insert into t values (1000000, 1000000)")
        (last,) = owner.execute("select max(batch) from t where batch < 1000000").fetchone() or (0,)

        async def complete() -> list[int] | None:
            events = await wait_for_events(nats.url, stream, 30)
            ids = [event.data["after"]["batch"] for event in events]
            return ids[:-1] if ids[-1] == 1000000 else None

        batches = await eventually(complete)
        assert batches is not None
        assert -1 not in batches
        first = batches[0]
        assert batches == [batch for batch in range(first, last + 1) for _ in range(3)]
