"""Each reason why a slot can't be streamed from is an error of its own, with the exit code of who can mend it."""

from __future__ import annotations

import asyncio
import os
import signal

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from pgstream_relay.errors import EXIT_CONFIGURATION, EXIT_RIGHTS, EXIT_UNAVAILABLE, ConfigurationError
from pgstream_relay.pgoutput.messages import LogicalMessage, Message
from pgstream_relay.runtime.postgres_errors import (
    DatabaseMissing,
    MissingPrivilege,
    PositionAhead,
    PublicationMissing,
    ServerUnavailable,
    ServerUnsuitable,
    SlotActive,
    SlotLost,
    SlotMissing,
    SlotUnsuitable,
)
from pgstream_relay.runtime.replication import ReplicationSession
from tests.integration.replication.conftest import Source
from tests.support.slot import active_pid, current_wal_lsn
from tests.support.stream import READ_BYTES, decode_batch, inserted, read_transactions


async def start(dsn: str, slot: str, start_lsn: int = 0) -> None:
    session = await ReplicationSession.start(dsn, slot, "p", start_lsn)
    await session.close()


async def test_slot_missing(source: Source) -> None:
    with pytest.raises(SlotMissing, match="slot nothing does not exist") as raised:
        await start(source.dsn, "nothing")
    assert raised.value.exit_code == EXIT_CONFIGURATION
    assert isinstance(raised.value, SlotLost)


@pytest.mark.parametrize("name", ["it's", 'the "slot"', "a\\b", "x; select 1"])
async def test_any_slot_name_is_a_name(source: Source, name: str) -> None:
    with pytest.raises(SlotMissing):
        await start(source.dsn, name)


async def test_slot_active_tells_by_whom(source: Source) -> None:
    async with source.session():
        pid = active_pid(source.connection, source.slot)
        with pytest.raises(SlotActive) as raised:
            await start(source.dsn, source.slot)
    assert raised.value.pid == pid
    assert raised.value.retryable


async def test_slot_of_another_database(source: Source) -> None:
    with pytest.raises(SlotUnsuitable, match=f"belongs to database {source.database}, not to postgres"):
        await start(source.postgres.dsn("postgres"), source.slot)


@pytest.mark.parametrize(
    ("arguments", "reason"), [("'test_decoding'", "plugin test_decoding"), ("'pgoutput', false, true", "two_phase")]
)
async def test_slot_of_another_kind(source: Source, arguments: str, reason: str) -> None:
    name = f"{source.slot}_other"
    source.connection.execute(f"select pg_create_logical_replication_slot('{name}', {arguments})".encode())
    with pytest.raises(SlotUnsuitable, match=reason):
        await start(source.dsn, name)


async def test_physical_slot(source: Source) -> None:
    name = f"{source.slot}_physical"
    source.connection.execute("select pg_create_physical_replication_slot(%s)", [name])
    try:
        with pytest.raises(SlotUnsuitable):
            await start(source.dsn, name)
    finally:
        source.connection.execute("select pg_drop_replication_slot(%s)", [name])


async def test_a_position_past_the_wal_is_refused(source: Source) -> None:
    with pytest.raises(PositionAhead):
        await start(source.dsn, source.slot, current_wal_lsn(source.connection) + 1_000_000)


async def test_slot_lost(own_source: Source) -> None:
    for _ in range(4):
        own_source.insert(current_wal_lsn(own_source.connection) % 1_000_000_007)
        own_source.connection.execute("select pg_switch_wal()")
    own_source.connection.execute("checkpoint")
    with pytest.raises(SlotLost, match="removed") as raised:
        await start(own_source.dsn, own_source.slot)
    assert raised.value.hint is not None
    assert "--new-slot" in raised.value.hint


async def test_missing_publication_hands_out_nothing_after_it(source: Source) -> None:
    source.insert(1)
    source.connection.execute('drop publication "Über ""the"" publisher\'s"')
    dropped_lsn = current_wal_lsn(source.connection)
    source.insert(2)
    source.connection.execute("select pg_logical_emit_message(true, 'after', '')")
    messages: list[Message] = []
    async with source.session() as session:

        async def read_all() -> None:
            while True:
                messages.extend(decode_batch(await session.read(READ_BYTES)))

        with pytest.raises(PublicationMissing) as raised:
            await read_all()
        assert session.received_lsn <= dropped_lsn
    assert raised.value.exit_code == EXIT_CONFIGURATION
    assert inserted(messages) == [b"1"]
    assert not any(isinstance(message, LogicalMessage) for message in messages)


