"""Who drains the backlog. A new peer is a module with a class that has Peer's `name` and `drain`, listed here."""

from __future__ import annotations

from bench.peers.debezium import DebeziumJetStream, DebeziumNowhere
from bench.peers.peer import Drain, Peer
from bench.peers.pg_recvlogical import PgRecvlogical
from bench.peers.pgstream import Pgstream

LIMIT = PgRecvlogical("pg_recvlogical, TCP")
"""Everybody else's rate is also shown as a share of this one's in the same round: it is what walsender can give."""

OURS = Pgstream()

PEERS: tuple[Peer, ...] = (LIMIT, PgRecvlogical("pg_recvlogical, unix socket", unix_socket=True), OURS)

DEBEZIUM: tuple[Peer, ...] = (DebeziumNowhere(), DebeziumJetStream())
"""They take part where the machine has Debezium. One that fails does not end the benchmark."""

__all__ = ["DEBEZIUM", "LIMIT", "OURS", "PEERS", "Drain", "Peer"]
