"""From a type's oid to its converter."""

from __future__ import annotations

import re

from pgstream_relay.event.values.arrays import compile_array, compile_number_array
from pgstream_relay.event.values.builtin import ARRAYS, BOX, NUMBERS, NUMBERS_AS_TEXT, NUMERIC, SCALARS
from pgstream_relay.event.values.composites import compile_composite
from pgstream_relay.event.values.converter import Converter, UnrepresentableValue
from pgstream_relay.event.values.hstore import convert_hstore
from pgstream_relay.event.values.text import compile_enum, convert_text
from pgstream_relay.event.values.types import TypeCatalog, TypeInfo

# Types can't contain themselves, so this ends only what a catalog, read while it changed, could make endless.
_NESTING_MAX = 64


def compile_converter(type_oid: int, types: TypeCatalog, *, numbers_as_text: bool) -> Converter:
    """The converter of a column of this type.

    `types` must hold the type, and all that it is made of, unless they are built in. A type that it doesn't hold gets a
    converter that raises UnrepresentableValue, save for texts which are a JSON string whatever their type is.
    With `numbers_as_text`, numeric and int8 become JSON strings, also inside arrays, composites and domains.
    """
    return _Compiler(types, numbers_as_text).compile(type_oid, checking=False, nesting=0)


class _Compiler:
    def __init__(self, types: TypeCatalog, numbers_as_text: bool) -> None:
        self._types = types
        self._numbers_as_text = numbers_as_text

    def compile(self, type_oid: int, *, checking: bool, nesting: int) -> Converter:
        if self._numbers_as_text and type_oid in NUMBERS_AS_TEXT:
            scalar = NUMBERS_AS_TEXT[type_oid]
            return scalar.checking if checking else scalar.trusting
        if type_oid in SCALARS:
            scalar = SCALARS[type_oid]
            return scalar.checking if checking else scalar.trusting
        if type_oid in ARRAYS:
            element_oid = ARRAYS[type_oid]
            name = f"{SCALARS[element_oid].name}[]"
            return self._compile_array(name, element_oid, ";" if element_oid == BOX else ",", nesting)
        info = self._types.get(type_oid)
        if info is None or nesting > _NESTING_MAX:
            return _compile_unknown(type_oid)
        return self._compile_info(info, checking=checking, nesting=nesting + 1)

    def _compile_info(self, info: TypeInfo, *, checking: bool, nesting: int) -> Converter:
        match info.kind:
            case "domain":
                return self.compile(info.base_oid, checking=checking, nesting=nesting)
            case "array":
                return self._compile_array(info.qualified_name, info.element_oid, info.delimiter, nesting)
            case "composite":
                attributes = [
                    (name, self.compile(oid, checking=True, nesting=nesting)) for name, oid in info.attributes
                ]
                return compile_composite(info.qualified_name, attributes, attributes_dropped=info.attributes_dropped)
            case "enum":
                return compile_enum()
            case "base" if info.name == "hstore":
                return convert_hstore
            case "base" | "range" | "multirange":
                return convert_text

    def _compile_array(self, name: str, element_oid: int, delimiter: str, nesting: int) -> Converter:
        convert = compile_array(name, self.compile(element_oid, checking=True, nesting=nesting), delimiter)
        if element_oid in NUMBERS and not (self._numbers_as_text and element_oid in NUMBERS_AS_TEXT):
            return compile_number_array(convert, integers=element_oid != NUMERIC)
        return convert


_is_word = re.compile(rb"[A-Za-z\x80-\xff].*+", re.DOTALL).fullmatch
_NOT_ALWAYS_STRINGS = frozenset({b"t", b"f", b"true", b"false", b"null"})


def _compile_unknown(type_oid: int) -> Converter:
    """For a type that was dropped before pgstream could read it; most often an enum, which a migration has replaced.

    A text that begins with a letter is a JSON string for every type, but for the few words which json or bool give.
    """

    def convert(text: bytes) -> bytes:
        if _is_word(text) and text not in _NOT_ALWAYS_STRINGS:
            return convert_text(text)
        raise UnrepresentableValue(f"with oid {type_oid}", "the type is not in the catalog any more")

    return convert
