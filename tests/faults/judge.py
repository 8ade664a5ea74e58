"""Holds what a stream has against what it must have: nothing lost, twice or out of order, all values right."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from tests.faults.truth import Expected, Position, canonical, parse_exactly
from tests.support.nats_cluster import connected_to

SAMPLES: Final = 5
READ_TIMEOUT_SECONDS: Final = 60


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


async def judge_stream(urls: list[str], stream: str, expected: Mapping[Position, Expected]) -> StreamVerdict:
    """Reads the whole stream and holds each message against its place in the truth."""
    verdict = StreamVerdict(stream, len(expected))
    seen: set[Position] = set()
    ids: set[str] = set()
    last: Position = (0, 0)
    async for message in read_messages(urls, stream):
        verdict.stored += 1
        position = _position(message)
        if position is None or position not in expected:
            verdict.count("foreign", f"sequence {message.sequence} on {message.subject}, position {position}")
            continue
        if position in seen:
            verdict.count("twice", f"{_words(position)} again as sequence {message.sequence}")
            continue
        if position < last:
            verdict.count("out_of_order", f"{_words(position)} behind {_words(last)}, sequence {message.sequence}")
        seen.add(position)
        last = max(last, position)
        difference = _difference(message, expected[position])
        if message.headers["Nats-Msg-Id"] in ids:
            difference = f"the id {message.headers['Nats-Msg-Id']} is another event's too"
        ids.add(message.headers["Nats-Msg-Id"])
        if difference:
            verdict.count("wrong", f"{_words(position)}, sequence {message.sequence}: {difference}")
    for position in expected:
        if position not in seen:
            verdict.count("lost", f"{_words(position)} on {expected[position].subject}")
    return verdict


async def read_messages(urls: list[str], stream: str) -> AsyncIterator[Stored]:
    """All messages of a stream, in order; none where there is no such stream."""
    async with connected_to(urls) as client:
        jetstream = client.jetstream(timeout=READ_TIMEOUT_SECONDS)
        try:
            info = await jetstream.stream_info(stream)
        except NotFoundError:
            return
        if info.state.messages == 0:
            return
        subscription = await jetstream.subscribe(
            ">",
            stream=stream,
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
            pending_msgs_limit=-1,
            pending_bytes_limit=-1,
        )
        sequence = 0
        while sequence < info.state.last_seq:
            message = await subscription.next_msg(timeout=READ_TIMEOUT_SECONDS)
            sequence = message.metadata.sequence.stream
            yield Stored(sequence, message.subject, dict(message.headers or {}), message.data)


def _position(message: Stored) -> Position | None:
    try:
        high, low = message.headers["Pgstream-Lsn"].split("/")
        return int(high, 16) << 32 | int(low, 16), int(message.headers["Pgstream-Seq"])
    except (KeyError, ValueError):
        return None


def _words(position: Position) -> str:
    lsn, ordinal = position
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X} number {ordinal}"


def _difference(message: Stored, expected: Expected) -> str | None:
    """What is not as it must be, in words."""
    if message.subject != expected.subject:
        return f"subject {message.subject}, not {expected.subject}"
    document: dict[str, Any] = parse_exactly(message.payload.decode())
    if document.pop("id") != message.headers.get("Nats-Msg-Id"):
        return f"id and Nats-Msg-Id differ: {message.headers.get('Nats-Msg-Id')}"
    found = canonical(document)
    if found != expected.document:
        return f"{found.decode()}, not {expected.document.decode()}"
    for name, value in expected.headers:
        if message.headers.get(name) != value:
            return f"header {name} is {message.headers.get(name)}, not {value}"
    return None
