"""`pgstream tail`."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click

from pgstream_installer.commands.options import config_option, json_option, nats_option

if TYPE_CHECKING:
    import datetime

    from pgstream_installer.configuration import NatsOptions


@click.command()
@click.argument("subjects", metavar="[SUBJECT]...", nargs=-1)
@nats_option
@config_option
@json_option
@click.option("--since", metavar="TIME", help="Begin with what the streams hold from then on: 10m, 2h, or ISO 8601.")
def tail(subjects: tuple[str, ...], nats: str | None, config: str | None, as_json: bool, since: str | None) -> None:
    """Show live events, in colour, until Ctrl-C: persistent and ephemeral ones.

    SUBJECT may hold wildcards, as in shop.public.> ; without one, every event is shown that this user may see.
    With --json each line is the event's own JSON, and in it the keys subject and headers besides.
    """
    import contextlib
    import datetime

    from pgstream_installer.configuration import NatsOptions, load_configuration
    from pgstream_installer.tail import parse_since

    options = load_configuration(os.environ, config=config, nats=nats).nats or NatsOptions()
    begin = parse_since(since, datetime.datetime.now(datetime.UTC)) if since else None
    # Ctrl-C is how one leaves: no error.
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_show(options, subjects, begin, as_json=as_json))


async def _show(
    options: NatsOptions, subjects: tuple[str, ...], since: datetime.datetime | None, *, as_json: bool
) -> None:
    from rich.console import Console

    from pgstream_installer.nats_connection import connected, place_of
    from pgstream_installer.render import json_line, render_event
    from pgstream_installer.tail import Tail

    console = Console(highlight=False, soft_wrap=True)
    async with connected(options, reconnect=True) as client:
        tail = Tail(client, options, subjects, since=since)
        await tail.subscribe()
        click.echo(f"listening on {place_of(options)}", err=True)
        async for event in tail.events():
            if as_json:
                click.echo(json_line(event))
            else:
                console.print(render_event(event))
