"""Settings as the WAL tells them: rows of the control tables, and what they mean for each table."""

from pgstream_relay.control.state import CONTROL_TABLES, ControlRow, ControlState
from pgstream_relay.control.streams import KeptStream, StreamNeed, gap_subject, needed_streams
from pgstream_relay.control.tables import TableSettings, database_alias, default_stream, table_settings

__all__ = [
    "CONTROL_TABLES",
    "ControlRow",
    "ControlState",
    "KeptStream",
    "StreamNeed",
    "TableSettings",
    "database_alias",
    "default_stream",
    "gap_subject",
    "needed_streams",
    "table_settings",
]
