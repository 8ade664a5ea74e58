"""json and jsonb."""

from __future__ import annotations

import pytest

from pgstream_relay.event.values import UnrepresentableValue
from pgstream_relay.event.values.documents import convert_json


@pytest.mark.parametrize(
    ("text", "json"),
    [
        (b'{"a": 1.50, "b": [1e2, 1E+400, -0, 0.10]}', b'{"a":1.50,"b":[1e2,1E+400,-0,0.10]}'),
        (b' {\n\t"a b"\r :  [ ] } ', b'{"a b":[]}'),
        (b'{"a": 1, "a": 2}', b'{"a":1,"a":2}'),
        (rb'["\u0000", "\u00e9\/", "\\u0041"]', rb'["\u0000","\u00e9\/","\\u0041"]'),
        ('"ü : , 😀"'.encode(), '"ü : , 😀"'.encode()),
        (b"9" * 10_000, b"9" * 10_000),
        (b"null", b"null"),
        # Half of a surrogate pair, which Postgres's json takes; and what only looks like one.
        (rb'{"\ud800" : "a  b", "x": ["\udc00\ud800", 1 ]}', rb'{"\ud800":"a  b","x":["\udc00\ud800",1]}'),
        (rb'["\\ud800", "\ud83d\ude00" ]', rb'["\\ud800","\ud83d\ude00"]'),
        # Deeper than a recursive parser goes.
        (b'[{"a": ' * 5_000 + b'" ] \\" "' + b"} ]" * 5_000, b'[{"a":' * 5_000 + b'" ] \\" "' + b"}]" * 5_000),
        (rb'["\ud800", ' + b"[ " * 5_000 + b"] " * 5_000 + b"]", rb'["\ud800",' + b"[" * 5_000 + b"]" * 5_000 + b"]"),
    ],
    ids=range(11),
)
def test_is_the_same_without_white_space(text: bytes, json: bytes) -> None:
    assert convert_json(text) == json


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nul",
        b'{"a": 1} x',
        b'"caf\xe9"',
        b'"caf\xe9\\ud800"',
        rb'"\ud800" x',
        rb'"\u12"',
        b"[" * 5_000,
        b"[" * 5_000 + b"}" * 5_000,
        b"[" * 200_000 + b"]" * 200_000,
    ],
    ids=range(11),
)
def test_what_is_no_document_is_refused(text: bytes) -> None:
    with pytest.raises(UnrepresentableValue, match="not a JSON document") as raised:
        convert_json(text)

    assert raised.value.__context__ is None
