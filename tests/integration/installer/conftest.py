"""The command `pgstream`, run in this process, and servers with settings of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from pgstream_installer.cli import run
from pgstream_installer.embedded import EmbeddedPostgres


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


Pgstream = Callable[..., Ran]


@pytest.fixture
def pgstream(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Pgstream:
    """Runs one command line; the environment names neither database nor NATS."""
    import os

    for name in list(os.environ):
        if name.startswith(("PG", "PGSTREAM_")):
            monkeypatch.delenv(name)

    def call(*arguments: str) -> Ran:
        capfd.readouterr()
        code = run(arguments)
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def dsn(postgres: EmbeddedPostgres, database: str) -> str:
    """The DSN of a fresh database, as a superuser."""
    return postgres.dsn(database)


@pytest.fixture(scope="module")
def tuned() -> Iterator[EmbeddedPostgres]:
    """A server of this module's own, whose settings and roles a test may change."""
    with EmbeddedPostgres() as server:
        yield server
