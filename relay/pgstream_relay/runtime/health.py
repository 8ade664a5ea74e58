"""What the relay knows about itself: one DatabaseHealth a database, and the registry that the probes read.

Workers write plain attributes on the event loop, the HTTP server's threads read them: one at a time and without locks.
Dictionaries are copied before they are walked through, since the event loop may change them meanwhile.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, get_args

import structlog

State = Literal["starting", "streaming", "standby", "stalled", "lost", "offline"]
STATES: tuple[State, ...] = get_args(State)
READY_STATES: frozenset[State] = frozenset({"streaming", "standby"})

# A worker that streams beats every second or so; this long without a beat is a hang and not a slow disk.
HANG_SECONDS = 60.0
LOOP_BEAT_SECONDS = 1.0
# Nothing that runs on the event loop keeps it for anywhere near as long, unless it hangs.
LOOP_HANG_SECONDS = 15.0
EVENT_LOOP = "the event loop"

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class DatabaseHealth:
    """One database as its worker sees it. None means: not known (yet).

    `key` tells databases of one process apart (host, port and database; never a password). `name` is the database's
    name until the worker learns its alias and writes it here. LSNs are integers; `*_bytes` and `*_events` count; `*_at`
    are Unix time. `lag_seconds` is the age of the oldest thing committed and not confirmed; `oldest_commit_at` the
    commit time of the oldest transaction that was read and is not published whole. `retained_bytes` and `safe_bytes`
    are the slot's: WAL that it holds back, and WAL that may still be written before it is lost. `tables` counts the
    enabled ones. `beat_at` is time.monotonic().
    """

    key: str
    name: str
    state: State = "starting"
    since: float = field(default_factory=time.time)
    error: str | None = None
    hint: str | None = None
    waits_for_person: int | None = None
    slot_name: str | None = None
    received_lsn: int | None = None
    confirmed_lsn: int | None = None
    server_lsn: int | None = None
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    retained_bytes: int | None = None
    safe_bytes: int | None = None
    oldest_commit_at: float | None = None
    last_event_at: float | None = None
    in_flight_events: int = 0
    in_flight_bytes: int = 0
    tables: int | None = None
    beat_at: float | None = None

    def set_state(
        self,
        state: State,
        error: str | None = None,
        hint: str | None = None,
        *,
        waits_for_person: int | None = None,
    ) -> None:
        """Call it as often as you like: only a change of state or error is logged.

        `waits_for_person` is the exit code (77, 78) of a trouble that no retry mends; leaving it out clears it.
        """
        changed = state != self.state or error != self.error
        if state != self.state:
            self.since, self.beat_at = time.time(), None
        self.state, self.error, self.hint, self.waits_for_person = state, error, hint, waits_for_person
        if changed:
            level = "info" if error is None else "error" if waits_for_person else "warning"
            details = {"error": error, "hint": hint} if error is not None else {}
            getattr(log, level)(f"database is {state}", database=self.name, **details)

    def beat(self) -> None:
        """Says that the worker lives. One that beats while it streams, and then stops, makes /livez fail."""
        self.beat_at = time.monotonic()

    def is_hanging(self, now: float) -> bool:
        """`now` is time.monotonic(). A worker that waits (for a server, for a person) is not judged."""
        return self.state == "streaming" and self.beat_at is not None and now - self.beat_at > HANG_SECONDS


@dataclass(slots=True, eq=False)
class ClusterHealth:
    """One cluster's discovery. `found` is None until the first look succeeded."""

    key: str
    found: int | None = None
    error: str | None = None

    def set_found(self, count: int) -> None:
        """A look succeeded; logs where the number of databases changed or a trouble ended."""
        if self.found != count or self.error is not None:
            log.info("looked for databases with pgstream", cluster=self.key, found=count)
        self.found, self.error = count, None

    def set_error(self, error: str) -> None:
        """A look failed; the databases found before stay as they are."""
        if self.error != error:
            log.warning("can't look for databases with pgstream, tries again", cluster=self.key, error=error)
        self.error = error


class Health:
    """All databases and clusters of one relay process."""

    def __init__(self, relay_id: str, version: str) -> None:
        self.relay_id = relay_id
        self.version = version
        self.started_at = time.time()
        self.stopping = False
        self.loop_beat_at = time.monotonic()
        self.databases: dict[str, DatabaseHealth] = {}
        self.clusters: dict[str, ClusterHealth] = {}

    def labelled(self) -> list[tuple[str, DatabaseHealth]]:
        """Each database with the name shown to people, unique: two of one name get their host beside it."""
        named = [(database.name, database) for database in self.databases.copy().values()]
        times = Counter(name for name, _ in named)
        return [(name if times[name] == 1 else f"{name} ({database.key})", database) for name, database in named]

    def beat_loop(self) -> None:
        """Says that the event loop runs; to be called from it, every LOOP_BEAT_SECONDS or so."""
        self.loop_beat_at = time.monotonic()

    def is_ready(self) -> bool:
        """Every database streams or stands by, every cluster was looked through once, and no stop is under way."""
        return (
            not self.stopping
            and all(database.state in READY_STATES for database in self.databases.copy().values())
            and all(cluster.found is not None for cluster in self.clusters.values())
        )

    def hanging(self) -> list[str]:
        """What no longer moves: the event loop, else the workers of the databases of these labels."""
        now = time.monotonic()
        if now - self.loop_beat_at > LOOP_HANG_SECONDS:
            return [EVENT_LOOP]
        return [label for label, database in self.labelled() if database.is_hanging(now)]

    def exit_code(self) -> int | None:
        """77 or 78 once every database waits for a person (the highest of theirs), else None."""
        if not self.databases or any(cluster.found is None for cluster in self.clusters.values()):
            return None
        codes = [database.waits_for_person for database in self.databases.values()]
        known = [code for code in codes if code is not None]
        return max(known) if len(known) == len(codes) else None
