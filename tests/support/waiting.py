"""Waits for what has no event of its own: the state of another task, a row, a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

WAIT_SECONDS = 60.0


async def until(condition: Callable[[], bool]) -> None:
    """Returns once it holds; raises TimeoutError where it never does. The limit only ends a broken test."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 - conditions over plain attributes announce nothing
            await asyncio.sleep(0.005)
