"""PURE: an event as a line for people: time, subject, operation, key, and what changed. Used by tail and demo.

Whatever a row holds, no control character of it reaches the terminal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

OPERATION_STYLES = {
    "insert": "bold green",
    "update": "bold yellow",
    "delete": "bold red",
    "truncate": "bold white on red",
    "snapshot": "cyan",
    "unknown": "bold magenta",
}
VALUE_CHARACTERS_MAX = 60
NOTES = {
    "Pgstream-Mark": "mark",
    "Pgstream-Rows": "rows",
    "Pgstream-Unchanged": "not sent",
    "Pgstream-Error": "error",
    "Pgstream-Object": "in object",
    "Pgstream-Gap": "gap",
}


class Number(str):
    """A JSON number with every digit that it had."""

    __slots__ = ()


@dataclass(frozen=True)
class Event:
    """One event as it came from NATS. `document` is the envelope; numbers in it are Number."""

    subject: str
    headers: Mapping[str, str]
    payload: bytes
    document: Mapping[str, Any] = field(repr=False)


def parse_event(subject: str, headers: Mapping[str, str] | None, payload: bytes) -> Event | None:
    """The event in a NATS message; None where it is none of pgstream's (no header Pgstream-Version, no envelope)."""
    if not headers or "Pgstream-Version" not in headers:
        return None
    try:
        document = json.loads(payload, parse_int=Number, parse_float=Number)
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
        return None
    return Event(subject, headers, payload, document)


def json_line(event: Event) -> bytes:
    """The event's own JSON, byte for byte, with two more keys: `subject` and `headers`."""
    more = json.dumps({"subject": event.subject, "headers": dict(event.headers)}, separators=(",", ":"))
    return event.payload.rstrip().removesuffix(b"}") + b"," + more[1:].encode()


def render_event(event: Event) -> Text:
    """One line, styled; it may be longer than the terminal."""
    document = event.document
    operation = str(document.get("operation", "?"))
    line = Text(no_wrap=False, overflow="fold")
    line.append(_clock(str(document.get("timestamp", ""))), style="dim")
    line.append(f" {printable(operation):<8}", style=OPERATION_STYLES.get(operation, "bold"))
    line.append(f" {printable(str(document.get('schema')))}.{printable(str(document.get('table')))}", style="bold")
    key = event.headers.get("Pgstream-Key")
    if key is not None:
        line.append(f" {printable(key)}", style="bright_blue")
    _append_data(line, document["data"], operation)
    for header, words in NOTES.items():
        if header in event.headers:
            line.append(f"  {words}: {printable(event.headers[header])}", style="magenta")
    return line


def _append_data(line: Text, data: Mapping[str, Any], operation: str) -> None:
    before, after, diff = data.get("before"), data.get("after"), data.get("diff")
    if operation == "update" and isinstance(diff, dict):
        for name, value in diff.items():
            line.append(f"  {printable(name)}: ", style="dim")
            if isinstance(before, dict) and name in before:
                line.append(format_value(before[name]), style="red")
                line.append(" → ", style="dim")
            line.append(format_value(value), style="green")
        return
    row = after if isinstance(after, dict) else before
    if operation == "update" and isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        line.append("  nothing changed", style="dim")
        return
    for name, value in (row or {}).items():
        line.append(f"  {printable(name)}: ", style="dim")
        line.append(format_value(value))


def _clock(timestamp: str) -> str:
    """The time of day of an ISO time, to the millisecond."""
    return printable(timestamp[11:23] or timestamp)


def format_value(value: Any, characters_max: int = VALUE_CHARACTERS_MAX) -> str:
    """A JSON value, short enough to read."""
    text = _json_text(value)
    text = printable(text)
    return text if len(text) <= characters_max else f"{text[: characters_max - 1]}…"


def _json_text(value: Any) -> str:
    """JSON with numbers as they came, also inside of documents."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name, ensure_ascii=False)}: {_json_text(one)}" for name, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_json_text(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)


def printable(text: str) -> str:
    """The text with everything that a terminal could take for a command, or for a change of direction, spelt out."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
