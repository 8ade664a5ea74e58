"""The short form of `make stress`: snapshots beside every kind of write, the relay killed in between."""

from __future__ import annotations

import pytest

from tests.faults.snapshots.scenario import Options, run


@pytest.mark.timeout(300)
def test_no_row_goes_back_and_the_consumer_ends_with_the_table() -> None:
    report = run(Options(seed=7, seconds=10, rows=4_000, writers=4, large_rows=2_000))
    assert report.passed, str(report)
    assert report.verdict.snapshot_rows > 4_000, str(report)
