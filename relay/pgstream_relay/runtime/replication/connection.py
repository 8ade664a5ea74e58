"""Opens the connection that a walsender serves, with the settings that make its text the same everywhere."""

from __future__ import annotations

from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pgstream_relay.dsn import Target, parse_target
from pgstream_relay.event.values import OUTPUT_SETTINGS
from pgstream_relay.runtime.postgres_connect import explain_connection_failure
from pgstream_relay.runtime.postgres_errors import ServerUnsuitable

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

SERVER_VERSION_MIN = 150000

SESSION_SETTINGS = {
    **OUTPUT_SETTINGS,
    # PostgreSQL 18 tells of a missing publication by a WARNING only.
    "client_min_messages": "notice",
    "statement_timeout": "0",
    # How long a relay that died without a word keeps the slot from its standby. Not less: an event loop that is
    # busy for some seconds would lose its session. The status is due every second or two anyhow.
    "wal_sender_timeout": "10s",
    # A transaction larger than this is spilled to the server's disk before it is sent; 64 MB is the default.
    "logical_decoding_work_mem": "256MB",
}
"""Every role may set these (USERSET), on each version since 14; they beat defaults of the role and the database."""

SETTINGS_IF_KNOWN = {
    # PostgreSQL 19: a fast shutdown waits no longer than this for the client to confirm everything.
    "wal_sender_shutdown_timeout": "10s",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
}
"""Set where the server has them: in `options` an unknown name is fatal."""

NETWORK_DEFAULTS = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "fallback_application_name": "pgstream-relay",
}
"""Of libpq, where the DSN does not say otherwise: a peer that vanished is noticed within 25 seconds."""


async def connect_walsender(dsn: str) -> Connection:
    """A connection in replication mode to the DSN's database, not streaming yet: SQL and replication commands work.

    Raises ConfigurationError where the DSN can't be read, ServerUnavailable, MissingPrivilege, DatabaseMissing or
    ServerUnsuitable.
    """
    target = parse_target(dsn, "the DSN")
    connection: Connection | None = None
    try:
        connection = await psycopg.AsyncConnection.connect(
            "", **_connection_parameters(dsn), autocommit=True, prepare_threshold=None
        )
        await _set_up(connection, target)
    except BaseException as error:
        if connection is not None:
            await connection.close()
        if isinstance(error, psycopg.Error):
            raise explain_connection_failure(error, target) from None
        raise
    return connection


async def _set_up(connection: Connection, target: Target) -> None:
    if connection.info.server_version < SERVER_VERSION_MIN:
        raise ServerUnsuitable(
            f"Postgres {target} has version {connection.info.server_version // 10000}, pgstream needs 15 or newer",
            hint="upgrade the server",
        )
    for name, value in SETTINGS_IF_KNOWN.items():
        # A walsender knows the simple protocol only, so no parameters.
        await connection.execute(
            f"select set_config(name, '{value}', false) from pg_settings where name = '{name}'".encode()
        )


def _connection_parameters(dsn: str) -> dict[str, Any]:
    given = conninfo_to_dict(dsn)
    ours = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
    # The DSN's own options stay (some hosters route by them); ours come last and win.
    options = f"{given.pop('options', '') or ''} {ours}".strip()
    return {
        **NETWORK_DEFAULTS,
        **given,
        "options": options,
        "replication": "database",
        "client_encoding": "UTF8",
    }
