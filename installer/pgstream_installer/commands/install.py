"""`pgstream install`."""

from __future__ import annotations

import os

import click

from pgstream_installer.commands.options import config_option, dsn_option, each_database
from pgstream_installer.desired import Desired


@click.command()
@dsn_option
@config_option
@click.option(
    "--owner",
    metavar="ROLE",
    help="Role that owns the publication and nothing else; its members stream their tables. Made if missing. "
    "Without it: the role that owns it already, else pgstream_dba.",
)
@click.option("--relay-role", metavar="NAME", help="Role of the relay: gets the grants that it needs. Made if missing.")
@click.option("--no-slot", is_flag=True, help="Make schema and publication, and no replication slot.")
@click.option("--no-failover", is_flag=True, help="On 17 and newer, make a slot that standbys do not keep.")
@click.option("--new-slot", is_flag=True, help="Replace a slot that is lost or missing, and record the gap.")
@click.option("--snapshot", is_flag=True, help="With --new-slot: snapshot all tables once the slot is there.")
@click.option(
    "--adopt-stream",
    is_flag=True,
    help="Take over JetStream streams that belong to another database by their metadata.",
)
@click.option("--dry-run", is_flag=True, help="Print SQL for psql to the same effect, and change nothing.")
def install(
    dsn: tuple[str, ...],
    config: str | None,
    owner: str | None,
    relay_role: str | None,
    no_slot: bool,
    no_failover: bool,
    new_slot: bool,
    snapshot: bool,
    adopt_stream: bool,
    dry_run: bool,
) -> int:
    """Create or upgrade schema, publication and slot. Repeating it changes nothing.

    Each database is locked while it is worked on, so two installs at once are safe. With --dry-run and no database
    at all, the whole control schema is printed.
    """
    from pgstream_installer.configuration import load_configuration, require_databases

    desired = Desired(
        owner_role=owner,
        relay_role=relay_role,
        slot=not no_slot,
        failover=not no_failover,
        new_slot=new_slot,
        snapshot=snapshot,
        adopt_stream=adopt_stream,
    )
    _refuse_combinations(desired)
    configuration = load_configuration(os.environ, config=config, dsn=dsn)
    if dry_run:
        return _dry_run(desired, [database.dsn for database in configuration.databases])

    from pgstream_installer.apply import install as apply_install
    from pgstream_installer.connect import connected, where

    def work(dsn: str) -> int:
        with connected(dsn) as connection:
            place = where(connection)
            apply_install(connection, desired, lambda line: click.echo(f"{place}: {line}"))
        return 0

    return each_database(require_databases(configuration), lambda database: work(database.dsn))


def _refuse_combinations(desired: Desired) -> None:
    from pgstream_installer.errors import CommandLineError

    if not desired.slot and desired.new_slot:
        raise CommandLineError("--no-slot and --new-slot contradict each other")
    if desired.snapshot and not desired.new_slot:
        raise CommandLineError("--snapshot goes with --new-slot", hint="pgstream snapshot TABLE… takes one at any time")


def _dry_run(desired: Desired, dsns: list[str]) -> int:
    from pgstream_installer.connect import connected
    from pgstream_installer.errors import CommandLineError
    from pgstream_installer.script import script_for, script_for_nobody

    if len(dsns) > 1:
        raise CommandLineError(
            "--dry-run prints one script, so it takes one database", hint="run it once for each --dsn"
        )
    if not dsns:
        click.echo(script_for_nobody(desired), nl=False)
        return 0
    with connected(dsns[0]) as connection:
        click.echo(script_for(connection, desired), nl=False)
    return 0
