"""Oversize events in a JetStream object store (CONTRACT 4.6), in the format that every NATS client reads.

The event's id is the object's name and also the key of its chunks, so that storing it again after a crash replaces
what a half-finished attempt left, instead of adding to it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Final

from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import (
    NO_MESSAGE_FOUND,
    NO_RESOURCES,
    STREAM_NAME_IN_USE,
    JetStreamRefused,
    StreamNotOurs,
)
from pgstream_relay.runtime.publisher.stream_info import (
    SOURCE_METADATA,
    StreamInfo,
    parse_stream_info,
    read_stream_info,
)

CHUNK_BYTES: Final = 128 * 1024
"""As NATS's own clients cut objects."""
_CLUSTER_REPLICAS: Final = 3


async def store_object(
    connection: NatsConnection,
    bucket: str,
    name: str,
    content: bytes,
    *,
    max_age_seconds: float,
    source: str | None = None,
) -> None:
    """Returns when the whole object is stored; a second time with the same name and content changes nothing.

    Creates the bucket, or gives it the new `max_age_seconds` (0: for ever). `source`, where given, is
    `<system identifier>/<database oid>`: a bucket that names another is refused, as two aliases may share a bucket's
    name. Raises StreamNotOurs, or another NatsError.
    """
    await _ensure_bucket(connection, bucket, max_age_seconds, source)
    digest = "SHA-256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
    if await _stored_digest(connection, bucket, name) == digest:
        return
    chunk_subject = f"$O.{bucket}.C.{name}"
    await connection.api(f"STREAM.PURGE.OBJ_{bucket}", {"filter": chunk_subject})
    chunks = 0
    for start in range(0, len(content), CHUNK_BYTES):
        await _publish(connection, chunk_subject, content[start : start + CHUNK_BYTES], {})
        chunks += 1
    description = {
        "name": name,
        "bucket": bucket,
        "nuid": name,
        "size": len(content),
        "chunks": chunks,
        "digest": digest,
        "options": {"max_chunk_size": CHUNK_BYTES},
    }
    await _publish(connection, _meta_subject(bucket, name), json.dumps(description).encode(), {"Nats-Rollup": "sub"})


async def _ensure_bucket(
    connection: NatsConnection, bucket: str, max_age_seconds: float, source: str | None
) -> StreamInfo:
    max_age = round(max_age_seconds * 1e9)
    info = await read_stream_info(connection, f"OBJ_{bucket}")
    if info is None:
        return await _create_bucket(connection, bucket, max_age, source)
    if source is not None and info.source not in (None, source):
        raise StreamNotOurs(
            f"object store {bucket} belongs to database {info.source}, not to {source}",
            hint="two aliases that differ in punctuation alone share it: choose another one in pgstream.settings",
        )
    if int(info.config.get("max_age") or 0) != max_age:
        await connection.api(f"STREAM.UPDATE.{info.name}", {**info.config, "max_age": max_age})
    return info


async def _create_bucket(connection: NatsConnection, bucket: str, max_age: int, source: str | None) -> StreamInfo:
    config: dict[str, Any] = {
        "name": f"OBJ_{bucket}",
        "description": "Events too large for a message, kept by pgstream",
        "subjects": [f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"],
        "storage": "file",
        "num_replicas": _CLUSTER_REPLICAS if connection.cluster_size > 1 else 1,
        "max_age": max_age,
        "discard": "new",
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "metadata": {SOURCE_METADATA: source} if source else {},
    }
    if max_age and max_age < 120 * 10**9:
        config["duplicate_window"] = max_age
    while True:
        try:
            return parse_stream_info(await connection.api(f"STREAM.CREATE.OBJ_{bucket}", config))
        except JetStreamRefused as error:
            if error.err_code == STREAM_NAME_IN_USE:  # made by somebody else at this moment
                info = await read_stream_info(connection, f"OBJ_{bucket}")
                if info is not None:
                    return info
            if error.err_code not in NO_RESOURCES or config["num_replicas"] == 1:
                raise
            config["num_replicas"] = 1


async def _stored_digest(connection: NatsConnection, bucket: str, name: str) -> str | None:
    """Of the object as it is stored, None where it is not or was deleted."""
    question = {"last_by_subj": _meta_subject(bucket, name)}
    try:
        answer = await connection.api(f"STREAM.MSG.GET.OBJ_{bucket}", question)
    except JetStreamRefused as error:
        if error.err_code == NO_MESSAGE_FOUND:
            return None
        raise
    meta = json.loads(base64.b64decode(answer["message"].get("data") or "") or b"{}")
    return None if meta.get("deleted") else meta.get("digest")


async def _publish(connection: NatsConnection, subject: str, payload: bytes, headers: dict[str, str]) -> None:
    answer = json.loads(await connection.request(subject, payload, headers=headers))
    if "error" in answer:
        error = answer["error"]
        raise JetStreamRefused(
            f"object store message on {subject}",
            int(error.get("code", 0)),
            int(error.get("err_code", 0)),
            str(error.get("description")),
            hint="the bucket may be full: delete old objects, or give the NATS account more storage",
        )


def _meta_subject(bucket: str, name: str) -> str:
    return f"$O.{bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"
