"""What the relay answers over HTTP: probes, metrics, status as JSON, and a status page for people."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from pgstream_relay.runtime.health import Health
from pgstream_relay.runtime.http import Endpoint, Response
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.runtime.status import describe_health

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# The page's own style and script are inline; nothing is loaded from anywhere, and it talks to /status alone.
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'"
)


def make_endpoints(
    health: Health, metrics: Mapping[str, DatabaseMetrics], *, table_metrics: bool
) -> Mapping[str, Endpoint]:
    """By path. They read health and metrics (by database key) at each request, and change nothing."""
    return {
        "/": partial(_page, Path(__file__).with_name("status_page.html")),
        "/livez": partial(_livez, health),
        "/readyz": partial(_readyz, health),
        "/status": partial(_status, health),
        "/metrics": partial(_metrics, health, metrics, table_metrics=table_metrics),
    }


def _livez(health: Health) -> Response:
    """Asked in a thread beside the event loop: it is answered also where that one hangs."""
    hanging = health.hanging()
    return _json(503 if hanging else 200, {"live": not hanging, "hanging": hanging})


def _readyz(health: Health) -> Response:
    ready = health.is_ready()
    databases = health.labelled()
    body = {
        "ready": ready,
        "stopping": health.stopping,
        "databases": {label: one.state for label, one in databases},
        "errors": {label: one.error for label, one in databases if one.error is not None},
    }
    return _json(200 if ready else 503, body)


def _status(health: Health) -> Response:
    return _json(200, describe_health(health))


def _metrics(health: Health, metrics: Mapping[str, DatabaseMetrics], *, table_metrics: bool) -> Response:
    # Imported at the first scrape: it takes a while, and the first event should not wait for it.
    from pgstream_relay.runtime.exposition import render_metrics

    return Response(200, METRICS_TYPE, render_metrics(health, metrics, table_metrics=table_metrics))


def _page(file: Path) -> Response:
    return Response(200, "text/html; charset=utf-8", file.read_bytes(), (("Content-Security-Policy", PAGE_POLICY),))


def _json(status: int, body: object) -> Response:
    return Response(status, "application/json", msgspec.json.encode(body))
