"""Live events from NATS: a plain subscription shows persistent and ephemeral ones; history comes from JetStream."""

from __future__ import annotations

import asyncio
import datetime
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import Any

from nats import errors as nats_errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import errors as jetstream_errors
from nats.js.api import ConsumerConfig, DeliverPolicy

from pgstream_installer.configuration import NatsOptions
from pgstream_installer.errors import CommandLineError, InstallerError
from pgstream_installer.nats_connection import request_api
from pgstream_installer.render import Event, parse_event
from pgstream_installer.subjects import covers

EVERYTHING = ">"
RELATIVE = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|d)$")
DELIVERED_BY_STREAM = "$JS.ACK."
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WAITING_MESSAGES_MAX = 100_000
WAITING_BYTES_MAX = 256 * 1024 * 1024
REMEMBERED_IDS_MAX = 50_000


def parse_since(text: str, now: datetime.datetime) -> datetime.datetime:
    """A time: `10m`, `2h` before `now`, or ISO 8601 (local time where it names no zone). CommandLineError otherwise."""
    relative = RELATIVE.match(text.strip())
    if relative:
        return now - datetime.timedelta(seconds=float(relative[1]) * UNIT_SECONDS[relative[2]])
    try:
        return datetime.datetime.fromisoformat(text.strip()).astimezone(datetime.UTC)
    except ValueError:
        raise CommandLineError(
            f"not a time: {text}", hint="write 30s, 10m, 2h, 1d, or 2026-11-22T09:45 (UTC: 2026-11-22T09:45Z)"
        ) from None


class Tail:
    """Subscriptions of one connection, and the events that they bring.

    Without `since`: all that is published from now on. With it: what the streams hold from that time, each stream in
    its order, and then everything live; an event that arrives both ways is given once.
    """

    def __init__(
        self,
        client: Client,
        options: NatsOptions,
        subjects: Sequence[str] = (),
        *,
        since: datetime.datetime | None = None,
    ) -> None:
        self._client = client
        self._options = options
        self._subjects = tuple(subjects) or (EVERYTHING,)
        self._since = since
        self._covered: list[str] = []
        self._messages: asyncio.Queue[Msg] = asyncio.Queue(WAITING_MESSAGES_MAX)
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def subscribe(self) -> None:
        """Returns when the server has taken the subscriptions: whatever is published afterwards is seen."""
        if self._since is not None:
            for stream, subjects in await self._streams():
                self._covered += subjects
                await self._read_stream(stream, self._since)
        for subject in self._subjects:
            await self._client.subscribe(
                subject,
                cb=self._take_live,
                pending_msgs_limit=WAITING_MESSAGES_MAX,
                pending_bytes_limit=WAITING_BYTES_MAX,
            )
        await self._client.flush()

    async def events(self) -> AsyncIterator[Event]:
        """The events, for ever; messages of others are passed over."""
        while True:
            message = await self._messages.get()
            event = parse_event(message.subject, message.headers, message.data)
            if event is not None and self._first_time(event):
                yield event

    def _first_time(self, event: Event) -> bool:
        """With history only: the same event may come by the stream and by the subscription."""
        identity = event.headers.get("Nats-Msg-Id")
        if self._since is None or identity is None:
            return True
        if identity in self._seen:
            return False
        self._seen[identity] = None
        if len(self._seen) > REMEMBERED_IDS_MAX:
            self._seen.popitem(last=False)
        return True

    async def _take_live(self, message: Msg) -> None:
        if message.subject.startswith(("$", "_INBOX.")) or self._is_inbox(message.subject):
            return
        # What a stream delivers to some consumer comes to its inbox under the event's own subject: a wildcard over
        # everything takes it once more for each of them. The reply subject tells.
        if message.reply.startswith(DELIVERED_BY_STREAM):
            return
        # A stream brings these itself, in its own order.
        if not any(covers(pattern, message.subject) for pattern in self._covered):
            await self._messages.put(message)

    def _is_inbox(self, subject: str) -> bool:
        prefix = self._options.inbox_prefix
        return bool(prefix) and subject.startswith(f"{prefix}.")

    async def _streams(self) -> list[tuple[str, list[str]]]:
        """The streams that hold any of the subjects, with their own subjects."""
        found: dict[str, list[str]] = {}
        for subject in self._subjects:
            offset, total = 0, 1
            while offset < total:
                answer: dict[str, Any] = await request_api(
                    self._client, self._options, "STREAM.LIST", {"subject": subject, "offset": offset}
                )
                listed = answer.get("streams") or []
                for info in listed:
                    found[info["config"]["name"]] = info["config"].get("subjects") or []
                offset, total = offset + len(listed), int(answer.get("total", 0)) if listed else 0
        return [(name, patterns) for name, patterns in found.items() if not name.startswith(("KV_", "OBJ_"))]

    async def _read_stream(self, stream: str, since: datetime.datetime) -> None:
        jetstream = self._client.jetstream(domain=self._options.jetstream_domain)
        for subject in self._subjects:
            try:
                await jetstream.subscribe(
                    subject,
                    stream=stream,
                    ordered_consumer=True,
                    cb=self._messages.put,
                    config=ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since),
                )
            except (jetstream_errors.Error, nats_errors.Error, TimeoutError) as error:
                raise InstallerError(
                    f"stream {stream} can't be read",
                    why=str(error) or type(error).__name__,
                    hint="this user needs to publish to $JS.API.CONSUMER.CREATE.> and to subscribe to its inbox",
                ) from None
