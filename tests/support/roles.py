"""Roles of one test: whoever makes them has them dropped with what they own and were granted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pgstream_installer.embedded import EmbeddedPostgres


@contextmanager
def dropped_grants(postgres: EmbeddedPostgres, database: str, roles: Iterable[str]) -> Iterator[None]:
    """After the block the roles own nothing in the database, and have no right on it."""
    yield
    with postgres.connect(database) as admin:
        for role in roles:
            admin.execute(f'drop owned by "{role}" cascade')
    with postgres.connect() as admin:
        for role in roles:
            admin.execute(f'revoke all on database "{database}" from "{role}"')
