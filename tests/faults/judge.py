"""Holds what a stream has against what it must have: nothing lost, twice or out of order, all values right."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from tests.faults.truth import Expected, Position, canonical, parse_exactly
from tests.support.nats_cluster import connected_to

SAMPLES: Final = 5
READ_TIMEOUT_SECONDS: Final = 600.0
API_TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Stored:
    """A message as it stands in a stream."""

    sequence: int
    subject: str
    headers: Mapping[str, str]
    payload: bytes


@dataclass
class StreamVerdict:
    """The counts of one stream. `problems` holds the first few of each kind in words."""

    stream: str
    expected: int
    stored: int = 0
    lost: int = 0
    twice: int = 0
    out_of_order: int = 0
    foreign: int = 0
    wrong: int = 0
    problems: list[str] = field(default_factory=list)
    _told: Counter[str] = field(default_factory=Counter)

    @property
    def passed(self) -> bool:
        return not (self.lost or self.twice or self.out_of_order or self.foreign or self.wrong)

    def count(self, kind: str, words: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self._told[kind] += 1
        if self._told[kind] <= SAMPLES:
            self.problems.append(f"{self.stream}: {kind}: {words}")

    def __str__(self) -> str:
        return (
            f"{self.stream}: {self.stored} stored of {self.expected}; {self.lost} lost, {self.twice} twice, "
            f"{self.out_of_order} out of order, {self.foreign} foreign, {self.wrong} wrong"
        )


@dataclass
class _Judge:
    """Takes the messages of a stream one after the other."""

    verdict: StreamVerdict
    expected: Mapping[Position, Expected]
    seen: set[Position] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    last: Position = (0, 0)

    def take(self, message: Stored) -> None:
        verdict = self.verdict
        verdict.stored += 1
        position = _position(message)
        if position is None or position not in self.expected:
            verdict.count("foreign", f"sequence {message.sequence} on {message.subject}, position {position}")
            return
        if position in self.seen:
            verdict.count("twice", f"{_words(position)} again as sequence {message.sequence}")
            return
        if position < self.last:
            place = f"{_words(position)} behind {_words(self.last)}"
            verdict.count("out_of_order", f"{place}, sequence {message.sequence}")
        self.seen.add(position)
        self.last = max(self.last, position)
        difference = self._difference(message, self.expected[position])
        if difference:
            verdict.count("wrong", f"{_words(position)}, sequence {message.sequence}: {difference}")

    def _difference(self, message: Stored, expected: Expected) -> str | None:
        """What is not as it must be, in words."""
        if message.subject != expected.subject:
            return f"subject {message.subject}, not {expected.subject}"
        document: dict[str, Any] = parse_exactly(message.payload.decode())
        event_id = document.pop("id")
        if event_id != message.headers.get("Nats-Msg-Id"):
            return f"id {event_id}, and Nats-Msg-Id {message.headers.get('Nats-Msg-Id')}"
        if event_id in self.ids:
            return f"the id {event_id} is another event's too"
        self.ids.add(event_id)
        found = canonical(document)
        if found != expected.document:
            return f"{found.decode()}, not {expected.document.decode()}"
        for name, value in expected.headers:
            if message.headers.get(name) != value:
                return f"header {name} is {message.headers.get(name)}, not {value}"
        return None

    def end(self) -> StreamVerdict:
        for position in self.expected:
            if position not in self.seen:
                self.verdict.count("lost", f"{_words(position)} on {self.expected[position].subject}")
        return self.verdict


async def judge_stream(urls: list[str], stream: str, expected: Mapping[Position, Expected]) -> StreamVerdict:
    """Reads the whole stream and holds each message against its place in the truth."""
    judge = _Judge(StreamVerdict(stream, len(expected)), expected)
    await read_messages(urls, stream, judge.take)
    return judge.end()


async def read_messages(urls: list[str], stream: str, take: Callable[[Stored], None]) -> None:
    """Hands over all messages of a stream, in order; none where there is no such stream. Raises TimeoutError."""
    async with connected_to(urls) as client:
        jetstream = client.jetstream(timeout=API_TIMEOUT_SECONDS)
        try:
            info = await jetstream.stream_info(stream)
        except NotFoundError:
            return
        if info.state.messages == 0:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def receive(message: Msg) -> None:
            if done.done():
                return
            sequence = message.metadata.sequence.stream
            try:
                take(Stored(sequence, message.subject, message.headers or {}, message.data))
            except Exception as error:  # nats-py would log it and go on
                done.set_exception(error)
            else:
                if sequence >= info.state.last_seq:
                    done.set_result(None)

        # A callback: a million waits for the next message would take longer than everything else.
        await jetstream.subscribe(
            ">",
            stream=stream,
            cb=receive,
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
            pending_msgs_limit=-1,
            pending_bytes_limit=-1,
        )
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            await done


def _position(message: Stored) -> Position | None:
    try:
        high, low = message.headers["Pgstream-Lsn"].split("/")
        return int(high, 16) << 32 | int(low, 16), int(message.headers["Pgstream-Seq"])
    except (KeyError, ValueError):
        return None


def _words(position: Position) -> str:
    lsn, ordinal = position
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X} number {ordinal}"
