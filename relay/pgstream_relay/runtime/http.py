"""The HTTP server: probes, metrics, status as JSON, and a status page for people. Reads health, changes nothing."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path

import msgspec
from aiohttp import web

from pgstream_relay.errors import ConfigurationError
from pgstream_relay.runtime.health import Health
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.runtime.status import describe_health
from pgstream_relay.settings import HttpSettings

BACKLOG = 128
CLOSE_SECONDS = 1.0
# The page's own style and script are inline; nothing is loaded from anywhere, and it talks to /status alone.
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def bind_listener(settings: HttpSettings) -> socket.socket:
    """Binds at once, so that a port in use is known before anything is streamed. Raises ConfigurationError."""
    address = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise ConfigurationError(
            f"http.listen: {settings.host} is not an address of this machine", hint="write 127.0.0.1, 0.0.0.0 or a name"
        ) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        in_use = error.errno == errno.EADDRINUSE
        raise ConfigurationError(
            f"http.listen: can't listen on {address}: {'another process does' if in_use else error.strerror}",
            hint='give another address with --http HOST:PORT or [http] listen, or "off" for none',
        ) from None
    return listener


class HttpServer:
    """Serves on an already bound socket. `metrics` is by database key, as in Health."""

    def __init__(self, health: Health, metrics: Mapping[str, DatabaseMetrics], *, table_metrics: bool) -> None:
        self._health = health
        self._metrics = metrics
        self._table_metrics = table_metrics
        app = web.Application()
        for path, handler in self._routes():
            app.router.add_get(path, handler)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_SECONDS)

    def _routes(self) -> tuple[tuple[str, Callable[[web.Request], Awaitable[web.Response]]], ...]:
        return (
            ("/", self._page),
            ("/livez", self._livez),
            ("/readyz", self._readyz),
            ("/metrics", self._render_metrics),
            ("/status", self._status),
        )

    async def start(self, listener: socket.socket) -> None:
        """Begins to answer; returns at once."""
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def close(self) -> None:
        """Ends all connections and closes the socket."""
        await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        hanging = self._health.hanging()
        return _json({"live": not hanging, "hanging": hanging}, status=503 if hanging else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = self._health.is_ready()
        labels = self._health.labels()
        body = {
            "ready": ready,
            "stopping": self._health.stopping,
            "databases": {labels[key]: database.state for key, database in self._health.databases.items()},
            "errors": {
                labels[key]: database.error
                for key, database in self._health.databases.items()
                if database.error is not None
            },
        }
        return _json(body, status=200 if ready else 503)

    async def _render_metrics(self, _: web.Request) -> web.Response:
        # Imported at the first scrape: it takes a while, and the first event should not wait for it.
        from pgstream_relay.runtime.exposition import render_metrics

        body = render_metrics(self._health, self._metrics, table_metrics=self._table_metrics)
        return web.Response(body=body, headers={"Content-Type": METRICS_TYPE})

    async def _status(self, _: web.Request) -> web.Response:
        return _json(describe_health(self._health), status=200)

    async def _page(self, _: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store"}
        return web.Response(text=_page_text(), content_type="text/html", headers=headers)


def _json(body: object, *, status: int) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers)


@cache
def _page_text() -> str:
    return Path(__file__).with_name("status_page.html").read_text(encoding="utf-8")
