"""What a relay that died had written of a snapshot, and not noted: it is read from the stream, and not written again.

The notes in `pgstream.snapshots.position` name the stream's last sequence at their time. Every event of the snapshot
behind it was written after them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final

from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import NO_MESSAGE_FOUND, STREAM_NOT_FOUND, JetStreamRefused

_SNAPSHOT: Final = "pgstream-snapshot"


@dataclass(slots=True)
class Written:
    """Keys (see `event_key`) of rows, marks, and the highest number among them."""

    keys: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    last_number: int = 0


async def read_written(
    connection: NatsConnection, stream: str, subject: str, behind: int, snapshot_id: int, key: tuple[str, ...]
) -> Written:
    """The snapshot's events on `subject` behind sequence `behind`. Raises NatsError."""
    written = Written()
    sequence = behind
    while True:
        try:
            answer = await connection.api(f"STREAM.MSG.GET.{stream}", {"seq": sequence + 1, "next_by_subj": subject})
        except JetStreamRefused as error:
            if error.err_code in (NO_MESSAGE_FOUND, STREAM_NOT_FOUND):
                return written
            raise
        message = answer["message"]
        sequence = int(message["seq"])
        headers = _headers(base64.b64decode(message.get("hdrs") or ""))
        if headers.get(_SNAPSHOT) != str(snapshot_id):
            continue
        if (mark := headers.get("pgstream-mark")) is not None:
            written.marks.add(mark)
            continue
        written.last_number = max(written.last_number, int(headers["pgstream-seq"]))
        written.keys.add(_key(base64.b64decode(message.get("data") or ""), headers.get("pgstream-key", ""), key))


async def read_end(connection: NatsConnection, stream: str, subject: str, behind: int, snapshot_id: int) -> int | None:
    """The rows that the snapshot's mark `end` tells, where it is the first on `subject` behind sequence `behind`.

    Raises NatsError.
    """
    try:
        answer = await connection.api(f"STREAM.MSG.GET.{stream}", {"seq": behind + 1, "next_by_subj": subject})
    except JetStreamRefused as error:
        if error.err_code in (NO_MESSAGE_FOUND, STREAM_NOT_FOUND):
            return None
        raise
    headers = _headers(base64.b64decode(answer["message"].get("hdrs") or ""))
    if headers.get(_SNAPSHOT) != str(snapshot_id) or headers.get("pgstream-mark") != "end":
        return None
    return int(headers["pgstream-rows"])


def event_key(event: EncodedEvent, key: tuple[str, ...]) -> str:
    """What tells an event's row from others of its table."""
    _, headers, payload = event
    return _key(payload, _headers(b"\r\n" + headers).get("pgstream-key", ""), key)


def _key(payload: bytes, key_header: str, key: tuple[str, ...]) -> str:
    # Numbers as they are written: a float would make two keys one.
    document: dict[str, Any] = json.loads(payload, parse_int=str, parse_float=str)
    after = document["data"]["after"]
    # An event that was too large has no data, but the header.
    return json.dumps([after[name] for name in key]) if after is not None else key_header


def _headers(block: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in block.decode("ascii", "replace").split("\r\n")[1:])
    return {name.lower(): value.strip() for name, separator, value in lines if separator}
