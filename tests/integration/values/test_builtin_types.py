"""Every built-in type: alone, in arrays with bounds and nulls, in composites, in arrays of composites, in domains."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence

import psycopg

from pgstream_relay.event.values.builtin import ARRAYS, SCALARS
from tests.integration.values.cases import EXTENSIONS, VALUES, WITHOUT_INPUT
from tests.integration.values.differential import Connection, Differential

_numbers = itertools.count()


def write_values(connection: Connection, type_name: str, values: Sequence[str]) -> None:
    """Makes tables for the type and all that can be built of it, and writes each value into each of them."""
    name = f"v{next(_numbers)}"
    connection.execute(f"create temp table {name}_given (id int generated always as identity, v {type_name})")
    for value in values:
        connection.execute(f"insert into {name}_given (v) values (({value})::{type_name})")
    connection.execute(f"insert into {name}_given (v) values (null)")
    connection.execute(f"create table public.{name} (id int, v {type_name})")
    connection.execute(f"insert into public.{name} select id, v from {name}_given")
    [(has_array,)] = connection.execute("select typarray <> 0 from pg_type where oid = %s::regtype", [type_name])
    if has_array:
        write_built_types(connection, name, type_name)


def write_built_types(connection: Connection, name: str, type_name: str) -> None:
    connection.execute(f'create type public.{name}_row as (x {type_name}, "y ""q,(" {type_name}[], z text)')
    connection.execute(f"create domain public.{name}_domain as {type_name}")
    connection.execute(
        f"create table public.{name}_built (id int, a {type_name}[], an {type_name}[],"
        f" r public.{name}_row, ra public.{name}_row[], d public.{name}_domain, da public.{name}_domain[])"
    )
    connection.execute(
        f"insert into public.{name}_built select id,"
        f" array_fill(v, '{{2,3}}', '{{-1,4}}'), array_append(array_fill(v, '{{2}}', '{{0}}'), null),"
        f" row(v, array_fill(v, '{{2}}'), 'z\\\"')::public.{name}_row,"
        f" array[row(v, null, ''), row(null, array_fill(v, '{{1,2}}'), null), null]::public.{name}_row[],"
        f" v, array_fill(v::public.{name}_domain, '{{2}}')"
        f" from {name}_given"
    )


def prepare(connection: Connection) -> None:
    """What some of the values refer to."""
    connection.execute('drop role if exists "od""d, role"')
    connection.execute('create role "od""d, role"')
    connection.execute('create table public."odd "" name" (id int default 7, b int)')
    connection.execute("""create function public."odd "" f"() returns int language sql return 1""")
    connection.execute('insert into public."odd "" name" select n, n % 2 from generate_series(1, 20) as n')
    connection.execute('create statistics public.s (ndistinct, dependencies, mcv) on id, b from public."odd "" name"')
    connection.execute('analyze public."odd "" name"')


def built_with_libxml(connection: Connection) -> bool:
    with contextlib.suppress(psycopg.errors.FeatureNotSupported):
        connection.execute("select '<a/>'::xml")
        return True
    return False


async def test_every_value_of_every_built_in_type_equals_to_jsonb(differential: Differential) -> None:
    connection = differential.connection
    prepare(connection)
    for type_name, values in VALUES.items():
        if type_name == "interval" and connection.info.server_version < 170000:
            values = [value for value in values if "infinity" not in value]
        if type_name == "xml" and not built_with_libxml(connection):
            values = []
        write_values(connection, type_name, values)

    compared = await differential.check()

    assert compared > 3000


async def test_no_built_in_type_is_left_untested(differential: Differential) -> None:
    connection = differential.connection
    tested = {row[0] for name in VALUES for row in connection.execute("select %s::regtype::oid", [name])}
    rows = connection.execute(
        "select oid, typname from pg_type where oid < 16384 and typtype in ('b', 'r', 'm', 'e', 'd')"
        " and not (typcategory = 'A' and typname like '\\_%%')"
    ).fetchall()
    assert {name for oid, name in rows if oid not in tested} == WITHOUT_INPUT.keys()


async def test_the_table_of_built_in_types_is_that_of_the_catalog(differential: Differential) -> None:
    connection = differential.connection
    rows = connection.execute(
        "select oid, typname from pg_type where typnamespace = 'pg_catalog'::regnamespace"
        " and typtype in ('b', 'r', 'm') and not (typcategory = 'A' and typname like '\\_%%')"
    ).fetchall()
    assert {oid: scalar.name for oid, scalar in SCALARS.items() if scalar.name != "cstring"} == dict(rows)
    rows = connection.execute(
        "select a.oid, a.typelem from pg_type as a join pg_type as e on e.typarray = a.oid"
        " where a.typnamespace = 'pg_catalog'::regnamespace and (e.typtype in ('b', 'r', 'm') or e.typname = 'cstring')"
    ).fetchall()
    assert dict(rows) == ARRAYS
    [(delimited_otherwise,)] = connection.execute(
        "select array_agg(typname::text) from pg_type where typdelim <> ',' and typarray <> 0"
    ).fetchall()
    assert delimited_otherwise == ["box"]


async def test_types_of_extensions_equal_to_jsonb(differential: Differential) -> None:
    connection = differential.connection
    available = {name for (name,) in connection.execute("select name from pg_available_extensions")}
    assert "hstore" in available
    for extension, types in EXTENSIONS.items():
        if extension not in available:
            continue
        connection.execute(f'create extension "{extension}" with schema public')
        for type_name, values in types.items():
            write_values(
                connection, f"public.{type_name}", [value.replace("hstore(", "public.hstore(") for value in values]
            )

    assert await differential.check() > 100
