"""PURE: from what is wanted and what is there to the steps that lead from one to the other, or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgstream_installer.desired import Desired
from pgstream_installer.errors import ConfigurationError, InstallerError, RightsError
from pgstream_installer.observed import Server, Slot
from pgstream_installer.quote import identifier, literal
from pgstream_installer.sqlfiles import SqlFile

VERSION_MIN = 150000
WAL_LEVEL_HINT = (
    "ALTER SYSTEM SET wal_level = 'logical'; then restart the server (managed servers have a parameter for it). "
    "--no-slot installs everything else today"
)
# A slot begins only when every transaction that writes has ended; meanwhile the control tables are locked.
SLOT_WAIT = "2min"
NEW_SLOT_HINT = (
    "pgstream install --new-slot makes another slot and records the gap; add --snapshot to read the tables again"
)


@dataclass(frozen=True)
class Step:
    """Statements of one transaction, in order. `title` says to people what is done, `note` what they must know then."""

    title: str
    statements: tuple[SqlFile, ...]
    notes: tuple[str, ...] = ()


def refuse_server(desired: Desired, server: Server) -> None:
    """Raises the InstallerError that says why nothing can be installed here; returns where it can."""
    if server.server_version < VERSION_MIN:
        raise ConfigurationError(
            f"PostgreSQL {server.server_version_text} is older than 15", hint="upgrade to PostgreSQL 15 or newer"
        )
    if server.in_recovery:
        raise ConfigurationError(
            "this server is a standby (in recovery)",
            why="the control schema reaches a standby from its primary",
            hint="name the primary in the DSN, or several hosts with target_session_attrs=read-write",
        )
    if server.schema == "foreign":
        raise ConfigurationError(
            "there is a schema pgstream that pgstream did not make",
            why="it has no table pgstream.migrations; nothing was changed",
            hint="rename or drop it (ALTER SCHEMA pgstream RENAME TO …), then install again",
        )
    if desired.slot and server.wal_level != "logical":
        raise ConfigurationError(
            f"wal_level is {server.wal_level}, so Postgres writes no logical changes into its WAL", hint=WAL_LEVEL_HINT
        )
    _refuse_rights(desired, server)


def _refuse_rights(desired: Desired, server: Server) -> None:
    role = identifier(server.role)
    if server.schema == "absent" and not server.may_create_schema:
        database = identifier(server.database)
        raise RightsError(
            f"role {role} may not create a schema in database {database}",
            hint=f"GRANT CREATE ON DATABASE {database} TO {role}, or install as another role",
        )
    if server.schema == "ours" and not server.acts_as_schema_owner:
        raise RightsError(
            f"schema pgstream belongs to role {server.schema_owner}, which {role} is no member of",
            hint=f"install as {server.schema_owner}, or GRANT {identifier(server.schema_owner or '')} TO {role}",
        )
    if desired.owner_role and not server.owner_role_exists and not (server.superuser or server.may_create_roles):
        owner = identifier(desired.owner_role)
        raise RightsError(
            f"role {owner}, which is to own the publication, does not exist, and {role} may not create roles",
            hint=f"CREATE ROLE {owner} NOLOGIN; GRANT {owner} TO {role}. Or name an existing role by --owner",
        )
    if desired.relay_role and not server.relay_role_exists and not server.may_create_relay_role:
        raise RightsError(
            f"role {desired.relay_role}, which the relay is to use, does not exist, and {role} may not create it",
            hint=f"as a superuser: {create_relay_role(desired.relay_role)}",
        )
    if desired.slot and not server.may_create_slots:
        raise RightsError(
            f"role {role} has no REPLICATION, so it can't create the slot",
            hint=f"ALTER ROLE {role} REPLICATION; or --no-slot, and install again as a role that has it",
        )


def create_relay_role(name: str) -> str:
    """The statement that makes the relay's role; its password is for a person to set."""
    return f"CREATE ROLE {identifier(name)} LOGIN REPLICATION"


