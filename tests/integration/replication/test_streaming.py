from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pgstream_relay.pgoutput.messages import Begin, Commit, Insert, LogicalMessage, Relation
from pgstream_relay.runtime.replication import StreamEnded
from tests.integration.replication.conftest import Source
from tests.support.slot import active_pid, confirmed_flush_lsn, current_wal_lsn
from tests.support.stream import READ_BYTES, decode_batch, inserted, read_keepalive, read_transactions
from tests.support.waiting import eventually


def ask_walsender(source: Source, expression: str) -> Any:
    pid = active_pid(source.connection, source.slot)
    query = f"select {expression} from pg_stat_activity a join pg_stat_replication r using (pid) where pid = %s"
    row = source.connection.execute(query.encode(), [pid]).fetchone()
    return row and row[0]


def walsender_wait_event(source: Source) -> Any:
    return ask_walsender(source, "a.wait_event")


def last_reply(source: Source) -> Any:
    return ask_walsender(source, "coalesce(r.reply_time, 'epoch')")


async def test_a_change_arrives_as_the_messages_of_its_transaction(source: Source) -> None:
    async with source.session() as session:
        source.insert(1)
        messages = await read_transactions(session, 1)
    assert [type(message) for message in messages] == [Begin, Relation, Insert, Commit]
    assert inserted(messages) == [b"1"]


async def test_logical_messages_arrive(source: Source) -> None:
    async with source.session() as session:
        source.connection.execute("select pg_logical_emit_message(true, 'prefix', 'content')")
        (message,) = (m for m in await read_transactions(session, 1) if isinstance(m, LogicalMessage))
    assert (message.prefix, message.content) == ("prefix", b"content")


async def test_a_message_between_transactions_is_a_position(source: Source) -> None:
    async with source.session() as session:
        source.connection.execute("select pg_logical_emit_message(false, 'prefix', 'content')")
        # A transaction behind it, so that it is flushed.
        source.insert(1)
        while not (messages := decode_batch(await session.read(READ_BYTES))):
            pass
        message = messages[0]
        assert isinstance(message, LogicalMessage)
        assert not message.transactional
        assert session.received_lsn >= message.lsn


async def test_nothing_is_there_to_try(source: Source) -> None:
    async with source.session() as session:
        # The answer to this is the last that the server has to say for now.
        await session.send_status(session.received_lsn, session.received_lsn, reply_requested=True)
        await read_keepalive(session)
        assert decode_batch(await session.try_read(READ_BYTES)) == []
        source.insert(1)
        assert inserted(await read_transactions(session, 1)) == [b"1"]


async def test_received_lsn_is_the_end_of_the_last_transaction_read(source: Source) -> None:
    async with source.session() as session:
        source.insert(1, 2)
        commits = [message for message in await read_transactions(session, 2) if isinstance(message, Commit)]
        assert session.received_lsn >= commits[-1].end_lsn
        keepalive_lsn = current_wal_lsn(source.connection)
        while session.received_lsn < keepalive_lsn:
            await session.send_status(session.received_lsn, 0, reply_requested=True)
            await session.read(READ_BYTES)


async def test_a_batch_is_about_as_large_as_asked_for(source: Source) -> None:
    source.connection.execute("insert into item select n, repeat('x', 1000) from generate_series(1, 5000) n")
    seen: list[bytes] = []
    async with source.session() as session:
        while len(seen) < 5000:
            batch = await session.read(10_000)
            assert sum(map(len, batch[:-1])) < 10_000
            seen += inserted(decode_batch(batch))
    assert seen == [b"%d" % number for number in range(1, 5001)]


async def test_a_value_larger_than_a_batch_arrives_whole(source: Source) -> None:
    source.connection.execute("insert into item values (1, repeat('x', 5000000))")
    async with source.session() as session:
        (insert,) = (m for m in await read_transactions(session, 1) if isinstance(m, Insert))
    assert insert.new == [b"1", b"x" * 5_000_000]


async def test_while_nobody_reads_the_server_waits_and_statuses_go_on(source: Source) -> None:
    async with source.session() as session:
        source.connection.execute("insert into item select n, repeat('x', 1000) from generate_series(1, 40000) n")
        await eventually(lambda: walsender_wait_event(source) == "WalSenderWriteData")
        before = last_reply(source)
        await session.send_status(session.received_lsn, session.received_lsn)
        await eventually(lambda: last_reply(source) > before)
        assert walsender_wait_event(source) == "WalSenderWriteData"
        assert len(inserted(await read_transactions(session, 1))) == 40_000


async def test_restart_from_a_confirmed_position(source: Source) -> None:
    async with source.session() as session:
        source.insert(1, 2)
        commits = [m for m in await read_transactions(session, 2) if isinstance(m, Commit)]
        await session.send_status(session.received_lsn, commits[0].end_lsn)
        await eventually(lambda: confirmed_flush_lsn(source.connection, source.slot) == commits[0].end_lsn)
    async with source.session() as session:
        assert inserted(await read_transactions(session, 1)) == [b"2"]


async def test_restart_from_a_later_position_than_the_confirmed(source: Source) -> None:
    async with source.session() as session:
        source.insert(1, 2)
        first, second = (m for m in await read_transactions(session, 2) if isinstance(m, Commit))
    async with source.session(first.end_lsn) as session:
        assert session.received_lsn == first.end_lsn
        assert inserted(await read_transactions(session, 1)) == [b"2"]
    async with source.session(second.commit_lsn) as session:
        assert inserted(await read_transactions(session, 1)) == [b"2"]


