"""pgstream.settings and pgstream.streams: values that are refused, and what follows from a change."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.sql.control_schema import Connection, assert_refused, rows, value


@pytest.fixture
def control(shared_control: Connection) -> Iterator[Connection]:
    """One database for all these tests, each rolled back."""
    with shared_control.transaction(force_rollback=True):
        yield shared_control


def test_the_row_as_installed(control: Connection) -> None:
    name = control.info.dbname
    assert rows(
        control,
        "select database, mode, subject, stream, replica_identity, numbers, message_prefixes, slot_name,"
        " database_at_install, database_oid = (select oid from pg_database where datname = current_database()),"
        " pgstream.alias(), pgstream.default_stream() from pgstream.settings",
    ) == [
        (
            *(None, "persistent", "{database}.{schema}.{table}.{operation}", None, "full", "json", []),
            *(f"pgstream_{name}", name, True, name, f"PGSTREAM_{name}"),
        )
    ]
    assert rows(
        control,
        "select name, storage, replicas, max_age::text, max_bytes, discard, duplicate_window::text"
        " from pgstream.streams",
    ) == [(f"PGSTREAM_{name}", "file", None, "7 days", None, "old", "00:02:00")]


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("mode = 'x'", "pgstream_unknown_word"),
        ("replica_identity = 'default'", "pgstream_unknown_word"),
        ("numbers = 'float'", "pgstream_unknown_word"),
        ("stream = 'a b'", "pgstream_stream_name"),
        ("database = ''", "pgstream_alias_empty"),
        ("database = repeat('ä', 50)", "pgstream_stream_name"),
        ("slot_name = 'Shop'", "pgstream_slot_name"),
        ("slot_name = repeat('a', 64)", "pgstream_slot_name"),
        ("message_prefixes = '{pgstream.x}'", "pgstream_message_prefix"),
        ("message_prefixes = '{null}'", "pgstream_message_prefix"),
    ],
)
def test_settings_refused(control: Connection, assignment: str, problem: str) -> None:
    assert_refused(control, f"update pgstream.settings set {assignment}", problem)


def test_there_is_one_row_for_ever(control: Connection) -> None:
    assert_refused(control, "delete from pgstream.settings", "pgstream_settings_delete", hint="UPDATE")
    for statement in (
        "insert into pgstream.settings default values",
        "insert into pgstream.settings (one_row) values (false)",
        "insert into pgstream.settings (one_row) values (null)",
    ):
        with pytest.raises(psycopg.errors.IntegrityError), control.transaction():
            control.execute(statement.encode())
    control.execute(
        "insert into pgstream.settings (mode) values ('ephemeral')"
        " on conflict (one_row) do update set mode = excluded.mode"
    )
    assert rows(control, "select mode, updated_by from pgstream.settings") == [("ephemeral", "postgres")]


def test_where_it_was_installed_is_not_changed_by_hand(control: Connection) -> None:
    control.execute("update pgstream.settings set database_oid = 1, database_at_install = 'x', updated_by = 'x'")
    assert value(control, "select pgstream.is_home() and pgstream.alias() = current_database() from pgstream.settings")
    assert value(control, "select updated_by from pgstream.settings") == "postgres"


def test_a_new_alias_takes_the_default_streams_settings_along(control: Connection) -> None:
    control.execute("update pgstream.streams set replicas = 3, max_age = '1 day'")
    control.execute("update pgstream.settings set database = 'a.b'")
    assert rows(control, "select replicas, max_age::text from pgstream.streams where name = 'PGSTREAM_a=2Eb'") == [
        (3, "1 day")
    ]
    control.execute("delete from pgstream.streams")
    control.execute("update pgstream.settings set database = 'c'")
    assert rows(control, "select from pgstream.streams") == [], "a stream that is not kept stays so"


@pytest.mark.parametrize(
    ("columns", "values", "problem"),
    [
        ("name", "'a.b'", "pgstream_stream_name"),
        ("name", "''", "pgstream_stream_name"),
        ("name, storage", "'A', 'disk'", "pgstream_unknown_word"),
        ("name, discard", "'A', 'never'", "pgstream_unknown_word"),
        ("name, replicas", "'A', 0", "pgstream_stream_settings"),
        ("name, replicas", "'A', 6", "pgstream_stream_settings"),
        ("name, max_bytes", "'A', 0", "pgstream_stream_settings"),
        ("name, max_age", "'A', '1 minute'", "pgstream_stream_settings"),
        ("name, max_age", "'A', '-1 day'", "pgstream_stream_settings"),
        ("name, max_age", "'A', '2 months'", "pgstream_stream_settings"),
        ("name, duplicate_window", "'A', '8 days'", "pgstream_stream_settings"),
        ("name, duplicate_window", "'A', '0'", "pgstream_stream_settings"),
    ],
)
def test_streams_refused(control: Connection, columns: str, values: str, problem: str) -> None:
    assert_refused(control, f"insert into pgstream.streams ({columns}) values ({values})", problem)


def test_streams_accepted(control: Connection) -> None:
    control.execute(
        "insert into pgstream.streams (name, max_age, duplicate_window, max_bytes, replicas, discard, storage) values"
        " ('A', null, '10 minutes', 1000000, 5, 'new', 'memory'), ('B', '36 hours', '36 hours', null, 1, 'old', 'file')"
    )
    control.execute("update pgstream.streams set name = 'C' where name = 'B'")
    control.execute("delete from pgstream.streams where name = 'A'")
