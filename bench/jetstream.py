"""A JetStream stream seen from outside: how many messages it holds, when the first and the last of them came."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import nats
from nats.aio.client import Client

from bench.errors import BenchError

STREAM_NOT_FOUND = 10059


@dataclass(frozen=True, slots=True)
class StreamState:
    """Times are Unix seconds, by the server's clock."""

    messages: int = 0
    first_sequence: int = 0
    last_sequence: int = 0
    first_time: float = 0.0
    last_time: float = 0.0


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A client that does not connect again: a server that dies ends the benchmark."""
    client = await nats.connect(url, allow_reconnect=False)
    try:
        yield client
    finally:
        await client.close()


async def read_stream_state(client: Client, stream: str) -> StreamState:
    """All zeros where the stream does not exist yet."""
    answer = json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}", timeout=10)).data)
    if "error" in answer:
        if answer["error"].get("err_code") == STREAM_NOT_FOUND:
            return StreamState()
        raise BenchError(f"STREAM.INFO of {stream}: {answer['error']}")
    state = answer["state"]
    return StreamState(
        messages=state["messages"],
        first_sequence=state["first_seq"],
        last_sequence=state["last_seq"],
        first_time=_seconds(state["first_ts"]),
        last_time=_seconds(state["last_ts"]),
    )


async def delete_stream(client: Client, stream: str) -> None:
    """The whole stream and not only its messages: a purged one still refuses their ids as duplicates."""
    await client.request(f"$JS.API.STREAM.DELETE.{stream}", timeout=60)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
