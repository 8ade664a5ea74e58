"""The commonest converters as source text, for functions compiled for a relation: a call costs more than they do.

Each does exactly what its converter does, which is called (`{call}`) where the text is not of the usual kind.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pgstream_relay.event.values import numbers, text, times
from pgstream_relay.event.values.converter import PASS, QUOTE, Converter

INLINE: Final[dict[Converter, str]] = {
    PASS: "{text}",
    QUOTE: "b'\"%b\"' % {text}",
    text.convert_text: "encode_string({text}.decode())",
    # What is finite ends with a digit (58 is behind 9); only an exponent has an e.
    numbers.convert_numeric: "v if (v := {text})[-1] < 58 else {call}(v)",
    numbers.convert_float: "v if (v := {text})[-1] < 58 and 101 not in v and v != b'-0' else {call}(v)",
    times.convert_timestamp: "b'\"%b\"' % {text}.replace(b' ', b'T', 1)",
    times.convert_timestamptz: (
        "b'\"%b:00\"' % v.replace(b' ', b'T', 1) if (v := {text})[-3:] == b'+00' else {call}(v)"
    ),
}
"""Expressions of `{text}`. They use the name `v` and those of NAMES, and raise UnicodeDecodeError beside what the
converter raises."""

NAMES: Final[dict[str, Any]] = {"encode_string": msgspec.json.Encoder().encode}
