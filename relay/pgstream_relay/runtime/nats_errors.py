"""What goes wrong with NATS, by what can be done about it.

`retryable` says that the same call may succeed later without a person; `refused_for_good` that NATS will refuse this
very setting until the setting, or a right, is changed (CONTRACT 4.7: the newest committed setting is taken then).
"""

from __future__ import annotations

from typing import Final

from pgstream_relay.errors import EXIT_CONFIGURATION, EXIT_RIGHTS, EXIT_UNAVAILABLE, RelayError

WRONG_LAST_ID: Final = 10070
WRONG_LAST_SEQUENCE: Final = 10071
MESSAGE_TOO_LARGE: Final = 10054
HEADERS_TOO_LARGE: Final = 10097
SUBJECTS_OVERLAP: Final = 10065
BAD_STREAM_CONFIG: Final = 10052
UNKNOWN_FIELD: Final = 10025
STREAM_NAME_IN_USE: Final = 10058
STREAM_NOT_FOUND: Final = 10059
NO_MESSAGE_FOUND: Final = 10037
STORE_FAILED: Final = 10077
UNKNOWN_BATCH: Final = 10208

JETSTREAM_NOT_ENABLED: Final = frozenset({10039, 10076})
NO_RESOURCES: Final = frozenset({10002, 10005, 10023, 10026, 10027, 10028, 10047, 10074})
"""Insufficient memory, storage, peers or account limits; 10074: replicas asked of a server without a cluster."""

FOR_A_PERSON: Final = frozenset({10052, 10054, 10060, 10065, 10097, 10109}) | JETSTREAM_NOT_ENABLED
"""Answers that stay the same until somebody changes a setting; 10059 and 10077 go away once the stream is mended."""


class NatsError(RelayError):
    """Something between the relay and NATS. The base of all others here."""

    exit_code = EXIT_UNAVAILABLE
    retryable = True
    refused_for_good = False


class NatsUnreachable(NatsError):
    """No server of the list could be connected to."""


class NatsLoginRefused(NatsError):
    """A server was reached and did not accept the credentials."""

    exit_code = EXIT_RIGHTS
    retryable = False


class NatsConnectionLost(NatsError):
    """The connection was closed; what was under way on it may or may not have arrived."""


class NatsTimeout(NatsError):
    """No answer in time; the request may or may not have been carried out."""


class NatsPermissionDenied(NatsError):
    """The server refused to publish or subscribe to `subject` (in lower case, as the server's error has it)."""

    exit_code = EXIT_RIGHTS
    retryable = False
    refused_for_good = True

    def __init__(self, message: str, *, subject: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.subject = subject


class JetStreamUnavailable(NatsError):
    """JetStream does not answer: it is off for this account, or has no leader at the moment."""


class JetStreamRefused(NatsError):
    """An error answer of JetStream's API: `code` (like HTTP's), `err_code`, `description`."""

    def __init__(self, action: str, code: int, err_code: int, description: str, *, hint: str | None = None) -> None:
        super().__init__(f"{action}: {description} (JetStream error {err_code})", hint=hint)
        self.code = code
        self.err_code = err_code
        self.description = description
        self.retryable = err_code not in FOR_A_PERSON
        self.refused_for_good = err_code in (SUBJECTS_OVERLAP, BAD_STREAM_CONFIG)


class StreamMissing(NatsError):
    """A stream that pgstream does not keep does not exist."""

    retryable = False


class StreamNotOurs(NatsError):
    """The stream belongs to another database, or to nobody that is known."""

    exit_code = EXIT_CONFIGURATION
    retryable = False
    refused_for_good = True


class StreamUnsuitable(NatsError):
    """The stream is of a kind that guarantees can't be kept on: a mirror, sourced, not of retention `limits`, …"""

    exit_code = EXIT_CONFIGURATION
    retryable = False
    refused_for_good = True


class PublishInterrupted(NatsError):
    """A writer stopped: what it has not acknowledged may or may not be stored, so ask the stream (law 4).

    `reason` is a short stable word for metrics (`lost`, `timeout`, `denied`, `fenced`, `full`, `missing`,
    `duplicate`, `expired`, `too-large`, `refused`); `err_code` JetStream's number where there is one.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        hint: str | None = None,
        err_code: int | None = None,
        retryable: bool = True,
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.err_code = err_code
        self.retryable = retryable
