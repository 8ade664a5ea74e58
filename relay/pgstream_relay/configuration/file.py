"""The configuration file: TOML of a fixed shape, with one clear error for the first thing that is wrong."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pgstream_relay.errors import ConfigurationError

_TYPE_WORDS = {
    "str": "a text in quotes",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in [ ]",
    "object": "a table",
}


class NatsTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """[nats] and [databases.nats]; None is a key that was not given."""

    servers: list[str] | str | None = None
    credentials: str | None = None
    user: str | None = None
    password: str | None = None
    token: str | None = None
    nkey_seed: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    inbox_prefix: str | None = None
    jetstream_domain: str | None = None


class HttpTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """[http]"""

    listen: str | None = None
    table_metrics: bool = True


class LogTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """[log]"""

    format: str | None = None
    level: str | None = None


class ServerTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One of [[databases]] or [[clusters]]."""

    dsn: str
    nats: NatsTable | None = None


class ConfigurationFile(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file, by key."""

    nats: NatsTable = NatsTable()
    http: HttpTable = HttpTable()
    log: LogTable = LogTable()
    databases: tuple[ServerTable, ...] = ()
    clusters: tuple[ServerTable, ...] = ()


def read_configuration_file(path: Path) -> ConfigurationFile:
    """Raises ConfigurationError with the file, the key and the remedy; it never quotes a value."""
    document = _read_toml(path)
    known = ConfigurationFile.__struct_fields__
    for key in document:
        if key not in known:
            raise _unknown_key(path, "", key, known)
    return ConfigurationFile(
        nats=_table(path, "nats", document.get("nats", {}), NatsTable),
        http=_table(path, "http", document.get("http", {}), HttpTable),
        log=_table(path, "log", document.get("log", {}), LogTable),
        databases=_servers(path, "databases", document.get("databases", [])),
        clusters=_servers(path, "clusters", document.get("clusters", [])),
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the configuration file can't be read: {error.strerror}",
            hint="mend --config or PGSTREAM_CONFIG, or the file's permissions",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: not UTF-8 text (byte {error.start})", hint="save the file as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}", hint="mend that line; see https://toml.io") from None


def _servers(path: Path, name: str, entries: object) -> tuple[ServerTable, ...]:
    if not isinstance(entries, list):
        raise ConfigurationError(
            f"{path}: {name}: there may be many, so it is a list of tables",
            hint=f"write [[{name}]], in double brackets",
        )
    return tuple(_table(path, f"{name}[{index}]", entry, ServerTable) for index, entry in enumerate(entries))


_Table = TypeVar("_Table", bound=msgspec.Struct)


def _table(path: Path, key: str, content: object, kind: type[_Table]) -> _Table:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise _explain(path, key, str(error), kind) from None


def _explain(path: Path, key: str, text: str, kind: type[msgspec.Struct]) -> ConfigurationError:
    """msgspec's text names types and places, never values."""
    problem, _, place = text.partition(" - at ")
    key += place.strip("`").removeprefix("$")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", problem)
    if unknown:
        table = NatsTable if key.endswith(".nats") else kind
        return _unknown_key(path, key, unknown[1], table.__struct_fields__)
    missing = re.fullmatch(r"Object missing required field `(.*)`", problem)
    if missing:
        return ConfigurationError(
            f"{path}: {key}.{missing[1]}: missing", hint='write dsn = "postgresql://pgstream_relay@host/database"'
        )
    expected = re.fullmatch(r"Expected `(.*)`, got `(.*)`", problem)
    if not expected:
        return ConfigurationError(f"{path}: {key}: {problem}", hint=f"known here: {', '.join(kind.__struct_fields__)}")
    words = " or ".join(_TYPE_WORDS[word] for word in expected[1].split(" | ") if word in _TYPE_WORDS)
    return ConfigurationError(
        f"{path}: {key}: is {_TYPE_WORDS.get(expected[2], expected[2])}", hint=f"write {words or expected[1]}"
    )


def _unknown_key(path: Path, prefix: str, key: str, known: tuple[str, ...]) -> ConfigurationError:
    """A near miss gets the right word, anything else the list of them."""
    near = difflib.get_close_matches(key, known, n=1)
    name = f"{prefix}.{key}" if prefix else key
    return ConfigurationError(
        f"{path}: {name}: there is no such key",
        hint=f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}",
    )
