"""Composites: `(1,"a b",)` gives an object with the attributes' names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pgstream_relay.event.values.converter import Converter, UnrepresentableValue
from pgstream_relay.event.values.text import convert_text

_FIELD = re.compile(rb'(?:"([^"\\]*+(?:(?:""|\\\\)[^"\\]*+)*+)"|([^"\\,()]*+))([,)])')


def compile_composite(
    type_name: str, attributes: Sequence[tuple[str, Converter]], *, attributes_dropped: bool
) -> Converter:
    """A converter of composites. `attributes`: name and checking converter of each, without the dropped ones.

    A text that is shorter was printed before an attribute was added: that attribute is null, as `to_jsonb` has it
    today; unless others were dropped, since then the text doesn't tell which are meant.
    The converter raises UnrepresentableValue where the text is not a composite, or not one of these attributes.
    """
    keys = [b",%b:" % convert_text(name.encode()) for name, _ in attributes]
    converters = [converter for _, converter in attributes]
    count = len(converters)

    def convert(text: bytes) -> bytes:
        if count == 0 and text == b"()":
            return b"{}"
        fields = _split_fields(type_name, text)
        if len(fields) < count and not attributes_dropped:
            fields += [None] * (count - len(fields))
        if len(fields) != count:
            raise UnrepresentableValue(type_name, "the text has another number of attributes than the type has now")
        parts = [
            key + (b"null" if field is None else converter(field))
            for key, field, converter in zip(keys, fields, converters, strict=True)
        ]
        return b"{%b}" % b"".join(parts)[1:]

    return convert


def _split_fields(type_name: str, text: bytes) -> list[bytes | None]:
    """The fields' texts; None for null."""
    fields: list[bytes | None] = []
    if text.startswith(b"("):
        position, end = 1, len(text)
        while match := _FIELD.match(text, position):
            quoted, bare, separator = match.groups()
            fields.append(bare or None if quoted is None else quoted.replace(b'""', b'"').replace(b"\\\\", b"\\"))
            position = match.end()
            if separator == b")":
                if position == end:
                    return fields
                break
    raise UnrepresentableValue(type_name, "the text is not a composite")
