"""Events as the pipeline makes them, and streams read back whole: for tests of what stands between."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from nats.aio.msg import Msg

from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.event.ulid import format_id
from pgstream_relay.pgoutput.lsn import format_lsn
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.publisher.desired_stream import DesiredStream
from tests.support.waiting import eventually

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
    numbers: list[int | None] = []

    async def receive(message: Msg) -> None:
        try:
            numbers.append(json.loads(message.data)["number"])
        except ValueError:
            numbers.append(None)

    messages = (await connection.api(f"STREAM.INFO.{stream}"))["state"]["messages"]
    inbox = connection.new_inbox()
    subscription = await connection.subscribe(inbox, receive)
    consumer = {"deliver_subject": inbox, "deliver_policy": "all", "ack_policy": "none", "mem_storage": True}
    await connection.api(f"CONSUMER.CREATE.{stream}", {"stream_name": stream, "config": consumer})
    await eventually(lambda: len(numbers) >= messages)
    await subscription.unsubscribe()
    return numbers
