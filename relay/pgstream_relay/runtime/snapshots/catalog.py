"""What a snapshot must know of a table, as the catalog has it in the transaction that asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from pgstream_relay.change.relation import RelationKeys
from pgstream_relay.pgoutput.messages import Column, Relation

_TABLE_QUERY = """
select namespace.nspname as schema, class.relname as name, class.relreplident::text as identity,
       class.relkind = 'p' as partitioned, pg_get_expr(published.prqual, published.prrelid) as row_filter,
       (select jsonb_agg(jsonb_build_array(a.attname, a.atttypid::bigint, a.atttypmod) order by a.attnum)
          from pg_attribute a
         where a.attrelid = class.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
           and (published.prattrs is null or a.attnum = any (published.prattrs::int2[]))) as columns,
       (select jsonb_agg(jsonb_build_object(
                   'columns', k.names, 'primary', i.indisprimary, 'identity', i.indisreplident,
                   'immediate', i.indimmediate, 'not_null', k.not_null, 'valid', i.indisvalid)
                   order by i.indisprimary desc, i.indnkeyatts, i.indexrelid)
          from pg_index i
          cross join lateral (
              select jsonb_agg(a.attname order by key.position) as names, bool_and(a.attnotnull) as not_null
                from unnest(i.indkey::int2[]) with ordinality as key (attnum, position)
                join pg_attribute a on a.attrelid = i.indrelid and a.attnum = key.attnum
               where key.position <= i.indnkeyatts) k
         where i.indrelid = class.oid and i.indisunique and i.indpred is null and i.indexprs is null) as indexes
  from pg_class class join pg_namespace namespace on namespace.oid = class.relnamespace
  left join (pg_publication_rel published join pg_publication p on p.oid = published.prpubid and p.pubname = 'pgstream')
    on published.prrelid = class.oid
 where class.oid = %(oid)s
"""

# A table that is no partition is not in its own tree.
_LEAVES_QUERY = """
select class.oid::bigint as oid, format('%%I.%%I', namespace.nspname, class.relname) as name,
       coalesce(pg_relation_filenode(class.oid), 0)::bigint as filenode,
       pg_relation_size(class.oid) / current_setting('block_size')::int as blocks,
       pg_table_size(class.oid) as bytes
  from (select %(oid)s::oid as oid where not exists (select from pg_class where oid = %(oid)s and relkind = 'p')
        union all
        select relid from pg_partition_tree(%(oid)s) where isleaf) leaf
  join pg_class class on class.oid = leaf.oid
  join pg_namespace namespace on namespace.oid = class.relnamespace
 where class.relkind = 'r'
 order by class.oid
"""

_WRITERS_QUERY = """
select coalesce(array_agg(distinct virtualtransaction), '{}') as transactions, pg_current_snapshot()::text as snapshot
  from pg_locks
 where locktype = 'relation' and granted and relation = any (%(oids)s::oid[])
   and database = (select oid from pg_database where datname = current_database())
   and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""

# Each transaction holds a lock on its own id; pg_stat_activity hides those of other roles.
_TRANSACTIONS_QUERY = """
select coalesce(array_agg(transactionid::text), '{}') from pg_locks
 where locktype = 'transactionid' and mode = 'ExclusiveLock' and granted
"""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A heap whose rows are the table's: the table itself, or a partition. `name` is quoted for SQL."""

    oid: int
    name: str
    filenode: int
    blocks: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Table:
    """`relation` is what pgoutput would describe, of its columns those that are published; `key` the columns that tell
    rows apart, empty where none do; `row_filter` SQL that is true of the rows that are published, None: all are."""

    relation: Relation
    keys: RelationKeys
    key: tuple[str, ...]
    row_filter: str | None


async def read_table(connection: psycopg.AsyncConnection[Any], oid: int) -> Table | None:
    """None where the table is gone. Raises psycopg.Error."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_TABLE_QUERY, {"oid": oid})
        row = await cursor.fetchone()
    if row is None:
        return None
    indexes = row["indexes"] or []
    primary = next((tuple(index["columns"]) for index in indexes if index["primary"]), ())
    chosen = next((tuple(index["columns"]) for index in indexes if index["identity"]), ())
    identity = row["identity"]
    carried = {"d": primary, "i": chosen, "n": ()}.get(identity)
    columns = tuple(
        Column(carried is None or name in carried, name, type_oid, modifier)
        for name, type_oid, modifier in row["columns"] or []
    )
    unique = next(
        (tuple(index["columns"]) for index in indexes if index["not_null"] and index["immediate"] and index["valid"]),
        (),
    )
    # Old tuples must hold it: under another identity than full they hold the identity's columns alone.
    key = primary or unique if carried is None else carried
    if not {column.name for column in columns}.issuperset(key):
        key = ()
    relation = Relation(oid, row["schema"], row["name"], identity, columns)
    return Table(relation, RelationKeys(primary, chosen, row["partitioned"]), key, row["row_filter"])


async def read_leaves(connection: psycopg.AsyncConnection[Any], oid: int) -> list[Leaf]:
    """The heaps of a table, by oid. Raises psycopg.Error."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_LEAVES_QUERY, {"oid": oid})
        return [Leaf(**row) for row in await cursor.fetchall()]


async def read_writers(connection: psycopg.AsyncConnection[Any], oids: list[int]) -> tuple[set[str], str]:
    """The virtual transactions that hold a lock for writing on one of the heaps, and a snapshot taken with them.

    Such locks are kept until others see the transaction, also by prepared ones. Raises psycopg.Error.
    """
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_WRITERS_QUERY, {"oids": oids})
        row = await cursor.fetchone()
    assert row is not None
    return set(row["transactions"]), row["snapshot"]


async def read_transactions(connection: psycopg.AsyncConnection[Any]) -> set[str]:
    """The ids (as text) of all transactions that have one and are open or prepared. Raises psycopg.Error."""
    cursor = await connection.execute(_TRANSACTIONS_QUERY)
    row = await cursor.fetchone()
    assert row is not None
    return set(row[0])
