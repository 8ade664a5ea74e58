"""Numbers: JSON numbers with every digit and the scale, or JSON strings where a table asks for numbers as text."""

from __future__ import annotations

import re
from decimal import Decimal

from pgstream_relay.event.values.converter import UnrepresentableValue

# Making a match costs twice as much as looking at single bytes: the trusting converters do without.
_is_integer = re.compile(rb"-?+(?:[1-9][0-9]*+|0)").fullmatch
_is_decimal = re.compile(rb"-?+(?:[1-9][0-9]*+|0)(?:\.[0-9]++)?").fullmatch
# Without -0, which to_jsonb prints as 0.
_is_plain_float = re.compile(rb"-?+(?:[1-9][0-9]*+(?:\.[0-9]++)?|0\.[0-9]++)|0").fullmatch
# No more than three digits of exponent: a longer one would only serve to fill the memory with zeros.
_is_exponent_float = re.compile(rb"-?+[1-9](?:\.[0-9]++)?e[+-][0-9]{2,3}+").fullmatch
_ZERO, _NINE, _E = b"09e"
_NOT_FINITE = {b"NaN": b'"NaN"', b"Infinity": b'"Infinity"', b"-Infinity": b'"-Infinity"'}


def check_integer(text: bytes) -> bytes:
    """int2, int4, int8: the text is the JSON."""
    if (text.isdigit() and text[0] != _ZERO) or _is_integer(text):
        return text
    raise UnrepresentableValue("integer", "the text is not a whole number")


def check_integer_as_text(text: bytes) -> bytes:
    """int8 as a JSON string."""
    return b'"%b"' % check_integer(text)


def convert_numeric(text: bytes) -> bytes:
    """numeric: the text is the JSON, scale and all; NaN and the infinities are strings."""
    if text and text[-1] <= _NINE:
        return text
    return _convert_not_finite(text, "numeric")


def check_numeric(text: bytes) -> bytes:
    """As convert_numeric."""
    return text if _is_decimal(text) else _convert_not_finite(text, "numeric")


def check_numeric_as_text(text: bytes) -> bytes:
    """numeric as a JSON string; NaN and the infinities are strings anyway."""
    return b'"%b"' % text if _is_decimal(text) else _convert_not_finite(text, "numeric")


def convert_float(text: bytes) -> bytes:
    """float4, float8: plain decimals without an exponent; NaN and the infinities are strings."""
    if _E not in text and text != b"-0" and text and text[-1] <= _NINE:
        return text
    return check_float(text)


def check_float(text: bytes) -> bytes:
    """As convert_float."""
    if _is_plain_float(text):
        return text
    if _is_exponent_float(text):
        return format(Decimal(text.decode("ascii")), "f").encode("ascii")
    return b"0" if text == b"-0" else _convert_not_finite(text, "float")


def _convert_not_finite(text: bytes, type_name: str) -> bytes:
    json = _NOT_FINITE.get(text)
    if json is None:
        raise UnrepresentableValue(type_name, "the text is not a number")
    return json
