"""The ledger of law 1: nothing is confirmed before each target has stored all that lies at or below it."""

from __future__ import annotations

import random

import pytest

from pgstream_relay.progress import Ledger


def test_an_empty_transaction_is_confirmed_at_once() -> None:
    ledger = Ledger(100)
    ledger.commit(200)
    assert ledger.confirmed_lsn == 200


def test_a_transaction_waits_for_all_of_its_events() -> None:
    ledger = Ledger(100)
    stream = ledger.add_target()
    ledger.hand_over(stream, 2)
    ledger.commit(200)
    ledger.acknowledge(stream, 1)
    assert ledger.confirmed_lsn == 100
    ledger.acknowledge(stream, 2)
    assert ledger.confirmed_lsn == 200


def test_a_keepalive_behind_an_open_transaction_waits_with_it() -> None:
    ledger = Ledger(100)
    stream = ledger.add_target()
    ledger.hand_over(stream, 1)
    ledger.commit(200)
    ledger.commit(300)
    assert ledger.confirmed_lsn == 100
    ledger.acknowledge(stream, 1)
    assert ledger.confirmed_lsn == 300


def test_what_was_not_handed_over_can_not_be_acknowledged() -> None:
    ledger = Ledger(0)
    stream = ledger.add_target()
    with pytest.raises(ValueError, match="acknowledged 1 events of 0"):
        ledger.acknowledge(stream, 1)


def test_a_hold_freezes_what_is_confirmed_until_the_kept_settings_are_passed() -> None:
    ledger = Ledger(100)
    ledger.commit(200)
    ledger.hold()
    ledger.commit(300)
    assert (ledger.stored_lsn, ledger.confirmed_lsn) == (300, 200)
    ledger.release(400)
    ledger.commit(399)
    assert ledger.confirmed_lsn == 200
    ledger.commit(400)
    assert ledger.confirmed_lsn == 400


def test_a_second_hold_outlives_the_release_of_the_first() -> None:
    ledger = Ledger(100)
    ledger.hold()
    ledger.commit(200)
    ledger.release(250)
    ledger.hold()
    ledger.commit(300)
    assert ledger.confirmed_lsn == 100


def test_commit_times_are_told_once_stored_and_only_of_transactions_with_events() -> None:
    ledger = Ledger(0)
    stream = ledger.add_target()
    ledger.commit(100, 1)
    ledger.hand_over(stream, 1)
    ledger.commit(200, 2)
    ledger.commit(300, 3)
    _ = ledger.confirmed_lsn
    assert ledger.stored_commits_us == []
    ledger.acknowledge(stream, 1)
    _ = ledger.confirmed_lsn
    assert ledger.stored_commits_us == [2]


def test_against_a_simple_model_in_any_order_of_acknowledgements() -> None:
    for seed in range(300):
        chance = random.Random(seed)
        ledger = Ledger(0)
        targets = [0, ledger.add_target()]
        handed, stored = [0, 0], [0, 0]
        commits: list[tuple[int, list[int]]] = []
        for step in range(1, 60):
            target = chance.choice(targets)
            if chance.random() < 0.5:
                count = chance.randrange(3)
                ledger.hand_over(target, count)
                handed[target] += count
            if chance.random() < 0.5:
                ledger.commit(step * 10)
                commits.append((step * 10, list(handed)))
            if chance.random() < 0.5:
                stored[target] = chance.randint(stored[target], handed[target])
                ledger.acknowledge(target, stored[target])
            expected = 0
            for lsn, due in commits:
                if any(have < want for have, want in zip(stored, due, strict=True)):
                    break
                expected = lsn
            assert ledger.confirmed_lsn == expected, f"seed {seed}, step {step}"
