"""Arrays: `{1,NULL,"a b"}`, `[0:1]={{…},{…}}` give JSON arrays; bounds have no place in JSON and are dropped."""

from __future__ import annotations

import re

from pgstream_relay.event.values.converter import Converter, UnrepresentableValue

DIMENSIONS_MAX = 6  # Postgres's own limit

_BOUNDS = re.compile(rb"(?:\[[+-]?+[0-9]++:[+-]?+[0-9]++\])++=")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_are_integers = re.compile(rb"\{-?+(?:[1-9][0-9]*+|0)(?:,-?+(?:[1-9][0-9]*+|0))*+\}").fullmatch


def compile_array(type_name: str, element: Converter, delimiter: str) -> Converter:
    """A converter of arrays. `element` is the checking converter of its elements' type, `delimiter` theirs: `,` or `;`.

    The converter raises UnrepresentableValue where the text is not an array.
    """
    delimiter_bytes = delimiter.encode()
    find_tokens = _token_pattern(delimiter_bytes).findall

    def convert(text: bytes) -> bytes:
        if text.startswith(b"["):
            bounds = _BOUNDS.match(text)
            text = text[bounds.end() :] if bounds else b""
        if b'"' not in text and text.startswith(b"{") and text.endswith(b"}"):
            content = text[1:-1]
            if not content:
                return b"[]"
            if b"{" not in content and b"}" not in content and b"\\" not in content:
                return b"[%b]" % b",".join(
                    [b"null" if item == b"NULL" else element(item) for item in content.split(delimiter_bytes)]
                )
        tokens = find_tokens(text)
        # What the pattern doesn't match is left out of its tokens.
        if sum(map(len, tokens)) != len(text):
            raise _not_an_array(type_name)
        return _convert_tokens(type_name, tokens, delimiter_bytes, element)

    return convert


def compile_integer_array(convert: Converter) -> Converter:
    """Wraps the converter of an array of integers: without NULLs, in one dimension, its text is nearly JSON."""

    def convert_integers(text: bytes) -> bytes:
        return b"[%b]" % text[1:-1] if _are_integers(text) else convert(text)

    return convert_integers


def compile_vector(element: Converter) -> Converter:
    """int2vector and oidvector: elements between single spaces, nothing around them."""

    def convert(text: bytes) -> bytes:
        return b"[%b]" % b",".join([element(item) for item in text.split()])

    return convert


def _token_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(
        rb'[{}%b]|"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^{}"\\%b]++' % (re.escape(delimiter), re.escape(delimiter)), re.DOTALL
    )


def _convert_tokens(type_name: str, tokens: list[bytes], delimiter: bytes, element: Converter) -> bytes:
    """The general case, without recursion: quotes, several dimensions."""
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
            parts.append(_convert_element(token, element))
            value_expected = False
        else:
            raise _not_an_array(type_name)
    if depth or not parts:
        raise _not_an_array(type_name)
    return b"".join(parts)


def _convert_element(token: bytes, element: Converter) -> bytes:
    if token.startswith(b'"'):
        token = token[1:-1]
        return element(_ESCAPE.sub(rb"\1", token) if b"\\" in token else token)
    return b"null" if token == b"NULL" else element(token)


def _not_an_array(type_name: str) -> UnrepresentableValue:
    return UnrepresentableValue(type_name, "the text is not an array")
