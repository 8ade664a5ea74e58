"""A TCP proxy on 127.0.0.1 whose connections fail in a chosen way at a chosen point of the protocol.

`up` is towards the server, `down` towards the client. A toxic waits for bytes to pass in its direction and then acts
on the connection that they passed on, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal

Action = Literal["close", "reset", "stall", "deafen", "mute", "slow"]
Direction = Literal["up", "down"]

CHUNK_BYTES: Final = 64 * 1024
SLOW_CHUNK_BYTES: Final = 2048
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class Toxic:
    """Acts when `when` has passed in `direction` and `after` more bytes behind it (fewer, where it is negative).

    An empty `when` is the connection's very beginning. `close` ends the connection in order, `reset` without;
    `stall` lets nothing through any more, `deafen` nothing of what the server says, `mute` nothing of what the client
    says; `slow` lets `bytes_per_second` through. The connection of a stalled, deaf or mute one is reset after
    `seconds`; None leaves it to the client to give up.
    """

    action: Action
    when: bytes = b""
    direction: Direction = "up"
    after: int = 0
    seconds: float | None = 0.3
    bytes_per_second: int = 100_000
    fired: bool = False

    def __str__(self) -> str:
        return f"{self.action} {self.direction} at {self.when!r}{self.after:+}"


@dataclass(eq=False)
class _Flow:
    """One direction of one connection."""

    direction: Direction
    passed: int = 0
    tail: bytes = b""
    cuts: dict[Toxic, int] = field(default_factory=dict)


class _Connection:
    def __init__(self, proxy: ToxicProxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._writers = (client, server)
        self._dropped: set[Direction] = set()
        self._stalled = False
        self._bytes_per_second: int | None = None

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, direction: Direction) -> None:
        """Until either side ends."""
        flow = _Flow(direction)
        await self._pass(b"", sink, flow)
        while data := await source.read(SLOW_CHUNK_BYTES if self._bytes_per_second else CHUNK_BYTES):
            if self._bytes_per_second:
                await asyncio.sleep(len(data) / self._bytes_per_second)
            await self._pass(data, sink, flow)

    async def _pass(self, data: bytes, sink: asyncio.StreamWriter, flow: _Flow) -> None:
        """Forwards the data, with whatever the toxics do about it."""
        while (found := self._first_cut(data, flow)) is not None:
            toxic, cut = found
            await self._forward(data[:cut], sink, flow)
            data = data[cut:]
            toxic.fired = True
            await self._act(toxic)
        await self._forward(data, sink, flow)

    def _first_cut(self, data: bytes, flow: _Flow) -> tuple[Toxic, int] | None:
        """The toxic that fires first in this piece, and at which of its bytes."""
        window = flow.tail + data
        for toxic in self._proxy.toxics:
            if toxic.fired or toxic.direction != flow.direction or toxic in flow.cuts:
                continue
            index = window.find(toxic.when)
            if index >= 0:
                end = flow.passed - len(flow.tail) + index + len(toxic.when)
                flow.cuts[toxic] = max(flow.passed, end + toxic.after)
        due = [
            (toxic, cut - flow.passed)
            for toxic, cut in flow.cuts.items()
            if not toxic.fired and cut - flow.passed <= len(data)
        ]
        return min(due, key=lambda pair: pair[1], default=None)

    async def _forward(self, data: bytes, sink: asyncio.StreamWriter, flow: _Flow) -> None:
        flow.passed += len(data)
        flow.tail = (flow.tail + data)[-256:]
        if self._stalled:
            await asyncio.Event().wait()
        if data and flow.direction not in self._dropped:
            sink.write(data)
            await sink.drain()

    async def _act(self, toxic: Toxic) -> None:
        if toxic.action == "close":
            for writer in self._writers:
                writer.close()
        elif toxic.action == "reset":
            self.reset()
        elif toxic.action == "slow":
            self._bytes_per_second = toxic.bytes_per_second
        else:
            self._stalled = toxic.action == "stall"
            if toxic.action != "stall":
                self._dropped.add("down" if toxic.action == "deafen" else "up")
            if toxic.seconds is not None:
                asyncio.get_running_loop().call_later(toxic.seconds, self.reset)

    def reset(self) -> None:
        """Ends both sides with RST."""
        for writer in self._writers:
            endpoint = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()


class ToxicProxy:
    """Listens while the block runs. `toxics` may be changed at any time."""

    def __init__(self, server_port: int) -> None:
        self.toxics: list[Toxic] = []
        self.port = 0
        self._server_port = server_port
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> ToxicProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Resets every connection."""
        for connection in list(self._connections):
            connection.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.close()
            return
        connection = _Connection(self, writer, server_writer)
        self._connections.add(connection)
        flows = [
            asyncio.ensure_future(connection.pump(reader, server_writer, "up")),
            asyncio.ensure_future(connection.pump(server_reader, writer, "down")),
        ]
        try:
            # Ends in order where it is cancelled: asyncio would log anything else as a failure of the server.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)
            for end in (writer, server_writer):
                end.close()
