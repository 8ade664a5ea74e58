"""`python -m tests.faults.sabotage KIND run …`: the relay with one of its guarantees taken out.

Shows that the judge can fail: a crash test that passes such a relay proves nothing.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from pgstream_relay.app import main
from pgstream_relay.pipeline import Mark
from pgstream_relay.progress import Ledger
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.publisher import outlets
from pgstream_relay.runtime.publisher.outlets import Outlets

_FENCE: Final = b"Nats-Expected-Last-Sequence"


def forget_the_mark() -> None:
    """Law 4: nothing that a stream holds already is skipped; only JetStream's duplicate window is left."""
    outlets.effective_mark = lambda mark, source: Mark(0, 0)


def confirm_before_acknowledge() -> None:
    """Law 1: what was handed to NATS counts as stored."""

    def report(self: Outlets, ledger: Ledger) -> None:
        for target, writer in self._writers.items():
            ledger.acknowledge(target, writer.sent)

    Outlets.report = report  # type: ignore[method-assign]


def drop_the_fence() -> None:
    """Law 6: the header goes under another name of the same length, so every publish is taken."""
    write = NatsConnection.write

    async def write_unfenced(self: NatsConnection, frames: bytes, *rest: Any) -> None:
        await write(self, frames.replace(_FENCE, _FENCE.replace(b"Nats", b"None")), *rest)

    NatsConnection.write = write_unfenced  # type: ignore[method-assign]


KINDS: Final = {"mark": forget_the_mark, "confirm": confirm_before_acknowledge, "fence": drop_the_fence}

if __name__ == "__main__":
    KINDS[sys.argv.pop(1)]()
    main()
