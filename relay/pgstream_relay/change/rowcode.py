"""Compiles the reading of a relation's rows into one Python function: no loop over columns, no list of values.

The function is made of source text, as `dataclasses` makes `__init__`. Column names and all other text of the
database reach it as constants in its namespace, never as source.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from pgstream_relay.event.headers import key_header
from pgstream_relay.event.values import PASS, QUOTE, Converter
from pgstream_relay.pgoutput.messages import TupleValues
from pgstream_relay.pgoutput.reader import MalformedMessage

EncodeTuple = Callable[[bytes, int, bytes, bytes], tuple[bytes, bytes]]
"""(buffer, position of the column count, event id, timestamp) to (payload, key header line)."""

ConvertValues = Callable[[TupleValues], tuple[bytes, ...]]
"""Raw values, none of them UNCHANGED, to JSON."""


class UnexpectedTuple(MalformedMessage):
    """A tuple that does not look as its relation says."""


def compile_encode_tuple(converters: Sequence[Converter], payload: bytes, key: Sequence[int]) -> EncodeTuple:
    """One function from a whole tuple to a whole payload.

    `payload` is a %-format that takes the id, each column's JSON, and the timestamp; `key` are the positions of the
    key columns. It raises UnexpectedTuple, MalformedMessage's child, where the tuple does not fit the relation, and
    what a converter raises.
    """
    count = len(converters)
    lines = [
        "def encode_tuple(buffer, position, event_id, timestamp):",
        "    try:",
        "        if buffer[position:position + 2] != COUNT:",
        "            raise UnexpectedTuple('a tuple has another number of columns than its relation')",
        "        position += 2",
    ]
    for index, converter in enumerate(converters):
        lines += [
            "        kind = buffer[position]",
            "        if kind == 116:",
            "            start = position + 5",
            "            position = start + length(buffer, position + 1)[0]",
            f"            v{index} = {_conversion(index, converter, 'buffer[start:position]')}",
            "        elif kind == 110:",
            f"            v{index} = b'null'",
            "            position += 1",
            "        else:",
            "            raise UnexpectedTuple('a whole tuple has a value that is neither text nor null')",
        ]
    values = "".join(f"v{index}, " for index in range(count))
    lines += [
        "    except (IndexError, struct_error):",
        "        raise UnexpectedTuple('a tuple ends in the middle') from None",
        "    if position != len(buffer):",
        "        raise UnexpectedTuple('a tuple ends before or behind its message')",
        f"    return PAYLOAD % (event_id, {values}timestamp), {_key_expression(key)}",
    ]
    namespace = _namespace(converters)
    namespace.update(PAYLOAD=payload, COUNT=count.to_bytes(2))
    encode: EncodeTuple = _define("encode_tuple", lines, namespace)
    return encode


def compile_convert_values(converters: Sequence[Converter]) -> ConvertValues:
    """One function from a list of raw values to a tuple of JSON values."""
    terms = [
        f"b'null' if v{index} is None else {_conversion(index, converter, f'v{index}')}"
        for index, converter in enumerate(converters)
    ]
    names = "".join(f"v{index}, " for index in range(len(converters)))
    lines = [
        "def convert_values(values):",
        f"    {names or '()'} = values",
        f"    return ({''.join(f'{term}, ' for term in terms)})",
    ]
    convert: ConvertValues = _define("convert_values", lines, _namespace(converters))
    return convert


def _conversion(index: int, converter: Converter, text: str) -> str:
    """The expression of one value's JSON. The two commonest conversions are spelt out: no call at all."""
    if converter is PASS:
        return text
    if converter is QUOTE:
        return f"b'\"%b\"' % {text}"
    return f"c{index}({text})"


def _key_expression(key: Sequence[int]) -> str:
    if not key:
        return "b''"
    return f"key_header(b'{','.join(['%b'] * len(key))}' % ({''.join(f'v{index}, ' for index in key)}))"


def _namespace(converters: Sequence[Converter]) -> dict[str, Any]:
    namespace: dict[str, Any] = {f"c{index}": converter for index, converter in enumerate(converters)}
    namespace.update(
        UnexpectedTuple=UnexpectedTuple,
        length=struct.Struct("!I").unpack_from,
        struct_error=struct.error,
        key_header=key_header,
    )
    return namespace


def _define(name: str, lines: list[str], namespace: dict[str, Any]) -> Any:
    exec(compile("\n".join(lines), f"<pgstream {name}>", "exec"), namespace)
    return namespace[name]
