"""The one module that knows nats-py's insides: raw frames, the size of its buffer, an end that never waits.

nats-py 2.16 offers no way to write many prepared frames at once, and its `publish` costs more than everything else
on the path of an event. A test holds each assumption made here against the installed release.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from nats.aio.client import Client


def write_frames(client: Client, frames: bytes) -> None:
    """Hands whole protocol frames to the socket's buffer, in the order of the calls; `drain_frames` must follow.

    Commands that nats-py itself has buffered (a SUB) may come after them: flush before the first frame.
    """
    client._transport.write(frames)  # type: ignore[union-attr]


async def drain_frames(client: Client) -> None:
    """Returns when the socket's buffer is below its high-water mark. Raises OSError when the connection broke."""
    await client._transport.drain()  # type: ignore[union-attr]


def send_ping(client: Client) -> asyncio.Future[bool]:
    """Asks for a PONG; it comes back after the server has processed everything written before.

    The future must never be cancelled: nats-py's reader would stumble over it and stop. `Client.flush` does just
    that when it times out, which is why it is not used.
    """
    pong: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    client._pongs.append(pong)
    client._transport.write(b"PING\r\n")  # type: ignore[union-attr]
    return pong


def server_information(client: Client) -> dict[str, Any]:
    """The newest INFO of the server: version, cluster, connect_urls, max_payload and so on."""
    return dict(client._server_info)


def abort(client: Client) -> None:
    """Ends the socket without sending what is buffered: a server that reads no more would keep `close` waiting."""
    writer = getattr(client._transport, "_io_writer", None)
    if writer is not None:
        with contextlib.suppress(RuntimeError):
            writer.transport.abort()


def background_tasks(client: Client) -> list[asyncio.Task[Any]]:
    """The tasks of one connection, to be cancelled after `abort`."""
    tasks = (client._reading_task, client._ping_interval_task, client._flusher_task)
    return [task for task in tasks if task is not None and not task.done()]
