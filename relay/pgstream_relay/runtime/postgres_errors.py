"""What goes wrong with Postgres, by what can be done about it.

`retryable` says that the same call may succeed later without a person. A text of Postgres is quoted by its primary
message only, and of data exceptions (SQLSTATE class 22) not even that: it may hold a row value.
"""

from __future__ import annotations

from psycopg.errors import lookup

from pgstream_relay.errors import EXIT_CONFIGURATION, EXIT_RIGHTS, EXIT_UNAVAILABLE, RelayError


class PostgresError(RelayError):
    """Something between the relay and Postgres. The base of all others here."""

    exit_code = EXIT_UNAVAILABLE
    retryable = True


class ServerUnavailable(PostgresError):
    """The server could not be connected to: away, starting, full, or behind a name that does not resolve."""


class MissingPrivilege(PostgresError):
    """The server does not let this role in, or not replicate."""

    exit_code = EXIT_RIGHTS
    retryable = False


class DatabaseMissing(PostgresError):
    """The server has no database of this name."""

    exit_code = EXIT_CONFIGURATION
    retryable = False


class ServerUnsuitable(PostgresError):
    """The server is too old, or its wal_level is not logical."""

    exit_code = EXIT_CONFIGURATION
    retryable = False


class SlotActive(PostgresError):
    """Another session streams from the slot: the lock of the one writer. `pid` is its backend, if still known."""

    def __init__(self, message: str, *, pid: int | None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class SlotLost(PostgresError):
    """The WAL behind the slot's position is gone: what was not confirmed can't be read any more (CONTRACT 4.8)."""

    exit_code = EXIT_CONFIGURATION
    retryable = False


class SlotMissing(SlotLost):
    """There is no such slot: never created, dropped, or not on the server that was promoted."""


class SlotUnsuitable(PostgresError):
    """The slot is another database's, another plugin's, or was created with two_phase."""

    exit_code = EXIT_CONFIGURATION
    retryable = False


class PositionAhead(PostgresError):
    """The position to start from is past the end of this server's WAL: the server is not what it was."""

    exit_code = EXIT_CONFIGURATION
    retryable = False


class PublicationMissing(PostgresError):
    """The publication did not exist when a change was made: Postgres can't say what belongs to it."""

    exit_code = EXIT_CONFIGURATION
    retryable = False


class StreamEnded(PostgresError):
    """The replication stream is over, by the server's will or the network's; `sqlstate` where the server said one."""

    def __init__(self, message: str, *, sqlstate: str | None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


def describe_server_error(sqlstate: str | None, message_primary: str) -> str:
    """A server's error as one line that may be logged."""
    if sqlstate is None:
        return message_primary
    if sqlstate.startswith("22"):
        return f"{sqlstate} {name_sqlstate(sqlstate)} (text withheld: it may hold a row value)"
    return f"{sqlstate} {message_primary}"


def name_sqlstate(sqlstate: str) -> str:
    """Postgres's name of the condition, in psycopg's spelling: `DivisionByZero`."""
    try:
        return lookup(sqlstate).__name__
    except KeyError:
        return "error"
