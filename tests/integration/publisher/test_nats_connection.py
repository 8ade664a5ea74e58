"""A connection fails the waiting calls at once, with the reason; and nats-py's insides are what we take them for."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import nats.aio.client
import pytest
from nats.aio.msg import Msg

from pgstream_installer.embedded import EmbeddedNats
from pgstream_installer.embedded.process import free_port
from pgstream_relay.errors import ConfigurationError
from pgstream_relay.runtime import nats_connection
from pgstream_relay.runtime.nats_client import background_tasks, send_ping, server_information, write_frames
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import (
    JetStreamUnavailable,
    NatsConnectionLost,
    NatsError,
    NatsLoginRefused,
    NatsPermissionDenied,
    NatsTimeout,
    NatsUnreachable,
)
from pgstream_relay.runtime.nats_login import connect
from pgstream_relay.settings import NatsSettings
from tests.integration.publisher.conftest import Connect
from tests.support.waiting import eventually

USERS = """
authorization { users = [
  { user: relay, password: secret, permissions: {
      publish: ["shop.>", "$JS.API.STREAM.INFO.OK"], subscribe: ["_MINE.>"] } }
  { user: mute, password: secret, permissions: { publish: ">", subscribe: ["nothing"] } }
] }
"""


async def test_frames_and_pings_reach_the_server_in_order(any_nats: EmbeddedNats, connect_to: Connect) -> None:
    connection = await connect_to(any_nats)
    received: list[bytes] = []

    async def receive(message: Msg) -> None:
        received.append(message.data)

    await connection.subscribe("frames.*", receive)
    for number in range(1000):
        await connection.write(b"PUB frames.a %d\r\n%d\r\n" % (len(str(number)), number))
    await connection.flush()
    await eventually(lambda: len(received) == 1000)
    assert received == [b"%d" % number for number in range(1000)]


async def test_nats_py_is_built_as_nats_client_expects(nats: EmbeddedNats, connect_to: Connect) -> None:
    """Fails when a new release moved what `nats_client` uses; the pinned minor version is in pyproject.toml."""
    assert nats_version().startswith("2.16."), "read nats_client against this release, then raise the pin and this"
    client = (await connect_to(nats)).client
    assert isinstance(client._pongs, list)
    assert client._transport is not None
    assert client._transport._io_writer.transport.abort  # type: ignore[attr-defined]
    assert server_information(client)["version"]
    assert len(background_tasks(client)) == 3
    write_frames(client, b"PUB frames.b 1\r\nx\r\n")
    assert await asyncio.wait_for(send_ping(client), 5) is True


def nats_version() -> str:
    return nats.aio.client.__version__


async def test_server_facts(nats: EmbeddedNats, connect_to: Connect) -> None:
    connection = await connect_to(nats)
    assert connection.server_version >= (2, 15, 0)
    assert connection.max_payload == 1024 * 1024
    assert connection.cluster_size == 1


async def test_nobody_listens(nats: EmbeddedNats, connect_to: Connect) -> None:
    connection = await connect_to(nats)
    with pytest.raises(JetStreamUnavailable):
        await connection.request("nobody.is.here")


async def test_a_killed_server_fails_all_waiting_calls(connect_to: Connect) -> None:
    with EmbeddedNats() as server:
        connection = await connect_to(server)
        seen: list[NatsError] = []
        connection.add_listener(seen.append)

        async def never_answer(_: Msg) -> None: ...

        await connection.subscribe("slow", never_answer)
        calls = [asyncio.create_task(connection.request("slow", timeout_seconds=60)) for _ in range(3)]
        await asyncio.sleep(0.1)
        server.kill()
        results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
        assert all(isinstance(result, NatsConnectionLost) for result in results)
        assert seen == [connection.failure]
        for call in (connection.request("x"), connection.flush(), connection.write(b"")):
            with pytest.raises(NatsConnectionLost):
                await call


async def test_a_frozen_server_is_noticed_and_closing_does_not_wait(
    connect_to: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "WRITE_TIMEOUT_SECONDS", 0.5)
    with EmbeddedNats() as server:
        connection = await connect_to(server)
        freeze(server)
        try:
            with pytest.raises(NatsTimeout):
                await connection.flush(0.2)
            with pytest.raises(NatsTimeout):
                await connection.request("x")
            await asyncio.wait_for(connection.close(), 10)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        connection = await connect_to(server)
        freeze(server)
        try:
            with pytest.raises(NatsTimeout, match="read nothing"):
                await write_for_ever(connection)
            await asyncio.wait_for(connection.close(), 10)
            assert background_tasks(connection.client) == []
        finally:
            os.kill(server.pid, signal.SIGCONT)


async def test_refused_subjects_are_told_at_once(connect_to: Connect) -> None:
    with EmbeddedNats(config=USERS) as server:
        connection = await connect_to(server, user="relay", password="secret", inbox_prefix="_MINE")
        seen: list[NatsError] = []
        connection.add_listener(seen.append)
        with pytest.raises(NatsPermissionDenied) as caught:
            await connection.request("other.Subject", timeout_seconds=60)
        assert caught.value.subject == "other.subject"
        assert caught.value.refused_for_good
        assert caught.value.hint
        with pytest.raises(NatsPermissionDenied):
            await connection.api("STREAM.INFO.DENIED")
        assert connection.failure is None
        await connection.flush()
        assert len(seen) == 2
        mute = await connect_to(server, user="mute", password="secret")
        with pytest.raises(NatsPermissionDenied):
            await mute.request("shop.a", timeout_seconds=60)


async def test_a_protocol_violation_is_told_as_the_reason(nats: EmbeddedNats, connect_to: Connect) -> None:
    connection = await connect_to(nats)
    body = bytes(connection.max_payload + 1)
    with pytest.raises(NatsConnectionLost) as caught:
        await write_and_flush(connection, b"PUB big %d\r\n%b\r\n" % (len(body), body))
    failure = connection.failure
    assert failure is not None
    assert caught.value is failure


def freeze(server: EmbeddedNats) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    os.waitpid(server.pid, os.WUNTRACED)


async def write_for_ever(connection: NatsConnection) -> None:
    while True:
        await connection.write(b"PUB frozen.x 65536\r\n" + bytes(65536) + b"\r\n")


async def write_and_flush(connection: NatsConnection, frames: bytes) -> None:
    await connection.write(frames)
    await connection.flush()


async def test_logins(tmp_path: Path) -> None:
    with EmbeddedNats(config=USERS) as server:
        with pytest.raises(NatsLoginRefused) as refused:
            await connect(NatsSettings((server.url,), user="relay", password="wrong"), name="test")
        assert refused.value.hint
        assert "wrong" not in str(refused.value)
        dead = f"nats://somebody:hidden@127.0.0.1:{free_port()}"
        connection = await connect(NatsSettings((dead, server.url), user="relay", password="secret"), name="test")
        await connection.close()
        await connection.close()
    with pytest.raises(NatsUnreachable) as unreachable:
        await connect(NatsSettings((dead,)), name="test")
    assert "hidden" not in str(unreachable.value)
    with pytest.raises(ConfigurationError):
        await connect(NatsSettings((dead,), tls_ca=tmp_path / "missing.pem"), name="test")


async def test_a_token(connect_to: Connect) -> None:
    with EmbeddedNats(config="authorization { token: opensesame }") as server:
        connection = await connect_to(server, token="opensesame")
        await connection.flush()
