"""The benchmark runs: every case that is cheap enough. Its figures are nobody's business here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


def run_bench(*arguments: str, **environment: str) -> str:
    """Debezium, which a machine may have, takes no part."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env=os.environ | {"BENCH_DEBEZIUM_PYTHON": "/nonexistent"} | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("case", ["drain", "updates", "single"])
def test_each_peer_drains_the_backlog(case: str) -> None:
    output = run_bench("--case", case, "--rows", "2500", "--rounds", "1")
    for peer in ("pg_recvlogical, TCP", "pg_recvlogical, unix socket", "pgstream-relay"):
        assert output.count(peer) == 2, output
    assert "Debezium takes no part" in output


def test_a_peer_that_fails_does_not_take_the_others_figures_with_it(tmp_path: Path) -> None:
    python = tmp_path / "python"
    # It has everything, as far as it is asked for it, and then it ends.
    python.write_text('#!/bin/sh\n[ "$2" = -c ] && exit 0\necho no engine >&2\nexit 3\n')
    python.chmod(0o755)
    output = run_bench(
        "--rows", "2500", "--rounds", "2", BENCH_DEBEZIUM_PYTHON=str(python), JAVA_HOME=str(tmp_path)
    )  # fmt: skip
    assert output.count("Debezium's engine ended with 3:\nno engine") == 2, output
    assert output.count("pgstream-relay") == 3, output


def test_latency() -> None:
    output = run_bench("--case", "latency", "--rate", "50", "--seconds", "1")
    assert "p999" in output


def test_snapshot() -> None:
    output = run_bench("--case", "snapshot", "--rows", "20000")
    assert "20,000 rows of" in output
    assert "longest transaction" in output
