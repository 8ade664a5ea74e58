"""Oversize events in the object store, read back by NATS's own client."""

from __future__ import annotations

import os

import pytest
from nats.js.errors import ObjectNotFoundError

from pgstream_installer.embedded import EmbeddedNats
from pgstream_relay.event.oversize import oversize_bucket
from pgstream_relay.runtime.nats_errors import StreamNotOurs
from pgstream_relay.runtime.publisher.object_store import store_object
from tests.integration.publisher.conftest import Connect
from tests.support.streams import OTHER_SOURCE, SOURCE


async def test_a_large_event_is_stored_once(any_nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection = await connect_to(any_nats)
    bucket, content = oversize_bucket(stream_name), os.urandom(3_000_001)
    await store_object(connection, bucket, "01ID", content, max_age_seconds=3600, source=SOURCE)
    store = await connection.client.jetstream().object_store(bucket)
    found = await store.get("01ID")
    assert found.data == content
    before = await connection.api(f"STREAM.INFO.OBJ_{bucket}")
    await store_object(connection, bucket, "01ID", content, max_age_seconds=3600, source=SOURCE)
    after = await connection.api(f"STREAM.INFO.OBJ_{bucket}")
    assert before["state"] == after["state"]
    assert after["config"]["max_age"] == 3600 * 10**9
    with pytest.raises(ObjectNotFoundError):
        await store.get("other")


async def test_what_a_crash_left_is_replaced(nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection = await connect_to(nats)
    bucket = oversize_bucket(stream_name)
    await store_object(connection, bucket, "01A", b"a", max_age_seconds=60)
    await connection.request(f"$O.{bucket}.C.01B", b"half")
    await store_object(connection, bucket, "01B", b"whole" * 50_000, max_age_seconds=0)
    store = await connection.client.jetstream().object_store(bucket)
    assert (await store.get("01B")).data == b"whole" * 50_000
    assert (await store.get("01A")).data == b"a"
    assert (await connection.api(f"STREAM.INFO.OBJ_{bucket}"))["config"]["max_age"] == 0


async def test_a_bucket_of_another_database_is_refused(
    nats: EmbeddedNats, connect_to: Connect, stream_name: str
) -> None:
    connection = await connect_to(nats)
    assert oversize_bucket("a.b é") == "pgstream_a_b___oversize"
    bucket = oversize_bucket(stream_name)
    await store_object(connection, bucket, "01A", b"a", max_age_seconds=60, source=OTHER_SOURCE)
    with pytest.raises(StreamNotOurs):
        await store_object(connection, bucket, "01B", b"b", max_age_seconds=60, source=SOURCE)
