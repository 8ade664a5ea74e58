"""A scripted WAL: transactions as lists of messages, and a pipeline that reads them without any IO."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pgstream_relay.change.relation import RelationKeys
from pgstream_relay.control import ControlState
from pgstream_relay.effects import NeedRelation, NeedStreams
from pgstream_relay.event.oversize import StoreObject
from pgstream_relay.pgoutput.messages import Begin, Column, Commit, Message, Relation
from pgstream_relay.pipeline import Mark, Pipeline
from pgstream_relay.progress import Ledger
from pgstream_relay.source import Source
from tests.support.pgoutput import encode_message, encode_xlogdata

INT8, TEXT, NUMERIC = 20, 25, 1700
COMMIT_TIME_US = 1_795_340_710_123_456
SOURCE = Source("7300000000000000001", 16384, 1)
SETTINGS: dict[str, Any] = {
    "database": None,
    "database_at_install": "shop",
    "mode": "persistent",
    "subject": "{database}.{schema}.{table}.{operation}",
    "stream": None,
    "replica_identity": "full",
    "numbers": "json",
    "message_prefixes": [],
}
ORDERS = Relation(
    16400,
    "public",
    "orders",
    "f",
    (Column(True, "id", INT8, -1), Column(True, "status", TEXT, -1), Column(True, "total", NUMERIC, -1)),
)


def table_row(relation: Relation = ORDERS, **settings: Any) -> dict[str, Any]:
    """A row of pgstream.tables as to_jsonb gives it."""
    row = {
        "table_schema": relation.schema,
        "table_name": relation.name,
        "relid": str(relation.oid),
        "enabled": True,
        "mode": None,
        "operations": ["insert", "update", "delete", "truncate", "snapshot"],
        "subject": None,
        "event_subjects": None,
        "stream": None,
        "key_columns": None,
        "replica_identity": None,
        "numbers": None,
    }
    return row | settings


def transaction(lsn: int, *messages: Message, xid: int = 700) -> list[bytes]:
    """Payloads of one transaction whose commit record starts at `lsn`; it ends 48 bytes later."""
    whole = [Begin(lsn, COMMIT_TIME_US, xid), *messages, Commit(0, lsn, lsn + 48, COMMIT_TIME_US)]
    return [encode_xlogdata(encode_message(message)) for message in whole]


@dataclass
class Event:
    """One published event, taken apart."""

    target: int
    subject: str
    headers: dict[str, str]
    document: dict[str, Any]
    payload: bytes

    @classmethod
    def parse(cls, target: int, encoded: tuple[bytes, bytes, bytes]) -> Event:
        subject, headers, payload = encoded
        assert headers.isascii()
        lines = headers.decode().split("\r\n")
        assert lines.pop() == ""
        return cls(
            target,
            subject.decode(),
            dict(line.split(": ", 1) for line in lines),
            json.loads(payload, parse_float=Decimal),
            payload,
        )


@dataclass
class Rig:
    """A pipeline whose needs are answered at once: every table has `primary_key`."""

    rows: Sequence[dict[str, Any]] = field(default_factory=lambda: [table_row()])
    settings: dict[str, Any] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ("id",)
    marks: dict[str, Mark] = field(default_factory=dict)
    event_bytes_max: int = 1_000_000
    source: Source = SOURCE

    def __post_init__(self) -> None:
        control = ControlState.from_document(
            {"settings": SETTINGS | self.settings, "streams": [], "tables": list(self.rows)}
        )
        self.ledger = Ledger(0)
        self.pipeline = Pipeline(control, self.source, self.ledger, event_bytes_max=self.event_bytes_max)
        self.targets: dict[str, int] = {}
        self.objects: list[StoreObject] = []
        self.aligned = 0

    def read(self, *payload_lists: list[bytes]) -> list[Event]:
        """Feeds the payloads, carries the effects out, returns the events."""
        payloads = [payload for payloads in payload_lists for payload in payloads]
        events: list[Event] = []
        position = 0
        while position < len(payloads):
            position = self.pipeline.feed(payloads, position)
            effect = self.pipeline.effect
            for target, encoded in self.pipeline.take_segments():
                events += [Event.parse(target, one) for one in encoded]
            if isinstance(effect, NeedRelation):
                self.pipeline.describe(effect.relation, RelationKeys(self.primary_key), {})
            elif isinstance(effect, NeedStreams):
                self.align()
            elif isinstance(effect, StoreObject):
                self.objects.append(effect)
        return events

    def align(self) -> None:
        self.aligned += 1
        for name in self.pipeline.needed_streams():
            if name not in self.targets:
                self.targets[name] = self.ledger.add_target()
        self.pipeline.set_targets(
            self.targets, {self.targets[name]: mark for name, mark in self.marks.items() if name in self.targets}
        )
