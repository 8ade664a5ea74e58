"""Postgres's own client, writing to /dev/null: how fast walsender decodes, and the kernel carries it over."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from bench.backlog import Backlog, fresh_slot
from bench.errors import BenchError
from bench.lab import Lab, clean_environment
from bench.peers.peer import Drain, per_event_us
from bench.readings import Sampler
from pgstream_installer.embedded import postgres_bin_directory

SLOT = "bench_pg_recvlogical"


@dataclass(frozen=True, slots=True)
class PgRecvlogical:
    """A peer. It decodes nothing and acknowledges nothing, so no relay can be faster."""

    name: str
    unix_socket: bool = False

    def drain(self, lab: Lab, backlog: Backlog) -> Drain:
        """See Peer."""
        command = (
            str(postgres_bin_directory() / "pg_recvlogical"),
            "--dbname", lab.unix_socket_dsn if self.unix_socket else lab.dsn,
            "--slot", SLOT, "--start", "--no-loop", "--endpos", backlog.end_lsn, "--file", "/dev/null",
            "--option", "proto_version=1", "--option", "publication_names=pgstream", "--option", "messages=true",
        )  # fmt: skip
        with fresh_slot(lab, SLOT):
            started = time.perf_counter()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=clean_environment(),
            )
            with Sampler(lab, process.pid, SLOT) as sampler:
                output, _ = process.communicate()
                seconds = time.perf_counter() - started
        if process.returncode != 0:
            raise BenchError(f"{self.name} ended with {process.returncode}:\n{output.decode(errors='replace')}")
        return Drain(
            self.name,
            backlog.events,
            seconds,
            cpu_us_per_event=per_event_us(sampler.client.cpu_seconds, backlog.events),
            walsender_us_per_event=per_event_us(sampler.walsender.cpu_seconds, backlog.events),
            peak_bytes=sampler.client.peak_bytes,
        )
