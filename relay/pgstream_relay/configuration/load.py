"""Flag over environment over file over default, key by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from pgstream_relay.configuration.environment import Given, read_variable
from pgstream_relay.configuration.file import (
    ConfigurationFile,
    HttpTable,
    LogTable,
    ServerTable,
    read_configuration_file,
)
from pgstream_relay.configuration.nats import check_nats, nats_settings, parse_servers
from pgstream_relay.errors import ConfigurationError
from pgstream_relay.settings import (
    ClusterSettings,
    DatabaseSettings,
    HttpSettings,
    LogFormat,
    LogLevel,
    LogSettings,
    NatsSettings,
    RelaySettings,
)


@dataclass(frozen=True, slots=True)
class Flags:
    """What stood on the command line; None and empty: not given."""

    config: str | None = None
    dsn: tuple[str, ...] = ()
    nats: str | None = None
    http: str | None = None
    log_format: str | None = None
    log_level: str | None = None


def load_settings(flags: Flags, environment: Mapping[str, str]) -> RelaySettings:
    """Reads all sources anew. Raises ConfigurationError for the first thing that is wrong."""
    path, file = _configuration_file(flags.config, environment)
    nats = nats_settings(file.nats, NatsSettings(), where=f"{path}: nats", directory=_directory(path))
    databases = tuple(
        (table.dsn, place, _override(table, nats, place, path)) for table, place in _entries(path, "databases", file)
    )
    clusters = tuple(
        (table.dsn, place, _override(table, nats, place, path)) for table, place in _entries(path, "clusters", file)
    )
    given = _given_dsns(flags.dsn, environment)
    if given:
        known = {dsn: own for dsn, _, own in databases}
        databases, clusters = tuple((dsn, where, known.get(dsn, nats)) for dsn, where in given), ()
    if not databases and not clusters:
        databases = (("", "the environment's PGHOST, PGSERVICE, …", nats),)
    servers = _first(flags.nats, "--nats", environment, "PGSTREAM_NATS_URL")
    _check_targets((dsn, where) for dsn, where, _ in databases)
    _check_targets((dsn, where) for dsn, where, _ in clusters)
    return RelaySettings(
        databases=tuple(DatabaseSettings(dsn, _with_servers(own, servers)) for dsn, _, own in databases),
        clusters=tuple(ClusterSettings(dsn, _with_servers(own, servers)) for dsn, _, own in clusters),
        http=_http_settings(flags.http, environment, file.http, path),
        log=_log_settings(flags, environment, file.log, path),
        config_file=path,
    )


def load_http_settings(flags: Flags, environment: Mapping[str, str]) -> HttpSettings:
    """Only where health is served, for a probe that must be quick. Raises ConfigurationError."""
    path, file = _configuration_file(flags.config, environment)
    return _http_settings(flags.http, environment, file.http, path)


def _configuration_file(flag: str | None, environment: Mapping[str, str]) -> tuple[Path | None, ConfigurationFile]:
    given = _first(flag, "--config", environment, "PGSTREAM_CONFIG")
    if given is None:
        return None, ConfigurationFile()
    if "\n" in given.text:
        raise ConfigurationError(
            f"{given.where}: holds more than a path",
            hint="PGSTREAM_CONFIG_FILE names a file that holds the path; name the configuration by PGSTREAM_CONFIG",
        )
    path = Path(given.text).expanduser().absolute()
    return path, read_configuration_file(path)


def _directory(path: Path | None) -> Path:
    return path.parent if path is not None else Path()


def _entries(path: Path | None, name: str, file: ConfigurationFile) -> Iterable[tuple[ServerTable, str]]:
    tables: tuple[ServerTable, ...] = getattr(file, name)
    return ((table, f"{path}: {name}[{index}]") for index, table in enumerate(tables))


def _override(table: ServerTable, nats: NatsSettings, where: str, path: Path | None) -> NatsSettings:
    if table.nats is None:
        return nats
    return nats_settings(table.nats, nats, where=f"{where}.nats", directory=_directory(path))


def _given_dsns(flag: tuple[str, ...], environment: Mapping[str, str]) -> tuple[Given, ...]:
    """Those of the command line, else those of the environment; one given twice counts once."""
    if flag:
        return tuple(Given(dsn, "--dsn") for dsn in dict.fromkeys(flag))
    given = read_variable(environment, "PGSTREAM_DSN")
    if given is None:
        return ()
    lines = (line.strip() for line in given.text.splitlines())
    return tuple(Given(line, given.where) for line in dict.fromkeys(lines) if line)


def _check_targets(entries: Iterable[tuple[str, str]]) -> None:
    # Imported here: `healthcheck` needs no Postgres client and should answer at once.
    from pgstream_relay.dsn import parse_target

    seen: dict[str, str] = {}
    for dsn, where in entries:
        target = str(parse_target(dsn, where))
        if target in seen:
            raise ConfigurationError(
                f"{where}: {target} is named twice (also by {seen[target]}), and is read once",
                hint="take one of them out",
            )
        seen[target] = where


def _with_servers(nats: NatsSettings, given: Given | None) -> NatsSettings:
    """A flag or variable names the servers of every database; accounts and certificates stay the file's."""
    if given is None:
        return nats
    nats = replace(nats, servers=parse_servers([given.text], given.where))
    check_nats(nats, given.where)
    return nats


def _first(flag: str | None, name: str, environment: Mapping[str, str], variable: str) -> Given | None:
    return Given(flag, name) if flag else read_variable(environment, variable)


def _http_settings(
    flag: str | None, environment: Mapping[str, str], table: HttpTable, path: Path | None
) -> HttpSettings:
    given = _first(flag, "--http", environment, "PGSTREAM_HTTP")
    if given is None and table.listen is not None:
        given = Given(table.listen, f"{path}: http.listen")
    if given is None:
        return HttpSettings(table_metrics=table.table_metrics)
    if given.text == "off":
        return HttpSettings(enabled=False, explicit=True, table_metrics=table.table_metrics)
    host, separator, port = given.text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(
            f"{given.where}: {given.text!r} is not an address to listen on",
            hint='write HOST:PORT such as 127.0.0.1:7780, 0.0.0.0:7780 for all interfaces, or "off"',
        )
    return HttpSettings(host, int(port), explicit=True, table_metrics=table.table_metrics)


def _log_settings(flags: Flags, environment: Mapping[str, str], table: LogTable, path: Path | None) -> LogSettings:
    chosen: dict[str, Any] = {}
    for key, flag, kinds in (
        ("format", flags.log_format, get_args(LogFormat)),
        ("level", flags.log_level, get_args(LogLevel)),
    ):
        given = _first(flag, f"--log-{key}", environment, f"PGSTREAM_LOG_{key.upper()}")
        text = getattr(table, key)
        if given is None and text is not None:
            given = Given(text, f"{path}: log.{key}")
        if given is None:
            continue
        if given.text.lower() not in kinds:
            raise ConfigurationError(f"{given.where}: {given.text!r} is none", hint=f"write one of {', '.join(kinds)}")
        chosen[key] = given.text.lower()
    return LogSettings(**chosen)
