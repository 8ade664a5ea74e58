"""The real relay, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from bench.errors import BenchError
from bench.lab import Lab, clean_environment

STOP_SECONDS = 60.0


class RelayProcess:
    """Used as a context manager: started, and at the end stopped by SIGTERM."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._directory = tempfile.TemporaryDirectory(prefix="pgstream-bench-")
        self._log = Path(self._directory.name) / "log"
        self.started_at = 0.0
        """Unix seconds."""

    def __enter__(self) -> RelayProcess:
        command = (
            sys.executable, "-m", "pgstream_relay", "run", "--dsn", self._lab.dsn, "--nats", self._lab.nats.url,
            "--http", "127.0.0.1:0",
        )  # fmt: skip
        self.started_at = time.time()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment()
            )
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        """Of its HTTP server; it is in the log once it listens."""
        found = re.search(r"http listens.*url=(\S+?)/?\s", self._log.read_text())
        if found is None:
            raise BenchError(f"the relay does not listen:\n{self._log.read_text()}")
        return found[1]

    def require_alive(self) -> None:
        """Raises BenchError with the log."""
        if (code := self._process.poll()) is not None:
            raise BenchError(f"the relay ended with {code}:\n{self._log.read_text()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended_by_itself = self._process.poll() is not None
        try:
            self._process.terminate()
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        log = self._log.read_text()
        self._directory.cleanup()
        if error is None and code != 0:
            raise BenchError(f"the relay ended with {code}:\n{log}")
        if error is not None and not ended_by_itself:
            sys.stderr.write(f"--- log of the relay\n{log}\n")
