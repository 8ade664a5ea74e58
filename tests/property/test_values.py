"""Whatever the text: legal JSON comes out, or UnrepresentableValue, which tells nothing of the value."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pgstream_relay.event.values import Converter, TypeInfo, UnrepresentableValue, compile_converter
from pgstream_relay.event.values.builtin import ARRAYS, SCALARS
from pgstream_relay.event.values.documents import convert_json
from pgstream_relay.event.values.hstore import convert_hstore

PAIR, PAIR_ARRAY, TREE, DOMAIN, GONE, HSTORE = range(100_000, 100_006)
CATALOG = {
    PAIR: TypeInfo(PAIR, "public", "pair", "composite", attributes=(("a", 20), ("b", 25))),
    PAIR_ARRAY: TypeInfo(PAIR_ARRAY, "public", "_pair", "array", element_oid=PAIR),
    DOMAIN: TypeInfo(DOMAIN, "public", "pairs", "domain", base_oid=PAIR_ARRAY),
    TREE: TypeInfo(
        TREE, "public", "tree", "composite",
        attributes=tuple((f"c{oid}", oid) for oid in (PAIR, DOMAIN, GONE, HSTORE, 16, 17, 700, 1114, 1184, 3802, 1007)),
    ),
    HSTORE: TypeInfo(HSTORE, "public", "hstore", "base"),
}  # fmt: skip

# What the grammars are made of is met more often than chance would have it.
PIECES = (
    rb"""{ } [ ] ( ) , ; " "" \ \\ \" => = : NULL null t f 1 - . e+20 NaN -0 [0:1]= {} () {1,2} "a"=>"b","""
    rb""" \ud800 \u0000 \u0041"""
)
pieces = st.sampled_from([*PIECES.split(b" "), b" ", b"\n", b"\x01", b"\xff", b"\xc3\xa9", b"2026-01-01 00:00:00+00"])
texts = st.one_of(st.lists(pieces, max_size=30).map(b"".join), st.binary(max_size=40))


def converted(convert: Converter, text: bytes) -> bytes | None:
    """None where the converter refused."""
    try:
        return convert(text)
    except UnrepresentableValue as error:
        refused = error
    # The exception that it was raised for would carry the value into a log.
    assert refused.__context__ is None
    return None


def is_json_or_refused(convert: Converter, text: bytes) -> None:
    document = converted(convert, text)
    if document is not None:
        json.loads(document.decode(), parse_constant=not_json)


def not_json(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def compiled(oid: int, *, numbers_as_text: bool = False) -> Converter:
    return compile_converter(oid, CATALOG, numbers_as_text=numbers_as_text)


@given(texts, st.sampled_from([PAIR, PAIR_ARRAY, DOMAIN, TREE, *ARRAYS]), st.booleans())
def test_composites_and_arrays_of_any_text(text: bytes, oid: int, numbers_as_text: bool) -> None:
    is_json_or_refused(compiled(oid, numbers_as_text=numbers_as_text), text)


@given(st.lists(texts, min_size=11, max_size=11))
def test_composites_of_any_attributes(attributes: list[bytes]) -> None:
    quoted = [b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'""') + b'"' for text in attributes]
    is_json_or_refused(compiled(TREE), b"(" + b",".join(quoted) + b")")


@given(texts, st.sampled_from(sorted(ARRAYS)))
def test_arrays_of_any_element(text: bytes, oid: int) -> None:
    escaped = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    is_json_or_refused(compiled(oid), b'{NULL,"' + escaped + b'"}')


@given(texts, st.sampled_from([convert_json, convert_hstore, compiled(GONE)]))
def test_documents_of_any_text(text: bytes, convert: Converter) -> None:
    is_json_or_refused(convert, text)


@given(texts, st.sampled_from(sorted(SCALARS)))
def test_scalars_raise_nothing_else(text: bytes, oid: int) -> None:
    converted(compiled(oid), text)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_text_comes_back(text: str) -> None:
    assert json.loads(compiled(25)(text.encode())) == text


documents: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(documents, st.sampled_from([None, 1, "\t", " \r\n"]), st.booleans())
def test_json_loses_nothing_but_white_space(document: object, indent: str | int | None, ascii_only: bool) -> None:
    def encoded(**form: object) -> bytes:
        # Half a surrogate pair is in no UTF-8: it can only stand there escaped.
        try:
            return json.dumps(document, ensure_ascii=ascii_only, **form).encode()  # type: ignore[arg-type]
        except UnicodeEncodeError:
            return json.dumps(document, **form).encode()  # type: ignore[arg-type]

    assert convert_json(encoded(indent=indent)) == encoded(separators=(",", ":"))
