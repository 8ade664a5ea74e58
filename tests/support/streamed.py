"""One installed database with a relay, and the question whether its stream tells exactly what happened."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from pgstream_relay.pgoutput.lsn import parse_lsn
from tests.support.relay import RELAY, RelayProcess, StoredEvent, eventually, install_pgstream, read_stream

Connection = psycopg.Connection[tuple[Any, ...]]

CATCH_UP_SECONDS: Final = 120.0


class StreamedDatabase:
    """Made by `streamed_database`. `connection` is in autocommit mode; the relay can be stopped and started."""

    def __init__(self, postgres: EmbeddedPostgres, nats: EmbeddedNats, name: str, connection: Connection) -> None:
        self.postgres = postgres
        self.nats = nats
        self.name = name
        self.connection = connection
        self.stream = f"PGSTREAM_{name}"
        self.relay: RelayProcess

    def execute(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """One statement; its rows, if it has any."""
        cursor = self.connection.execute(query.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []

    def add_table(self, definition: str, name: str = "t", **settings: Any) -> None:
        """Creates a table in schema public and has it streamed."""
        self.execute(f"create table {name} {definition}")
        columns = ["table_name", *settings]
        statement = sql.SQL("insert into pgstream.tables ({}) values ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(map(sql.Literal, [name, *settings.values()])),
        )
        self.connection.execute(statement)

    def status(self) -> tuple[str, str, str]:
        """State, error and hint of pgstream.status; what is null is empty."""
        ((state, error, hint),) = self.execute("select state, error, hint from pgstream.status")
        return state, error or "", hint or ""

    async def wait_for_state(self, state: str, *words: str) -> tuple[str, str, str]:
        """Until the status is in this state, with these words in its error and hint; the whole of it."""
        seen = ("", "", "")

        def there() -> bool:
            nonlocal seen
            seen = self.status()
            return seen[0] == state and all(word in f"{seen[1]} {seen[2]}" for word in words)

        await eventually(there, otherwise=lambda: f"not {state} with {words}: {seen}\n{self.relay.log[-4000:]}")
        return seen

    async def catch_up(self) -> None:
        """Until everything committed so far is confirmed to Postgres, hence in NATS."""
        ((lsn,),) = self.execute("select pg_current_wal_insert_lsn()::text")
        # A change behind it, so that no keepalive has to be waited for.
        self.execute("select pg_logical_emit_message(true, 'pgstream.test', '')")

        def confirmed() -> bool:
            ((at,),) = self.execute(
                "select confirmed_flush_lsn::text from pg_replication_slots where database = current_database()"
            )
            return parse_lsn(at) >= parse_lsn(lsn)

        await eventually(
            confirmed,
            seconds=CATCH_UP_SECONDS,
            otherwise=lambda: f"{lsn} is not confirmed: {self.status()}\n{self.relay.log[-4000:]}",
        )

    async def events(self, table: str | None = None) -> list[StoredEvent]:
        """Everything committed so far, as the stream has it; of one table, or of all."""
        await self.catch_up()
        events = await read_stream(self.nats.url, self.stream)
        return [event for event in events if table in (None, event.document["table"])]

    async def assert_exact(self, table: str = "t") -> list[StoredEvent]:
        """The stream tells each change of the table once and in order: replayed, it gives the table."""
        events = await self.events(table)
        assert_replays(events, [row for (row,) in self.execute(f"select to_jsonb(r) from {table} r")])
        return events


def assert_replays(events: Sequence[StoredEvent], rows: Sequence[dict[str, Any]]) -> None:
    """`rows` have a column `id`, their key; the table's identity is full."""
    assert len({event.headers["Nats-Msg-Id"] for event in events}) == len(events), "an event is there twice"
    positions = [(parse_lsn(event.headers["Pgstream-Lsn"]), int(event.headers["Pgstream-Seq"])) for event in events]
    assert positions == sorted(set(positions)), "events are out of order"
    table: dict[int, dict[str, Any]] = {}
    for event in events:
        before, after = event.data["before"], event.data["after"]
        if event.operation == "truncate":
            table.clear()
        if before is not None:
            assert table.pop(before["id"], None) == before, f"a change of the row before {event.headers} is missing"
        if after is not None:
            assert after["id"] not in table, f"a delete before {event.headers} is missing"
            table[after["id"]] = after
    assert table == {row["id"]: row for row in rows}


@contextmanager
def streamed_database(
    postgres: EmbeddedPostgres,
    nats: EmbeddedNats,
    *,
    postgres_port: int | None = None,
    nats_port: int | None = None,
    program: Sequence[str] = RELAY,
    start: bool = True,
) -> Iterator[StreamedDatabase]:
    """A new database with a relay of its own, which goes to the servers by these ports, a proxy's for instance.

    The relay's HTTP server is on; its log is text.
    """
    name = f"s_{uuid.uuid4().hex[:12]}"
    with postgres.connect() as connection:
        connection.execute(f"create database {name}")
    try:
        install_pgstream(postgres.dsn(name))
        dsn = postgres.dsn(name) + " sslmode=disable gssencmode=disable"
        relay = RelayProcess(
            "--dsn", f"{dsn} port={postgres_port or postgres.port}",
            "--nats", f"nats://127.0.0.1:{nats_port or nats.port}",
            "--http", "127.0.0.1:0", program=program,
        )  # fmt: skip
        with postgres.connect(name) as connection:
            database = StreamedDatabase(postgres, nats, name, connection)
            database.relay = relay
            if start:
                relay.start()
            try:
                yield database
            except BaseException as error:
                relay.__exit__(type(error), error, None)
                raise
            relay.__exit__(None, None, None)
    finally:
        drop_database(postgres, name)


def drop_database(postgres: EmbeddedPostgres, name: str) -> None:
    """With its replication slots."""
    with postgres.connect() as connection:
        slots = "from pg_replication_slots where database = %s"
        connection.execute(f"select pg_terminate_backend(active_pid, 5000) {slots} and active_pid is not null", [name])
        connection.execute(f"select pg_drop_replication_slot(slot_name) {slots}", [name])
        connection.execute(f"drop database {name} with (force)")


async def metrics(relay: RelayProcess) -> str:
    """What /metrics says; the relay's log is text."""
    import re
    import urllib.request

    def url() -> str | None:
        found = re.search(r"http listens.*?url=(\S+?)/?(?:\s|$)", relay.log)
        return found[1] if found else None

    address = await eventually(url)

    def get() -> str:
        with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(get)
