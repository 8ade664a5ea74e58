"""A JetStream stream as its leader describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import STREAM_NOT_FOUND, JetStreamRefused

SOURCE_METADATA: Final = "pgstream_source"
"""Metadata: `<system identifier>/<database oid>` of the one database that the stream belongs to."""
ADOPTED_METADATA: Final = "pgstream_adopted_sequence"
"""Metadata, written when a stream is adopted: its last sequence then. Nothing of its new owner stands at or below."""
BORN_METADATA: Final = "pgstream_born"
"""Metadata, written when pgstream makes a stream: a random name for this one among all that ever bore its name."""

FAST_INGEST_VERSION: Final = (2, 14, 0)


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """`config` is the whole configuration in JetStream's own words, kept so that an update changes nothing else.

    `allow_batched`: fast-ingest batches are accepted. `max_message_bytes` None: only the server's max_payload counts.
    `created` tells a stream from one of the same name that was made after it was deleted: our own word for it where
    there is one, since before nats-server 2.14 an updated stream has another creation time after a restart.
    """

    name: str
    created: str
    first_sequence: int
    last_sequence: int
    messages: int
    config: Mapping[str, Any]

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(self.config.get("subjects") or ())

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.config.get("metadata") or {}

    @property
    def source(self) -> str | None:
        """Whose it is: `<system identifier>/<database oid>`, None where pgstream has not made it."""
        return self.metadata.get(SOURCE_METADATA)

    @property
    def adopted_sequence(self) -> int:
        text = self.metadata.get(ADOPTED_METADATA, "")
        return int(text) if text.isdecimal() else 0

    @property
    def allow_batched(self) -> bool:
        return bool(self.config.get("allow_batched"))

    @property
    def replicas(self) -> int:
        return int(self.config.get("num_replicas") or 1)

    @property
    def max_age_seconds(self) -> float:
        """0 is without limit."""
        return int(self.config.get("max_age") or 0) / 1e9

    @property
    def max_message_bytes(self) -> int | None:
        size = int(self.config.get("max_msg_size") or -1)
        return size if size > 0 else None


def parse_stream_info(answer: Mapping[str, Any]) -> StreamInfo:
    """From the answer to STREAM.INFO, CREATE or UPDATE."""
    state, config = answer["state"], answer["config"]
    return StreamInfo(
        name=config["name"],
        created=str((config.get("metadata") or {}).get(BORN_METADATA) or answer.get("created", "")),
        first_sequence=int(state["first_seq"]),
        last_sequence=int(state["last_seq"]),
        messages=int(state["messages"]),
        config=config,
    )


async def read_stream_info(connection: NatsConnection, name: str) -> StreamInfo | None:
    """From the stream's leader; None where there is no such stream. Raises NatsError."""
    try:
        return parse_stream_info(await connection.api(f"STREAM.INFO.{name}"))
    except JetStreamRefused as error:
        if error.err_code == STREAM_NOT_FOUND:
            return None
        raise
