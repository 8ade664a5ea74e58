"""`pgstream install` in a database that is as it should be."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from tests.integration.installer.conftest import Pgstream

SLOTS = """(
    select slot_name, confirmed_flush_lsn from pg_replication_slots where database = current_database()
) as slots"""


@pytest.fixture
def role(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of a role that does not exist; dropped afterwards, with what it was granted in the last database."""
    name = f"r_{uuid.uuid4().hex[:10]}"
    yield name
    with postgres.connect() as connection:
        databases = connection.execute("select datname from pg_database where datallowconn").fetchall()
    for (database,) in databases:
        with postgres.connect(database) as connection:
            found = connection.execute("select from pg_roles where rolname = %s", [name]).fetchone()
            if found is not None:
                connection.execute(f"reassign owned by {name} to postgres")
                connection.execute(f"drop owned by {name}")
    with postgres.connect() as connection:
        connection.execute(f"drop role if exists {name}")


def dump(postgres: EmbeddedPostgres, database: str) -> str:
    """Everything that the catalogs hold of a database's schema: tables, functions, grants, comments, publication.

    The random key that newer minors write around a dump is left out.
    """
    text = postgres.run("pg_dump", "--schema-only", "-d", postgres.dsn(database)).stdout
    return "\n".join(line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def test_a_fresh_install_makes_schema_publication_and_slot(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    assert pgstream("install", "--dsn", dsn).code == 0

    with postgres.connect(database) as connection:
        assert connection.execute("select pgstream.version()").fetchone() is not None
        published = connection.execute(
            "select tablename from pg_publication_tables where pubname = 'pgstream'"
        ).fetchall()
        assert {"settings", "streams", "tables"} <= {name for (name,) in published}
        slot = connection.execute(
            "select slot.plugin, slot.failover, slot.two_phase, slot.confirmed_flush_lsn = kept.lsn"
            " from pg_replication_slots as slot"
            " join pgstream.settings using (slot_name) join pgstream.relay_state as kept using (slot_name)"
            " where slot.database = current_database()"
        ).fetchall()
    assert slot == [("pgoutput", True, False, True)]


def test_installing_again_changes_nothing(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    def rows() -> list[object]:
        with postgres.connect(database) as connection:
            return [
                connection.execute(f"select * from {table} order by 1").fetchall()
                for table in (
                    "pgstream.settings",
                    "pgstream.streams",
                    "pgstream.migrations",
                    "pgstream.relay_state",
                    "pgstream.gaps",
                    "pg_publication",
                    SLOTS,
                )
            ]

    pgstream("install", "--dsn", dsn)
    before, schema_before = rows(), dump(postgres, database)

    again = pgstream("install", "--dsn", dsn)

    assert again.code == 0
    assert rows() == before
    assert dump(postgres, database) == schema_before


def test_two_installs_at_once_take_turns(postgres: EmbeddedPostgres, database: str, dsn: str) -> None:
    command = [sys.executable, "-m", "pgstream_installer.cli", "install", "--dsn", dsn]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)]
    output = [process.communicate()[0] for process in running]

    assert [process.returncode for process in running] == [0, 0, 0], output
    assert sum("replication slot made" in text for text in output) == 1
    with postgres.connect(database) as connection:
        slots = connection.execute(
            "select count(*) from pg_replication_slots where database = current_database()"
        ).fetchone()
    assert slots == (1,)


def test_the_relay_role_is_made_and_can_work(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str, role: str
) -> None:
    ran = pgstream("install", "--dsn", dsn, "--relay-role", role)

    assert ran.code == 0
    assert "password" in ran.out
    with postgres.connect(database, user=role) as connection:
        assert connection.execute("select count(*) from pgstream.settings").fetchone() == (1,)
        replicates = connection.execute("select rolreplication from pg_roles where rolname = current_user").fetchone()
    assert replicates == (True,)


def test_an_owner_of_ones_own_choice_owns_the_publication_alone(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str, role: str
) -> None:
    assert pgstream("install", "--dsn", dsn, "--owner", role).code == 0

    with postgres.connect(database) as connection:
        owned = connection.execute(
            "select classid::regclass::text from pg_shdepend where deptype = 'o' and refobjid = %s::regrole"
            " and dbid = (select oid from pg_database where datname = current_database())",
            [role],
        ).fetchall()
    assert owned == [("pg_publication",)]


def test_a_role_with_createrole_installs_without_being_superuser(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, role: str
) -> None:
    with postgres.connect() as connection:
        connection.execute(f"create role {role} login createrole replication")
        connection.execute(f"alter database {database} owner to {role}")

    ran = pgstream("install", "--dsn", postgres.dsn(database, user=role), "--owner", f"{role}_dba")

    assert ran.code == 0, ran.err
    assert pgstream("install", "--dsn", postgres.dsn(database, user=role)).code == 0
    assert pgstream("uninstall", "--yes", "--dsn", postgres.dsn(database, user=role)).code == 0
    with postgres.connect() as connection:
        connection.execute(f"alter database {database} owner to postgres")
        connection.execute(f"drop role if exists {role}_dba")


def test_without_a_slot_everything_else_is_there(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    assert pgstream("install", "--no-slot", "--dsn", dsn).code == 0

    with postgres.connect(database) as connection:
        slots = connection.execute("select from pg_replication_slots where database = current_database()").fetchall()
        assert slots == []
        assert connection.execute("select from pg_publication where pubname = 'pgstream'").fetchone() is not None


def test_no_failover_makes_a_plain_slot(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    assert pgstream("install", "--no-failover", "--dsn", dsn).code == 0

    with postgres.connect(database) as connection:
        failover = connection.execute(
            "select failover from pg_replication_slots where database = current_database()"
        ).fetchall()
    assert failover == [(False,)]


def test_a_copy_of_the_database_gets_a_slot_and_stream_of_its_own(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    pgstream("install", "--dsn", dsn)
    copy = f"{database}_copy"
    with postgres.connect() as connection:
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", [database]
        )
        connection.execute(f"create database {copy} template {database}")
    try:
        pgstream("install", "--new-slot", "--dsn", dsn)

        ran = pgstream("install", "--dsn", postgres.dsn(copy))

        assert ran.code == 0, ran.err
        with postgres.connect() as connection:
            slots = connection.execute(
                "select database from pg_replication_slots where database in (%s, %s) order by 1", [database, copy]
            ).fetchall()
        assert slots == [(database,), (copy,)]
    finally:
        with postgres.connect() as connection:
            connection.execute(
                "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", [copy]
            )
            connection.execute(f"drop database {copy} with (force)")


def test_databases_come_from_the_relays_configuration_file_too(
    pgstream: Pgstream, dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("config") / "relay.toml"
    file.write_text(f'[http]\nlisten = "127.0.0.1:7780"\n[[databases]]\ndsn = "{dsn}"\n')

    ran = pgstream("install", "--config", str(file))

    assert ran.code == 0
    assert "replication slot made" in ran.out


def test_one_databases_trouble_does_not_stop_the_next(pgstream: Pgstream, dsn: str) -> None:
    ran = pgstream("install", "--dsn", "host=127.0.0.1 port=1 dbname=x", "--dsn", dsn)

    assert ran.code == 69
    assert "replication slot made" in ran.out
