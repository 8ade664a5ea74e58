"""What the relay asks the catalog of types and relations: always by oid, and in the catalog's present state.

The WAL may be older than the catalog. So an oid may be gone: it is then absent from the answer, which is no error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import psycopg
from psycopg.rows import tuple_row

from pgstream_relay.change.relation import RelationKeys
from pgstream_relay.event.values import TypeInfo, TypeKind

# A type of its own subscripting has a typelem too (point, jsonb), but is no array.
_TYPES_QUERY = """
with recursive reached (oid) as (
    select unnest(%(type_oids)s::pg_catalog.oid[])
  union
    select part.oid
    from reached
    join pg_catalog.pg_type as type on type.oid = reached.oid
    cross join lateral (
        select type.typelem where type.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
      union all
        select type.typbasetype where type.typtype = 'd'
      union all
        select attribute.atttypid
        from pg_catalog.pg_attribute as attribute
        where type.typtype = 'c' and attribute.attrelid = type.typrelid
          and attribute.attnum > 0 and not attribute.attisdropped
    ) as part (oid)
)
select
    type.oid,
    namespace.nspname,
    type.typname,
    case
        when type.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc and type.typtype = 'b'
        then 'array'
        else case type.typtype
            when 'c' then 'composite'
            when 'd' then 'domain'
            when 'e' then 'enum'
            when 'r' then 'range'
            when 'm' then 'multirange'
            else 'base'
        end
    end,
    type.typelem,
    coalesce(element.typdelim, ',')::pg_catalog.text,
    type.typbasetype,
    attributes.names,
    attributes.type_oids,
    attributes.dropped
from reached
join pg_catalog.pg_type as type on type.oid = reached.oid
join pg_catalog.pg_namespace as namespace on namespace.oid = type.typnamespace
left join pg_catalog.pg_type as element on element.oid = type.typelem
cross join lateral (
    select
        coalesce(
            array_agg(attribute.attname::pg_catalog.text order by attribute.attnum)
            filter (where not attribute.attisdropped), '{}'
        ) as names,
        coalesce(
            array_agg(attribute.atttypid order by attribute.attnum) filter (where not attribute.attisdropped), '{}'
        ) as type_oids,
        coalesce(bool_or(attribute.attisdropped), false) as dropped
    from pg_catalog.pg_attribute as attribute
    where type.typtype = 'c' and attribute.attrelid = type.typrelid and attribute.attnum > 0
) as attributes
"""

_KEYS_QUERY = """
select index.indisprimary, index.indisreplident,
       array_agg(attribute.attname::pg_catalog.text order by key.position), relation.relkind = 'p'
from pg_catalog.pg_index as index
join pg_catalog.pg_class as relation on relation.oid = index.indrelid
cross join lateral unnest(index.indkey::pg_catalog.int2[]) with ordinality as key (attnum, position)
join pg_catalog.pg_attribute as attribute on attribute.attrelid = index.indrelid and attribute.attnum = key.attnum
where index.indrelid = %(relation_oid)s::pg_catalog.oid
  and (index.indisprimary or index.indisreplident)
  and key.position <= index.indnkeyatts
group by index.indexrelid, index.indisprimary, index.indisreplident, relation.relkind
"""


async def read_types(connection: psycopg.AsyncConnection[Any], type_oids: Iterable[int]) -> dict[int, TypeInfo]:
    """The types of these oids and all that they are made of: elements, attributes, what domains stand on.

    Types that are gone are absent. Raises psycopg.Error.
    """
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_TYPES_QUERY, {"type_oids": list(type_oids)})
        return {row[0]: _type_info(row) for row in await cursor.fetchall()}


def _type_info(row: tuple[Any, ...]) -> TypeInfo:
    oid, schema, name, kind, element_oid, delimiter, base_oid, names, attribute_oids, dropped = row
    return TypeInfo(
        oid=oid,
        schema=schema,
        name=name,
        kind=cast(TypeKind, kind),
        element_oid=element_oid if kind == "array" else 0,
        delimiter=delimiter,
        base_oid=base_oid,
        attributes=tuple(zip(names, attribute_oids, strict=True)),
        attributes_dropped=dropped,
    )


async def read_relation_keys(connection: psycopg.AsyncConnection[Any], relation_oid: int) -> RelationKeys:
    """The columns of the primary key and of the index chosen as replica identity, in key order.

    Both are empty where the relation has none, or is gone. Raises psycopg.Error.
    """
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_KEYS_QUERY, {"relation_oid": relation_oid})
        rows = await cursor.fetchall()
    primary_key: tuple[str, ...] = ()
    identity_index: tuple[str, ...] = ()
    for is_primary, is_identity, names, _ in rows:
        if is_primary:
            primary_key = tuple(names)
        if is_identity:
            identity_index = tuple(names)
    return RelationKeys(primary_key, identity_index, partitioned=any(row[3] for row in rows))
