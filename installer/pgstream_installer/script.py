"""`pgstream install --dry-run`: the steps as SQL that psql runs to the same effect."""

from __future__ import annotations

from collections.abc import Sequence

from pgstream_installer.apply import LOCK_KEY
from pgstream_installer.connect import Connection
from pgstream_installer.desired import Desired
from pgstream_installer.observed import read_server, read_slot
from pgstream_installer.plan import (
    Step,
    create_slot,
    plan_adoption,
    plan_schema,
    plan_slot,
    plan_snapshot,
    refuse_server,
)
from pgstream_installer.sqlfiles import install_files


def script_for_nobody(desired: Desired) -> str:
    """The whole control schema, for a database that nothing is known of."""
    steps = [plan_schema(desired, None, install_files())]
    if desired.slot:
        steps.append(create_slot(desired))
    return render([*steps, *plan_adoption(desired), *plan_snapshot(desired)])


def script_for(connection: Connection, desired: Desired) -> str:
    """What `install` would run in this database now. Refuses what `install` would refuse; changes nothing."""
    server = read_server(connection, desired)
    refuse_server(desired, server)
    slot_steps: list[Step] = []
    if server.schema == "ours":
        slot_steps = plan_slot(desired, read_slot(connection), server.database)
    elif desired.slot:
        slot_steps = [create_slot(desired)]
    steps = [plan_schema(desired, server, install_files()), *slot_steps, *plan_adoption(desired)]
    if slot_steps:
        steps += plan_snapshot(desired)
    return render(steps, f"-- Database {server.database}, PostgreSQL {server.server_version_text}.\n")


def render(steps: Sequence[Step], heading: str = "") -> str:
    """One script for psql: it stops at the first error, and takes turns with other installs."""
    parts = [
        "-- Written by `pgstream install --dry-run`. Run it by psql as the role that is to own the schema.\n",
        heading,
        "\\set ON_ERROR_STOP on\n",
        "set client_min_messages = warning;\n",
        f"select pg_catalog.pg_advisory_lock({LOCK_KEY});\n",
    ]
    for step in steps:
        parts.append(f"\n-- Step: {step.title}.\nbegin;\nset local search_path = pg_catalog;\n")
        parts += [f"\n-- {file.path}\n{_terminated(file.text)}" for file in step.statements]
        parts.append("commit;\n")
    parts.append(f"\nselect pg_catalog.pg_advisory_unlock({LOCK_KEY});\n")
    return "".join(parts)


def _terminated(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
