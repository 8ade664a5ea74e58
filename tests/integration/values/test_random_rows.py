"""Rows of chance, the same in each run: what nobody thought of picking by hand."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.integration.values.differential import Differential

ROWS = 200
SURROGATES = range(0xD800, 0xE000)


class Chance:
    """Values as Postgres reads them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def character(self) -> str:
        kind = self.random.random()
        if kind < 0.4:
            return self.random.choice("\"\\'{}(),;: \t\n\r\b=>[]NULtf/<&\x01\x1f\x7f")
        if kind < 0.8:
            return chr(self.random.randint(0x20, 0x7E))
        code = self.random.randint(1, 0x10FFFF)
        return "x" if code in SURROGATES else chr(code)

    def text(self) -> str:
        return "".join(self.character() for _ in range(self.random.choice([0, 1, 2, 5, 20, 200])))

    def int8(self) -> str:
        return str(self.random.randint(-(2**63), 2**63 - 1) >> self.random.randint(0, 63))

    def float8(self) -> str:
        exponent = self.random.choice([self.random.randbytes(2), b"\0\0", b"\x80\0"])  # two in three are subnormal
        (value,) = struct.unpack("!d", exponent + self.random.randbytes(6))
        return repr(value)

    def float4(self) -> str:
        (value,) = struct.unpack("!f", self.random.randbytes(4))
        return repr(value)

    def numeric(self) -> str:
        digits = "".join(self.random.choices("0123456789", k=self.random.choice([1, 3, 20, 1000])))
        value = Decimal(digits).scaleb(-self.random.choice([0, 1, 2, 20, 1000]))
        return self.random.choice(["NaN", "Infinity", "-Infinity"]) if self.random.random() < 0.02 else f"{value:f}"

    def timestamp(self) -> str:
        era = self.random.choice(["", "", " BC"])
        year = self.random.randint(1, 4700 if era else self.random.choice([9999, 294000]))
        fraction = self.random.choice(["", f".{self.random.randint(0, 999_999):06}"])
        month, day = self.random.randint(1, 12), self.random.randint(1, 28)
        hour, minute, second = self.random.randint(0, 23), self.random.randint(0, 59), self.random.randint(0, 59)
        return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}{era}"

    def date(self) -> str:
        return self.timestamp().split(" ")[0]

    def interval(self) -> str:
        parts = [f"{self.random.randint(-999, 999)} {unit}" for unit in ("year", "month", "day", "hour", "microsecond")]
        return " ".join(self.random.sample(parts, k=self.random.randint(1, 5)))

    def range(self) -> str:
        bounds = sorted((self.int8(), self.int8()), key=int)
        return self.random.choice(["[{},{}]", "({},{})", "[{},)", "(,)", "empty"]).format(*bounds)

    def document(self, depth: int = 4) -> Any:
        kind = self.random.randint(0, 7 if depth else 5)
        if kind == 6:
            return [self.document(depth - 1) for _ in range(self.random.randint(0, 4))]
        if kind == 7:
            return {self.text(): self.document(depth - 1) for _ in range(self.random.randint(0, 4))}
        simple = [None, True, False, self.text(), self.random.random() * 10 ** self.random.randint(-30, 30)]
        return [*simple, int(self.int8())][kind]

    def json(self) -> str:
        # Escaped and not, compact and spread.
        return json.dumps(
            self.document(), ensure_ascii=self.random.random() < 0.5, indent=self.random.choice([None, 1, "\t"])
        )

    def array(self, element: Callable[[], str]) -> str:
        """One to three dimensions, with or without bounds of its own, some elements null."""
        sizes = [self.random.randint(1, 3) for _ in range(self.random.randint(1, 3))]
        lowest = self.random.randint(-3, 3)
        bounds = "".join(f"[{lowest}:{lowest + size - 1}]" for size in sizes) + "="

        def nested(sizes: list[int]) -> str:
            if not sizes:
                return "NULL" if self.random.random() < 0.2 else self.quoted(element(), '\\"', "\\\\")
            return "{" + ",".join(nested(sizes[1:]) for _ in range(sizes[0])) + "}"

        return self.random.choice(["", bounds]) + nested(sizes)

    def quoted(self, text: str, quote: str, backslash: str) -> str:
        return '"' + text.replace("\\", backslash).replace('"', quote) + '"'

    def composite(self, *attributes: str) -> str:
        return "(" + ",".join(self.quoted(attribute, '""', "\\\\") for attribute in attributes) + ")"

    def pair(self) -> str:
        return self.composite(self.int8(), self.text(), self.array(self.text), self.timestamp())


def literals(chance: Chance) -> dict[str, Callable[[], str]]:
    """By type: what makes a value of it."""
    scalars: dict[str, Callable[[], str]] = {
        "text": chance.text,
        "int8": chance.int8,
        "float8": chance.float8,
        "float4": chance.float4,
        "numeric": chance.numeric,
        "timestamp": chance.timestamp,
        "timestamptz": chance.timestamp,
        "date": chance.date,
        "interval": chance.interval,
        "int8range": chance.range,
        "json": chance.json,
        "jsonb": chance.json,
        "public.pair": chance.pair,
        "public.tree": lambda: chance.composite(chance.pair(), chance.array(chance.pair), chance.json()),
        "public.texts": lambda: chance.array(chance.text),
    }

    def array_of(element: Callable[[], str]) -> Callable[[], str]:
        return lambda: chance.array(element)

    return scalars | {f"{name}[]": array_of(make) for name, make in scalars.items()}


async def test_random_rows_equal_to_jsonb(differential: Differential) -> None:
    connection = differential.connection
    connection.execute("create type public.pair as (number int8, label text, labels text[], at timestamp)")
    connection.execute('create type public.tree as (first public.pair, "the ""rest""" public.pair[], doc json)')
    connection.execute("create domain public.texts as text[]")
    for index, (type_name, make) in enumerate(literals(Chance(20261122)).items()):
        connection.execute(f"create table public.random_{index} (id int, v {type_name})")
        with connection.cursor() as cursor:
            cursor.executemany(
                f"insert into public.random_{index} values (%s, %s::text::{type_name})",
                [(row, make()) for row in range(ROWS)],
            )

    assert await differential.check() == 2 * ROWS * 30
