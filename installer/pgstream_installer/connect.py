"""Connections to Postgres, and what a refusal means: an exit code, a reason, a hint. No password reaches a message."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, LiteralString, TypeAlias

import psycopg
from psycopg import errors

from pgstream_installer.errors import ConfigurationError, InstallerError, RightsError, UnreachableError

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

NO_TRANSACTION = "25P01"
CONNECT_TIMEOUT_SECONDS = 10
# libpq gives no SQLSTATE for a connection that was refused, only the server's text.
REFUSED_RIGHTS = (
    "authentication failed", "no pg_hba.conf entry", "pg_hba.conf rejects", "no password supplied",
    "is not permitted to log in", "permission denied", "certificate", 'role "',
)  # fmt: skip
# What libpq quotes of a DSN may be its password.
QUOTED = re.compile(r'"[^"]*"')
SESSION_SETTINGS: dict[LiteralString, LiteralString] = {
    "search_path": "pg_catalog",
    "timezone": "UTC",
    "datestyle": "ISO",
    "statement_timeout": "0",
    "lock_timeout": "10s",
    "client_min_messages": "warning",
    "application_name": "pgstream",
}


class PoolerError(ConfigurationError):
    """Something between us and the server speaks the protocol itself."""


@contextlib.contextmanager
def connected(dsn: str) -> Iterator[Connection]:
    """A connection in autocommit mode, with search_path, time zone and time limits of our own, closed at the end.

    Raises UnreachableError, RightsError or ConfigurationError where there is no connection to be had, PoolerError where
    there is none to the server itself, and turns what the server raises inside the block into an InstallerError.
    """
    connection = _open(dsn)
    connection.add_notice_handler(_show_warning)
    try:
        with translated(where(connection)):
            _refuse_pooler(connection)
            for name, value in SESSION_SETTINGS.items():
                connection.execute("select pg_catalog.set_config(%s, %s, false)", [name, value])
            yield connection
    finally:
        connection.close()


def _open(dsn: str) -> Connection:
    try:
        parsed = psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(
            "a DSN can't be parsed",
            why=QUOTED.sub('"…"', _first_line(error)),
            hint="postgresql://role@host:5432/database is its form",
        ) from None
    timeout = {} if parsed.get("connect_timeout") else {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
    try:
        connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=None, **timeout)  # type: ignore[arg-type]
    except psycopg.OperationalError as error:
        raise refusal(str(error), _target(parsed)) from None
    return connection


def _refuse_pooler(connection: Connection) -> None:
    """Raises PoolerError where the process that answers is another than the one that the login named.

    A pooler logs us in itself, with a process number of its own making; TCP proxies and port mappings pass it through.
    Asked before anything is set: a session setting would stay with a server connection that others are lent next.
    """
    row = connection.execute("select pg_catalog.pg_backend_pid()").fetchone()
    if row != (connection.info.backend_pid,):
        raise PoolerError(
            f"the connection to {where(connection)} goes through a pooler (such as pgbouncer)",
            why="session locks, session settings and replication do not pass one",
            hint="name the server itself in the DSN: its own host and port",
        )


def _show_warning(diagnosis: errors.Diagnostic) -> None:
    """Warnings of the server, with their DETAIL and HINT; it is asked for nothing below a warning."""
    if diagnosis.sqlstate == NO_TRANSACTION:
        return  # whoever is interrupted rolls back, whether there is something to roll back or not
    parts = (diagnosis.message_primary, diagnosis.message_detail, diagnosis.message_hint)
    sys.stderr.write("warning: " + "\n  ".join(part for part in parts if part) + "\n")


def refusal(text: str, target: str) -> InstallerError:
    """What libpq's text about a connection that failed means to the person who asked for it."""
    reason = " ".join(text.split())
    if "does not exist" in reason and 'database "' in reason:
        return ConfigurationError(
            f"there is no such database: {target}", why=reason, hint="mend the DSN, or CREATE DATABASE first"
        )
    if any(words in reason for words in REFUSED_RIGHTS):
        return RightsError(
            f"Postgres refuses the connection to {target}",
            why=reason,
            hint="check role and password (a DSN, PGPASSWORD or ~/.pgpass holds it) and the server's pg_hba.conf",
        )
    return UnreachableError(
        f"no connection to {target}", why=reason, hint="is the server up, and are host and port right? A firewall?"
    )


def where(connection: Connection) -> str:
    """Names a connection's database for messages: `shop on db1:5432`, never a password."""
    info = connection.info
    return f"{info.dbname} on {info.host or 'localhost'}:{info.port}"


def _target(parsed: dict[str, Any]) -> str:
    host = parsed.get("host") or parsed.get("hostaddr") or "the default host"
    port = f":{parsed['port']}" if parsed.get("port") else ""
    return f"{parsed.get('dbname') or 'the default database'} on {host}{port}"


@contextlib.contextmanager
def translated(place: str) -> Iterator[None]:
    """Turns what Postgres raises inside the block into an InstallerError with its exit code, DETAIL and HINT kept."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise _from_server(RightsError, place, error, "connect as a role that may, or have the right granted") from None
    except errors.LockNotAvailable as error:
        hint = "another session holds a lock on the objects: pg_blocking_pids() names it. Then try again"
        raise _from_server(InstallerError, place, error, hint) from None
    except psycopg.OperationalError as error:
        if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
            raise _from_server(
                UnreachableError, place, error, "the connection was lost: see the server's log"
            ) from None
        raise _from_server(InstallerError, place, error, "") from None
    except psycopg.Error as error:
        raise _from_server(InstallerError, place, error, "") from None


def _from_server(kind: type[InstallerError], place: str, error: psycopg.Error, hint: str) -> InstallerError:
    diagnosis = error.diag
    return kind(
        f"{place}: {diagnosis.message_primary or _first_line(error)}",
        why=diagnosis.message_detail or "",
        hint=diagnosis.message_hint or hint,
        identity=error.sqlstate or "",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
