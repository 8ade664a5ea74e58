from __future__ import annotations

import psycopg
import pytest

from pgstream_relay.dsn import Target
from pgstream_relay.runtime.postgres_connect import explain_connection_failure
from pgstream_relay.runtime.postgres_errors import (
    DatabaseMissing,
    MissingPrivilege,
    PostgresError,
    ServerUnavailable,
    describe_server_error,
)

PREFIX = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("FATAL:  permission denied to start WAL sender\nDETAIL:  Only roles with the REPLICATION…", MissingPrivilege),
        ("FATAL:  must be superuser or replication role to start walsender", MissingPrivilege),
        ('FATAL:  permission denied for database "shop"\nDETAIL:  User does not have CONNECT…', MissingPrivilege),
        ('FATAL:  password authentication failed for user "relay"', MissingPrivilege),
        ("fe_sendauth: no password supplied", MissingPrivilege),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "relay", database "shop"', MissingPrivilege),
        ('FATAL:  role "relay" does not exist', MissingPrivilege),
        ('FATAL:  role "relay" is not permitted to log in', MissingPrivilege),
        ('FATAL:  database "shop" does not exist', DatabaseMissing),
        ("FATAL:  the database system is starting up", ServerUnavailable),
        ("FATAL:  sorry, too many clients already", ServerUnavailable),
        ("FATAL:  Passwort-Authentifizierung für Benutzer »relay« fehlgeschlagen", ServerUnavailable),
        ("Connection refused\n\tIs the server running on that host?", ServerUnavailable),
    ],
)
def test_a_failed_connection_says_who_can_mend_it(text: str, kind: type[PostgresError]) -> None:
    error = explain_connection_failure(psycopg.OperationalError(PREFIX + text), Target("db", "5432", "shop"))
    assert type(error) is kind
    assert error.retryable == (kind is ServerUnavailable)
    assert "db:5432/shop" in error.message
    assert "\n" not in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("sqlstate", "message", "text"),
    [
        (None, "server closed the connection", "server closed the connection"),
        ("57P01", "terminating connection", "57P01 terminating connection"),
        (
            "22P02",
            'invalid input syntax for type integer: "secret"',
            "22P02 InvalidTextRepresentation (text withheld: it may hold a row value)",
        ),
        ("22ZZZ", "secret", "22ZZZ error (text withheld: it may hold a row value)"),
    ],
)
def test_data_exceptions_are_not_quoted(sqlstate: str | None, message: str, text: str) -> None:
    assert describe_server_error(sqlstate, message) == text
