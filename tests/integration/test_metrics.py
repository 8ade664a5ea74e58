"""A real relay's metrics after real events: every name of the contract, figures that are true."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from pgstream_relay.runtime.metrics import PUBLISH_ERROR_REASONS
from tests.support.relay import RelayProcess, eventually, install_pgstream, read_stream, wait_for_events

# CONTRACT section 6.
NAMES = {
    "pgstream_state",
    "pgstream_replication_lag_bytes",
    "pgstream_replication_lag_seconds",
    "pgstream_slot_retained_bytes",
    "pgstream_slot_safe_bytes",
    "pgstream_events_total",
    "pgstream_event_bytes_total",
    "pgstream_event_latency_seconds",
    "pgstream_in_flight_events",
    "pgstream_publish_errors_total",
    "pgstream_snapshot_rows_total",
    "pgstream_reconnects_total",
    "pgstream_build_info",
}
JSON_LOG = {"PGSTREAM_LOG_FORMAT": "json"}

Connection = psycopg.Connection[tuple[Any, ...]]


class Scrape:
    """One answer of /metrics."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
        self.samples = [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        """Of the one sample of this name with (at least) these labels."""
        found = [one.value for one in self.samples if one.name == name and one.labels.items() >= labels.items()]
        assert len(found) <= 1, f"{name} {labels} is not one sample"
        return found[0] if found else None

    def events(self) -> Counter[tuple[str, str, str]]:
        """By schema, table and operation."""
        events: Counter[tuple[str, str, str]] = Counter()
        for one in self.samples:
            if one.name == "pgstream_events_total":
                events[one.labels["schema"], one.labels["table"], one.labels["operation"]] += int(one.value)
        return events


async def scrape(relay: RelayProcess) -> Scrape:
    return Scrape(await fetch(relay, "/metrics"))


async def fetch(relay: RelayProcess, path: str) -> str:
    url = await asyncio.to_thread(relay.url)

    def get() -> str:
        with urllib.request.urlopen(url + path, timeout=30) as response:
            return str(response.read().decode())

    return await asyncio.to_thread(get)


@pytest.fixture
def installed(postgres: EmbeddedPostgres, database: str) -> Iterator[Connection]:
    """An autocommit connection to a database with pgstream and two streamed tables, t and e (ephemeral)."""
    install_pgstream(postgres.dsn(database))
    with postgres.connect(database) as connection:
        connection.execute("create table t (id int primary key, note text)")
        connection.execute("create table e (id int primary key)")
        connection.execute("create table off (id int primary key)")
        connection.execute(
            "insert into pgstream.tables (table_name, mode, enabled)"
            " values ('t', null, true), ('e', 'ephemeral', true), ('off', null, false)"
        )
        yield connection


async def test_every_metric_of_the_contract_after_real_events(
    installed: Connection, postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    expected = Counter({("public", "t", "insert"): 30, ("public", "t", "update"): 2, ("public", "t", "delete"): 1})
    expected["pgstream", "messages", "unknown"] = 1
    with RelayProcess.of(postgres.dsn(database), nats.url, env=JSON_LOG) as relay:
        installed.execute("update pgstream.settings set message_prefixes = '{audit}'")
        installed.execute("insert into t select i, 'n' from generate_series(1, 30) i")
        installed.execute("update t set note = 'm' where id < 3")
        installed.execute("delete from t where id = 1")
        installed.execute("select pg_logical_emit_message(true, 'audit', 'hello')")
        stored = await wait_for_events(nats.url, f"PGSTREAM_{database}", expected.total())

        async def counted() -> bool:
            found = await scrape(relay)
            return found.value("pgstream_replication_lag_seconds") == 0 and found.events() == expected

        await eventually(counted)
        found = await scrape(relay)
        assert found.names >= NAMES
        assert {one.labels.get("database") for one in found.samples} == {database}
        assert found.value("pgstream_state", state="streaming") == 1
        assert sum(one.value for one in found.samples if one.name == "pgstream_state") == 1
        assert found.value("pgstream_event_bytes_total") == sum(len(event.payload) for event in stored)
        assert found.value("pgstream_event_latency_seconds_count") == 4
        assert found.value("pgstream_in_flight_events") == 0
        for reason in PUBLISH_ERROR_REASONS:
            assert found.value("pgstream_publish_errors_total", reason=reason) == 0
        assert found.value("pgstream_reconnects_total", component="nats") == 0
        for name in ("replication_lag_bytes", "slot_retained_bytes"):
            assert found.value(f"pgstream_{name}") is not None

        installed.execute("insert into e values (1), (2)")
        expected["public", "e", "insert"] = 2
        await eventually(counted)
        (described,) = json.loads(await fetch(relay, "/status"))["databases"]
        assert (described["tables"], described["in_flight_bytes"]) == (2, 0)
        query = "select lag_seconds, state from pgstream.status"
        await eventually(lambda: installed.execute(query).fetchone() == (0, "streaming"))
        assert await asyncio.to_thread(relay.stop) == 0


async def test_an_outage_of_nats_is_counted_and_shows_as_lag(
    installed: Connection, postgres: EmbeddedPostgres, database: str
) -> None:
    stream = f"PGSTREAM_{database}"
    with EmbeddedNats() as nats, RelayProcess.of(postgres.dsn(database), nats.url, env=JSON_LOG) as relay:
        installed.execute("insert into t values (1)")

        async def counted() -> bool:
            return (await scrape(relay)).events().total() == 1

        await eventually(counted)
        await asyncio.to_thread(nats.kill)
        installed.execute("insert into t values (2)")

        async def lags() -> bool:
            found = await scrape(relay)
            lag = found.value("pgstream_replication_lag_seconds")
            return found.value("pgstream_state", state="stalled") == 1 and lag is not None and lag > 1

        await eventually(lags)
        found = await scrape(relay)
        assert found.value("pgstream_publish_errors_total", reason="lost") == 1
        assert (found.value("pgstream_reconnects_total", component="nats") or 0) >= 1
        row = installed.execute("select lag_seconds > 0, state, error is not null from pgstream.status").fetchone()
        assert row == (True, "stalled", True)

        await asyncio.to_thread(nats.start)

        async def recovered() -> bool:
            found = await scrape(relay)
            return found.value("pgstream_replication_lag_seconds") == 0 and found.events().total() == 2

        await eventually(recovered)
        assert len(await read_stream(nats.url, stream)) == 2
