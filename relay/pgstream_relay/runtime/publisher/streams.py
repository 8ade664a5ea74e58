"""Keeps JetStream streams as the control tables say (CONTRACT 5, `pgstream.streams`), and refuses the unsuitable."""

from __future__ import annotations

import uuid
from typing import Any, Final

from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import (
    NO_RESOURCES,
    STREAM_NAME_IN_USE,
    SUBJECTS_OVERLAP,
    UNKNOWN_FIELD,
    JetStreamRefused,
    NatsError,
    StreamMissing,
    StreamNotOurs,
    StreamUnsuitable,
)
from pgstream_relay.runtime.publisher.desired_stream import DesiredStream, placeholder_subject, uncovered
from pgstream_relay.runtime.publisher.stream_info import (
    BORN_METADATA,
    FAST_INGEST_VERSION,
    SOURCE_METADATA,
    StreamInfo,
    parse_stream_info,
    read_stream_info,
)

CLUSTER_REPLICAS: Final = 3
_NANOSECONDS: Final = 1_000_000_000
_UNSUITABLE: Final = {
    "mirror": "is a mirror",
    "sources": "is fed by other streams",
    "sealed": "is sealed",
    "no_ack": "acknowledges nothing (no_ack)",
    "subject_transform": "changes subjects (subject_transform)",
}


async def ensure_stream(connection: NatsConnection, desired: DesiredStream, source: str) -> StreamInfo | None:
    """Makes the stream so, if pgstream keeps it, else checks that it will do; what it is then.

    `source` is `<system identifier>/<database oid>`. None: a kept stream that nothing needs yet; it is created with
    its first subject. Repeating it changes nothing.
    Raises StreamNotOurs, StreamUnsuitable, StreamMissing, or what JetStream answered; `refused_for_good` says whether
    only other settings can mend it.
    """
    info = await read_stream_info(connection, desired.name)
    if info is None and desired.kept:
        if not desired.subjects:
            return None
        info = await _create(connection, desired, source)
    if info is None:
        raise StreamMissing(
            f"JetStream stream {desired.name} does not exist",
            hint="insert a row for it into pgstream.streams, which makes pgstream create and keep it, "
            "or create it by hand; publishing goes on by itself then",
        )
    refuse_unsuitable(info)
    refuse_not_ours(info, source, kept=desired.kept)
    if desired.kept:
        return await _update(connection, desired, info)
    missing = uncovered(desired.subjects, info.subjects)
    if missing:
        raise StreamUnsuitable(
            f"JetStream stream {desired.name} does not take {_some(missing)}, and pgstream does not keep it",
            hint="add the subjects to the stream, or insert a row for it into pgstream.streams",
        )
    return info


async def release_subjects(connection: NatsConnection, name: str, source: str) -> bool:
    """Takes its subjects from a stream of this database that no table uses; whether it had any. Raises NatsError."""
    info = await read_stream_info(connection, name)
    none = [placeholder_subject(name)]
    if info is None or info.source != source or list(info.subjects) == none:
        return False
    await connection.api(f"STREAM.UPDATE.{name}", {**info.config, "subjects": none})
    return True


def refuse_unsuitable(info: StreamInfo) -> None:
    """Raises StreamUnsuitable where a mark could not be read back, or nothing could be published."""
    for option, words in _UNSUITABLE.items():
        if info.config.get(option):
            raise StreamUnsuitable(
                f"JetStream stream {info.name} {words}; pgstream can't keep its guarantees on it",
                hint="name a stream of pgstream's own: UPDATE pgstream.settings or pgstream.tables, column stream",
            )
    retention = info.config.get("retention", "limits")
    if retention != "limits":
        raise StreamUnsuitable(
            f"JetStream stream {info.name} has retention {retention}: what consumers acknowledge is deleted, and with "
            "it the record of what was published",
            hint="use a stream with retention limits, and source the work queue from it",
        )


def refuse_not_ours(info: StreamInfo, source: str, *, kept: bool) -> None:
    """Raises StreamNotOurs where the stream names another database, or, if it is to be kept, none."""
    if info.source == source or (info.source is None and not kept):
        return
    owner = f"belongs to database {info.source}" if info.source else "was not made by pgstream"
    raise StreamNotOurs(
        f"JetStream stream {info.name} {owner}; this one is {source}, and two would skip each other's events",
        hint="a copied or restored database needs an alias and stream of its own (UPDATE pgstream.settings "
        "SET database = …, stream = …); to take this stream over: pgstream install --adopt-stream",
    )


