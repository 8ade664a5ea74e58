"""`pgstream snapshot`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from pgstream_installer.commands.options import config_option

if TYPE_CHECKING:
    from pgstream_installer.connect import Connection
    from pgstream_installer.snapshots import Progress

EXIT_INTERRUPTED = 130


@click.command()
@click.argument("tables", metavar="TABLE...", nargs=-1, required=True)
@click.option("--dsn", metavar="DSN", help="The database, as URI or libpq keywords. Also: PGSTREAM_DSN.")
@config_option
@click.option("--full", is_flag=True, help="Scan at one consistent point; the database's WAL events wait meanwhile.")
@click.option("--follow", is_flag=True, help="Stay and show the progress until the snapshots have ended.")
def snapshot(tables: tuple[str, ...], dsn: str | None, config: str | None, full: bool, follow: bool) -> int:
    """Ask for a snapshot of each TABLE (schema.table): incremental, unless --full.

    The relay takes it; Ctrl-C ends --follow, not the snapshot. With --follow the exit code is 1 where a snapshot
    failed or was stopped.
    """
    from pgstream_installer.configuration import load_configuration, require_databases
    from pgstream_installer.connect import connected
    from pgstream_installer.errors import CommandLineError
    from pgstream_installer.snapshots import ask_for_snapshots

    configuration = load_configuration(os.environ, config=config, dsn=(dsn,) if dsn else ())
    databases = require_databases(configuration)
    if len(databases) > 1:
        raise CommandLineError("a snapshot is of tables of one database, and several are named", hint="give one --dsn")
    with connected(databases[0].dsn) as connection:
        signal_id = ask_for_snapshots(connection, tables, full=full)
        return _follow(connection, signal_id) if follow else _show(connection, signal_id)


def _show(connection: Connection, signal_id: int) -> int:
    from pgstream_installer.follow import render_progress
    from pgstream_installer.report import console
    from pgstream_installer.snapshots import read_progress

    console().print(render_progress(read_progress(connection, signal_id)))
    click.echo(f"signal {signal_id} is in pgstream.signals; pgstream status --watch shows how far it is")
    return 0


def _follow(connection: Connection, signal_id: int) -> int:
    from pgstream_installer.follow import follow
    from pgstream_installer.report import console
    from pgstream_installer.snapshots import read_progress

    try:
        last = follow(console(), lambda: read_progress(connection, signal_id))
    except KeyboardInterrupt:
        click.echo(
            "the snapshots go on without us: pgstream status --watch shows them, and "
            "INSERT INTO pgstream.signals (type, tables) VALUES ('stop-snapshot', …) ends them",
            err=True,
        )
        return EXIT_INTERRUPTED
    return _conclude(last)


def _conclude(last: Progress) -> int:
    from pgstream_installer.cli import print_error
    from pgstream_installer.errors import EXIT_FAILED, InstallerError

    for row in last.unsuccessful:
        name = f"{row['table_schema']}.{row['table_name']}"
        hint = row.get("hint") or "pgstream snapshot begins another one"
        print_error(InstallerError(f"the snapshot of {name} {_verb(row)}", why=row.get("error") or "", hint=hint))
    return EXIT_FAILED if last.unsuccessful else 0


def _verb(row: dict[str, object]) -> str:
    return "was stopped" if row["state"] == "stopped" else str(row["state"])
