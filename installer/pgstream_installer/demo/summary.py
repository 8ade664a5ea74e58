"""The last lines: how many events there were, where they are, how long they took."""

from __future__ import annotations

from nats.aio.client import Client
from rich.text import Text

from pgstream_installer.configuration import NatsOptions
from pgstream_installer.demo.layout import OPERATION_STYLES, format_latency
from pgstream_installer.demo.screen import Screen
from pgstream_installer.demo.stage import Tally
from pgstream_installer.nats_connection import request_api


async def summarize(tally: Tally, screen: Screen, client: Client, options: NatsOptions) -> None:
    """Asks JetStream what it holds: that is no count of our own."""
    answer = await request_api(client, options, "STREAM.LIST")
    stored = {info["config"]["name"]: int(info["state"]["messages"]) for info in answer["streams"] or []}
    total = tally.operations.total()
    screen.heading("Summary")
    line = Text(f"  {total} events:")
    for operation, style in OPERATION_STYLES.items():
        if tally.operations[operation]:
            line.append(f"  {operation}", style=style)
            line.append(" " + str(tally.operations[operation]))
    screen.lines([line])
    kept = ", ".join(f"{count} stored in {name}" for name, count in stored.items())
    screen.note(f"{kept}, {tally.ephemeral} ephemeral", style="")
    p50, p95 = (format_latency(tally.latency(percent)) for percent in (50, 95))
    screen.note(f"from commit to this screen: p50 {p50}, p95 {p95}", style="")
