"""`pgstream check`: each finding provoked, in Postgres and in NATS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import nats as nats_client
import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres, free_port
from pgstream_installer.sqlfiles import check_files
from tests.integration.installer.conftest import Pgstream, Ran


def findings(ran: Ran) -> dict[str, dict[str, str]]:
    """By id. Every finding says what, and each error how to mend it."""
    found = json.loads(ran.out)["findings"]
    for finding in found:
        assert set(finding) == {"id", "severity", "what", "hint", "where"}
        assert finding["what"]
        assert finding["hint"] or finding["severity"] != "error"
    return {finding["id"]: finding for finding in found}


def found(pgstream: Pgstream, *arguments: str) -> dict[str, dict[str, str]]:
    return findings(pgstream("check", "--json", *arguments))


def errors(found: dict[str, dict[str, str]]) -> list[str]:
    return [identity for identity, finding in found.items() if finding["severity"] == "error"]


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A server for one test, with few slots and senders."""
    with EmbeddedPostgres(settings={"max_replication_slots": "2", "max_wal_senders": "2"}) as one:
        yield one


def test_a_good_database_has_no_errors_before_and_after_the_install(pgstream: Pgstream, dsn: str) -> None:
    before = pgstream("check", "--json", "--dsn", dsn)
    pgstream("install", "--dsn", dsn)
    after = pgstream("check", "--json", "--dsn", dsn)

    assert before.code == after.code == 0
    assert errors(findings(before)) == errors(findings(after)) == []
    assert {"slot-inactive", "failover-asynchronous"} <= set(findings(after))


def test_warnings_count_when_strict(pgstream: Pgstream, dsn: str) -> None:
    assert "wal-unlimited" in found(pgstream, "--dsn", dsn)
    assert pgstream("check", "--dsn", dsn).code == 0
    assert pgstream("check", "--strict", "--dsn", dsn).code == 1


