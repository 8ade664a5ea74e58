"""What happens where the settings of their time can't be carried out (CONTRACT 4.7): the newest committed ones hold."""

from __future__ import annotations

from pgstream_relay.control.state import ControlState
from pgstream_relay.control.tables import table_settings


def take_newest_streams(state: ControlState, newest: ControlState) -> None:
    """Gives the kept streams their newest committed limits, and keeps those that are to be kept by now.

    No event depends on them, and the UPDATE that mends a full stream, or the INSERT that has a missing one made, lies
    in the WAL behind the events that wait for it.
    """
    for name, row in newest.streams.items():
        state.apply("streams", state.streams.get(name), row)


def take_newest(state: ControlState, newest: ControlState, stream: str) -> bool:
    """Gives what makes `stream` as it is refused its newest committed settings; whether that changed anything.

    The one exception to law 7: read again as of their time, such settings would keep the database standing for ever,
    and no UPDATE could mend them. The stream's row and its tables' rows come first; only where those are the newest
    already does the row of `pgstream.settings` follow, for it concerns every other table too.
    """
    changed = False
    for row in list(state.tables.values()):
        if table_settings(state.settings, row).stream == stream:
            mended = newest.table_of(int(row["relid"]))
            if mended != row:
                state.apply("tables", row, mended)
                changed = True
    if newest.streams.get(stream) != state.streams.get(stream):
        state.apply("streams", state.streams.get(stream), newest.streams.get(stream))
        changed = True
    if not changed and newest.settings != state.settings:
        state.apply("settings", state.settings, newest.settings)
        changed = True
    return changed
