"""Three nats-servers with JetStream as one cluster, each of which can be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Final

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from pgstream_installer.embedded import EmbeddedNats, free_port
from tests.support.waiting import eventually

NODES: Final = 3
FORMED_SECONDS: Final = 60.0


@contextlib.asynccontextmanager
async def connected_to(urls: list[str]) -> AsyncIterator[Client]:
    """A client of any of these servers for the length of a block."""
    client = await nats.connect(urls, allow_reconnect=False, connect_timeout=10)
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            await client.close()


class NatsCluster:
    """A context manager; the servers' stores survive kills, and go at its end."""

    def __init__(self, *, binary: Path | None = None) -> None:
        ports = [free_port() for _ in range(NODES)]
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        self.nodes = [
            EmbeddedNats(
                binary=binary,
                config=f'server_name: "n{number}"\n'
                f'cluster {{ name: "c", listen: "127.0.0.1:{port}", routes: [{routes}] }}',
            )
            for number, port in enumerate(ports)
        ]

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    async def wait_until_formed(self) -> None:
        """Until JetStream answers, which takes a leader."""

        async def answers() -> bool:
            with contextlib.suppress(NatsError, OSError, EOFError, asyncio.TimeoutError):
                async with connected_to(self.urls) as client:
                    await client.jetstream(timeout=2).account_info()
                    return True
            return False

        await eventually(answers, seconds=FORMED_SECONDS, otherwise=lambda: "the NATS cluster has no leader")

    async def leader_of(self, stream: str) -> EmbeddedNats | None:
        """The node that leads the stream, None where nobody answers for it."""
        with contextlib.suppress(NatsError, OSError, EOFError, asyncio.TimeoutError):
            async with connected_to(self.urls) as client:
                info = await client.jetstream(timeout=2).stream_info(stream)
                if info.cluster and info.cluster.leader:
                    return self.nodes[int(info.cluster.leader.removeprefix("n"))]
        return None

    def __enter__(self) -> NatsCluster:
        try:
            for node in self.nodes:
                node.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for node in self.nodes:
            node.close()
