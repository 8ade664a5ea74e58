"""What the pipeline asks of the shell: IO that must be done before it can go on, or that its progress makes due."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from pgstream_relay.event.oversize import StoreObject
from pgstream_relay.pgoutput.messages import Relation


@dataclass(frozen=True, slots=True)
class NeedRelation:
    """Ask the catalog for the relation's keys and types, call `Pipeline.describe`, feed on."""

    relation: Relation


@dataclass(frozen=True, slots=True)
class NeedStreams:
    """Publish the segments, bring streams and writers in line with `Pipeline.needed_streams()`, call `set_targets`."""


@dataclass(frozen=True, slots=True)
class PositionReached:
    """The stream has passed `Pipeline.wake_lsn`, and stands between two transactions: snapshot rows may come here."""


Effect: TypeAlias = NeedRelation | NeedStreams | StoreObject | PositionReached


class KeptSettings(NamedTuple):
    """The settings as of `lsn`, to be written to Postgres once everything up to `lsn` is stored."""

    lsn: int
    document: dict[str, Any]
