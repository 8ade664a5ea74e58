"""A cluster's databases with pgstream come and go by themselves."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from pgstream_relay.runtime.discovery import discover_databases
from pgstream_relay.runtime.health import DatabaseHealth, Health
from pgstream_relay.runtime.keeper import Worker
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.runtime.supervisor import Supervisor
from pgstream_relay.settings import ClusterSettings, DatabaseSettings, NatsSettings, RelaySettings
from tests.support.waiting import eventually


def install(postgres: EmbeddedPostgres, database: str) -> None:
    """As much of an installation as discovery looks at, and nobody may use it."""
    with postgres.connect(database) as connection:
        connection.execute("create schema pgstream; create table pgstream.settings ()")


def uninstall(postgres: EmbeddedPostgres, database: str) -> None:
    with postgres.connect(database) as connection:
        connection.execute("drop schema pgstream cascade")


def is_for(dsn: str, database: str) -> bool:
    return f"dbname={database}" in dsn or f"/{database}" in dsn


async def test_only_databases_with_pgstream_are_found(postgres: EmbeddedPostgres, database: str) -> None:
    before = await discover_databases(postgres.dsn("postgres"))
    assert not any(is_for(dsn, database) for dsn in before.installed)
    install(postgres, database)
    after = await discover_databases(postgres.dsn("postgres"))
    assert any(is_for(dsn, database) for dsn in after.installed)
    assert after.unknown == ()


async def test_a_role_without_rights_on_the_schema_still_finds_it(postgres: EmbeddedPostgres, database: str) -> None:
    install(postgres, database)
    with postgres.connect() as connection:
        connection.execute(f'create role "{database}" login')
    try:
        found = await discover_databases(psycopg.conninfo.make_conninfo(postgres.dsn("postgres"), user=database))
        assert any(is_for(dsn, database) for dsn in found.installed)
    finally:
        with postgres.connect() as connection:
            connection.execute(f'drop role "{database}"')


class Streams:
    def __init__(self, health: DatabaseHealth) -> None:
        self._health = health

    async def run(self, stop: asyncio.Event) -> None:
        self._health.set_state("streaming")
        await stop.wait()


def make_worker(
    dsn: str, nats: NatsSettings, health: DatabaseHealth, metrics: DatabaseMetrics, relay_id: str
) -> Worker:
    return Streams(health)


@pytest.mark.parametrize("named", [False, True])
async def test_databases_come_and_go(postgres: EmbeddedPostgres, database: str, named: bool) -> None:
    """One that is named in the configuration too is run once, and stays when it is no longer found."""
    settings = RelaySettings(
        databases=(DatabaseSettings(postgres.dsn(database)),) if named else (),
        clusters=(ClusterSettings(postgres.dsn("postgres")),),
    )
    health = Health("relay-1", "1.0")
    supervisor = Supervisor(settings, health, {}, make_worker, discovery_seconds=0.05)
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop, asyncio.Event()))
    (cluster,) = health.clusters.values()

    def names() -> list[str]:
        return [one.name for one in health.databases.values() if one.name == database and one.state == "streaming"]

    await eventually(lambda: cluster.found is not None)
    found_before = cluster.found or 0
    assert names() == [database] * named
    await asyncio.to_thread(install, postgres, database)
    await eventually(lambda: cluster.found == found_before + 1)
    await eventually(lambda: names() == [database])
    await asyncio.to_thread(uninstall, postgres, database)
    await eventually(lambda: cluster.found == found_before)
    await eventually(lambda: names() == [database] * named)
    stop.set()
    assert await running == 0


async def test_a_cluster_that_is_away_says_so_and_stops_nothing() -> None:
    settings = RelaySettings(
        databases=(DatabaseSettings("host=127.0.0.1 port=1 dbname=a"),),
        clusters=(ClusterSettings("host=127.0.0.1 port=1 dbname=postgres"),),
    )
    health = Health("relay-1", "1.0")
    supervisor = Supervisor(settings, health, {}, make_worker)
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop, asyncio.Event()))
    (cluster,) = health.clusters.values()
    await eventually(lambda: cluster.error is not None)
    await eventually(lambda: any(one.state == "streaming" for one in health.databases.values()))
    assert not health.is_ready()
    stop.set()
    assert await running == 0
