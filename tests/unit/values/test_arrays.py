"""Arrays and vectors."""

from __future__ import annotations

import pytest

from pgstream_relay.event.values import UnrepresentableValue, compile_converter

INT4, INT8, TEXT, BOX, JSONB, NUMERIC = 1007, 1016, 1009, 1020, 3807, 1231


def convert(oid: int, text: bytes, *, numbers_as_text: bool = False) -> bytes:
    return compile_converter(oid, {}, numbers_as_text=numbers_as_text)(text)


@pytest.mark.parametrize(
    ("oid", "text", "json"),
    [
        (INT4, b"{}", b"[]"),
        (INT4, b"{1,-2,0}", b"[1,-2,0]"),
        (INT4, b"{1,NULL}", b"[1,null]"),
        (INT4, b"[0:1]={1,2}", b"[1,2]"),
        (INT4, b"[-1:0][3:4]={{1,2},{NULL,4}}", b"[[1,2],[null,4]]"),
        (TEXT, b"{{{{{{x}}}}}}", b'[[[[[["x"]]]]]]'),
        (TEXT, b'{"NULL",NULL,null,"",a}', b'["NULL",null,"null","","a"]'),
        (TEXT, rb'{"a \"q\" \\ {},;","\\\\"}', rb'["a \"q\" \\ {},;","\\\\"]'),
        (TEXT, b'{"[1:2]={x}"}', b'["[1:2]={x}"]'),
        (TEXT, '{é,"ü ü"}'.encode(), '["é","ü ü"]'.encode()),
        (TEXT, b"{a;b}", b'["a;b"]'),
        (BOX, b"{(1,1),(0,0);(2,2),(1,1);NULL}", b'["(1,1),(0,0)","(2,2),(1,1)",null]'),
        (JSONB, rb'{"{\"a\": [1, \"\\\"\"]}",1,NULL,"null"}', rb'[{"a":[1,"\""]},1,null,null]'),
        (1000, b"{t,f,NULL}", b"[true,false,null]"),
        (1001, rb'{"\\x00ff"}', rb'["\\x00ff"]'),
        (1022, b"{1e+20,NaN,-0}", b'[100000000000000000000,"NaN",0]'),
        (1185, b'{"2026-01-01 00:00:00+00",infinity}', b'["2026-01-01T00:00:00+00:00","infinity"]'),
        (1006, b'{"1 2",3}', b"[[1,2],[3]]"),
    ],
)
def test_converts(oid: int, text: bytes, json: bytes) -> None:
    assert convert(oid, text) == json


def test_numbers_as_text() -> None:
    assert convert(INT8, b"{1,NULL,-2}", numbers_as_text=True) == b'["1",null,"-2"]'
    assert convert(NUMERIC, b"{{1.50},{NaN}}", numbers_as_text=True) == b'[["1.50"],["NaN"]]'
    assert convert(INT4, b"{1}", numbers_as_text=True) == b"[1]"


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"}", b"{}}", b"{{}", b"{1,}", b"{,1}", b"{1}{2}", b"{1}x", b"x{1}", b'{"1}', b"[0:1]", b"[0:1={1}",
        b"{1 2}", b"{{1}2}", b"{1{2}}", b"{{{{{{{1}}}}}}}", b"{" * 100_000 + b"}" * 100_000, b"{1;2}", b"{01}", b"{x}",
        b'{"1"2}', b"{\\1}",
    ],
    ids=range(23),
)  # fmt: skip
def test_garbage_is_refused(text: bytes) -> None:
    with pytest.raises(UnrepresentableValue):
        convert(INT4, text)
