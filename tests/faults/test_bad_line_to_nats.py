"""The line between relay and NATS fails at each step of the protocol: nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio

import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.hasty_relay import HASTY
from tests.support.streamed import StreamedDatabase, streamed_database
from tests.support.toxic_proxy import Toxic, ToxicProxy
from tests.support.waiting import eventually

ROWS = 300

CONNECT = [
    Toxic("reset"),
    Toxic("close", direction="down", when=b"INFO ", after=20),
    Toxic("close", when=b"CONNECT {"),
    Toxic("deafen", when=b"CONNECT {"),
    Toxic("stall", seconds=None),
]
STREAM = [
    Toxic("reset", when=b"API.STREAM.INFO"),
    Toxic("deafen", when=b"API.STREAM.INFO"),
    Toxic("reset", direction="down", when=b'"config":{', after=40),
    Toxic("deafen", when=b"API.STREAM.MSG.GET"),
    Toxic("reset", direction="down", when=b'"message":{', after=10),
    Toxic("stall", when=b"API.STREAM.MSG.GET", seconds=None),
]
FIRST = [
    Toxic("reset", when=b"HPUB ", after=30),
    Toxic("close", when=b"Pgstream-Seq: 1\r\n", after=10),
    Toxic("deafen", when=b"Pgstream-Seq: 1\r\n"),
    Toxic("reset", direction="down", when=b'"seq":', after=1),
]
MIDDLE = [
    Toxic("reset", when=b"Pgstream-Seq: 150\r\n", after=-40),
    Toxic("close", when=b"Pgstream-Seq: 150\r\n", after=5),
    Toxic("mute", when=b"Pgstream-Seq: 150\r\n", after=5),
    Toxic("deafen", when=b"Pgstream-Seq: 150\r\n"),
    Toxic("stall", when=b"Pgstream-Seq: 150\r\n", seconds=None),
    Toxic("slow", when=b"Pgstream-Seq: 20\r\n"),
]
END = [
    Toxic("reset", when=b".3.$FI", after=-6),
    Toxic("deafen", when=b".3.$FI", after=10),
    Toxic("reset", direction="down", when=b'"batch":', after=2),
    Toxic("deafen", when=b".3.$FI", after=10, seconds=None),
    Toxic("reset", direction="down", when=b'"type":"ack"', after=-4),
]

pytestmark = pytest.mark.xdist_group("bad line to nats")


async def write(database: StreamedDatabase) -> None:
    """Transactions of one row, and one of many."""
    with database.connection.transaction():
        database.execute(f"insert into t (note) select repeat('n', 100) from generate_series(1, {ROWS})")
        database.execute("update t set note = 'changed' where id % 3 = 0")
        database.execute("delete from t where id % 7 = 0")
    for _ in range(3):
        await asyncio.sleep(0)
        database.execute("insert into t (note) values ('alone')")


async def survive(database: StreamedDatabase, proxy: ToxicProxy, toxic: Toxic) -> None:
    """Writes while the toxic acts, and waits until the relay has come through."""
    proxy.toxics = [toxic]
    if toxic in CONNECT or toxic in STREAM:
        proxy.cut()
    await write(database)
    await eventually(lambda: toxic.fired, otherwise=lambda: f"{toxic} never acted")
    await database.catch_up()


@pytest.mark.parametrize("toxics", [CONNECT + STREAM, FIRST + MIDDLE + END], ids=["connecting", "publishing"])
async def test_the_stream_is_exact(postgres: EmbeddedPostgres, nats: EmbeddedNats, toxics: list[Toxic]) -> None:
    async with ToxicProxy(nats.port) as proxy:
        with streamed_database(postgres, nats, nats_port=proxy.port, program=HASTY) as database:
            proxy.toxics = [Toxic("deafen", when=b"API.STREAM.CREATE")]
            database.add_table("(id bigint generated always as identity primary key, note text)")
            await write(database)
            await database.catch_up()
            for toxic in toxics:
                await survive(database, proxy, toxic)
            await database.assert_exact()
            await database.wait_for_state("streaming")
