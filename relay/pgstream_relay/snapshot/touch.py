"""What one change of the WAL says about the rows that a snapshot is about to emit: whose keys it touches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from pgstream_relay.change.plan import DELETE, INSERT, MARKER_OFFSET, TUPLE_OFFSET, UPDATE
from pgstream_relay.change.rowcode import UnexpectedTuple
from pgstream_relay.pgoutput.messages import UNCHANGED, Relation, TupleValues
from pgstream_relay.pgoutput.tuples import split_tuple

Key: TypeAlias = tuple[bytes, ...]
"""The texts of the key columns as Postgres prints them, in key order."""

_NEW, _OLD_KEY, _OLD_FULL = b"NKO"


class Touch(NamedTuple):
    """`old` is the key that the row had and has no more, `new` the one that it has; both None: not known.

    `complete`: whoever applies the change's event holds the whole row. True where no row is left.
    """

    old: Key | None
    new: Key | None
    complete: bool


ReadTouch: TypeAlias = Callable[[int, bytes], Touch]
"""(kind, XLogData payload of an insert, update or delete). Raises MalformedMessage."""


def key_positions(names: Sequence[str], key_columns: Sequence[str]) -> tuple[int, ...] | None:
    """Where the key columns stand; None where not all of them are there."""
    positions = {name: index for index, name in enumerate(names)}
    if not key_columns or any(name not in positions for name in key_columns):
        return None
    return tuple(positions[name] for name in key_columns)


def touch_reader(relation: Relation, key_columns: Sequence[str]) -> ReadTouch:
    """Reads the changes of one relation."""
    count = len(relation.columns)
    positions = key_positions([column.name for column in relation.columns], key_columns) or ()

    def read(kind: int, message: bytes) -> Touch:
        marker = message[MARKER_OFFSET]
        old: TupleValues | None = None
        values, position = split_tuple(message, TUPLE_OFFSET)
        if marker in (_OLD_KEY, _OLD_FULL) and kind != INSERT:
            old = values
            if kind == UPDATE:
                if message[position : position + 1] != b"N":
                    raise UnexpectedTuple("an update without a new tuple")
                values, position = split_tuple(message, position + 1)
        elif marker != _NEW or kind == DELETE:
            raise UnexpectedTuple("a tuple is not of the kind that its message says")
        if position != len(message) or len(values) != count or (old is not None and len(old) != count):
            raise UnexpectedTuple("a tuple does not fit its relation")
        if kind == DELETE:
            return Touch(_key(values, positions), None, True)
        complete = UNCHANGED not in values or (marker == _OLD_FULL and _is_complete(values, old))
        if old is None:
            return Touch(None, _key(values, positions), complete)
        for index in positions:
            if values[index] is UNCHANGED:
                values[index] = old[index]
        old_key, new_key = _key(old, positions), _key(values, positions)
        if old_key is None or new_key is None:
            return Touch(None, None, complete)
        return Touch(None if old_key == new_key else old_key, new_key, complete)

    return read


def _key(values: TupleValues, positions: Sequence[int]) -> Key | None:
    """None where a part is not known. (A partition may have another replica identity than its root says.)"""
    key: list[bytes] = []
    for index in positions:
        value = values[index]
        if not isinstance(value, bytes):
            return None
        key.append(value)
    return tuple(key) or None


def _is_complete(new: TupleValues, old: TupleValues | None) -> bool:
    """Whether the old tuple holds what the new one leaves out.

    A value that is TOASTed is not null: where the old tuple has null, it is a key alone that a partition with
    another identity than its root's marked as full.
    """
    return old is not None and all(
        isinstance(value, bytes) for value, later in zip(old, new, strict=True) if later is UNCHANGED
    )
