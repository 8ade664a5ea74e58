"""PURE: SQL, events and rows as styled lines; on a wide screen the SQL stands left of the events, else above them."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from pgstream_installer.demo.feed import Arrival
from pgstream_installer.render import OPERATION_STYLES as RENDER_STYLES
from pgstream_installer.render import Event, Number, format_value, printable

# A word on a coloured ground is too loud among so many.
OPERATION_STYLES = {**RENDER_STYLES, "truncate": "bold magenta"}
WIDE_CHARACTERS = 112
SQL_SHARE = 0.42
SQL_CHARACTERS_MIN = 51
SQL_CHARACTERS_MAX = 64
MARGIN = "  "
SQL_HANGING = 4
OPERATION_CHARACTERS = 9
KEYWORDS = re.compile(
    r"\b(?:AND|AS|BEGIN|BY|COMMIT|DELETE|FROM|INSERT|INTO|ORDER|SELECT|SET|TRUNCATE|UPDATE|VALUES|WHERE)\b"
)
QUOTED = re.compile(r"'(?:[^']|'')*'")


def sql_lines(text: str) -> list[Text]:
    """SQL as it was typed; the word that changes rows has the colour of its events."""
    return [_sql_line(line) for line in text.splitlines()]


def _sql_line(line: str) -> Text:
    if line.startswith("-- "):
        return Text(printable(line), style="dim italic")
    styled = Text(printable(line))
    quoted = [found.span() for found in QUOTED.finditer(line)]
    for found in KEYWORDS.finditer(line):
        if not any(start <= found.start() < end for start, end in quoted):
            styled.stylize(OPERATION_STYLES.get(found[0].lower(), "bold"), *found.span())
    return styled


def event_lines(arrival: Arrival, *, brief: bool) -> list[Text]:
    """An event: its subject, and below it the row or what changed; `brief`: table, key and that in one line."""
    event = arrival.event
    head = Text()
    head.append(printable(arrival.operation), style=OPERATION_STYLES.get(arrival.operation, "bold"))
    head.append(" " * max(1, OPERATION_CHARACTERS - len(head)))
    indent = " " * OPERATION_CHARACTERS
    if brief:
        head.append(printable(str(event.document.get("table"))))
        if arrival.operation == "update":
            head.append(printable(f" {event.headers.get('Pgstream-Key', '')}"), style="dim")
        head.append("  ")
        head.append_text(changes(event))
        return [head]
    head.append(printable(event.subject))
    head.append(f"  {format_latency(arrival.latency_seconds)}", style="dim")
    below = changes(event)
    return [head, Text(indent).append_text(below)] if below else [head]


def changes(event: Event) -> Text:
    """`status: new → paid` for an update; the row for what has only one."""
    data = event.document["data"]
    before, after, diff = data.get("before"), data.get("after"), data.get("diff")
    line = Text()
    operation = str(event.document.get("operation"))
    if operation != "update":
        for name, value in (after or before or {}).items():
            _append_field(line, name)
            line.append(plain_value(value))
        return line
    for name, value in (diff or {}).items():
        _append_field(line, name)
        if isinstance(before, dict) and name in before:
            line.append(plain_value(before[name]), style="dim")
            line.append(" → ", style="dim")
        line.append(plain_value(value), style=OPERATION_STYLES["update"])
    return line


def _append_field(line: Text, name: str) -> None:
    if line:
        line.append("  ")
    line.append(f"{printable(name)}: ", style="dim")


def plain_value(value: Any) -> str:
    """A value without the quotes of a JSON string: the demo's rows hold nothing that needs them."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Number) else format_value(value)


def command_lines(words: Sequence[str], width: int) -> list[Text]:
    """A command of the shell; where it is wider than `width`, an option a line, so that it can still be copied."""
    whole = shlex.join(words)
    if len(whole) <= width:
        return [Text(whole)]
    options = [at for at, word in enumerate(words) if word.startswith("-")]
    parts = [words[start:end] for start, end in itertools.pairwise([0, *options, len(words)])]
    first, *rest = [shlex.join(part) for part in parts if part]
    lines = [first, *(f"    {part}" for part in rest)]
    return [Text(line + ("" if line is lines[-1] else " \\")) for line in lines]


def beside(width: int, left: Sequence[Text], right: Sequence[Text]) -> list[Text]:
    """Two columns, or where `width` (characters) is small, one below the other; in lines that fit."""
    if width < WIDE_CHARACTERS:
        inner = MARGIN * 2
        typed = [Text(MARGIN).append_text(line) for line in folded(left, width - len(MARGIN), SQL_HANGING)]
        came = folded(right, width - len(inner), OPERATION_CHARACTERS)
        return [*typed, *(Text(inner).append_text(line) for line in came)]
    left_width = max(SQL_CHARACTERS_MIN, min(int(width * SQL_SHARE), SQL_CHARACTERS_MAX))
    divider = " │ "
    right_width = width - left_width - len(divider) - len(MARGIN)
    rows = itertools.zip_longest(
        folded(left, left_width, SQL_HANGING), folded(right, right_width, OPERATION_CHARACTERS)
    )
    lines = []
    for sql, event in rows:
        line = Text(MARGIN).append_text(sql or Text())
        line.append(" " * (len(MARGIN) + left_width - line.cell_len))
        line.append(divider, style="dim")
        lines.append(line.append_text(event or Text()))
    return lines


def folded(lines: Sequence[Text], width: int, hanging: int) -> list[Text]:
    """Lines no wider than `width`; what goes on is indented as its beginning is, or else by `hanging` characters."""
    result: list[Text] = []
    for line in lines:
        indent = len(line.plain) - len(line.plain.lstrip(" ")) or hanging
        rest = line
        while rest.cell_len > width:
            cut = _break_at(rest.plain, indent, width)
            result.append(rest[:cut])
            skipped = len(rest.plain[cut:]) - len(rest.plain[cut:].lstrip(" "))
            rest = Text(" " * indent).append_text(rest[cut + skipped :])
        result.append(rest)
    return result


def _break_at(plain: str, indent: int, width: int) -> int:
    """Where a line is broken: between two fields if it can be, else between words, else anywhere."""
    for gap in ("  ", " "):
        cut = plain.rfind(gap, indent + 1, width + 1)
        if cut > indent:
            return cut
    return width


def table_lines(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Text]:
    """Rows as psql shows them."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(name), *(len(row[at]) for row in cells)) for at, name in enumerate(names)]
    heading = Text("  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True)), style="dim")
    body = [Text("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True))) for row in cells]
    for line in (heading, *body):
        line.rstrip()
    return [heading, *body]


def record_lines(names: Sequence[str], row: Sequence[Any]) -> list[Text]:
    """One row, a column a line, as psql shows it after \\gx."""
    width = max(len(name) for name in names)
    return [
        Text(f"{name:<{width}}  ", style="dim").append(_cell(value), style="not dim")
        for name, value in zip(names, row, strict=True)
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else printable(str(value))


def format_latency(seconds: float) -> str:
    """A short duration in milliseconds."""
    return f"{seconds * 1000:.1f} ms"
