"""From commit to JetStream: at what time an event was stored, against the time of its transaction's commit.

Nobody watches while it runs, so nothing but the relay works beside the servers: each message of a stream keeps the
time at which JetStream stored it, and each event the time of its commit, by clocks of the same machine. What is
missing is the way of the acknowledgement back to the relay; the relay's own histogram has it, as a mean.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from math import ceil
from pathlib import Path

from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy

from bench.errors import BenchError
from bench.jetstream import connected, read_stream_state
from bench.lab import Lab, clean_environment
from bench.relay import RelayProcess
from bench.report import Tell
from bench.tables import TEN_COLUMNS
from pgstream_installer.embedded import postgres_bin_directory

CLIENTS = 4
WARM_UP = (100, 2)
"""Transactions a second, seconds."""
SETTLE_SECONDS = 30.0
POLL_SECONDS = 0.05
QUANTILES = (0.5, 0.99, 0.999)


def run_latency(lab: Lab, rates: Sequence[int], seconds: int, tell: Tell) -> None:
    """Single-row transactions at each rate in turn. Raises BenchError."""
    tell(f"commit to JetStream, single-row transactions from {CLIENTS} connections, {seconds} s at each rate")
    lab.connection.execute(TEN_COLUMNS.create_statement.encode())
    lab.connection.execute("create sequence key")
    lab.connection.execute("insert into pgstream.tables (table_name) values (%s)", [TEN_COLUMNS.name])
    lab.connection.execute("select pgstream.create_slot(false)")
    asyncio.run(_run(lab, rates, seconds, tell))


async def _run(lab: Lab, rates: Sequence[int], seconds: int, tell: Tell) -> None:
    async with connected(lab.nats.url) as client:
        with RelayProcess(lab) as relay:
            await _load(lab, client, relay, *WARM_UP)
            tell(f"{'asked tx/s':>12}{'done tx/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'p999 ms':>10}{'max ms':>10}"
                 f"{'mean to ack':>13}")  # fmt: skip
            for rate in rates:
                before = _acknowledged(relay.url)
                milliseconds = await _load(lab, client, relay, rate, seconds)
                count, total = (now - then for now, then in zip(_acknowledged(relay.url), before, strict=True))
                figures = [quantile(milliseconds, share) for share in (*QUANTILES, 1.0)]
                mean = total / count * 1e3 if count else float("nan")
                tell(f"{rate:>12,}{len(milliseconds) / seconds:>12,.0f}"
                     + "".join(f"{figure:>10.2f}" for figure in (*figures, mean)[:-1]) + f"{mean:>13.2f}")  # fmt: skip


async def _load(lab: Lab, client: Client, relay: RelayProcess, rate: int, seconds: int) -> list[float]:
    """Writes at that rate; the sorted times to JetStream in ms."""
    first = (await read_stream_state(client, lab.stream)).last_sequence + 1
    count = await asyncio.to_thread(_write, lab, rate, seconds)
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while True:
        relay.require_alive()
        if (await read_stream_state(client, lab.stream)).last_sequence >= first - 1 + count:
            break
        if asyncio.get_running_loop().time() > deadline:
            raise BenchError(f"not all of {count} events came within {SETTLE_SECONDS:.0f} s of the load's end")
        await asyncio.sleep(POLL_SECONDS)
    return sorted(await read_delays(client, lab.stream, count, first=first))


@contextmanager
def pgbench(lab: Lab, rate: int, seconds: int) -> Iterator[subprocess.Popen[str]]:
    """Single-row transactions at random moments of that rate; stopped where it runs at the end of the block."""
    values = ", ".join(TEN_COLUMNS.values)
    with tempfile.TemporaryDirectory(prefix="pgstream-bench-") as directory:
        script = Path(directory) / "insert.sql"
        script.write_text(f"insert into {TEN_COLUMNS.name} select {values} from nextval('key') as i\n")
        with subprocess.Popen(
            [str(postgres_bin_directory() / "pgbench"), "--no-vacuum", "--protocol", "prepared", "--client",
             str(CLIENTS), "--rate", str(rate), "--time", str(seconds), "--file", str(script), lab.dsn],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=clean_environment(),
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.terminate()


def _write(lab: Lab, rate: int, seconds: int) -> int:
    """pgbench, at random moments of that rate; how many transactions there were."""
    with pgbench(lab, rate, seconds) as process:
        output, _ = process.communicate()
    found = re.search(r"transactions actually processed: (\d+)", output)
    if process.returncode != 0 or found is None:
        raise BenchError(f"pgbench ended with {process.returncode}:\n{output}")
    return int(found[1])


async def read_delays(client: Client, stream: str, count: int, *, subject: str = ">", first: int = 1) -> list[float]:
    """From commit to JetStream in ms, of `count` events on `subject` from sequence `first` on."""
    start = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=first)
    subscription = await client.jetstream().subscribe(subject, stream=stream, ordered_consumer=True, config=start)
    delays: list[float] = []
    for _ in range(count):
        message = await subscription.next_msg(timeout=30)
        committed = datetime.fromisoformat(json.loads(message.data)["timestamp"])
        delays.append((message.metadata.timestamp - committed).total_seconds() * 1e3)
    await subscription.unsubscribe()
    return delays


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share does not exceed."""
    return ordered[max(ceil(share * len(ordered)) - 1, 0)] if ordered else float("nan")


def _acknowledged(url: str) -> tuple[float, float]:
    """Of the relay's histogram from commit to acknowledgement: its count, and the sum in seconds."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        text = response.read().decode()
    figures = []
    for name in ("count", "sum"):
        found = re.search(rf"^pgstream_event_latency_seconds_{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
        figures.append(float(found[1]) if found else 0.0)
    return figures[0], figures[1]
