"""Parts too small for a file of their own: subjects, quoting, times, exit codes, the listing of sql/."""

from __future__ import annotations

import datetime

import pytest

from pgstream_installer.checks import Finding, exit_code
from pgstream_installer.connect import refusal
from pgstream_installer.errors import CommandLineError, most_telling
from pgstream_installer.quote import identifier, literal
from pgstream_installer.report import format_bytes, format_seconds
from pgstream_installer.sqlfiles import SqlFile, check_files, included_paths, install_files, newest_migration
from pgstream_installer.subjects import covers
from pgstream_installer.tail import parse_since

NOW = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.*", True),
        ("a.b", "a.*", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a.*.>", True),
        ("a.>", "a", False),
        ("a.*", "a.>", False),
        (">", "a", True),
        ("a.*", "a.b.c", False),
        ("a.b.c", "a.b", False),
    ],
)
def test_a_pattern_covers(outer: str, inner: str, expected: bool) -> None:
    assert covers(outer, inner) is expected


def test_names_and_texts_are_quoted() -> None:
    assert identifier('o"r') == '"o""r"'
    assert literal("o'r") == "'o''r'"
    assert literal("a\\'b").strip() == "E'a\\\\''b'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - datetime.timedelta(seconds=90)),
        ("1.5h", NOW - datetime.timedelta(minutes=90)),
        ("2d", NOW - datetime.timedelta(days=2)),
        ("2026-11-22T09:45Z", datetime.datetime(2026, 11, 22, 9, 45, tzinfo=datetime.UTC)),
        ("2026-11-22T09:45+02:00", datetime.datetime(2026, 11, 22, 7, 45, tzinfo=datetime.UTC)),
    ],
)
def test_times(text: str, expected: datetime.datetime) -> None:
    assert parse_since(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "10", "10 minutes"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(CommandLineError):
        parse_since(text, NOW)


def finding(severity: str, code: int = 1) -> Finding:
    return Finding("x", severity, "what", "hint", "where", code)  # type: ignore[arg-type]


def test_exit_codes_of_findings() -> None:
    assert exit_code([], strict=True) == 0
    assert exit_code([finding("warning"), finding("info")], strict=False) == 0
    assert exit_code([finding("warning")], strict=True) == 1
    assert exit_code([finding("info")], strict=True) == 0
    assert exit_code([finding("error"), finding("error", 69)], strict=False) == 69


def test_exit_codes_of_several_databases() -> None:
    assert most_telling([]) == 0
    assert most_telling([0, 1, 69, 0]) == 69


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('FATAL:  password authentication failed for user "relay"', 77),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4"', 77),
        ('FATAL:  role "relay" does not exist', 77),
        ('FATAL:  permission denied for database "shop"', 77),
        ('FATAL:  database "shop" does not exist', 78),
        ("Connection refused\n\tIs the server running on that host?", 69),
        ("FATAL:  the database system is starting up", 69),
        ("FATAL:  sorry, too many clients already", 69),
    ],
)
def test_what_a_refused_connection_means(text: str, code: int) -> None:
    error = refusal(text, "shop on db1")

    assert error.exit_code == code
    assert error.hint
    assert "shop on db1" in error.what


def test_sizes_and_durations() -> None:
    assert [format_bytes(size) for size in (None, 0, 1536, 5 * 1024**4 * 1024)] == ["?", "0 B", "1.5 kB", "5120.0 TB"]
    assert [format_seconds(one) for one in (None, 1.26, 75, 7380)] == ["?", "1.3 s", "1 min 15 s", "2 h 3 min"]


def test_the_listing_of_an_install_file() -> None:
    assert included_paths("-- x\n\\ir a/b.sql\n\\set Y\n  \\ir c.sql\n") == ["a/b.sql", "c.sql"]
    files = [file.path for file in install_files()]
    assert files[0] == "begin.sql"
    assert files[-1] == "finish.sql"
    assert newest_migration() >= 4


def test_every_check_says_its_four_columns_and_what_it_needs() -> None:
    files = check_files()

    assert len(files) > 15
    for file in files:
        assert file.text.startswith("--")
        for column in ("as id", "as severity", "as what", "as hint"):
            assert column in " ".join(file.text.split()) or file.path == "checks/tables.sql"
    assert SqlFile("x", "-- needs: pgstream.a\n-- needs: pgstream.b\n").needs == ("pgstream.a", "pgstream.b")
