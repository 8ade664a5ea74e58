"""Rows of the control tables out of the WAL: the same documents that `to_jsonb` gives for them."""

from __future__ import annotations

import json
from typing import Any

from pgstream_relay.control.state import ControlRow
from pgstream_relay.event.values import compile_converter
from pgstream_relay.pgoutput.decoder import decode_message
from pgstream_relay.pgoutput.messages import UNCHANGED, Delete, Insert, Relation, TupleValues, Update
from pgstream_relay.pgoutput.reader import MalformedMessage


class ControlDecoder:
    """Decodes the changes of one control table. `table` is its name in schema `pgstream`."""

    def __init__(self, relation: Relation) -> None:
        self.table = relation.name
        self._names = [column.name for column in relation.columns]
        # Control tables use built-in types alone, so no catalog is asked.
        self._converters = [
            compile_converter(column.type_oid, {}, numbers_as_text=False) for column in relation.columns
        ]

    def decode(self, message: bytes, position: int) -> tuple[ControlRow | None, ControlRow | None]:
        """(old, new) of one insert, update or delete. Raises MalformedMessage."""
        change = decode_message(message, position)
        if isinstance(change, Insert):
            return None, self._row(change.new)
        if isinstance(change, Delete):
            return self._row(change.old), None
        if not isinstance(change, Update):
            raise MalformedMessage(f"pgstream.{self.table} got a change that is no row operation")
        old = change.old
        if old is None:
            raise MalformedMessage(f"pgstream.{self.table} has no full replica identity: run `pgstream install`")
        new: TupleValues = [was if value is UNCHANGED else value for was, value in zip(old, change.new, strict=True)]
        return self._row(old), self._row(new)

    def _row(self, values: TupleValues) -> ControlRow:
        if len(values) != len(self._names):
            raise MalformedMessage(f"a tuple does not fit relation pgstream.{self.table}")
        row: dict[str, Any] = {}
        for name, value, convert in zip(self._names, values, self._converters, strict=True):
            row[name] = json.loads(convert(value)) if isinstance(value, bytes) else None
        return row
