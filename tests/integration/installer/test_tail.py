"""`pgstream tail`: live events of both kinds, and what the streams hold."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator

import nats as nats_client
import pytest
from nats.aio.client import Client

from pgstream_installer.configuration import NatsOptions
from pgstream_installer.embedded import EmbeddedNats, free_port
from pgstream_installer.render import Event
from pgstream_installer.tail import Tail
from tests.integration.installer.conftest import Pgstream


@pytest.fixture
def prefix() -> str:
    """First token of this test's subjects, and the name of its stream."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
async def client(nats: EmbeddedNats) -> AsyncIterator[Client]:
    async with contextlib.AsyncExitStack() as stack:
        connection = await nats_client.connect(nats.url)
        stack.push_async_callback(connection.close)
        yield connection


def envelope(number: int) -> bytes:
    data = {"before": None, "after": {"id": number}, "diff": None}
    document = {"id": f"E{number}", "database": "d", "schema": "public", "table": "t", "operation": "insert"}
    return json.dumps({**document, "data": data, "timestamp": "2026-11-22T09:45:10.123456+00:00"}).encode()


async def publish(client: Client, subject: str, number: int, *, stored: bool = False) -> None:
    headers = {"Pgstream-Version": "1", "Nats-Msg-Id": f"{subject}-{number}"}
    if stored:
        await client.jetstream().publish(subject, envelope(number), headers=headers)
    else:
        await client.publish(subject, envelope(number), headers=headers)


async def take(tail: Tail, count: int) -> list[str]:
    events: list[Event] = []
    async for event in tail.events():
        events.append(event)
        if len(events) == count:
            break
    return [str(event.document["id"]) for event in events]


async def test_it_shows_both_kinds_and_passes_over_what_is_not_ours(
    nats: EmbeddedNats, client: Client, prefix: str
) -> None:
    await client.jetstream().add_stream(name=prefix, subjects=[f"{prefix}.stored.>"])
    tail = Tail(client, NatsOptions(servers=(nats.url,)), [f"{prefix}.>"])
    await tail.subscribe()

    await publish(client, f"{prefix}.stored.insert", 1, stored=True)
    await client.publish(f"{prefix}.stranger", b"not an event")
    await publish(client, f"{prefix}.plain.insert", 2)

    assert await take(tail, 2) == ["E1", "E2"]


async def test_what_a_stream_delivers_to_others_is_not_shown_again(
    nats: EmbeddedNats, client: Client, prefix: str
) -> None:
    await client.jetstream().add_stream(name=prefix, subjects=[f"{prefix}.stored.>"])
    tail = Tail(client, NatsOptions(servers=(nats.url,)))
    await tail.subscribe()

    await publish(client, f"{prefix}.stored.insert", 1, stored=True)
    for _ in range(2):
        other = await client.jetstream().subscribe(f"{prefix}.stored.>", ordered_consumer=True)
        await other.next_msg(timeout=10)
        await other.unsubscribe()
    await publish(client, f"{prefix}.plain.insert", 2)

    assert await take(tail, 2) == ["E1", "E2"]


async def test_since_reads_the_stream_then_goes_on_live_and_gives_nothing_twice(
    nats: EmbeddedNats, client: Client, prefix: str
) -> None:
    await client.jetstream().add_stream(name=prefix, subjects=[f"{prefix}.stored.>"])
    for number in (1, 2, 3):
        await publish(client, f"{prefix}.stored.insert", number, stored=True)
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    tail = Tail(client, NatsOptions(servers=(nats.url,)), [f"{prefix}.>"], since=begin)

    await tail.subscribe()

    assert await take(tail, 3) == ["E1", "E2", "E3"]
    await publish(client, f"{prefix}.stored.insert", 4, stored=True)
    assert await take(tail, 1) == ["E4"]
    await publish(client, f"{prefix}.plain.insert", 5)
    assert await take(tail, 1) == ["E5"]


async def test_since_leaves_out_what_is_older(nats: EmbeddedNats, client: Client, prefix: str) -> None:
    await client.jetstream().add_stream(name=prefix, subjects=[f"{prefix}.stored.>"])
    await publish(client, f"{prefix}.stored.insert", 1, stored=True)
    info = await client.jetstream().stream_info(prefix)
    assert info.state.messages == 1
    await asyncio.sleep(0.01)
    begin = datetime.datetime.now(datetime.UTC)
    await publish(client, f"{prefix}.stored.insert", 2, stored=True)
    tail = Tail(client, NatsOptions(servers=(nats.url,)), [f"{prefix}.>"], since=begin)

    await tail.subscribe()

    assert await take(tail, 1) == ["E2"]


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`pgstream tail` as its own process, once it listens."""
    command = [sys.executable, "-u", "-m", "pgstream_installer.cli", "tail", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "listening" in process.stderr.readline()
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


async def test_the_command_prints_events_as_json_lines_and_leaves_on_ctrl_c(
    nats: EmbeddedNats, client: Client, prefix: str
) -> None:
    with running("--json", "--nats", nats.url, f"{prefix}.>") as process:
        await publish(client, f"{prefix}.plain.insert", 7)
        await client.flush()
        assert process.stdout is not None
        line = json.loads(await asyncio.to_thread(process.stdout.readline))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()

    assert line["id"] == "E7"
    assert line["subject"] == f"{prefix}.plain.insert"
    assert line["headers"]["Pgstream-Version"] == "1"
    assert (process.returncode, err) == (0, "")


async def test_the_command_prints_lines_for_people(nats: EmbeddedNats, client: Client, prefix: str) -> None:
    with running("--nats", nats.url, f"{prefix}.>") as process:
        await publish(client, f"{prefix}.plain.insert", 7)
        await client.flush()
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)

    assert line == "09:45:10.123 insert   public.t  id: 7\n"


def test_without_a_server_and_with_a_time_that_is_none(pgstream: Pgstream) -> None:
    assert pgstream("tail", "--nats", f"nats://127.0.0.1:{free_port()}").code == 69
    assert pgstream("tail", "--since", "yesterday-ish").code == 2


def test_a_server_that_refuses_us(pgstream: Pgstream) -> None:
    with EmbeddedNats(config='authorization { user: "relay", password: "right" }') as server:
        ran = pgstream("tail", "--nats", server.url)

    assert ran.code == 77
    assert "hint:" in ran.err
