"""Logical messages (`pg_logical_emit_message`) as events: `after` holds the prefix and the content."""

from __future__ import annotations

import base64

from pgstream_relay.event.envelope import json_string
from pgstream_relay.pgoutput.messages import LogicalMessage


def message_document(message: LogicalMessage) -> bytes:
    """The JSON of `after`; content that is not UTF-8 in base 64."""
    prefix = json_string(message.prefix)
    try:
        return b'{"prefix":%b,"content":%b}' % (prefix, json_string(message.content.decode()))
    except UnicodeDecodeError:
        content = json_string(base64.b64encode(message.content).decode())
        return b'{"prefix":%b,"content":%b,"encoding":"base64"}' % (prefix, content)
