"""`pgstream-relay run` with what can't work: one clear message and the exit code, or patience where that helps."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres, free_port
from tests.support.relay import RelayProcess, run_command, wait_for_events
from tests.support.waiting import eventually

JSON_LOG = {"PGSTREAM_LOG_FORMAT": "json"}

pytestmark = pytest.mark.xdist_group("bad input")


def relay_of(dsn: str, nats_url: str) -> RelayProcess:
    return RelayProcess.of(dsn, nats_url, env=JSON_LOG)


def ends_with(dsn: str, nats_url: str, code: int, *words: str) -> str:
    """The relay says what is wrong, with these words, in one line, says how to mend it, and ends with this code."""
    with relay_of(dsn, nats_url) as relay:
        assert relay.wait() == code, relay.log
        said = {(line["error"], line["hint"]) for line in relay.lines if "error" in line}
        assert len(said) == 1, said
        ((error, hint),) = said
        for word in words:
            assert word in f"{error} {hint}"
        assert hint
        assert "\n" not in error
        assert "Traceback" not in relay.log
        return str(error)


@pytest.fixture
def strict(postgres: EmbeddedPostgres, database: str) -> Iterator[tuple[str, str]]:
    """A role whose password is asked for, and the DSN of the database with it, without the password."""
    role = f"relay_{uuid.uuid4().hex[:8]}"
    with postgres.connect(database) as connection:
        connection.execute(f"create role {role} login replication password 'right'")
        access = Path(postgres.data_directory, "pg_hba.conf")
        former = access.read_text()
        access.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{former}")
        connection.execute("select pg_reload_conf()")
        yield role, postgres.dsn(database, user=role)
        access.write_text(former)
        connection.execute("select pg_reload_conf()")
        connection.execute(f"drop owned by {role} cascade")
        connection.execute(f"drop role {role}")


def test_a_wrong_password_is_a_matter_of_rights(
    strict: tuple[str, str], postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    role, dsn = strict
    run_command("install", "--dsn", postgres.dsn(database), "--relay-role", role)
    ends_with(f"{dsn} password=wr0ng", nats.url, 77, "password authentication failed", role)
    ends_with(dsn, nats.url, 77, "no password supplied")


async def test_a_right_password_streams(
    strict: tuple[str, str], postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    role, dsn = strict
    run_command("install", "--dsn", postgres.dsn(database), "--relay-role", role)
    with postgres.connect(database) as connection, relay_of(f"{dsn} password=right", nats.url) as relay:
        connection.execute("create table t (id int primary key)")
        connection.execute("insert into pgstream.tables (table_name) values ('t')")
        connection.execute("insert into t values (1)")
        await wait_for_events(nats.url, f"PGSTREAM_{database}", 1)
        assert await asyncio.to_thread(relay.stop) == 0
        assert "right" not in relay.log.replace("rights", "")


def test_a_role_without_replication(
    strict: tuple[str, str], postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    role, dsn = strict
    run_command("install", "--dsn", postgres.dsn(database), "--relay-role", role)
    with postgres.connect(database) as connection:
        connection.execute(f"alter role {role} noreplication")
    ends_with(f"{dsn} password=right", nats.url, 77, "REPLICATION")


def test_a_role_that_the_installer_does_not_know(
    strict: tuple[str, str], postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    run_command("install", "--dsn", postgres.dsn(database))
    ends_with(f"{strict[1]} password=right", nats.url, 77, "permission denied", "--relay-role")


def test_a_database_without_pgstream(postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str) -> None:
    ends_with(postgres.dsn(database), nats.url, 78, "not installed", "pgstream install")


def test_a_database_without_a_slot(postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str) -> None:
    run_command("install", "--dsn", postgres.dsn(database), "--no-slot")
    ends_with(postgres.dsn(database), nats.url, 78, "slot", "pgstream install")


def test_a_database_that_is_not_there(postgres: EmbeddedPostgres, nats: EmbeddedNats) -> None:
    ends_with(postgres.dsn("nowhere"), nats.url, 78, "nowhere")


async def test_a_server_without_logical_wal(nats: EmbeddedNats) -> None:
    with EmbeddedPostgres(settings={"wal_level": "replica"}) as server:
        run_command("install", "--dsn", server.dsn(), "--no-slot")
        ends_with(server.dsn(), nats.url, 78, "slot", "pgstream install")
        refused = run_command("install", "--dsn", server.dsn(), check=False)
        assert refused.returncode == 78
        assert "wal_level" in refused.stderr


async def test_servers_that_are_away_are_waited_for() -> None:
    nats_port = free_port()
    with EmbeddedPostgres() as server:
        run_command("install", "--dsn", server.dsn())
        server.stop()
        with relay_of(server.dsn(), f"nats://127.0.0.1:{nats_port}") as relay:

            def waits_for(port: int) -> bool:
                return any(f"127.0.0.1:{port}" in line["error"] and line["hint"] for line in stalls(relay))

            await eventually(lambda: waits_for(server.port), otherwise=lambda: relay.log)
            await asyncio.to_thread(server.start)
            await eventually(lambda: waits_for(nats_port), otherwise=lambda: relay.log)
            with EmbeddedNats(port=nats_port):
                await asyncio.to_thread(relay.wait_for, "database is streaming")
                assert await asyncio.to_thread(relay.stop) == 0


def stalls(relay: RelayProcess) -> list[dict[str, Any]]:
    return [line for line in relay.lines if line["event"] == "database is stalled"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[nats\n", "not TOML"),
        ("[[databases]]\ndns = 'x'\n", "did you mean dsn?"),
        ("[[databases]]\ndsn = 'host=a port=b=c dbname'\n", "databases[0]: not a Postgres conn"),
        ("[nats]\nservers = 'http://a'\n[[databases]]\ndsn = 'dbname=a'\n", "http"),
    ],
)
def test_a_configuration_that_is_malformed(tmp_path: Path, content: str, words: str) -> None:
    config = tmp_path / "pgstream.toml"
    config.write_text(content)
    with RelayProcess("--config", str(config)) as relay:
        assert relay.wait() == 78
        assert words in relay.log
        assert relay.log.startswith("error: ")
        assert relay.log.count("error: ") == 1
        assert "Traceback" not in relay.log


def test_credentials_that_nats_refuses(postgres: EmbeddedPostgres, database: str) -> None:
    run_command("install", "--dsn", postgres.dsn(database))
    with EmbeddedNats(config="authorization { users: [{ user: relay, password: right }] }") as server:
        url = server.url.replace("//", "//relay:wr0ng@")
        error = ends_with(postgres.dsn(database), url, 77, "credentials")
        assert "wr0ng" not in error
