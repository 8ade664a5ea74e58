"""The main job with every supported major of Postgres, and with every supported nats-server."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.nats_versions import VERSIONS, nats_server
from tests.support.postgres_versions import MAJORS, postgres_major
from tests.support.relay import run_command, running_relay, wait_for_events


async def run_main_job(bin_directory: Path, nats_binary: Path) -> None:
    with EmbeddedPostgres(bin_directory=bin_directory) as postgres, EmbeddedNats(binary=nats_binary) as nats:
        with postgres.connect() as connection:
            connection.execute("create database shop")
        run_command("check", "--dsn", postgres.dsn("shop"), "--nats", nats.url)
        run_command("install", "--dsn", postgres.dsn("shop"))
        with running_relay(postgres.dsn("shop"), nats.url), postgres.connect("shop") as connection:
            connection.execute("create table t (id int primary key, note text, numbers int[], total numeric)")
            connection.execute("insert into pgstream.tables (table_name) values ('t')")
            connection.execute("insert into t select i, 'é', array[[i, null]], 1.50 from generate_series(1, 700) i")
            connection.execute("update t set note = 'x' where id = 1")
            connection.execute("delete from t where id = 1")
            connection.execute("update pgstream.tables set mode = 'ephemeral'")
            connection.execute("insert into t values (0)")
            connection.execute("update pgstream.tables set mode = 'persistent'")
            connection.execute("truncate t")
            events = await wait_for_events(nats.url, "PGSTREAM_shop", 703)
        assert [event.data["after"]["id"] for event in events[:700]] == list(range(1, 701))
        assert b'"after":{"id":1,"note":"\xc3\xa9","numbers":[[1,null]],"total":1.50}' in events[0].payload
        assert [event.operation for event in events[700:]] == ["update", "delete", "truncate"]
        assert events[700].data["diff"] == {"note": "x"}
        run_command("uninstall", "--dsn", postgres.dsn("shop"), "--yes")


@pytest.mark.parametrize("major", MAJORS)
async def test_every_major_of_postgres(major: int) -> None:
    await run_main_job(postgres_major(major), nats_server(VERSIONS[-1]))


@pytest.mark.parametrize("version", VERSIONS[:-1])
async def test_every_nats_server(version: str) -> None:
    await run_main_job(postgres_major(MAJORS[-1]), nats_server(version))
