"""Runs the preflight queries of sql/checks/ in one database, read-only, and reads what the NATS checks need of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from psycopg import errors

from pgstream_installer.checks.facts import DatabaseFacts, read_facts
from pgstream_installer.checks.finding import Finding, from_error, parse_severity
from pgstream_installer.connect import Connection, PoolerError, connected, where
from pgstream_installer.errors import InstallerError, RightsError, UnreachableError
from pgstream_installer.sqlfiles import SqlFile, check_files, newest_migration

FINDING_COLUMNS = ["id", "severity", "what", "hint"]


@dataclass
class PostgresReport:
    """The findings of one database, and its facts where it could be asked."""

    findings: list[Finding] = field(default_factory=list)
    facts: DatabaseFacts | None = None


def check_postgres(dsn: str) -> PostgresReport:
    """All findings of one database; a server that can't be asked is a finding too."""
    report = PostgresReport()
    try:
        with connected(dsn) as connection:
            place = where(connection)
            connection.execute("select set_config('pgstream.newest_migration', %s, false)", [str(newest_migration())])
            for file in check_files():
                report.findings += run_check(connection, file, place)
            try:
                report.facts = read_facts(connection)
            except errors.InsufficientPrivilege as error:
                report.findings.append(_not_run("the streams' subjects", error, place))
    except PoolerError as error:
        report.findings.append(from_error("pooler", "Postgres", error))
    except UnreachableError as error:
        report.findings.append(from_error("postgres-unreachable", "Postgres", error))
    except RightsError as error:
        report.findings.append(from_error("postgres-refused", "Postgres", error))
    except InstallerError as error:
        report.findings.append(from_error("postgres-failed", "Postgres", error))
    return report


def run_check(connection: Connection, file: SqlFile, place: str) -> list[Finding]:
    """The findings of one query; it is skipped while a relation that it needs is not there."""
    if not _has(connection, file.needs):
        return []
    try:
        with connection.transaction():
            connection.execute("set transaction read only")
            # The text is a file of this distribution; without parameters it goes as it stands, percent signs and all.
            cursor = connection.execute(file.text.encode())
            rows = cursor.fetchall()
    except errors.InsufficientPrivilege as error:
        return [_not_run(file.path, error, place)]
    return [
        Finding(identity, parse_severity(severity), what, hint or "", place) for identity, severity, what, hint in rows
    ]


def _not_run(what: str, error: errors.InsufficientPrivilege, place: str) -> Finding:
    hint = "run pgstream check as the role that installed pgstream, or as the relay's"
    return Finding("check-not-run", "warning", f"{what}: {error.diag.message_primary}", hint, place)


def _has(connection: Connection, relations: tuple[str, ...]) -> bool:
    row = connection.execute(
        # Not to_regclass: it raises for a role without rights on the schema.
        "select count(*) = cardinality(%s::text[]) from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where n.nspname || '.' || c.relname = any(%s)",
        [list(relations), list(relations)],
    ).fetchone()
    return bool(row and row[0])
