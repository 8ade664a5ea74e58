"""`pgstream`: the command group. A command's module is imported when it is called, so that --help answers at once."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Sequence

import click

from pgstream_installer.errors import EXIT_USAGE, InstallerError

EXIT_INTERRUPTED = 130

# name: (where it is, one line about it). The line stands here so that `pgstream --help` imports nothing.
COMMANDS = {
    "install": ("pgstream_installer.commands.install:install", "Create or upgrade schema, publication and slot."),
    "uninstall": ("pgstream_installer.commands.uninstall:uninstall", "Remove slot, publication and schema."),
    "check": ("pgstream_installer.commands.check:check", "Say what would go wrong, in Postgres and NATS together."),
    "status": ("pgstream_installer.commands.status:status", "Show the state of databases, tables and snapshots."),
    "snapshot": ("pgstream_installer.commands.snapshot:snapshot", "Ask for snapshots of tables."),
    "tail": ("pgstream_installer.commands.tail:tail", "Show live events, in colour."),
    "demo": ("pgstream_installer.commands.demo:demo", "A shop with live traffic on throw-away servers."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise click.UsageError(f"this installation has no command {cmd_name}") from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(importlib.metadata.version("pgstream-nats"), prog_name="pgstream")
def group() -> None:
    """Postgres changes, live in NATS, configured in SQL.

    Exit codes: 0 fine, 1 findings of severity error or a failure, 2 wrong usage, 69 a server can't be reached,
    77 missing rights, 78 configuration or a slot that is lost.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: ends the process with the exit codes of CONTRACT 6; an expected fault is one message."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; messages go to standard error."""
    try:
        code = group.main(
            args=None if arguments is None else list(arguments), prog_name="pgstream", standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except InstallerError as error:
        print_error(error)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: that is not our failure. Nothing more can be written there.
        sys.stdout = None
        return 0
    return code if isinstance(code, int) else 0


def print_error(error: InstallerError) -> None:
    """What happened, why it matters, what to do: at most three lines on standard error."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {error.what}", err=True)
    if error.why:
        click.echo(f"  {error.why}", err=True)
    if error.hint:
        click.echo(f"  {click.style('hint:', bold=True)} {error.hint}", err=True)


if __name__ == "__main__":
    main()
