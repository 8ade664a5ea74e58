"""The benchmark runs: every case that is cheap enough. Its figures are nobody's business here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


def run_bench(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("case", ["drain", "updates", "single"])
def test_each_peer_drains_the_backlog(case: str) -> None:
    output = run_bench("--case", case, "--rows", "2500", "--rounds", "1")
    for peer in ("pg_recvlogical, TCP", "pg_recvlogical, unix socket", "pgstream-relay"):
        assert output.count(peer) == 2, output


def test_latency() -> None:
    output = run_bench("--case", "latency", "--rate", "50", "--seconds", "1")
    assert "p999" in output