def plan_schema(desired: Desired, server: Server | None, files: Sequence[SqlFile]) -> Step:
    """One transaction that brings roles, schema and publication up to date. `server` None: nothing is known of it."""
    settings = SqlFile(
        "settings",
        f"select pg_catalog.set_config('pgstream.owner_role', {literal(desired.owner_role or '')}, true),\n"
        f"       pg_catalog.set_config('pgstream.relay_role', {literal(desired.relay_role or '')}, true);\n",
    )
    role: tuple[SqlFile, ...] = ()
    notes: tuple[str, ...] = ()
    if desired.relay_role and (server is None or not server.relay_role_exists):
        role = (SqlFile("relay role", _relay_role_if_missing(desired.relay_role)),)
        notes = (
            f"role {desired.relay_role} was made without a password: ALTER ROLE … PASSWORD, or \\password in psql",
        )
    elif desired.relay_role and server is not None and not server.relay_role_fits:
        role_name = identifier(desired.relay_role)
        notes = (
            f"role {desired.relay_role} may not log in or replicate yet: ALTER ROLE {role_name} LOGIN REPLICATION",
        )
    title = (
        "schema pgstream made" if server is None or server.schema == "absent" else "schema pgstream brought up to date"
    )
    return Step(title, (*role, settings, *files), notes)


def _relay_role_if_missing(name: str) -> str:
    return (
        "do $role$\nbegin\n"
        f"  if not exists (select from pg_catalog.pg_roles where rolname = {literal(name)}) then\n"
        f"    {create_relay_role(name)};\n"
        "  end if;\nend\n$role$;\n"
    )


def plan_slot(desired: Desired, slot: Slot, database: str) -> list[Step]:
    """The steps to a slot that works. Empty where there is one, or none is wanted.

    Raises ConfigurationError where the slot is lost and nobody asked for a new one: a gap is never silent.
    """
    if not desired.slot:
        return []
    foreign = _foreign(slot, database)
    if foreign is not None:
        raise foreign
    loss = _loss(slot)
    if loss and not desired.new_slot:
        raise ConfigurationError(
            f"replication slot {slot.name} is lost: {loss}",
            why="changes that were not published before are gone; a new slot leaves a gap in the streams",
            hint=NEW_SLOT_HINT,
        )
    incomplete = slot.present and slot.kept_source is None
    if slot.present and not loss and not incomplete:
        return []
    steps = [_record_gap(slot, loss)] if loss and not slot.gap_is_open else []
    if slot.present:
        steps.append(_drop(slot))
    return [*steps, create_slot(desired)]


def _foreign(slot: Slot, database: str) -> InstallerError | None:
    if not slot.present:
        return None
    if slot.database != database:
        return ConfigurationError(
            f"replication slot {slot.name} belongs to database {slot.database}",
            why="this database is a copy of that one, and took its settings along",
            hint="update pgstream.settings set database = '…', slot_name = '…'; then install again",
        )
    if slot.plugin != "pgoutput":
        return ConfigurationError(
            f"replication slot {slot.name} uses plugin {slot.plugin}, not pgoutput",
            why="another program made it",
            hint="name another: update pgstream.settings set slot_name = '…'; then install again",
        )
    return None


def _loss(slot: Slot) -> str:
    """Why unconfirmed changes are gone; empty where none are."""
    if slot.lost:
        return "Postgres has removed WAL that it needed"
    if slot.present and slot.unreadable:
        return "publication pgstream was missing at its position, so Postgres can't tell what to send"
    if not slot.present and slot.kept_source == slot.source:
        return "it does not exist any more"
    if slot.present and slot.is_of_another_source:
        return f"it came with another server ({slot.kept_source}), whose positions mean nothing here"
    if slot.present and slot.kept_source is None and slot.has_published and not slot.gap_is_open:
        return "the settings as of its position (pgstream.relay_state) are gone"
    return ""


