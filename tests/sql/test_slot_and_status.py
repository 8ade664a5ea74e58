"""create_slot() with the state it keeps, and what pgstream.status makes of slot and relays."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from tests.sql.control_schema import Connection, assert_refused, install, rows, value

# Slots have had it since 17.
FAILOVER = (
    "select coalesce((to_jsonb(s) ->> 'failover')::boolean, true) from pg_replication_slots s"
    " where database = current_database()"
)


def status(control: Connection) -> tuple[str, str | None, str | None]:
    [(state, error, hint)] = rows(control, "select state, error, hint from pgstream.status")
    assert (hint is None) == (state == "streaming")
    return state, error, hint


def beat(control: Connection, relay: str = "one", role: str = "active", state: str = "streaming", **more: str) -> None:
    columns = ", ".join(["relay", "role", "state", "version", *more])
    marks = ", ".join(["%s"] * (4 + len(more)))
    control.execute("delete from pgstream.relays where relay = %s", [relay])
    control.execute(
        f"insert into pgstream.relays ({columns}) values ({marks})".encode(),
        [relay, role, state, "1.2", *more.values()],
    )


def test_the_slot_and_the_settings_at_its_first_position(control: Connection) -> None:
    control.execute("create table orders (id int primary key)")
    control.execute("insert into pgstream.tables (table_name) values ('orders')")
    start = value(control, "select pgstream.create_slot()::text")
    slot = "select plugin, confirmed_flush_lsn::text from pg_replication_slots where database = current_database()"
    assert rows(control, slot) == [("pgoutput", start)]
    assert value(control, FAILOVER) is True
    assert rows(
        control,
        "select slot_name = (select slot_name from pgstream.settings), lsn::text, control = pgstream.control_rows(),"
        " source = (select system_identifier from pg_control_system()) || '/' ||"
        " (select oid from pg_database where datname = current_database()) from pgstream.relay_state",
    ) == [(True, start, True, True)]
    control.execute("update pgstream.settings set numbers = 'text'")
    assert value(control, "select pgstream.create_slot()::text") == start
    assert value(control, "select control -> 'settings' ->> 'numbers' from pgstream.relay_state") == "json"


def test_the_state_is_printed_alike_whoever_calls(control: Connection) -> None:
    control.execute("set timezone = 'Asia/Tokyo'; set intervalstyle = 'iso_8601'")
    control.execute("select pgstream.create_slot(failover => false)")
    [(window, updated)] = rows(
        control,
        "select control #>> '{streams,0,duplicate_window}', control #>> '{settings,updated_at}'"
        " from pgstream.relay_state",
    )
    assert (window, updated[-6:]) == ("00:02:00", "+00:00")
    assert value(control, FAILOVER) is (control.info.server_version < 170000)


def test_a_slot_that_was_made_by_hand_is_refused(control: Connection) -> None:
    slot = value(control, "select slot_name from pgstream.settings")
    control.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
    assert_refused(control, "select pgstream.create_slot()", "pgstream_slot_without_state", hint=slot)
    control.execute("select pg_drop_replication_slot(%s)", [slot])
    control.execute("select pg_create_physical_replication_slot(%s)", [slot])
    assert_refused(control, "select pgstream.create_slot()", "pgstream_slot_not_ours", hint="slot_name")
    control.execute("select pg_drop_replication_slot(%s)", [slot])


def test_the_slot_keeps_its_name_while_it_is_there(control: Connection) -> None:
    control.execute("update pgstream.settings set slot_name = 'a_' || slot_name")
    control.execute("select pgstream.create_slot()")
    assert_refused(control, "update pgstream.settings set slot_name = 'other'", "pgstream_slot_in_place")


def test_offline_until_a_relay_beats(control: Connection) -> None:
    state, error, _ = status(control)
    assert (state, error) == ("offline", "there is no replication slot yet")
    control.execute("select pgstream.create_slot()")
    assert status(control)[:2] == ("offline", "no relay has run yet")
    beat(control)
    assert status(control) == ("streaming", None, None)
    beat(control, heartbeat_at="-infinity")
    assert status(control)[:2] == ("offline", "the relay has given no sign of life for 15 s")
    beat(control, relay="two", role="standby")
    assert status(control)[0] == "offline"


def test_the_figures(control: Connection) -> None:
    control.execute("select pgstream.create_slot()")
    beat(control, details='{"lag_seconds": 1.5}', last_event_at="2026-01-01 00:00+00")
    beat(control, relay="gone", role="standby", heartbeat_at="2020-01-01")
    beat(control, relay="two", role="standby")
    [row] = rows(
        control,
        "select standbys, slot_active, wal_status, retained_bytes >= lag_bytes, lag_bytes >= 0, lag_seconds, relay,"
        " relay_version, last_event_at = '2026-01-01 00:00+00' from pgstream.status",
    )
    assert row == (1, False, "reserved", True, True, 1.5, "one", "1.2", True)


@pytest.mark.parametrize("reported", ["stalled", "starting"])
def test_stalled_shows_the_relays_own_words(control: Connection, reported: str) -> None:
    control.execute("select pgstream.create_slot()")
    beat(control, state=reported, error="NATS is away", hint="start it")
    assert status(control) == ("stalled", "NATS is away", "start it")
    beat(control, state="streaming", error="and yet")
    assert status(control)[:2] == ("stalled", "and yet")


def test_a_slot_that_is_gone_is_lost(control: Connection) -> None:
    control.execute("select pgstream.create_slot()")
    beat(control)
    control.execute("select pg_drop_replication_slot(slot_name) from pgstream.settings")
    state, error, hint = status(control)
    assert (state, error) == ("lost", "the replication slot is gone")
    assert "--new-slot" in (hint or "")


@pytest.fixture
def small_server() -> Iterator[EmbeddedPostgres]:
    """A server of its own, that removes WAL as soon as it may."""
    with EmbeddedPostgres(
        settings={"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    ) as it:
        yield it


def test_a_slot_whose_wal_was_removed_is_lost(small_server: EmbeddedPostgres) -> None:
    with small_server.connect() as control:
        install(control)
        control.execute("select pgstream.create_slot()")
        for _ in range(4):
            control.execute("create table filler (); drop table filler")
            control.execute("select pg_switch_wal()")
        control.execute("checkpoint")
        assert status(control)[:2] == ("lost", "the replication slot lost WAL that was not published yet")
        assert_refused(control, "select pgstream.create_slot()", "pgstream_slot_lost", hint="--new-slot")


def test_without_logical_wal() -> None:
    with EmbeddedPostgres(settings={"wal_level": "replica"}) as server, server.connect() as control:
        install(control)
        assert_refused(control, "select pgstream.create_slot()", "pgstream_wal_level", hint="ALTER SYSTEM")


def test_a_role_that_may_not_replicate(control: Connection) -> None:
    name = f"plain_{control.info.dbname}"
    control.execute(f'create role "{name}"; grant usage on schema pgstream to "{name}"'.encode())
    try:
        control.execute(f'grant all on all tables in schema pgstream to "{name}"'.encode())
        control.execute(f'grant all on all functions in schema pgstream to "{name}"'.encode())
        control.execute(f'set role "{name}"'.encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
            control.execute("select pgstream.create_slot()")
        assert raised.value.diag.constraint_name == "pgstream_slot_rights"
        assert f"ALTER ROLE {name} REPLICATION" in (raised.value.diag.message_hint or "")
    finally:
        control.execute(f'reset role; drop owned by "{name}"; drop role "{name}"'.encode())