def test_people_get_the_worst_first_with_how_to_mend_it(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    pgstream("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        connection.execute("drop publication pgstream")

    ran = pgstream("check", "--dsn", dsn)

    assert ran.code == 1
    assert ran.out.startswith("error")
    assert "publication-missing" in ran.out.splitlines()[0]
    assert ran.out.splitlines()[1].lstrip().startswith("→")
    assert ran.out.splitlines()[-1].startswith("1 error,")


@pytest.mark.parametrize(
    ("statements", "identity", "severity"),
    [
        (["alter publication pgstream set (publish = 'insert')"], "publication-options", "error"),
        (["alter publication pgstream drop table pgstream.tables"], "publication-control", "error"),
        (["delete from pgstream.migrations where id > 1"], "schema-older", "warning"),
        (["insert into pgstream.migrations (id, name) values (9999, 'x')"], "schema-newer", "warning"),
        (["insert into pgstream.gaps (reason) values ('x')"], "gap-unpublished", "warning"),
        (["update pgstream.relay_state set source = '1/2'"], "database-copy", "error"),
        (
            [
                "create table t (id int primary key)",
                "insert into pgstream.tables (table_name) values ('t')",
                "drop table t",
            ],
            "table-problem",
            "error",
        ),
        (
            ["create table t (id int primary key)", "insert into pgstream.tables (table_name) values ('t')"],
            "no-events",
            "info",
        ),
    ],
)
def test_what_can_break_after_the_install(
    pgstream: Pgstream,
    postgres: EmbeddedPostgres,
    database: str,
    dsn: str,
    statements: Sequence[str],
    identity: str,
    severity: str,
) -> None:
    pgstream("install", "--dsn", dsn)
    assert identity not in found(pgstream, "--dsn", dsn)
    with postgres.connect(database) as connection:
        for statement in statements:
            connection.execute(statement.encode())

    assert found(pgstream, "--dsn", dsn)[identity]["severity"] == severity


def test_a_relay_role_that_may_not_replicate_or_log_in(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    role = f"relay_{database}"
    with postgres.connect(database) as connection:
        connection.execute(f"create role {role} nologin")
        told = pgstream("install", "--dsn", dsn, "--relay-role", role)
        assert "LOGIN REPLICATION" in told.out
        assert {"relay-role-replication", "relay-role-login"} <= set(found(pgstream, "--dsn", dsn))

        connection.execute(f"alter role {role} login replication")
        assert not {"relay-role-replication", "relay-role-login"} & set(found(pgstream, "--dsn", dsn))
        assert "check-not-run" not in found(pgstream, "--dsn", postgres.dsn(database, user=role))
        connection.execute(f"drop owned by {role}")
        connection.execute(f"drop role {role}")


def test_a_stranger_is_told_which_checks_did_not_run(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    role = f"stranger_{database}"
    with postgres.connect(database) as connection:
        connection.execute(f"create role {role} login")
        before = found(pgstream, "--dsn", postgres.dsn(database, user=role))
        pgstream("install", "--dsn", dsn)
        after = found(pgstream, "--dsn", postgres.dsn(database, user=role))
        connection.execute(f"drop role {role}")

    assert before["rights-schema"]["severity"] == "error"
    assert {"rights-roles", "rights-replication"} <= set(before)
    assert "GRANT CREATE ON DATABASE" in before["rights-schema"]["hint"]
    assert after["check-not-run"]["severity"] == "warning"


def test_slots_and_senders_that_are_all_taken(pgstream: Pgstream, server: EmbeddedPostgres) -> None:
    with server.connect() as connection:
        connection.execute("select pg_create_physical_replication_slot('a'), pg_create_physical_replication_slot('b')")
        assert "slots-exhausted" in found(pgstream, "--dsn", server.dsn())
        refused = pgstream("install", "--dsn", server.dsn())
        assert refused.code == 1
        assert "max_replication_slots" in refused.err
        connection.execute("select pg_drop_replication_slot('a')")

        assert "slots-exhausted" not in found(pgstream, "--dsn", server.dsn())
        assert pgstream("install", "--dsn", server.dsn()).code == 0


def test_settings_that_threaten_the_slot(pgstream: Pgstream, server: EmbeddedPostgres) -> None:
    with server.connect() as connection:
        connection.execute("alter system set idle_replication_slot_timeout = '1d'")
        connection.execute("select pg_reload_conf()")
        # The reload reaches a backend between two statements.
        while connection.execute("show idle_replication_slot_timeout").fetchone() == ("0",):
            pass

        assert "slot-idle-timeout" in found(pgstream, "--dsn", server.dsn())


def test_a_forgotten_prepared_transaction(pgstream: Pgstream, server: EmbeddedPostgres) -> None:
    query = next(file for file in check_files() if file.path.endswith("transactions_prepared.sql"))
    with server.connect() as connection:
        connection.execute("begin")
        connection.execute("create table held (id int)")
        connection.execute("prepare transaction 'forgotten'")
        soon = query.text.replace("interval '5 minutes'", "interval '0'")

        rows = connection.execute(soon.encode()).fetchall()

        assert rows[0][0] == "transaction-prepared"
        assert "ROLLBACK PREPARED 'forgotten'" in rows[0][3]
        connection.execute("rollback prepared 'forgotten'")


def test_a_writer_that_does_not_end(pgstream: Pgstream, server: EmbeddedPostgres) -> None:
    query = next(file for file in check_files() if file.path.endswith("transactions_long.sql"))
    with server.connect() as writer, server.connect() as connection:
        writer.execute("begin")
        writer.execute("create table held (id int)")

        rows = connection.execute(query.text.replace("interval '5 minutes'", "interval '0'").encode()).fetchall()

    assert [row[0] for row in rows] == ["transaction-long"]


def test_nats_is_not_looked_at_unless_it_is_named(pgstream: Pgstream, dsn: str) -> None:
    assert found(pgstream, "--dsn", dsn)["nats-not-checked"]["severity"] == "info"
    assert pgstream("check").code == 2


def test_nats_that_is_away(pgstream: Pgstream, dsn: str) -> None:
    ran = pgstream("check", "--json", "--dsn", dsn, "--nats", f"nats://127.0.0.1:{free_port()}")

    assert ran.code == 69
    assert "nats-unreachable" in findings(ran)


def test_nats_that_refuses_us(pgstream: Pgstream) -> None:
    with EmbeddedNats(config='authorization { user: "relay", password: "right" }') as server:
        ran = pgstream("check", "--json", "--nats", server.url.replace("//", "//relay:wrong-secret@"))
        right = pgstream("check", "--json", "--nats", server.url.replace("//", "//relay:right@"))

    assert ran.code == 77
    assert "nats-refused" in findings(ran)
    assert "wrong-secret" not in ran.out + ran.err
    assert right.code == 0


def test_nats_without_jetstream(pgstream: Pgstream) -> None:
    with EmbeddedNats(jetstream=False) as server:
        ran = pgstream("check", "--json", "--nats", server.url)

    assert ran.code == 1
    assert findings(ran)["jetstream-disabled"]["severity"] == "error"


def test_nats_with_a_small_max_payload(pgstream: Pgstream) -> None:
    with EmbeddedNats(config="max_payload: 65536") as server:
        assert "nats-max-payload" in found(pgstream, "--nats", server.url)


def test_missing_rights_in_nats(pgstream: Pgstream, dsn: str) -> None:
    allowed = '["shop.>", "$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$SYS.REQ.USER.INFO"]'
    users = f'[{{ user: "r", password: "p", permissions: {{ publish: {allowed}, subscribe: ["_INBOX.>"] }} }}]'
    pgstream("install", "--dsn", dsn)
    with EmbeddedNats(config=f"authorization {{ users: {users} }}") as server:
        ran = pgstream("check", "--json", "--dsn", dsn, "--nats", server.url.replace("//", "//r:p@"))

    missing = [finding["what"] for finding in json.loads(ran.out)["findings"] if finding["id"] == "nats-permission"]
    assert ran.code == 1
    assert any("$JS.API.STREAM.CREATE" in what for what in missing)
    assert not any("$JS.API.STREAM.INFO" in what for what in missing)


async def add_stream(nats: EmbeddedNats, config: dict[str, Any]) -> None:
    client = await nats_client.connect(nats.url)
    answer = await client.request(f"$JS.API.STREAM.CREATE.{config['name']}", json.dumps(config).encode())
    await client.close()
    assert "error" not in json.loads(answer.data), answer.data


@pytest.fixture
def stream(postgres: EmbeddedPostgres, database: str, dsn: str, pgstream: Pgstream) -> str:
    """The name of the stream of a fresh installation with one table."""
    pgstream("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        connection.execute("create table orders (id int primary key)")
        connection.execute("insert into pgstream.tables (table_name) values ('orders')")
        row = connection.execute("select stream from pgstream.table_status").fetchone()
    assert row is not None
    return str(row[0])


def test_a_stream_that_is_not_there_yet(pgstream: Pgstream, dsn: str, nats: EmbeddedNats, stream: str) -> None:
    assert found(pgstream, "--dsn", dsn, "--nats", nats.url)["stream-absent"]["severity"] == "info"


async def test_our_own_stream_on_one_machine_is_warned_about_alone(
    postgres: EmbeddedPostgres, database: str, dsn: str, nats: EmbeddedNats, stream: str, pgstream: Pgstream
) -> None:
    with postgres.connect(database) as connection:
        row = connection.execute("select source from pgstream.relay_state").fetchone()
    assert row is not None
    await add_stream(
        nats, {"name": stream, "subjects": [f"{database}.>"], "metadata": {"pgstream_source": f"{row[0]}"}}
    )

    seen = await in_thread(pgstream, "check", "--json", "--dsn", dsn, "--nats", nats.url)

    streams = {identity: one["severity"] for identity, one in findings(seen).items() if identity.startswith("stream")}
    assert streams == {"stream-power-loss": "warning"}


async def test_a_stream_that_is_somebody_elses(
    pgstream: Pgstream, database: str, dsn: str, nats: EmbeddedNats, stream: str
) -> None:
    await add_stream(
        nats,
        {
            "name": stream,
            "subjects": [f"{database}.>"],
            "retention": "workqueue",
            "storage": "memory",
            "metadata": {"pgstream_source": "1/2"},
        },
    )

    seen = findings(await in_thread(pgstream, "check", "--json", "--dsn", dsn, "--nats", nats.url))

    assert {"stream-foreign", "stream-retention", "stream-memory"} <= set(seen)


async def test_a_stream_that_pgstream_does_not_keep(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str, nats: EmbeddedNats, stream: str
) -> None:
    with postgres.connect(database) as connection:
        connection.execute("delete from pgstream.streams")
    absent = findings(await in_thread(pgstream, "check", "--json", "--dsn", dsn, "--nats", nats.url))
    await add_stream(nats, {"name": stream, "subjects": [f"{database}.elsewhere"]})
    narrow = findings(await in_thread(pgstream, "check", "--json", "--dsn", dsn, "--nats", nats.url))

    assert absent["stream-absent"]["severity"] == "error"
    assert "public.orders" in narrow["stream-subjects"]["what"]


async def in_thread(pgstream: Pgstream, *arguments: str) -> Ran:
    """The command has an event loop of its own, so it can't run on the test's thread."""
    return await asyncio.to_thread(pgstream, *arguments)
