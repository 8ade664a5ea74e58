"""`python -m tests.support.hasty_relay run …`: the real relay with less patience: a silence costs a test little."""

from __future__ import annotations

import sys
from typing import Final

from pgstream_relay.app import main
from pgstream_relay.runtime import control_store, nats_login, streaming, worker
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.publisher import writer_base
from pgstream_relay.runtime.replication import connection, session

HASTY: Final = (sys.executable, "-m", "tests.support.hasty_relay")
PATIENCE_SECONDS: Final = 2.0


def be_hasty() -> None:
    """Before the relay starts."""
    nats_login.CONNECT_TIMEOUT_SECONDS = PATIENCE_SECONDS  # type: ignore[misc]
    writer_base.ACKNOWLEDGE_TIMEOUT_SECONDS = PATIENCE_SECONDS  # type: ignore[misc]
    streaming.SILENCE_SECONDS = PATIENCE_SECONDS  # type: ignore[misc]
    streaming.REPLY_INTERVAL_SECONDS = PATIENCE_SECONDS / 2  # type: ignore[misc]
    control_store.QUERY_TIMEOUT_SECONDS = PATIENCE_SECONDS  # type: ignore[misc]
    # How long Postgres keeps the slot for a session that it can't know to be over.
    connection.SESSION_SETTINGS["wal_sender_timeout"] = f"{PATIENCE_SECONDS:g}s"
    connection.NETWORK_DEFAULTS["connect_timeout"] = str(round(PATIENCE_SECONDS))
    session.START_TIMEOUT_SECONDS = PATIENCE_SECONDS  # type: ignore[assignment]
    worker.LAST_DELAY_SECONDS = 0.5  # type: ignore[misc]
    request, flush = NatsConnection.request, NatsConnection.flush
    request.__kwdefaults__ = {**(request.__kwdefaults__ or {}), "timeout_seconds": PATIENCE_SECONDS}
    flush.__defaults__ = (PATIENCE_SECONDS,)


if __name__ == "__main__":
    be_hasty()
    main()