async def test_cancelled_read_loses_nothing(source: Source) -> None:
    async with source.session() as session:
        for number in range(1, 20):
            reading = asyncio.create_task(session.read(READ_BYTES))
            # Cancelled before it looks, while it waits, or with the row already there.
            for _ in range(number % 4):
                await asyncio.sleep(0)
            source.insert(number)
            if number % 2:
                await asyncio.sleep(0)
            reading.cancel()
            batches = await asyncio.gather(reading, return_exceptions=True)
            got = [batch for batch in batches if isinstance(batch, list)]
            messages = [message for batch in got for message in decode_batch(batch)]
            while inserted(messages) != [b"%d" % number]:
                messages += decode_batch(await session.read(READ_BYTES))


async def test_read_with_a_timeout(source: Source) -> None:
    async with source.session() as session:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read_transactions(session, 1), 0.05)
        source.insert(1)
        assert inserted(await read_transactions(session, 1)) == [b"1"]


async def test_statuses_beside_a_waiting_read(source: Source) -> None:
    async with source.session() as session:
        reading = asyncio.create_task(read_transactions(session, 1))
        for _ in range(20):
            await session.send_status(session.received_lsn, session.received_lsn, reply_requested=True)
        await asyncio.gather(*(session.send_status(session.received_lsn, 0) for _ in range(20)))
        source.insert(1)
        assert inserted(await reading) == [b"1"]


async def test_over_confirming_is_refused(source: Source) -> None:
    async with source.session() as session:
        lsn = session.received_lsn
        with pytest.raises(AssertionError):
            await session.send_status(lsn, lsn + 1)
        with pytest.raises(AssertionError):
            await session.send_status(lsn + 1, lsn + 1)
        assert confirmed_flush_lsn(source.connection, source.slot) == lsn


async def test_close_frees_the_slot_and_wakes_the_reader(source: Source) -> None:
    async with source.session() as session:
        reading = asyncio.create_task(read_transactions(session, 1))
        await asyncio.sleep(0.01)
        await session.close()
        with pytest.raises(StreamEnded, match="closed"):
            await reading
        with pytest.raises(StreamEnded):
            await session.send_status(0, 0)
        await session.close()
    await eventually(lambda: active_pid(source.connection, source.slot) is None)


async def test_a_terminated_session_says_why(source: Source) -> None:
    async with source.session() as session:
        source.insert(1)
        await read_transactions(session, 1)
        source.connection.execute("select pg_terminate_backend(%s)", [active_pid(source.connection, source.slot)])
        with pytest.raises(StreamEnded) as raised:
            await read_transactions(session, 1)
        assert raised.value.sqlstate == "57P01"
        with pytest.raises(StreamEnded):
            await session.read(READ_BYTES)


async def test_identity(source: Source) -> None:
    row = source.connection.execute(
        "select system_identifier::text, d.oid::bigint from pg_control_system(), pg_database d"
        " where datname = current_database()"
    ).fetchone()
    async with source.session() as session:
        identity = session.identity
    assert (identity.system_identifier, identity.database_oid) == row
    assert (identity.database, identity.timeline, identity.switches) == (source.database, 1, ())


async def test_settings_of_the_role_do_not_change_the_text(source: Source) -> None:
    role = f"{source.database}_relay"
    source.connection.execute(f"create role {role} login replication".encode())
    try:
        for setting in ("datestyle = 'German'", "timezone = 'Asia/Tokyo'", "logical_decoding_work_mem = '64kB'"):
            source.connection.execute(f"alter role {role} set {setting}".encode())
        source.connection.execute("alter table item add at timestamptz, add bytes bytea, add late interval")
        async with source.session(user=role) as session:
            source.connection.execute(
                r"insert into item values (1, null, '2026-01-02 00:00+00', '\x01', '1 day 02:00')"
            )
            (insert,) = (m for m in await read_transactions(session, 1) if isinstance(m, Insert))
    finally:
        source.connection.execute(f"drop role {role}".encode())
    assert insert.new[2:] == [b"2026-01-02 00:00:00+00", rb"\x01", b"1 day 02:00:00"]


async def test_a_database_without_encoding_sends_the_bytes_that_it_holds(source: Source) -> None:
    name = f"{source.database}_ascii"
    source.connection.execute(f"create database {name} encoding 'SQL_ASCII' locale 'C' template template0".encode())
    try:
        with source.postgres.connect(name) as connection:
            ascii_source = Source(source.postgres, name, connection, publication="plain")
            ascii_source.set_up()
            connection.execute("set client_encoding to 'SQL_ASCII'")
            async with ascii_source.session() as session:
                connection.execute(b"insert into item values (1, '\xe9')")
                (insert,) = (m for m in await read_transactions(session, 1) if isinstance(m, Insert))
            assert insert.new == [b"1", b"\xe9"]
    finally:
        source.connection.execute("select pg_sleep(0.1)")
        source.connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s", [name]
        )
        source.connection.execute(f"drop database {name} with (force)".encode())


async def test_the_event_loop_serves_others_while_there_is_much_to_read(source: Source) -> None:
    source.connection.execute("insert into item select n, repeat('x', 100) from generate_series(1, 20000) n")
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with source.session() as session:
        counting = asyncio.create_task(count_turns())
        batches, rows = 0, 0
        while rows < 20_000:
            rows += len(inserted(decode_batch(await session.read(4096))))
            batches += 1
        counting.cancel()
    assert turns >= batches
