"""Ephemeral events: in order, acknowledged only by a PONG, refused aloud."""

from __future__ import annotations

import pytest
from nats.aio.msg import Msg

from pgstream_installer.embedded import EmbeddedNats
from pgstream_relay.runtime.nats_errors import PublishInterrupted
from pgstream_relay.runtime.publisher.plain import PlainWriter
from tests.integration.publisher.conftest import Connect
from tests.support.streams import make_events
from tests.support.waiting import eventually


async def test_order_and_headers(any_nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection, reader = await connect_to(any_nats), await connect_to(any_nats)
    received: list[Msg] = []

    async def receive(message: Msg) -> None:
        received.append(message)

    await reader.subscribe(f"{stream_name}.>", receive)
    writer = PlainWriter(connection)
    events = make_events(range(1, 20_001), stream_name)
    for start in range(0, 20_000, 300):
        await writer.publish(events[start : start + 300])
    assert writer.sent == 20_000
    await writer.settle()
    assert writer.acknowledged == 20_000
    await eventually(lambda: len(received) == 20_000)
    assert [message.data for message in received] == [payload for _, _, payload in events]
    assert received[0].subject.encode() == events[0][0]
    assert received[0].headers is not None
    assert received[0].headers["Pgstream-Seq"] == "1"


async def test_acknowledges_without_settling(nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    writer = PlainWriter(await connect_to(nats))
    await writer.publish(make_events(range(1, 10), stream_name))
    await eventually(lambda: writer.acknowledged == 9)
    await writer.settle()


async def test_a_lost_connection_and_a_refused_subject(connect_to: Connect, stream_name: str) -> None:
    permissions = "{ user: u, password: p, permissions: { publish: [allowed] } }"
    with EmbeddedNats(config=f"authorization {{ users = [{permissions}] }}") as server:
        writer = PlainWriter(await connect_to(server, user="u", password="p"))
        await writer.publish(make_events([1], stream_name))
        with pytest.raises(PublishInterrupted) as caught:
            await writer.settle()
        assert (caught.value.reason, caught.value.retryable) == ("denied", False)
        assert writer.acknowledged == 0

        writer = PlainWriter(await connect_to(server, user="u", password="p"))
        server.kill()
        with pytest.raises(PublishInterrupted):
            await publish_for_ever(writer, stream_name)
        assert writer.failure is not None
        assert writer.failure.reason == "lost"


async def publish_for_ever(writer: PlainWriter, prefix: str) -> None:
    while True:
        await writer.publish(make_events([1], prefix))
        await writer.settle()
