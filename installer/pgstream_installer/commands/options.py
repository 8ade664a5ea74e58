"""Options that several commands have in common, and the loop over databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from pgstream_installer.errors import InstallerError, most_telling

if TYPE_CHECKING:
    from pgstream_installer.configuration import Database

Command = Callable[..., Any]

config_option = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="The relay's TOML file; its [[databases]] and [nats] hold here too. Also: PGSTREAM_CONFIG.",
)
dsn_option = click.option(
    "--dsn",
    metavar="DSN",
    multiple=True,
    help="A database, as URI or libpq keywords; may be given several times. Also: PGSTREAM_DSN.",
)
nats_option = click.option("--nats", metavar="URL", help="NATS servers, separated by commas. Also: PGSTREAM_NATS_URL.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def each_database(databases: Iterable[Database], work: Callable[[Database], int]) -> int:
    """Does `work` (which returns an exit code) for each database; one's trouble is printed and stops no other.

    Returns the most telling exit code.
    """
    from pgstream_installer.cli import print_error

    codes = []
    for database in databases:
        try:
            codes.append(work(database))
        except InstallerError as error:
            print_error(error)
            codes.append(error.exit_code)
    return most_telling(codes)
