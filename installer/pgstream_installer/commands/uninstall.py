"""`pgstream uninstall`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from pgstream_installer.commands.options import config_option

if TYPE_CHECKING:
    from pgstream_installer.remove import Installed


@click.command()
@click.option("--dsn", metavar="DSN", help="The database, as URI or libpq keywords. Also: PGSTREAM_DSN.")
@config_option
@click.option("--yes", is_flag=True, help="Do not ask; end the session of a relay that is connected.")
def uninstall(dsn: str | None, config: str | None, yes: bool) -> int:
    """Remove slot, publication and schema from one database, and give tables their replica identity back.

    What is in NATS stays there. Roles stay, too, where another database may use them.
    """
    from pgstream_installer.configuration import load_configuration, require_databases
    from pgstream_installer.connect import connected, where
    from pgstream_installer.errors import CommandLineError, InstallerError
    from pgstream_installer.remove import read_installed, refuse_active
    from pgstream_installer.remove import uninstall as apply_uninstall

    databases = require_databases(load_configuration(os.environ, config=config, dsn=(dsn,) if dsn else ()))
    if len(databases) > 1:
        raise CommandLineError("uninstall works on one database", hint="name it by --dsn")
    with connected(databases[0].dsn) as connection:
        place = where(connection)
        if not yes:
            installed = read_installed(connection)
            if installed is not None:
                if installed.slot is not None:
                    refuse_active(installed.slot, end_relay=False)
                if not _confirmed(installed, place):
                    raise InstallerError("not confirmed: nothing was changed", hint="--yes does not ask")
        apply_uninstall(connection, end_relay=yes, tell=lambda line: click.echo(f"{place}: {line}"))
    return 0


def _confirmed(installed: Installed, place: str) -> bool:
    click.echo(f"From {place} will be removed:", err=True)
    if installed.slot is not None:
        click.echo(f"  replication slot {installed.slot.name}, with the changes that it still holds", err=True)
    click.echo("  publication pgstream and schema pgstream, with all settings and history", err=True)
    click.echo(f"  {len(installed.tables)} streamed tables get their replica identity back", err=True)
    try:
        return click.confirm("Remove it?", err=True)
    except click.Abort:
        return False
