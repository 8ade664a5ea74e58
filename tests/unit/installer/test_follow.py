"""Following snapshots: bars on a terminal, lines elsewhere, and what is said while no relay streams."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from pgstream_installer.follow import follow, relay_note
from pgstream_installer.snapshots import Progress

STREAMING = {"state": "streaming"}
OFFLINE = {"state": "offline", "error": "no relay has run yet", "hint": "start one"}


def row(state: str, percent: float | None = None, **more: Any) -> dict[str, Any]:
    return {"id": 1, "table_schema": "public", "table_name": "orders", "state": state, "percent": percent, **more}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgstream_installer.follow.REFRESH_SECONDS", 0)


def followed(answers: list[Progress], *, terminal: bool) -> tuple[Progress, str]:
    """The last answer, and what was printed."""
    output = io.StringIO()
    remaining: Iterator[Progress] = iter(answers)
    console = Console(file=output, force_terminal=terminal, width=120, highlight=False)
    return follow(console, lambda: next(remaining)), output.getvalue()


COURSE = [
    Progress([row("pending")], OFFLINE),
    Progress([row("pending")], OFFLINE),
    Progress([row("running", 1, rows_done=10)], STREAMING),
    Progress([row("running", 2, rows_done=20)], STREAMING),
    Progress([row("running", 55, rows_done=550, remaining="00:00:09")], STREAMING),
    Progress([row("completed", 100, rows_done=1000)], STREAMING),
]


def test_lines_where_no_terminal_is() -> None:
    last, output = followed(COURSE, terminal=False)

    assert last.ended
    assert last.unsuccessful == []
    assert output.splitlines() == [
        "no relay is streaming (offline), so the snapshots wait: no relay has run yet → start one",
        "public.orders: pending, 0 rows",
        "public.orders: running 1 %, 10 rows",
        "public.orders: running 55 %, 550 rows",
        "public.orders: completed 100 %, 1000 rows",
    ]


def test_bars_on_a_terminal() -> None:
    _, output = followed(COURSE, terminal=True)

    for words in ("no relay is streaming", "━", "55 %", "00:00:09", "completed", "100 %"):
        assert words in output


def test_a_stall_is_told_and_a_name_can_not_write_to_the_terminal() -> None:
    stalled = {"state": "stalled", "error": "NATS is \x1b[31maway", "hint": None}
    assert "\x1b" not in relay_note(Progress([], stalled))
    answers = [Progress([row("failed") | {"table_name": "\x1b[31mred"}], stalled)]
    last, output = followed(answers, terminal=False)
    assert "\x1b" not in output
    assert last.unsuccessful
