"""Events as the pipeline makes them, and streams read back whole: for tests of what stands between."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from pgstream_relay.event.ulid import format_id
from pgstream_relay.pgoutput.lsn import format_lsn
from pgstream_relay.pipeline import EncodedEvent
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.publisher.desired_stream import DesiredStream

SOURCE = "7300000000000000001/16384"
OTHER_SOURCE = "7300000000000000001/16385"
FIRST_LSN = 0x16B3748


def make_event(
    number: int, prefix: str, *, size: int = 350, source: str = SOURCE, table: str = "orders"
) -> EncodedEvent:
    """Event `number`, from 1, each in a transaction of its own, on subject `<prefix>.public.<table>.insert`."""
    commit_lsn = FIRST_LSN + number * 64
    event_id = format_id(1_800_000_000_000 + number, 5, commit_lsn, 1)
    headers = (
        b"Nats-Msg-Id: %b\r\nContent-Type: application/json\r\nPgstream-Version: 1\r\n"
        b"Pgstream-Source: %b/1\r\nPgstream-Lsn: %b\r\nPgstream-Seq: 1\r\n"
        % (event_id, source.encode(), format_lsn(commit_lsn).encode())
    )
    payload = b'{"number":%d}' % number
    return f"{prefix}.public.{table}.insert".encode(), headers, payload + b" " * (size - len(payload))


def make_events(numbers: Iterable[int], prefix: str, **options: Any) -> list[EncodedEvent]:
    return [make_event(number, prefix, **options) for number in numbers]


def number_of(commit_lsn: int) -> int:
    """The inverse: which event a mark names."""
    return (commit_lsn - FIRST_LSN) // 64


def kept_stream(name: str, subjects: Sequence[str], **settings: Any) -> DesiredStream:
    return DesiredStream(name, kept=True, subjects=tuple(subjects), **settings)


async def stored_numbers(connection: NatsConnection, stream: str) -> list[int | None]:
    """The whole stream in order: each event's number, None for a message that is not one."""
    state = (await connection.api(f"STREAM.INFO.{stream}"))["state"]
    numbers: list[int | None] = []
    for start in range(state["first_seq"], state["last_seq"] + 1, 200):
        wanted = range(start, min(start + 200, state["last_seq"] + 1))
        numbers += [
            number
            for answer in await asyncio.gather(*(_message(connection, stream, sequence) for sequence in wanted))
            for number in answer
        ]
    return numbers


async def _message(connection: NatsConnection, stream: str, sequence: int) -> list[int | None]:
    answer = json.loads(
        await connection.request(f"$JS.API.STREAM.MSG.GET.{stream}", json.dumps({"seq": sequence}).encode())
    )
    if "error" in answer:
        return []
    data = base64.b64decode(answer["message"].get("data") or "")
    try:
        return [json.loads(data)["number"]]
    except (ValueError, KeyError, TypeError):
        return [None]
