"""A slot that is lost, missing, or not ours: refused, and mended by --new-slot with the gap on record."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from tests.integration.installer.conftest import Pgstream

GAPS = """
select from_lsn is not null, to_lsn = kept.lsn, to_time is not null, published_at, reason
from pgstream.gaps, pgstream.relay_state as kept
"""


def drop_slot(postgres: EmbeddedPostgres, database: str) -> None:
    with postgres.connect() as connection:
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", [database]
        )


def test_a_missing_slot_is_never_replaced_in_silence(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    pgstream("install", "--dsn", dsn)
    drop_slot(postgres, database)

    refused = pgstream("install", "--dsn", dsn)
    assert refused.code == 78
    assert "--new-slot" in refused.err
    check = pgstream("check", "--dsn", dsn)
    assert check.code == 1
    assert "slot-missing" in check.out
    assert pgstream("status", "--dsn", dsn).code == 78

    assert pgstream("install", "--new-slot", "--dsn", dsn).code == 0
    with postgres.connect(database) as connection:
        gaps = connection.execute(GAPS.encode()).fetchall()
    assert [gap[:4] for gap in gaps] == [(True, True, True, None)]
    assert "does not exist any more" in str(gaps[0][4])


def test_new_slot_beside_a_healthy_slot_changes_nothing(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    pgstream("install", "--new-slot", "--dsn", dsn)

    ran = pgstream("install", "--new-slot", "--dsn", dsn)

    assert ran.code == 0
    with postgres.connect(database) as connection:
        assert connection.execute("select * from pgstream.gaps").fetchall() == []


def test_an_interrupted_new_slot_is_finished_by_the_next_install(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    pgstream("install", "--dsn", dsn)
    drop_slot(postgres, database)
    with postgres.connect(database) as connection:
        connection.execute(
            "insert into pgstream.gaps (from_lsn, reason) select lsn, 'cut short' from pgstream.relay_state"
        )
        connection.execute("delete from pgstream.relay_state")

    assert pgstream("install", "--dsn", dsn).code == 0

    with postgres.connect(database) as connection:
        gaps = connection.execute(GAPS.encode()).fetchall()
    assert gaps == [(True, True, True, None, "cut short")]


def test_a_slot_without_its_state_is_made_anew(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    """What an install leaves that was killed between the slot and the settings that go with it."""
    pgstream("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        connection.execute("delete from pgstream.relay_state")

    assert pgstream("install", "--dsn", dsn).code == 0

    with postgres.connect(database) as connection:
        agrees = connection.execute(
            "select slot.confirmed_flush_lsn = kept.lsn from pgstream.relay_state as kept"
            " join pg_replication_slots as slot using (slot_name)"
        ).fetchall()
        assert agrees == [(True,)]
        assert connection.execute("select * from pgstream.gaps").fetchall() == []


def test_a_slot_without_its_state_that_was_read_from_is_lost(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    pgstream("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        connection.execute(
            "insert into pgstream.relay_positions (slot_name, stream, last_sequence, lsn, ordinal)"
            " select slot_name, 'S', 1, lsn, 1 from pgstream.relay_state"
        )
        connection.execute("delete from pgstream.relay_state")

    assert pgstream("install", "--dsn", dsn).code == 78


def test_a_slot_of_another_plugin(pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str) -> None:
    pgstream("install", "--no-slot", "--dsn", dsn)
    with postgres.connect(database) as connection:
        connection.execute(
            "select pg_create_logical_replication_slot(slot_name, 'test_decoding') from pgstream.settings"
        )

    refused = pgstream("install", "--dsn", dsn)

    assert refused.code == 78
    assert "test_decoding" in refused.err


@pytest.fixture(scope="module")
def small() -> Iterator[EmbeddedPostgres]:
    """A server that removes WAL which a slot needs, soon."""
    settings = {"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    with EmbeddedPostgres(settings=settings) as server:
        yield server


def test_a_lost_slot(pgstream: Pgstream, small: EmbeddedPostgres) -> None:
    dsn = small.dsn()
    pgstream("install", "--dsn", dsn)
    with small.connect() as connection:
        for _ in range(4):
            connection.execute("select pg_logical_emit_message(false, 'fill', repeat('x', 1000000))")
            connection.execute("select pg_switch_wal()")
        connection.execute("checkpoint")
        assert connection.execute("select wal_status from pg_replication_slots").fetchall() == [("lost",)]

    refused = pgstream("install", "--dsn", dsn)
    check = pgstream("check", "--dsn", dsn)
    status = pgstream("status", "--json", "--dsn", dsn)
    mended = pgstream("install", "--new-slot", "--dsn", dsn)

    assert refused.code == 78
    assert "--new-slot" in refused.err
    assert check.code == 1
    assert "slot-lost" in check.out
    assert status.code == 78
    assert '"state": "lost"' in status.out
    assert mended.code == 0, mended.err
    with small.connect() as connection:
        assert [gap[:4] for gap in connection.execute(GAPS.encode()).fetchall()] == [(True, True, True, None)]
        assert connection.execute("select wal_status from pg_replication_slots").fetchall() == [("reserved",)]


def test_a_slot_that_has_to_wait_too_long_says_for_whom(
    pgstream: Pgstream, small: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgstream_installer.plan.SLOT_WAIT", "200ms")
    with small.connect() as connection:
        connection.execute("create database waiting")
    with small.connect("waiting") as writer:
        writer.execute("begin")
        writer.execute("create table held (id int)")

        ran = pgstream("install", "--dsn", small.dsn("waiting"))

        assert ran.code == 1
        assert f"process {writer.info.backend_pid}" in ran.out
        assert f"process {writer.info.backend_pid}" in ran.err
        writer.execute("rollback")

    assert pgstream("install", "--dsn", small.dsn("waiting")).code == 0


def test_ctrl_c_while_it_waits_is_no_crash_and_the_next_install_finishes(
    pgstream: Pgstream, small: EmbeddedPostgres
) -> None:
    with small.connect() as connection:
        connection.execute("create database interrupted")
    command = [sys.executable, "-u", "-m", "pgstream_installer.cli", "install", "--dsn", small.dsn("interrupted")]
    with small.connect() as writer:
        writer.execute("begin")
        writer.execute("create table held (id int)")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stdout is not None
            while "the slot begins when" not in waiting.stdout.readline():
                pass
            waiting.send_signal(signal.SIGINT)
            _, err = waiting.communicate()
        writer.execute("rollback")

    assert (waiting.returncode, err.strip()) == (130, "interrupted")
    assert pgstream("install", "--dsn", small.dsn("interrupted")).code == 0
