"""The primary is gone and a standby is promoted, without the last transactions: nothing of the new primary is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from pgstream_relay.pgoutput.lsn import parse_lsn
from tests.faults.table import Connection, insert, install, numbers, status
from tests.support.relay import StoredEvent, eventually, running_relay, wait_for_events

THROUGHOUT = "throughout"
"""The database whose relay runs all the time."""
AFTERWARDS = "afterwards"
"""The database whose relay starts only after the promotion."""
STANDBY_SETTINGS = {"sync_replication_slots": "on", "hot_standby_feedback": "on", "hot_standby": "on"}
PHYSICAL_SLOT = "standby"
LOST_ROWS = range(11, 511)
"""Of which the standby never hears."""


@pytest.fixture
def primary() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres() as server:
        for database in (THROUGHOUT, AFTERWARDS):
            with server.connect() as connection:
                connection.execute(f"create database {database}".encode())
            install(server, database)
        yield server


@pytest.fixture
def standby(primary: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A physical standby that keeps the primary's failover slots."""
    server = EmbeddedPostgres(settings=STANDBY_SETTINGS)
    server.run(
        "pg_basebackup", "-D", str(server.data_directory), "-d", primary.dsn(), "-c", "fast", "-R", "-C",
        "-S", PHYSICAL_SLOT,
    )  # fmt: skip
    with server:
        yield server


def either(primary: EmbeddedPostgres, standby: EmbeddedPostgres, database: str) -> str:
    """The DSN of whichever of the two is the primary."""
    return (
        f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} dbname={database} user=postgres"
        " target_session_attrs=read-write"
    )


async def wait_until_synchronised(primary: Connection, standby: Connection) -> None:
    """Until the standby would keep both slots when it is promoted, and has replayed everything."""

    def kept() -> bool:
        # Slots become fit for that by the WAL of running transactions.
        primary.execute("select pg_log_standby_snapshot()")
        row = standby.execute(
            "select count(*) from pg_replication_slots where synced and not temporary and invalidation_reason is null"
        ).fetchone()
        return row == (2,)

    await eventually(kept, otherwise=lambda: str(standby.execute("table pg_replication_slots").fetchall()))
    (lsn,) = primary.execute("select pg_current_wal_lsn()::text").fetchone() or ("",)

    def replayed() -> bool:
        return standby.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", [lsn]).fetchone() == (True,)

    await eventually(replayed)


async def cut_off(standby: Connection) -> None:
    """From now on nothing of the primary reaches the standby."""
    standby.execute("alter system set primary_conninfo = ''")
    standby.execute("select pg_reload_conf()")
    await eventually(lambda: standby.execute("select count(*) from pg_stat_wal_receiver").fetchone() == (0,))


def timelines(events: list[StoredEvent]) -> list[int]:
    return [int(event.headers["Pgstream-Source"].rpartition("/")[2]) for event in events]


def lsn_of(event: StoredEvent) -> int:
    return parse_lsn(event.headers["Pgstream-Lsn"])


async def test_a_standby_promoted_without_the_last_transactions_is_streamed_without_a_hole(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres, nats: EmbeddedNats
) -> None:
    stream, later_stream = f"PGSTREAM_{THROUGHOUT}", f"PGSTREAM_{AFTERWARDS}"
    with running_relay(either(primary, standby, THROUGHOUT), nats.url):
        with (
            primary.connect(THROUGHOUT) as old,
            primary.connect(AFTERWARDS) as later,
            standby.connect() as watched,
        ):
            insert(old, 1, 10)
            insert(later, 1, 10)
            with running_relay(either(primary, standby, AFTERWARDS), nats.url):
                # The standby keeps a slot only once its relay has moved it.
                await wait_for_events(nats.url, later_stream, 10)
                await wait_for_events(nats.url, stream, 10)
                await wait_until_synchronised(old, watched)
            insert(later, 11, 20)
            await wait_until_synchronised(old, watched)
            await cut_off(watched)
            for number in LOST_ROWS:
                insert(old, number)
            await wait_for_events(nats.url, stream, LOST_ROWS[-1])
        primary.kill()
        with standby.connect() as promoted:
            promoted.execute("select pg_promote()")
        with standby.connect(THROUGHOUT) as new:
            assert new.execute("select max(id) from t").fetchone() == (10,)
            insert(new, 1001, 1010)
            events = await wait_for_events(nats.url, stream, LOST_ROWS[-1] + 10)
            await eventually(lambda: status(new)[0] == "streaming")
    assert numbers(events) == [*range(1, 11), *LOST_ROWS, *range(1001, 1011)]
    assert timelines(events) == [1] * LOST_ROWS[-1] + [2] * 10
    assert lsn_of(events[-1]) < lsn_of(events[-11]), "the new primary's positions should fall among those it never had"
    assert len({event.document["id"] for event in events}) == len(events)

    with running_relay(either(primary, standby, AFTERWARDS), nats.url), standby.connect(AFTERWARDS) as new:
        insert(new, 21, 30)
        events = await wait_for_events(nats.url, later_stream, 30)
    # Read after the promotion, but written before it: as they would have been then.
    assert numbers(events) == list(range(1, 31))
    assert timelines(events) == [1] * 20 + [2] * 10
