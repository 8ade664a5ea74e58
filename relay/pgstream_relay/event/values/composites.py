"""Composites: `(1,"a b",)` gives an object with the attributes' names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pgstream_relay.event.values.converter import Converter, UnrepresentableValue
from pgstream_relay.event.values.text import convert_text

# One match a field, with what stands before it; all but the closing parenthesis is matched then.
_find_fields = re.compile(rb'(?:\A\(|,)("[^"\\]*+(?:(?:""|\\\\)[^"\\]*+)*+"|[^"\\,()]*+)').findall
_QUOTE = ord('"')


def compile_composite(
    type_name: str, attributes: Sequence[tuple[str, Converter]], *, attributes_dropped: bool
) -> Converter:
    """A converter of composites. `attributes`: name and checking converter of each, without the dropped ones.

    A text that is shorter was printed before an attribute was added: that attribute is null, as `to_jsonb` has it
    today; unless others were dropped, since then the text doesn't tell which are meant.
    The converter raises UnrepresentableValue where the text is not a composite, or not one of these attributes.
    """
    names = [convert_text(name.encode()).replace(b"%", b"%%") for name, _ in attributes]
    layout = b"{%b}" % b",".join([name + b":%b" for name in names])
    converters = [converter for _, converter in attributes]
    count = len(converters)

    def convert(text: bytes) -> bytes:
        if count == 0 and text == b"()":
            return b"{}"
        fields = _split_fields(type_name, text)
        if len(fields) != count:
            if len(fields) > count or attributes_dropped:
                raise UnrepresentableValue(type_name, "the text has another number of attributes than the type has now")
            fields += [None] * (count - len(fields))
        return layout % tuple(
            [b"null" if field is None else convert(field) for field, convert in zip(fields, converters, strict=True)]
        )

    return convert


def _split_fields(type_name: str, text: bytes) -> list[bytes | None]:
    """The fields' texts; None for null."""
    found: list[bytes] = _find_fields(text[:-1])
    # What the pattern doesn't match is missing in what it finds.
    if not found or len(found) + sum(map(len, found)) + 1 != len(text) or text[-1:] != b")":
        raise UnrepresentableValue(type_name, "the text is not a composite")
    return [_unquote(field) if field else None for field in found]


def _unquote(field: bytes) -> bytes:
    if field[0] != _QUOTE:
        return field
    return field[1:-1].replace(b'""', b'"').replace(b"\\\\", b"\\")
