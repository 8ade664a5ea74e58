"""A gap is never silent (CONTRACT sections 4.1 and 4.8): found, recorded, and announced before anything newer."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from pgstream_relay.control.state import ControlRow
from pgstream_relay.control.streams import StreamNeed, gap_subject
from pgstream_relay.control.tables import database_alias
from pgstream_relay.event.gaps import GAP_ORDINAL, Gap, encode_gap
from pgstream_relay.pgoutput.lsn import format_lsn
from pgstream_relay.progress import Ledger
from pgstream_relay.runtime.control_store import ControlStore, KeptPosition
from pgstream_relay.runtime.publisher.outlets import Outlets, Standing
from pgstream_relay.source import Source

log = structlog.get_logger()


def lost_tails(
    standings: Mapping[str, Standing], positions: Mapping[str, KeptPosition], start_lsn: int
) -> dict[str, int | None]:
    """Streams that came back shorter than what was confirmed, each with the LSN up to which it still holds all.

    A machine of NATS that loses power may lose messages that it acknowledged. A stream that was deleted and made anew
    has lost nothing of the kind: somebody wanted that, and the confirmed position decides. What is at or behind
    `start_lsn` will be read again, so it is not lost.
    """
    lost: dict[str, int | None] = {}
    for name, standing in standings.items():
        kept = positions.get(name)
        if kept is None:
            continue
        if kept.stream_created != standing.created:
            log.warning(
                "stream was deleted and made anew: goes on from the confirmed position",
                stream=name,
                confirmed_lsn=format_lsn(start_lsn),
            )
        elif standing.last_sequence < kept.last_sequence:
            held_lsn = standing.mark.commit_lsn if standing.mark is not None else None
            if held_lsn is None or held_lsn < min(start_lsn, kept.lsn):
                lost[name] = held_lsn
    return lost


class GapAnnouncer:
    """Publishes gap events of one session, before its first change."""

    def __init__(
        self, store: ControlStore, outlets: Outlets, ledger: Ledger, settings: ControlRow, source: Source
    ) -> None:
        self._store = store
        self._outlets = outlets
        self._ledger = ledger
        self._settings = settings
        self._source = source

    async def announce(self, gap: Gap, needs: Mapping[str, StreamNeed]) -> None:
        """Tells each of the streams that does not stand behind the gap already; returns when all have stored it."""
        log.error(
            "a gap: changes were lost before they were published",
            from_lsn=format_lsn(gap.from_lsn) if gap.from_lsn is not None else None,
            to_lsn=format_lsn(gap.to_lsn),
            reason=gap.reason,
        )
        outlets, alias = self._outlets, database_alias(self._settings)
        for name, need in needs.items():
            target = outlets.targets[name]
            mark = outlets.marks.get(target)
            if mark is not None and (mark.commit_lsn, mark.ordinal) >= (gap.to_lsn, GAP_ORDINAL):
                continue
            event = encode_gap(gap, alias=alias, subject=gap_subject(self._settings, need), source=self._source)
            self._ledger.hand_over(target, 1)
            await outlets.publish(target, [event])
        await outlets.settle()
        outlets.report(self._ledger)
        await self._store.mark_gap_published(gap)
