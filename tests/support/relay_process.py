"""A relay as a process of its own: start it, wait for words in its log, signal it, read its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

REPOSITORY = Path(__file__).parents[2]
WAIT_SECONDS = 30.0
OURS = ("PGSTREAM_", "PG")


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without libpq's and pgstream's variables, and with `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, **(extra or {})}


class RelayProcess:
    """`module` is run with `arguments` and a JSON log; use it as a context manager, which kills what is left."""

    def __init__(
        self, arguments: Sequence[str], *, module: str = "pgstream_relay", environment: Mapping[str, str] | None = None
    ) -> None:
        self.lines: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=REPOSITORY,
            env=clean_environment({"PGSTREAM_LOG_FORMAT": "json", **(environment or {})}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._news:
                self.lines.append(json.loads(line) if line.startswith("{") else {"event": line.rstrip("\n")})
                self._news.notify_all()

    def wait_for(self, event: str, times: int = 1, **fields: object) -> dict[str, Any]:
        """The `times`-th line of the log with this event and these fields; fails where it does not come."""

        def found() -> list[dict[str, Any]]:
            return [
                line
                for line in self.lines
                if line["event"] == event and all(line.get(name) == value for name, value in fields.items())
            ]

        with self._news:
            came = self._news.wait_for(lambda: len(found()) >= times, WAIT_SECONDS)
        assert came, f"{event!r} {fields} did not come; the log:\n" + "\n".join(map(str, self.lines))
        return found()[times - 1]

    def url(self) -> str:
        """Where its HTTP server listens, as it says in its log."""
        return str(self.wait_for("http listens")["url"]).rstrip("/")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def exit_code(self) -> int:
        """Waits for its end."""
        code = self._process.wait(WAIT_SECONDS)
        self._reader.join(WAIT_SECONDS)
        return code

    def __enter__(self) -> RelayProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(WAIT_SECONDS)
        if self._process.stderr is not None:
            self._process.stderr.close()
