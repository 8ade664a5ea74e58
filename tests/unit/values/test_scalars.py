"""Numbers, text, times: one value in, one value out."""

from __future__ import annotations

import pytest

from pgstream_relay.event.values import PASS, QUOTE, UnrepresentableValue, compile_converter
from pgstream_relay.event.values.builtin import SCALARS
from pgstream_relay.event.values.text import compile_enum

OIDS = {scalar.name: oid for oid, scalar in SCALARS.items()}


def convert(type_name: str, text: bytes, *, numbers_as_text: bool = False) -> bytes:
    return compile_converter(OIDS[type_name], {}, numbers_as_text=numbers_as_text)(text)


@pytest.mark.parametrize(
    ("type_name", "text", "json"),
    [
        ("bool", b"t", b"true"),
        ("bool", b"f", b"false"),
        ("int8", b"-9223372036854775808", b"-9223372036854775808"),
        ("numeric", b"1.50", b"1.50"),
        ("numeric", b"0.0000000001", b"0.0000000001"),
        ("numeric", b"9" * 20_000, b"9" * 20_000),
        ("numeric", b"NaN", b'"NaN"'),
        ("numeric", b"-Infinity", b'"-Infinity"'),
        ("float8", b"1e+20", b"100000000000000000000"),
        ("float8", b"-1.5e-07", b"-0.00000015"),
        ("float8", b"-0", b"0"),
        ("float8", b"0", b"0"),
        ("float8", b"-0.5", b"-0.5"),
        ("float4", b"Infinity", b'"Infinity"'),
        ("oid", b"23", b'"23"'),
        ("bytea", b"\\x00ff", b'"\\\\x00ff"'),
        ("text", 'é "q" \\ \n\x01\x7f😀'.encode(), 'é \\"q\\" \\\\ \\n\\u0001\x7f😀'.join('""').encode()),
        ("bpchar", b"ab   ", b'"ab   "'),
        ("timestamp", b"2026-01-01 12:34:56.1", b'"2026-01-01T12:34:56.1"'),
        ("timestamp", b"0044-03-15 12:00:00 BC", b'"0044-03-15T12:00:00 BC"'),
        ("timestamptz", b"2026-01-01 12:34:56+00", b'"2026-01-01T12:34:56+00:00"'),
        ("timestamptz", b"294276-12-31 23:59:59.999999+00", b'"294276-12-31T23:59:59.999999+00:00"'),
        ("timestamptz", b"0044-03-15 12:00:00+00 BC", b'"0044-03-15T12:00:00+00:00 BC"'),
        ("timestamptz", b"-infinity", b'"-infinity"'),
        ("date", b"infinity", b'"infinity"'),
        ("int2vector", b"1 2 -3", b"[1,2,-3]"),
        ("int2vector", b"", b"[]"),
        ("oidvector", b"1 2", b'["1","2"]'),
        ("tsrange", b'["2026-01-01 00:00:00",)', b'"[\\"2026-01-01 00:00:00\\",)"'),
    ],
)  # fmt: skip
def test_converts(type_name: str, text: bytes, json: bytes) -> None:
    assert convert(type_name, text) == json


def test_a_plan_recognises_what_needs_no_call() -> None:
    for name in ("int2", "int4", "int8"):
        assert compile_converter(OIDS[name], {}, numbers_as_text=False) is PASS
    for name in ("uuid", "date", "interval", "inet", "xid8"):
        assert compile_converter(OIDS[name], {}, numbers_as_text=False) is QUOTE
    assert compile_converter(OIDS["int8"], {}, numbers_as_text=True) is QUOTE


@pytest.mark.parametrize(
    ("type_name", "text", "json"),
    [
        ("int8", b"9007199254740993", b'"9007199254740993"'),
        ("numeric", b"1.50", b'"1.50"'),
        ("numeric", b"NaN", b'"NaN"'),
        ("int4", b"7", b"7"),
        ("float8", b"1.5", b"1.5"),
        ("jsonb", b'{"n": 1.50}', b'{"n":1.50}'),
    ],
)
def test_numeric_and_int8_alone_become_text(type_name: str, text: bytes, json: bytes) -> None:
    assert convert(type_name, text, numbers_as_text=True) == json


@pytest.mark.parametrize(
    ("type_name", "text"),
    [
        ("bool", b"true"),
        ("bool", b""),
        ("numeric", b"one"),
        ("numeric", b""),
        ("float8", b"1e+9999"),
        ("float8", b"nan"),
        ("int2vector", b"1 x"),
        ("text", b"caf\xe9"),
        ("timestamptz", b"2026-01-01 12:34:56+05:30"),
    ],
)
def test_refuses_without_telling_the_value(type_name: str, text: bytes) -> None:
    with pytest.raises(UnrepresentableValue) as raised:
        convert(type_name, text)

    assert len(text) < 5 or text.decode("latin-1") not in str(raised.value)
    assert raised.value.__context__ is None
    assert raised.value.reason in str(raised.value)


def test_labels_are_remembered_up_to_a_limit() -> None:
    convert_label = compile_enum()
    assert [convert_label(b'a "b"') for _ in range(2)] == [b'"a \\"b\\""'] * 2
    assert all(convert_label(b"%d" % number) == b'"%d"' % number for number in range(3000))
