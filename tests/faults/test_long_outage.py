"""An outage longer than JetStream's duplicate window, in the middle of a transaction: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.faults.table import insert, install, numbers
from tests.support.relay import connected, eventually, running_relay, wait_for_events

ROWS = 50_000
OUTAGE_SECONDS = 10
"""So long that JetStream has forgotten the ids (after 1 s) and given up the dead relay's open batch."""


async def test_a_relay_killed_in_mid_transaction_goes_on_behind_the_last_stored_event(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, database: str
) -> None:
    stream = f"PGSTREAM_{database}"
    install(postgres, database)
    with postgres.connect(database) as connection, running_relay(postgres.dsn(database), nats.url) as relay:
        insert(connection, 1)
        await wait_for_events(nats.url, stream, 1)
        async with connected(nats.url) as client:

            async def stored() -> int:
                return (await client.jetstream().stream_info(stream)).state.messages

            async def begun() -> bool:
                return await stored() > 1

            insert(connection, 2, ROWS)
            await eventually(begun)
            relay.kill()
            at_the_kill = await stored()
            assert 1 < at_the_kill < ROWS, "the kill came too late for this test to mean anything"
            await asyncio.sleep(OUTAGE_SECONDS)
        with running_relay(postgres.dsn(database), nats.url):
            insert(connection, ROWS + 1)
            events = await wait_for_events(nats.url, stream, ROWS + 1)
    assert numbers(events) == list(range(1, ROWS + 2))
