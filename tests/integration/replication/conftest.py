"""A database with a table `item`, a publication and a slot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from pgstream_relay.runtime.replication import ReplicationSession
from tests.support.slot import Connection, create_publication, create_slot

PUBLICATION = 'Über "the" publisher\'s'
"""With everything that has to be quoted, in both of the grammars that it goes through."""


@dataclass
class Source:
    """`slot` is named like the database, as slots belong to the whole server."""

    postgres: EmbeddedPostgres
    database: str
    connection: Connection
    publication: str = PUBLICATION

    @property
    def slot(self) -> str:
        return self.database

    @property
    def dsn(self) -> str:
        return self.postgres.dsn(self.database)

    def set_up(self) -> None:
        self.connection.execute("create table item (id integer primary key, note text)")
        create_publication(self.connection, self.publication, "item")
        create_slot(self.connection, self.slot)

    def insert(self, *ids: int) -> None:
        """Each in a transaction of its own."""
        for id_ in ids:
            self.connection.execute("insert into item values (%s)", [id_])

    @asynccontextmanager
    async def session(self, start_lsn: int = 0, *, user: str = "postgres") -> AsyncIterator[ReplicationSession]:
        dsn = self.postgres.dsn(self.database, user=user)
        session = await ReplicationSession.start(dsn, self.slot, self.publication, start_lsn)
        try:
            yield session
        finally:
            await session.close()


@pytest.fixture
def source(postgres: EmbeddedPostgres, database: str) -> Iterator[Source]:
    with postgres.connect(database) as connection:
        source = Source(postgres, database, connection)
        source.set_up()
        yield source


@pytest.fixture
def own_source() -> Iterator[Source]:
    """On a server of its own, that the test may stop; with WAL limits small enough to lose a slot."""
    with EmbeddedPostgres(settings={"max_slot_wal_keep_size": "1MB"}) as server, server.connect() as connection:
        source = Source(server, "postgres", connection)
        source.set_up()
        yield source
