"""The short form of `make chaos`: each kind of fault once."""

from __future__ import annotations

import pytest

from tests.faults.arena import FAULTS, Options
from tests.faults.chaos import run
from tests.faults.schema import DEFAULT_STREAM, SECOND_STREAM


@pytest.mark.timeout(400)
def test_exactly_once_in_order_through_every_kind_of_crash() -> None:
    report = run(Options(seed=7, kills=len(FAULTS), kinds=tuple(FAULTS), writers=2, large_rows=4000))
    assert report.passed, str(report)
    assert report.faults.keys() == FAULTS.keys()
    assert {verdict.stream for verdict in report.streams if verdict.stored} == {DEFAULT_STREAM, SECOND_STREAM}
