"""A database with a relay, as most of these tests need it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.streamed import StreamedDatabase, streamed_database


@pytest.fixture
def streamed(postgres: EmbeddedPostgres, nats: EmbeddedNats) -> Iterator[StreamedDatabase]:
    with streamed_database(postgres, nats) as database:
        yield database
