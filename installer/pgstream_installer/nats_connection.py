"""Connections to NATS for looking on: check and tail. What a refusal means: an exit code, a reason, a hint."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from nats import errors as nats_errors
from nats.aio.client import Client

from pgstream_installer.configuration import DEFAULT_NATS_SERVER, NatsOptions
from pgstream_installer.errors import ConfigurationError, InstallerError, RightsError, UnreachableError

CONNECT_TIMEOUT_SECONDS = 5
REQUEST_TIMEOUT_SECONDS = 5.0
NO_RIGHTS = ("authorization", "authentication", "permissions violation")


class ApiError(InstallerError):
    """The JetStream API answered with an error; `code` is JetStream's own (10059: no such stream)."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(description)
        self.code = code


class NoAnswerError(InstallerError):
    """Nobody answers on an API subject: JetStream is off, or this user may not ask."""


def servers_of(options: NatsOptions) -> list[str]:
    """The URLs to connect to: the default one where none was given."""
    return list(options.servers) or [DEFAULT_NATS_SERVER]


def place_of(options: NatsOptions) -> str:
    """Names the servers for messages, without the user and password that may stand in a URL."""
    return ", ".join(_without_password(url) for url in servers_of(options))


def _without_password(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@contextlib.asynccontextmanager
async def connected(options: NatsOptions, *, reconnect: bool = False) -> AsyncIterator[Client]:
    """A connection, closed at the end. `reconnect`: after the first connection, come back for ever.

    Raises UnreachableError, RightsError or ConfigurationError.
    """
    reported: list[str] = []

    async def note(error: Exception) -> None:
        # The reason of a refusal is told to this callback only; connect() itself raises NoServersError.
        reported.append(str(error) or type(error).__name__)

    client = Client()
    try:
        await asyncio.wait_for(
            client.connect(
                servers=servers_of(options),
                name="pgstream",
                error_cb=note,
                allow_reconnect=reconnect,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                max_reconnect_attempts=-1 if reconnect else 1,
                **_credentials(options),
            ),
            CONNECT_TIMEOUT_SECONDS * 2,
        )
    except (OSError, TimeoutError, nats_errors.Error, ValueError) as error:
        await client.close()
        raise _refusal(place_of(options), [*reported, str(error) or type(error).__name__]) from None
    try:
        yield client
    finally:
        with contextlib.suppress(OSError, TimeoutError, nats_errors.Error):
            await client.close()


def _refusal(place: str, reasons: list[str]) -> InstallerError:
    reason = "; ".join(dict.fromkeys(text.removeprefix("nats: ") for text in reasons))
    if any(words in reason.lower() for words in NO_RIGHTS):
        hint = "check user, password, token or credentials file: [nats] in the configuration file, or in the URL"
        return RightsError(f"NATS refuses the connection to {place}", why=reason, hint=hint)
    hint = "is nats-server up, and are host and port right? --nats URL names another"
    return UnreachableError(f"no connection to NATS at {place}", why=reason, hint=hint)


def _credentials(options: NatsOptions) -> dict[str, Any]:
    given: dict[str, Any] = {
        "user": options.user,
        "password": options.password,
        "token": options.token,
        "user_credentials": options.credentials,
        "nkeys_seed": options.nkey_seed,
        "inbox_prefix": options.inbox_prefix,
        "tls": _tls(options),
    }
    return {name: value for name, value in given.items() if value is not None}


def _tls(options: NatsOptions) -> ssl.SSLContext | None:
    if not (options.tls_ca or options.tls_cert):
        return None
    try:
        context = ssl.create_default_context(cafile=options.tls_ca)
        if options.tls_cert:
            context.load_cert_chain(options.tls_cert, options.tls_key)
    except OSError as error:
        raise ConfigurationError(
            "a TLS file of [nats] can't be read", why=str(error), hint="mend tls_ca, tls_cert, tls_key"
        ) from None
    return context


async def request_api(client: Client, options: NatsOptions, subject: str, body: dict[str, Any] | None = None) -> Any:
    """One request of the JetStream API (`STREAM.INFO.X`), as parsed JSON. Raises ApiError or NoAnswerError."""
    prefix = f"$JS.{options.jetstream_domain}.API" if options.jetstream_domain else "$JS.API"
    answer = await request_json(client, f"{prefix}.{subject}", body)
    if "error" in answer:
        error = answer["error"]
        raise ApiError(int(error.get("err_code", 0)), str(error.get("description", "")))
    return answer


async def request_json(client: Client, subject: str, body: dict[str, Any] | None = None) -> Any:
    """One request with a JSON answer. Raises NoAnswerError."""
    try:
        payload = json.dumps(body).encode() if body else b""
        message = await client.request(subject, payload, timeout=REQUEST_TIMEOUT_SECONDS)
    except (TimeoutError, nats_errors.Error) as error:
        raise NoAnswerError(f"no answer on {subject}", why=str(error) or type(error).__name__) from None
    return json.loads(message.data)
