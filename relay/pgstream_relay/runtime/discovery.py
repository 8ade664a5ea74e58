"""Which databases of a cluster have pgstream installed: asked of the catalogs, which everybody may read."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from pgstream_relay.dsn import replace_database

CONNECT_TIMEOUT_SECONDS = 10

DATABASES_QUERY = """
select datname from pg_database
where datallowconn and not datistemplate and has_database_privilege(datname, 'connect')
order by datname
"""
# Not to_regclass: it raises where the schema may not be used, and then the worker can say better what is missing.
INSTALLED_QUERY = """
select exists (
    select from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'pgstream' and c.relname = 'settings'
)
"""


@dataclass(frozen=True, slots=True)
class Discovery:
    """`installed` are DSNs of databases with pgstream; `unknown` of those that could not be looked into this time."""

    installed: tuple[str, ...]
    unknown: tuple[str, ...]


async def discover_databases(dsn: str) -> Discovery:
    """Connects to each database of the cluster in turn. Raises psycopg.Error where the cluster can't be asked."""
    installed: list[str] = []
    unknown: list[str] = []
    for (name,) in await _fetch(dsn, DATABASES_QUERY):
        one = replace_database(dsn, str(name))
        try:
            if (await _fetch(one, INSTALLED_QUERY))[0][0]:
                installed.append(one)
        except psycopg.Error:
            # Gone in between, or out of connections: a database that streams must not be stopped for that.
            unknown.append(one)
    return Discovery(tuple(installed), tuple(unknown))


async def _fetch(dsn: str, query: str) -> list[tuple[object, ...]]:
    connection = await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_SECONDS, application_name="pgstream-relay discovery"
    )
    async with connection:
        return await (await connection.execute(query.encode())).fetchall()