def plan_adoption(desired: Desired) -> list[Step]:
    """Records the streams that the settings name as to be taken over; the relay carries it out. Fit for any database.

    After the schema's step: in a copy of a database that one gives the settings their own default stream.
    """
    if not desired.adopt_stream:
        return []
    text = """insert into pgstream.adoptions (stream)
select pgstream.default_stream()
union select stream from pgstream.tables where stream is not null
on conflict (stream) do update
    set requested_by = excluded.requested_by, requested_at = excluded.requested_at, done_at = null;
"""
    note = "the relay takes over each that names another database, which can't publish to it any more then"
    return [Step("streams to be adopted recorded in pgstream.adoptions", (SqlFile("adoption", text),), (note,))]


def _record_gap(slot: Slot, reason: str) -> Step:
    """Before anything is dropped: so that an install that is interrupted leaves the gap on record, to be finished."""
    text = f"""insert into pgstream.gaps (from_lsn, from_time, reason)
select greatest(
           (select confirmed_flush_lsn from pg_catalog.pg_replication_slots where slot_name = {literal(slot.name)}),
           (select lsn from pgstream.relay_state where slot_name = {literal(slot.name)}),
           (select max(lsn) from pgstream.relay_positions where slot_name = {literal(slot.name)}),
           (select max(published_lsn) from pgstream.relays)),
       (select max(last_event_at) from pgstream.relays),
       {literal(f"slot {slot.name}: {reason}")};
delete from pgstream.relay_state where slot_name = {literal(slot.name)};
-- What a snapshot has read before the gap may have changed in it: it begins again.
update pgstream.snapshots
set state = case state when 'running' then 'pending' else state end, position = null,
    blocks_done = 0, rows_done = 0, started_at = null, running_time = '0'
where state in ('running', 'paused');
"""
    return Step("gap recorded in pgstream.gaps", (SqlFile("gap", text),))


def plan_snapshot(desired: Desired) -> list[Step]:
    """Asks for a snapshot of every table that publishes them, after a new slot was made; fit for any database.

    Incremental where the table has a key, else full. What was asked for already, and is still to begin, is enough.
    """
    if not desired.snapshot:
        return []
    text = """insert into pgstream.signals (type, tables)
select case when pgstream.snapshot_key(streamed.relid) is null then 'full-snapshot' else 'incremental-snapshot' end,
       array_agg(pgstream.relation_name(streamed.relid) order by streamed.table_schema, streamed.table_name)
from pgstream.tables as streamed
where streamed.enabled and 'snapshot' = any (streamed.operations) and pgstream.is_published(streamed.relid)
  and not exists (select from pgstream.snapshots as asked
                  where asked.relid = streamed.relid and asked.state = 'pending' and asked.row_filter is null)
group by 1
order by 1 desc;
"""
    note = "the relay takes them; pgstream status --watch shows how far it is"
    return [Step("snapshots of all tables asked for in pgstream.signals", (SqlFile("snapshot", text),), (note,))]


def _drop(slot: Slot) -> Step:
    text = f"select pg_catalog.pg_drop_replication_slot({literal(slot.name)});\n"
    return Step(f"replication slot {slot.name} dropped", (SqlFile("drop slot", text),))


def create_slot(desired: Desired) -> Step:
    """Makes the slot where there is none, and closes a gap that was opened for it; fit for any database."""
    text = f"""set local lock_timeout = '{SLOT_WAIT}';
select pgstream.create_slot({str(desired.failover).lower()});
update pgstream.gaps as gap
set to_lsn = kept.lsn, to_time = now(), from_lsn = least(gap.from_lsn, kept.lsn)
from pgstream.relay_state as kept join pgstream.settings using (slot_name)
where gap.to_lsn is null and gap.published_at is null;
"""
    return Step("replication slot made", (SqlFile("slot", text),))
