"""What does not fit: transactions beyond memory, events beyond a message, subjects and keys beyond a header."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.relay import connected
from tests.support.streamed import StreamedDatabase, streamed_database
from tests.support.waiting import eventually

ROWS = 300_000
MEMORY_MIB = 150
"""Far below what the transaction takes; a relay at rest has 50 or so."""
LARGE = 3 * 1024 * 1024

pytestmark = pytest.mark.xdist_group("large things")


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres, nats: EmbeddedNats) -> Iterator[StreamedDatabase]:
    with streamed_database(postgres, nats) as streamed:
        yield streamed


async def test_a_transaction_of_any_size_takes_bounded_memory(database: StreamedDatabase) -> None:
    database.add_table("(id int primary key, note text)", "many")
    database.execute(f"insert into many select n, repeat('n', 500) from generate_series(1, {ROWS}) n")
    await database.catch_up()
    async with connected(database.nats.url) as client:
        jetstream = client.jetstream()
        info = await jetstream.stream_info(database.stream)
        assert info.state.messages == ROWS
        last = await jetstream.get_last_msg(database.stream, f"{database.name}.public.many.insert")
        assert (last.headers or {})["Pgstream-Seq"] == str(ROWS)
        await jetstream.purge_stream(database.stream)
    assert database.relay.process is not None
    peak = peak_mib(database.relay.process.pid)
    print(f"peak memory of the relay: {peak} MiB")
    assert peak < MEMORY_MIB


def peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("only Linux tells the peak of another process's memory")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) // 1024


async def test_an_event_beyond_a_message_is_an_object_with_a_claim_check_in_its_place(
    database: StreamedDatabase,
) -> None:
    database.add_table("(id int primary key, note text)", "large")
    database.execute("insert into large values (1, 'small')")
    database.execute(f"insert into large values (2, repeat('ü', {LARGE // 2}))")
    database.execute("insert into large values (3, 'small')")
    database.execute("update large set id = 4 where id = 2")
    events = await database.events("large")
    assert [event.operation for event in events] == ["insert", "insert", "insert", "update"]
    assert ["Pgstream-Object" in event.headers for event in events] == [False, True, False, True]
    for event, before, after in ((events[1], None, 2), (events[3], 2, 4)):
        bucket, _, name = event.headers["Pgstream-Object"].partition("/")
        assert (bucket, name) == (f"pgstream_{database.name}_oversize", event.document["id"])
        assert event.data == {"before": None, "after": None, "diff": None}
        full = json.loads(await read_object(database, bucket, name))
        assert list(full) == list(event.document)
        assert {key: value for key, value in full.items() if key != "data"} == {
            key: value for key, value in event.document.items() if key != "data"
        }
        assert full["data"]["after"] == {"id": after, "note": "ü" * (LARGE // 2)}
        assert (full["data"]["before"] or {}).get("id") == before
    assert events[1].headers["Pgstream-Key"] == "[2]"


async def read_object(database: StreamedDatabase, bucket: str, name: str) -> bytes:
    async with connected(database.nats.url) as client:
        store = await client.jetstream().object_store(bucket)
        return (await store.get(name)).data or b""


async def test_an_ephemeral_event_beyond_a_message_says_so(database: StreamedDatabase) -> None:
    database.add_table("(id int primary key, note text)", "fleeting", mode="ephemeral")
    seen: list[Any] = []
    async with connected(database.nats.url) as client:

        async def receive(message: Any) -> None:
            seen.append(message)

        await client.subscribe(f"{database.name}.public.fleeting.*", cb=receive)
        await client.flush()
        database.execute(f"insert into fleeting values (1, repeat('n', {LARGE}))")
        database.execute("insert into fleeting values (2, 'small')")
        await eventually(lambda: len(seen) == 2)
    documents = [json.loads(message.data) for message in seen]
    assert [document["data"]["after"] for document in documents] == [None, {"id": 2, "note": "small"}]
    assert [message.headers.get("Pgstream-Error") for message in seen] == ["too-large", None]
    assert seen[0].headers["Pgstream-Key"] == "[1]"


async def test_a_key_larger_than_a_header_may_be(database: StreamedDatabase) -> None:
    # No index holds such a key, but a chosen one is no index.
    database.add_table("(id text, note text)", "keyed", key_columns=["id"])
    database.execute("insert into keyed values (repeat('k', 100000), 'a')")
    database.execute("insert into keyed values ('k', 'b')")
    events = await database.events("keyed")
    assert [event.operation for event in events] == ["unknown", "insert"]
    assert "key is too large" in events[0].headers["Pgstream-Error"]
    assert events[0].data["after"] is None


async def test_a_subject_longer_than_the_server_takes(database: StreamedDatabase) -> None:
    # Each byte of such a name becomes three in its token: 63 bytes make 189.
    schema, table = "ä" * 31, "ö" * 31
    execute = database.connection.execute
    execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    name = sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier(table))
    execute(sql.SQL("create table {} (id int primary key)").format(name))
    execute("insert into pgstream.tables (table_schema, table_name) values (%s, %s)", [schema, table])
    execute(sql.SQL("insert into {} values (1)").format(name))
    (event,) = await database.events(table)
    assert len(event.subject) > 370
    repeated = ".".join(["{schema}.{table}"] * 3)
    with pytest.raises(Exception, match=r"512|long"):
        execute(
            "update pgstream.tables set subject = '{database}.' || %s || '.{operation}' where table_name = %s",
            [repeated, table],
        )
    # Renamed to something longer later, its events go on.
    database.add_table("(id int primary key)", "short", subject="{database}." + "{table}." * 4 + "{operation}")
    execute(sql.SQL("alter table short rename to {}").format(sql.Identifier("ü" * 31)))
    execute(sql.SQL("insert into {} values (1)").format(sql.Identifier("ü" * 31)))
    (event,) = await database.events("ü" * 31)
    assert len(event.subject) > 700


async def test_a_table_renamed_to_what_makes_its_subject_too_long_is_mended_by_an_update(
    database: StreamedDatabase,
) -> None:
    database.add_table("(id int primary key)", "s", subject="{database}." + "{table}." * 40 + "{operation}")
    long = sql.Identifier("ß" * 31)
    database.connection.execute(sql.SQL("alter table s rename to {}").format(long))
    database.connection.execute(sql.SQL("insert into {} values (1)").format(long))
    await database.wait_for_state("stalled", "longer than NATS", "UPDATE")
    database.execute("update pgstream.tables set subject = null where table_name = 's'")
    (event,) = await database.events("ß" * 31)
    assert event.data["after"] == {"id": 1}
    await database.wait_for_state("streaming")
