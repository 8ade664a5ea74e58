"""What the catalog says about types, and the settings under which their text is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

OUTPUT_SETTINGS: Final[Mapping[str, str]] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO,YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "search_path": "pg_catalog",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    "client_encoding": "UTF8",
}
"""Settings of every session whose text is converted: of the walsender and of the one that reads snapshots."""

TypeKind = Literal["base", "array", "composite", "domain", "enum", "range", "multirange"]

Attribute = tuple[str, int]
"""Name and type oid of a composite's attribute."""


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """One row of pg_type, as far as its values' form depends on it. An oid of 0 means none."""

    oid: int
    schema: str
    name: str
    kind: TypeKind
    element_oid: int = 0
    """Of an array: the type of its elements."""
    delimiter: str = ","
    """Of an array: what stands between its elements."""
    base_oid: int = 0
    """Of a domain: the type below it, which may be a domain again."""
    attributes: tuple[Attribute, ...] = ()
    """Of a composite: its attributes in order, without the dropped ones."""
    attributes_dropped: bool = False
    """Of a composite: an attribute was dropped, so a shorter text doesn't tell which of today's attributes it lacks."""

    @property
    def qualified_name(self) -> str:
        return self.name if self.schema == "pg_catalog" else f"{self.schema}.{self.name}"


TypeCatalog = Mapping[int, TypeInfo]
"""The types that pgstream has read, by oid. Built-in types of pg_catalog need not be in it."""
