"""Pause, resume and stop reach a full snapshot although the WAL in which they stand waits for it."""

from __future__ import annotations

from signal import SIGTERM

import pytest

from tests.faults.full.judge import judge, rows_of
from tests.faults.full.stage import add_keyless, halted, published, readers, signal, snapshot, wait_for
from tests.support.relay import eventually
from tests.support.streamed import StreamedDatabase

ROWS = 15_000


def prepare(streamed: StreamedDatabase) -> list[str]:
    """The rows of `k`."""
    add_keyless(streamed, rows=ROWS)
    return rows_of(streamed, "k")


async def test_pause_lets_the_events_go_on_and_resume_starts_over(streamed: StreamedDatabase) -> None:
    initial = prepare(streamed)
    async with halted(streamed):
        signal(streamed, "pause-snapshot", "k")
        await wait_for(streamed, "paused")
    streamed.execute("insert into k values (-1, 'while it is paused', 1, 'x')")
    await streamed.catch_up()
    rows = await published(streamed)
    assert rows < ROWS
    streamed.relay.stop()
    streamed.relay.start()
    await streamed.catch_up()
    assert snapshot(streamed).state == "paused"
    assert await published(streamed) == rows
    signal(streamed, "resume-snapshot")
    assert (await wait_for(streamed, "completed")).rows_done == ROWS + 1
    assert (await judge(streamed, "k", initial)).marks == ["begin", "begin", "end"]


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused, by another relay"])
async def test_stop_ends_it_with_a_mark(streamed: StreamedDatabase, paused: bool) -> None:
    initial = prepare(streamed)
    async with halted(streamed):
        if paused:
            signal(streamed, "pause-snapshot", "k")
            await wait_for(streamed, "paused")
            streamed.relay.kill()
            streamed.relay.start()
        signal(streamed, "stop-snapshot")
        await eventually(lambda: not readers(streamed))
    stopped = await wait_for(streamed, "stopped")
    assert stopped.rows_done < ROWS
    assert (stopped.error, stopped.hint) == ("", "")
    streamed.execute("insert into k values (-1, 'afterwards', 1, 'x')")
    signal(streamed, "full-snapshot", "k")
    await wait_for(streamed, "completed")
    assert (await judge(streamed, "k", initial)).marks == ["begin", "stopped", "begin", "end"]


async def test_one_that_waits_for_its_turn_is_stopped_while_another_is_under_way(streamed: StreamedDatabase) -> None:
    prepare(streamed)
    add_keyless(streamed, "k2", rows=10)
    async with halted(streamed):
        signal(streamed, "full-snapshot", "k2")
        signal(streamed, "stop-snapshot", "k2")
        await wait_for(streamed, "stopped", table="k2")
    await wait_for(streamed, "completed")
    assert await published(streamed, "k2") == 0


async def test_sigterm_does_not_wait_for_it(streamed: StreamedDatabase) -> None:
    prepare(streamed)
    async with halted(streamed):
        streamed.relay.send(SIGTERM)
    assert streamed.relay.wait() == 0
    assert snapshot(streamed).state == "running"
    await eventually(lambda: not readers(streamed))
