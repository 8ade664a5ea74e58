"""read_position tells where a stream stands, whatever was deleted from it or put into it."""

from __future__ import annotations

import pytest

from pgstream_installer.embedded import EmbeddedNats
from pgstream_relay.event.ulid import format_id
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import StreamMissing, StreamNotOurs
from pgstream_relay.runtime.publisher.mark import Mark, StreamPosition, read_position
from pgstream_relay.runtime.publisher.stream_info import ADOPTED_METADATA, StreamInfo, parse_stream_info
from pgstream_relay.runtime.publisher.streams import ensure_stream
from pgstream_relay.runtime.publisher.writer import open_writer
from tests.integration.publisher.conftest import Connect
from tests.support.streams import FIRST_LSN, OTHER_SOURCE, SOURCE, kept_stream, make_events, number_of


async def make_filled(connection: NatsConnection, name: str, count: int, source: str = SOURCE) -> StreamInfo:
    info = await ensure_stream(connection, kept_stream(name, [f"{name}.>"]), SOURCE)
    assert info is not None
    writer = await open_writer(connection, info, info.last_sequence)
    await writer.publish(make_events(range(1, count + 1), name, source=source))
    await writer.settle()
    await writer.close()
    return info


def number(position: StreamPosition) -> int | None:
    return None if position.mark is None else number_of(position.mark.commit_lsn)


async def delete(connection: NatsConnection, stream: str, sequences: range) -> None:
    for sequence in sequences:
        await connection.api(f"STREAM.MSG.DELETE.{stream}", {"seq": sequence})


async def test_the_last_event_is_the_mark(any_nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection = await connect_to(any_nats)
    await make_filled(connection, stream_name, 120)
    assert await read_position(connection, stream_name, SOURCE) == StreamPosition(
        120, Mark(f"{SOURCE}/1", FIRST_LSN + 120 * 64, 1, second_half=False, snapshot=False, stream_sequence=120)
    )


async def test_empty_purged_and_missing(any_nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection = await connect_to(any_nats)
    with pytest.raises(StreamMissing):
        await read_position(connection, stream_name, SOURCE)
    await make_filled(connection, stream_name, 0)
    assert await read_position(connection, stream_name, SOURCE) == StreamPosition(0, None)
    await make_filled(connection, stream_name, 30)
    await connection.api(f"STREAM.PURGE.{stream_name}")
    assert await read_position(connection, stream_name, SOURCE) == StreamPosition(30, None)


async def test_deleted_at_the_end(any_nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection = await connect_to(any_nats)
    await make_filled(connection, stream_name, 400)
    await delete(connection, stream_name, range(400, 401))
    position = await read_position(connection, stream_name, SOURCE)
    assert (position.last_sequence, number(position)) == (400, 399)
    await delete(connection, stream_name, range(31, 400))
    position = await read_position(connection, stream_name, SOURCE)
    assert (position.last_sequence, number(position)) == (400, 30)


async def test_a_subject_purged_from_the_end(any_nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection = await connect_to(any_nats)
    info = await make_filled(connection, stream_name, 10)
    writer = await open_writer(connection, info, 10)
    await writer.publish(make_events(range(11, 20_001), stream_name, table="bulk", size=20))
    await writer.settle()
    await connection.api(f"STREAM.PURGE.{stream_name}", {"filter": f"{stream_name}.public.bulk.*"})
    position = await read_position(connection, stream_name, SOURCE)
    assert (position.last_sequence, number(position)) == (20_000, 10)


async def test_foreign_messages_at_the_end(any_nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection = await connect_to(any_nats)
    await make_filled(connection, stream_name, 50)
    for index in range(1000):
        headers = {"Pgstream-Source": f"{SOURCE}/1"} if index % 2 else None  # names us, but is no event
        await connection.client.publish(f"{stream_name}.public.orders.insert", b"{}", headers=headers)
    await connection.request(f"{stream_name}.public.orders.insert", b"last")
    await delete(connection, stream_name, range(700, 900))
    position = await read_position(connection, stream_name, SOURCE)
    assert (position.last_sequence, number(position)) == (1051, 50)
    assert (await read_position(connection, stream_name, SOURCE, floor=50)).mark is None


async def test_events_of_another_database(any_nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    """The stream's metadata decides whether they are a mistake or a history that was adopted."""
    connection = await connect_to(any_nats)
    info = await make_filled(connection, stream_name, 20, source=OTHER_SOURCE)
    assert await read_position(connection, stream_name, SOURCE) == StreamPosition(20, None)
    with pytest.raises(StreamNotOurs):
        await read_position(connection, stream_name, "7300000000000000001/1")
    adopted = {**info.config, "metadata": {**info.metadata, ADOPTED_METADATA: "20"}}
    answer = await connection.api(f"STREAM.UPDATE.{stream_name}", adopted)
    assert parse_stream_info(answer).adopted_sequence == 20
    assert await read_position(connection, stream_name, SOURCE) == StreamPosition(20, None)


async def test_snapshot_rows_and_second_halves(nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection = await connect_to(nats)
    await make_filled(connection, stream_name, 1)
    headers = {
        "Nats-Msg-Id": format_id(1, 5, 800, 7, second_half=True).decode(),
        "Pgstream-Source": f"{SOURCE}/3",
        "Pgstream-Lsn": "2/A0",
        "Pgstream-Seq": "7",
    }
    await connection.request(f"{stream_name}.public.orders.delete", b"{}", headers=headers)
    position = await read_position(connection, stream_name, SOURCE)
    assert position.mark == Mark(f"{SOURCE}/3", 0x2000000A0, 7, second_half=True, snapshot=False, stream_sequence=2)
    headers |= {"Nats-Msg-Id": format_id(1, 5, 800, 8, snapshot=True).decode(), "Pgstream-Snapshot": "4"}
    await connection.request(f"{stream_name}.public.orders.snapshot", b"{}", headers=headers)
    position = await read_position(connection, stream_name, SOURCE)
    assert position.mark == Mark(f"{SOURCE}/3", 0x2000000A0, 7, second_half=False, snapshot=True, stream_sequence=3)
