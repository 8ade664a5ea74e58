"""Where positions are comparable: one database of one system, and the timeline that an LSN belongs to (law 2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgstream_relay.event.ulid import source_tag
from pgstream_relay.pgoutput.timeline import TimelineSwitch


@dataclass(frozen=True)
class Source:
    """`switches` are the ancestors of `timeline`, the oldest first, each with the LSN at which it ended."""

    system_identifier: str
    database_oid: int
    timeline: int
    switches: tuple[TimelineSwitch, ...] = ()
    tag: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tag", source_tag(self.system_identifier, self.database_oid))

    @property
    def database_key(self) -> str:
        """`<system identifier>/<database oid>`: what streams and kept settings are marked with."""
        return f"{self.system_identifier}/{self.database_oid}"

    def timeline_of(self, lsn: int) -> int:
        """The timeline on which `lsn` was written."""
        for switch in self.switches:
            if lsn < switch.switch_lsn:
                return switch.timeline
        return self.timeline

    def header(self, lsn: int) -> str:
        """`Pgstream-Source` of an event whose transaction committed at `lsn`."""
        return f"{self.database_key}/{self.timeline_of(lsn)}"
