r"""Hand-picked values of every built-in type, as SQL expressions: each form in which a type prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

TEXTS: Final = (
    "''",
    "' '",
    "'plain'",
    "'NULL'",
    "'null'",
    r"""E'"quoted" \\back\\slash\\" /slash'""",
    r"E'tab\t newline\n return\r feed\f bell\x07 \x01\x1f\x7f'",
    "'{a,b}'",
    "'(a,\"b\")'",
    "'a,b;c'",
    r"E'\\'",
    "'ünï \U0001f600 \u2028 \u00a0 \ufeff \uffff'",
    "'t'",
    "'1.50'",
    r"'\u0041'",
)

DOCUMENTS: Final = (
    "'null'", "'true'", "'0'", "'\"\"'", "'{}'", "'[]'", "'[1, -2.50, 1e2, 1E-3, 12345678901234567890.1234567890]'",
    r"""'{"b": {"c" : [ ]}, "a": "x y", "": "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00", "ü": "  a : b , c  "}'""",
    """'{"a": 1, "a": 2}'""", """' [ 1 ,\n\t{ "a" :  true } ] '""", "'-0'", "'-0.0'", "'1.50'", "'[[[[1]]], [], {}]'",
    """('"' || repeat('x', 20000) || '"')""", "(repeat('[', 100) || repeat(']', 100))",
)  # fmt: skip

FLOATS: Final = (
    "'0'", "'-0'", "'1'", "'1.5'", "'-1.25e-7'", "'1e15'", "'1e16'", "'1e+20'", "'-1e20'", "'1e-5'", "'0.0001'",
    "'123456789'", "'3.4028235e+38'", "'1e-37'", "'1e-45'", "'NaN'", "'Infinity'", "'-Infinity'", "'0.1'", "'16777217'",
)  # fmt: skip

TIMESTAMPS: Final = (
    "'2026-01-01 12:34:56'", "'2026-01-01 12:34:56.1'", "'2026-01-01 12:34:56.123456'", "'0044-03-15 12:00:00 BC'",
    "'4713-01-01 00:00:00 BC'", "'infinity'", "'-infinity'", "'10000-01-01'", "'294276-12-31 23:59:59.999999'",
    "'0001-01-01'", "'1969-12-31 23:59:59.999999'",
)  # fmt: skip

# Casts of strings; an expression that ends in a parenthesis or holds a cast stands as it is.
VALUES: Final[Mapping[str, Sequence[str]]] = {
    "bool": ("true", "false"),
    "bytea": (r"'\x'", r"'\x00ff5c22'", "'text'"),
    '"char"': ("'a'", "''", "'\"'", r"E'\\'", "(200 - 256)", "','", "'{'"),
    "name": ("'a name'", "'\"q\" \\'", "''"),
    "int8": ("0", "'9223372036854775807'", "'-9223372036854775808'"),
    "int2": ("32767", "'-32768'"),
    "int4": ("2147483647", "'-2147483648'", "0"),
    "int2vector": ("'1 2 -3'", "'7'", "''"),
    "oidvector": ("'1 2 4294967295'", "''"),
    "regproc": ("'now'", "'-'", "'public.\"odd \"\" f\"'", "4294967295::oid"),
    "text": (*TEXTS, "repeat('ä\"', 50000)"),
    "oid": ("0", "4294967295::oid"),
    "tid": ("'(0,1)'", "'(4294967295,65535)'"),
    "xid": ("'0'", "'4294967295'"),
    "cid": ("'0'", "'4294967295'"),
    "json": DOCUMENTS,
    "xml": ("'<a b=\"c\">&lt;é</a>'", "'text only'", "'<?xml version=\"1.0\"?><a/>'", "''"),
    "pg_node_tree": ("(select adbin from pg_attrdef limit 1)",),
    "point": ("'(1,2)'", "'(1e+20,-0.5)'", "'(NaN,Infinity)'"),
    "lseg": ("'[(1,2),(3,4)]'",),
    "path": ("'((1,2),(3,4))'", "'[(1,2),(3,4)]'"),
    "box": ("'(3,4),(1,2)'", "'(1e300,0),(0,0)'"),
    "polygon": ("'((1,2),(3,4),(5,6))'",),
    "line": ("'{1,-1,0}'",),
    "circle": ("'<(1,2),3>'",),
    "cidr": ("'10.0.0.0/8'", "'2001:db8::/32'"),
    "inet": ("'10.0.0.1'", "'10.0.0.1/8'", "'::1'", "'2001:db8::1/64'"),
    "macaddr": ("'08:00:2b:01:02:03'",),
    "macaddr8": ("'08:00:2b:01:02:03:04:05'",),
    "float4": FLOATS,
    "float8": (*FLOATS, "'5e-324'", "'2.2250738585072014e-308'", "'1.7976931348623157e+308'", "'9007199254740993'"),
    "money": ("'1234.56'", "'-1234567.89'", "'0'"),
    "aclitem": ("'postgres=arwdDxt/postgres'", "'=r/postgres'", "'\"od\"\"d, role\"=r/postgres'"),
    "bpchar": ("'padded  '", "''"),
    "char(5)": ("'ab'", "''", "'ü\"'"),
    "varchar": ("'trailing  '", "'x'"),
    "varchar(3)": ("'ab'",),
    "date": ("'2026-01-01'", "'0044-03-15 BC'", "'infinity'", "'-infinity'", "'10000-01-01'", "'5874897-12-31'"),
    "time": ("'00:00'", "'24:00:00'", "'12:34:56.123456'", "'12:34:56.1'"),
    "time(0)": ("'12:34:56.7'",),
    "timestamp": TIMESTAMPS,
    "timestamptz": (*TIMESTAMPS, "'2026-07-01 12:34:56+05:30'", "'0001-12-31 23:00:00-05 BC'"),
    "timestamptz(3)": ("'2026-07-01 12:34:56.789123+05:30'",),
    "interval": (
        "'1 year 2 mons 3 days 04:05:06.789'", "'-1 year -2 mons +3 days -04:05:06'", "'0'", "'1000000 hours'",
        "'-0.000001'", "'infinity'",
    ),
    "timetz": ("'12:34:56.789+05:30'", "'00:00+00'", "'24:00:00-15:59:59'"),
    "bit": ("'1'", "'0'"),
    "bit(8)": ("'10101010'",),
    "varbit": ("'10101'", "''"),
    "numeric": (
        "'0'", "'0.00'", "'1.50'", "'-1.50'", "'0.0000000001'", "'1e100'", "'1e-100'", "'NaN'", "'Infinity'",
        "'-Infinity'", "'12345678901234567890.12345678901234567890'", "(repeat('9', 5000) || '.' || repeat('1', 5000))",
    ),
    "numeric(10,4)": ("'1.5'",),
    "refcursor": ("'a \"cursor\"'", "''"),
    "regprocedure": ("'lower(text)'", "'sum(int4)'"),
    "regoper": ("'||/'", "'0'"),
    "regoperator": ("'+(int4,int4)'",),
    "regclass": ("'pg_class'", "'public.\"odd \"\" name\"'", "4294967295::oid"),
    "regtype": ("'int4'", "'timestamp with time zone'", "'int4[]'", '\'"char"\''),
    "regconfig": ("'english'",),
    "regdictionary": ("'simple'",),
    "regnamespace": ("'public'", "'pg_catalog'"),
    "regrole": ("'postgres'", "'\"od\"\"d, role\"'"),
    "regcollation": ("'\"C\"'",),
    "uuid": ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",),
    "txid_snapshot": ("'10:20:10,14,15'", "'1:1:'"),
    "pg_snapshot": ("'10:20:10,14,15'",),
    "pg_lsn": ("'16/B374D848'", "'0/0'"),
    "xid8": ("'18446744073709551615'",),
    "pg_ndistinct": ("(select stxdndistinct from pg_statistic_ext_data limit 1)",),
    "pg_dependencies": ("(select stxddependencies from pg_statistic_ext_data limit 1)",),
    "pg_mcv_list": ("(select stxdmcv from pg_statistic_ext_data limit 1)",),
    "tsvector": ("$$'a':1A 'b \"c':2 'q''q':3$$", "''", r"$$'ba\\ck' a\'b$$"),
    "tsquery": ("'a & !(b | c:*A) <2> d'", "''", "$$'it''s \"'$$"),
    "jsonb": DOCUMENTS,
    "jsonpath": ("""'$.a[*] ? (@.b > 1 && @.c like_regex "^\\"x")'""",),
    "int4range": ("'[1,5)'", "'empty'", "'(,)'", "'[1,]'"),
    "int8range": ("'[-9223372036854775808,9223372036854775807)'",),
    "numrange": ("'[1.50,2.0)'", "'(NaN,)'", "'[-Infinity,0)'"),
    "tsrange": ("'[2026-01-01,2026-02-01 00:00:00.5)'", "'(,0044-03-15 BC]'", "'[-infinity,infinity]'"),
    "tstzrange": ("'[2026-01-01,2026-02-01)'", "'(,infinity)'"),
    "daterange": ("'[2026-01-01,2026-02-01)'", "'[0044-03-15 BC,0043-01-01 BC)'", "'[,]'"),
    "int4multirange": ("'{[1,2),[5,6)}'", "'{}'"),
    "int8multirange": ("'{[1,2),[5,6)}'",),
    "nummultirange": ("'{[1.5,2.5),(3,)}'",),
    "tsmultirange": ("'{[2026-01-01,2026-01-02)}'",),
    "tstzmultirange": ("'{[2026-01-01,2026-01-02),[2027-01-01,)}'",),
    "datemultirange": ("'{[2026-01-01,2026-01-02),[0044-03-15 BC,0043-01-01 BC)}'",),
    # Domains of information_schema; row types of the catalog.
    "information_schema.cardinal_number": ("7",),
    "information_schema.character_data": ("'a \"b\"'",),
    "information_schema.sql_identifier": ("'id'",),
    "information_schema.time_stamp": ("'2026-07-01 12:34:56.78+00'",),
    "information_schema.yes_or_no": ("'YES'",),
    "pg_namespace": ("(select n from pg_namespace as n where nspname = 'pg_catalog')",),
    "pg_class": ("(select c from pg_class as c where relname = 'pg_class')",),
    "pg_index": ("(select i from pg_index as i where indnatts > 2 limit 1)",),
}  # fmt: skip

WITHOUT_INPUT: Final[Mapping[str, str]] = {
    "gtsvector": "inside GiST indexes only",
    "pg_brin_bloom_summary": "inside BRIN indexes only",
    "pg_brin_minmax_multi_summary": "inside BRIN indexes only",
}
"""Types that a column may have, of which no value can be made: (type, where its values are)."""

EXTENSIONS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "hstore": {
        "hstore": (
            "''", "'a=>1, b=>NULL, c=>\"NULL\"'", r"""'"q\"\\ ,=>"=>"v\"\\, =>"'""", "'\"\"=>\"\", ü=>\"t\"'",
            r"""hstore(E'a\nb', E'\t{}')""",
        )
    },
    "citext": {"citext": ("'CaSe'", "'\"q\"'")},
    "ltree": {"ltree": ("'Top.Science'",), "lquery": ("'*.a|b@{1,}'",), "ltxtquery": ("'a & !b*'",)},
    "cube": {"cube": ("'(1,2),(3,4)'", "'1'")},
    "seg": {"seg": ("'1.5 .. 2.50'", "'~1'")},
    "isn": {"isbn": ("'978-0-393-04002-9'",), "ean13": ("'978-0-393-04002-9'",)},
    "vector": {"vector": ("'[1,2.5,-3]'",), "halfvec": ("'[1,2.5]'",), "sparsevec": ("'{1:1.5,3:2}/5'",)},
}  # fmt: skip
"""Compared where the server has the extension."""
