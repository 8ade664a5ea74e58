"""Waits for what has no event of its own: the state of another task or process, a row, a file."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

WAIT_SECONDS = 60.0
"""The limit only ends a broken test."""
POLL_SECONDS = 0.02
_T = TypeVar("_T")


@overload
async def eventually(
    probe: Callable[[], Awaitable[_T]], *, seconds: float = ..., otherwise: Callable[[], str] = ...
) -> _T: ...


@overload
async def eventually(probe: Callable[[], _T], *, seconds: float = ..., otherwise: Callable[[], str] = ...) -> _T: ...


async def eventually(
    probe: Callable[[], Any],
    *,
    seconds: float = WAIT_SECONDS,
    otherwise: Callable[[], str] = lambda: "it never came true",
) -> Any:
    """The first true answer of `probe`, a plain function or a coroutine function. Raises AssertionError without one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = probe()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        await asyncio.sleep(POLL_SECONDS)
    raise AssertionError(f"after {seconds} s: {otherwise()}")
