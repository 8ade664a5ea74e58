"""The TOML file: each mistake names file, key and remedy, and quotes no value."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgstream_relay.configuration import Flags, load_settings
from pgstream_relay.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[nats", "not TOML: ", "mend that line"),
        ("[nat]", "nat: there is no such key", "did you mean nats?"),
        ("zebra = 1", "zebra: there is no such key", "known here: nats, http, log, databases, clusters"),
        ('[nats]\nsevers = "x"', "nats.severs: there is no such key", "did you mean servers?"),
        ("[nats]\nservers = [1]", "nats.servers[", "write a text in quotes"),
        ("[nats]\nservers = 1", "nats.servers: is a number", "write a text in quotes or a list in [ ]"),
        ("[nats]\npassword = 4711", "nats.password: is a number", "write a text in quotes"),
        ("nats = 1", "nats: is a number", "write a table"),
        ('[http]\ntable_metrics = "no"', "http.table_metrics: is a text in quotes", "write true or false"),
        ('[http]\nlisten = "x"', "http.listen: 'x' is not an address", "write HOST:PORT"),
        ('[log]\nlevel = "loud"', "log.level: 'loud' is none", "write one of debug"),
        ('[databases]\ndsn = ""', "databases: there may be many", "write [[databases]]"),
        ("[[databases]]", "databases[0].dsn: missing", "write dsn = "),
        ('[[databases]]\ndsn = "host=a"\nnat = 1', "databases[0].nat: there is no such key", "did you mean nats?"),
        (
            '[[databases]]\ndsn = "host=a"\n[databases.nats]\nuser = "u"\ntken = "t"',
            "databases[0].nats.tken: there is no such key",
            "did you mean token?",
        ),
        ('[[clusters]]\ndsn = "hunter2"', "clusters[0]: not a Postgres connection string", "write postgresql://"),
        (
            '[[databases]]\ndsn = "host=a dbname=x"\n[[databases]]\ndsn = "host=a dbname=x user=other"',
            "databases[1]: a:5432/x is named twice",
            "take one of them out",
        ),
        ('[nats]\nuser = "u"', "nats.user: set without password", "set password too"),
        ('[nats]\npassword = "hunter2"', "nats.password: set without user", "set user too"),
        ('[nats]\nuser = "u"\npassword = "hunter2"\ntoken = "t"', "nats: user and token are both set", "keep one"),
        (
            '[nats]\nservers = "nats://u:hunter2@h"\ntoken = "t"',
            "nats: token and a user in the URL of servers are both set",
            "keep one of them",
        ),
        ('[nats]\ncredentials = "no.creds"', "nats.credentials: ", "relative to the configuration file"),
        ('[nats]\ntls_cert = "pgstream.toml"', "nats.tls_cert: set without tls_key", "both files"),
        ('[nats]\ninbox_prefix = "_INBOX.>"', "nats.inbox_prefix: not a legal name", "without wildcards"),
        ('[nats]\njetstream_domain = "a.b"', "nats.jetstream_domain: not a legal name", "one word"),
    ],
)
def test_a_mistake(tmp_path: Path, text: str, message: str, hint: str) -> None:
    path = tmp_path / "pgstream.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(Flags(str(path)), {})
    assert caught.value.message.startswith(f"{path}: {message}")
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    assert "hunter2" not in caught.value.message + caught.value.hint
    assert "4711" not in caught.value.message + caught.value.hint


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "pgstream.toml"
    path.write_bytes(b"x = '\xff'")
    with pytest.raises(ConfigurationError, match=r"not UTF-8 text \(byte 5\)"):
        load_settings(Flags(str(path)), {})
