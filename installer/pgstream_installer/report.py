"""Findings and states as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pgstream_installer.checks.finding import SEVERITIES, Finding
from pgstream_installer.render import printable
from pgstream_installer.status import DatabaseStatus

SEVERITY_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold blue"}
STATE_STYLES = {"streaming": "bold green", "stalled": "bold yellow", "lost": "bold red", "offline": "bold red"}
PIPE_WIDTH = 200
BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")


def render_findings(findings: Sequence[Finding]) -> RenderableType:
    """The worst first; under each, how to mend it."""
    lines: list[Text] = []
    for finding in sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), one.where)):
        line = Text(f"{finding.severity:<8}", style=SEVERITY_STYLES[finding.severity])
        line.append(f" {finding.id}", style="bold")
        line.append(f"  {printable(finding.where)}: {printable(finding.what)}", style="not bold default")
        lines.append(line)
        if finding.hint:
            lines.append(Text(f"         → {printable(finding.hint)}", style="dim"))
    lines.append(Text(_totals(findings), style="bold"))
    return Group(*lines)


def _totals(findings: Sequence[Finding]) -> str:
    counts = [sum(finding.severity == severity for finding in findings) for severity in SEVERITIES]
    if not any(counts):
        return "nothing found: all is well"
    words = ("error", "warning", "note")
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in zip(counts, words, strict=True))


def console() -> Console:
    """Where output goes; wide where no terminal sets a width."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=max(found.width, PIPE_WIDTH))


def render_statuses(statuses: Sequence[DatabaseStatus]) -> RenderableType:
    """Each database: its state, its tables, its snapshots."""
    return Group(*(part for one in statuses for part in _render_status(one)))


def _render_status(one: DatabaseStatus) -> list[RenderableType]:
    row = one.status
    state = str(row.get("state", "offline"))
    heading = Text(printable(one.where), style="bold")
    heading.append("  ")
    heading.append(state, style=STATE_STYLES.get(state, "bold"))
    parts: list[RenderableType] = [heading, _facts(row)]
    if row.get("error"):
        parts.append(Text(f"  {printable(str(row['error']))}", style="red"))
    if row.get("hint"):
        parts.append(Text(f"  → {printable(str(row['hint']))}", style="dim"))
    if one.tables:
        parts += _tables(one.tables)
    if one.snapshots:
        parts.append(render_snapshots(one.snapshots))
    return parts


def _facts(row: dict[str, Any]) -> Text:
    facts = [
        ("slot", f"{row.get('slot_name')} ({row.get('wal_status') or 'missing'})"),
        ("lag", f"{format_bytes(row.get('lag_bytes'))}, {format_seconds(row.get('lag_seconds'))}"),
        ("retained", format_bytes(row.get("retained_bytes"))),
        ("relay", f"{row.get('relay') or 'none'} {row.get('relay_version') or ''}".strip()),
        ("standbys", str(row.get("standbys") or 0)),
        ("last event", str(row.get("last_event_at") or "never")),
    ]
    return Text("  " + "   ".join(f"{name}: {printable(value)}" for name, value in facts))


def _tables(rows: Sequence[dict[str, Any]]) -> list[RenderableType]:
    """One line a table; beneath, what is wrong with which."""
    table = Table("table", "mode", "stream", "subject", "key", "identity", box=None, pad_edge=True)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(
            printable(_name(row)),
            str(row.get("mode") or "") if row.get("enabled", True) else "disabled",
            str(row.get("stream") or ""),
            _subject(row),
            printable(", ".join(row.get("key_columns") or [])),
            str(row.get("replica_identity") or ""),
        )
    problems = [
        Text(f"  {printable(_name(row))}: {_trouble(row, 'problem')}", style="red")
        for row in rows
        if row.get("problem")
    ]
    return [table, *problems]


def _name(row: dict[str, Any]) -> str:
    return f"{row.get('table_schema')}.{row.get('table_name')}"


def _trouble(row: dict[str, Any], what: str) -> str:
    """What is wrong, and what to do about it; empty where nothing is."""
    return printable(" → ".join(str(row[name]) for name in (what, "hint") if row.get(what) and row.get(name)))


def _subject(row: dict[str, Any]) -> str:
    """One subject where all operations have the same but for their own token."""
    subjects = row.get("subjects")
    if isinstance(subjects, dict):
        patterns = {str(one).replace(f".{operation}", ".*") for operation, one in subjects.items()}
        return ", ".join(sorted(patterns))
    return str(subjects or row.get("subject") or "")


def render_snapshots(rows: Sequence[dict[str, Any]]) -> Table:
    """One line a snapshot, with a bar."""
    table = Table("snapshot", "method", "state", "progress", "", "rows", "remaining", "error", box=None, pad_edge=True)
    for row in rows:
        percent = float(row.get("percent") or 0)
        table.add_row(
            printable(_name(row)),
            str(row.get("method") or ""),
            str(row.get("state") or ""),
            ProgressBar(total=100, completed=percent, width=30),
            "" if row.get("percent") is None else f"{percent:.0f} %",
            str(row.get("rows_done") or 0),
            str(row.get("remaining") or ""),
            Text(_trouble(row, "error"), style="red"),
        )
    return table


def format_bytes(count: float | None) -> str:
    """A size with a unit that keeps it short; a question mark for None."""
    if count is None:
        return "?"
    size = float(count)
    for unit in BYTE_UNITS:
        if abs(size) < 1024 or unit == BYTE_UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("the last unit takes everything")


def format_seconds(seconds: float | None) -> str:
    """A duration that people can read; a question mark for None."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
