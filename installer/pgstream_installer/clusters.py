"""[[clusters]] of the configuration: the databases of a cluster in which pgstream is installed."""

from __future__ import annotations

import dataclasses

from psycopg.conninfo import make_conninfo

from pgstream_installer.configuration import Configuration, Database
from pgstream_installer.connect import connected

CANDIDATES_QUERY = """
select datname from pg_database
where datallowconn and not datistemplate and has_database_privilege(oid, 'CONNECT')
order by datname
"""
INSTALLED_QUERY = """
select exists (select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
               where n.nspname = 'pgstream' and c.relname = 'migrations')
"""


def with_cluster_databases(configuration: Configuration) -> Configuration:
    """The configuration with each cluster's databases added to those that are named. Raises InstallerError."""
    found = [database for cluster in configuration.clusters for database in databases_of(cluster)]
    return dataclasses.replace(configuration, databases=(*configuration.databases, *found), clusters=())


def databases_of(cluster: Database) -> list[Database]:
    """The databases of one cluster in which pgstream is installed."""
    with connected(cluster.dsn) as connection:
        names = [row[0] for row in connection.execute(CANDIDATES_QUERY).fetchall()]
    candidates = [Database(make_conninfo(cluster.dsn, dbname=name), cluster.nats) for name in names]
    return [database for database in candidates if _installed(database.dsn)]


def _installed(dsn: str) -> bool:
    with connected(dsn) as connection:
        row = connection.execute(INSTALLED_QUERY).fetchone()
    return bool(row and row[0])
