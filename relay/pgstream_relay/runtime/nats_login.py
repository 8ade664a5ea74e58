"""Connects: tries the configured servers in random order, once each, and says why none would have us."""

from __future__ import annotations

import asyncio
import random
import ssl
from typing import Any, Final

from nats.errors import Error as ClientError

from pgstream_relay.errors import ConfigurationError
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import NatsLoginRefused, NatsUnreachable
from pgstream_relay.settings import NatsSettings

CONNECT_TIMEOUT_SECONDS: Final = 5.0
PING_INTERVAL_SECONDS: Final = 10

_REFUSALS: Final = ("authorization violation", "authentication", "user authentication", "permissions violation")


async def connect(settings: NatsSettings, *, name: str) -> NatsConnection:
    """A living connection; `name` shows in NATS's own monitoring.

    Raises NatsLoginRefused where a server was reached and did not accept us, else NatsUnreachable;
    ConfigurationError where a certificate, key or credentials file can't be used.
    """
    options = _login_options(settings)
    failures: list[str] = []
    for url in random.sample(settings.servers, len(settings.servers)):
        connection = NatsConnection(jetstream_domain=settings.jetstream_domain)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                await connection.client.connect(
                    servers=[url],
                    name=name,
                    error_cb=connection.on_error,
                    closed_cb=connection.on_closed,
                    allow_reconnect=False,
                    # One more attempt than none: 0 would mean "for ever" to nats-py.
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=int(CONNECT_TIMEOUT_SECONDS),
                    ping_interval=PING_INTERVAL_SECONDS,
                    inbox_prefix=settings.inbox_prefix,
                    **options,
                )
        except (ClientError, OSError) as error:
            reasons = dict.fromkeys([*connection.login_errors, str(error) or type(error).__name__])
            failures.append(f"{_without_password(url)}: {', '.join(reasons)}")
            await connection.close()
        else:
            return connection
    told = "; ".join(failures)
    if any(word in told.lower() for word in _REFUSALS):
        raise NatsLoginRefused(
            f"NATS does not accept the relay's credentials ({told})",
            hint="check [nats] credentials, user, password, token or nkey_seed, and the account's permissions",
        )
    raise NatsUnreachable(
        f"no NATS server can be reached ({told})",
        hint="check [nats] servers, and that the server runs and can be reached from here",
    )


def _login_options(settings: NatsSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "user": settings.user,
        "password": settings.password,
        "token": settings.token,
        "user_credentials": str(settings.credentials) if settings.credentials else None,
        "nkeys_seed": str(settings.nkey_seed) if settings.nkey_seed else None,
        "tls": _tls_context(settings),
    }
    return {option: value for option, value in options.items() if value is not None}


def _tls_context(settings: NatsSettings) -> ssl.SSLContext | None:
    """None where nothing is set: a `tls://` URL then uses the system's authorities."""
    if settings.tls_ca is None and settings.tls_cert is None:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
        if settings.tls_cert is not None:
            context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the TLS files of [nats] can't be used: {error}",
            hint="tls_ca, tls_cert and tls_key are PEM files; tls_cert and tls_key belong together",
        ) from error
    return context


def _without_password(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
