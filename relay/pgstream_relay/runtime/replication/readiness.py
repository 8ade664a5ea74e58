"""Waits until a socket can be read or written, without leaving a trace in the event loop when it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Readiness:
    """For the lifetime of one file descriptor. At most one wait for reading and one for writing at a time."""

    def __init__(self, file_descriptor: int) -> None:
        self._file_descriptor = file_descriptor
        self._waiters: set[asyncio.Future[None]] = set()
        self._closed = False

    async def wait_readable(self) -> None:
        """Returns at once after `close()`."""
        loop = asyncio.get_running_loop()
        await self._wait(loop.add_reader, loop.remove_reader)

    async def wait_writable(self) -> None:
        """Returns at once after `close()`."""
        loop = asyncio.get_running_loop()
        await self._wait(loop.add_writer, loop.remove_writer)

    async def _wait(self, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
        if self._closed:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        add(self._file_descriptor, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if not self._closed:
                remove(self._file_descriptor)

    def close(self) -> None:
        """Wakes whoever waits. To be called before the descriptor is closed: its number may be another's after that."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._file_descriptor)
        loop.remove_writer(self._file_descriptor)
        for waiter in self._waiters:
            _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
