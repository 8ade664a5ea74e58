"""The metrics of CONTRACT section 6, by name and label."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pgstream_relay.runtime.exposition import render_metrics
from pgstream_relay.runtime.health import DatabaseHealth, Health
from pgstream_relay.runtime.metrics import DatabaseMetrics

Sample = tuple[str, frozenset[tuple[str, str]]]


def sample(name: str, **labels: str) -> Sample:
    return name, frozenset({"database": "shop", **labels}.items())


def scrape(health: Health, metrics: dict[str, DatabaseMetrics], *, table_metrics: bool) -> dict[Sample, float]:
    text = render_metrics(health, metrics, table_metrics=table_metrics).decode()
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    found = {(one.name, frozenset(one.labels.items())): one.value for one in samples}
    assert len(found) == len(samples)
    return found


@pytest.fixture
def health() -> Health:
    health = Health("relay-1", "1.2.3")
    health.databases["k"] = DatabaseHealth(
        "k", "shop", "streaming", lag_bytes=10, lag_seconds=0.5, retained_bytes=20, in_flight_events=3
    )
    return health


@pytest.fixture
def metrics() -> dict[str, DatabaseMetrics]:
    metrics = DatabaseMetrics()
    metrics.count_events(("public", "orders", "insert"), 5, 500)
    metrics.count_events(("public", "items", "insert"), 2, 100)
    metrics.observe_latency(0.003, 4)
    metrics.observe_latency(-1.0)
    metrics.observe_latency(1e6)
    metrics.count_publish_error("timeout")
    metrics.count_snapshot_rows("public", "orders", 7)
    metrics.count_reconnect("nats")
    return {"k": metrics}


def test_every_metric(health: Health, metrics: dict[str, DatabaseMetrics]) -> None:
    found = scrape(health, metrics, table_metrics=True)
    expected = {
        sample("pgstream_build_info", version="1.2.3"): 1,
        sample("pgstream_state", state="streaming"): 1,
        sample("pgstream_state", state="lost"): 0,
        sample("pgstream_replication_lag_bytes"): 10,
        sample("pgstream_replication_lag_seconds"): 0.5,
        sample("pgstream_slot_retained_bytes"): 20,
        sample("pgstream_in_flight_events"): 3,
        sample("pgstream_events_total", schema="public", table="orders", operation="insert"): 5,
        sample("pgstream_events_total", schema="public", table="items", operation="insert"): 2,
        sample("pgstream_event_bytes_total"): 600,
        sample("pgstream_event_latency_seconds_bucket", le="0.001"): 1,
        sample("pgstream_event_latency_seconds_bucket", le="0.005"): 5,
        sample("pgstream_event_latency_seconds_bucket", le="3600.0"): 5,
        sample("pgstream_event_latency_seconds_bucket", le="+Inf"): 6,
        sample("pgstream_event_latency_seconds_count"): 6,
        sample("pgstream_publish_errors_total", reason="timeout"): 1,
        sample("pgstream_snapshot_rows_total", schema="public", table="orders"): 7,
        sample("pgstream_reconnects_total", component="nats"): 1,
    }
    assert {key: found[key] for key in expected} == expected
    assert all(dict(labels)["database"] == "shop" for _, labels in found)


def test_what_is_not_known_is_left_out(health: Health, metrics: dict[str, DatabaseMetrics]) -> None:
    assert sample("pgstream_slot_safe_bytes") not in scrape(health, metrics, table_metrics=True)


def test_without_table_labels(health: Health, metrics: dict[str, DatabaseMetrics]) -> None:
    found = scrape(health, metrics, table_metrics=False)
    assert found[sample("pgstream_events_total", operation="insert")] == 7
    assert found[sample("pgstream_snapshot_rows_total")] == 7
    assert not any({"schema", "table"} & dict(labels).keys() for _, labels in found)


def test_an_alias_takes_the_counters_along(health: Health, metrics: dict[str, DatabaseMetrics]) -> None:
    health.databases["k"].name = "store"
    found = scrape(health, metrics, table_metrics=True)
    assert found[("pgstream_event_bytes_total", frozenset({("database", "store")}))] == 600
    assert not any(("database", "shop") in labels for _, labels in found)
