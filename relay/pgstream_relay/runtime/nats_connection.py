"""One connection to NATS that never lies: whatever ends it, or is refused on it, fails the waiting calls at once.

nats-py's reconnect stays off: it sends new bytes after having lost old ones, which makes holes (law 5). When a
connection is lost it stays lost; the caller makes a new one and asks the streams where they stand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as ClientError
from nats.errors import NoRespondersError

from pgstream_relay.runtime.nats_client import (
    abort,
    background_tasks,
    drain_frames,
    send_ping,
    server_information,
    write_frames,
)
from pgstream_relay.runtime.nats_errors import (
    JETSTREAM_NOT_ENABLED,
    JetStreamRefused,
    JetStreamUnavailable,
    NatsConnectionLost,
    NatsError,
    NatsPermissionDenied,
    NatsTimeout,
)

REQUEST_TIMEOUT_SECONDS: Final = 5.0
WRITE_TIMEOUT_SECONDS: Final = 10.0
CLOSE_TIMEOUT_SECONDS: Final = 2.0

_VIOLATION = re.compile(r'permissions violation for (publish|subscription)[^"]*"([^"]*)"')
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_T = TypeVar("_T")

FailureListener = Callable[[NatsError], None]


class NatsConnection:
    """Made by `nats_login.connect`. All methods raise NatsError subclasses and nothing else of NATS.

    `failure` is None while the connection lives, and for ever the reason once it does not.
    """

    def __init__(self, *, jetstream_domain: str | None = None) -> None:
        self.client = Client()
        self.failure: NatsError | None = None
        self.login_errors: list[str] = []
        self._api_prefix = f"$JS.{jetstream_domain}.API." if jetstream_domain else "$JS.API."
        self._listeners: set[FailureListener] = set()
        self._waiting: dict[asyncio.Future[NatsError], str | None] = {}
        self._closing = False

    @property
    def server_version(self) -> tuple[int, int, int]:
        """Of the server that we are connected to; other servers of a cluster may differ."""
        match = _VERSION.match(str(server_information(self.client).get("version", "")))
        return (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)

    @property
    def max_payload(self) -> int:
        """The most bytes that headers and payload of one message may have together."""
        return self.client.max_payload

    @property
    def cluster_size(self) -> int:
        """How many servers the cluster has, as far as the server says; 1 without a cluster."""
        information = server_information(self.client)
        return max(1, len(set(information.get("connect_urls") or ()))) if information.get("cluster") else 1

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> bytes:
        """The payload of the first answer. Raises JetStreamUnavailable where nobody listens on the subject."""
        sent = self.client.request(subject, payload, timeout=timeout_seconds, headers=dict(headers or {}) or None)
        try:
            answer: Msg = await self._unless_refused(sent, subject)
        except NoRespondersError:
            raise JetStreamUnavailable(
                f"nobody answers on {subject}",
                hint="JetStream is switched off for this account, or its leader is being elected; "
                "see `nats server report jetstream`, and [nats] jetstream_domain behind a leaf node",
            ) from None
        except TimeoutError:
            raise NatsTimeout(f"no answer on {subject} within {timeout_seconds:g} s") from None
        except ClientError as error:
            raise self.failure or NatsConnectionLost(f"request on {subject} failed: {error}") from error
        return answer.data

    async def api(self, action: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request of the JetStream API, such as `STREAM.INFO.orders`.

        Raises JetStreamRefused for an error answer, JetStreamUnavailable where JetStream is off.
        """
        payload = json.dumps(body).encode() if body is not None else b""
        answer: dict[str, Any] = json.loads(await self.request(self._api_prefix + action, payload))
        if "error" not in answer:
            return answer
        error = answer["error"]
        err_code = int(error.get("err_code", 0))
        if err_code in JETSTREAM_NOT_ENABLED:
            raise JetStreamUnavailable(
                f"JetStream is not enabled: {error.get('description')}",
                hint="add `jetstream {}` to the server's configuration, and to the account's if accounts are used",
            )
        raise JetStreamRefused(action, int(error.get("code", 0)), err_code, str(error.get("description")))

    async def write(self, frames: bytes) -> None:
        """Sends prepared protocol frames; returns when the socket takes more, which is the back-pressure."""
        if self.failure is not None:
            raise self.failure
        write_frames(self.client, frames)
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
                await drain_frames(self.client)
        except TimeoutError:
            raise self.fail(NatsTimeout(f"the NATS server has read nothing for {WRITE_TIMEOUT_SECONDS:g} s")) from None
        except OSError as error:
            raise self.fail(NatsConnectionLost(f"connection to NATS lost: {error}")) from error

    async def flush(self, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS) -> None:
        """Returns when the server has processed everything written before. A late PONG costs the connection."""
        if self.failure is not None:
            raise self.failure
        pong = send_ping(self.client)
        # Waited for, never cancelled: a cancelled pong would stop nats-py's reader.
        await self._unless_refused(asyncio.wait({pong}, timeout=timeout_seconds), None)
        if not pong.done():
            raise self.fail(NatsTimeout(f"NATS has not answered a PING within {timeout_seconds:g} s"))

    def ping(self) -> asyncio.Future[bool]:
        """Done once the server has processed everything written before. It must not be cancelled."""
        if self.failure is not None:
            raise self.failure
        return send_ping(self.client)

    def new_inbox(self) -> str:
        """A subject of our own, under the configured prefix."""
        return self.client.new_inbox()

    async def subscribe(self, subject: str, receive: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """The subscription is in force when this returns, so frames may follow. End it with `unsubscribe`."""
        try:
            subscription = await self.client.subscribe(subject, cb=receive)
        except ClientError as error:
            raise self.failure or NatsConnectionLost(f"connection to NATS lost: {error}") from error
        await self.flush()
        return subscription

    def add_listener(self, listener: FailureListener) -> None:
        """Calls `listener` when the connection ends and when the server refuses a subject. It must not wait."""
        self._listeners.add(listener)

    def remove_listener(self, listener: FailureListener) -> None:
        self._listeners.discard(listener)

    def fail(self, error: NatsError) -> NatsError:
        """Ends the connection for the given reason, unless it has ended before; returns the reason that holds."""
        if self.failure is None:
            self.failure = error
            self._tell(error, lambda _: True)
            abort(self.client)
        return self.failure

    async def on_error(self, error: Exception) -> None:
        """nats-py's `error_cb`."""
        self.login_errors.append(str(error) or type(error).__name__)
        del self.login_errors[:-5]
        match = _VIOLATION.search(str(error))
        if match is None:
            return
        verb, subject = match.groups()
        denied = NatsPermissionDenied(
            f"NATS refuses to {'publish to' if verb == 'publish' else 'subscribe to'} {subject}",
            subject=subject,
            hint=f"grant the relay's NATS user the right to {verb.replace('subscription', 'subscribe')} it",
        )
        # Without the inbox no answer can arrive at all, so a refused subscription fails everybody.
        concerns_all = verb == "subscription"
        self._tell(denied, lambda waited: concerns_all or (waited is not None and waited.lower() == subject))

    async def on_closed(self) -> None:
        """nats-py's `closed_cb`."""
        if self.failure is None and not self._closing:
            reason = self.client.last_error
            self.fail(NatsConnectionLost(f"connection to NATS lost: {reason or 'closed by the server'}"))

    def _tell(self, error: NatsError, concerns: Callable[[str | None], bool]) -> None:
        for waiting, subject in list(self._waiting.items()):
            if concerns(subject) and not waiting.done():
                waiting.set_result(error)
        for listener in list(self._listeners):
            listener(error)

    async def _unless_refused(self, work: Coroutine[Any, Any, _T], subject: str | None) -> _T:
        """Waits for `work`, but no longer than until the connection, or the subject, fails."""
        if self.failure is not None:
            work.close()
            raise self.failure
        task = asyncio.ensure_future(work)
        refused: asyncio.Future[NatsError] = asyncio.get_running_loop().create_future()
        self._waiting[refused] = subject
        try:
            await asyncio.wait((task, refused), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise refused.result()
            return task.result()
        finally:
            del self._waiting[refused]
            if not task.done():
                task.cancel()

    async def close(self) -> None:
        """Ends the connection; safe to call at any time, returns within seconds even if the server is frozen."""
        self._closing = True
        if self.failure is None:
            with contextlib.suppress(TimeoutError, ClientError, OSError):
                async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                    await self.client.close()
            self.fail(NatsConnectionLost("the connection to NATS was closed by the relay itself"))
        abort(self.client)
        tasks = [task for task in background_tasks(self.client) if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_SECONDS)
