"""Flag over environment over file, `_FILE` twins, and mistakes that name their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgstream_installer.configuration import NatsOptions, load_configuration, require_databases
from pgstream_installer.errors import CommandLineError, ConfigurationError

TOML = """
[nats]
servers = ["nats://a:4222", "nats://b:4222"]
credentials = "secrets/all.creds"
[http]
listen = "127.0.0.1:7780"
[[databases]]
dsn = "postgresql://relay@db1/shop"
[[databases]]
dsn = "postgresql://relay@db1/crm"
  [databases.nats]
  user = "crm"
[[clusters]]
dsn = "postgresql://relay@db2/postgres"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "relay.toml"
    path.write_text(TOML)
    return path


def test_the_file_names_databases_clusters_and_their_nats(file: Path) -> None:
    loaded = load_configuration({"PGSTREAM_CONFIG": str(file)})

    shop, crm = loaded.databases
    assert (shop.dsn, crm.dsn) == ("postgresql://relay@db1/shop", "postgresql://relay@db1/crm")
    assert shop.nats == loaded.nats
    assert shop.nats is not None
    assert shop.nats.credentials == str(file.parent / "secrets/all.creds")
    assert crm.nats is not None
    assert (crm.nats.user, crm.nats.servers) == ("crm", ("nats://a:4222", "nats://b:4222"))
    assert [cluster.dsn for cluster in loaded.clusters] == ["postgresql://relay@db2/postgres"]


def test_the_environment_beats_the_file_and_a_flag_beats_both(file: Path) -> None:
    environment = {"PGSTREAM_DSN": "dbname=a\n\n dbname=b \n", "PGSTREAM_NATS_URL": "nats://env"}

    from_environment = load_configuration(environment, config=str(file))
    from_flags = load_configuration(environment, config=str(file), dsn=["dbname=c"], nats="nats://x,nats://y")

    assert [one.dsn for one in from_environment.databases] == ["dbname=a", "dbname=b"]
    assert from_environment.nats is not None
    assert from_environment.nats.servers == ("nats://env",)
    assert from_environment.clusters == ()
    assert [one.dsn for one in from_flags.databases] == ["dbname=c"]
    assert from_flags.nats is not None
    assert from_flags.nats.servers == ("nats://x", "nats://y")


def test_a_database_that_a_flag_names_keeps_the_account_that_the_file_gives_it(file: Path) -> None:
    loaded = load_configuration({}, config=str(file), dsn=["postgresql://relay@db1/crm"])

    assert loaded.databases[0].nats is not None
    assert loaded.databases[0].nats.user == "crm"


def test_a_value_can_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    secret.write_text("dbname=a password=s\n")

    assert load_configuration({"PGSTREAM_DSN_FILE": str(secret)}).databases[0].dsn == "dbname=a password=s"
    with pytest.raises(ConfigurationError, match="both set"):
        load_configuration({"PGSTREAM_DSN_FILE": str(secret), "PGSTREAM_DSN": "dbname=b"})
    with pytest.raises(ConfigurationError, match="can't be read"):
        load_configuration({"PGSTREAM_DSN_FILE": str(tmp_path / "none")})


def test_libpqs_variables_work_where_no_dsn_is_given() -> None:
    assert [one.dsn for one in load_configuration({"PGHOST": "db1"}).databases] == [""]
    assert load_configuration({"PGPASSWORD": "x"}).databases == ()


def test_a_command_that_writes_wants_databases_by_name(tmp_path: Path) -> None:
    with pytest.raises(CommandLineError, match="no database"):
        require_databases(load_configuration({}))
    clusters = tmp_path / "clusters.toml"
    clusters.write_text('[[clusters]]\ndsn = "dbname=a"\n')
    with pytest.raises(CommandLineError, match="clusters only"):
        require_databases(load_configuration({}, config=str(clusters)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[nats", "can't be read"),
        ("[nats]\nserver = 'x'", "unknown keys: server"),
        ("[nats]\nservers = [1]", "not a list of texts"),
        ("[nats]\nuser = 1", "user is not a text"),
        ("nats = 1", "not a table"),
        ("[databases]\ndsn = 'x'", "not a list of tables"),
        ("[[databases]]\nname = 'x'", "has no dsn"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=words) as refused:
        load_configuration({}, config=str(path))
    assert str(path) in str(refused.value)


def test_no_secret_is_in_a_repr() -> None:
    options = NatsOptions(servers=("nats://u:secret@h",), password="secret", token="secret")
    loaded = load_configuration({}, dsn=["dbname=a password=secret"])

    assert "secret" not in repr(options) + repr(loaded)
