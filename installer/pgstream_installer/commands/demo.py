"""`pgstream demo`."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--seconds",
    metavar="N",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How long the live traffic goes on after the tour; 0: until Ctrl-C.",
)
def demo(seconds: int) -> int:
    """A small shop with live traffic, on throw-away servers: its SQL beside the events that arrive in NATS.

    Starts a Postgres and a nats-server of its own on 127.0.0.1, installs pgstream, runs the relay, and leaves nothing
    behind. While it runs, its servers can be looked at; it prints how.
    """
    from pgstream_installer.demo.run import run_demo

    return run_demo(seconds)
