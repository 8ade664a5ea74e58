from __future__ import annotations

from pgstream_relay.pgoutput.shutdown import ShutdownDetector


def observe(detector: ShutdownDetector, *times: float, wal_end: int = 10, reply_requested: bool = True) -> list[bool]:
    return [detector.observe(wal_end, reply_requested=reply_requested, now_seconds=time) for time in times]


def test_three_requests_at_one_position_within_a_second_are_a_shutdown() -> None:
    assert observe(ShutdownDetector(), 5.0, 5.5, 6.0) == [False, False, True]


def test_two_are_not() -> None:
    assert observe(ShutdownDetector(), 5.0, 5.1) == [False, False]


def test_slow_requests_are_the_ping_of_wal_sender_timeout() -> None:
    assert observe(ShutdownDetector(), 0.0, 5.0, 10.0, 15.0) == [False] * 4


def test_a_burst_after_slow_requests_counts_from_its_own_start() -> None:
    assert observe(ShutdownDetector(), 0.0, 5.0, 5.1, 5.2) == [False, False, False, True]


def test_a_position_that_moves_on_starts_again() -> None:
    detector = ShutdownDetector()
    observe(detector, 5.0, 5.1)
    assert observe(detector, 5.2, 5.3, wal_end=11) == [False, False]
    assert observe(detector, 5.4, wal_end=11) == [True]


def test_answers_to_the_clients_own_questions_do_not_count() -> None:
    assert observe(ShutdownDetector(), 5.0, 5.1, 5.2, reply_requested=False) == [False] * 3


def test_a_shutdown_is_not_taken_back() -> None:
    detector = ShutdownDetector()
    observe(detector, 5.0, 5.1, 5.2)
    assert observe(detector, 99.0, wal_end=11, reply_requested=False) == [True]
    assert detector.shutting_down
