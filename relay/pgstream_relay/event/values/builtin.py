"""The types of pg_catalog whose oids are the same in every database, so that no catalog need be read for them."""

from __future__ import annotations

from typing import NamedTuple

from pgstream_relay.event.values import documents, numbers, text, times
from pgstream_relay.event.values.arrays import compile_vector
from pgstream_relay.event.values.converter import PASS, QUOTE, Converter

INT8 = 20
BOX = 603
NUMERIC = 1700


class Scalar(NamedTuple):
    """A type's name and its two converters: for columns, and for what stands inside a composite or an array."""

    name: str
    trusting: Converter
    checking: Converter


def _same(name: str, converter: Converter) -> Scalar:
    return Scalar(name, converter, converter)


def _text(name: str) -> Scalar:
    return Scalar(name, text.convert_text, text.convert_text)


def _quoted(name: str) -> Scalar:
    """For text that holds nothing which JSON escapes."""
    return Scalar(name, QUOTE, text.convert_text)


def _integer(name: str) -> Scalar:
    return Scalar(name, PASS, numbers.check_integer)


NUMBERS = frozenset({INT8, 21, 23, NUMERIC})
"""Types whose finite values are JSON as they stand."""

NUMBERS_AS_TEXT: dict[int, Scalar] = {
    INT8: Scalar("int8", QUOTE, numbers.check_integer_as_text),
    NUMERIC: Scalar("numeric", QUOTE, numbers.check_numeric_as_text),
}
"""These take the place of their namesakes below where a table asks for numbers as text."""

SCALARS: dict[int, Scalar] = {
    16: _same("bool", text.convert_bool),
    17: Scalar("bytea", text.convert_bytea, text.convert_text),
    18: _text("char"),  # "char", with its quotes, in SQL
    19: _text("name"),
    INT8: _integer("int8"),
    21: _integer("int2"),
    22: _same("int2vector", compile_vector(numbers.check_integer)),
    23: _integer("int4"),
    24: _text("regproc"),
    25: _text("text"),
    26: _quoted("oid"),  # a string, in to_jsonb too
    27: _quoted("tid"),
    28: _quoted("xid"),
    29: _quoted("cid"),
    30: _same("oidvector", compile_vector(text.convert_text)),
    114: _same("json", documents.convert_json),
    142: _text("xml"),
    194: _text("pg_node_tree"),
    600: _quoted("point"),
    601: _quoted("lseg"),
    602: _quoted("path"),
    BOX: _quoted("box"),
    604: _quoted("polygon"),
    628: _quoted("line"),
    650: _quoted("cidr"),
    700: Scalar("float4", numbers.convert_float, numbers.check_float),
    701: Scalar("float8", numbers.convert_float, numbers.check_float),
    718: _quoted("circle"),
    774: _quoted("macaddr8"),
    790: _quoted("money"),
    829: _quoted("macaddr"),
    869: _quoted("inet"),
    1033: _text("aclitem"),
    1042: _text("bpchar"),  # char(n): padded
    1043: _text("varchar"),
    1082: _quoted("date"),
    1083: _quoted("time"),
    1114: Scalar("timestamp", times.convert_timestamp, times.check_timestamp),
    1184: Scalar("timestamptz", times.convert_timestamptz, times.check_timestamptz),
    1186: _quoted("interval"),
    1266: _quoted("timetz"),
    1560: _quoted("bit"),
    1562: _quoted("varbit"),
    NUMERIC: Scalar("numeric", numbers.convert_numeric, numbers.check_numeric),
    1790: _text("refcursor"),
    2202: _text("regprocedure"),
    2203: _text("regoper"),
    2204: _text("regoperator"),
    2205: _text("regclass"),
    2206: _text("regtype"),
    2275: _text("cstring"),  # no column has it, but there are arrays of it
    2950: _quoted("uuid"),
    2970: _quoted("txid_snapshot"),
    3220: _quoted("pg_lsn"),
    3361: _text("pg_ndistinct"),
    3402: _text("pg_dependencies"),
    3614: _text("tsvector"),
    3615: _text("tsquery"),
    3642: _text("gtsvector"),
    3734: _text("regconfig"),
    3769: _text("regdictionary"),
    3802: _same("jsonb", documents.convert_json),
    3904: _quoted("int4range"),
    3906: _quoted("numrange"),
    3908: _text("tsrange"),  # its bounds stand in quotes
    3910: _text("tstzrange"),
    3912: _text("daterange"),  # dates BC stand in quotes
    3926: _quoted("int8range"),
    4072: _text("jsonpath"),
    4089: _text("regnamespace"),
    4096: _text("regrole"),
    4191: _text("regcollation"),
    4451: _quoted("int4multirange"),
    4532: _quoted("nummultirange"),
    4533: _text("tsmultirange"),
    4534: _text("tstzmultirange"),
    4535: _text("datemultirange"),
    4536: _quoted("int8multirange"),
    4600: _text("pg_brin_bloom_summary"),
    4601: _text("pg_brin_minmax_multi_summary"),
    5017: _text("pg_mcv_list"),
    5038: _quoted("pg_snapshot"),
    5069: _quoted("xid8"),
}

ARRAYS: dict[int, int] = {
    143: 142, 199: 114, 271: 5069, 629: 628, 651: 650, 719: 718, 775: 774, 791: 790, 1000: 16, 1001: 17, 1002: 18,
    1003: 19, 1005: 21, 1006: 22, 1007: 23, 1008: 24, 1009: 25, 1010: 27, 1011: 28, 1012: 29, 1013: 30, 1014: 1042,
    1015: 1043, 1016: 20, 1017: 600, 1018: 601, 1019: 602, 1020: 603, 1021: 700, 1022: 701, 1027: 604, 1028: 26,
    1034: 1033, 1040: 829, 1041: 869, 1115: 1114, 1182: 1082, 1183: 1083, 1185: 1184, 1187: 1186, 1231: 1700,
    1263: 2275, 1270: 1266, 1561: 1560, 1563: 1562, 2201: 1790, 2207: 2202, 2208: 2203, 2209: 2204, 2210: 2205,
    2211: 2206, 2949: 2970, 2951: 2950, 3221: 3220, 3643: 3614, 3644: 3642, 3645: 3615, 3735: 3734, 3770: 3769,
    3807: 3802, 3905: 3904, 3907: 3906, 3909: 3908, 3911: 3910, 3913: 3912, 3927: 3926, 4073: 4072, 4090: 4089,
    4097: 4096, 4192: 4191, 5039: 5038, 6150: 4451, 6151: 4532, 6152: 4533, 6153: 4534, 6155: 4535, 6157: 4536,
}  # fmt: skip
"""The arrays of the above: their oid to that of their elements."""


def is_builtin(type_oid: int) -> bool:
    """Whether `compile_converter` knows this type without a catalog."""
    return type_oid in SCALARS or type_oid in ARRAYS
