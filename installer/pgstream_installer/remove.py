"""Takes pgstream out of a database: publication, schema and slot in one transaction, identities given back."""

from __future__ import annotations

from dataclasses import dataclass

from pgstream_installer.apply import Tell, installer_lock, run_statements
from pgstream_installer.connect import Connection
from pgstream_installer.desired import Desired
from pgstream_installer.errors import ConfigurationError, InstallerError, RightsError
from pgstream_installer.observed import Slot, read_server, read_slot
from pgstream_installer.quote import identifier
from pgstream_installer.sqlfiles import install_files

ATTEMPTS_MAX = 5
SLOT_IN_USE = ("pgstream_slot_active", "55006")
TERMINATE_TIMEOUT_MS = 5000
TABLES_QUERY = "select format('%I.%I', table_schema, table_name) from pgstream.tables order by 1"


class SlotTakenError(InstallerError):
    """A relay took the slot between the end of its session and the drop."""


@dataclass(frozen=True)
class Installed:
    """What an uninstall would remove. `slot` None: there is none, or it belongs to another database."""

    database: str
    slot: Slot | None
    tables: tuple[str, ...]


def read_installed(connection: Connection) -> Installed | None:
    """None where pgstream is not installed; raises InstallerError where it can't be removed by us."""
    server = read_server(connection, Desired())
    if server.schema == "absent":
        return None
    if server.in_recovery:
        raise ConfigurationError("this server is a standby (in recovery)", hint="name the primary in the DSN")
    if server.schema == "foreign":
        raise ConfigurationError(
            "there is a schema pgstream that pgstream did not make", why="nothing was changed", hint="drop it yourself"
        )
    if not server.acts_as_schema_owner:
        raise RightsError(
            f"schema pgstream belongs to role {server.schema_owner}",
            hint=f"uninstall as {server.schema_owner}, or GRANT {identifier(server.schema_owner or '')} "
            f"TO {identifier(server.role)}",
        )
    slot = read_slot(connection)
    tables = tuple(row[0] for row in connection.execute(TABLES_QUERY).fetchall())
    return Installed(server.database, slot if slot.present and slot.database == server.database else None, tables)


def uninstall(connection: Connection, *, end_relay: bool, tell: Tell) -> None:
    """Removes everything, or nothing. `end_relay`: a relay that holds the slot loses its session.

    Raises InstallerError, also where a relay is connected and `end_relay` is false.
    """
    with installer_lock(connection, tell):
        installed = read_installed(connection)
        if installed is None:
            tell("pgstream is not installed")
            return
        slot = installed.slot
        if slot is not None and slot.active_pid is not None:
            refuse_active(slot, end_relay=end_relay)
            tell(f"a relay is connected (process {slot.active_pid} holds slot {slot.name}): its session is ended")
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                _remove(connection, slot, end_relay=end_relay)
                break
            except SlotTakenError:
                if attempt == ATTEMPTS_MAX:
                    raise
        tell("publication and schema pgstream removed, tables have their replica identity back")
        if slot is not None:
            tell(f"replication slot {slot.name} removed")


def refuse_active(slot: Slot, *, end_relay: bool) -> None:
    """Raises InstallerError where a relay holds the slot and nobody allowed to end its session."""
    if slot.active_pid is not None and not end_relay:
        raise InstallerError(
            f"a relay is connected: process {slot.active_pid} holds slot {slot.name}",
            why="a slot that is in use can't be dropped; nothing was changed",
            hint="stop the relay, or give --yes, which ends its session",
        )


def _remove(connection: Connection, slot: Slot | None, *, end_relay: bool) -> None:
    """One transaction: all of it, or nothing. Raises SlotTakenError where a relay holds the slot."""
    with connection.transaction():
        if slot is not None and end_relay:
            # A relay that lost its session comes back at once, but has to read this table before it takes the slot.
            connection.execute("lock table pgstream.relay_state in access exclusive mode")
            connection.execute(
                "select pg_terminate_backend(active_pid, %s) from pg_replication_slots"
                " where slot_name = %s and active_pid is not null",
                [TERMINATE_TIMEOUT_MS, slot.name],
            )
        try:
            run_statements(connection, install_files("uninstall.sql"))
        except InstallerError as error:
            if slot is None or error.identity not in SLOT_IN_USE:
                raise
            raise SlotTakenError(
                f"slot {slot.name} is taken by a relay whenever it is free",
                why="nothing was changed",
                hint="stop the relay",
            ) from None
