"""The real relay in a process of its own, and what it has published."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from pgstream_installer import apply, connect
from pgstream_installer.desired import Desired
from tests.support.waiting import POLL_SECONDS, WAIT_SECONDS, eventually

__all__ = [
    "RelayProcess",
    "StoredEvent",
    "clean_environment",
    "connected",
    "eventually",
    "install_pgstream",
    "read_stream",
    "run_command",
    "running_relay",
    "wait_for_events",
]

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
RELAY = (str(SCRIPTS / "pgstream-relay"),)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without libpq's and pgstream's variables, and with `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PGSTREAM_", "PG"))}
    return {**kept, **(extra or {})}


def run_command(
    *arguments: str, check: bool = True, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`pgstream …`; its output is in the assertion where it fails."""
    done = subprocess.run(
        [str(SCRIPTS / "pgstream"), *arguments],
        capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        env=clean_environment(env),
    )  # fmt: skip
    if check:
        assert done.returncode == 0, f"pgstream {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def install_pgstream(dsn: str) -> None:
    """What `pgstream install` does, by the same code; a process for it costs three times as much."""
    with connect.connected(dsn) as connection:
        apply.install(connection, Desired(), lambda line: None)


class RelayProcess:
    """`pgstream-relay run` with these arguments. The log goes to a file, `log` reads it.

    `program` takes the place of `pgstream-relay`. `lines`, `wait_for` and `url` need PGSTREAM_LOG_FORMAT=json in `env`.
    """

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None, program: Sequence[str] = RELAY) -> None:
        self._command = [*program, "run", *arguments]
        self._env = clean_environment(env)
        self._directory = tempfile.TemporaryDirectory(prefix="pgstream-relay-")
        self._log_file = Path(self._directory.name) / "log"
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def of(cls, dsns: Sequence[str] | str, nats_url: str, *, env: Mapping[str, str] | None = None) -> RelayProcess:
        """For these databases."""
        names = [dsns] if isinstance(dsns, str) else dsns
        flags = [word for dsn in names for word in ("--dsn", dsn)]
        return cls(*flags, "--nats", nats_url, "--http", "127.0.0.1:0", env=env)

    def start(self) -> None:
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self._log_file.read_text() if self._log_file.exists() else ""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log as JSON; a line that is something else counts as an event of that name."""
        whole = self.log.rpartition("\n")[0].splitlines()
        return [json.loads(line) if line.startswith("{") else {"event": line} for line in whole]

    def wait_for(self, event: str, times: int = 1, **fields: object) -> dict[str, Any]:
        """The `times`-th line of the log with this event and these fields; fails where it does not come."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            found = [line for line in self.lines if line.items() >= {"event": event, **fields}.items()]
            if len(found) >= times:
                return found[times - 1]
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"{event!r} {fields} did not come")

    def url(self) -> str:
        """Where its HTTP server listens, as it says in its log."""
        return str(self.wait_for("http listens")["url"]).rstrip("/")

    async def is_streaming(self) -> bool:
        """Whether it said so of a database; a probe for `eventually`."""
        return "database is streaming" in self.log

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, *, timeout_seconds: float = WAIT_SECONDS) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout_seconds)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def wait(self, *, timeout_seconds: float = WAIT_SECONDS) -> int:
        """The exit code of a relay that ends by itself."""
        assert self.process is not None
        return self.process.wait(timeout_seconds)

    def __enter__(self) -> RelayProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            sys.stderr.write(f"--- log of the relay\n{self.log}\n")
        self._directory.cleanup()


@dataclass(frozen=True)
class StoredEvent:
    """A message of a stream, or of plain NATS (sequence 0)."""

    sequence: int
    subject: str
    headers: dict[str, str]
    payload: bytes

    @property
    def document(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.payload, parse_float=Decimal)
        return parsed

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.document["data"]
        return data

    @property
    def operation(self) -> str:
        operation: str = self.document["operation"]
        return operation


async def read_stream(url: str, stream: str) -> list[StoredEvent]:
    """All messages of a stream, in order; none where there is no such stream."""
    async with connected(url) as client:
        jetstream = client.jetstream()
        try:
            info = await jetstream.stream_info(stream)
        except NotFoundError:
            return []
        events: list[StoredEvent] = []
        if info.state.messages == 0:
            return events
        last = info.state.last_seq
        complete = asyncio.Event()

        async def receive(message: Msg) -> None:
            sequence = message.metadata.sequence.stream
            events.append(StoredEvent(sequence, message.subject, dict(message.headers or {}), message.data))
            if sequence >= last:
                complete.set()

        await jetstream.subscribe(
            # Not the subjects that it has now: what a table left behind is still there.
            ">",
            stream=stream,
            cb=receive,
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
            pending_msgs_limit=-1,
            pending_bytes_limit=-1,
        )
        async with asyncio.timeout(WAIT_SECONDS):
            await complete.wait()
        return events


async def wait_for_events(url: str, stream: str, count: int, *, seconds: float = WAIT_SECONDS) -> list[StoredEvent]:
    """The stream's events once there are at least `count`; AssertionError with what is there if there never are."""

    async def enough() -> list[StoredEvent] | None:
        async with connected(url) as client:
            try:
                info = await client.jetstream().stream_info(stream)
            except NotFoundError:
                return None
        if info.state.messages < count:
            return None
        return await read_stream(url, stream)

    found = await eventually(enough, seconds=seconds, otherwise=lambda: f"fewer than {count} events in {stream}")
    assert found is not None
    return found


class connected:  # noqa: N801 - reads as a context
    """A NATS client for the length of a block."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None

    async def __aenter__(self) -> Client:
        self._client = await nats.connect(self._url, allow_reconnect=False, connect_timeout=10)
        return self._client

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None
        with suppress(Exception):
            await self._client.close()


@contextmanager
def running_relay(dsns: Sequence[str] | str, nats_url: str) -> Iterator[RelayProcess]:
    """A relay for the length of a block."""
    with RelayProcess.of(dsns, nats_url) as relay:
        yield relay
