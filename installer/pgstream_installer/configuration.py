"""Which databases and which NATS: flag over environment over file (the relay's own TOML) over libpq's variables."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pgstream_installer.errors import CommandLineError, ConfigurationError

DEFAULT_NATS_SERVER = "nats://127.0.0.1:4222"
LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")


@dataclass(frozen=True)
class NatsOptions:
    """The table [nats] of the configuration file; paths are those of files."""

    servers: tuple[str, ...] = field(default=(), repr=False)
    credentials: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    nkey_seed: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    inbox_prefix: str | None = None
    jetstream_domain: str | None = None


NATS_PATHS = ("credentials", "nkey_seed", "tls_ca", "tls_cert", "tls_key")
NATS_KEYS = tuple(one.name for one in fields(NatsOptions))


@dataclass(frozen=True)
class Database:
    """One database to work on, and the NATS that its relay publishes to (None: nobody named one)."""

    dsn: str = field(repr=False)
    nats: NatsOptions | None = None


@dataclass(frozen=True)
class Configuration:
    """`databases` in the order given; `clusters` are only looked at by commands that read."""

    databases: tuple[Database, ...] = ()
    clusters: tuple[Database, ...] = ()
    nats: NatsOptions | None = None


def load_configuration(
    environment: Mapping[str, str],
    *,
    config: str | None = None,
    dsn: Sequence[str] = (),
    nats: str | None = None,
) -> Configuration:
    """Reads flags, environment and file; raises ConfigurationError with the place of the mistake."""
    path = config or variable(environment, "PGSTREAM_CONFIG")
    loaded = read_configuration_file(Path(path)) if path else Configuration()
    servers = nats or variable(environment, "PGSTREAM_NATS_URL")
    if servers:
        loaded = _with_servers(loaded, tuple(part.strip() for part in servers.split(",") if part.strip()))
    given = tuple(dsn) or _lines(variable(environment, "PGSTREAM_DSN"))
    if given:
        known = {database.dsn: database.nats for database in loaded.databases}
        databases = tuple(Database(one, known.get(one, loaded.nats)) for one in dict.fromkeys(given))
        return replace(loaded, databases=databases, clusters=())
    if not loaded.databases and not loaded.clusters and any(environment.get(name) for name in LIBPQ_VARIABLES):
        return replace(loaded, databases=(Database("", loaded.nats),))
    return loaded


def require_databases(configuration: Configuration) -> tuple[Database, ...]:
    """The databases to write to; CommandLineError where none was named."""
    if configuration.databases:
        return configuration.databases
    if configuration.clusters:
        raise CommandLineError(
            "the configuration file names clusters only, and this command works on databases that you name",
            hint="give --dsn, once for each database",
        )
    raise CommandLineError(
        "no database was named",
        hint="give --dsn, or set PGSTREAM_DSN, or --config FILE with [[databases]], or set PGHOST, PGDATABASE …",
    )


def variable(environment: Mapping[str, str], name: str) -> str | None:
    """The value of an environment variable, or of the file that its twin `…_FILE` names; None where neither is set."""
    value, path = environment.get(name), environment.get(f"{name}_FILE")
    if value and path:
        raise ConfigurationError(f"{name} and {name}_FILE are both set", hint="unset one of them")
    if not path:
        return value or None
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{name}_FILE names a file that can't be read: {path}",
            why=_reason(error),
            hint="mend the path or its rights",
        ) from None


def read_configuration_file(path: Path) -> Configuration:
    """Parses the relay's TOML; only [nats], [[databases]] and [[clusters]] matter here, the rest is the relay's."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"the configuration file {path} can't be read", why=_reason(error)) from None
    shared = _nats(path, "[nats]", document["nats"], NatsOptions()) if "nats" in document else None
    return Configuration(
        databases=tuple(
            _database(path, "[[databases]]", entry, shared) for entry in _tables(path, document, "databases")
        ),
        clusters=tuple(_database(path, "[[clusters]]", entry, shared) for entry in _tables(path, document, "clusters")),
        nats=shared,
    )


def _database(path: Path, place: str, entry: dict[str, Any], shared: NatsOptions | None) -> Database:
    dsn = entry.get("dsn")
    if not isinstance(dsn, str):
        raise ConfigurationError(f"{path}: {place} has no dsn", hint='write dsn = "postgresql://role@host/database"')
    own = entry.get("nats")
    return Database(dsn, shared if own is None else _nats(path, f"{place} nats", own, shared or NatsOptions()))


def _nats(path: Path, place: str, table: Any, inherited: NatsOptions) -> NatsOptions:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: {place} is not a table")
    unknown = sorted(set(table) - set(NATS_KEYS))
    if unknown:
        raise ConfigurationError(
            f"{path}: {place} has unknown keys: {', '.join(unknown)}", hint=f"known: {', '.join(NATS_KEYS)}"
        )
    values: dict[str, Any] = dict(table)
    if "servers" in values:
        servers = [values["servers"]] if isinstance(values["servers"], str) else values["servers"]
        if not isinstance(servers, list) or not all(isinstance(server, str) for server in servers):
            raise ConfigurationError(f"{path}: {place} servers is not a list of texts")
        values["servers"] = tuple(servers)
    for key in set(values) - {"servers"}:
        if not isinstance(values[key], str):
            raise ConfigurationError(f"{path}: {place} {key} is not a text")
    for key in NATS_PATHS:
        if key in values:
            values[key] = str(path.parent / values[key])
    return replace(inherited, **values)


def _tables(path: Path, document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = document.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigurationError(
            f"{path}: {name} is not a list of tables", hint=f"write [[{name}]], in double brackets"
        )
    return entries


def _with_servers(loaded: Configuration, servers: tuple[str, ...]) -> Configuration:
    """A flag or variable names the servers; accounts and certificates still come from the file."""
    return Configuration(
        databases=tuple(
            replace(one, nats=replace(one.nats or NatsOptions(), servers=servers)) for one in loaded.databases
        ),
        clusters=tuple(
            replace(one, nats=replace(one.nats or NatsOptions(), servers=servers)) for one in loaded.clusters
        ),
        nats=replace(loaded.nats or NatsOptions(), servers=servers),
    )


def _lines(value: str | None) -> tuple[str, ...]:
    return tuple(line.strip() for line in (value or "").splitlines() if line.strip())


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
