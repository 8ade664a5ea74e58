"""The command line as CONTRACT 6 has it: every command, every option, each with a line of help."""

from __future__ import annotations

import click
import pytest

from pgstream_installer.cli import COMMANDS, group
from tests.integration.installer.conftest import Pgstream

CONTRACT = {
    "install": {
        "--dsn", "--owner", "--relay-role", "--no-slot", "--no-failover", "--new-slot", "--snapshot", "--adopt-stream",
        "--dry-run",
    },
    "uninstall": {"--dsn", "--yes"},
    "check": {"--dsn", "--nats", "--json", "--strict"},
    "status": {"--dsn", "--json", "--watch"},
    "snapshot": {"--dsn", "--full", "--follow"},
    "tail": {"--nats", "--json", "--since"},
}  # fmt: skip


def command(name: str) -> click.Command:
    found = group.get_command(click.Context(group), name)
    assert found is not None
    return found


def test_every_command_of_the_contract_is_there() -> None:
    assert {*CONTRACT, "demo"} == set(COMMANDS)


@pytest.mark.parametrize("name", CONTRACT)
def test_every_option_of_the_contract_is_there_and_has_help(name: str) -> None:
    options = {
        flag: option for option in command(name).params if isinstance(option, click.Option) for flag in option.opts
    }

    assert options.keys() == CONTRACT[name] | {"--config"}
    assert command(name).help
    assert all(option.help for option in options.values())


def test_help_names_every_command_and_needs_nothing_heavy(pgstream: Pgstream) -> None:
    import subprocess
    import sys

    heavy = ("psycopg", "nats", "rich", "sqlglot", "asyncio")
    code = (
        "import sys; from pgstream_installer.cli import run; code = run(['--help']);"
        f"print('heavy:', [name for name in {heavy!r} if name in sys.modules]); sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert all(name in ran.stdout for name in COMMANDS)
    assert "heavy: []" in ran.stdout


def test_the_version_is_told(pgstream: Pgstream) -> None:
    ran = pgstream("--version")

    assert ran.code == 0
    assert ran.out.startswith("pgstream, version ")
