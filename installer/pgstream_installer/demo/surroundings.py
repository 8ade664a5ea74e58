"""How to look around from another terminal while the demo runs: command lines that work as they stand."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.text import Text

from pgstream_installer.demo.screen import Screen
from pgstream_installer.demo.servers import RelayProcess, Servers, script, shown
from pgstream_installer.demo.shop import DATABASE
from pgstream_installer.embedded import postgres_bin_directory


def look_around(screen: Screen, running: Servers, relay: RelayProcess) -> None:
    """Prints the command lines and the addresses."""
    pgstream = shown(script("pgstream"))
    psql = shown(Path(shutil.which("psql") or postgres_bin_directory() / "psql"))
    screen.heading("Look around, from another terminal, while it runs")
    screen.command(psql, "-h", "127.0.0.1", "-p", str(running.postgres.port), "-U", "postgres", "-d", DATABASE)
    screen.command(pgstream, "tail", "--nats", running.nats.url, "--since", "5m")
    screen.command(pgstream, "status", "--dsn", running.dsn)
    for name, address in (("NATS", running.nats.url), ("relay", relay.status_page)):
        screen.lines([Text("  ").append(f"{name:<7}", style="dim").append(address)])
