"""From what NATS said to a PublishInterrupted: one reason, one hint, and whether waiting can help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pgstream_relay.runtime.nats_errors import (
    FOR_A_PERSON,
    HEADERS_TOO_LARGE,
    MESSAGE_TOO_LARGE,
    STORE_FAILED,
    STREAM_NOT_FOUND,
    UNKNOWN_BATCH,
    WRONG_LAST_ID,
    WRONG_LAST_SEQUENCE,
    NatsConnectionLost,
    NatsError,
    NatsPermissionDenied,
    NatsTimeout,
    PublishInterrupted,
)

_AGAIN: Final = "nothing to do: the relay asks the stream where it stands and goes on from there"
_FENCED: Final = (
    "nothing to do once: the relay asks the stream and goes on. If it happens again and again, something else "
    "publishes to this stream or deletes from its end, but it must be pgstream's own"
)
_REASONS: Final = {
    WRONG_LAST_SEQUENCE: ("fenced", _FENCED),
    WRONG_LAST_ID: ("fenced", _FENCED),
    STORE_FAILED: (
        "full",
        (
            "the stream or its storage is full: raise max_bytes in pgstream.streams, set discard to old, purge it, or "
            "give NATS more storage; publishing goes on by itself then"
        ),
    ),
    UNKNOWN_BATCH: ("expired", _AGAIN),
    STREAM_NOT_FOUND: ("missing", "create the stream, or insert a row for it into pgstream.streams"),
    MESSAGE_TOO_LARGE: ("too-large", "raise or remove the stream's max_msg_size"),
    HEADERS_TOO_LARGE: ("too-large", "the event's headers exceed 64 KiB: shorten key_columns"),
}


def interrupted_by_answer(stream: str, error: Mapping[str, Any]) -> PublishInterrupted:
    """An error that JetStream answered to a publish."""
    err_code = int(error.get("err_code", 0))
    reason, hint = _REASONS.get(err_code, ("refused", "see the stream's configuration and the NATS server's log"))
    return PublishInterrupted(
        f"JetStream stream {stream} refused an event: {error.get('description')} (error {err_code})",
        reason=reason,
        hint=hint,
        err_code=err_code,
        retryable=err_code not in FOR_A_PERSON,
    )


def interrupted_by_silence(stream: str) -> PublishInterrupted:
    """503: no stream listens on the subject, or its leader is away."""
    return PublishInterrupted(
        f"no stream takes the events for {stream} at the moment",
        reason="missing",
        hint="the stream was deleted, lost a subject, or is electing a leader; the relay asks again",
    )


def interrupted_by_duplicate(stream: str) -> PublishInterrupted:
    """JetStream knows the id of an event that the mark says is new."""
    return PublishInterrupted(
        f"JetStream stream {stream} has met an event before that was sent as new",
        reason="duplicate",
        hint="messages were deleted from the end of the stream, or another writer was there; " + _AGAIN,
    )


def interrupted_by_connection(error: NatsError) -> PublishInterrupted:
    """What happened to the connection, seen from a writer."""
    reason = {NatsConnectionLost: "lost", NatsTimeout: "timeout", NatsPermissionDenied: "denied"}
    return PublishInterrupted(
        error.message,
        reason=reason.get(type(error), "lost"),
        hint=error.hint or _AGAIN,
        retryable=error.retryable,
    )


def interrupted_by_timeout(target: str, seconds: float) -> PublishInterrupted:
    """Events were sent and nothing came back."""
    return PublishInterrupted(
        f"NATS has acknowledged nothing for {target} within {seconds:g} s", reason="timeout", hint=_AGAIN
    )
