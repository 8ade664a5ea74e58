"""The line between relay and Postgres fails at each step of the protocol: nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio

import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.hasty_relay import HASTY
from tests.support.streamed import StreamedDatabase, streamed_database
from tests.support.toxic_proxy import Toxic, ToxicProxy
from tests.support.waiting import eventually

ROWS = 300
WALSENDER = b"replication\0database\0"
STATUS = b"d\x00\x00\x00\x26r"
"""The head of a standby status: 34 bytes in a CopyData message."""

CONNECT = [
    Toxic("reset"),
    Toxic("stall", seconds=None),
    Toxic("reset", when=WALSENDER, after=-5),
    Toxic("deafen", when=WALSENDER, seconds=None),
    Toxic("close", when=b"IDENTIFY_SYSTEM"),
    Toxic("deafen", when=b"pg_replication_slots slots"),
    Toxic("reset", when=b"START_REPLICATION", after=-4),
    Toxic("deafen", when=b"START_REPLICATION", after=60),
    Toxic("reset", when=b"pgstream.relay_state k", after=5),
    Toxic("deafen", when=b"pgstream.relay_state k", after=5, seconds=None),
    Toxic("deafen", when=b"indisreplident", seconds=None),
]
STREAM = [
    Toxic("reset", direction="down", when=b"row 150", after=-3),
    Toxic("close", direction="down", when=b"row 150", after=3),
    Toxic("stall", direction="down", when=b"row 150", seconds=None),
    Toxic("slow", direction="down", when=b"row 10", bytes_per_second=50_000),
    Toxic("reset", when=STATUS, after=10),
    Toxic("close", when=STATUS, after=-3),
    Toxic("stall", when=STATUS, after=10, seconds=None),
    Toxic("deafen", when=STATUS, after=29),
    Toxic("mute", when=STATUS, after=-6, seconds=None),
    Toxic("reset", when=b"insert into pgstream.relay_positions", after=5),
    Toxic("deafen", when=b"insert into pgstream.relays", after=5, seconds=None),
    Toxic("deafen", when=b"update pgstream.relay_state", seconds=None),
    Toxic("reset", when=b"update pgstream.relay_state"),
]

pytestmark = pytest.mark.xdist_group("bad line to postgres")


async def write(database: StreamedDatabase) -> None:
    """A transaction of many rows, some of one, and a changed setting in the middle."""
    with database.connection.transaction():
        database.execute(f"insert into t (note) select 'row ' || n from generate_series(1, {ROWS}) n")
        database.execute("update t set note = 'changed' where id % 3 = 0")
        database.execute("delete from t where id % 7 = 0")
    database.execute("update pgstream.tables set numbers = case numbers when 'json' then 'text' else 'json' end")
    await asyncio.sleep(0)
    database.execute("insert into t (note) values ('alone')")


async def survive(database: StreamedDatabase, proxy: ToxicProxy, toxic: Toxic) -> None:
    """Writes while the toxic acts, and waits until the relay has come through."""
    proxy.toxics = [toxic]
    if toxic in CONNECT:
        proxy.cut()
    await write(database)
    await eventually(lambda: toxic.fired, otherwise=lambda: f"{toxic} never acted")
    await database.catch_up()


@pytest.mark.parametrize("toxics", [CONNECT, STREAM], ids=["connecting", "streaming"])
async def test_the_stream_is_exact(postgres: EmbeddedPostgres, nats: EmbeddedNats, toxics: list[Toxic]) -> None:
    async with ToxicProxy(postgres.port) as proxy:
        with streamed_database(postgres, nats, postgres_port=proxy.port, program=HASTY) as database:
            database.add_table("(id int generated always as identity primary key, note text)")
            await write(database)
            await database.catch_up()
            for toxic in toxics:
                await survive(database, proxy, toxic)
            await database.assert_exact()
            await database.wait_for_state("streaming")
