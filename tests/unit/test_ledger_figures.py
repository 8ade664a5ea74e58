"""What the ledger says of what is under way: the figures of health and metrics."""

from __future__ import annotations

from pgstream_relay.progress import Ledger


def test_acknowledged_means_by_every_target_that_was_there() -> None:
    ledger = Ledger(0)
    stream = ledger.add_target()
    ledger.hand_over(0, 2)
    ledger.hand_over(stream, 3)
    handed = ledger.handed_over
    later = ledger.add_target()
    ledger.hand_over(later, 1)
    ledger.acknowledge(stream, 3)
    assert not ledger.is_acknowledged(handed)
    ledger.acknowledge(0, 2)
    assert ledger.is_acknowledged(handed)
    assert not ledger.is_acknowledged(ledger.handed_over)
    assert ledger.in_flight_events == 1


def test_the_oldest_commit_is_of_a_transaction_with_events() -> None:
    ledger = Ledger(0)
    stream = ledger.add_target()
    ledger.commit(10, 1_000)
    assert ledger.oldest_commit_us == 0
    for number in (2, 3):
        ledger.hand_over(stream, 1)
        ledger.commit(number * 10, number * 1_000)
        ledger.commit(number * 10 + 5)
    assert ledger.oldest_commit_us == 2_000
    ledger.acknowledge(stream, 1)
    assert ledger.oldest_commit_us == 3_000
    ledger.acknowledge(stream, 2)
    assert ledger.oldest_commit_us == 0
