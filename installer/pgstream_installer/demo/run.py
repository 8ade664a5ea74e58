"""The demo from its first line to the last: servers, install, relay, tour, live traffic, summary; then all is gone.

Whatever ends it, everything it started ends first. So no signal raises an exception inside the code that starts and
stops processes: a signal cancels the main task, which notices at its next `await`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from importlib.metadata import version

import psycopg
from nats import errors as nats_errors

from pgstream_installer import apply, connect, nats_connection
from pgstream_installer.demo import tour
from pgstream_installer.demo.feed import Feed
from pgstream_installer.demo.screen import ReaderGone, Screen
from pgstream_installer.demo.servers import (
    RELAY_ROLE,
    RelayProcess,
    Servers,
    require_extra,
    server_versions,
    servers,
)
from pgstream_installer.demo.shop import DATABASE, SCHEMA_SQL
from pgstream_installer.demo.stage import Connection, Stage
from pgstream_installer.demo.summary import summarize
from pgstream_installer.demo.surroundings import look_around
from pgstream_installer.demo.traffic import run_traffic
from pgstream_installer.desired import Desired
from pgstream_installer.embedded import EmbeddedServerError
from pgstream_installer.errors import InstallerError
from pgstream_installer.tail import Tail

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STREAMING_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.05
SIGNAL_SECONDS = 0.2
STATE_QUERY = "select state, error, hint from pgstream.status"
# Raised where a server, a connection or a file fails us; ReaderGone is one of them by kind, and goes before.
FAULTS = (InstallerError, EmbeddedServerError, psycopg.Error, nats_errors.Error, OSError, TimeoutError)


def run_demo(seconds: int) -> int:
    """Runs it with `seconds` of live traffic, or until Ctrl-C where that is 0. Returns the exit code.

    Raises InstallerError (exit code 1) where something fails, KeyboardInterrupt where it is interrupted before the
    traffic runs.
    """
    screen = Screen()
    try:
        asyncio.run(_interruptible(screen, seconds))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    screen.note("Nothing is left behind: processes ended, directories removed.")
    return 0


async def _interruptible(screen: Screen, seconds: int) -> None:
    with _signals_cancel():
        await _run(screen, seconds)


@contextlib.contextmanager
def _signals_cancel() -> Iterator[None]:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in ENDING_SIGNALS:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        # Still taken, and without effect: the end is near, and nothing may come between.
        for number in ENDING_SIGNALS:
            loop.add_signal_handler(number, lambda: None)


async def _run(screen: Screen, seconds: int) -> None:
    require_extra()
    postgres, nats = server_versions()
    screen.title("pgstream demo", f"{version('pgstream-nats')} · PostgreSQL {postgres} · nats-server {nats}")
    screen.note("Both start now on 127.0.0.1, for this demo alone.")
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(servers())
        except EmbeddedServerError as error:
            # A Ctrl-C in the terminal reaches initdb, too. If it was that, this is where we are cancelled.
            await asyncio.sleep(SIGNAL_SECONDS)
            raise InstallerError("a server of the demo did not start", why=str(error)) from None
        try:
            await _play(screen, running, seconds)
        except ReaderGone:
            raise
        except FAULTS as error:
            raise _failure(error, running.relay) from error


def _failure(error: Exception, relay: RelayProcess | None) -> InstallerError:
    what = error.what if isinstance(error, InstallerError) else f"{type(error).__name__}: {error}"
    parts = [error.why, error.hint] if isinstance(error, InstallerError) else []
    if relay is not None:
        parts.append("the end of the relay's log:\n" + relay.log_tail())
    return InstallerError(f"the demo failed: {what}", why="\n  ".join(part for part in parts if part))


async def _play(screen: Screen, running: Servers, seconds: int) -> None:
    _install(screen, running)
    relay = await _start_relay(screen, running)
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(nats_connection.connected(running.nats_options))
        feed_tail = Tail(client, running.nats_options)
        await feed_tail.subscribe()
        feed = await stack.enter_async_context(Feed(feed_tail, relay.check))
        connection: Connection = await psycopg.AsyncConnection.connect(running.dsn, autocommit=True)
        await stack.enter_async_context(connection)
        stage = Stage(connection, feed, screen)
        if seconds == 0:
            look_around(screen, running, relay)
        for step in (
            tour.choose_tables,
            tour.change_rows,
            tour.change_settings,
            tour.read_what_was_there,
            tour.look_at_status,
        ):
            await step(stage)
        if seconds > 0:
            look_around(screen, running, relay)
        await run_traffic(stage, seconds)
        await summarize(stage.tally, screen, client, running.nats_options)


def _install(screen: Screen, running: Servers) -> None:
    """What `pgstream install` does, by the same code."""
    with running.postgres.connect(DATABASE) as connection:
        connection.execute(SCHEMA_SQL)
    screen.heading("Install into the database of a shop, and start the relay")
    screen.command("pgstream", "install", "--dsn", running.dsn, "--relay-role", RELAY_ROLE)
    with connect.connected(running.dsn) as connection:
        apply.install(connection, Desired(relay_role=RELAY_ROLE), lambda line: screen.note(f"  {line}"))


async def _start_relay(screen: Screen, running: Servers) -> RelayProcess:
    """Returns when it streams."""
    relay = running.start_relay()
    screen.command("pgstream-relay", *relay.arguments)
    deadline = time.monotonic() + STREAMING_TIMEOUT_SECONDS
    with running.postgres.connect(DATABASE) as connection:
        while True:
            relay.check()
            state, error, hint = connection.execute(STATE_QUERY).fetchone() or ("offline", None, None)
            if state == "streaming":
                break
            if time.monotonic() > deadline:
                raise InstallerError(f"the relay does not stream: it is {state}", why=error or "", hint=hint or "")
            await asyncio.sleep(POLL_SECONDS)
    screen.note("  streaming")
    return relay
