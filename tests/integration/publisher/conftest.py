"""A nats-server of each supported line, and connections to it that are closed afterwards."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from pgstream_installer.embedded import EmbeddedNats
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_login import connect
from pgstream_relay.settings import NatsSettings
from tests.support.nats_versions import VERSIONS, nats_server

Connect = Callable[..., Awaitable[NatsConnection]]


@pytest.fixture(scope="session", params=VERSIONS)
def any_nats(request: pytest.FixtureRequest) -> Iterator[EmbeddedNats]:
    """One server a version, shared: give streams names of your own, and don't end it."""
    with EmbeddedNats(binary=nats_server(request.param)) as server:
        yield server


@pytest.fixture
async def connect_to() -> AsyncIterator[Connect]:
    """Connects to a server, given settings where they matter; closes what is left at the end."""
    connections: list[NatsConnection] = []

    async def open_connection(server: EmbeddedNats, **settings: object) -> NatsConnection:
        connection = await connect(NatsSettings(servers=(server.url,), **settings), name="test")  # type: ignore[arg-type]
        connections.append(connection)
        return connection

    yield open_connection
    for connection in connections:
        await connection.close()


@pytest.fixture
def stream_name() -> str:
    """Unique; its events' subjects begin with the same in lower case."""
    return f"S{uuid.uuid4().hex[:10]}"
