"""hstore: `"a"=>"1", "b"=>NULL` gives an object of strings and nulls, as its cast to json does."""

from __future__ import annotations

import re

from pgstream_relay.event.values.converter import UnrepresentableValue
from pgstream_relay.event.values.text import convert_text

_STRING = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_PAIR = re.compile(rb"%b=>(?:%b|NULL)(?:, |$)" % (_STRING, _STRING), re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


def convert_hstore(text: bytes) -> bytes:
    """All values are strings, whatever they look like."""
    members: list[bytes] = []
    position, end = 0, len(text)
    while position < end:
        pair = _PAIR.match(text, position)
        if pair is None:
            raise UnrepresentableValue("hstore", "the text is not one of hstore")
        key, value = pair.groups()
        members.append(_convert_string(key) + b":" + (b"null" if value is None else _convert_string(value)))
        position = pair.end()
    if text.endswith(b", "):
        raise UnrepresentableValue("hstore", "the text is not one of hstore")
    return b"{%b}" % b",".join(members)


def _convert_string(content: bytes) -> bytes:
    return convert_text(_ESCAPE.sub(rb"\1", content) if b"\\" in content else content)
