"""Why a connection to Postgres failed, and who can mend it."""

from __future__ import annotations

import re

import psycopg

from pgstream_relay.dsn import Target
from pgstream_relay.runtime.postgres_errors import (
    DatabaseMissing,
    MissingPrivilege,
    PostgresError,
    ServerUnavailable,
)

_RIGHTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"permission denied to start WAL sender|replication role to start walsender"),
        "ALTER ROLE … REPLICATION (on RDS: GRANT rds_replication TO …); `pgstream install` does it",
    ),
    (re.compile(r"permission denied for database"), "GRANT CONNECT ON DATABASE … TO …"),
    (
        re.compile(r"authentication failed|no password supplied|password is empty"),
        "set the right password or certificate in the DSN, in PGPASSFILE or in PGPASSWORD",
    ),
    (
        re.compile(r"no pg_hba\.conf entry|pg_hba\.conf rejects"),
        "add a line to pg_hba.conf for this user, address and database (its name: the word replication won't match)",
    ),
    (re.compile(r'role ".*" (does not exist|is not permitted to log in)'), "CREATE ROLE … LOGIN REPLICATION"),
)
_DATABASE_MISSING = re.compile(r'database ".*" (does not exist|is not currently accepting connections)')


def explain_connection_failure(error: psycopg.Error, target: Target) -> PostgresError:
    """The failure to connect to `target` as an error for people.

    psycopg gives no SQLSTATE for it, so the server's text decides; in another language than English it is
    ServerUnavailable: trying again is never wrong, only slow.
    """
    reason = _first_line(str(error))
    for pattern, hint in _RIGHTS:
        if pattern.search(reason):
            return MissingPrivilege(f"Postgres {target} does not let the relay in: {reason}", hint=hint)
    if _DATABASE_MISSING.search(reason):
        return DatabaseMissing(
            f"Postgres {target} has no such database: {reason}", hint="correct the database's name in the DSN"
        )
    return ServerUnavailable(
        f"Postgres {target} can't be reached, so nothing of it is published: {reason}",
        hint="the relay tries again; look at the server, and at the host and port of the DSN",
    )


def _first_line(text: str) -> str:
    line = text.partition("\n")[0]
    return line.partition("FATAL:")[2].strip() or line.strip()
