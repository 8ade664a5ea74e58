"""What the pipeline does for snapshots: tells a track of its table's changes, and stops where rows may come."""

from __future__ import annotations

from pgstream_relay.change.plan import SNAPSHOT
from pgstream_relay.change.relation import RelationKeys
from pgstream_relay.effects import PositionReached
from pgstream_relay.pgoutput.messages import Column, Insert, LogicalMessage, Relation, Truncate
from pgstream_relay.pipeline import Mark
from pgstream_relay.progress import Ledger
from pgstream_relay.snapshot.events import SnapshotEvents
from pgstream_relay.snapshot.tracking import TableTrack
from pgstream_relay.snapshot.visibility import XidSnapshot
from pgstream_relay.snapshot.window import ChunkRead, Window
from tests.support.pgoutput import encode_keepalive, encode_message, encode_xlogdata
from tests.support.wal import COMMIT_TIME_US, INT8, ORDERS, SOURCE, TEXT, Event, Rig, table_row, transaction

SIGNALS = Relation(16391, "pgstream", "signals", "f", (Column(True, "id", INT8, -1), Column(True, "type", TEXT, -1)))
LINES = [b"1\tnew\t9.50\n", b"2\t\\N\t0\n"]


def insert(number: int) -> Insert:
    return Insert(16400, [str(number).encode(), b"new", b"1"])


def tracked() -> tuple[Rig, TableTrack]:
    rig = Rig()
    track = TableTrack(("id",))
    rig.pipeline.track(ORDERS.oid, track)
    return rig, track


def window(track: TableTrack, snapshot: str) -> Window:
    return track.open_window(ChunkRead(XidSnapshot.parse(snapshot), 0, COMMIT_TIME_US, ORDERS.columns, LINES))


def rows_left(opened: Window) -> list[bytes | None]:
    return [row[0] for row in opened.take(10, 1000)]


def test_a_row_that_a_published_and_unseen_transaction_touched_is_left_out() -> None:
    rig, track = tracked()
    rig.read(transaction(1000, ORDERS, insert(1), xid=700))
    assert rows_left(window(track, "700:701:700")) == [b"2"]
    assert rows_left(window(track, "701:701:")) == [b"1", b"2"]


def test_changes_that_the_stream_holds_already_are_tracked_too() -> None:
    rig, track = tracked()
    rig.marks = {"PGSTREAM_shop": Mark(5000, 1)}
    assert rig.read(transaction(1000, ORDERS, insert(1), xid=700)) == []
    assert rows_left(window(track, "700:701:700")) == [b"2"]


def test_a_truncate_hides_every_row() -> None:
    rig, track = tracked()
    opened = window(track, "600:600:")
    rig.read(transaction(1000, ORDERS, Truncate((ORDERS.oid,), False, False), xid=700))
    assert opened.stale or rows_left(opened) == []


def test_a_table_that_changed_its_columns_makes_what_was_read_stale() -> None:
    rig, track = tracked()
    opened = window(track, "800:800:")
    wider = replace_columns((*ORDERS.columns, Column(False, "more", TEXT, -1)))
    rig.read(transaction(1000, wider, Insert(16400, [b"3", b"new", b"1", b"x"]), xid=700))
    assert opened.stale


def replace_columns(columns: tuple[Column, ...]) -> Relation:
    return ORDERS._replace(columns=columns)


def test_the_pipeline_stops_behind_the_commit_that_passes_the_position() -> None:
    rig = Rig()
    rig.align()
    pipeline = rig.pipeline
    rig.read(transaction(500, ORDERS, insert(0)))
    payloads = [*transaction(1000, insert(1)), *transaction(2000, insert(2))]
    pipeline.wake_lsn = 1048
    assert pipeline.feed(payloads, 0) == 3
    assert isinstance(pipeline.effect, PositionReached)
    assert not pipeline.in_transaction
    assert pipeline.last_commit_lsn == 1000
    pipeline.wake_lsn = None
    assert pipeline.feed(payloads, 3) == 6


def test_a_keepalive_and_a_message_between_transactions_pass_a_position() -> None:
    rig = Rig()
    pipeline = rig.pipeline
    message = encode_xlogdata(encode_message(LogicalMessage(False, 900, "anything", b"")))
    for payload, lsn in ((message, 900), (encode_keepalive(950), 950)):
        pipeline.wake_lsn = lsn + 1
        assert pipeline.feed([payload], 0) == 1
        assert pipeline.effect is None
        pipeline.wake_lsn = lsn
        assert pipeline.feed([payload], 0) == 1
        assert isinstance(pipeline.effect, PositionReached)
        assert rig.ledger.received_lsn == lsn


