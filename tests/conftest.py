"""Real servers for the tests: one Postgres and one nats-server a test process, one database a test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres

# A loaded machine makes a slow example, not a wrong one.
settings.register_profile("pgstream", deadline=None)
settings.load_profile("pgstream")


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """PostgreSQL 18 with wal_level=logical, shared by the tests of one process."""
    with EmbeddedPostgres(settings={"max_wal_size": "2GB"}) as server:
        yield server


@pytest.fixture(scope="session")
def nats() -> Iterator[EmbeddedNats]:
    """nats-server with JetStream, shared by the tests of one process: give streams names of your own."""
    with EmbeddedNats() as server:
        yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of an empty database, dropped afterwards with its replication slots."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    with postgres.connect() as connection:
        connection.execute(f'create database "{name}"')
    yield name
    with postgres.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(active_pid, 5000) from pg_replication_slots"
            " where database = %s and active_pid is not null",
            [name],
        )
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", [name]
        )
        connection.execute(f'drop database "{name}" with (force)')
