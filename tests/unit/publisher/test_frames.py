"""Frames, byte by byte."""

from __future__ import annotations

import pytest

from pgstream_relay.runtime.publisher.frames import (
    CHAINED_OVERHEAD_BYTES,
    FrameTooLarge,
    batch_frames,
    chained_frames,
    check_sizes,
    end_of_batch,
    event_id,
    plain_frames,
    single_frame,
)
from pgstream_relay.runtime.publisher.writer_base import CHUNK_BYTES_MAX, chunks

EVENTS = [
    (b"a.b", b"Nats-Msg-Id: ONE\r\nX: y\r\n", b"{}"),
    (b"a.c", b"X: y\r\nNats-Msg-Id: TWO\r\n", b""),
]


def test_plain() -> None:
    assert plain_frames(EVENTS) == (
        b"HPUB a.b 36 38\r\nNATS/1.0\r\nNats-Msg-Id: ONE\r\nX: y\r\n\r\n{}\r\n"
        b"HPUB a.c 36 36\r\nNATS/1.0\r\nX: y\r\nNats-Msg-Id: TWO\r\n\r\n\r\n"
    )


def test_a_single_publish_expects_the_stream_where_it_stands() -> None:
    assert single_frame(EVENTS[0], 9, b"in.single") == (
        b"HPUB a.b in.single 68 70\r\nNATS/1.0\r\nNats-Msg-Id: ONE\r\nX: y\r\n"
        b"Nats-Expected-Last-Sequence: 9\r\n\r\n{}\r\n"
    )


def test_a_chain_links_by_sequence_and_id_and_its_last_message_asks_for_the_answer() -> None:
    first, second = chained_frames(EVENTS, 9, b"ZERO", b"in.single").split(b"{}\r\n")
    assert b"Nats-Expected-Last-Sequence: 9\r\nNats-Expected-Last-Msg-Id: ZERO\r\n\r\n" in first
    assert first.startswith(b"HPUB a.b 101 103\r\n")
    assert b"Nats-Expected-Last-Sequence: 10\r\nNats-Expected-Last-Msg-Id: ONE\r\n\r\n" in second
    assert second.startswith(b"HPUB a.c in.single 101 101\r\n")


def test_a_batch_says_everything_in_its_reply_subject() -> None:
    frames = batch_frames(EVENTS, 99, b"in.id.500.fail.", 1, start=True)
    assert frames.startswith(b"HPUB a.b in.id.500.fail.1.0.$FI 69 71\r\nNATS/1.0\r\n")
    assert b"HPUB a.c in.id.500.fail.2.1.$FI 70 70\r\nNATS/1.0\r\n" in frames
    assert b"Nats-Expected-Last-Sequence: 99\r\n\r\n{}\r\n" in frames
    assert frames.endswith(b"Nats-Expected-Last-Sequence: 100\r\n\r\n\r\n")
    appended = batch_frames(EVENTS, 101, b"in.id.500.fail.", 3, start=False)
    assert appended.startswith(b"HPUB a.b in.id.500.fail.3.1.$FI ")
    assert end_of_batch(b"a.c", b"in.id.500.fail.", 3) == b"PUB a.c in.id.500.fail.3.3.$FI 0\r\n\r\n"


@pytest.mark.parametrize("last_sequence", [0, 9, 99, 10**19])
def test_declared_sizes_are_the_real_ones(last_sequence: int) -> None:
    events = [EVENTS[0]] * 12
    for frames in (
        plain_frames(events),
        chained_frames(events, last_sequence, b"X" * 26, b"reply"),
        batch_frames(events, last_sequence, b"reply.", 8, start=True),
    ):
        rest = frames
        while rest:
            line, _, rest = rest.partition(b"\r\n")
            header_size, total = (int(number) for number in line.split()[-2:])
            assert rest[:header_size].startswith(b"NATS/1.0\r\n")
            assert rest[:header_size].endswith(b"\r\n\r\n")
            assert rest[header_size : total + 2] == b"{}\r\n"
            assert total - len(events[0][1]) - 2 <= CHAINED_OVERHEAD_BYTES
            rest = rest[total + 2 :]


def test_the_id_is_found_wherever_it_stands() -> None:
    assert [event_id(headers) for _, headers, _ in EVENTS] == [b"ONE", b"TWO"]
    with pytest.raises(ValueError, match="not found"):
        event_id(b"X: y\r\n")


def test_sizes() -> None:
    check_sizes(EVENTS, max_payload=1000, reply_bytes=100)
    body = len(EVENTS[0][1]) + 2 + CHAINED_OVERHEAD_BYTES
    check_sizes(EVENTS, max_payload=body, reply_bytes=100)
    with pytest.raises(FrameTooLarge):
        check_sizes(EVENTS, max_payload=body - 1, reply_bytes=100)
    with pytest.raises(FrameTooLarge):
        check_sizes([(b"s" * 4000, b"", b"")], max_payload=1000, reply_bytes=100)


def test_chunks_lose_nothing_and_stay_small() -> None:
    events = [(b"s", b"h", bytes(size % 9000)) for size in range(0, 1_000_000, 7919)]
    events.insert(60, (b"s", b"h", bytes(3 * CHUNK_BYTES_MAX)))
    parts = [list(chunk) for chunk in chunks(events, 3)]
    assert [event for part in parts for event in part] == events[3:]
    assert all(len(part) <= 50 for part in parts)
    assert all(len(part) == 1 or sum(len(event[2]) for event in part) <= CHUNK_BYTES_MAX for part in parts)
    assert list(chunks([])) == []
