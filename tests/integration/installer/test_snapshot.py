"""`pgstream snapshot`, and what other commands say of snapshots. The relay's part is played by UPDATEs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from tests.integration.installer.conftest import Pgstream

Connection = psycopg.Connection[tuple[Any, ...]]

ROWS = "select table_name, method, state from pgstream.snapshots order by id"


@pytest.fixture
def shop(pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str) -> Iterator[Connection]:
    """A database that streams a table with a key, and one without."""
    pgstream("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        connection.execute("create table orders (id int primary key); create table keyless (id int)")
        connection.execute("insert into pgstream.tables (table_name) values ('orders'), ('keyless')")
        yield connection


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-m", "pgstream_installer.cli", "snapshot", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Reads the process's output up to a line with these words."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return
    raise AssertionError(f"{words!r} is not in {seen}")


def test_a_snapshot_is_asked_for_and_shown(pgstream: Pgstream, shop: Connection, dsn: str) -> None:
    ran = pgstream("snapshot", "public.orders", "--dsn", dsn)

    assert ran.code == 0, ran.err
    for words in ("public.orders", "incremental", "pending", "signal 1", "no relay is streaming (offline)"):
        assert words in ran.out
    assert shop.execute(ROWS.encode()).fetchall() == [("orders", "incremental", "pending")]


def test_a_full_one_warns(pgstream: Pgstream, shop: Connection, dsn: str) -> None:
    ran = pgstream("snapshot", "keyless", "orders", "--full", "--dsn", dsn)

    assert ran.code == 0
    assert "warning: full snapshot of public.keyless, public.orders" in ran.err
    assert [row[1] for row in shop.execute(ROWS.encode()).fetchall()] == ["full", "full"]


def test_what_can_not_be_is_refused_with_a_hint(pgstream: Pgstream, shop: Connection, dsn: str) -> None:
    for arguments, words in (
        (["keyless"], "full-snapshot"),
        (["nowhere"], "table_status"),
        (["orders", "orders"], "once"),
    ):
        ran = pgstream("snapshot", *arguments, "--dsn", dsn)
        assert ran.code == 1
        assert "hint:" in ran.err
        assert words in ran.err
    assert shop.execute(ROWS.encode()).fetchall() == []
    assert pgstream("snapshot", "--dsn", dsn).code == 2


def test_without_pgstream(pgstream: Pgstream, dsn: str) -> None:
    ran = pgstream("snapshot", "orders", "--dsn", dsn)

    assert ran.code == 78
    assert "pgstream install" in ran.err


def test_follow_until_all_is_read(shop: Connection, dsn: str) -> None:
    with start("orders", "--follow", "--dsn", dsn) as following:
        wait_for(following, "no relay is streaming (offline)")
        wait_for(following, "public.orders: pending")
        shop.execute(
            "update pgstream.snapshots set state = 'running', blocks_total = 4, blocks_done = 2, rows_done = 7"
        )
        wait_for(following, "public.orders: running 50 %, 7 rows")
        shop.execute("update pgstream.snapshots set state = 'completed', blocks_done = 4, rows_done = 9")
        wait_for(following, "public.orders: completed 100 %, 9 rows")
        _, err = following.communicate()

    assert (following.returncode, err) == (0, "")


def test_follow_tells_why_one_failed_and_another_was_stopped(shop: Connection, dsn: str) -> None:
    with start("orders", "keyless", "--full", "--follow", "--dsn", dsn) as following:
        wait_for(following, "public.keyless: pending")
        shop.execute(
            "update pgstream.snapshots set state = 'failed', error = 'no rights', hint = 'GRANT SELECT'"
            " where table_name = 'orders'"
        )
        wait_for(following, "public.orders: failed")
        shop.execute("update pgstream.snapshots set state = 'stopped' where table_name = 'keyless'")
        _, err = following.communicate()

    assert following.returncode == 1
    for words in ("the snapshot of public.orders failed", "no rights", "GRANT SELECT", "public.keyless was stopped"):
        assert words in err


def test_ctrl_c_leaves_the_snapshot_alone(shop: Connection, dsn: str) -> None:
    with start("orders", "--follow", "--dsn", dsn) as following:
        wait_for(following, "public.orders: pending")
        following.send_signal(signal.SIGINT)
        _, err = following.communicate()

    assert following.returncode == 130
    assert "go on without us" in err
    assert shop.execute(ROWS.encode()).fetchall() == [("orders", "incremental", "pending")]


def test_status_shows_those_under_way_and_those_of_the_last_hour(
    pgstream: Pgstream, shop: Connection, dsn: str
) -> None:
    for _ in range(3):
        pgstream("snapshot", "orders", "--dsn", dsn)
    shop.execute("update pgstream.snapshots set state = 'running', blocks_total = 8, blocks_done = 1 where id = 1")
    shop.execute("update pgstream.snapshots set state = 'completed' where id = 2")
    shop.execute(
        "update pgstream.snapshots set state = 'completed', updated_at = now() - interval '2 hours' where id = 3"
    )

    (one,) = json.loads(pgstream("status", "--json", "--dsn", dsn).out)["databases"]
    shown = pgstream("status", "--dsn", dsn).out

    assert [(row["id"], row["state"], row["percent"]) for row in one["snapshots"]] == [
        (1, "running", 12.5),
        (2, "completed", 100),
    ]
    assert "12 %" in shown
    assert "completed" in shown


def test_check_tells_of_failures_and_missing_rights(
    pgstream: Pgstream, shop: Connection, database: str, dsn: str
) -> None:
    role = f"relay_{database}"
    shop.execute(f"create role {role} login replication".encode())
    pgstream("install", "--dsn", dsn, "--relay-role", role)
    pgstream("snapshot", "orders", "--dsn", dsn)
    found = pgstream("check", "--dsn", dsn).out
    assert "snapshot-rights" in found
    assert f"GRANT SELECT ON public.orders TO {role};" in found
    assert "snapshot-failed" not in found

    shop.execute("update pgstream.snapshots set state = 'failed', error = 'went wrong', hint = 'mend it'")
    found = pgstream("check", "--dsn", dsn).out
    assert "snapshot-rights" not in found
    assert "snapshot 1 of public.orders failed: went wrong" in found
    assert "mend it" in found
    shop.execute(f"drop owned by {role}; drop role {role}".encode())


def lose_the_slot(postgres: EmbeddedPostgres, database: str) -> None:
    with postgres.connect() as connection:
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", [database]
        )


def test_a_new_slot_with_snapshots_of_all_tables(
    pgstream: Pgstream, postgres: EmbeddedPostgres, shop: Connection, database: str, dsn: str
) -> None:
    assert pgstream("install", "--new-slot", "--snapshot", "--dsn", dsn).code == 0
    assert shop.execute(ROWS.encode()).fetchall() == [], "the slot was there"
    pgstream("snapshot", "orders", "--dsn", dsn)
    shop.execute("update pgstream.snapshots set state = 'running', blocks_total = 8, blocks_done = 5, position = '{}'")
    lose_the_slot(postgres, database)

    script = pgstream("install", "--new-slot", "--snapshot", "--dry-run", "--dsn", dsn).out
    ran = pgstream("install", "--new-slot", "--snapshot", "--dsn", dsn)

    assert ran.code == 0, ran.err
    assert "insert into pgstream.signals" in script
    assert "full snapshot of public.keyless" in ran.err
    # The one under way begins again: what it has read before the gap may have changed in it.
    found = "select table_name, method, state, blocks_done, position from pgstream.snapshots order by id"
    assert shop.execute(found.encode()).fetchall() == [
        ("orders", "incremental", "pending", 0, None),
        ("keyless", "full", "pending", 0, None),
    ]
    pgstream("install", "--new-slot", "--snapshot", "--dsn", dsn)
    assert len(shop.execute(ROWS.encode()).fetchall()) == 2
