"""What the catalog knows of a relation and its Relation message does not say."""

from __future__ import annotations

from dataclasses import dataclass

from pgstream_relay.pgoutput.messages import Relation


@dataclass(frozen=True, slots=True)
class RelationKeys:
    """Column names in key order; empty where the relation has none, or is gone from the catalog.

    `partitioned`: its rows are those of partitions, each of which has a replica identity of its own.
    """

    primary_key: tuple[str, ...] = ()
    identity_index: tuple[str, ...] = ()
    partitioned: bool = False


def identity_columns(relation: Relation) -> tuple[int, ...]:
    """Positions of the columns that old tuples carry under the relation's replica identity; all where it is full."""
    return tuple(index for index, column in enumerate(relation.columns) if column.is_key)


def key_tuple_columns(relation: Relation, keys: RelationKeys) -> tuple[int, ...]:
    """Positions of the columns that are known of an old row where no full old tuple was sent.

    A partition may have the default identity below a root whose identity is full, and is described as its root.
    """
    if relation.replica_identity != "f":
        return identity_columns(relation)
    return tuple(index for index, column in enumerate(relation.columns) if column.name in keys.primary_key)


def key_columns(relation: Relation, keys: RelationKeys, chosen: tuple[str, ...] | None) -> tuple[int, ...]:
    """Positions of the columns of header `Pgstream-Key`, in key order; empty where there is no key.

    `tables.key_columns`, else the primary key, else the replica identity index. Where the identity is an index that
    leaves primary key columns out, a delete does not know the primary key: the identity's columns are the key of all
    operations then, so that a row keeps one key.
    """
    positions = {column.name: index for index, column in enumerate(relation.columns)}
    carried = set(identity_columns(relation))
    for names in (chosen or (), keys.primary_key, keys.identity_index):
        found = tuple(positions[name] for name in names if name in positions)
        if found and len(found) == len(names) and carried.issuperset(found):
            return found
    if relation.replica_identity in "di":
        return identity_columns(relation)
    return ()
