"""Reads a replication session in tests, as decoded messages."""

from __future__ import annotations

from pgstream_relay.pgoutput.decoder import decode_message
from pgstream_relay.pgoutput.messages import Begin, Commit, Insert, Message
from pgstream_relay.pgoutput.walsender import XLOGDATA, XLOGDATA_HEADER_SIZE, Keepalive, decode_walsender
from pgstream_relay.runtime.replication import Batch, ReplicationSession

READ_BYTES = 1 << 16


def decode_batch(batch: Batch) -> list[Message]:
    """The pgoutput messages of a batch, without keepalives."""
    return [decode_message(payload, XLOGDATA_HEADER_SIZE) for payload in batch if payload[0] == XLOGDATA]


async def read_transactions(session: ReplicationSession, count: int) -> list[Message]:
    """Reads on until `count` transactions are complete. Empty ones, which PostgreSQL 14 sends, are left out."""
    messages: list[Message] = []
    complete = 0
    while complete < count:
        for message in decode_batch(await session.read(READ_BYTES)):
            if not isinstance(message, Commit):
                messages.append(message)
            elif isinstance(messages[-1], Begin):
                messages.pop()
            else:
                messages.append(message)
                complete += 1
    return messages


async def read_keepalive(session: ReplicationSession) -> Keepalive:
    """Reads on until a keepalive arrives; what comes before it is dropped."""
    while True:
        for payload in await session.read(READ_BYTES):
            header = decode_walsender(payload)
            if isinstance(header, Keepalive):
                return header


def inserted(messages: list[Message]) -> list[bytes]:
    """The first column of each Insert."""
    return [message.new[0] for message in messages if isinstance(message, Insert) and isinstance(message.new[0], bytes)]
