"""Arrays: `{1,NULL,"a b"}`, `[0:1]={{…},{…}}` give JSON arrays; bounds have no place in JSON and are dropped."""

from __future__ import annotations

import re

from pgstream_relay.event.values.converter import Converter, UnrepresentableValue

DIMENSIONS_MAX = 6  # Postgres's own limit

_BOUNDS = re.compile(rb"(?:\[[+-]?+[0-9]++:[+-]?+[0-9]++\])++=")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_INTEGER = rb"-?+(?:[1-9][0-9]*+|0)"
_DECIMAL = rb"-?+(?:[1-9][0-9]*+|0)(?:\.[0-9]++)?"
_QUOTE = ord('"')


def compile_array(type_name: str, element: Converter, delimiter: str) -> Converter:
    """A converter of arrays. `element` is the checking converter of its elements' type, `delimiter` theirs: `,` or `;`.

    The converter raises UnrepresentableValue where the text is not an array.
    """
    delimiter_bytes = delimiter.encode()
    find_elements = _element_pattern(delimiter_bytes).findall
    find_tokens = _token_pattern(delimiter_bytes).findall

    def convert_element(token: bytes) -> bytes:
        if token[0] == _QUOTE:
            token = token[1:-1]
            return element(_ESCAPE.sub(rb"\1", token) if b"\\" in token else token)
        return b"null" if token == b"NULL" else element(token)

    def convert(text: bytes) -> bytes:
        if text[:1] == b"[":
            bounds = _BOUNDS.match(text)
            text = text[bounds.end() :] if bounds else b""
        elements = find_elements(text[:-1])
        # What a pattern doesn't match is missing in what it finds.
        if elements and len(elements) + sum(map(len, elements)) + 1 == len(text) and text[-1:] == b"}":
            return b"[%b]" % b",".join(
                [
                    element(token) if token[0] != _QUOTE and token != b"NULL" else convert_element(token)
                    for token in elements
                ]
            )
        tokens = find_tokens(text)
        if sum(map(len, tokens)) != len(text):
            raise _not_an_array(type_name)
        return _convert_tokens(type_name, tokens, delimiter_bytes, convert_element)

    return convert


def compile_number_array(convert: Converter, *, integers: bool) -> Converter:
    """Wraps the converter of an array of numbers: without NULLs, in one dimension, its text is nearly JSON."""
    number = _INTEGER if integers else _DECIMAL
    are_numbers = re.compile(rb"\{%b(?:,%b)*+\}" % (number, number)).fullmatch

    def convert_numbers(text: bytes) -> bytes:
        return b"[%b]" % text[1:-1] if are_numbers(text) else convert(text)

    return convert_numbers


def compile_vector(element: Converter) -> Converter:
    """int2vector and oidvector: elements between single spaces, nothing around them."""

    def convert(text: bytes) -> bytes:
        return b"[%b]" % b",".join([element(item) for item in text.split()])

    return convert


def _element_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    """One match an element of an array of one dimension, with what stands before it: all but the closing brace."""
    delimiter = re.escape(delimiter)
    return re.compile(rb'(?:\A\{|%b)("[^"\\]*+(?:\\.[^"\\]*+)*+"|[^{}"\\%b]++)' % (delimiter, delimiter), re.DOTALL)


def _token_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(
        rb'[{}%b]|"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^{}"\\%b]++' % (re.escape(delimiter), re.escape(delimiter)), re.DOTALL
    )


def _convert_tokens(type_name: str, tokens: list[bytes], delimiter: bytes, convert_element: Converter) -> bytes:
    """The general case, without recursion: none, or several dimensions."""
    parts: list[bytes] = []
    depth = 0
    value_expected = True
    for position, token in enumerate(tokens):
        if token == b"{":
            depth += 1
            if not value_expected or depth > DIMENSIONS_MAX:
                raise _not_an_array(type_name)
            parts.append(b"[")
        elif depth == 0:
            raise _not_an_array(type_name)
        elif token == b"}":
            depth -= 1
            if value_expected and tokens != [b"{", b"}"]:
                raise _not_an_array(type_name)
            if depth == 0 and position != len(tokens) - 1:
                raise _not_an_array(type_name)
            parts.append(b"]")
            value_expected = False
        elif token == delimiter:
            if value_expected:
                raise _not_an_array(type_name)
            parts.append(b",")
            value_expected = True
        elif value_expected:
            parts.append(convert_element(token))
            value_expected = False
        else:
            raise _not_an_array(type_name)
    if depth or not parts:
        raise _not_an_array(type_name)
    return b"".join(parts)


def _not_an_array(type_name: str) -> UnrepresentableValue:
    return UnrepresentableValue(type_name, "the text is not an array")
