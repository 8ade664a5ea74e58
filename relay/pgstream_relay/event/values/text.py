"""Text, and the types whose JSON is a string with the same text: the great majority."""

from __future__ import annotations

import msgspec

from pgstream_relay.event.values.converter import Converter, UnrepresentableValue

_encode = msgspec.json.Encoder().encode
_LABELS_MAX = 1000


def convert_text(text: bytes) -> bytes:
    """A JSON string of any text; non-ASCII is not escaped."""
    try:
        return _encode(text.decode())
    except UnicodeDecodeError:
        pass  # raised below: as its context, this exception would carry the value along
    raise not_utf8()


def not_utf8() -> UnrepresentableValue:
    """What `convert_text` raises."""
    return UnrepresentableValue("text", "it is not valid UTF-8 (the database's encoding is SQL_ASCII?)")


def convert_bytea(text: bytes) -> bytes:
    r"""`\x00ff` gives `"\\x00ff"`: the one backslash is doubled."""
    return b'"\\%b"' % text


class _Booleans(dict[bytes, bytes]):
    """A dictionary's own look-up is a converter without a Python frame."""

    def __missing__(self, text: bytes) -> bytes:
        raise UnrepresentableValue("bool", "the text is neither t nor f")


convert_bool: Converter = _Booleans({b"t": b"true", b"f": b"false"}).__getitem__


class _Labels(dict[bytes, bytes]):
    """Remembers the JSON of each label that it has met; the limit guards against what only claims to be an enum."""

    def __missing__(self, text: bytes) -> bytes:
        label = convert_text(text)
        if len(self) < _LABELS_MAX:
            self[text] = label
        return label


def compile_enum() -> Converter:
    """A converter for one enum type: labels are few, so each is encoded once."""
    return _Labels().__getitem__
