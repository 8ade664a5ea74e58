"""`pgstream install --dry-run`: what it prints does, by psql, what the install does."""

from __future__ import annotations

import uuid

import pytest

from pgstream_installer.embedded import EmbeddedPostgres, EmbeddedServerError
from tests.integration.installer.conftest import Pgstream
from tests.integration.installer.test_install import dump


def run_by_psql(postgres: EmbeddedPostgres, database: str, script: str) -> None:
    # In the server's own directory: its user must be able to read the file.
    file = postgres.directory / f"{uuid.uuid4().hex}.sql"
    file.write_text(script)
    file.chmod(0o644)
    postgres.run("psql", "-X", "-q", "-d", postgres.dsn(database), "-f", str(file))


def slots(postgres: EmbeddedPostgres, database: str) -> list[tuple[object, ...]]:
    with postgres.connect(database) as connection:
        return connection.execute(
            "select plugin, failover from pg_replication_slots where database = current_database()"
        ).fetchall()


def test_the_whole_schema_without_a_database(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    script = pgstream("install", "--dry-run").out
    run_by_psql(postgres, database, script)
    by_psql, slots_by_psql = dump(postgres, database), slots(postgres, database)
    assert pgstream("uninstall", "--yes", "--dsn", dsn).code == 0

    assert pgstream("install", "--dsn", dsn).code == 0

    assert dump(postgres, database) == by_psql
    assert slots(postgres, database) == slots_by_psql == [("pgoutput", True)]


def test_the_script_may_be_run_again(pgstream: Pgstream, postgres: EmbeddedPostgres, database: str) -> None:
    script = pgstream("install", "--dry-run").out
    run_by_psql(postgres, database, script)
    once = dump(postgres, database)

    run_by_psql(postgres, database, script)

    assert dump(postgres, database) == once
    assert len(slots(postgres, database)) == 1


def test_a_dry_run_with_a_database_changes_nothing(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    ran = pgstream("install", "--dry-run", "--dsn", dsn)

    assert ran.code == 0
    assert "create_slot" in ran.out
    with postgres.connect(database) as connection:
        assert connection.execute("select to_regnamespace('pgstream')").fetchone() == (None,)


def test_a_slot_that_is_there_is_not_in_the_script(pgstream: Pgstream, dsn: str) -> None:
    pgstream("install", "--dsn", dsn)

    ran = pgstream("install", "--dry-run", "--dsn", dsn)

    assert ran.code == 0
    assert "-- Step: replication slot" not in ran.out


def test_names_are_quoted(pgstream: Pgstream, postgres: EmbeddedPostgres, database: str) -> None:
    role = f"o'r \"{uuid.uuid4().hex[:6]}"
    script = pgstream("install", "--dry-run", "--no-slot", "--relay-role", role).out

    run_by_psql(postgres, database, script)

    with postgres.connect(database) as connection:
        assert connection.execute("select rolreplication from pg_roles where rolname = %s", [role]).fetchone() == (
            True,
        )
        quoted = '"' + role.replace('"', '""') + '"'
        connection.execute(f"drop owned by {quoted}".encode())
        connection.execute(f"drop role {quoted}".encode())


def test_one_script_is_for_one_database(pgstream: Pgstream, dsn: str) -> None:
    assert pgstream("install", "--dry-run", "--dsn", dsn, "--dsn", f"{dsn} application_name=x").code == 2


def test_the_script_refuses_a_slot_without_its_state_as_the_install_would(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str
) -> None:
    script = pgstream("install", "--dry-run").out
    run_by_psql(postgres, database, script)
    with postgres.connect(database) as connection:
        connection.execute("delete from pgstream.relay_state")

    with pytest.raises(EmbeddedServerError, match="made by hand"):
        run_by_psql(postgres, database, script)
