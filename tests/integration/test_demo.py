"""`pgstream demo` as a process without a terminal: real events on its output, and nothing left of it afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.relay import clean_environment

PGSTREAM = Path(sysconfig.get_path("scripts")) / "pgstream"
WAIT_SECONDS = 120
DATA_DIRECTORY = re.compile(r"/\S*/pgstream-pg-[^/ ]+")


class Demo:
    """A demo whose temporary files go to `directory`, but for Postgres's, whose own are named on its command line."""

    def __init__(self, directory: Path, seconds: int) -> None:
        self._directory = directory
        self.output = ""
        self.processes: dict[int, str] = {}
        self._process = subprocess.Popen(
            [str(PGSTREAM), "demo", "--seconds", str(seconds)],
            env=clean_environment({"TMPDIR": str(directory), "COLUMNS": "140", "PGHOST": "nowhere.invalid"}),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def read_until(self, words: str) -> None:
        """Reads output up to the first line that holds `words`."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            if words in line:
                return
        raise AssertionError(f"{words!r} did not come:\n{self.output}\n{self.end()}")

    def remember_processes(self) -> None:
        """Takes down what runs below it now."""
        parents = {pid: (parent, arguments) for pid, parent, arguments in _running_processes()}
        family = {self._process.pid}
        while more := {pid for pid, (parent, _) in parents.items() if parent in family} - family:
            family |= more
        self.processes = {pid: parents[pid][1] for pid in family - {self._process.pid}}

    def pid_of(self, words: str) -> int:
        return next(pid for pid, arguments in self.processes.items() if words in arguments)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop_reading(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()

    def end(self) -> tuple[int, str]:
        """Its exit code and standard error."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        if not self._process.stdout.closed:
            self.output += self._process.stdout.read()
        errors = self._process.stderr.read()
        return self._process.wait(WAIT_SECONDS), errors

    def assert_nothing_is_left(self) -> None:
        assert self.processes
        running = {pid: arguments for pid, _, arguments in _running_processes()}
        assert {pid: running[pid] for pid, was in self.processes.items() if running.get(pid) == was} == {}
        directories = {found for arguments in self.processes.values() for found in DATA_DIRECTORY.findall(arguments)}
        assert directories
        assert [found for found in directories if os.path.exists(found)] == []
        assert list(self._directory.iterdir()) == []

    def close(self) -> None:
        """SIGTERM first: a test that failed is to leave nothing either."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=WAIT_SECONDS)
        except (subprocess.TimeoutExpired, ValueError):
            self._process.kill()
            self._process.wait()


def _running_processes() -> list[tuple[int, int, str]]:
    listing = subprocess.run(["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()]
    return [(int(pid), int(parent), arguments) for pid, parent, arguments in rows]


@pytest.fixture
def demo(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Demo]:
    """One demo; its seconds are the parameter."""
    running = Demo(tmp_path, request.param)
    yield running
    running.close()


@pytest.mark.parametrize("demo", [3], indirect=True)
def test_the_whole_tour(demo: Demo) -> None:
    demo.read_until("Live traffic, 3 s")
    demo.remember_processes()
    code, errors = demo.end()
    assert (code, errors) == (0, "")
    for typed, event in [
        ("INSERT INTO orders VALUES (1, 1, 'new', 19.60);", "insert   shop.public.orders.insert"),
        ("", "id: 1  customer_id: 1  status: new  total: 19.60"),
        ("UPDATE products SET stock = stock - 2 WHERE id = 2;", "update   shop.public.products.update"),
        ("", "stock: 250 → 248"),
        ("UPDATE orders SET status = 'paid' WHERE id = 1;", "update   shop.public.orders.update"),
        ("", "status: new → paid"),
        ("DELETE FROM carts WHERE customer_id = 1;", "delete   shop.public.carts.delete"),
        ("TRUNCATE carts;", "truncate shop.public.carts.truncate"),
        ("INSERT INTO pgstream.tables (table_name, mode)", "shop.public.carts.*  ephemeral"),
        ("UPDATE orders SET status = 'shipped' WHERE id = 1;", "update   dispatch.orders.update"),
        ("", "status: paid → shipped"),
    ]:
        assert re.search(rf"^ +{re.escape(typed)} *│ +{re.escape(event)}", demo.output, re.MULTILINE), (typed, event)
    assert re.search(r"100 %  20000 rows", demo.output)
    assert "… 20000 rows in" in demo.output
    assert re.search(r"│ +snapshot shop\.public\.visits\.snapshot", demo.output)
    traffic = demo.output.partition("Live traffic")[2].partition("Summary")[0]
    price = r"^  UPDATE products SET price = (\S+) WHERE id = (\d); *│ update +products \[\2\]  price: \S+ → \1$"
    assert re.search(price, traffic, re.MULTILINE)
    assert re.search(r"  (\d+) events: .*\n  \d+ stored in PGSTREAM_shop, 3 ephemeral\n.*p50 \d+\.\d ms", demo.output)
    assert "\x1b" not in demo.output
    demo.assert_nothing_is_left()


@pytest.mark.parametrize("demo", [0], indirect=True)
def test_until_ctrl_c_with_somebody_who_looks_around(demo: Demo) -> None:
    demo.read_until("pgstream status --dsn")
    dsn = demo.output.split()[-1]
    demo.read_until("Live traffic, until Ctrl-C")
    demo.remember_processes()
    with psycopg.connect(dsn) as connection:
        connection.execute("update customers set name = 'Augusta Ada' where id = 1")
    demo.read_until("customers [1]  name: Ada → Augusta Ada")
    demo.signal(signal.SIGINT)
    assert demo.end() == (0, "")
    assert "Nothing is left behind" in demo.output
    demo.assert_nothing_is_left()


@pytest.mark.parametrize("demo", [60], indirect=True)
def test_sigterm_while_it_starts(demo: Demo) -> None:
    demo.read_until("$ pgstream-relay run")
    demo.remember_processes()
    demo.signal(signal.SIGTERM)
    code, errors = demo.end()
    assert (code, errors.strip()) == (130, "interrupted")
    demo.assert_nothing_is_left()


@pytest.mark.parametrize("demo", [60], indirect=True)
def test_a_relay_that_dies(demo: Demo) -> None:
    demo.read_until("Live traffic")
    demo.remember_processes()
    os.kill(demo.pid_of("pgstream-relay run"), signal.SIGKILL)
    code, errors = demo.end()
    assert code == 1
    assert errors.startswith("error: the demo failed: the relay has ended, with exit code -9\n")
    assert "database is streaming" in errors
    demo.assert_nothing_is_left()


@pytest.mark.parametrize("demo", [60], indirect=True)
def test_a_reader_who_goes(demo: Demo) -> None:
    demo.read_until("Choose tables")
    demo.remember_processes()
    demo.stop_reading()
    assert demo.end() == (0, "")
    demo.assert_nothing_is_left()
