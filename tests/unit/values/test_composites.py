"""Composites, domains, hstore, and types of which nothing is known."""

from __future__ import annotations

import pytest

from pgstream_relay.event.values import PASS, TypeInfo, UnrepresentableValue, compile_converter

PAIR, PAIRS, TREE, EMPTY, POSITIVE, POSITIVES, MOOD, HSTORE, LOOP, GONE, SHRUNK = range(100_000, 100_011)
CATALOG = {
    info.oid: info
    for info in [
        TypeInfo(PAIR, "s", "pair", "composite", attributes=(("a", 20), ('b "q"', 25))),
        TypeInfo(PAIRS, "s", "_pair", "array", element_oid=PAIR),
        TypeInfo(TREE, "s", "tree", "composite", attributes=(("p", PAIR), ("ps", PAIRS), ("n", POSITIVE))),
        TypeInfo(EMPTY, "s", "empty", "composite"),
        TypeInfo(POSITIVE, "s", "positive", "domain", base_oid=1700),
        TypeInfo(POSITIVES, "s", "positives", "domain", base_oid=1231),
        TypeInfo(MOOD, "s", "mood", "enum"),
        TypeInfo(HSTORE, "s", "hstore", "base"),
        TypeInfo(LOOP, "s", "loop", "domain", base_oid=LOOP),
        TypeInfo(SHRUNK, "s", "shrunk", "composite", attributes=(("a", 20), ("b", 25)), attributes_dropped=True),
    ]
}


def convert(oid: int, text: bytes, *, numbers_as_text: bool = False) -> bytes:
    return compile_converter(oid, CATALOG, numbers_as_text=numbers_as_text)(text)


@pytest.mark.parametrize(
    ("oid", "text", "json"),
    [
        (PAIR, b"(1,x)", rb'{"a":1,"b \"q\"":"x"}'),
        (PAIR, b"(,)", rb'{"a":null,"b \"q\"":null}'),
        (PAIR, b'(,"")', rb'{"a":null,"b \"q\"":""}'),
        (PAIR, rb'(1,"a ""q"" \\ (),")', rb'{"a":1,"b \"q\"":"a \"q\" \\ (),"}'),
        (PAIR, b"(1)", rb'{"a":1,"b \"q\"":null}'),
        (PAIR, b"(1,NULL)", rb'{"a":1,"b \"q\"":"NULL"}'),
        (PAIRS, rb'{"(1,\"a \"\"q\"\"\")",NULL}', rb'[{"a":1,"b \"q\"":"a \"q\""},null]'),
        (
            TREE,
            rb'("(1,""x y"")","{""(2,)""}",1.50)',
            rb'{"p":{"a":1,"b \"q\"":"x y"},"ps":[{"a":2,"b \"q\"":null}],"n":1.50}',
        ),
        (EMPTY, b"()", b"{}"),
        (POSITIVE, b"1.50", b"1.50"),
        (POSITIVES, b"{1.50,NULL}", b"[1.50,null]"),
        (MOOD, b"so \"so\"", rb'"so \"so\""'),
        (HSTORE, b"", b"{}"),
        (HSTORE, b'"a"=>"1", "b"=>NULL', b'{"a":"1","b":null}'),
        (HSTORE, rb'"\"\\, =>"=>"NULL"', rb'{"\"\\, =>":"NULL"}'),
    ],
)  # fmt: skip
def test_converts(oid: int, text: bytes, json: bytes) -> None:
    assert convert(oid, text) == json


def test_numbers_as_text_reach_inside() -> None:
    assert convert(PAIR, b"(1,x)", numbers_as_text=True) == rb'{"a":"1","b \"q\"":"x"}'
    assert convert(POSITIVE, b"1.50", numbers_as_text=True) == b'"1.50"'
    assert convert(POSITIVES, b"{1.50}", numbers_as_text=True) == b'["1.50"]'


def test_a_domain_costs_nothing() -> None:
    domain = TypeInfo(1, "s", "d", "domain", base_oid=20)
    assert compile_converter(1, {1: domain}, numbers_as_text=False) is PASS


@pytest.mark.parametrize(
    ("oid", "text"),
    [
        (PAIR, b""), (PAIR, b"("), (PAIR, b"(1,x"), (PAIR, b"1,x)"), (PAIR, b"(1,x)y"), (PAIR, b"(1,x,2)"),
        (PAIR, b'(1,"x)'), (PAIR, b"(x,1)"), (PAIR, b"(1,(x))"), (PAIR, b"(" * 100_000), (PAIR, b'(1,"x"y)'),
        (SHRUNK, b"(1)"), (EMPTY, b"(1,2)"), (HSTORE, b'"a"=>1'), (HSTORE, b'"a"=>"1", '), (HSTORE, b"a"),
        (LOOP, b"1"), (PAIR, b")"),
    ],
    ids=range(18),
)  # fmt: skip
def test_garbage_is_refused(oid: int, text: bytes) -> None:
    with pytest.raises(UnrepresentableValue):
        convert(oid, text)


def test_a_type_that_is_gone_gives_only_what_is_a_string_in_any_case() -> None:
    assert convert(GONE, b"paid") == b'"paid"'
    assert convert(GONE, "über".encode()) == '"über"'.encode()
    for text in (b"t", b"null", b"1", b"(1,2)", b"{a}", b"", b"-infinity", b'"x"', b"[1,2)"):
        with pytest.raises(UnrepresentableValue, match="not in the catalog"):
            convert(GONE, text)
