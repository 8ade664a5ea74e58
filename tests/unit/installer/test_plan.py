"""What `pgstream install` decides, without a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgstream_installer.desired import Desired
from pgstream_installer.errors import ConfigurationError, InstallerError, RightsError
from pgstream_installer.observed import Server, Slot
from pgstream_installer.plan import Step, create_slot, plan_adoption, plan_schema, plan_slot, refuse_server
from pgstream_installer.script import render
from pgstream_installer.sqlfiles import SqlFile

SERVER = Server(
    server_version=180000,
    server_version_text="18.0",
    database="shop",
    source="7/16384",
    in_recovery=False,
    wal_level="logical",
    role="admin",
    superuser=True,
    may_create_roles=True,
    replication=True,
    may_create_schema=True,
    schema="absent",
    schema_owner=None,
    acts_as_schema_owner=False,
    owner_role_exists=False,
    relay_role_exists=False,
    relay_role_fits=False,
)
WEAK = replace(SERVER, superuser=False, may_create_roles=False, replication=False)
SLOT = Slot(
    name="pgstream_shop",
    source="7/16384",
    present=True,
    database="shop",
    plugin="pgoutput",
    active_pid=None,
    lost=False,
    failover=True,
    kept_source="7/16384",
    has_published=True,
    unreadable=False,
    gap_is_open=False,
)
MISSING = replace(SLOT, present=False, database=None, plugin=None)
FILES = [SqlFile("a.sql", "select 1;\n"), SqlFile("b.sql", "select 2;")]


def titles(steps: list[Step]) -> list[str]:
    return [step.title for step in steps]


def test_a_good_server_is_not_refused() -> None:
    refuse_server(Desired(relay_role="relay"), SERVER)


@pytest.mark.parametrize(
    ("server", "desired", "kind", "words"),
    [
        (replace(SERVER, server_version=140000), Desired(), ConfigurationError, "older than 15"),
        (replace(SERVER, in_recovery=True), Desired(), ConfigurationError, "standby"),
        (replace(SERVER, schema="foreign"), Desired(), ConfigurationError, "did not make"),
        (replace(SERVER, wal_level="replica"), Desired(), ConfigurationError, "wal_level is replica"),
        (replace(WEAK, may_create_schema=False), Desired(slot=False), RightsError, "may not create a schema"),
        (replace(WEAK, schema="ours", schema_owner="x"), Desired(slot=False), RightsError, "belongs to role x"),
        (WEAK, Desired(owner_role="dba", slot=False), RightsError, "may not create roles"),
        (WEAK, Desired(relay_role="relay", slot=False), RightsError, "may not create it"),
        (WEAK, Desired(), RightsError, "no REPLICATION"),
        (
            replace(SERVER, superuser=False, server_version=150013),
            Desired(relay_role="relay"),
            RightsError,
            "may not create it",
        ),
    ],
)
def test_a_server_is_refused_with_a_hint(
    server: Server, desired: Desired, kind: type[InstallerError], words: str
) -> None:
    with pytest.raises(kind, match=words) as refused:
        refuse_server(desired, server)
    assert refused.value.hint


def test_without_a_slot_neither_wal_level_nor_replication_matters() -> None:
    refuse_server(Desired(slot=False), replace(WEAK, wal_level="minimal"))


def test_on_16_createrole_and_replication_are_enough_for_the_relays_role() -> None:
    refuse_server(Desired(relay_role="relay"), replace(SERVER, superuser=False, server_version=160009))


def test_the_schema_is_one_step_with_the_parameters_before_the_files() -> None:
    step = plan_schema(Desired(owner_role="dba", relay_role="relay"), replace(SERVER, relay_role_exists=True), FILES)

    assert [statement.path for statement in step.statements] == ["settings", "a.sql", "b.sql"]
    assert "'dba'" in step.statements[0].text
    assert "'relay'" in step.statements[0].text


def test_a_relay_role_that_is_missing_comes_first_and_asks_for_a_password() -> None:
    step = plan_schema(Desired(relay_role="relay"), SERVER, FILES)

    assert step.statements[0].path == "relay role"
    assert "password" in step.notes[0]


def test_a_relay_role_that_can_not_replicate_is_named() -> None:
    step = plan_schema(Desired(relay_role="relay"), replace(SERVER, relay_role_exists=True), FILES)

    assert 'ALTER ROLE "relay" LOGIN REPLICATION' in step.notes[0]


@pytest.mark.parametrize("desired", [Desired(), Desired(new_slot=True), Desired(failover=False)])
def test_a_slot_that_works_is_left_alone(desired: Desired) -> None:
    assert plan_slot(desired, SLOT, "shop") == []


def test_no_slot_wanted_means_none_made() -> None:
    assert plan_slot(Desired(slot=False), replace(MISSING, kept_source=None), "shop") == []


def test_the_first_slot_is_made() -> None:
    steps = plan_slot(Desired(failover=False), replace(MISSING, kept_source=None, has_published=False), "shop")

    assert titles(steps) == ["replication slot made"]
    assert "create_slot(false)" in steps[0].statements[0].text


@pytest.mark.parametrize(
    "slot",
    [
        MISSING,
        replace(SLOT, lost=True),
        replace(SLOT, unreadable=True),
        replace(SLOT, kept_source=None),
        replace(SLOT, kept_source="8/16384"),
    ],
)
def test_what_is_lost_is_refused_and_mended_with_the_gap_on_record_first(slot: Slot) -> None:
    with pytest.raises(ConfigurationError, match="is lost") as refused:
        plan_slot(Desired(), slot, "shop")
    assert "--new-slot" in refused.value.hint

    steps = titles(plan_slot(Desired(new_slot=True), slot, "shop"))

    assert steps[0].startswith("gap recorded")
    assert steps[-1] == "replication slot made"
    assert (len(steps) == 3) == slot.present


def test_an_interrupted_new_slot_goes_on_without_being_told_again() -> None:
    interrupted = replace(MISSING, kept_source=None, gap_is_open=True)
    half_made = replace(SLOT, kept_source=None, gap_is_open=True)

    assert titles(plan_slot(Desired(), interrupted, "shop")) == ["replication slot made"]
    assert titles(plan_slot(Desired(), half_made, "shop")) == [
        "replication slot pgstream_shop dropped",
        "replication slot made",
    ]


@pytest.mark.parametrize("slot", [replace(SLOT, database="other"), replace(SLOT, plugin="wal2json")])
def test_a_slot_of_somebody_else_is_never_touched(slot: Slot) -> None:
    with pytest.raises(ConfigurationError) as refused:
        plan_slot(Desired(new_slot=True), slot, "shop")
    assert "slot_name" in refused.value.hint


def test_a_script_has_each_step_in_a_transaction_of_its_own() -> None:
    script = render([plan_schema(Desired(), None, FILES), create_slot(Desired())])

    assert script.count("\nbegin;\n") == script.count("\ncommit;\n") == 2
    assert script.index("select 2;\n") < script.index("commit;") < script.index("create_slot(true)")
    assert "\\set ON_ERROR_STOP on" in script


def test_streams_are_adopted_only_where_that_is_asked_for() -> None:
    assert plan_adoption(Desired()) == []
    [step] = plan_adoption(Desired(adopt_stream=True))
    assert "pgstream.adoptions" in step.statements[0].text
