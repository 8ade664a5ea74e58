"""A database in which what is written can be held against `to_jsonb`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from tests.integration.values.differential import Differential, open_differential


@pytest.fixture
def differential(postgres: EmbeddedPostgres, database: str) -> Iterator[Differential]:
    with open_differential(postgres, database) as opened:
        yield opened
