"""An incremental snapshot beside live events: its rate, what it costs, and what the live events feel of it."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

from nats.aio.client import Client

from bench.errors import BenchError
from bench.jetstream import connected
from bench.lab import Lab
from bench.latency import QUANTILES, pgbench, quantile, read_delays
from bench.readings import read_process
from bench.relay import RelayProcess
from bench.report import Tell
from bench.tables import TEN_COLUMNS, Table

NARROW = Table(
    "narrow",
    ("id integer primary key", "amount integer", "note text"),
    ("i", "(i % 100000)::integer", "'row ' || i"),
)
POLL_SECONDS = 0.1
LIVE_SECONDS_MAX = 86400
ALONE_SECONDS = 2
"""Of live events before the snapshot, and after it."""
PROGRESS_QUERY = """
select state, rows_done, blocks_total, extract(epoch from finished_at - started_at)::float8, error
from pgstream.snapshots
"""
# Of the relay's own sessions: a walsender's has no end.
TRANSACTION_QUERY = """
select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8 from pg_stat_activity
where application_name = 'pgstream-relay' and backend_type = 'client backend'
"""


@dataclass
class Watched:
    """What was seen while the snapshot ran."""

    rows: int = 0
    blocks: int = 0
    seconds: float = 0.0
    longest_transaction_seconds: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0


def run_snapshot(lab: Lab, rows: int, rate: int, tell: Tell) -> None:
    """A snapshot of `rows` narrow rows, at `rate` live single-row transactions a second. Raises BenchError."""
    tell(f"incremental snapshot of {rows:,} rows of 3 columns, {rate} live single-row transactions/s beside it")
    connection = lab.connection
    for table in (NARROW, TEN_COLUMNS):
        connection.execute(table.create_statement.encode())
    connection.execute("create sequence key")
    connection.execute(NARROW.insert_statement("1", str(rows)).encode())
    connection.execute("vacuum analyze")
    connection.execute("insert into pgstream.tables (table_name) values (%s), (%s)", [NARROW.name, TEN_COLUMNS.name])
    connection.execute("select pgstream.create_slot(false)")
    with RelayProcess(lab) as relay:
        while lab.value("select state from pgstream.status") != "streaming":
            relay.require_alive()
            time.sleep(POLL_SECONDS)
        with pgbench(lab, rate, LIVE_SECONDS_MAX):
            time.sleep(ALONE_SECONDS)
            watched = _watch(lab, relay)
            time.sleep(ALONE_SECONDS)
    milliseconds = asyncio.run(_read_delays(lab))
    figures = "".join(f"  p{share * 100:g} {quantile(milliseconds, share):.1f}" for share in QUANTILES)
    tell(f"  {watched.rows / watched.seconds:,.0f} rows/s: {watched.rows:,} rows of {watched.blocks:,} blocks in"
         f" {watched.seconds:.1f} s")  # fmt: skip
    for name, seconds in watched.cpu_seconds.items():
        tell(f"  {name}: {seconds / watched.rows * 1e6:.1f} µs of CPU a row, live events included")
    tell(f"  relay: {watched.peak_bytes / 1e6:.0f} MB at most")
    tell(f"  longest transaction of the relay: {watched.longest_transaction_seconds:.2f} s")
    tell(f"  live events, commit to JetStream, ms:{figures}  max {max(milliseconds):.1f} of {len(milliseconds):,}")


def _watch(lab: Lab, relay: RelayProcess) -> Watched:
    pids = {"relay": relay.pid, "nats-server": lab.nats.pid}
    before = {name: read_process(pid) for name, pid in pids.items()}
    lab.connection.execute(
        "insert into pgstream.signals (type, tables) values ('incremental-snapshot', %s)", [[NARROW.name]]
    )
    watched = Watched()
    state = "pending"
    while state in ("pending", "running"):
        relay.require_alive()
        age = float(lab.value(TRANSACTION_QUERY))
        watched.longest_transaction_seconds = max(watched.longest_transaction_seconds, age)
        row = lab.connection.execute(PROGRESS_QUERY.encode()).fetchone()
        assert row is not None
        state, watched.rows, watched.blocks, seconds, error = row
        time.sleep(POLL_SECONDS)
    if state != "completed":
        raise BenchError(f"the snapshot is {state}: {error}")
    watched.seconds = seconds
    for name, pid in pids.items():
        now, then = read_process(pid), before[name]
        if now and then and now.cpu_seconds is not None and then.cpu_seconds is not None:
            watched.cpu_seconds[name] = now.cpu_seconds - then.cpu_seconds
        if name == "relay" and now and now.peak_bytes:
            watched.peak_bytes = now.peak_bytes
    return watched


async def _read_delays(lab: Lab) -> list[float]:
    """Sorted, of the live events."""
    subject = f"*.public.{TEN_COLUMNS.name}.insert"
    async with connected(lab.nats.url) as client:
        count = await _count(client, lab.stream, subject)
        return sorted(await read_delays(client, lab.stream, count, subject=subject))


async def _count(client: Client, stream: str, subject: str) -> int:
    request = json.dumps({"subjects_filter": subject}).encode()
    answer = json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}", request, timeout=30)).data)
    return sum((answer["state"].get("subjects") or {}).values())
