"""`pgstream status`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from pgstream_installer.commands.options import config_option, dsn_option, each_database, json_option

if TYPE_CHECKING:
    from pgstream_installer.configuration import Database
    from pgstream_installer.status import DatabaseStatus

REFRESH_SECONDS = 1.0


@click.command()
@dsn_option
@config_option
@json_option
@click.option("--watch", is_flag=True, help="Stay, and show it anew every second, until Ctrl-C.")
def status(dsn: tuple[str, ...], config: str | None, as_json: bool, watch: bool) -> int:
    """Show the state of each database: relay, slot, lag, tables with their subjects, snapshots with their progress.

    The exit code is 78 where a slot is lost. With --json --watch, one JSON document a line.
    """
    from pgstream_installer.clusters import with_cluster_databases
    from pgstream_installer.configuration import load_configuration, require_databases

    configuration = load_configuration(os.environ, config=config, dsn=dsn)
    databases = require_databases(with_cluster_databases(configuration))
    if watch:
        return _watch(databases, as_json=as_json)
    seen: list[DatabaseStatus] = []
    code = each_database(databases, lambda database: _read(database, seen))
    _print(seen, as_json=as_json)
    return code


def _read(database: Database, seen: list[DatabaseStatus]) -> int:
    from pgstream_installer.connect import connected
    from pgstream_installer.status import read_status

    with connected(database.dsn) as connection:
        found = read_status(connection)
    seen.append(found)
    return found.exit_code


def _print(seen: list[DatabaseStatus], *, as_json: bool) -> None:
    import json

    from pgstream_installer.report import console, render_statuses

    if as_json:
        click.echo(json.dumps({"databases": [one.as_json() for one in seen]}, ensure_ascii=False))
    elif seen:
        console().print(render_statuses(seen))


def _watch(databases: tuple[Database, ...], *, as_json: bool) -> int:
    """Until Ctrl-C. A server that goes away meanwhile is shown as that, and asked again."""
    import contextlib
    import time

    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from pgstream_installer.errors import InstallerError
    from pgstream_installer.report import console, render_statuses

    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        live = None if as_json else stack.enter_context(Live(console=console(), auto_refresh=False))
        while True:
            seen: list[DatabaseStatus] = []
            troubles: list[Text] = []
            for database in databases:
                try:
                    _read(database, seen)
                except InstallerError as error:
                    troubles.append(Text(error.what, style="red"))
            if live is None:
                _print(seen, as_json=True)
            else:
                live.update(Group(render_statuses(seen), *troubles), refresh=True)
            time.sleep(REFRESH_SECONDS)
    return 0
