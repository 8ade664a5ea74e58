"""What PostgreSQL 18 sent for tests/golden/pgoutput/scenario.sql."""

from __future__ import annotations

from typing import TypeVar

import pytest

from pgstream_relay.pgoutput.decoder import decode_message
from pgstream_relay.pgoutput.messages import (
    UNCHANGED,
    Begin,
    Column,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    Origin,
    Relation,
    Truncate,
    Type,
    Update,
)
from tests.support.golden import golden_messages
from tests.support.pgoutput import encode_message

AMessage = TypeVar("AMessage", bound=tuple[object, ...])
YEAR_2026_US = 1_767_225_600_000_000


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return [decode_message(data) for data in golden_messages()]


def of_type(messages: list[Message], kind: type[AMessage]) -> list[AMessage]:
    return [message for message in messages if isinstance(message, kind)]


def test_the_encoder_of_the_tests_writes_the_same_bytes() -> None:
    for data in golden_messages():
        assert encode_message(decode_message(data)) == data


def test_each_kind_of_message_is_there(messages: list[Message]) -> None:
    kinds = {Begin, Commit, Origin, Relation, Type, Insert, Update, Delete, Truncate, LogicalMessage}
    assert {type(message) for message in messages} == kinds


def test_transactions_are_closed_and_in_commit_order(messages: list[Message]) -> None:
    begins, commits = of_type(messages, Begin), of_type(messages, Commit)
    assert [begin.final_lsn for begin in begins] == [commit.commit_lsn for commit in commits]
    assert [begin.commit_timestamp_us for begin in begins] == [commit.commit_timestamp_us for commit in commits]
    assert all(commit.commit_lsn < commit.end_lsn for commit in commits)
    lsns = [commit.end_lsn for commit in commits]
    assert lsns == sorted(lsns)


def test_a_relation_names_its_columns(messages: list[Message]) -> None:
    type_ = of_type(messages, Type)[0]
    city, ledger, *_ = of_type(messages, Relation)
    assert (type_.schema, type_.name) == ("public", "mood")
    assert (city.schema, city.name, city.replica_identity) == ("public", "city", "d")
    assert city.columns == (
        Column(True, "id", 23, -1),
        Column(False, "name", 25, -1),
        Column(False, "mood", type_.oid, -1),
        Column(False, "note", 25, -1),
    )
    assert ledger.replica_identity == "f"
    assert ledger.columns == (Column(True, "amount", 1700, (12 << 16 | 2) + 4), Column(True, "at", 1184, -1))


def test_an_altered_relation_is_described_again(messages: list[Message]) -> None:
    cities = [relation for relation in of_type(messages, Relation) if relation.name == "city"]
    assert [len(city.columns) for city in cities] == [4, 5, 5]


def test_inserts(messages: list[Message]) -> None:
    first, second, ledger, sale, last = of_type(messages, Insert)
    assert first.new == [b"1", "Åbo".encode(), b"high", b"n" * 3000]
    assert second.new == [b"2", b"", None, None]
    assert ledger.new == [b"1.50", b"2026-01-01 10:34:56.5+00"]
    assert sale.new == [b"1", b"2026-02-03"]
    assert last.new == [b"4", b"Oulu", b"low", None, b"9007199254740993"]


def test_a_partition_speaks_for_its_root(messages: list[Message]) -> None:
    root, leaf = (relation for relation in of_type(messages, Relation) if relation.name.startswith("sale"))
    assert (root.name, leaf.name) == ("sale", "sale_2026")
    assert root.oid in {insert.relation_oid for insert in of_type(messages, Insert)}


def test_updates(messages: list[Message]) -> None:
    plain, moved, full = of_type(messages, Update)
    assert plain[1:] == (None, None, [b"1", b"Turku", b"high", UNCHANGED])
    assert moved[1:] == ("K", [b"2", None, None, None], [b"3", b"", None, None])
    at = b"2026-01-01 10:34:56.5+00"
    assert full[1:] == ("O", [b"1.50", at], [b"2.00", at])


def test_deletes(messages: list[Message]) -> None:
    by_key, full, sale = of_type(messages, Delete)
    assert by_key[1:] == ("K", [b"3", None, None, None])
    assert full[1:] == ("O", [b"2.00", b"2026-01-01 10:34:56.5+00"])
    assert sale[1:] == ("K", [b"1", b"2026-02-03"])


def test_truncate(messages: list[Message]) -> None:
    (truncate,) = of_type(messages, Truncate)
    names = {relation.oid: relation.name for relation in of_type(messages, Relation)}
    assert [names[oid] for oid in truncate.relation_oids] == ["city", "ledger"]
    assert truncate.cascade
    assert truncate.restart_identity


def test_logical_messages(messages: list[Message]) -> None:
    inside, outside = of_type(messages, LogicalMessage)
    assert inside._replace(lsn=0) == LogicalMessage(True, 0, "orders", b"in a transaction")
    assert outside._replace(lsn=0) == LogicalMessage(False, 0, "orders", b"\x00\x01\xff")
    before = messages[messages.index(outside) - 1]
    assert isinstance(before, Commit)
    assert before.end_lsn <= outside.lsn


def test_a_transaction_of_another_origin_carries_its_time(messages: list[Message]) -> None:
    (origin,) = of_type(messages, Origin)
    begin = messages[messages.index(origin) - 1]
    assert origin == Origin(0xABCDEF, "elsewhere")
    assert isinstance(begin, Begin)
    assert begin.commit_timestamp_us == YEAR_2026_US + 1
