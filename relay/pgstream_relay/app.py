"""`pgstream-relay`: the sidecar's command line. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from pgstream_relay.configuration import Flags, load_http_settings, load_settings
from pgstream_relay.errors import ConfigurationError

if TYPE_CHECKING:
    from pgstream_relay.runtime.keeper import WorkerFactory

PROBE_TIMEOUT_SECONDS = 5.0
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}

CONFIG_OPTION = click.option("--config", metavar="FILE", help="TOML file; PGSTREAM_CONFIG.")
HTTP_OPTION = click.option(
    "--http", metavar="HOST:PORT", help="Probes, metrics and status page, or off; PGSTREAM_HTTP. [127.0.0.1:7780]"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pgstream-nats", prog_name="pgstream-relay", message="%(prog)s %(version)s")
def cli() -> None:
    """Streams Postgres changes into NATS, as the tables of schema pgstream say."""


@cli.command()
@CONFIG_OPTION
@click.option("--dsn", multiple=True, help="A database to stream; may be repeated; PGSTREAM_DSN.")
@click.option("--nats", metavar="URL", help="NATS servers, separated by commas; PGSTREAM_NATS_URL.")
@HTTP_OPTION
@click.option("--log-format", metavar="text|json", help="PGSTREAM_LOG_FORMAT. [text]")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error; PGSTREAM_LOG_LEVEL. [info]")
@click.pass_obj
def run(
    make_worker: WorkerFactory | None,
    config: str | None,
    dsn: tuple[str, ...],
    nats: str | None,
    http: str | None,
    log_format: str | None,
    log_level: str | None,
) -> None:
    """Run the relay until SIGTERM or SIGINT.

    Flags go over the environment, the environment over the file. SIGHUP reads the configuration again; a second
    SIGTERM or SIGINT stops at once, with exit code 1. Exit codes: 78 for this configuration; 77 (rights) or
    78 (configuration, a lost slot) when every database waits for a person.
    """
    _answer_early_signals()
    flags = Flags(config, dsn, nats, http, log_format, log_level)
    try:
        sys.exit(_run(flags, make_worker))
    except ConfigurationError as error:
        _fail(error, error.exit_code)


@cli.command()
@CONFIG_OPTION
@HTTP_OPTION
@click.option("--ready", is_flag=True, help="Ask whether every database streams, not only whether the process lives.")
def healthcheck(config: str | None, http: str | None, ready: bool) -> None:
    """Ask a running relay how it is, for container probes: exit code 0 or 1."""
    try:
        settings = load_http_settings(Flags(config, http=http), os.environ)
    except ConfigurationError as error:
        _fail(error, 1)
    if not settings.enabled:
        _fail(ConfigurationError("http is off, so there is nothing to ask", hint="give --http HOST:PORT"), 1)
    sys.exit(_probe(ANY_ADDRESS.get(settings.host, settings.host), settings.port, "/readyz" if ready else "/livez"))


def main(make_worker: WorkerFactory | None = None) -> None:
    """The entry point. `make_worker` replaces the databases' workers, for tests of the shell around them."""
    cli(obj=make_worker)


def _run(flags: Flags, make_worker: WorkerFactory | None) -> int:
    settings = load_settings(flags, os.environ)
    _import_lean()
    from pgstream_relay.runtime.logs import configure_logging

    configure_logging(settings.log)
    from importlib.metadata import version

    from pgstream_relay.runtime.process import run_event_loop, run_relay

    return run_event_loop(
        run_relay(
            settings,
            load=lambda: load_settings(flags, os.environ),
            make_worker=make_worker or _database_worker(),
            version=version("pgstream-nats"),
        )
    )


def _import_lean() -> None:
    """Keeps structlog from taking rich along, for tracebacks with local variables, which hold row values.

    The relay does not use it, and it would cost a good part of the start-up time.
    """
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # what `import` takes for "not installed"
        import_module("structlog")
        del sys.modules["rich"]


def _database_worker() -> WorkerFactory:
    from pgstream_relay.runtime.worker import DatabaseWorker

    return DatabaseWorker


def _answer_early_signals() -> None:
    """Until the event loop takes over: process 1 of a container would ignore SIGTERM, and SIGHUP would end it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _probe(host: str, port: int, path: str) -> int:
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(host, port, timeout=PROBE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        click.echo(f"no answer from {host}:{port}: {error}", err=True)
        return 1
    finally:
        connection.close()
    click.echo(body)
    return 0 if response.status == 200 else 1


def _fail(error: ConfigurationError, exit_code: int) -> NoReturn:
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
    sys.exit(exit_code)
