"""How to look around from another terminal while the demo runs: command lines that work as they stand."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from rich.text import Text

from pgstream_installer.demo.screen import Screen
from pgstream_installer.demo.servers import RelayProcess, Servers, script, shown
from pgstream_installer.demo.shop import DATABASE
from pgstream_installer.embedded import postgres_bin_directory

LABEL_CHARACTERS = 9


def look_around(screen: Screen, running: Servers, relay: RelayProcess) -> None:
    """Prints them, one a line, unbroken, so that they can be copied."""
    pgstream = shown(script("pgstream"))
    port = str(running.postgres.port)
    psql = shown(Path(shutil.which("psql") or postgres_bin_directory() / "psql"))
    screen.heading("Look around, from another terminal, while it runs")
    for label, line in (
        ("SQL", shlex.join([psql, "-h", "127.0.0.1", "-p", port, "-U", "postgres", DATABASE])),
        ("events", shlex.join([pgstream, "tail", "--nats", running.nats.url, "--since", "5m"])),
        ("status", shlex.join([pgstream, "status", "--dsn", running.dsn])),
        ("NATS", running.nats.url),
        ("relay", relay.status_page),
    ):
        screen.lines([Text("  ").append(f"{label:<{LABEL_CHARACTERS}}", style="dim").append(line)])
