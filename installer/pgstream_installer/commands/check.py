"""`pgstream check`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from pgstream_installer.commands.options import config_option, dsn_option, json_option, nats_option

if TYPE_CHECKING:
    from pgstream_installer.checks import Finding
    from pgstream_installer.checks.facts import DatabaseFacts
    from pgstream_installer.configuration import Configuration, NatsOptions


@click.command()
@dsn_option
@nats_option
@config_option
@json_option
@click.option("--strict", is_flag=True, help="Let warnings count as errors in the exit code.")
def check(dsn: tuple[str, ...], nats: str | None, config: str | None, as_json: bool, strict: bool) -> int:
    """Say what would go wrong, in Postgres and NATS together; reads only, and works before anything is installed.

    The exit code is 1 where something of severity error was found, and 69, 77 or 78 where a server could not be
    asked at all.
    """
    from pgstream_installer.checks import exit_code
    from pgstream_installer.clusters import with_cluster_databases
    from pgstream_installer.configuration import load_configuration
    from pgstream_installer.errors import CommandLineError

    configuration = with_cluster_databases(load_configuration(os.environ, config=config, dsn=dsn, nats=nats))
    if not configuration.databases and configuration.nats is None:
        raise CommandLineError("nothing to check", hint="give --dsn, --nats, or --config with the relay's file")
    findings = _findings(configuration)
    _print(findings, as_json=as_json)
    return exit_code(findings, strict=strict)


def _findings(configuration: Configuration) -> list[Finding]:
    from pgstream_installer.checks.finding import Finding
    from pgstream_installer.checks.nats import check_nats
    from pgstream_installer.checks.postgres import check_postgres

    findings: list[Finding] = []
    publishing: dict[NatsOptions, list[DatabaseFacts]] = {}
    if configuration.nats is not None:
        publishing[configuration.nats] = []
    for database in configuration.databases:
        report = check_postgres(database.dsn)
        findings += report.findings
        if database.nats is not None:
            facts = publishing.setdefault(database.nats, [])
            facts += [report.facts] if report.facts else []
    for options, databases in publishing.items():
        findings += check_nats(options, databases)
    if not publishing:
        hint = "give --nats, or --config with the relay's file"
        findings.append(Finding("nats-not-checked", "info", "NATS was not looked at: none was named", hint, "NATS"))
    return findings


def _print(findings: list[Finding], *, as_json: bool) -> None:
    import json

    from rich.console import Console

    from pgstream_installer.report import render_findings

    if as_json:
        click.echo(json.dumps({"findings": [finding.as_json() for finding in findings]}, ensure_ascii=False))
    else:
        Console(highlight=False, soft_wrap=True).print(render_findings(findings))