def test_nothing_of_a_transaction_behind_the_point_is_fed() -> None:
    rig = Rig()
    rig.align()
    pipeline = rig.pipeline
    rig.read(transaction(500, ORDERS, insert(0)))
    payloads = [*transaction(1000, insert(1)), *transaction(2000, insert(2))]
    pipeline.stop_lsn = 2000
    assert pipeline.feed(payloads, 0) == 3
    assert isinstance(pipeline.effect, PositionReached)
    assert pipeline.last_commit_lsn == 1000
    pipeline.stop_lsn = None
    assert pipeline.feed(payloads, 3) == 6
    assert pipeline.last_commit_lsn == 2000


def test_a_signal_changes_no_settings_and_is_counted_as_a_change() -> None:
    rig = Rig()
    events = rig.read(transaction(1000, SIGNALS, Insert(16391, [b"1", b"stop-snapshot"]), ORDERS, insert(1)))
    assert len(rig.pipeline.signalled_by) == 1
    assert rig.pipeline.kept_settings is None
    assert [event.headers["Pgstream-Seq"] for event in events] == ["2"]


def test_a_snapshot_is_not_published_where_its_operation_is_left_out_or_the_table_is_disabled() -> None:
    for settings in ({"operations": ["insert"]}, {"enabled": False}):
        rig = Rig([table_row(**settings)])
        rig.align()
        assert rig.pipeline.snapshot_plan(ORDERS, RelationKeys(("id",)), {}) is None


def test_rows_and_marks_of_a_snapshot_to_the_letter() -> None:
    rig = Rig()
    rig.align()
    plan = rig.pipeline.snapshot_plan(ORDERS, RelationKeys(("id",)), {})
    assert plan is not None
    events = SnapshotEvents(
        plan, SOURCE, "shop", 7, lsn=0x16B3748, read_at_us=COMMIT_TIME_US, id_ms=COMMIT_TIME_US // 1000,
        event_bytes_max=1000,
    )  # fmt: skip
    encoded = [
        events.mark("begin", 0),
        *events.rows([[b"1", None, b"9.50"]], 1),
        *events.rows([[b"2", b"x" * 2000, b"0"], [b"3", b"\xff", b"0"]], 2),
        events.mark("end", 4, rows=3),
    ]
    begin, row, oversize, unknown, end = (Event.parse(1, event) for event in encoded)
    assert row.subject == "shop.public.orders.snapshot"
    assert row.payload.decode() == (
        '{"id":"' + row.headers["Nats-Msg-Id"] + '","database":"shop","schema":"public","table":"orders",'
        '"operation":"snapshot","data":{"before":null,"after":{"id":1,"status":null,"total":9.50},"diff":null},'
        '"timestamp":"2026-11-22T09:45:10.123456+00:00"}'
    )
    assert row.headers == {
        "Nats-Msg-Id": row.document["id"],
        "Content-Type": "application/json",
        "Pgstream-Version": "1",
        "Pgstream-Source": SOURCE.header(0x16B3748),
        "Pgstream-Lsn": "0/16B3748",
        "Pgstream-Snapshot": "7",
        "Pgstream-Seq": "1",
        "Pgstream-Key": "[1]",
    }
    assert [mark.headers["Pgstream-Mark"] for mark in (begin, end)] == ["begin", "end"]
    assert (begin.headers["Pgstream-Seq"], end.headers["Pgstream-Seq"], end.headers["Pgstream-Rows"]) == ("0", "4", "3")
    assert begin.document["data"] == {"before": None, "after": None, "diff": None}
    assert oversize.document["data"]["after"] is None
    assert [stored.event_id for stored in events.objects] == [oversize.document["id"]]
    assert unknown.subject == "shop.public.orders.unknown"
    assert len({event.document["id"] for event in (begin, row, oversize, unknown, end)}) == 5
    assert plan.published[SNAPSHOT] == 5


def test_nothing_above_the_limit_is_confirmed() -> None:
    ledger = Ledger(100)
    ledger.limit = 150
    ledger.commit(200)
    assert (ledger.confirmed_lsn, ledger.stored_lsn) == (150, 200)
    ledger.limit = 120
    assert ledger.confirmed_lsn == 150
    ledger.limit = None
    assert ledger.confirmed_lsn == 200
