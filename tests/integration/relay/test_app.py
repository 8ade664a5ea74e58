"""The command as a process: exit codes, signals, probes. Its databases are acted by tests.support.fake_relay."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pgstream_installer.embedded import free_port
from tests.support.relay import RelayProcess, clean_environment

FAKE = (sys.executable, "-m", "tests.support.fake_relay")
JSON_LOG = {"PGSTREAM_LOG_FORMAT": "json"}


def command(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pgstream_relay", *arguments],
        env=clean_environment(environment), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def acted(*names: str, http: str = "127.0.0.1:0", extra: Sequence[str] = ()) -> RelayProcess:
    dsns = [argument for name in names for argument in ("--dsn", f"host=127.0.0.1 port=1 dbname={name}")]
    return RelayProcess(*dsns, "--http", http, *extra, env=JSON_LOG, program=FAKE)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_version() -> None:
    done = command("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("pgstream-relay ")


def test_usage() -> None:
    assert command("run", "--nonsense").returncode == 2


def test_a_malformed_file_ends_with_78(tmp_path: Path) -> None:
    config = tmp_path / "pgstream.toml"
    config.write_text('[nats]\nsevers = "x"\n')
    done = command("run", environment={"PGSTREAM_CONFIG": str(config)})
    assert done.returncode == 78
    assert done.stderr == f"error: {config}: nats.severs: there is no such key\nhint: did you mean servers?\n"


def test_a_password_in_a_broken_dsn_is_not_shown() -> None:
    done = command("run", "--dsn", "host=db user=u hunter2")
    assert done.returncode == 78
    assert "hunter2" not in done.stdout + done.stderr


def test_a_port_in_use_that_was_asked_for_ends_with_78() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with acted("shop", http=address) as relay:
            assert relay.wait() == 78
            relay.wait_for(f"error: http.listen: can't listen on {address}: another process does")


def test_sigterm_drains_and_ends_with_0() -> None:
    with acted("shop", "crm") as relay:
        for name in ("shop", "crm"):
            relay.wait_for("database is streaming", database=name)
        relay.send(signal.SIGTERM)
        assert relay.wait() == 0
        for name in ("shop", "crm"):
            relay.wait_for("worker drained", database=name)


def test_sigint_at_any_moment_ends_with_0() -> None:
    with acted("away") as relay:
        relay.wait_for("relay starts")
        relay.send(signal.SIGINT)
        assert relay.wait() == 0


def test_a_second_signal_stops_at_once() -> None:
    with acted("never_drains") as relay:
        relay.wait_for("database is streaming")
        relay.send(signal.SIGTERM)
        relay.wait_for("stops: waits for what is under way")
        relay.send(signal.SIGTERM)
        assert relay.wait() == 1


@pytest.mark.parametrize(("names", "code"), [(["waits77"], 77), (["waits77", "waits78"], 78), (["raises"], 78)])
def test_ends_when_every_database_waits_for_a_person(names: list[str], code: int) -> None:
    with acted(*names) as relay:
        assert relay.wait() == code
        relay.wait_for("every database waits for a person: the relay ends", exit_code=code)


def test_ones_trouble_never_stops_another() -> None:
    with acted("shop", "crashes", "waits78") as relay:
        relay.wait_for("database is streaming", database="shop")
        line = relay.wait_for("worker made", times=2, database="crashes")
        failure = relay.wait_for("the worker failed in a way that it should not, and starts again")
        assert "fake_relay.py" in failure["exception"]
        assert "4711" not in json.dumps(relay.lines)
        status, body = get(f"{relay.url()}/readyz")
        assert status == 503
        assert json.loads(body)["databases"] == {"shop": "streaming", "crashes": "stalled", "waits78": "stalled"}
        assert line["nats"] == "nats://127.0.0.1:4222"
        relay.send(signal.SIGTERM)
        assert relay.wait() == 0


def test_http() -> None:
    with acted("shop") as relay:
        relay.wait_for("database is streaming")
        url = relay.url()
        assert get(f"{url}/livez") == (200, '{"live":true,"hanging":[]}')
        status, body = get(f"{url}/readyz")
        assert (status, json.loads(body)["ready"]) == (200, True)
        database = json.loads(get(f"{url}/status")[1])["databases"][0]
        assert (database["database"], database["state"]) == ("shop", "streaming")
        metrics = get(f"{url}/metrics")[1]
        assert 'pgstream_events_total{database="shop",operation="insert",schema="public",table="orders"} 2.0' in metrics
        status, page = get(f"{url}/")
        assert (status, "<title>pgstream relay</title>" in page) == (200, True)
        assert "//" not in page.replace("// ", "")
        assert get(f"{url}/nothing")[0] == 404


def test_livez_answers_503_where_the_event_loop_hangs() -> None:
    with acted("blocks_the_event_loop") as relay:
        url = relay.url()
        answer = get(f"{url}/livez")
        while answer[0] == 200:
            answer = get(f"{url}/livez")
        assert answer == (503, '{"live":false,"hanging":["the event loop"]}')


def test_healthcheck() -> None:
    address = f"127.0.0.1:{free_port()}"
    assert command("healthcheck", "--http", address).returncode == 1
    with acted("away", http=address) as relay:
        relay.wait_for("database is stalled")
        relay.url()
        assert command("healthcheck", "--http", address).returncode == 0
        done = command("healthcheck", "--ready", environment={"PGSTREAM_HTTP": address})
        assert done.returncode == 1
        assert json.loads(done.stdout)["errors"] == {"away": "the server is away"}


def test_sighup(tmp_path: Path) -> None:
    config = tmp_path / "pgstream.toml"

    def write(nats: str, *names: str) -> None:
        databases = "".join(f'[[databases]]\ndsn = "host=127.0.0.1 port=1 dbname={name}"\n' for name in names)
        config.write_text(f'[nats]\nservers = "{nats}"\n{databases}')

    write("nats://one", "stays", "goes")
    with RelayProcess("--config", str(config), "--http", "127.0.0.1:0", env=JSON_LOG, program=FAKE) as relay:
        for name in ("stays", "goes"):
            relay.wait_for("database is streaming", database=name)
        config.write_text("[nats\n")
        relay.send(signal.SIGHUP)
        assert "not TOML" in relay.wait_for("the new configuration is not taken over, the old one stays")["error"]
        write("nats://one", "stays", "comes")
        relay.send(signal.SIGHUP)
        relay.wait_for("worker drained", database="goes")
        relay.wait_for("database is streaming", database="comes")
        write("nats://two", "stays", "comes")
        relay.send(signal.SIGHUP)
        relay.wait_for("worker made", database="stays", nats="nats://two")
        relay.wait_for("database is streaming", times=2, database="stays")
        relay.wait_for("database is streaming", times=2, database="comes")
        states = json.loads(get(f"{relay.url()}/readyz")[1])["databases"]
        assert states == {"stays": "streaming", "comes": "streaming"}
        relay.send(signal.SIGTERM)
        assert relay.wait() == 0
        made = [line["database"] for line in relay.lines if line["event"] == "worker made"]
        assert sorted(made) == ["comes", "comes", "goes", "stays", "stays"]
