"""Why a query on an open connection failed, and who can mend it."""

from __future__ import annotations

import psycopg

from pgstream_relay.runtime.postgres_errors import (
    MissingPrivilege,
    PostgresError,
    ServerUnavailable,
    describe_server_error,
)

_RETRY_HINT = "nothing to do: the relay connects again"


def explain_query_failure(error: psycopg.Error) -> PostgresError:
    """The failure of a query of the relay's own as an error for people."""
    primary = error.diag.message_primary or str(error).partition("\n")[0]
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return MissingPrivilege(
            f"Postgres refuses the relay a right that it needs: {primary}",
            hint="run `pgstream install --relay-role …` again, with the role that the relay connects as",
        )
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return PostgresError(
            f"schema pgstream is not what this relay needs: {primary}",
            hint="run `pgstream install --dsn …` of this version, which upgrades it",
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return ServerUnavailable(
            f"the connection to Postgres failed: {describe_server_error(error.sqlstate, primary)}", hint=_RETRY_HINT
        )
    return PostgresError(
        f"Postgres refused a query: {describe_server_error(error.sqlstate, primary)}", hint=_RETRY_HINT
    )
