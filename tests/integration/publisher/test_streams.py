"""ensure_stream: what pgstream keeps, what it leaves alone, what it refuses, and what it says then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pgstream_installer.embedded import EmbeddedNats
from pgstream_relay.runtime.nats_errors import (
    JetStreamRefused,
    JetStreamUnavailable,
    NatsError,
    StreamMissing,
    StreamNotOurs,
    StreamUnsuitable,
)
from pgstream_relay.runtime.publisher.desired_stream import DesiredStream, placeholder_subject
from pgstream_relay.runtime.publisher.stream_info import FAST_INGEST_VERSION, SOURCE_METADATA
from pgstream_relay.runtime.publisher.streams import ensure_stream
from tests.integration.publisher.conftest import Connect
from tests.support.nats_versions import CURRENT, nats_server
from tests.support.streams import OTHER_SOURCE, SOURCE, kept_stream


async def test_a_kept_stream_is_created_as_asked_for(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str
) -> None:
    connection = await connect_to(any_nats)
    desired = kept_stream(
        stream_name,
        [f"{stream_name}.public.a.*", f"{stream_name}.public.b.*"],
        max_age_seconds=3600.5,
        max_bytes=10_000_000,
        discard="new",
        duplicate_window_seconds=30.0,
    )
    info = await ensure_stream(connection, desired, SOURCE)
    assert info is not None
    config = (await connection.api(f"STREAM.INFO.{stream_name}"))["config"]
    assert info.config == config
    assert set(config["subjects"]) == set(desired.subjects)
    assert config["storage"] == "file"
    assert config["num_replicas"] == 1
    assert config["retention"] == "limits"
    assert config["max_age"] == 3_600_500_000_000
    assert config["max_bytes"] == 10_000_000
    assert config["discard"] == "new"
    assert config["duplicate_window"] == 30_000_000_000
    assert config["metadata"][SOURCE_METADATA] == SOURCE
    assert info.allow_batched is (connection.server_version >= FAST_INGEST_VERSION)
    assert (info.messages, info.last_sequence) == (0, 0)
    assert await ensure_stream(connection, desired, SOURCE) == info


@pytest.mark.parametrize("version", ["2.12.8", CURRENT])
async def test_a_kept_stream_stays_the_same_one_through_updates_and_restarts_until_it_is_made_anew(
    connect_to: Connect, stream_name: str, version: str
) -> None:
    """Servers before 2.14 give an updated stream another creation time after a restart."""
    with EmbeddedNats(binary=nats_server(version)) as server:
        connection = await connect_to(server)
        made = await ensure_stream(connection, kept_stream(stream_name, [f"{stream_name}.a"]), SOURCE)
        for subject in ("b", "c"):
            desired = kept_stream(stream_name, [f"{stream_name}.{subject}"])
            await ensure_stream(connection, desired, SOURCE)
            server.kill()
            server.start()
            connection = await connect_to(server)
            found = await ensure_stream(connection, desired, SOURCE)
            assert made is not None
            assert found is not None
            assert found.created == made.created
        await connection.api(f"STREAM.DELETE.{stream_name}")
        anew = await ensure_stream(connection, desired, SOURCE)
        assert made is not None
        assert anew is not None
        assert anew.created != made.created


async def test_a_kept_stream_follows_its_row_and_nothing_else_of_it_changes(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str
) -> None:
    connection = await connect_to(any_nats)
    desired = kept_stream(stream_name, [f"{stream_name}.a.*"])
    info = await ensure_stream(connection, desired, SOURCE)
    assert info is not None
    await connection.api(f"STREAM.UPDATE.{stream_name}", {**info.config, "description": "by hand", "max_msgs": 5})
    info = await ensure_stream(
        connection, replace(desired, subjects=(f"{stream_name}.b.*",), max_age_seconds=0.0, max_bytes=77_777), SOURCE
    )
    assert info is not None
    assert info.subjects == (f"{stream_name}.b.*",)
    assert (info.max_age_seconds, info.config["max_bytes"]) == (0.0, 77_777)
    assert (info.config["description"], info.config["max_msgs"]) == ("by hand", 5)


async def test_without_tables_a_kept_stream_is_not_made_and_keeps_a_placeholder(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str
) -> None:
    connection = await connect_to(any_nats)
    empty = kept_stream(stream_name, [])
    assert await ensure_stream(connection, empty, SOURCE) is None
    await ensure_stream(connection, replace(empty, subjects=(f"{stream_name}.a.*",)), SOURCE)
    info = await ensure_stream(connection, empty, SOURCE)
    assert info is not None
    assert info.subjects == (placeholder_subject(stream_name),)
    assert await ensure_stream(connection, empty, SOURCE) == info


@pytest.mark.parametrize("metadata", [{SOURCE_METADATA: OTHER_SOURCE}, {}])
async def test_a_stream_of_somebody_else_is_refused_untouched(
    nats: EmbeddedNats, connect_to: Connect, stream_name: str, metadata: dict[str, str]
) -> None:
    connection = await connect_to(nats)
    config = {"name": stream_name, "subjects": [f"{stream_name}.>"], "metadata": metadata}
    await connection.api(f"STREAM.CREATE.{stream_name}", config)
    with pytest.raises(StreamNotOurs) as caught:
        await ensure_stream(connection, kept_stream(stream_name, [f"{stream_name}.a"]), SOURCE)
    assert "--adopt-stream" in str(caught.value.hint)
    assert caught.value.refused_for_good
    after = (await connection.api(f"STREAM.INFO.{stream_name}"))["config"]
    assert after["subjects"] == [f"{stream_name}.>"]


@pytest.mark.parametrize(
    "option",
    [{"retention": "workqueue"}, {"retention": "interest"}, {"no_ack": True}, {"sources": [{"name": "SOMETHING"}]}],
)
@pytest.mark.parametrize("kept", [True, False])
async def test_unsuitable_streams_are_refused(
    nats: EmbeddedNats, connect_to: Connect, stream_name: str, option: dict[str, object], kept: bool
) -> None:
    connection = await connect_to(nats)
    config = {"name": stream_name, "subjects": [f"{stream_name}.>"], "metadata": {SOURCE_METADATA: SOURCE}, **option}
    await connection.api(f"STREAM.CREATE.{stream_name}", config)
    with pytest.raises(StreamUnsuitable):
        await ensure_stream(connection, DesiredStream(stream_name, kept, (f"{stream_name}.a",)), SOURCE)


async def test_a_mirror_is_refused(nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection = await connect_to(nats)
    await connection.api(f"STREAM.CREATE.{stream_name}", {"name": stream_name, "subjects": [f"{stream_name}.>"]})
    mirror = f"{stream_name}_M"
    await connection.api(f"STREAM.CREATE.{mirror}", {"name": mirror, "mirror": {"name": stream_name}})
    with pytest.raises(StreamUnsuitable):
        await ensure_stream(connection, DesiredStream(mirror, False, (f"{stream_name}.a",)), SOURCE)


async def test_a_stream_without_a_row_is_only_looked_at(
    nats: EmbeddedNats, connect_to: Connect, stream_name: str
) -> None:
    connection = await connect_to(nats)
    desired = DesiredStream(stream_name, False, (f"{stream_name}.public.orders.*",))
    with pytest.raises(StreamMissing):
        await ensure_stream(connection, desired, SOURCE)
    config = {"name": stream_name, "subjects": [f"{stream_name}.public.>"], "max_age": 10**12}
    created = await connection.api(f"STREAM.CREATE.{stream_name}", config)
    info = await ensure_stream(connection, desired, SOURCE)
    assert info is not None
    assert info.config == created["config"]
    with pytest.raises(StreamUnsuitable) as caught:
        await ensure_stream(connection, replace(desired, subjects=(f"{stream_name}.other.x.*",)), SOURCE)
    assert f"{stream_name}.other.x.*" in caught.value.message


async def test_a_subject_of_another_stream_is_refused_for_good_and_the_hint_names_it(
    any_nats: EmbeddedNats, connect_to: Connect, stream_name: str
) -> None:
    connection = await connect_to(any_nats)
    await ensure_stream(connection, kept_stream(stream_name, [f"{stream_name}.a.*"]), SOURCE)
    second = kept_stream(f"{stream_name}_2", [f"{stream_name}.b.*"])
    with pytest.raises(JetStreamRefused) as caught:
        await ensure_stream(connection, replace(second, subjects=(f"{stream_name}.a.*",)), SOURCE)
    assert caught.value.refused_for_good
    assert f"({stream_name})" in str(caught.value.hint)
    await ensure_stream(connection, second, SOURCE)
    with pytest.raises(JetStreamRefused) as caught:
        await ensure_stream(connection, replace(second, subjects=(f"{stream_name}.a.*", f"{stream_name}.b.*")), SOURCE)
    assert caught.value.refused_for_good


@pytest.mark.parametrize(
    "settings",
    [{"subjects": ("*.a",)}, {"max_age_seconds": 1.0, "duplicate_window_seconds": 120.0}, {"storage": "memory"}],
)
async def test_settings_that_nats_refuses_are_refused_for_good(
    nats: EmbeddedNats, connect_to: Connect, stream_name: str, settings: dict[str, Any]
) -> None:
    connection = await connect_to(nats)
    desired = kept_stream(stream_name, [f"{stream_name}.a.*"])
    await ensure_stream(connection, desired, SOURCE)
    with pytest.raises(JetStreamRefused) as caught:
        await ensure_stream(connection, replace(desired, **settings), SOURCE)
    assert caught.value.refused_for_good
    assert caught.value.hint


async def test_replicas_without_a_cluster(nats: EmbeddedNats, connect_to: Connect, stream_name: str) -> None:
    connection = await connect_to(nats)
    with pytest.raises(JetStreamRefused) as caught:
        await ensure_stream(connection, kept_stream(stream_name, [f"{stream_name}.a"], replicas=3), SOURCE)
    assert not caught.value.refused_for_good
    assert "pgstream.streams" in str(caught.value.hint)


async def test_no_jetstream(connect_to: Connect, stream_name: str) -> None:
    with EmbeddedNats(jetstream=False) as server:
        connection = await connect_to(server)
        with pytest.raises(JetStreamUnavailable) as caught:
            await ensure_stream(connection, kept_stream(stream_name, [f"{stream_name}.a"]), SOURCE)
        assert caught.value.retryable
        assert caught.value.hint


async def test_an_account_without_jetstream(connect_to: Connect, stream_name: str) -> None:
    accounts = (
        "accounts { A { jetstream: enabled, users: [{user: a, password: a}] }, B { users: [{user: b, password: b}] } }"
    )
    with EmbeddedNats(config=accounts) as server:
        connection = await connect_to(server, user="b", password="b")
        with pytest.raises(NatsError) as caught:
            await ensure_stream(connection, kept_stream(stream_name, [f"{stream_name}.a"]), SOURCE)
        assert isinstance(caught.value, JetStreamUnavailable)
