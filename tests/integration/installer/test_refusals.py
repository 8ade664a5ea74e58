"""What `pgstream install` refuses: the exit code, one clear message with a hint, and nothing changed."""

from __future__ import annotations

import psycopg

from pgstream_installer.embedded import EmbeddedPostgres, free_port
from tests.integration.installer.conftest import Pgstream, Ran
from tests.support.pooler import Pooler


def assert_refused(ran: Ran, code: int, *words: str) -> None:
    """One message on standard error, with a hint and without a traceback."""
    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err
    assert ran.err.count("error:") == 1
    assert "hint:" in ran.err
    for word in words:
        assert word in ran.err


def test_a_schema_that_is_not_ours(pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str) -> None:
    with postgres.connect(database) as connection:
        connection.execute("create schema pgstream")
        connection.execute("create table pgstream.settings (theirs int)")

    assert_refused(pgstream("install", "--dsn", dsn), 78, "did not make", "RENAME")
    assert_refused(pgstream("uninstall", "--yes", "--dsn", dsn), 78, "did not make")

    with postgres.connect(database) as connection:
        columns = connection.execute("select column_name from information_schema.columns where table_schema='pgstream'")
        assert columns.fetchall() == [("theirs",)]


def test_a_publication_that_is_not_ours(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    with postgres.connect(database) as connection:
        connection.execute("create publication pgstream")

    assert_refused(pgstream("install", "--dsn", dsn), 78, "publication")

    with postgres.connect(database) as connection:
        assert connection.execute("select to_regnamespace('pgstream')").fetchone() == (None,)


def test_a_pooler(pgstream: Pgstream, postgres: EmbeddedPostgres, database: str) -> None:
    with Pooler(postgres.port) as pooler:
        dsn = f"host=127.0.0.1 port={pooler.port} dbname={database} user=postgres sslmode=disable gssencmode=disable"

        assert_refused(pgstream("install", "--dsn", dsn), 78, "pooler")
        assert_refused(pgstream("status", "--dsn", dsn), 78, "pooler")
        check = pgstream("check", "--dsn", dsn)

    assert check.code == 78
    assert "pooler" in check.out


def test_a_standby(pgstream: Pgstream, tuned: EmbeddedPostgres) -> None:
    assert pgstream("install", "--dsn", tuned.dsn()).code == 0
    standby = EmbeddedPostgres()
    try:
        data = str(standby.directory / "data")
        tuned.run("pg_basebackup", "-D", data, "-d", tuned.dsn(), "-R", "-X", "stream", "-c", "fast")
        standby.start()

        assert_refused(pgstream("install", "--dsn", standby.dsn()), 78, "standby", "primary")
        assert_refused(pgstream("uninstall", "--yes", "--dsn", standby.dsn()), 78, "standby")
        check = pgstream("check", "--dsn", standby.dsn())
    finally:
        standby.close()
    assert check.code == 1
    assert "standby" in check.out
    assert pgstream("uninstall", "--yes", "--dsn", tuned.dsn()).code == 0


def test_wal_level_replica(pgstream: Pgstream) -> None:
    with EmbeddedPostgres(settings={"wal_level": "replica"}) as server:
        assert_refused(pgstream("install", "--dsn", server.dsn()), 78, "wal_level", "ALTER SYSTEM SET wal_level")
        with server.connect() as connection:
            assert connection.execute("select to_regnamespace('pgstream')").fetchone() == (None,)
        check = pgstream("check", "--dsn", server.dsn())
        without_slot = pgstream("install", "--no-slot", "--dsn", server.dsn())

    assert check.code == 1
    assert "ALTER SYSTEM SET wal_level" in check.out
    assert without_slot.code == 0, without_slot.err


def test_a_server_that_is_not_there(pgstream: Pgstream) -> None:
    dsn = f"host=127.0.0.1 port={free_port()} dbname=shop"

    assert_refused(pgstream("install", "--dsn", dsn), 69, "no connection to shop on 127.0.0.1")
    assert_refused(pgstream("uninstall", "--yes", "--dsn", dsn), 69)
    assert_refused(pgstream("status", "--dsn", dsn), 69)
    assert pgstream("check", "--dsn", dsn).code == 69


def test_a_database_that_is_not_there(pgstream: Pgstream, postgres: EmbeddedPostgres) -> None:
    assert_refused(pgstream("install", "--dsn", postgres.dsn("no_such_database")), 78, "no_such_database")


def test_a_wrong_password(pgstream: Pgstream, tuned: EmbeddedPostgres) -> None:
    with tuned.connect() as connection:
        connection.execute("create role guarded login superuser password 'right'")
        hba = tuned.data_directory / "pg_hba.conf"
        hba.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{hba.read_text()}")
        connection.execute("select pg_reload_conf()")
    dsn = tuned.dsn(user="guarded")
    # The postmaster reads its rules a moment after the signal.
    while True:
        try:
            psycopg.connect(f"{dsn} password=wrong").close()
        except psycopg.OperationalError:
            break

    ran = pgstream("install", "--dsn", f"{dsn} password=wrong-secret")

    assert_refused(ran, 77, "password authentication failed")
    assert "wrong-secret" not in ran.err
    assert pgstream("install", "--dsn", f"{dsn} password=right").code == 0
    assert pgstream("uninstall", "--yes", "--dsn", f"{dsn} password=right").code == 0


def test_a_role_without_rights(pgstream: Pgstream, postgres: EmbeddedPostgres, database: str) -> None:
    role = f"weak_{database}"
    dsn = postgres.dsn(database, user=role)
    with postgres.connect(database) as connection:
        connection.execute(f"create role {role} login")

        assert_refused(pgstream("install", "--dsn", dsn), 77, f'GRANT CREATE ON DATABASE "{database}"')
        connection.execute(f"grant create on database {database} to {role}")
        assert_refused(pgstream("install", "--dsn", dsn), 77, "REPLICATION")
        connection.execute(f"alter role {role} replication")
        assert_refused(pgstream("install", "--dsn", dsn, "--relay-role", "nobody_yet"), 77, 'CREATE ROLE "nobody_yet"')
        assert_refused(pgstream("install", "--dsn", dsn, "--owner", "no_owner_yet"), 77, 'CREATE ROLE "no_owner_yet"')

        assert connection.execute("select to_regnamespace('pgstream')").fetchone() == (None,)
        connection.execute(f"drop owned by {role}")
        connection.execute(f"drop role {role}")


def test_a_schema_of_another_installer(pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str) -> None:
    role = f"other_{database}"
    pgstream("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        connection.execute(f"create role {role} login replication")

        assert_refused(pgstream("install", "--dsn", postgres.dsn(database, user=role)), 77, "install as postgres")
        connection.execute(f"drop role {role}")


def test_wrong_usage(pgstream: Pgstream, dsn: str) -> None:
    assert pgstream("install", "--no-such-option").code == 2
    assert pgstream("no-such-command").code == 2
    assert_refused(pgstream("install"), 2, "no database was named")
    assert pgstream("install", "--no-slot", "--new-slot", "--dsn", dsn).code == 2
    assert pgstream("install", "--snapshot", "--dsn", dsn).code == 2
    assert pgstream("snapshot", "--dsn", dsn).code == 2


def test_a_dsn_that_is_none(pgstream: Pgstream) -> None:
    ran = pgstream("install", "--dsn", "host=db1 password secret")

    assert ran.code == 78
    assert "secret" not in ran.err
