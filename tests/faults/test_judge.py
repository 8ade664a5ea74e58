"""The judge must be able to fail: each kind of fault in a stream made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from pgstream_installer.embedded import EmbeddedNats
from tests.faults.judge import StreamVerdict, judge_stream
from tests.faults.truth import Expected, canonical
from tests.support.relay import connected

EVENTS = range(1, 5)
Message = tuple[str, dict[str, str], bytes]


def message(prefix: str, number: int, *, value: str = "1.50", event_id: str = "", ordinal: int = 1) -> Message:
    """The event of transaction `number`."""
    name = event_id or f"id-{number}"
    headers = {"Nats-Msg-Id": name, "Pgstream-Lsn": f"0/{number:X}", "Pgstream-Seq": str(ordinal)}
    return f"{prefix}.t", headers, f'{{"id":{json.dumps(name)},"data":{value}}}'.encode()


async def judged(nats: EmbeddedNats, stream: str, messages: Iterable[Message]) -> StreamVerdict:
    """A stream that holds these messages, held against EVENTS in their order."""
    async with connected(nats.url) as client:
        jetstream = client.jetstream()
        await jetstream.add_stream(name=stream, subjects=[f"{stream}.>"], duplicate_window=0.1)
        for subject, headers, payload in messages:
            await jetstream.publish(subject, payload, headers=headers)
    expected = Expected(f"{stream}.t", canonical({"data": "\x001.50"}), (("Pgstream-Before", None),))
    return await judge_stream([nats.url], stream, {(number, 1): expected for number in EVENTS})


async def test_a_stream_as_it_must_be_passes(nats: EmbeddedNats) -> None:
    verdict = await judged(nats, "judge_right", [message("judge_right", number) for number in EVENTS])
    assert verdict.passed
    assert (verdict.stored, verdict.expected) == (4, 4)
    assert not verdict.problems


@pytest.mark.parametrize(
    ("fault", "numbers"), [("lost", [1, 2, 4]), ("out_of_order", [1, 3, 2, 4]), ("foreign", [1, 2, 9, 3, 4])]
)
async def test_one_fault_is_counted_as_what_it_is(nats: EmbeddedNats, fault: str, numbers: list[int]) -> None:
    stream = f"judge_{fault}"
    verdict = await judged(nats, stream, [message(stream, number) for number in numbers])
    assert not verdict.passed
    assert getattr(verdict, fault) == 1
    assert verdict.lost + verdict.twice + verdict.out_of_order + verdict.foreign + verdict.wrong == 1
    assert len(verdict.problems) == 1


async def test_an_event_that_stands_twice_is_found(nats: EmbeddedNats) -> None:
    numbers = [1, 2, 3]
    messages = [message("judge_twice", number) for number in numbers]
    again = message("judge_twice", 2, event_id="id-2-again")
    verdict = await judged(nats, "judge_twice", [*messages, again, message("judge_twice", 4)])
    assert (verdict.twice, verdict.lost, verdict.out_of_order, verdict.wrong) == (1, 0, 0, 0)


@pytest.mark.parametrize("value", ["1.5", '"1.50"', "null"])
async def test_a_wrong_value_is_found_digit_by_digit(nats: EmbeddedNats, value: str) -> None:
    stream = f"judge_wrong_{len(value)}"
    changed = [message(stream, number, value=value if number == 3 else "1.50") for number in EVENTS]
    verdict = await judged(nats, stream, changed)
    assert (verdict.wrong, verdict.lost) == (1, 0)


async def test_a_stream_that_is_not_there_has_lost_everything(nats: EmbeddedNats) -> None:
    verdict = await judge_stream([nats.url], "judge_nothing", {(1, 1): Expected("s", b"", ())})
    assert (verdict.lost, verdict.stored) == (1, 0)
