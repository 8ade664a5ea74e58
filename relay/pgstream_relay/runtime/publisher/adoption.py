"""Hands a stream over to this database (CONTRACT section 4.3): what `pgstream install --adopt-stream` asks for.

What stands in the stream stays; its former owner is refused from here on. A sequence is written down with it: nothing
of this database stands at or below, so nobody has to look there for its last event.
"""

from __future__ import annotations

import structlog

from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.publisher.mark import find_own_mark
from pgstream_relay.runtime.publisher.stream_info import (
    ADOPTED_METADATA,
    SOURCE_METADATA,
    StreamInfo,
    read_stream_info,
)

log = structlog.get_logger()


async def adopt_stream(connection: NatsConnection, stream: str, bucket: str, source: str, *, once_ours: bool) -> None:
    """Makes `source`, a `<system identifier>/<database oid>`, the owner of the stream; does nothing where it is.

    `once_ours`: the stream was this database's before, so events of it may stand below those of the present owner.
    The object store `bucket` goes with it, if it is the same former owner's. Raises NatsError.
    """
    info = await read_stream_info(connection, stream)
    if info is None or info.source == source:
        return
    objects = await read_stream_info(connection, f"OBJ_{bucket}")
    if objects is not None and objects.source is not None and objects.source == info.source:
        await _hand_over(connection, objects, {SOURCE_METADATA: source})
    own = await find_own_mark(connection, info, source) if once_ours else None
    adopted_sequence = info.last_sequence if own is None else own.stream_sequence - 1
    # Last: once the stream is ours, nobody asks again.
    await _hand_over(connection, info, {SOURCE_METADATA: source, ADOPTED_METADATA: str(adopted_sequence)})
    log.warning("took a stream over, as pgstream install --adopt-stream asked", stream=stream, former_owner=info.source)


async def _hand_over(connection: NatsConnection, info: StreamInfo, metadata: dict[str, str]) -> None:
    config = {**info.config, "metadata": {**info.metadata, **metadata}}
    await connection.api(f"STREAM.UPDATE.{info.name}", config)
