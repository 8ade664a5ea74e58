"""`pgstream snapshot`."""

from __future__ import annotations

import click

from pgstream_installer.commands.options import config_option


@click.command()
@click.argument("tables", metavar="TABLE...", nargs=-1, required=True)
@click.option("--dsn", metavar="DSN", help="The database, as URI or libpq keywords. Also: PGSTREAM_DSN.")
@config_option
@click.option("--full", is_flag=True, help="Scan at one consistent point; the database's WAL events wait meanwhile.")
@click.option("--follow", is_flag=True, help="Stay and show the progress until the snapshots have ended.")
def snapshot(tables: tuple[str, ...], dsn: str | None, config: str | None, full: bool, follow: bool) -> int:
    """Ask for a snapshot of each TABLE (schema.table): incremental, unless --full."""
    from pgstream_installer.errors import InstallerError

    raise InstallerError(
        "snapshots come with a later version of pgstream",
        hint="to read a table again until then, update its rows: update … set id = id",
    )
