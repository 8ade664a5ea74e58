"""Seconds of lag, on a clock of the test's own."""

from __future__ import annotations

from pgstream_relay.runtime.lag import LagClock


def test_no_lag_while_each_position_is_confirmed_by_the_next_look() -> None:
    clock = LagClock()
    assert clock.measure(100, 100, None, 1.0) == 0
    assert clock.measure(200, 150, None, 2.0) == 0
    assert clock.measure(300, 250, None, 3.0) == 0


def test_a_position_that_stays_unconfirmed_ages_until_it_is() -> None:
    clock = LagClock()
    assert clock.measure(100, 100, None, 1.0) == 0
    assert clock.measure(200, 100, None, 2.0) == 0
    assert clock.measure(200, 100, None, 3.0) == 1
    assert clock.measure(900, 199, None, 61.0) == 59
    assert clock.measure(900, 200, None, 62.0) == 0
    assert clock.measure(900, 200, None, 63.0) == 1
    assert clock.measure(900, 900, None, 64.0) == 0


def test_the_commit_time_of_what_was_read_is_exact() -> None:
    clock = LagClock()
    assert clock.measure(900, 100, 1000.0, 4600.0) == 3600
    assert clock.measure(900, 500, 3000.0, 4601.0) == 1601
    assert clock.measure(900, 900, None, 4602.0) == 0


def test_a_server_whose_clock_runs_ahead_has_no_negative_lag() -> None:
    assert LagClock().measure(100, 100, 10.0, 5.0) == 0
