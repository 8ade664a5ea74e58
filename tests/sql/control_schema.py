"""Ways to install the control schema, and to look at what a statement changed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from pgstream_installer.embedded.postgres import postgres_bin_directory

Connection = psycopg.Connection[tuple[Any, ...]]

SQL = Path(__file__).parents[2] / "sql"


def start_psql(postgres: EmbeddedPostgres, database: str, file: str, *options: str) -> subprocess.Popen[str]:
    """psql, as a person would run it on one of our files; warnings, and nothing lesser, are on its stderr."""
    return subprocess.Popen(
        [
            str(postgres_bin_directory() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *options,
            "-d", postgres.dsn(database), "-f", str(SQL / file),
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PGOPTIONS": "-c client_min_messages=warning"},
    )  # fmt: skip


def psql(postgres: EmbeddedPostgres, database: str, file: str, *options: str) -> None:
    """Runs psql on one of our files; nothing may be said on either output."""
    process = start_psql(postgres, database, file, *options)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "", "")


def included_files() -> list[Path]:
    """The files of install.sql, in its order."""
    listing = (SQL / "install.sql").read_text(encoding="utf-8")
    return [SQL / name for name in re.findall(r"^\\ir (\S+)$", listing, re.MULTILINE)]


def install(connection: Connection, *, owner_role: str = "", relay_role: str = "") -> None:
    """Installs in one transaction, as an installer does."""
    with connection.transaction():
        connection.execute(
            "select set_config('pgstream.owner_role', %s, true), set_config('pgstream.relay_role', %s, true)",
            [owner_role, relay_role],
        )
        for file in included_files():
            connection.execute(file.read_bytes())


def rows(connection: Connection, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode(), parameters or None).fetchall()


def value(connection: Connection, query: str, *parameters: object) -> Any:
    [[only]] = rows(connection, query, *parameters)
    return only


def published(connection: Connection) -> set[str]:
    """The application's tables in the publication."""
    query = (
        "select prrelid::regclass::text from pg_publication_rel r join pg_publication p on p.oid = prpubid"
        " where pubname = 'pgstream' and prrelid::regclass::text not like 'pgstream.%'"
    )
    return {name for (name,) in rows(connection, query)}


def identity(connection: Connection, table: str) -> str:
    """pg_class.relreplident of the table: d, f, i or n."""
    found: str = value(connection, "select relreplident::text from pg_class where oid = %s::regclass", table)
    return found


def state(connection: Connection) -> list[tuple[Any, ...]]:
    """Everything that a write to a control table may change."""
    return [
        *rows(connection, "select pgstream.control_rows()::text"),
        *rows(connection, "select prrelid from pg_publication_rel order by 1"),
        *rows(connection, "select oid, relreplident::text from pg_class where oid >= 16384 and relkind in ('r', 'p')"),
        *rows(connection, "select table_oid, identity::text from pgstream.former_identities order by 1"),
    ]


def assert_refused(connection: Connection, statement: str, problem: str, *, hint: str = "") -> psycopg.Error:
    """The statement fails with that id, says why and what to do (with `hint` in it), and changes nothing."""
    before = state(connection)
    with pytest.raises(psycopg.Error) as raised, connection.transaction():
        connection.execute(statement.encode())
    told = raised.value.diag
    assert told.constraint_name == problem, f"{told.message_primary}\n{told.context}"
    assert told.message_detail
    assert told.message_hint
    assert hint in told.message_hint
    assert state(connection) == before
    assert value(connection, "show lock_timeout") == "0"
    return raised.value
