"""Throw-away servers on 127.0.0.1 for the demo, the tests and the benchmark: real Postgres, real nats-server."""

from pgstream_installer.embedded.nats import EmbeddedNats, nats_server_binary
from pgstream_installer.embedded.postgres import EmbeddedPostgres, postgres_bin_directory
from pgstream_installer.embedded.process import EmbeddedServerError, free_port

__all__ = [
    "EmbeddedNats",
    "EmbeddedPostgres",
    "EmbeddedServerError",
    "free_port",
    "nats_server_binary",
    "postgres_bin_directory",
]
