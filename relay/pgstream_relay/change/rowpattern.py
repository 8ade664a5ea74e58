"""A whole tuple as one regular expression: takes tuples without null apart in one call, and some values half converted.

No text of Postgres holds a NUL, and the four bytes of a length below 16 MiB begin with one. So a tuple that has as many
values as columns can be read in one way only: each value ends where the next one's `t` and NUL begin. A tuple with a
null or an unchanged TOAST value has fewer of those, and does not match; nor does a value of an unusual kind (`NaN`,
a date BC). Whoever asks reads such a tuple column by column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from pgstream_relay.event.values import PASS, QUOTE, Converter, numbers, times
from pgstream_relay.event.values.inline import INLINE

MESSAGE_BYTES_MAX: Final = 2048
"""Of what is matched: above it copying is faster. (And a length of 29,696 bytes, `t` and NUL, could deceive.)"""

_ANY: Final = rb"([^\0]*)"


class _Form(NamedTuple):
    """`pattern` has a group for each `%b` of `json`."""

    pattern: bytes
    json: bytes


_FORMS: Final[dict[Converter, _Form]] = {
    PASS: _Form(_ANY, b"%b"),
    QUOTE: _Form(_ANY, b'"%b"'),
    numbers.convert_numeric: _Form(rb"([0-9.-]+)", b"%b"),
    numbers.convert_float: _Form(rb"(?!-0(?:t\0|\Z))([0-9.-]+)", b"%b"),
    times.convert_timestamp: _Form(rb"([0-9-]+) ([0-9:.]+)", b'"%bT%b"'),
    times.convert_timestamptz: _Form(rb"([0-9-]+) ([0-9:.]+)\+00", b'"%bT%b+00:00"'),
}


class RowPattern:
    """`groups` are the names of what `expression` finds; `terms[n]` goes into the format `json[n]` of column n."""

    def __init__(self, converters: Sequence[Converter]) -> None:
        self.groups: list[str] = []
        self.terms: list[str] = []
        self.json: list[bytes] = []
        patterns = [re.escape(len(converters).to_bytes(2))]
        last = len(converters) - 1
        for index, converter in enumerate(converters):
            form = _FORMS.get(converter)
            groups = [f"v{index}"] if form is None or form.json.count(b"%b") == 1 else [f"v{index}", f"w{index}"]
            self.groups += groups
            # Who matches compares the last value's length: in a message that was cut short it is another one.
            size = rb".." if index < last else rb"(?P<size>..)"
            patterns.append(rb"t\0\0" + size + (form.pattern if form else _ANY))
            if form is None:
                expression = INLINE.get(converter, "{call}({text})")
                self.terms.append(expression.format(text=groups[0], call=f"c{index}"))
            else:
                self.terms.append(", ".join(groups))
            if index == last:
                self.groups.insert(len(self.groups) - len(groups), "size")
            self.json.append(form.json if form else b"%b")
        self.expression = re.compile(b"".join(patterns), re.DOTALL)

    def json_of(self, index: int) -> str:
        """The expression of one column's whole JSON."""
        json, term = self.json[index], self.terms[index]
        return term if json == b"%b" else f"{json!r} % ({term})"

    def fill(self, payload: bytes) -> bytes:
        """A %-format that takes id, JSON a column, and timestamp, made to take id, the terms, and timestamp."""
        forms = iter([b"%b", *self.json, b"%b"])
        return re.sub(rb"%(.)", lambda found: found[0] if found[1] == b"%" else next(forms), payload)
