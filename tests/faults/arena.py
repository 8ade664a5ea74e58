"""The servers and relays of one run, and what can be done to them."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from types import TracebackType
from typing import Any, Final

import psycopg

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.faults.schema import DATABASE, DEFAULT_STREAM, SECOND_STREAM, SLOT, prepare_database
from tests.support.nats_cluster import NODES, NatsCluster
from tests.support.nats_versions import CURRENT, nats_server
from tests.support.relay import RELAY, RelayProcess

POLL_SECONDS: Final = 0.05
STANDBY_SECONDS: Final = 30.0
SABOTAGES: Final = ("mark", "confirm", "fence")
"""What tests.faults.sabotage can take out of a relay."""
POSTGRES_SETTINGS: Final = {
    # fsync stays off: only processes die here, never the machine, and what they wrote stays in the page cache.
    "synchronous_commit": "on",
    "max_wal_size": "4GB",
}


@dataclass(frozen=True)
class Options:
    """`kills` faults of the `kinds`; `sabotage` names a guarantee that the relay runs without."""

    seed: int
    kills: int
    kinds: tuple[str, ...]
    nats_version: str = CURRENT
    cluster: bool = False
    sabotage: str | None = None
    writers: int = 4
    large_rows: int = 20_000
    pause_seconds: float = 0.15
    settle_seconds: float = 300.0


@dataclass
class Arena:
    """A context manager: everything runs inside, nothing is left behind."""

    options: Options
    takeovers: int = 0
    failures: list[str] = field(default_factory=list)
    _old_logs: list[str] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Arena:
        with ExitStack() as stack:
            self.random = random.Random(self.options.seed)
            self.postgres = stack.enter_context(EmbeddedPostgres(settings=POSTGRES_SETTINGS))
            binary = nats_server(self.options.nats_version)
            self.cluster = stack.enter_context(NatsCluster(binary=binary)) if self.options.cluster else None
            self.nodes: list[EmbeddedNats] = (
                self.cluster.nodes if self.cluster else [stack.enter_context(EmbeddedNats(binary=binary))]
            )
            if self.cluster:
                asyncio.run(self.cluster.wait_until_formed())
            with self.postgres.connect() as connection:
                prepare_database(connection, self.dsn, replicas=NODES if self.cluster else 1)
            self.relay = self.new_relay()
            stack.callback(lambda: self.relay.__exit__(None, None, None))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def dsn(self) -> str:
        return self.postgres.dsn(DATABASE)

    @property
    def nats_urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    def new_relay(self) -> RelayProcess:
        """One more relay, started."""
        sabotage = self.options.sabotage
        program = [sys.executable, "-m", "tests.faults.sabotage", sabotage] if sabotage else RELAY
        servers = ",".join(self.nats_urls)
        relay = RelayProcess("--dsn", self.dsn, "--nats", servers, "--http", "127.0.0.1:0", program=program)
        relay.start()
        return relay

    def replace_relay(self, successor: RelayProcess) -> None:
        self._old_logs.append(self.relay.log)
        self.relay.__exit__(None, None, None)
        self.relay = successor

    def stop_relay(self) -> None:
        """SIGTERM: a clean end is part of the promise."""
        code = self.relay.stop(timeout_seconds=60)
        if code != 0:
            self.failures.append(f"a relay ended with {code} after SIGTERM")

    def pause(self, seconds_max: float) -> None:
        time.sleep(self.random.uniform(0, seconds_max))

    def query(self, statement: str, *parameters: Any) -> Any:
        """The first column of the first row; None where Postgres does not answer."""
        try:
            with self.postgres.connect(DATABASE) as connection:
                row = connection.execute(statement, parameters).fetchone()
        except psycopg.OperationalError:
            return None
        return row[0] if row else None

    def confirmed_lsn(self) -> int:
        lsn = self.query(
            "select (confirmed_flush_lsn - '0/0')::bigint from pg_replication_slots where slot_name = %s", SLOT
        )
        return lsn or 0

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def nats_victim(self) -> EmbeddedNats:
        """The server, or the leader of one of the streams."""
        leader = None
        if self.cluster is not None:
            leader = asyncio.run(self.cluster.leader_of(self.random.choice([DEFAULT_STREAM, SECOND_STREAM])))
        return leader or self.random.choice(self.nodes)

    def save_logs(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "relay.log").write_text("\n--- next relay\n".join([*self._old_logs, self.relay.log]))
        (directory / "postgres.log").write_bytes(self.postgres.log_file.read_bytes())
        for number, node in enumerate(self.nodes):
            (directory / f"nats-{number}.log").write_bytes(node.log_file.read_bytes())


def kill_relay(arena: Arena) -> None:
    arena.relay.kill()
    arena.pause(1.0)
    arena.relay.start()


def stop_relay(arena: Arena) -> None:
    arena.stop_relay()
    arena.pause(0.5)
    arena.relay.start()


def kill_nats(arena: Arena) -> None:
    node = arena.nats_victim()
    node.kill()
    arena.pause(1.5)
    node.start()


def kill_stalled_nats(arena: Arena) -> None:
    """The server hangs, then dies: what the relay has sent meanwhile was never stored, and may not be confirmed."""
    node = arena.nats_victim()
    os.kill(node.pid, SIGSTOP)
    time.sleep(arena.random.uniform(0.3, 2.0))
    node.kill()
    arena.pause(1.0)
    node.start()


def kill_relay_of_stalled_nats(arena: Arena) -> None:
    """What a dead relay had sent is stored while its successor asks the stream where it stands."""
    node = arena.nats_victim()
    os.kill(node.pid, SIGSTOP)
    time.sleep(arena.random.uniform(0.3, 2.0))
    arena.relay.kill()
    arena.relay.start()
    arena.pause(2.0)
    os.kill(node.pid, SIGCONT)


def kill_postgres(arena: Arena) -> None:
    arena.postgres.kill()
    arena.pause(1.0)
    arena.postgres.start()


def kill_both(arena: Arena) -> None:
    """Relay and NATS at once: what was under way between them is gone on both sides."""
    node = arena.nats_victim()
    for kill in arena.random.sample([arena.relay.kill, node.kill], 2):
        kill()
    arena.pause(1.0)
    arena.relay.start()
    arena.pause(0.5)
    node.start()


def kill_all(arena: Arena) -> None:
    node = arena.nats_victim()
    for kill in arena.random.sample([arena.relay.kill, node.kill, arena.postgres.kill], 3):
        kill()
    for start in arena.random.sample([arena.relay.start, node.start, arena.postgres.start], 3):
        start()


def freeze_relay(arena: Arena) -> None:
    """A relay stands still while a second one takes over, then goes on where it was: its writes must be refused."""
    frozen, standby = arena.relay, arena.new_relay()
    waiting = "select count(*) from pgstream.relays where role = 'standby' and heartbeat_at > now() - interval '3 s'"
    if not arena.wait(lambda: bool(arena.query(waiting)), STANDBY_SECONDS):
        arena.failures.append("a second relay did not become a standby")
    before = arena.query("select active_pid from pg_replication_slots where slot_name = %s", SLOT)
    frozen.send(SIGSTOP)
    time.sleep(arena.random.uniform(3, 9))
    after = arena.query("select active_pid from pg_replication_slots where slot_name = %s", SLOT)
    arena.takeovers += after is not None and after != before
    frozen.send(SIGCONT)
    arena.pause(2.0)
    if arena.random.random() < 0.5:
        arena.stop_relay()
    arena.replace_relay(standby)


FAULTS: Final[dict[str, tuple[Callable[[Arena], None], float]]] = {
    "relay-kill": (kill_relay, 25),
    "relay-term": (stop_relay, 12),
    "nats-kill": (kill_nats, 25),
    "nats-stall": (kill_stalled_nats, 8),
    "relay-stall": (kill_relay_of_stalled_nats, 8),
    "postgres-kill": (kill_postgres, 15),
    "both-kill": (kill_both, 8),
    "all-kill": (kill_all, 5),
    "freeze": (freeze_relay, 10),
}
"""With how often each is drawn."""


def inflict(arena: Arena) -> Counter[str]:
    """The faults, one after the other, each while the relay is at work; how many of each kind."""
    options, done = arena.options, Counter[str]()
    weights = [FAULTS[kind][1] for kind in options.kinds]
    # Each kind at least once, if there are so many.
    plan = [*options.kinds, *arena.random.choices(options.kinds, weights, k=max(0, options.kills - len(options.kinds)))]
    plan = plan[: options.kills]
    arena.random.shuffle(plan)
    for number, kind in enumerate(plan, 1):
        confirmed = arena.confirmed_lsn()
        if arena.random.random() < 0.8:
            # Most faults hit a relay that has found its way again, the others one that is still finding it.
            arena.wait(lambda least=confirmed: arena.confirmed_lsn() > least, 30)  # type: ignore[misc]
        arena.pause(1.5)
        if not arena.relay.running:
            arena.failures.append("a relay ended by itself")
            arena.relay.start()
        sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} fault {number} of {len(plan)}: {kind}\n")
        FAULTS[kind][0](arena)
        done[kind] += 1
    return done