async def _create(connection: NatsConnection, desired: DesiredStream, source: str) -> StreamInfo | None:
    replicas = desired.replicas or (CLUSTER_REPLICAS if connection.cluster_size > 1 else 1)
    config = {
        **_kept_settings(desired),
        "name": desired.name,
        "description": "Postgres changes, kept by pgstream",
        "subjects": list(desired.subjects),
        "retention": "limits",
        "storage": desired.storage,
        "num_replicas": replicas,
        "allow_direct": True,
        "metadata": {SOURCE_METADATA: source, BORN_METADATA: uuid.uuid4().hex},
    }
    if connection.server_version >= FAST_INGEST_VERSION:
        config["allow_batched"] = True
    while True:
        try:
            return parse_stream_info(await connection.api(f"STREAM.CREATE.{desired.name}", config))
        except JetStreamRefused as error:
            if error.err_code == UNKNOWN_FIELD and config.pop("allow_batched", None):
                continue  # an older server of the cluster leads
            if error.err_code in NO_RESOURCES and desired.replicas is None and config["num_replicas"] != 1:
                config["num_replicas"] = 1
                continue
            if error.err_code == STREAM_NAME_IN_USE:
                return await read_stream_info(connection, desired.name)
            raise await _explained(connection, desired, error) from None


async def _update(connection: NatsConnection, desired: DesiredStream, info: StreamInfo) -> StreamInfo:
    """Sends the stream's own configuration back with the kept settings changed, if they differ."""
    wanted = _kept_settings(desired)
    if desired.replicas is not None:
        wanted["num_replicas"] = desired.replicas
    if connection.server_version >= FAST_INGEST_VERSION:
        wanted["allow_batched"] = True
    wanted["storage"] = desired.storage
    subjects = desired.subjects or (placeholder_subject(desired.name),)
    if set(subjects) != set(info.subjects):
        wanted["subjects"] = list(subjects)
    while True:
        changed = {option: value for option, value in wanted.items() if info.config.get(option) != value}
        if not changed:
            return info
        try:
            answer = await connection.api(f"STREAM.UPDATE.{desired.name}", {**info.config, **changed})
            return parse_stream_info(answer)
        except JetStreamRefused as error:
            if error.err_code == UNKNOWN_FIELD and wanted.pop("allow_batched", None):
                continue
            raise await _explained(connection, desired, error) from None


def _kept_settings(desired: DesiredStream) -> dict[str, Any]:
    return {
        "max_age": round(desired.max_age_seconds * _NANOSECONDS),
        "max_bytes": -1 if desired.max_bytes is None else desired.max_bytes,
        "discard": desired.discard,
        "duplicate_window": round(desired.duplicate_window_seconds * _NANOSECONDS),
    }


async def _explained(connection: NatsConnection, desired: DesiredStream, error: JetStreamRefused) -> NatsError:
    """The same error with what it means here."""
    if error.err_code == SUBJECTS_OVERLAP:
        others = await _streams_on(connection, desired)
        error.hint = (
            f"another stream{f' ({_some(others)})' if others else ''} has one of {_some(desired.subjects)}: "
            "remove them there, or UPDATE the subject in pgstream.tables or pgstream.settings"
        )
    elif error.err_code in NO_RESOURCES:
        error.hint = "free or grant storage, memory or servers for it, or UPDATE pgstream.streams (replicas, max_bytes)"
    elif error.refused_for_good:
        error.hint = (
            f"UPDATE the row of {desired.name} in pgstream.streams, or the table's subject, to what NATS accepts"
        )
    return error


async def _streams_on(connection: NatsConnection, desired: DesiredStream) -> list[str]:
    """Other streams with one of the subjects; none where we may not ask. Only for a hint."""
    found: dict[str, None] = {}
    for subject in desired.subjects[:20]:
        try:
            answer = await connection.api("STREAM.NAMES", {"subject": subject})
        except NatsError:
            break
        found.update(dict.fromkeys(answer.get("streams") or ()))
    return [name for name in found if name != desired.name]


def _some(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
