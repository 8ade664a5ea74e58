"""Carries steps out: each in one transaction, under the installer's lock, with errors that say where they arose."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import psycopg
from psycopg import errors

from pgstream_installer.connect import Connection, translated, where
from pgstream_installer.desired import Desired
from pgstream_installer.errors import ConfigurationError, InstallerError, RightsError
from pgstream_installer.observed import read_server, read_slot
from pgstream_installer.plan import Step, plan_adoption, plan_schema, plan_slot, plan_snapshot, refuse_server
from pgstream_installer.sqlfiles import SqlFile, install_files

# The same key that sql/begin.sql takes: psql and this installer take turns, too.
LOCK_KEY = "pg_catalog.hashtextextended('pgstream install', 0)"
# Roles belong to the whole cluster: installs into two databases can collide in them, and the second try sees them.
ATTEMPTS_MAX = 3
COLLISIONS = ("23505", "42710", "XX000", "40P01")
WRITERS_QUERY = """
select 'process ' || pid from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()
union all
select 'prepared transaction ' || quote_literal(gid) from pg_prepared_xacts
"""

Tell = Callable[[str], None]


def install(connection: Connection, desired: Desired, tell: Tell) -> None:
    """Brings one database to what is desired, and tells each step that was taken. Raises InstallerError.

    Two installs at once take turns: each looks at what is there only after it has the lock.
    """
    with installer_lock(connection, tell):
        server = read_server(connection, desired)
        refuse_server(desired, server)
        copied = False
        if server.schema == "ours":
            before = read_slot(connection)
            copied = before.is_of_another_source
            if not copied:
                # A lost slot is refused before anything is changed. A copy gets a slot name of its own first.
                plan_slot(desired, before, server.database)
        run_step(connection, plan_schema(desired, server, install_files()), tell)
        slot = read_slot(connection)
        steps = plan_slot(desired, slot, server.database)
        for step in steps:
            if step.title.startswith("replication slot made"):
                tell_writers(connection, tell)
            run_step(connection, step, tell)
        if desired.slot and not steps:
            tell(f"replication slot {slot.name} is there" + (", so no snapshot is needed" if desired.snapshot else ""))
        for step in [*plan_adoption(desired), *(plan_snapshot(desired) if steps else ())]:
            run_step(connection, step, tell)
        if copied and not desired.adopt_stream:
            tell(
                "this database is a copy of another one, whose streams it may not write to: give it an alias "
                "(update pgstream.settings set database = '…'), or take them over by pgstream install --adopt-stream"
            )


@contextlib.contextmanager
def installer_lock(connection: Connection, tell: Tell) -> Iterator[None]:
    """Waits until no other install or uninstall works in this database; waiting holds no transaction id."""
    if connection.execute(f"select pg_catalog.pg_try_advisory_lock({LOCK_KEY})".encode()).fetchone() != (True,):
        tell("another install is at work in this database: waiting for it")
        connection.execute("select pg_catalog.set_config('lock_timeout', '0', false)")
        connection.execute(f"select pg_catalog.pg_advisory_lock({LOCK_KEY})".encode())
        connection.execute("select pg_catalog.set_config('lock_timeout', '10s', false)")
    try:
        yield
    finally:
        with contextlib.suppress(psycopg.Error):
            connection.execute(f"select pg_catalog.pg_advisory_unlock({LOCK_KEY})".encode())


def run_step(connection: Connection, step: Step, tell: Tell) -> None:
    """Runs a step whole or not at all; collisions over cluster-wide objects are tried again."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            with connection.transaction():
                run_statements(connection, step.statements)
            break
        except psycopg.Error as error:
            if error.sqlstate in COLLISIONS and attempt < ATTEMPTS_MAX:
                continue
            raise
    tell(step.title)
    for note in step.notes:
        tell(note)


def run_statements(connection: Connection, statements: Sequence[SqlFile]) -> None:
    """Runs files one after the other. An error that pgstream's own SQL raises is a refusal; others name the file."""
    for file in statements:
        try:
            # Files of this distribution, or text that plan.py quoted; without parameters they go as they stand.
            connection.execute(file.text.encode())
        except errors.LockNotAvailable:
            if file.path != "slot":
                raise
            raise InstallerError(
                "the replication slot could not be made in time",
                why=f"it begins when every transaction that writes has ended; still open: {writers(connection)}",
                hint="end them or wait for them, then install again: what is done stays done",
            ) from None
        except psycopg.Error as error:
            raise _refusal(file, error, connection) or error from None


def _refusal(file: SqlFile, error: psycopg.Error, connection: Connection) -> InstallerError | None:
    diagnosis = error.diag
    message = diagnosis.message_primary or str(error)
    place = where(connection)
    identity = diagnosis.constraint_name or ""
    if identity.startswith("pgstream_"):
        kind = RightsError if isinstance(error, errors.InsufficientPrivilege) else ConfigurationError
        why, hint = diagnosis.message_detail or "", diagnosis.message_hint or ""
        return kind(f"{place}: {message}", why=why, hint=hint, identity=identity)
    try:
        with translated(f"{place}, {file.path}{line_of(file.text, diagnosis.statement_position)}"):
            raise error
    except InstallerError as ours:
        return None if error.sqlstate in COLLISIONS else ours


def line_of(text: str, position: str | None) -> str:
    """` line 12` of a position (in characters, from 1) that the server names; empty where it names none."""
    return "" if position is None else f" line {text.count(chr(10), 0, int(position)) + 1}"


def writers(connection: Connection) -> str:
    """Who keeps a slot from beginning; asked on a connection of its own, as ours is in a failed transaction."""
    with psycopg.connect(connection.info.dsn, password=connection.info.password, autocommit=True) as other:
        names = [row[0] for row in other.execute(WRITERS_QUERY).fetchall()]
    return ", ".join(names) or "none any more"


def tell_writers(connection: Connection, tell: Tell) -> None:
    """Says beforehand whom the slot will wait for."""
    names = [row[0] for row in connection.execute(WRITERS_QUERY).fetchall()]
    if names:
        tell(f"the slot begins when these transactions end: {', '.join(names)}")
