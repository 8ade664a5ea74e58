"""What a run of `pgstream install` was asked to bring about. Plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Desired:
    """`owner_role` owns the publication and nothing else; None: the role that owns it already, else pgstream_dba.

    `relay_role` gets what the relay needs; None grants and revokes nothing.
    `new_slot`: replace a slot that is lost or missing, and record the gap. `snapshot`: where that was done,
    ask for snapshots of all tables. `adopt_stream`: this database takes over
    the streams that name another one in their metadata.
    """

    owner_role: str | None = None
    relay_role: str | None = None
    slot: bool = True
    failover: bool = True
    new_slot: bool = False
    snapshot: bool = False
    adopt_stream: bool = False
