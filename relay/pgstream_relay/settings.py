"""What the relay was told to do: plain values, complete and checked. `configuration/` makes them from its sources.

Every part of the relay may import these; none of them reads a file or the environment. Passwords and whole DSNs are
kept out of every repr, so that no log line can hold one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

DEFAULT_NATS_URL = "nats://127.0.0.1:4222"
DEFAULT_HTTP_HOST = "127.0.0.1"
DEFAULT_HTTP_PORT = 7780


@dataclass(frozen=True, slots=True)
class NatsSettings:
    """One NATS connection: where, as whom, and how it is secured.

    `servers` are URLs (`nats://host:4222`, `tls://host:4222`, a user and password may stand in them), at least one.
    At most one identity is set: `credentials` (path of a .creds file), `nkey_seed` (path of a seed file), `user` with
    `password`, or `token`. The TLS paths are of PEM files; `tls_cert` and `tls_key` come together. All paths are
    absolute and were readable when the configuration was read. `inbox_prefix` has no trailing dot;
    `jetstream_domain` None is the account's own JetStream.
    """

    servers: tuple[str, ...] = field(default=(DEFAULT_NATS_URL,), repr=False)
    credentials: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    nkey_seed: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    inbox_prefix: str = "_INBOX"
    jetstream_domain: str | None = None


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """One database to stream. `dsn` is a libpq connection string or URI; empty means libpq's own variables."""

    dsn: str = field(repr=False)
    nats: NatsSettings = field(default_factory=NatsSettings)


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """A cluster whose databases are found by themselves. `dsn` leads to any one database of it."""

    dsn: str = field(repr=False)
    nats: NatsSettings = field(default_factory=NatsSettings)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where health and metrics are served. `port` 0 takes a free one; `enabled` false serves nothing.

    `explicit`: somebody asked for this address, so that failing to get it is an error and not a warning.
    """

    host: str = DEFAULT_HTTP_HOST
    port: int = DEFAULT_HTTP_PORT
    enabled: bool = True
    explicit: bool = False
    table_metrics: bool = True


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the log is written, on standard error."""

    format: LogFormat = "text"
    level: LogLevel = "info"


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """All of it. `config_file` is where it came from, None without one."""

    databases: tuple[DatabaseSettings, ...]
    clusters: tuple[ClusterSettings, ...] = ()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    config_file: Path | None = None
