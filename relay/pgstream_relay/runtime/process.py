"""The relay as a process: signals, the HTTP server, the supervisor, and the exit code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from pgstream_relay.errors import ConfigurationError
from pgstream_relay.runtime.endpoints import make_endpoints
from pgstream_relay.runtime.health import LOOP_BEAT_SECONDS, Health
from pgstream_relay.runtime.http import HttpServer
from pgstream_relay.runtime.keeper import WorkerFactory
from pgstream_relay.runtime.logs import configure_logging
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.runtime.supervisor import Supervisor
from pgstream_relay.settings import HttpSettings, RelaySettings

# How long the interpreter may take to come down after all is said and done.
EXIT_SECONDS = 2.0

log = structlog.get_logger()


def make_relay_id() -> str:
    """Names this process among all relays: host, process, and a random part, since containers share pid 1."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


async def run_relay(
    settings: RelaySettings, load: Callable[[], RelaySettings], make_worker: WorkerFactory, version: str
) -> int:
    """Streams until SIGTERM, SIGINT, or until every database waits for a person; returns the exit code.

    `load` reads the configuration again, on SIGHUP. Raises ConfigurationError where the HTTP address can't be had.
    """
    server = _bind(settings.http)
    health = Health(make_relay_id(), version)
    metrics: dict[str, DatabaseMetrics] = {}
    supervisor = Supervisor(settings, health, metrics, make_worker)
    stop, hurry = asyncio.Event(), asyncio.Event()
    _handle_signals(stop, hurry, lambda: _reload(settings, load, supervisor))
    log.info("relay starts", relay=health.relay_id, version=version, databases=len(settings.databases))
    with contextlib.ExitStack() as stack:
        stack.callback(asyncio.create_task(_beat(health)).cancel)
        if server is not None:
            server.start(make_endpoints(health, metrics, table_metrics=settings.http.table_metrics))
            stack.callback(server.close)
            log.info("http listens", url=_url(*server.address))
        code = await supervisor.run(stop, hurry)
    log.info("relay ended", exit_code=code)
    return code


def run_event_loop(main: Coroutine[Any, Any, int]) -> int:
    """Runs it on uvloop where that is installed. Raises what it raises."""
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        code = runner.run(main)
        _end_soon(code)
        return code


def _event_loop() -> asyncio.AbstractEventLoop:
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.new_event_loop()
    return new_event_loop()


def _end_soon(code: int) -> None:
    """A thread stuck in a name server's silence would hold the interpreter back for as long: it may not."""

    def leave() -> None:
        sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(EXIT_SECONDS, leave)
    timer.daemon = True
    timer.start()


def _bind(settings: HttpSettings) -> HttpServer | None:
    if not settings.enabled:
        return None
    try:
        return HttpServer(settings)
    except ConfigurationError as error:
        # Nobody asked for the default address: a second relay on the same machine must not be kept from its work.
        if settings.explicit:
            raise
        log.warning("runs without probes and metrics", error=error.message, hint=error.hint)
        return None


async def _beat(health: Health) -> None:
    while True:
        health.beat_loop()
        await asyncio.sleep(LOOP_BEAT_SECONDS)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _handle_signals(stop: asyncio.Event, hurry: asyncio.Event, reload: Callable[[], None]) -> None:
    def end(name: str) -> None:
        if stop.is_set():
            log.warning("asked again to stop: stops at once", signal=name)
            hurry.set()
            return
        log.info("stops: waits for what is under way", signal=name)
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end, "SIGTERM")
    loop.add_signal_handler(signal.SIGINT, end, "SIGINT")
    loop.add_signal_handler(signal.SIGHUP, reload)


def _reload(first: RelaySettings, load: Callable[[], RelaySettings], supervisor: Supervisor) -> None:
    try:
        settings = load()
    except ConfigurationError as error:
        log.error("the new configuration is not taken over, the old one stays", error=error.message, hint=error.hint)
        return
    configure_logging(settings.log)
    if settings.http != first.http:
        log.warning("http settings have changed", hint="restart the relay to bring them into force")
    supervisor.apply(settings)
    log.info("configuration read again", databases=len(settings.databases), clusters=len(settings.clusters))