async def test_a_publication_that_never_was(source: Source) -> None:
    source.insert(1)
    source.publication = "nothing"
    async with source.session() as session:
        with pytest.raises(PublicationMissing, match="publication nothing"):
            await read_transactions(session, 1)


async def test_a_filter_that_fails_on_a_row_does_not_tell_the_row(source: Source) -> None:
    if source.connection.info.server_version < 150000:
        pytest.skip("row filters came with PostgreSQL 15")
    source.connection.execute("create table secret (id text primary key)")
    source.connection.execute("alter table secret replica identity full")
    source.connection.execute(
        'alter publication "Über ""the"" publisher\'s" add table secret where (length(id) / (length(id) - 6) > 0)'
    )
    source.connection.execute("insert into secret values ('hidden')")
    async with source.session() as session:
        with pytest.raises(Exception, match="22012 DivisionByZero") as raised:
            await read_transactions(session, 1)
    assert "hidden" not in str(raised.value)


async def test_server_away() -> None:
    with pytest.raises(ServerUnavailable, match="Connection refused") as raised:
        await start("host=127.0.0.1 port=1 dbname=shop", "s")
    assert raised.value.exit_code == EXIT_UNAVAILABLE
    assert "127.0.0.1:1/shop" in raised.value.message


async def test_server_frozen(own_source: Source) -> None:
    os.kill(own_source.postgres.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ServerUnavailable, match="timeout"):
            await start(f"{own_source.dsn} connect_timeout=2", own_source.slot)
    finally:
        os.kill(own_source.postgres.pid, signal.SIGCONT)


async def test_host_unknown() -> None:
    with pytest.raises(ServerUnavailable):
        await start("host=nowhere.invalid", "s")


async def test_dsn_malformed() -> None:
    with pytest.raises(ConfigurationError):
        await start("host=x pasword=secret", "s")


async def test_database_missing(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(DatabaseMissing) as raised:
        await start(postgres.dsn("nothing"), "s")
    assert raised.value.exit_code == EXIT_CONFIGURATION


async def test_role_missing(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(MissingPrivilege, match='role "nobody_here" does not exist') as raised:
        await start(postgres.dsn(user="nobody_here"), "s")
    assert raised.value.exit_code == EXIT_RIGHTS


async def test_role_without_replication(source: Source) -> None:
    role = f"{source.database}_plain"
    source.connection.execute(f"create role {role} login".encode())
    try:
        with pytest.raises(MissingPrivilege, match=r"(?i)wal ?sender") as raised:
            await start(source.postgres.dsn(source.database, user=role), source.slot)
    finally:
        source.connection.execute(f"drop role {role}".encode())
    assert raised.value.hint is not None
    assert "REPLICATION" in raised.value.hint


async def test_wrong_password(own_source: Source) -> None:
    own_source.connection.execute("create role guest login replication password 'right'")
    hba = own_source.postgres.data_directory / "pg_hba.conf"
    hba.write_text("host all guest all scram-sha-256\nhost all postgres all trust\n")
    own_source.connection.execute("select pg_reload_conf()")
    while True:
        try:
            psycopg.connect(own_source.postgres.dsn(user="guest")).close()
        except psycopg.OperationalError:
            break
        await asyncio.sleep(0.02)
    dsn = own_source.postgres.dsn(user="guest")
    with pytest.raises(MissingPrivilege, match="no password supplied"):
        await start(dsn, "s")
    with pytest.raises(MissingPrivilege, match="password authentication failed") as raised:
        await start(f"{dsn} password=wrong", "s")
    assert "wrong" not in raised.value.message
    with pytest.raises(MissingPrivilege, match="pg_hba"):
        await start(own_source.postgres.dsn(user="other"), "s")


async def test_wal_level_not_logical() -> None:
    with (
        EmbeddedPostgres(settings={"wal_level": "replica"}) as server,
        pytest.raises(ServerUnsuitable, match="wal_level = replica") as raised,
    ):
        await start(server.dsn(), "s")
    assert raised.value.exit_code == EXIT_CONFIGURATION
