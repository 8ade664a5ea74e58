r"""json and jsonb: embedded as they are, without the white space that means nothing.

Numbers keep their letters, keys their order and duplicates. `to_jsonb` raises where json holds `\u0000`, half of a
surrogate pair, or a number out of numeric's range; here all of these pass, since JSON itself allows them.
"""

from __future__ import annotations

import re

import msgspec

from pgstream_relay.event.values.converter import UnrepresentableValue

_format = msgspec.json.format
_STRING_OR_SPACE = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")|[ \t\n\r]++')
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{\[}\]]')
# The first group skips an escaped backslash, so that what follows it is not taken for an escape.
_ESCAPED_SURROGATE = re.compile(rb"(\\\\)|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_DEPTH_MAX = 100_000


def convert_json(text: bytes) -> bytes:
    """The document without insignificant white space."""
    if text.isascii() or _is_utf8(text):  # msgspec doesn't look
        try:
            return _format(text, indent=-1)
        except msgspec.DecodeError:
            document = _compact_surrogates(text)
        except RecursionError:
            document = _compact_deep(text)
        if document is not None:
            return document
    raise UnrepresentableValue("json", "the text is not a JSON document in UTF-8")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _compact(text: bytes) -> bytes:
    """Any legal JSON without its white space; slower than msgspec, but to the letter and at any depth."""
    return _STRING_OR_SPACE.sub(rb"\1", text)


def _compact_surrogates(text: bytes) -> bytes | None:
    """The document, if nothing but unpaired surrogates made msgspec refuse it. Postgres accepts them in json."""
    harmless = _ESCAPED_SURROGATE.sub(lambda match: match[1] or rb"\u0020", text)
    if harmless == text:
        return None
    try:
        _format(harmless, indent=-1)
    except msgspec.DecodeError:
        return None
    except RecursionError:
        return _compact_deep(text)
    return _compact(text)


def _compact_deep(text: bytes) -> bytes | None:
    """The document, if it is nested deeper than msgspec's recursion can go.

    It was found legal down to Python's recursion limit; below, only that its brackets match is looked at.
    """
    open_brackets = bytearray()
    for token in _STRING_OR_BRACKET.findall(text):
        if token in b"{[":
            open_brackets += token
            if len(open_brackets) > _DEPTH_MAX:
                return None
        elif token in b"}]" and (not open_brackets or open_brackets.pop() + 2 != token[0]):
            return None
    return None if open_brackets else _compact(text)
