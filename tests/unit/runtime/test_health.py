"""States, readiness, hangs, and the exit code of a relay whose databases all wait for a person."""

from __future__ import annotations

import time

import pytest
from structlog.testing import capture_logs

from pgstream_relay.runtime.health import (
    EVENT_LOOP,
    HANG_SECONDS,
    LOOP_HANG_SECONDS,
    ClusterHealth,
    DatabaseHealth,
    Health,
    State,
)
from pgstream_relay.runtime.status import describe_health


def health_of(*databases: DatabaseHealth) -> Health:
    health = Health("relay-1", "1.0")
    health.databases = {database.key: database for database in databases}
    return health


def test_a_change_is_logged_once() -> None:
    database = DatabaseHealth("h:5432/shop", "shop")
    with capture_logs() as logs:
        for _ in range(3):
            database.set_state("stalled", "NATS is away", "nothing to do")
        database.set_state("streaming")
        database.set_state("streaming")
        database.set_state("lost", "slot is gone", "make one", waits_for_person=78)
    assert [(line["event"], line["log_level"], line.get("error")) for line in logs] == [
        ("database is stalled", "warning", "NATS is away"),
        ("database is streaming", "info", None),
        ("database is lost", "error", "slot is gone"),
    ]


def test_a_state_without_trouble_clears_it() -> None:
    database = DatabaseHealth("h:5432/shop", "shop")
    database.set_state("lost", "slot is gone", "make one", waits_for_person=78)
    database.set_state("streaming")
    assert (database.error, database.hint, database.waits_for_person) == (None, None, None)


@pytest.mark.parametrize(
    ("states", "ready"),
    [
        ([], True),
        (["streaming"], True),
        (["streaming", "standby"], True),
        (["streaming", "starting"], False),
        (["stalled"], False),
        (["lost", "streaming"], False),
    ],
)
def test_ready(states: list[State], ready: bool) -> None:
    health = health_of(*(DatabaseHealth(f"h:1/{n}", str(n), state) for n, state in enumerate(states)))
    assert health.is_ready() is ready
    health.stopping = True
    assert not health.is_ready()


def test_not_ready_before_each_cluster_was_looked_through() -> None:
    health = health_of(DatabaseHealth("h:1/a", "a", "streaming"))
    cluster = health.clusters["h:1/postgres"] = ClusterHealth("h:1/postgres")
    cluster.set_error("away")
    assert not health.is_ready()
    cluster.set_found(0)
    assert health.is_ready()
    cluster.set_error("away")
    assert health.is_ready()


def test_a_streaming_worker_that_stopped_beating_hangs() -> None:
    beating, waiting, silent = (DatabaseHealth(f"h:1/{name}", name) for name in ("beating", "waiting", "silent"))
    for database in (beating, waiting):
        database.set_state("streaming")
        database.beat()
    waiting.set_state("stalled", "away")
    silent.set_state("streaming")
    health = health_of(beating, waiting, silent)
    assert health.hanging() == []
    beating.beat_at = time.monotonic() - HANG_SECONDS - 1
    assert health.hanging() == ["beating"]
    health.loop_beat_at = time.monotonic() - LOOP_HANG_SECONDS - 1
    assert health.hanging() == [EVENT_LOOP]
    health.beat_loop()
    assert health.hanging() == ["beating"]


@pytest.mark.parametrize(
    ("codes", "code"), [([], None), ([77], 77), ([77, 78], 78), ([78, None], None), ([None], None)]
)
def test_exit_code(codes: list[int | None], code: int | None) -> None:
    health = health_of(*(DatabaseHealth(f"h:1/{n}", str(n), waits_for_person=one) for n, one in enumerate(codes)))
    assert health.exit_code() == code
    health.clusters["c"] = ClusterHealth("c")
    assert health.exit_code() is None


def test_databases_of_one_name_are_told_apart() -> None:
    health = health_of(*(DatabaseHealth(key, key[-1]) for key in ("h1:1/a", "h2:1/a", "h1:1/b")))
    assert [label for label, _ in health.labelled()] == ["a (h1:1/a)", "a (h2:1/a)", "b"]


def test_status_formats_positions_and_times() -> None:
    database = DatabaseHealth("h:1/a", "a", confirmed_lsn=0x16B3748, last_event_at=1e9, since=0.0)
    (described,) = describe_health(health_of(database))["databases"]
    assert described["confirmed_lsn"] == "0/16B3748"
    assert described["last_event_at"] == "2001-09-09T01:46:40.000+00:00"
    assert described["lag_bytes"] is None
