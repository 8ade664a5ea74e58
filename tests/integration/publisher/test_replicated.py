"""The same promises on a replicated stream, while its leader changes and foreign messages come between."""

from __future__ import annotations

import contextlib

import pytest

from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import NatsError
from pgstream_relay.runtime.nats_login import connect
from pgstream_relay.runtime.publisher.mark import read_position
from pgstream_relay.runtime.publisher.streams import ensure_stream
from pgstream_relay.runtime.publisher.writer import StreamWriter, open_writer
from pgstream_relay.settings import NatsSettings
from tests.support.nats_cluster import NatsCluster
from tests.support.nats_versions import CURRENT, nats_server
from tests.support.streams import SOURCE, kept_stream, make_events, number_of, stored_numbers

TOTAL = 8000


async def disturb(connection: NatsConnection, stream: str, round_number: int) -> None:
    if round_number % 2:
        await connection.api(f"STREAM.LEADER.STEPDOWN.{stream}")
    else:
        await connection.client.publish(f"{stream}.foreign", b"")
        await connection.flush()


async def publish_disturbed(writer: StreamWriter, other: NatsConnection, stored: int, round_number: int) -> None:
    for start in range(stored + 1, TOTAL + 1, 100):
        await writer.publish(make_events(range(start, min(start + 100, TOTAL + 1)), writer.name))
        if start == stored + 1001 and round_number < 6:
            await disturb(other, writer.name, round_number)
    await writer.settle()


@pytest.mark.parametrize("version", ["2.12.8", CURRENT])
async def test_leader_changes_and_foreign_messages_make_no_hole(stream_name: str, version: str) -> None:
    with NatsCluster(binary=nats_server(version)) as cluster:
        await cluster.wait_until_formed()
        settings = NatsSettings(servers=tuple(cluster.urls))
        connection, other = await connect(settings, name="relay"), await connect(settings, name="other")
        assert connection.cluster_size == 3
        done, rounds = False, 0
        while not done:
            with contextlib.suppress(NatsError):  # elections take seconds; the relay would back off
                info = await ensure_stream(connection, kept_stream(stream_name, [f"{stream_name}.>"]), SOURCE)
                assert info is not None
                assert info.replicas == 3
                position = await read_position(connection, stream_name, SOURCE)
                stored = number_of(position.mark.commit_lsn) if position.mark else 0
                writer = await open_writer(connection, info, position.last_sequence)
                rounds += 1
                try:
                    await publish_disturbed(writer, other, stored, rounds)
                    done = True
                finally:
                    await writer.close()
        numbers = await stored_numbers(connection, stream_name)
        assert [number for number in numbers if number is not None] == list(range(1, TOTAL + 1))
        await connection.close()
        await other.close()
