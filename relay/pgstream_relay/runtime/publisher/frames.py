"""Protocol frames for encoded events, built many at a time: the hot path of publishing. Pure.

A frame is `HPUB <subject> [reply] <header bytes> <total bytes>`, the header block, the payload. Every frame for a
stream carries the sequence that the stream must have when it arrives (law 6); the server refuses it otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pgstream_relay.event.encoded import EncodedEvent

HEADER_START: Final = b"NATS/1.0\r\n"
EXPECTED: Final = b"Nats-Expected-Last-Sequence: "
PLAIN_OVERHEAD_BYTES: Final = len(HEADER_START) + len(b"\r\n")
CHAINED_OVERHEAD_BYTES: Final = (
    PLAIN_OVERHEAD_BYTES + len(EXPECTED) + 20 + 2 + len("Nats-Expected-Last-Msg-Id: ") + 26 + 2
)
"""What a writer adds to headers and payload at most; together they must stay within the server's max_payload."""
CONTROL_LINE_BYTES_MAX: Final = 4096
_ID: Final = b"Nats-Msg-Id: "
_CONTROL_LINE_REST: Final = 64
"""`HPUB`, spaces, two sizes and a batch's tokens behind the reply prefix."""


class FrameTooLarge(ValueError):
    """An event that the server would end the connection for. Whoever encodes events must not let one come so far."""


def check_sizes(events: Sequence[EncodedEvent], *, max_payload: int, reply_bytes: int) -> None:
    """Raises FrameTooLarge. Done before the first frame of `events` is sent."""
    subject_max = CONTROL_LINE_BYTES_MAX - _CONTROL_LINE_REST - reply_bytes
    body_max = max_payload - CHAINED_OVERHEAD_BYTES
    for subject, headers, payload in events:
        if len(headers) + len(payload) > body_max or len(subject) > subject_max:
            raise FrameTooLarge(
                f"an event of {len(headers) + len(payload)} bytes with a subject of {len(subject)} is too large for "
                f"NATS (at most {body_max} and {subject_max})"
            )


def plain_frames(events: Sequence[EncodedEvent]) -> bytes:
    """Without reply or expectation, for plain NATS."""
    return b"".join(
        [
            b"HPUB %b %d %d\r\nNATS/1.0\r\n%b\r\n%b\r\n"
            % (subject, (size := len(headers) + PLAIN_OVERHEAD_BYTES), size + len(payload), headers, payload)
            for subject, headers, payload in events
        ]
    )


def single_frame(event: EncodedEvent, last_sequence: int, reply: bytes) -> bytes:
    """One publish that expects the stream to stand at `last_sequence` and asks for an acknowledgement."""
    subject, headers, payload = event
    expected = b"%bNats-Expected-Last-Sequence: %d\r\n" % (headers, last_sequence)
    size = len(expected) + PLAIN_OVERHEAD_BYTES
    return b"HPUB %b %b %d %d\r\nNATS/1.0\r\n%b\r\n%b\r\n" % (
        subject, reply, size, size + len(payload), expected, payload,
    )  # fmt: skip


def chained_frames(events: Sequence[EncodedEvent], last_sequence: int, last_id: bytes, reply: bytes) -> bytes:
    """Single publishes, each expecting its predecessor by sequence and by id; the last one alone asks for an answer.

    One answer speaks for all: a message is stored only right behind the one before it. The sequence alone would not
    do: a foreign message in mid-chain has the next event refused, and the one after that stored, as the count fits
    again. `last_sequence` and `last_id` are of the message before the first event.
    """
    final = len(events) - 1
    parts: list[bytes] = []
    for index, (subject, headers, payload) in enumerate(events):
        expected = b"Nats-Expected-Last-Sequence: %d\r\nNats-Expected-Last-Msg-Id: %b\r\n" % (
            last_sequence + index, last_id,
        )  # fmt: skip
        last_id = event_id(headers)
        size = PLAIN_OVERHEAD_BYTES + len(headers) + len(expected)
        answer_to = reply + b" " if index == final else b""
        parts.append(
            b"HPUB %b %b%d %d\r\nNATS/1.0\r\n%b%b\r\n%b\r\n"
            % (subject, answer_to, size, size + len(payload), headers, expected, payload)
        )
    return b"".join(parts)


def event_id(headers: bytes) -> bytes:
    """The value of `Nats-Msg-Id`. Raises ValueError where there is none."""
    start = headers.index(_ID) + len(_ID)
    return headers[start : headers.index(b"\r", start)]


def batch_frames(
    events: Sequence[EncodedEvent], last_sequence: int, reply_prefix: bytes, batch_sequence: int, *, start: bool
) -> bytes:
    """Fast-ingest frames: the reply subject is `<reply_prefix><batch sequence>.<operation>.$FI`.

    `batch_sequence` is that of the first event; `start`: it opens the batch.
    """
    digits = len(b"%d" % last_sequence)
    if start or digits != len(b"%d" % (last_sequence + len(events))):
        # The first frame, and those where the sequence gets longer, go alone; the others are alike.
        first = _batch_frame(events[0], last_sequence, reply_prefix, batch_sequence, start=start)
        if len(events) == 1:
            return first
        return first + batch_frames(events[1:], last_sequence + 1, reply_prefix, batch_sequence + 1, start=False)
    overhead = PLAIN_OVERHEAD_BYTES + len(EXPECTED) + 2 + digits
    lag = last_sequence - batch_sequence
    return b"".join(
        [
            b"HPUB %b %b%d.1.$FI %d %d\r\nNATS/1.0\r\n%bNats-Expected-Last-Sequence: %d\r\n\r\n%b\r\n"
            % (
                subject,
                reply_prefix,
                number,
                (size := overhead + len(headers)),
                size + len(payload),
                headers,
                number + lag,
                payload,
            )
            for number, (subject, headers, payload) in enumerate(events, batch_sequence)
        ]
    )


def _batch_frame(
    event: EncodedEvent, last_sequence: int, reply_prefix: bytes, batch_sequence: int, *, start: bool
) -> bytes:
    subject, headers, payload = event
    expected = b"%bNats-Expected-Last-Sequence: %d\r\n" % (headers, last_sequence)
    size = PLAIN_OVERHEAD_BYTES + len(expected)
    return b"HPUB %b %b%d.%d.$FI %d %d\r\nNATS/1.0\r\n%b\r\n%b\r\n" % (
        subject, reply_prefix, batch_sequence, 0 if start else 1, size, size + len(payload), expected, payload,
    )  # fmt: skip


def end_of_batch(subject: bytes, reply_prefix: bytes, batch_sequence: int) -> bytes:
    """Ends a batch without storing anything; `batch_sequence` is one more than the last event's."""
    return b"PUB %b %b%d.3.$FI 0\r\n\r\n" % (subject, reply_prefix, batch_sequence)
