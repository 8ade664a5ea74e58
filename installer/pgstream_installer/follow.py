"""Shows the progress of one signal's snapshots until all have ended: bars on a terminal, a line a change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from pgstream_installer.render import printable
from pgstream_installer.report import render_snapshots
from pgstream_installer.snapshots import Progress

REFRESH_SECONDS = 0.5
PERCENT_STEP = 10


def follow(console: Console, read: Callable[[], Progress]) -> Progress:
    """Asks `read` again and again; returns the last answer, in which every snapshot has ended."""
    if not console.is_terminal:
        return _follow_in_lines(console, read)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            progress = read()
            live.update(render_progress(progress), refresh=True)
            if progress.ended:
                return progress
            time.sleep(REFRESH_SECONDS)


def _follow_in_lines(console: Console, read: Callable[[], Progress]) -> Progress:
    said: dict[int, str] = {}
    note = ""
    while True:
        progress = read()
        if not progress.ended and (latest := relay_note(progress)) != note:
            note = latest
            if note:
                console.print(Text(note))
        for row in progress.snapshots:
            step = f"{row['state']} {int(row.get('percent') or 0) // PERCENT_STEP}"
            if said.get(row["id"]) != step:
                said[row["id"]] = step
                console.print(Text(_line(row)))
        if progress.ended:
            return progress
        time.sleep(REFRESH_SECONDS)


def render_progress(progress: Progress) -> RenderableType:
    """A bar for each table; beneath, why nothing moves where no relay streams."""
    note = "" if progress.ended else relay_note(progress)
    return Group(render_snapshots(progress.snapshots), *([Text(note, style="yellow")] if note else []))


def relay_note(progress: Progress) -> str:
    """Why the snapshots wait for the relay; empty while one streams."""
    status = progress.status
    if status.get("state") == "streaming":
        return ""
    parts = [f"no relay is streaming ({status.get('state') or 'offline'}), so the snapshots wait"]
    parts += [str(status[name]) for name in ("error", "hint") if status.get(name)]
    return printable(": ".join(parts[:2]) + (f" → {parts[2]}" if len(parts) > 2 else ""))


def _line(row: dict[str, Any]) -> str:
    percent = "" if row.get("percent") is None else f" {float(row['percent']):.0f} %"
    return printable(
        f"{row['table_schema']}.{row['table_name']}: {row['state']}{percent}, {row.get('rows_done') or 0} rows"
    )
