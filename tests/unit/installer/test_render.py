"""Events as lines: what changed is readable, and nothing in a row reaches the terminal as a command."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pgstream_installer.render import Event, format_value, json_line, parse_event, printable, render_event

HEADERS = {"Pgstream-Version": "1", "Nats-Msg-Id": "X"}


def event(operation: str, data: dict[str, Any] | str, **headers: str) -> Event:
    body = data if isinstance(data, str) else json.dumps(data)
    payload = (
        f'{{"id":"01KA","database":"shop","schema":"public","table":"orders","operation":"{operation}",'
        f'"data":{body},"timestamp":"2026-11-22T09:45:10.123456+00:00"}}'
    )
    named = {f"Pgstream-{name}": value for name, value in headers.items()}
    parsed = parse_event(f"shop.public.orders.{operation}", {**HEADERS, **named}, payload.encode())
    assert parsed is not None
    return parsed


def line(operation: str, data: dict[str, Any] | str, **headers: str) -> str:
    return render_event(event(operation, data, **headers)).plain


def test_an_update_shows_what_changed_and_from_what() -> None:
    data = {
        "before": {"id": 7, "status": "new"},
        "after": {"id": 7, "status": "paid"},
        "diff": {"status": "paid"},
    }

    assert line("update", data, Key="[7]") == '09:45:10.123 update   public.orders [7]  status: "new" → "paid"'


def test_an_update_that_changed_nothing_says_so() -> None:
    row = {"id": 7}

    assert line("update", {"before": row, "after": row, "diff": None}).endswith("nothing changed")


def test_an_update_whose_old_row_is_not_known_shows_the_new_one() -> None:
    data = {"before": {"id": 7}, "after": {"id": 7, "status": "paid"}, "diff": None}

    assert line("update", data).endswith('id: 7  status: "paid"')


def test_inserts_and_deletes_show_the_row() -> None:
    assert line("insert", {"before": None, "after": {"id": 1}, "diff": None}).endswith("insert   public.orders  id: 1")
    assert line("delete", {"before": {"id": 1}, "after": None, "diff": None}).endswith("delete   public.orders  id: 1")


def test_events_without_rows_and_their_headers() -> None:
    nothing = {"before": None, "after": None, "diff": None}

    assert line("truncate", nothing).endswith("truncate public.orders")
    assert "mark: end" in line("snapshot", nothing, Mark="end", Rows="3")
    assert "in object: b/x" in line("insert", nothing, Object="b/x")


def test_numbers_keep_every_digit() -> None:
    data = '{"before":null,"after":{"total":1.50,"id":123456789012345678901234567890},"diff":null}'

    assert line("insert", data).endswith("total: 1.50  id: 123456789012345678901234567890")


def test_json_lines_are_the_events_own_bytes_and_two_keys_more() -> None:
    one = event("insert", '{"before":null,"after":{"total":1.50},"diff":null}')

    printed = json_line(one)

    assert printed.startswith(one.payload[:-1])
    assert json.loads(printed)["subject"] == "shop.public.orders.insert"
    assert json.loads(printed)["headers"]["Nats-Msg-Id"] == "X"


def test_messages_of_others_are_no_events() -> None:
    assert parse_event("a", None, b"{}") is None
    assert parse_event("a", {}, b"{}") is None
    assert parse_event("a", HEADERS, b"not json") is None
    assert parse_event("a", HEADERS, b"[]") is None


@given(st.text())
def test_a_terminal_sees_printable_characters_only(text: str) -> None:
    assert printable(text).isprintable()
    data = {"before": None, "after": {text: text}, "diff": None}
    assert render_event(event("insert", data)).plain.isprintable()


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner)))
def test_values_are_short_whatever_they_are(value: Any) -> None:
    assert len(format_value(value, characters_max=20)) <= 20
