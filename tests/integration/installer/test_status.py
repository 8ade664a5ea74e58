"""`pgstream status`: the states of a database, its tables, for people and for programs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

from pgstream_installer.embedded import EmbeddedPostgres
from tests.integration.installer.conftest import Pgstream


def test_a_database_without_pgstream(pgstream: Pgstream, dsn: str) -> None:
    ran = pgstream("status", "--dsn", dsn)

    assert ran.code == 78
    assert "not installed" in ran.err
    assert "pgstream install" in ran.err


def test_status_and_tables_as_json(pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str) -> None:
    pgstream("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        connection.execute("create table orders (id int primary key)")
        connection.execute("insert into pgstream.tables (table_name) values ('orders')")

    ran = pgstream("status", "--json", "--dsn", dsn)

    assert ran.code == 0
    (one,) = json.loads(ran.out)["databases"]
    assert one["status"]["state"] == "offline"
    assert one["status"]["hint"]
    assert [table["table_name"] for table in one["tables"]] == ["orders"]
    assert one["snapshots"] == []


def test_people_see_state_subjects_and_problems(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    pgstream("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        for name in ("orders", "gone"):
            connection.execute(f"create table {name} (id int primary key)")
            connection.execute("insert into pgstream.tables (table_name) values (%s)", [name])
        connection.execute("drop table gone")

    ran = pgstream("status", "--dsn", dsn)

    assert ran.code == 0
    for words in (database, "offline", "public.orders", f"{database}.public.orders.*", "public.gone"):
        assert words in ran.out


def test_several_databases_and_one_that_is_away(pgstream: Pgstream, dsn: str) -> None:
    pgstream("install", "--dsn", dsn)

    ran = pgstream("status", "--json", "--dsn", "host=127.0.0.1 port=1 dbname=x", "--dsn", dsn)

    assert ran.code == 69
    assert len(json.loads(ran.out)["databases"]) == 1


def test_clusters_are_searched_for_their_databases(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str, tmp_path_factory: object
) -> None:
    pgstream("install", "--dsn", dsn)
    file = postgres.directory / "clusters.toml"
    file.write_text(f'[[clusters]]\ndsn = "{postgres.dsn()}"\n')

    ran = pgstream("status", "--json", "--config", str(file))

    assert any(one["where"].startswith(f"{database} ") for one in json.loads(ran.out)["databases"])
    assert pgstream("install", "--config", str(file)).code == 2


def test_watch_goes_on_until_it_is_interrupted(pgstream: Pgstream, dsn: str) -> None:
    pgstream("install", "--dsn", dsn)
    command = [sys.executable, "-m", "pgstream_installer.cli", "status", "--watch", "--json", "--dsn", dsn]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        first, second = watching.stdout.readline(), watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate()

    assert json.loads(first)["databases"][0]["status"]["state"] == "offline"
    assert json.loads(second)["databases"]
    assert (watching.returncode, err) == (0, "")
