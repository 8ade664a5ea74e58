"""The messages of pgoutput, protocol version 1, as values.

LSNs are integers (`lsn.py` has the text form), times are microseconds since 1970 in UTC, a name is text.
A tuple's values are a list as long as the message says: `bytes` is the text as Postgres printed it, None is NULL,
UNCHANGED is a TOASTed value that an UPDATE left alone and that Postgres therefore does not send.
"""

from __future__ import annotations

import enum
from typing import Final, Literal, NamedTuple, TypeAlias


class Unchanged(enum.Enum):
    """The type of UNCHANGED: an enumeration of one, so that `is UNCHANGED` narrows a type."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED

TupleValue: TypeAlias = bytes | Unchanged | None
TupleValues: TypeAlias = list[TupleValue]
OldKind: TypeAlias = Literal["K", "O"]
"""What an old tuple holds: `K` the columns of the replica identity (the others are NULL), `O` all columns."""

ReplicaIdentity: TypeAlias = Literal["d", "n", "f", "i"]
"""default, nothing, full, index."""


class Begin(NamedTuple):
    """Opens a transaction. `final_lsn` is its commit record's; `xid` is the top-level transaction's."""

    final_lsn: int
    commit_timestamp_us: int
    xid: int


class Commit(NamedTuple):
    """Closes a transaction. `end_lsn` is the first position after it: what may be confirmed."""

    flags: int
    commit_lsn: int
    end_lsn: int
    commit_timestamp_us: int


class Origin(NamedTuple):
    """The transaction was itself replicated from `name`, where it committed at `origin_lsn`."""

    origin_lsn: int
    name: str


class Column(NamedTuple):
    """A column of a Relation; `is_key` says that it belongs to the replica identity."""

    is_key: bool
    name: str
    type_oid: int
    type_modifier: int


class Relation(NamedTuple):
    """Describes a table before its first change, and again after each change of its definition."""

    oid: int
    schema: str
    name: str
    replica_identity: ReplicaIdentity
    columns: tuple[Column, ...]


class Type(NamedTuple):
    """Names a type that is not built in, before a Relation that uses it. A domain has its base type's name."""

    oid: int
    schema: str
    name: str


class Insert(NamedTuple):
    relation_oid: int
    new: TupleValues


class Update(NamedTuple):
    """`old_kind` and `old` are None where the replica identity did not change and is not full."""

    relation_oid: int
    old_kind: OldKind | None
    old: TupleValues | None
    new: TupleValues


class Delete(NamedTuple):
    relation_oid: int
    old_kind: OldKind
    old: TupleValues


class Truncate(NamedTuple):
    relation_oids: tuple[int, ...]
    cascade: bool
    restart_identity: bool


class LogicalMessage(NamedTuple):
    """What `pg_logical_emit_message` wrote. One that is not transactional stands outside of Begin and Commit."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes


Message: TypeAlias = Begin | Commit | Origin | Relation | Type | Insert | Update | Delete | Truncate | LogicalMessage
