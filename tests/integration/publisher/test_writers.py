"""Both writers keep order and exactness, and say the truth about what is stored, on every supported server."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from pgstream_installer.embedded import EmbeddedNats
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import PublishInterrupted, StreamMissing
from pgstream_relay.runtime.publisher import fast_ingest
from pgstream_relay.runtime.publisher.chained import ChainedWriter
from pgstream_relay.runtime.publisher.frames import FrameTooLarge
from pgstream_relay.runtime.publisher.mark import StreamPosition, read_position
from pgstream_relay.runtime.publisher.stream_info import FAST_INGEST_VERSION, StreamInfo
from pgstream_relay.runtime.publisher.streams import ensure_stream
from pgstream_relay.runtime.publisher.writer import open_writer
from tests.integration.publisher.conftest import Connect
from tests.support.nats_versions import FAST_INGEST_VERSIONS, VERSIONS, nats_server
from tests.support.streams import SOURCE, kept_stream, make_event, make_events, number_of, stored_numbers
from tests.support.waiting import eventually

TRIALS = [*((version, "best") for version in VERSIONS), *((version, "single") for version in FAST_INGEST_VERSIONS)]
"""`best` is what the relay takes for its own streams; `single` one event at a time, for others on newer servers."""

each_trial = pytest.mark.parametrize(("any_nats", "kind"), TRIALS, indirect=["any_nats"])


async def make_stream(connection: NatsConnection, name: str, **settings: object) -> StreamInfo:
    info = await ensure_stream(connection, kept_stream(name, [f"{name}.>"], **settings), SOURCE)
    assert info is not None
    return info


async def open_kind(kind: str, connection: NatsConnection, info: StreamInfo, last_sequence: int) -> ChainedWriter:
    if kind == "best":
        writer = await open_writer(connection, info, last_sequence)
        assert isinstance(writer, ChainedWriter)
        return writer
    single = ChainedWriter(connection, info.name, last_sequence, pipelined=False)
    await single.open()
    return single


async def position_at(connection: NatsConnection, stream: str, sequence: int) -> StreamPosition:
    """Waits until the stream has that many messages: a PONG says only that the server has read them."""

    async def arrived() -> StreamPosition | None:
        position = await read_position(connection, stream, SOURCE)
        return position if position.last_sequence >= sequence else None

    position = await eventually(arrived)
    assert position is not None
    return position


async def publish_all(writer: ChainedWriter, numbers: range, prefix: str) -> None:
    await writer.publish(make_events(numbers, prefix))
    await writer.settle()


@each_trial
async def test_groups_of_all_sizes_are_stored_in_order(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str
) -> None:
    connection = await connect_to(any_nats)
    writer = await open_kind(kind, connection, await make_stream(connection, stream_name), 0)
    number = 1
    for index, size in enumerate((1, 1, 5, 6, 49, 50, 51, 3, 700, 2, 1, 1300, 1, 60, 4)):
        await writer.publish(make_events(range(number, number + size), stream_name))
        number += size
        if index % 2:
            await writer.settle()
            assert writer.acknowledged == writer.sent == number - 1
    await writer.settle()
    await writer.settle()
    assert await stored_numbers(connection, stream_name) == list(range(1, number))


@each_trial
async def test_many_events_are_exact(any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str) -> None:
    connection = await connect_to(any_nats)
    writer = await open_kind(kind, connection, await make_stream(connection, stream_name), 0)
    total = 5_000 if kind == "single" else 50_000
    for start in range(1, total + 1, 250):
        await writer.publish(make_events(range(start, start + 250), stream_name))
        assert writer.acknowledged <= writer.sent
    assert writer.acknowledged >= total - 4000  # long before the end is settled
    await writer.settle()
    assert await stored_numbers(connection, stream_name) == list(range(1, total + 1))


@pytest.mark.parametrize(("version", "kind"), TRIALS)
async def test_resumes_from_the_mark_after_a_killed_server(
    connect_to: Connect, stream_name: str, kind: str, version: str
) -> None:
    total, kills, acknowledged = 12_000, 0, 0
    with EmbeddedNats(binary=nats_server(version)) as server:
        while acknowledged < total:
            connection = await connect_to(server)
            info = await make_stream(connection, stream_name)
            position = await read_position(connection, stream_name, SOURCE)
            stored = number_of(position.mark.commit_lsn) if position.mark else 0
            assert stored >= acknowledged
            writer = await open_kind(kind, connection, info, position.last_sequence)
            with contextlib.suppress(PublishInterrupted):
                for start in range(stored + 1, total + 1, 100):
                    await writer.publish(make_events(range(start, min(start + 100, total + 1)), stream_name))
                    if kills < 2 and start > stored + 4000:
                        kills += 1
                        server.kill()
                        server.start()
                await writer.settle()
            assert writer.failure is None or (writer.failure.retryable and writer.failure.reason == "lost")
            acknowledged = stored + writer.acknowledged
        assert kills == 2
        assert await stored_numbers(connection, stream_name) == list(range(1, total + 1))


@pytest.mark.parametrize("settled", [True, False])
@each_trial
async def test_a_foreign_message_makes_no_hole(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str, settled: bool
) -> None:
    """It takes the place of one event, and the count fits again for the next one, which must not be stored."""
    connection, other = await connect_to(any_nats), await connect_to(any_nats)
    info = await make_stream(connection, stream_name)
    writer = await open_kind(kind, connection, info, 0)
    await publish_all(writer, range(1, 101), stream_name)
    if not settled:
        await writer.publish(make_events(range(101, 151), stream_name))
        await position_at(other, stream_name, 150)
    await other.request(f"{stream_name}.foreign")
    with pytest.raises(PublishInterrupted) as caught:
        await publish_all(writer, range(writer.sent + 1, 501), stream_name)
    assert caught.value.reason == "fenced"
    await connection.flush()
    position = await read_position(connection, stream_name, SOURCE)
    before = 100 if settled else 150
    assert position.last_sequence == before + 1
    assert position.mark is not None
    assert number_of(position.mark.commit_lsn) == before
    assert writer.acknowledged <= before

    writer = await open_kind(kind, connection, info, position.last_sequence)
    await publish_all(writer, range(before + 1, 501), stream_name)
    assert await stored_numbers(connection, stream_name) == [*range(1, before + 1), None, *range(before + 1, 501)]


@each_trial
async def test_foreign_messages_under_load_make_no_hole(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str
) -> None:
    connection, other = await connect_to(any_nats), await connect_to(any_nats)
    info = await make_stream(connection, stream_name)
    total, stored, interruptions = 6_000, 0, 0
    while stored < total:
        position = await read_position(connection, stream_name, SOURCE)
        stored = number_of(position.mark.commit_lsn) if position.mark else 0
        writer = await open_kind(kind, connection, info, position.last_sequence)
        with contextlib.suppress(PublishInterrupted):
            for start in range(stored + 1, total + 1, 100):
                await writer.publish(make_events(range(start, min(start + 100, total + 1)), stream_name))
                if start > stored + 500 and interruptions < 6:
                    interruptions += 1
                    for _ in range(interruptions):
                        await other.client.publish(f"{stream_name}.foreign", b"")
                    await other.flush()
            await writer.settle()
            stored = total
        await writer.close()
    numbers = await stored_numbers(connection, stream_name)
    assert [number for number in numbers if number is not None] == list(range(1, total + 1))


@each_trial
async def test_a_frozen_writer_adds_nothing_behind_its_successor(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str
) -> None:
    """Also when JetStream has forgotten the ids: the window is shorter than the freeze."""
    first, second = await connect_to(any_nats), await connect_to(any_nats)
    info = await make_stream(first, stream_name, duplicate_window_seconds=0.1)
    frozen = await open_kind(kind, first, info, 0)
    await frozen.publish(make_events(range(1, 101), stream_name))
    # A batch, where there is one, stays open: nothing is settled.
    await frozen.publish(make_events(range(101, 201), stream_name))
    position = await position_at(second, stream_name, 200)
    successor = await open_kind(kind, second, info, position.last_sequence)
    await publish_all(successor, range(201, 301), stream_name)
    await asyncio.sleep(0.5)  # the window passes: ids protect nothing any more

    with pytest.raises(PublishInterrupted) as caught:
        await publish_all(frozen, range(201, 401), stream_name)
    assert caught.value.reason == "fenced"
    await first.flush()
    numbers = await stored_numbers(second, stream_name)
    if first.server_version < FAST_INGEST_VERSION:
        # What it had sent before the refusal came may go on exactly where the successor stands: never a hole.
        assert numbers == list(range(1, len(numbers) + 1))
    else:
        assert numbers == list(range(1, 301))
    with pytest.raises(PublishInterrupted):
        await frozen.publish(make_events([301], stream_name))


@each_trial
async def test_a_full_stream_refuses_and_goes_on_when_mended(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str
) -> None:
    connection = await connect_to(any_nats)
    info = await make_stream(connection, stream_name, max_bytes=100_000, discard="new")
    reasons = []
    for _ in range(2):  # the first may be told by a later event of the chain, the second is told by the first event
        position = await read_position(connection, stream_name, SOURCE)
        stored = number_of(position.mark.commit_lsn) if position.mark else 0
        writer = await open_kind(kind, connection, info, position.last_sequence)
        with pytest.raises(PublishInterrupted) as caught:
            await publish_all(writer, range(stored + 1, 1001), stream_name)
        assert caught.value.retryable
        reasons.append(caught.value.reason)
        await writer.close()
    assert reasons[1] == "full"
    assert "max_bytes" in str(caught.value.hint)

    info = await make_stream(connection, stream_name, max_bytes=None, discard="new")
    position = await read_position(connection, stream_name, SOURCE)
    assert position.mark is not None
    stored = number_of(position.mark.commit_lsn)
    writer = await open_kind(kind, connection, info, position.last_sequence)
    await publish_all(writer, range(stored + 1, 1001), stream_name)
    assert await stored_numbers(connection, stream_name) == list(range(1, 1001))


@each_trial
async def test_a_deleted_stream_is_told_at_once(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str
) -> None:
    connection = await connect_to(any_nats)
    writer = await open_kind(kind, connection, await make_stream(connection, stream_name), 0)
    await writer.publish(make_events(range(1, 200), stream_name))
    await connection.api(f"STREAM.DELETE.{stream_name}")
    with pytest.raises(PublishInterrupted) as caught:
        await publish_all(writer, range(200, 400), stream_name)
    assert caught.value.reason in ("missing", "expired", "timeout")
    assert caught.value.retryable
    with pytest.raises(StreamMissing):
        await read_position(connection, stream_name, SOURCE)


@each_trial
async def test_events_deleted_within_the_window_do_not_make_it_loop(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str
) -> None:
    """The mark no longer shows them, JetStream refuses their ids: they count as acknowledged, the rest is stored."""
    connection = await connect_to(any_nats)
    info = await make_stream(connection, stream_name)
    writer = await open_kind(kind, connection, info, 0)
    await publish_all(writer, range(1, 101), stream_name)
    await writer.close()
    for sequence in range(81, 101):
        await connection.api(f"STREAM.MSG.DELETE.{stream_name}", {"seq": sequence})
    position = await read_position(connection, stream_name, SOURCE)
    assert position.last_sequence == 100
    assert position.mark is not None
    assert number_of(position.mark.commit_lsn) == 80

    writer = await open_kind(kind, connection, info, position.last_sequence)
    await publish_all(writer, range(81, 301), stream_name)
    assert writer.acknowledged == writer.sent == 220
    assert writer.duplicates == 20
    assert await stored_numbers(connection, stream_name) == [*range(1, 81), *range(101, 301)]


@each_trial
async def test_a_duplicate_in_mid_stream_ends_the_writer(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str
) -> None:
    connection = await connect_to(any_nats)
    writer = await open_kind(kind, connection, await make_stream(connection, stream_name), 0)
    await writer.publish(make_events(range(1, 101), stream_name))
    with pytest.raises(PublishInterrupted) as caught:
        await publish_all(writer, range(100, 200), stream_name)
    assert caught.value.reason in ("duplicate", "fenced")
    writer = await open_kind(kind, connection, await make_stream(connection, stream_name), 100)
    await writer.publish(make_events([101], stream_name))
    with pytest.raises(PublishInterrupted) as caught:
        await publish_all(writer, range(7, 8), stream_name)
    assert caught.value.reason == "duplicate"
    assert await stored_numbers(connection, stream_name) == list(range(1, 102))


@each_trial
async def test_a_purged_stream_goes_on(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str
) -> None:
    connection = await connect_to(any_nats)
    info = await make_stream(connection, stream_name)
    writer = await open_kind(kind, connection, info, 0)
    await publish_all(writer, range(1, 101), stream_name)
    await connection.api(f"STREAM.PURGE.{stream_name}")
    position = await read_position(connection, stream_name, SOURCE)
    assert (position.last_sequence, position.mark) == (100, None)
    with contextlib.suppress(PublishInterrupted):  # an older server forgets the last id with the messages
        await publish_all(writer, range(101, 201), stream_name)
    if writer.failure is not None:
        writer = await open_kind(kind, connection, info, position.last_sequence)
        await publish_all(writer, range(101, 201), stream_name)
    assert await stored_numbers(connection, stream_name) == list(range(101, 201))


@each_trial
async def test_large_events_do_not_stall_the_window(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str, kind: str
) -> None:
    connection = await connect_to(any_nats)
    writer = await open_kind(kind, connection, await make_stream(connection, stream_name), 0)
    for start in range(1, 61, 20):
        await writer.publish(make_events(range(start, start + 20), stream_name, size=900_000))
    await writer.settle()
    assert await stored_numbers(connection, stream_name) == list(range(1, 61))


async def test_what_the_server_would_close_for_is_refused_before_it_is_sent(
    nats: EmbeddedNats, connect_to: Connect, stream_name: str
) -> None:
    connection = await connect_to(nats)
    writer = await open_kind("best", connection, await make_stream(connection, stream_name), 0)
    fits = make_event(1, stream_name, size=connection.max_payload - 300)
    with pytest.raises(FrameTooLarge):
        await writer.publish([fits, make_event(2, stream_name, size=connection.max_payload)])
    with pytest.raises(FrameTooLarge):
        await writer.publish([(f"{stream_name}.{'x' * 4100}".encode(), *make_event(1, stream_name)[1:])])
    await writer.publish([fits])
    await writer.settle()
    assert connection.failure is None


async def test_an_open_batch_is_ended_before_the_server_drops_it(
    nats: EmbeddedNats, connect_to: Connect, stream_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_ingest, "IDLE_SECONDS_MAX", 0.05)
    connection = await connect_to(nats)
    writer = await open_kind("best", connection, await make_stream(connection, stream_name), 0)
    await writer.publish(make_events(range(1, 31), stream_name))
    await eventually(lambda: writer.acknowledged == 30)
    await writer.publish(make_events(range(31, 61), stream_name))
    await connection.api(f"STREAM.DELETE.{stream_name}")
    await eventually(lambda: writer.failure is not None)  # told to nobody yet
    with pytest.raises(PublishInterrupted):
        await writer.settle()


@pytest.mark.parametrize("kind", ["best", "single"])
async def test_a_refused_subject_is_told_at_once(connect_to: Connect, stream_name: str, kind: str) -> None:
    permissions = f'publish: ["{stream_name}.allowed.>", "$JS.API.>"], subscribe: ["_INBOX.>"]'
    config = f"authorization {{ users = [{{ user: u, password: p, permissions: {{ {permissions} }} }}] }}"
    with EmbeddedNats(config=config) as server:
        connection = await connect_to(server, user="u", password="p")
        info = await make_stream(connection, stream_name)
        writer = await open_kind(kind, connection, info, 0)
        await publish_all(writer, range(1, 101), f"{stream_name}.allowed")
        with pytest.raises(PublishInterrupted) as caught:
            await publish_all(writer, range(101, 201), f"{stream_name}.denied")
        assert (caught.value.reason, caught.value.retryable) == ("denied", False)
        assert f"{stream_name}.denied".lower() in caught.value.message
        assert caught.value.hint
        assert await stored_numbers(connection, stream_name) == list(range(1, 101))
