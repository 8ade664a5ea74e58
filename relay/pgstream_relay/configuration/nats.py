"""[nats]: where, as whom, how secured. An override for one database takes what it does not name from [nats]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pgstream_relay.configuration.file import NatsTable
from pgstream_relay.errors import ConfigurationError
from pgstream_relay.masking import mask_passwords
from pgstream_relay.settings import NatsSettings

SCHEMES = ("nats", "tls")
FILES = ("credentials", "nkey_seed", "tls_ca", "tls_cert", "tls_key")
# Who we are is one thing: an override that names one of these replaces all of them.
NOBODY: dict[str, Any] = dict.fromkeys(("credentials", "user", "password", "token", "nkey_seed"))


def nats_settings(table: NatsTable, inherited: NatsSettings, *, where: str, directory: Path) -> NatsSettings:
    """`where` is file and key, for messages; relative paths are relative to `directory`.

    Raises ConfigurationError.
    """
    given: dict[str, Any] = {key: value for key, value in _fields(table).items() if value is not None}
    if given.keys() & NOBODY.keys():
        inherited = replace(inherited, **NOBODY)
    if "servers" in given:
        servers = given["servers"]
        given["servers"] = parse_servers([servers] if isinstance(servers, str) else servers, f"{where}.servers")
    for key in FILES:
        if key in given:
            given[key] = _readable(directory / Path(given[key]).expanduser(), f"{where}.{key}")
    settings = replace(inherited, **given)
    check_nats(settings, where)
    return settings


def _fields(table: NatsTable) -> dict[str, object]:
    return {name: getattr(table, name) for name in table.__struct_fields__}


def parse_servers(texts: Sequence[str], where: str) -> tuple[str, ...]:
    """URLs, each text a list of them by commas; a URL without a scheme is `nats://`. Raises ConfigurationError."""
    urls = [url.strip() for text in texts for url in text.split(",")]
    servers = tuple(_server(url, where) for url in urls if url)
    if not servers:
        raise ConfigurationError(f"{where}: no server is named", hint='write "nats://host:4222"')
    return servers


def _server(url: str, where: str) -> str:
    url = url if "://" in url else f"nats://{url}"
    shown = mask_passwords(url)
    hint = "write nats://host:4222 or tls://host:4222, several separated by commas"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        # The text of urlsplit quotes what it took for the port, which may be a piece of a password.
        kind = "port" if "port" in str(error).lower() else "address"
        raise ConfigurationError(f"{where}: a NATS URL whose {kind} is malformed", hint=hint) from None
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(f"{where}: {shown} is not a NATS URL", hint=hint)
    if not host or port == 0 or parts.path not in ("", "/") or parts.query or parts.fragment or " " in url:
        raise ConfigurationError(f"{where}: {shown} does not name a host and a port, and those alone", hint=hint)
    return url


def check_nats(settings: NatsSettings, where: str) -> None:
    """Raises ConfigurationError where the keys contradict each other."""
    if (settings.user is None) != (settings.password is None):
        have, lack = ("user", "password") if settings.password is None else ("password", "user")
        raise ConfigurationError(f"{where}.{have}: set without {lack}", hint=f"set {lack} too, or take {have} out")
    identities = [key for key in ("credentials", "nkey_seed", "user", "token") if getattr(settings, key) is not None]
    if any(urlsplit(url).username for url in settings.servers):
        identities.append("a user in the URL of servers")
    if len(identities) > 1:
        raise ConfigurationError(
            f"{where}: {' and '.join(identities)} are both set, and only one can say who we are",
            hint="keep one of them",
        )
    if (settings.tls_cert is None) != (settings.tls_key is None):
        have, lack = ("tls_cert", "tls_key") if settings.tls_key is None else ("tls_key", "tls_cert")
        raise ConfigurationError(f"{where}.{have}: set without {lack}", hint="a client certificate needs both files")
    _check_name(settings.inbox_prefix, f"{where}.inbox_prefix", "a subject such as _INBOX_relay", dots=True)
    if settings.jetstream_domain is not None:
        _check_name(settings.jetstream_domain, f"{where}.jetstream_domain", "one word such as hub", dots=False)


def _check_name(name: str, where: str, example: str, *, dots: bool) -> None:
    tokens = name.split(".") if dots else [name]
    bad = any(not token or any(c in token for c in ".*>") or not token.isascii() for token in tokens)
    if bad or any(c.isspace() for c in name):
        raise ConfigurationError(f"{where}: not a legal name in NATS", hint=f"write {example}, without wildcards")


def _readable(path: Path, where: str) -> Path:
    path = path.absolute()
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(
            f"{where}: {path} can't be read: {error.strerror}",
            hint="mend the path (a relative one is relative to the configuration file) or the file's permissions",
        ) from None
    return path
