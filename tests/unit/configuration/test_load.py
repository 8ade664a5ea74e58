"""Flag over environment over file over default; relative paths; what makes a configuration contradictory."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgstream_relay.configuration import Flags, load_http_settings, load_settings
from pgstream_relay.errors import ConfigurationError
from pgstream_relay.settings import DatabaseSettings, HttpSettings, LogSettings, NatsSettings


def write(directory: Path, text: str) -> str:
    path = directory / "pgstream.toml"
    path.write_text(text)
    return str(path)


def test_without_anything_libpqs_own_variables_name_the_one_database() -> None:
    settings = load_settings(Flags(), {})
    assert settings.databases == (DatabaseSettings("", NatsSettings()),)
    assert settings.http == HttpSettings("127.0.0.1", 7780, explicit=False)
    assert settings.log == LogSettings("text", "info")
    assert settings.config_file is None


def test_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/shop.creds").touch()
    config = write(
        tmp_path,
        """
        [nats]
        servers = ["nats://n1:4222", "n2"]
        user = "u"
        password = "p"
        inbox_prefix = "_INBOX_relay"
        [http]
        listen = "[::1]:0"
        table_metrics = false
        [log]
        format = "json"
        level = "WARNING"
        [[databases]]
        dsn = "postgresql://pgstream_relay@db1/shop"
          [databases.nats]
          credentials = "secrets/shop.creds"
        [[databases]]
        dsn = "postgresql://pgstream_relay@db1/crm"
        [[clusters]]
        dsn = "postgresql://pgstream_relay@db2/postgres"
        """,
    )
    settings = load_settings(Flags(config), {})
    shared = NatsSettings(("nats://n1:4222", "nats://n2"), user="u", password="p", inbox_prefix="_INBOX_relay")
    own = NatsSettings(shared.servers, credentials=tmp_path / "secrets/shop.creds", inbox_prefix="_INBOX_relay")
    assert [database.nats for database in settings.databases] == [own, shared]
    assert settings.clusters[0].nats == shared
    assert settings.http == HttpSettings("::1", 0, explicit=True, table_metrics=False)
    assert settings.log == LogSettings("json", "warning")
    assert settings.config_file == Path(config)


FILE = """
[nats]
servers = "nats://from-file"
[http]
listen = "127.0.0.1:1"
[log]
level = "error"
[[databases]]
dsn = "host=from-file dbname=x"
[[clusters]]
dsn = "host=cluster dbname=x"
"""
ENVIRONMENT = {
    "PGSTREAM_DSN": "host=from-environment dbname=x\n\nhost=second dbname=x\n",
    "PGSTREAM_NATS_URL": "nats://from-environment, tls://second:4223",
    "PGSTREAM_HTTP": "127.0.0.1:2",
    "PGSTREAM_LOG_LEVEL": "warning",
}


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "PGSTREAM_CONFIG": write(tmp_path, FILE)}
    settings = load_settings(Flags(), environment)
    assert [database.dsn for database in settings.databases] == [
        "host=from-environment dbname=x", "host=second dbname=x",
    ]  # fmt: skip
    assert settings.clusters == ()
    assert settings.databases[0].nats.servers == ("nats://from-environment", "tls://second:4223")
    assert settings.http.port == 2
    assert settings.log.level == "warning"


def test_flags_go_over_the_environment(tmp_path: Path) -> None:
    flags = Flags(write(tmp_path, FILE), ("host=flag",), "nats://flag", "127.0.0.1:3", "json", "debug")
    settings = load_settings(flags, {**ENVIRONMENT, "PGSTREAM_CONFIG": "/nowhere"})
    assert settings.databases == (DatabaseSettings("host=flag", NatsSettings(("nats://flag",))),)
    assert settings.http.port == 3
    assert settings.log == LogSettings("json", "debug")


def test_a_dsn_given_again_keeps_its_account_from_the_file(tmp_path: Path) -> None:
    config = write(tmp_path, '[[databases]]\ndsn = "host=a"\n[databases.nats]\ntoken = "t"\n')
    settings = load_settings(Flags(config, ("host=a", "host=a", "host=b")), {})
    assert [(database.dsn, database.nats.token) for database in settings.databases] == [
        ("host=a", "t"),
        ("host=b", None),
    ]


def test_a_variable_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("host=secret dbname=x\n")
    settings = load_settings(Flags(), {"PGSTREAM_DSN_FILE": str(tmp_path / "dsn"), "PGSTREAM_DSN": ""})
    assert settings.databases[0].dsn == "host=secret dbname=x"


def test_http_off() -> None:
    assert not load_http_settings(Flags(http="off"), {}).enabled


def test_no_repr_holds_a_secret() -> None:
    nats = NatsSettings(("nats://u:hunter2@h",), password="hunter2", token="hunter2")
    assert "hunter2" not in repr(DatabaseSettings("postgresql://u:hunter2@h/x", nats))


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        (Flags(dsn=("host=a hunter2",)), {}, "--dsn: not a Postgres connection string"),
        (Flags(), {"PGSTREAM_DSN": "postgresql://u:hunter2%zz@h/x"}, "PGSTREAM_DSN: not a Postgres connection"),
        (Flags(dsn=("host=a dbname=x", "postgresql://a/x")), {}, "--dsn: a:5432/x is named twice (also by --dsn)"),
        (Flags(nats="http://h"), {}, "--nats: http://h is not a NATS URL"),
        (Flags(nats="nats://u:hunter2@h:hunter2"), {}, "--nats: a NATS URL whose port is malformed"),
        (Flags(nats="nats://u:hunter2@h/path"), {}, "--nats: nats://u:***@h/path does not name a host"),
        (Flags(nats="nats://[::1"), {}, "--nats: a NATS URL whose address is malformed"),
        (Flags(nats=" , "), {}, "--nats: no server is named"),
        (Flags(http="7780"), {}, "--http: '7780' is not an address"),
        (Flags(), {"PGSTREAM_HTTP": "h:70000"}, "PGSTREAM_HTTP: 'h:70000' is not an address"),
        (Flags(), {"PGSTREAM_LOG_LEVEL": "loud"}, "PGSTREAM_LOG_LEVEL: 'loud' is none"),
        (Flags(log_format="xml"), {}, "--log-format: 'xml' is none"),
        (Flags(config="/nowhere/x.toml"), {}, "/nowhere/x.toml: the configuration file can't be read: No such file"),
        (Flags(), {"PGSTREAM_DSN": "a", "PGSTREAM_DSN_FILE": "b"}, "PGSTREAM_DSN and PGSTREAM_DSN_FILE are both set"),
        (Flags(), {"PGSTREAM_DSN_FILE": "/nowhere"}, "PGSTREAM_DSN_FILE (/nowhere): the file can't be read"),
    ],
)
def test_one_clear_error(flags: Flags, environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(flags, environment)
    assert caught.value.message.startswith(message)
    assert caught.value.hint
    assert caught.value.exit_code == 78
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_config_file_variable_that_names_the_toml_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds more than a path") as caught:
        load_settings(Flags(), {"PGSTREAM_CONFIG_FILE": write(tmp_path, FILE)})
    assert caught.value.hint is not None
    assert "PGSTREAM_CONFIG" in caught.value.hint
