"""Health as plain data: the body of /status, and what the status page draws."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from pgstream_relay.pgoutput.lsn import format_lsn
from pgstream_relay.runtime.health import DatabaseHealth, Health


def describe_health(health: Health) -> dict[str, Any]:
    """Ready for JSON. Times are ISO 8601 in UTC, LSNs are text, sizes are bytes; null is: not known."""
    return {
        "relay": health.relay_id,
        "version": health.version,
        "ready": health.is_ready(),
        "stopping": health.stopping,
        "started_at": _format_time(health.started_at),
        "uptime_seconds": round(time.time() - health.started_at, 1),
        "databases": [_describe_database(label, database) for label, database in health.labelled()],
        "clusters": [
            {"server": cluster.key, "databases_found": cluster.found, "error": cluster.error}
            for cluster in health.clusters.values()
        ],
    }


def _describe_database(label: str, database: DatabaseHealth) -> dict[str, Any]:
    return {
        "database": label,
        "server": database.key,
        "state": database.state,
        "since": _format_time(database.since),
        "error": database.error,
        "hint": database.hint,
        "waits_for_person": database.waits_for_person is not None,
        "slot_name": database.slot_name,
        "lag_bytes": database.lag_bytes,
        "lag_seconds": database.lag_seconds,
        "retained_bytes": database.retained_bytes,
        "safe_bytes": database.safe_bytes,
        "received_lsn": _format_lsn(database.received_lsn),
        "confirmed_lsn": _format_lsn(database.confirmed_lsn),
        "server_lsn": _format_lsn(database.server_lsn),
        "last_event_at": _format_time(database.last_event_at),
        "in_flight_events": database.in_flight_events,
        "in_flight_bytes": database.in_flight_bytes,
        "tables": database.tables,
    }


def _format_time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _format_lsn(lsn: int | None) -> str | None:
    return None if lsn is None else format_lsn(lsn)
