"""Live traffic: the shop's day goes on, each transaction beside its events, one line an event."""

from __future__ import annotations

import asyncio
import time

from rich.text import Text

from pgstream_installer.demo.layout import format_latency
from pgstream_installer.demo.screen import ACCENT
from pgstream_installer.demo.shop import Shop
from pgstream_installer.demo.stage import Stage, Tally
from pgstream_installer.demo.tour import CARTS_AFTERWARDS

GAP_SECONDS = 0.4


async def run_traffic(stage: Stage, seconds: int) -> None:
    """For `seconds`, or until a signal where that is 0; a signal is a good end of it."""
    screen = stage.screen
    screen.heading("Live traffic" + (f", {seconds} s" if seconds else ", until Ctrl-C"))
    shop = Shop(CARTS_AFTERWARDS)
    end = time.monotonic() + seconds if seconds else None
    task = asyncio.current_task()
    assert task is not None
    try:
        with screen.footer():
            while end is None or time.monotonic() < end:
                await stage.change_in_passing(shop.next_transaction())
                screen.set_footer(_footer(stage.tally, end))
                await asyncio.sleep(GAP_SECONDS)
    except asyncio.CancelledError:
        task.uncancel()


def _footer(tally: Tally, end: float | None) -> Text:
    left = "" if end is None else f"   {max(0.0, end - time.monotonic()):.0f} s left"
    line = Text().append(f"  {tally.operations.total()} events", style=ACCENT)
    return line.append(f"   p50 {format_latency(tally.latency(50))}{left}   Ctrl-C ends it", style="dim")
