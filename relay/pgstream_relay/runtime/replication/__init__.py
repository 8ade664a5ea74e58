"""The walsender session: a slot's changes as raw payloads, and the confirmation of what may be forgotten."""

from pgstream_relay.runtime.postgres_errors import (
    PublicationMissing,
    ServerUnavailable,
    SlotActive,
    SlotLost,
    SlotMissing,
    StreamEnded,
)
from pgstream_relay.runtime.replication.identity import SystemIdentity
from pgstream_relay.runtime.replication.session import Batch, ReplicationSession

__all__ = [
    "Batch",
    "PublicationMissing",
    "ReplicationSession",
    "ServerUnavailable",
    "SlotActive",
    "SlotLost",
    "SlotMissing",
    "StreamEnded",
    "SystemIdentity",
]
