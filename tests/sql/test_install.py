"""install.sql: by psql and in one transaction, again, at once, and where it has no business."""

from __future__ import annotations

import subprocess

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from pgstream_installer.embedded.postgres import postgres_bin_directory
from tests.sql.conftest import Connect, CreateRole
from tests.sql.control_schema import SQL, Connection, included_files, install, psql, rows, start_psql, value


def dump(postgres: EmbeddedPostgres, database: str) -> str:
    """The whole control schema with its rights and rows, as text."""
    done = subprocess.run(
        [str(postgres_bin_directory() / "pg_dump"), "--restrict-key=same", "-d", postgres.dsn(database)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


def test_psql_alone_installs_and_again_changes_nothing(postgres: EmbeddedPostgres, database: str) -> None:
    psql(postgres, database, "install.sql")
    first = dump(postgres, database)
    psql(postgres, database, "install.sql")
    assert dump(postgres, database) == first


def test_one_transaction_gives_the_same_and_again_changes_nothing(
    postgres: EmbeddedPostgres, database: str, admin: Connection
) -> None:
    install(admin)
    first = dump(postgres, database)
    install(admin)
    psql(postgres, database, "install.sql", "--single-transaction")
    assert dump(postgres, database) == first
    assert value(admin, "select count(*) from pg_locks where locktype = 'advisory'") == 0


def test_installs_at_once_take_turns(postgres: EmbeddedPostgres, database: str, admin: Connection) -> None:
    options = ((), ("--single-transaction",), (), ("--single-transaction",))
    processes = [start_psql(postgres, database, "install.sql", *each) for each in options]
    said = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert said == [("", 0)] * 4
    assert value(admin, "select count(*) from pgstream.settings") == 1


def test_an_install_that_is_rolled_back_leaves_nothing(admin: Connection) -> None:
    with admin.transaction(force_rollback=True):
        install(admin)
        assert value(admin, "select count(*) from pgstream.settings") == 1
    assert rows(admin, "select to_regnamespace('pgstream')") == [(None,)]
    assert rows(admin, "select from pg_publication") == []


def test_install_lists_every_file_once() -> None:
    listed = [str(path.relative_to(SQL)) for path in included_files()]
    there = {str(p.relative_to(SQL)) for p in SQL.rglob("*.sql") if p.parent.name != "checks"}
    assert len(listed) == len(set(listed))
    assert set(listed) == there - {"install.sql", "uninstall.sql"}


def test_migrations_are_numbered_and_the_newest_is_known(control: Connection) -> None:
    files = sorted((SQL / "migrations").glob("*.sql"))
    expected = [(int(file.name[:4]), file.stem[5:]) for file in files]
    assert rows(control, "select id, name from pgstream.migrations order by id") == expected
    assert f"newest_known constant integer := {len(files)};" in files[0].read_text()


@pytest.mark.parametrize("folder", ["functions", "views", "triggers"])
def test_one_object_a_file_under_its_name(control: Connection, folder: str) -> None:
    query = {
        "functions": "select proname from pg_proc where pronamespace = 'pgstream'::regnamespace",
        "views": "select relname from pg_class where relkind = 'v' and relnamespace = 'pgstream'::regnamespace",
        "triggers": "select tgname from pg_trigger where not tgisinternal",
    }[folder]
    assert {file.stem for file in (SQL / folder).glob("*.sql")} == {name for (name,) in rows(control, query)}


def test_files_are_plain_sql() -> None:
    for file in SQL.rglob("*.sql"):
        lines = file.read_text(encoding="utf-8").splitlines()
        commands = [line for line in lines if line.startswith("\\")]
        if file.name != "install.sql":
            assert commands == [], file
        assert max(map(len, lines)) <= 120 or file.parent.name == "checks", file


def test_every_object_has_a_comment(control: Connection) -> None:
    uncommented = rows(
        control,
        """
        select c.oid::regclass::text from pg_class c where c.relnamespace = 'pgstream'::regnamespace
          and c.relkind in ('r', 'v') and obj_description(c.oid, 'pg_class') is null
        union all
        select a.attrelid::regclass || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'pgstream'::regnamespace and a.attnum > 0
          and (c.relkind = 'r' or c.relname in ('status', 'table_status', 'snapshot_progress'))
          and col_description(a.attrelid, a.attnum) is null
        union all
        select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'pgstream'::regnamespace
          and obj_description(p.oid, 'pg_proc') is null
        union all
        select tgname from pg_trigger where not tgisinternal and obj_description(oid, 'pg_trigger') is null
        union all
        select pubname from pg_publication where obj_description(oid, 'pg_publication') is null
        union all
        select nspname from pg_namespace where nspname = 'pgstream' and obj_description(oid, 'pg_namespace') is null
        """,
    )
    assert uncommented == []


def test_functions_fix_their_search_path_and_run_as_their_caller(control: Connection) -> None:
    functions = rows(
        control,
        "select proname, coalesce(proconfig::text, ''), prosecdef from pg_proc"
        " where pronamespace = 'pgstream'::regnamespace",
    )
    assert [
        name for name, configuration, _ in functions if "search_path=pg_catalog, pg_temp" not in configuration
    ] == []
    assert {name for name, _, definer in functions if definer} == {
        "begin_change",
        "forget_identity",
        "remember_identity",
    }


def test_functions_are_short() -> None:
    for file in (SQL / "functions").glob("*.sql"):
        body = file.read_text(encoding="utf-8").split("$$")[1]
        assert body.count("\n") < 60, file


def test_nothing_is_granted_to_public(control: Connection) -> None:
    granted = rows(
        control,
        """
        select o.name from (
          select relname::text as name, coalesce(relacl, acldefault('r', relowner)) as acl
          from pg_class where relnamespace = 'pgstream'::regnamespace and relkind in ('r', 'v')
          union all
          select proname, coalesce(proacl, acldefault('f', proowner)) from pg_proc
          where pronamespace = 'pgstream'::regnamespace
          union all
          select nspname, coalesce(nspacl, acldefault('n', nspowner)) from pg_namespace where nspname = 'pgstream'
        ) as o, aclexplode(o.acl) as a where a.grantee = 0
        """,
    )
    assert granted == []


def test_the_publication_has_the_control_tables_alone(control: Connection) -> None:
    tables = rows(control, "select tablename from pg_publication_tables where pubname = 'pgstream' order by 1")
    assert tables == [("settings",), ("signals",), ("streams",), ("tables",)]
    assert rows(
        control,
        "select pg_get_userbyid(pubowner), pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot, puballtables"
        " from pg_publication where pubname = 'pgstream'",
    ) == [("pgstream_dba", True, True, True, True, True, False)]
    identities = "select distinct relreplident::text from pg_class where oid = any(%s::regclass[])"
    assert rows(control, identities, [f"pgstream.{name}" for (name,) in tables]) == [("f",)]


def test_a_publication_that_lost_a_control_table_or_an_operation_is_mended(control: Connection) -> None:
    control.execute("alter publication pgstream drop table pgstream.streams")
    control.execute("alter publication pgstream set (publish = 'insert')")
    install(control)
    test_the_publication_has_the_control_tables_alone(control)


def refusal(admin: Connection) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.Error) as raised:
        install(admin)
    assert raised.value.diag.message_detail
    assert raised.value.diag.message_hint
    return raised.value.diag


def test_a_schema_of_somebody_else_is_refused(admin: Connection) -> None:
    admin.execute("create schema pgstream create table schema_log (id int)")
    assert refusal(admin).constraint_name == "pgstream_schema_not_ours"
    assert rows(admin, "select relname from pg_class where relnamespace = 'pgstream'::regnamespace") == [
        ("schema_log",)
    ]


def test_a_publication_of_somebody_else_is_refused(admin: Connection) -> None:
    admin.execute("create publication pgstream")
    assert refusal(admin).constraint_name == "pgstream_publication_not_ours"
    assert value(admin, "select to_regnamespace('pgstream')") is None


def test_a_newer_schema_is_refused(control: Connection) -> None:
    control.execute("insert into pgstream.migrations (id, name) values (999, 'later')")
    assert refusal(control).constraint_name == "pgstream_schema_is_newer"


def test_a_named_role_that_is_missing(admin: Connection) -> None:
    with pytest.raises(psycopg.Error) as raised:
        install(admin, relay_role="nobody_here")
    assert raised.value.diag.constraint_name == "pgstream_relay_role"
    assert "CREATE ROLE nobody_here LOGIN REPLICATION" in (raised.value.diag.message_hint or "")


def test_installer_without_superuser(
    admin: Connection, connect: Connect, create_role: CreateRole, database: str
) -> None:
    """As on managed services: CREATEROLE, and owner of the database."""
    installer = create_role("installer", "createrole")
    admin.execute(f'alter database "{database}" owner to "{installer}"'.encode())
    session = connect(installer)
    for _ in range(2):
        install(session, owner_role=f"dba_{database}")
    owner = "select pg_get_userbyid(pubowner) from pg_publication"
    assert value(admin, owner) == f"dba_{database}"
    assert not value(admin, "select has_database_privilege(%s, current_database(), 'CREATE')", f"dba_{database}")
    install(session)
    assert value(admin, owner) == f"dba_{database}", "a later install that names nobody leaves the owner"
    owned = "select count(*) from pg_shdepend where refobjid = %s::regrole and deptype = 'o'"
    assert value(admin, owned, f'"dba_{database}"') == 1
    # The installer is a member, so tables of its own can be streamed at once.
    session.execute("create table own (id int primary key)")
    session.execute("insert into pgstream.tables (table_name) values ('own')")
    assert rows(admin, "select problem from pgstream.table_status") == [(None,)]


def test_installer_without_createrole_keeps_the_publication(
    admin: Connection, connect: Connect, create_role: CreateRole
) -> None:
    installer = create_role("installer")
    admin.execute(f'alter database "{admin.info.dbname}" owner to "{installer}"'.encode())
    session = connect(installer)
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
        install(session, owner_role="role_that_is_missing")
    assert raised.value.diag.constraint_name == "pgstream_owner_role"
    assert "CREATE ROLE role_that_is_missing NOLOGIN" in (raised.value.diag.message_hint or "")
    warnings: list[str] = []
    session.add_notice_handler(lambda notice: warnings.append(notice.message_hint or ""))
    install(session)
    assert any("CREATE ROLE pgstream_dba NOLOGIN" in hint for hint in warnings)
    assert value(admin, "select pg_get_userbyid(pubowner) from pg_publication") == installer
    session.execute("create table own (id int primary key)")
    session.execute("insert into pgstream.tables (table_name) values ('own')")


def test_installer_that_does_not_own_the_database(admin: Connection, connect: Connect, create_role: CreateRole) -> None:
    installer = create_role("installer", "createrole")
    admin.execute(f'grant create on database "{admin.info.dbname}" to "{installer}"'.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
        install(connect(installer), owner_role=f"dba_{admin.info.dbname}")
    assert raised.value.diag.constraint_name == "pgstream_database_owner"


def test_another_owner_later(admin: Connection, create_role: CreateRole) -> None:
    first, second = create_role("first"), create_role("second")
    install(admin, owner_role=first)
    install(admin, owner_role=second)
    assert value(admin, "select pg_get_userbyid(pubowner) from pg_publication") == second
    privilege = "select has_schema_privilege(%s, 'pgstream', 'USAGE')"
    assert (value(admin, privilege, first), value(admin, privilege, second)) == (False, True)


def test_the_slot_names_of_databases(control: Connection) -> None:
    names = {
        "shop": "pgstream_shop",
        "Shop": "pgstream_shop_[0-9a-f]{8}",
        "my-shop.eu": "pgstream_my_shop_eu_[0-9a-f]{8}",
        "größe": "pgstream_gr__e_[0-9a-f]{8}",
        "a" * 54: "pgstream_" + "a" * 54,
        "a" * 63: "pgstream_a{45}_[0-9a-f]{8}",
    }
    for name, pattern in names.items():
        assert value(control, "select pgstream.default_slot_name(%s) ~ %s", name, f"^{pattern}$"), name
    assert value(control, "select slot_name from pgstream.settings") == f"pgstream_{control.info.dbname}"
