"""The real relay in a process of its own, and what it has published."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import nats
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

SCRIPTS = Path(sysconfig.get_path("scripts"))
WAIT_SECONDS = 30.0
_T = TypeVar("_T")


def run_command(
    *arguments: str, check: bool = True, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`pgstream …`; its output is in the assertion where it fails."""
    done = subprocess.run(
        [str(SCRIPTS / "pgstream"), *arguments],
        capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
    if check:
        assert done.returncode == 0, f"pgstream {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


class RelayProcess:
    """`pgstream-relay run` with these arguments. The log goes to a file, `log` reads it."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._arguments = arguments
        self._env = env or {}
        self._directory = tempfile.TemporaryDirectory(prefix="pgstream-relay-")
        self._log_file = Path(self._directory.name) / "log"
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def of(cls, dsns: Sequence[str] | str, nats_url: str) -> RelayProcess:
        """For these databases."""
        names = [dsns] if isinstance(dsns, str) else dsns
        flags = [word for dsn in names for word in ("--dsn", dsn)]
        return cls(*flags, "--nats", nats_url, "--http", "127.0.0.1:0")

    def start(self) -> None:
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [str(SCRIPTS / "pgstream-relay"), "run", *self._arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self._env},
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self._log_file.read_text() if self._log_file.exists() else ""

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, *, timeout_seconds: float = 30) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout_seconds)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def wait(self, *, timeout_seconds: float = 30) -> int:
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
        subscription = await jetstream.subscribe(
            # Not the subjects that it has now: what a table left behind is still there.
            ">",
            stream=stream,
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
            pending_msgs_limit=-1,
            pending_bytes_limit=-1,
        )
        while not events or events[-1].sequence < last:
            message = await subscription.next_msg(timeout=10)
            sequence = message.metadata.sequence.stream
            events.append(StoredEvent(sequence, message.subject, dict(message.headers or {}), message.data))
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


async def eventually(
    probe: Callable[[], Awaitable[_T]],
    *,
    seconds: float = WAIT_SECONDS,
    otherwise: Callable[[], str] = lambda: "it never came true",
) -> _T:
    """The first true answer of `probe`."""
    import asyncio

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = await probe()
        if answer:
            return answer
        await asyncio.sleep(0.03)
    raise AssertionError(f"after {seconds} s: {otherwise()}")


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
