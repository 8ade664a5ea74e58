"""Subjects: the escape, illegal templates, overlaps, what the kept stream's rows make of the settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgstream_relay.event.subject import escape_token, format_subject
from tests.sql.control_schema import Connection, assert_refused, rows, value

NAMES = [
    "orders",
    "",
    "a.b",
    "größe",
    "a b",
    "*",
    ">",
    "$x",
    "=",
    "=2E",
    "_INBOX",
    "A-z_0",
    "日本",
    "a\tb",
    "{table}",
    "🙂",
]


@pytest.fixture(scope="module")
def shared(shared_control: Connection) -> Connection:
    shared_control.execute("create table a (id int primary key); create table b (id int primary key)")
    return shared_control


@pytest.fixture
def control(shared: Connection) -> Iterator[Connection]:
    """One database for all these tests, each rolled back."""
    with shared.transaction(force_rollback=True):
        yield shared


@pytest.mark.parametrize("name", NAMES)
def test_the_escape_is_the_relays(control: Connection, name: str) -> None:
    assert value(control, "select pgstream.escape_token(%s)", name) == escape_token(name)
    template = "x-{database}.{schema}.{table}"
    assert value(
        control, "select pgstream.fill_subject(%s, %s, %s, %s)", template, name, "s.t", name
    ) == format_subject(template, database=name, schema="s.t", table=name, operation="")


@pytest.mark.parametrize(
    "template",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "*.a",
        "a.*",
        "a.>",
        "a b",
        "a.\t",
        "a\n",
        "$JS.a",
        "$a",
        "_INBOX.a",
        "_INBOX",
        "{operation}",
        "{operation}.a",
        "x{operation}.a",
        "a.{tabel}",
        "a.{",
        "a.}",
        "a.{}",
        "{Table}",
        "a." + "x" * 511,
        "a." + "{table}" * 511,
        "a." + "ä" * 256,
    ],
)
def test_illegal_templates(control: Connection, template: str) -> None:
    text = template.replace("'", "''")
    for statement in (
        f"insert into pgstream.tables (table_name, subject) values ('a', E'{text}')",
        (
            f"insert into pgstream.tables (table_name, event_subjects) values"
            f" ('a', jsonb_build_object('insert', E'{text}'))"
        ),
        f"update pgstream.settings set subject = E'{text}'",
    ):
        assert_refused(control, statement, "pgstream_subject_illegal")


@pytest.mark.parametrize(
    "template",
    [
        "a",
        "a.b",
        "a.{operation}",
        "a.x-{operation}",
        "{table}",
        "größe.{schema}.{table}",
        "_INBOXES.a",
        "a$b.$c",
        "a.{database}",
        "a." + "x" * 510,
        "a.=",
        "a,b;c",
    ],
)
def test_legal_templates(control: Connection, template: str) -> None:
    control.execute("insert into pgstream.tables (table_name, subject) values ('a', %s)", [template])


def test_an_ephemeral_table_may_begin_with_the_operation_until_it_is_persistent(control: Connection) -> None:
    control.execute(
        "insert into pgstream.tables (table_name, mode, subject) values ('a', 'ephemeral', '{operation}.a')"
    )
    assert_refused(control, "update pgstream.tables set mode = null", "pgstream_subject_illegal")


def test_the_alias_can_make_a_template_illegal(control: Connection) -> None:
    assert_refused(control, "update pgstream.settings set database = '_INBOX'", "pgstream_subject_illegal")
    control.execute("update pgstream.settings set database = '$shop.eu'")
    control.execute("insert into pgstream.tables (table_name) values ('a')")
    assert value(control, "select subjects ->> 'insert' from pgstream.table_status") == "=24shop=2Eeu.public.a.insert"


def test_the_settings_take_no_placeholder_of_a_row(control: Connection) -> None:
    for template in ("a.{row.id}", "a.{key}"):
        assert_refused(control, f"update pgstream.settings set subject = '{template}'", "pgstream_subject_illegal")


@pytest.mark.parametrize(
    ("pattern", "other", "overlap", "contains"),
    [
        ("a.b", "a.b", True, True),
        ("a.*", "a.b", True, True),
        ("a.b", "a.*", True, False),
        ("a.*.c", "a.b.*", True, False),
        ("a.b", "a.c", False, False),
        ("a.b", "a.b.c", False, False),
        ("a.*", "a.b.c", False, False),
        ("a.*", "a.*", True, True),
        ("a.b+c", "a.bbc", False, False),
        ("a.(b|c)", "a.b", False, False),
        ("a.[b]$^?", "a.[b]$^?", True, True),
        ("a.b\\c", "a.b\\c", True, True),
        ("a.ü", "a.ü", True, True),
    ],
)
def test_overlap_and_containment(control: Connection, pattern: str, other: str, overlap: bool, contains: bool) -> None:
    judged = "select %s ~ pgstream.pattern_regex(%s, true), %s ~ pgstream.pattern_regex(%s, false)"
    assert rows(control, judged, other, pattern, other, pattern) == [(overlap, contains)]
    assert rows(control, judged, pattern, other, pattern, other)[0][0] == overlap


def add(control: Connection, table: str, mode: str, stream: str | None, subject: str) -> None:
    control.execute(
        "insert into pgstream.tables (table_name, mode, stream, subject) values (%s, %s, %s, %s)",
        [table, mode, stream, subject],
    )


@pytest.mark.parametrize(
    ("mode", "stream", "subject", "fine"),
    [
        ("persistent", None, "x.y", True),
        ("persistent", None, "x.{operation}", True),
        ("persistent", None, "x.insert", True),
        ("persistent", "OTHER", "x.y", False),
        ("persistent", "OTHER", "x.z", False),
        ("persistent", "OTHER", "x.z.y", True),
        ("ephemeral", None, "x.y", False),
        ("ephemeral", None, "x.{operation}", False),
        ("ephemeral", None, "x.y.z", True),
        ("ephemeral", None, "xx.y", True),
    ],
)
def test_overlap_with_a_persistent_table(
    control: Connection, mode: str, stream: str | None, subject: str, fine: bool
) -> None:
    add(control, "a", "persistent", None, "x.{operation}")
    if fine:
        add(control, "b", mode, stream, subject)
        return
    named = f"'{stream}'" if stream else "null"
    assert_refused(
        control,
        f"insert into pgstream.tables (table_name, mode, stream, subject) values ('b', '{mode}', {named}, '{subject}')",
        "pgstream_subjects_overlap",
        hint="subject",
    )


def test_two_ephemeral_tables_do_not_share_a_subject(control: Connection) -> None:
    add(control, "a", "ephemeral", None, "x.y")
    assert_refused(
        control,
        "insert into pgstream.tables (table_name, mode, subject) values ('b', 'ephemeral', 'x.y')",
        "pgstream_subjects_overlap",
    )


def test_partial_overlap_has_no_cover_in_a_stream(control: Connection) -> None:
    add(control, "a", "persistent", None, "x.{operation}.c")
    assert_refused(
        control,
        "insert into pgstream.tables (table_name, subject) values ('b', 'x.b.{operation}')",
        "pgstream_subjects_overlap",
    )
    assert_refused(
        control,
        """update pgstream.tables set event_subjects = '{"insert": "x.b.{operation}"}'""",
        "pgstream_subjects_overlap",
    )


def test_event_subjects_count(control: Connection) -> None:
    add(control, "a", "persistent", None, "x.y")
    assert_refused(
        control,
        "insert into pgstream.tables (table_name, mode, event_subjects)"
        """ values ('b', 'ephemeral', '{"truncate": "x.y"}')""",
        "pgstream_subjects_overlap",
    )


def test_overlaps_that_come_by_the_settings(control: Connection) -> None:
    add(control, "a", "persistent", None, "fixed.a")
    control.execute("insert into pgstream.tables (table_name) values ('b')")
    for setting in ("subject = 'fixed.{operation}', mode = 'ephemeral'", "subject = 'fixed.a', mode = 'ephemeral'"):
        assert_refused(control, f"update pgstream.settings set {setting}", "pgstream_subjects_overlap")
    control.execute("update pgstream.settings set subject = 'fixed.{operation}'")
    assert_refused(control, "update pgstream.settings set mode = 'ephemeral'", "pgstream_subjects_overlap")
    control.execute("update pgstream.tables set stream = pgstream.default_stream() where table_name = 'a'")
    assert_refused(control, "update pgstream.settings set stream = 'OTHER'", "pgstream_subjects_overlap")
    assert_refused(control, "update pgstream.settings set database = 'other'", "pgstream_subjects_overlap")


def test_overlap_with_logical_messages(control: Connection) -> None:
    control.execute("update pgstream.settings set database = 'shop', message_prefixes = '{audit}'")
    assert_refused(
        control,
        "insert into pgstream.tables (table_name, mode, subject)"
        " values ('a', 'ephemeral', 'shop.pgstream.messages.unknown')",
        "pgstream_subjects_overlap",
    )


def test_disabled_tables_do_not_count_until_they_come_back(control: Connection) -> None:
    add(control, "a", "persistent", None, "x.y")
    control.execute("update pgstream.tables set enabled = false")
    add(control, "b", "ephemeral", None, "x.y")
    assert_refused(
        control, "update pgstream.tables set enabled = true where table_name = 'a'", "pgstream_subjects_overlap"
    )


def test_effective_subjects(control: Connection) -> None:
    control.execute("update pgstream.settings set database = 'shop'")
    control.execute(
        "insert into pgstream.tables (table_name, operations, subject, event_subjects)"
        """ values ('a', '{insert,update,delete}', '{database}.all', '{"insert": "new.{table}.{operation}"}')"""
    )
    [row] = rows(
        control, "select subjects, mode, stream, key_columns, replica_identity, problem from pgstream.table_status"
    )
    assert row == (
        {"insert": "new.a.insert", "update": "shop.all", "delete": "shop.all"},
        "persistent",
        "PGSTREAM_shop",
        ["id"],
        "full",
        None,
    )
