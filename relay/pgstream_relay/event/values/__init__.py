"""Values: the text that Postgres prints for a column's value in, the JSON that `to_jsonb` gives for it out.

Call `compile_converter` once for each column of a relation, and the converter it gives for each value. WAL events and
snapshot rows go through the same converters. The session that printed the text must run under `OUTPUT_SETTINGS`.
"""

from pgstream_relay.event.values.builtin import is_builtin
from pgstream_relay.event.values.compiler import compile_converter
from pgstream_relay.event.values.converter import PASS, QUOTE, Converter, UnrepresentableValue
from pgstream_relay.event.values.types import OUTPUT_SETTINGS, Attribute, TypeCatalog, TypeInfo, TypeKind

__all__ = [
    "OUTPUT_SETTINGS",
    "PASS",
    "QUOTE",
    "Attribute",
    "Converter",
    "TypeCatalog",
    "TypeInfo",
    "TypeKind",
    "UnrepresentableValue",
    "compile_converter",
    "is_builtin",
]
