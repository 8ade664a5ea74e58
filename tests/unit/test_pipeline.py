"""The pipeline without any server: events to the letter, ordinals, routes, marks, settings in mid-transaction."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pgstream_relay.pgoutput.messages import (
    UNCHANGED,
    Column,
    Delete,
    Insert,
    LogicalMessage,
    Relation,
    Truncate,
    Update,
)
from pgstream_relay.pgoutput.reader import MalformedMessage
from pgstream_relay.pipeline import Mark
from pgstream_relay.progress import EPHEMERAL
from tests.support.pgoutput import encode_keepalive, encode_message, encode_xlogdata
from tests.support.wal import INT8, NUMERIC, ORDERS, TEXT, Event, Rig, table_row, transaction

BOOL, TEXT_ARRAY, JSONB, OID, TIMESTAMPTZ = 16, 1009, 3802, 26, 1184

KEPT = Relation(16401, "public", "kept", "d", (Column(True, "id", INT8, -1), Column(False, "note", TEXT, -1)))
TABLES = Relation(
    16390,
    "pgstream",
    "tables",
    "f",
    tuple(
        Column(True, name, oid, -1)
        for name, oid in {
            "table_schema": TEXT, "table_name": TEXT, "enabled": BOOL, "mode": TEXT, "operations": TEXT_ARRAY,
            "subject": TEXT, "event_subjects": JSONB, "stream": TEXT, "key_columns": TEXT_ARRAY, "numbers": TEXT,
            "relid": OID,
        }.items()
    ),
)  # fmt: skip


def control_row(name: str = "orders", *, oid: int = 16400, **settings: bytes | None) -> list[Any]:
    values: dict[str, bytes | None] = {column.name: None for column in TABLES.columns}
    values |= {
        "table_schema": b"public",
        "table_name": name.encode(),
        "enabled": b"t",
        "operations": b"{insert,update,delete,truncate,snapshot}",
        "relid": str(oid).encode(),
    }
    return list((values | settings).values())


def insert(number: int, status: bytes | None = b"new", total: bytes = b"19.90") -> Insert:
    return Insert(16400, [str(number).encode(), status, total])


def test_an_insert_is_the_documented_event_to_the_letter() -> None:
    (event,) = Rig().read(transaction(0x16B3748, ORDERS, insert(7)))
    assert event.subject == "shop.public.orders.insert"
    assert event.payload.decode() == (
        '{"id":"' + event.headers["Nats-Msg-Id"] + '","database":"shop","schema":"public","table":"orders",'
        '"operation":"insert","data":{"before":null,"after":{"id":7,"status":"new","total":19.90},"diff":null},'
        '"timestamp":"2026-11-22T09:45:10.123456+00:00"}'
    )
    assert event.headers == {
        "Nats-Msg-Id": event.document["id"],
        "Content-Type": "application/json",
        "Pgstream-Version": "1",
        "Pgstream-Source": "7300000000000000001/16384/1",
        "Pgstream-Lsn": "0/16B3748",
        "Pgstream-Xid": "700",
        "Pgstream-Seq": "1",
        "Pgstream-Key": "[7]",
    }


def test_a_full_update_has_both_rows_and_what_changed_as_text() -> None:
    old, new = [b"7", b"new", b"1.5"], [b"7", b"paid", b"1.50"]
    (event,) = Rig().read(transaction(100, ORDERS, Update(16400, "O", list(old), list(new))))
    data = event.document["data"]
    assert (data["before"]["status"], data["after"]["status"]) == ("new", "paid")
    assert event.payload.count(b'"diff":{"status":"paid","total":1.50}') == 1
    assert event.headers["Pgstream-Before"] == "full"


def test_an_update_that_changes_nothing_has_no_diff() -> None:
    row = [b"7", b"new", b"1.5"]
    (event,) = Rig().read(transaction(100, ORDERS, Update(16400, "O", list(row), list(row))))
    assert event.document["data"]["diff"] is None
    assert event.document["data"]["before"] == event.document["data"]["after"]


def test_an_unchanged_toast_value_is_filled_from_the_full_old_row() -> None:
    update = Update(16400, "O", [b"7", b"long", b"1"], [b"7", UNCHANGED, b"2"])
    (event,) = Rig().read(transaction(100, ORDERS, update))
    assert event.document["data"]["after"]["status"] == "long"
    assert event.document["data"]["diff"] == {"total": 2}
    assert "Pgstream-Unchanged" not in event.headers


def test_an_unchanged_toast_value_that_nobody_knows_is_absent_and_listed() -> None:
    relation = KEPT._replace(columns=(*KEPT.columns, Column(False, "a, b é", TEXT, -1)))
    update = Update(16401, None, None, [b"1", UNCHANGED, UNCHANGED])
    (event,) = Rig([table_row(KEPT)]).read(transaction(100, relation, update))
    assert event.document["data"] == {"before": {"id": 1}, "after": {"id": 1}, "diff": None}
    assert event.headers["Pgstream-Unchanged"] == "note,a%2C b %C3%A9"
    assert event.headers["Pgstream-Before"] == "key"


def test_a_key_change_without_full_identity_has_both_keys() -> None:
    update = Update(16401, "K", [b"1", None], [b"2", b"x"])
    (event,) = Rig([table_row(KEPT)]).read(transaction(100, KEPT, update))
    assert event.document["data"] == {"before": {"id": 1}, "after": {"id": 2, "note": "x"}, "diff": None}
    assert event.headers["Pgstream-Key"] == "[2]"


def test_a_toasted_key_that_did_not_change_is_filled_from_the_old_key() -> None:
    update = Update(16401, "K", [b"1", None], [UNCHANGED, b"x"])
    (event,) = Rig([table_row(KEPT)]).read(transaction(100, KEPT, update))
    assert event.document["data"]["after"] == {"id": 1, "note": "x"}


def test_deletes_carry_the_whole_old_row_or_its_key() -> None:
    full, key = Rig([table_row(), table_row(KEPT)]).read(
        transaction(100, ORDERS, KEPT, Delete(16400, "O", [b"7", None, b"1"]), Delete(16401, "K", [b"3", None]))
    )
    assert full.document["data"] == {
        "before": {"id": 7, "status": None, "total": 1}, "after": None, "diff": None,
    }  # fmt: skip
    assert (full.headers["Pgstream-Before"], full.headers["Pgstream-Key"]) == ("full", "[7]")
    assert key.document["data"] == {"before": {"id": 3}, "after": None, "diff": None}
    assert (key.headers["Pgstream-Before"], key.headers["Pgstream-Key"]) == ("key", "[3]")


def test_a_truncate_is_one_event_and_one_ordinal_a_relation() -> None:
    first, second, row = Rig([table_row(), table_row(KEPT)]).read(
        transaction(100, ORDERS, KEPT, Truncate((16401, 16400), True, False), insert(1))
    )
    assert (first.subject, second.subject) == ("shop.public.kept.truncate", "shop.public.orders.truncate")
    assert [event.headers["Pgstream-Seq"] for event in (first, second, row)] == ["1", "2", "3"]
    assert first.document["data"] == {"before": None, "after": None, "diff": None}
    assert "Pgstream-Key" not in first.headers


def test_every_row_of_a_transaction_has_its_own_id_in_order() -> None:
    count = 20_000
    events = Rig().read(transaction(100, ORDERS, *(insert(number) for number in range(count))))
    ids = [event.document["id"] for event in events]
    assert len(set(ids)) == count
    assert ids == sorted(ids)
    assert [int(event.headers["Pgstream-Seq"]) for event in events] == list(range(1, count + 1))


def test_ids_of_one_millisecond_sort_in_commit_order_and_do_not_depend_on_the_timeline() -> None:
    wal = (transaction(100, ORDERS, insert(1), insert(2)), transaction(200, insert(3)))
    ids = [event.document["id"] for event in Rig().read(*wal)]
    assert ids == sorted(set(ids))
    from dataclasses import replace

    from tests.support.wal import SOURCE

    promoted = Rig(source=replace(SOURCE, timeline=2)).read(*wal)
    assert [event.document["id"] for event in promoted] == ids
    assert promoted[0].headers["Pgstream-Source"].endswith("/2")


def test_operations_that_are_not_listed_are_counted_and_not_published() -> None:
    (event,) = Rig([table_row(operations=["delete"])]).read(
        transaction(100, ORDERS, insert(1), Delete(16400, "O", [b"1", None, b"1"]))
    )
    assert event.headers["Pgstream-Seq"] == "2"


def test_a_row_that_cannot_be_represented_is_published_as_unknown_without_its_value() -> None:
    rig = Rig()
    bad, good = rig.read(transaction(100, ORDERS, insert(1, b"\xff secret"), insert(2)))
    assert bad.subject == "shop.public.orders.unknown"
    assert bad.document["operation"] == "unknown"
    assert bad.document["data"] == {"before": None, "after": None, "diff": None}
    assert "secret" not in str(bad)
    assert bad.headers["Pgstream-Error"]
    assert good.document["data"]["after"]["id"] == 2
    assert rig.pipeline.unknown_rows == 1


def test_a_tuple_that_does_not_fit_its_relation_is_published_as_unknown() -> None:
    (event,) = Rig().read(transaction(100, ORDERS, Insert(16400, [b"1"])))
    assert event.document["operation"] == "unknown"


def test_an_ephemeral_table_goes_to_plain_nats_and_needs_no_stream() -> None:
    rig = Rig([table_row(mode="ephemeral")])
    (event,) = rig.read(transaction(100, ORDERS, insert(1)))
    assert event.target == EPHEMERAL
    assert rig.targets == {}


def test_a_change_of_the_subject_holds_for_the_later_changes_of_its_own_transaction() -> None:
    rig = Rig()
    change = Update(16390, "O", control_row(), control_row(subject=b"other.{operation}"))
    events = rig.read(transaction(100, ORDERS, TABLES, insert(1), change, insert(2)), transaction(200, insert(3)))
    assert [event.subject for event in events] == [
        "shop.public.orders.insert", "other.insert", "other.insert",
    ]  # fmt: skip
    assert [event.headers["Pgstream-Seq"] for event in events] == ["1", "3", "1"]
    (need,) = rig.pipeline.needed_streams().values()
    assert need.subjects == ("other.*",)


def test_a_table_that_is_added_streams_from_there_on_and_one_that_leaves_stops() -> None:
    rig = Rig([])
    wal = transaction(
        100, TABLES, Insert(16390, control_row()), ORDERS, insert(1), Delete(16390, "O", control_row()), insert(2)
    )
    assert [event.document["data"]["after"]["id"] for event in rig.read(wal)] == [1]


def test_settings_are_kept_as_of_their_commit_and_nothing_is_confirmed_before() -> None:
    rig = Rig([])
    rig.read(transaction(100, TABLES, Insert(16390, control_row())))
    kept = rig.pipeline.kept_settings
    assert kept is not None
    assert kept.lsn == 148
    assert [row["table_name"] for row in kept.document["tables"]] == ["orders"]
    assert json.dumps(kept.document)
    assert (rig.ledger.stored_lsn, rig.ledger.confirmed_lsn) == (148, 0)
    rig.ledger.release(300)
    rig.read([encode_keepalive(299)])
    assert rig.ledger.confirmed_lsn == 0
    rig.read([encode_keepalive(300)])
    assert rig.ledger.confirmed_lsn == 300


def test_a_renamed_table_goes_on_under_its_new_name_and_its_stream_covers_both() -> None:
    rig = Rig()
    events = rig.read(transaction(100, ORDERS, insert(1), ORDERS._replace(name="o2"), insert(2)))
    assert [event.subject for event in events] == ["shop.public.orders.insert", "shop.public.o2.insert"]
    (need,) = rig.pipeline.needed_streams().values()
    assert need.subjects == ("shop.public.o2.*", "shop.public.orders.*")


@pytest.mark.parametrize(("mark", "expected"), [
    (None, [1, 2, 3, 4]), (Mark(100, 1), [2, 3, 4]), (Mark(100, 2), [3, 4]), (Mark(200, 1), [4]), (Mark(300, 9), []),
])  # fmt: skip
def test_what_the_stream_holds_already_is_skipped_and_keeps_its_ordinals(
    mark: Mark | None, expected: list[int]
) -> None:
    rig = Rig(marks={"PGSTREAM_shop": mark} if mark else {})
    events = rig.read(transaction(100, ORDERS, insert(1), insert(2)), transaction(200, insert(3), insert(4)))
    assert [event.document["data"]["after"]["id"] for event in events] == expected


def test_a_mark_holds_for_its_own_stream_alone() -> None:
    rig = Rig([table_row(), table_row(KEPT, stream="OTHER")], marks={"PGSTREAM_shop": Mark(100, 9)})
    events = rig.read(transaction(100, ORDERS, KEPT, insert(1), Insert(16401, [b"1", None])))
    assert [event.document["table"] for event in events] == ["kept"]


def test_logical_messages_with_a_listed_prefix_are_published_and_others_only_counted() -> None:
    rig = Rig(settings={"message_prefixes": ["audit", "pgstream.x"]})
    text, binary, row = rig.read(
        transaction(
            100, LogicalMessage(True, 1, "other", b"x"), LogicalMessage(True, 1, "pgstream.x", b"x"),
            LogicalMessage(True, 1, "audit", "é\n".encode()), LogicalMessage(True, 1, "audit", b"\xff"),
            ORDERS, insert(1),
        )
    )  # fmt: skip
    assert text.subject == "shop.pgstream.messages.unknown"
    assert text.document["data"]["after"] == {"prefix": "audit", "content": "é\n"}
    assert binary.document["data"]["after"] == {"prefix": "audit", "content": "/w==", "encoding": "base64"}
    assert [event.headers["Pgstream-Seq"] for event in (text, binary, row)] == ["3", "4", "5"]
    assert "shop.pgstream.messages.unknown" in rig.pipeline.needed_streams()["PGSTREAM_shop"].subjects


def test_an_oversize_event_becomes_a_claim_check_and_an_object() -> None:
    rig = Rig(event_bytes_max=2_000)
    (event,) = rig.read(transaction(100, ORDERS, insert(1, b"x" * 2_000)))
    (stored,) = rig.objects
    assert event.document["data"] == {"before": None, "after": None, "diff": None}
    assert event.document["operation"] == "insert"
    assert event.headers["Pgstream-Object"] == f"pgstream_shop_oversize/{event.document['id']}"
    document = json.loads(stored.content)
    assert document["id"] == event.document["id"]
    assert document["data"]["after"]["status"] == "x" * 2_000


def test_an_oversize_ephemeral_event_says_so() -> None:
    rig = Rig([table_row(mode="ephemeral")], event_bytes_max=2_000)
    (event,) = rig.read(transaction(100, ORDERS, insert(1, b"x" * 2_000)))
    assert event.headers["Pgstream-Error"] == "too-large"
    assert rig.objects == []


def test_a_transaction_is_confirmed_when_each_target_has_stored_its_events() -> None:
    rig = Rig([table_row(), table_row(KEPT, stream="OTHER")])
    rig.read(transaction(100, ORDERS, KEPT, insert(1), Insert(16401, [b"1", None])), transaction(200, insert(2)))
    main, other = rig.targets["PGSTREAM_shop"], rig.targets["OTHER"]
    rig.ledger.acknowledge(main, 2)
    assert rig.ledger.confirmed_lsn == 0
    rig.ledger.acknowledge(other, 1)
    assert rig.ledger.confirmed_lsn == 248


def test_a_keepalive_confirms_an_idle_database_but_nothing_in_mid_transaction() -> None:
    rig = Rig()
    rig.read([encode_keepalive(500)])
    assert rig.ledger.confirmed_lsn == 500
    begin, relation, row, commit = transaction(600, ORDERS, insert(1))
    rig.read([begin, relation, row, encode_keepalive(590), commit])
    assert rig.ledger.confirmed_lsn == 500
    rig.ledger.acknowledge(rig.targets["PGSTREAM_shop"], 1)
    assert rig.ledger.confirmed_lsn == 648


def test_names_are_escaped_in_subjects_and_quoted_in_documents() -> None:
    odd = ORDERS._replace(name='a.b "%s" é', columns=(Column(True, 'i"d %b', INT8, -1), *ORDERS.columns[1:]))
    (event,) = Rig([table_row(odd)], primary_key=('i"d %b',)).read(transaction(100, odd, insert(1)))
    assert event.subject == "shop.public.a=2Eb=20=22=25s=22=20=C3=A9.insert"
    assert event.document["table"] == 'a.b "%s" é'
    assert event.document["data"]["after"]['i"d %b'] == 1


def test_a_key_in_a_header_is_ascii() -> None:
    rig = Rig(primary_key=("status", "id"))
    (event,) = rig.read(transaction(100, ORDERS, insert(1, "é😀\r\n".encode())))
    assert event.headers["Pgstream-Key"] == '["\\u00e9\\ud83d\\ude00\\r\\n",1]'
    assert json.loads(event.headers["Pgstream-Key"]) == ["é😀\r\n", 1]


def test_numbers_as_text_are_strings() -> None:
    (event,) = Rig([table_row(numbers="text")]).read(transaction(100, ORDERS, insert(1)))
    assert event.document["data"]["after"] == {"id": "1", "status": "new", "total": "19.90"}


def test_a_change_of_an_unknown_relation_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        Rig().read(transaction(100, insert(1)))


def test_relation_of_the_rig_has_numeric() -> None:
    assert ORDERS.columns[2].type_oid == NUMERIC
    assert encode_xlogdata(encode_message(ORDERS))[0:1] == b"w"


def test_what_alternates_between_two_streams_is_published_stream_by_stream_and_counted_as_such() -> None:
    rig = Rig(rows=[table_row(), table_row(KEPT, stream="SECOND")])
    described = [transaction(99, ORDERS, insert(0)), transaction(199, KEPT, Insert(16401, [b"0", None]))]
    rig.read(*described)
    in_flight = rig.ledger.in_flight_events
    pairs = [[insert(number), Insert(16401, [b"%d" % number, None])] for number in (1, 2, 3)]
    payloads = [message for number, pair in enumerate(pairs, 3) for message in transaction(number * 100, *pair)]
    assert rig.pipeline.feed(payloads, 0) == len(payloads)
    segments = rig.pipeline.take_segments()
    assert [target for target, _ in segments] == [rig.targets["PGSTREAM_shop"], rig.targets["SECOND"]]
    for target, events in segments:
        found = [Event.parse(target, event).document["data"]["after"]["id"] for event in events]
        assert found == [1, 2, 3]
    assert rig.ledger.in_flight_events == in_flight + 6
    rig.ledger.acknowledge(rig.targets["PGSTREAM_shop"], 4)
    assert rig.ledger.confirmed_lsn < 300
    rig.ledger.acknowledge(rig.targets["SECOND"], 3)
    assert rig.ledger.confirmed_lsn == 400 + 48
    assert rig.pipeline.take_segments() == []
