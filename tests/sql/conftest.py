"""A database with the control schema in it, and roles to act under."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from pgstream_installer.embedded import EmbeddedPostgres
from tests.sql.control_schema import Connection, install

CreateRole = Callable[..., str]
Connect = Callable[..., Connection]


@pytest.fixture
def connect(postgres: EmbeddedPostgres, database: str) -> Iterator[Connect]:
    """Opens connections to the test's database, as superuser or as `user`; closes them afterwards."""
    opened: list[Connection] = []

    def open_connection(user: str = "postgres", dbname: str = database) -> Connection:
        opened.append(postgres.connect(dbname, user=user))
        return opened[-1]

    yield open_connection
    for connection in opened:
        connection.close()


@pytest.fixture
def admin(connect: Connect) -> Connection:
    """A superuser in an empty database."""
    return connect()


@pytest.fixture
def control(admin: Connection) -> Connection:
    """A superuser in a database with the control schema."""
    install(admin)
    return admin


@pytest.fixture(scope="module")
def shared_control(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    """As `control`, one for all tests of a module: for those that leave it as it was."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    with postgres.connect() as connection:
        connection.execute(f'create database "{name}"'.encode())
    with postgres.connect(name) as connection:
        install(connection)
        yield connection
    with postgres.connect() as connection:
        connection.execute(f'drop database "{name}" with (force)'.encode())


@pytest.fixture
def create_role(postgres: EmbeddedPostgres, database: str) -> Iterator[CreateRole]:
    """Creates a login role named after the database; takes its attributes, dropped with all it owns afterwards."""
    created: list[str] = []

    def create(name: str, attributes: str = "") -> str:
        role = f"{name}_{database}"
        with postgres.connect() as connection:
            connection.execute(f'create role "{role}" login {attributes}'.encode())
        created.append(role)
        return role

    yield create
    with postgres.connect(database) as connection:
        owned = sql.SQL(", ").join(map(sql.Identifier, created))
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = any(%s)", [created]
        )
        with_owner = [name for name in (*created, f"dba_{database}") if _exists(connection, name)]
        if with_owner:
            owned = sql.SQL(", ").join(map(sql.Identifier, with_owner))
            connection.execute(sql.SQL("reassign owned by {} to postgres").format(owned))
            connection.execute(sql.SQL("drop owned by {} cascade").format(owned))
            connection.execute(sql.SQL("drop role {}").format(owned))


def _exists(connection: psycopg.Connection[tuple[object, ...]], role: str) -> bool:
    return connection.execute("select from pg_roles where rolname = %s", [role]).fetchone() is not None
