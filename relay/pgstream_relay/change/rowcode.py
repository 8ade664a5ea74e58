"""Compiles the encoding of a relation's rows into Python functions: no loop over columns, no list of values.

The functions are made of source text, as `dataclasses` makes `__init__`: for each column the few lines that read its
value off the tuple and convert it, then one format for the headers and one for the payload. Column names and all
other text of the database reach them as constants in their namespace, never as source.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from pgstream_relay.change.rowpattern import MESSAGE_BYTES_MAX, RowPattern
from pgstream_relay.event.headers import escape_key
from pgstream_relay.event.values import PASS, Converter
from pgstream_relay.event.values.inline import INLINE, NAMES
from pgstream_relay.event.values.text import not_utf8
from pgstream_relay.pgoutput.reader import MalformedMessage

EncodeRow = Callable[[bytes, bytes, bytes, int, bytes], tuple[bytes, bytes, bytes]]
"""(XLogData payload, event id, the transaction's header lines, ordinal, timestamp) to (subject, headers, payload)."""

EncodeValues = Callable[[Sequence[bytes | None], bytes, bytes, int, bytes], tuple[bytes, bytes, bytes]]
"""The same of a row's values, as texts, in place of a message."""

PAUSE_ROWS_MAX: Final = 64
"""For so many rows at most the pattern of a whole tuple is not tried, after tuples that did not match."""


class UnexpectedTuple(MalformedMessage):
    """A tuple that does not look as its relation says."""


class RowCompiler:
    """For one relation. `key` are the positions of the key columns, `position` is where the first tuple's count stands.

    The formats that the methods take are %-formats: `headers` of (id, the transaction's lines, ordinal, the key's
    values), `payload` of (id, columns' JSON, timestamp). The functions raise UnexpectedTuple where a tuple does not
    fit the relation, and what a converter raises.
    """

    def __init__(self, converters: Sequence[Converter], key: Sequence[int], position: int) -> None:
        self._converters = converters
        self._key = key
        self._position = position
        self._namespace: dict[str, Any] = {f"c{index}": converter for index, converter in enumerate(converters)}
        self._namespace.update(
            COUNT=len(converters).to_bytes(2),
            UnexpectedTuple=UnexpectedTuple,
            escape_key=escape_key,
            not_utf8=not_utf8,
            length=struct.Struct("!I").unpack_from,
            struct_error=struct.error,
            **NAMES,
        )

    def compile_whole(
        self, marker: bytes, subject: bytes, headers: bytes, payload: bytes, *, incomplete: EncodeRow | None = None
    ) -> EncodeRow:
        """For an insert's new tuple (`N`) or a delete's full old one (`O`).

        A tuple with an unchanged TOAST value goes to `incomplete`; it is unexpected where there is none.
        """
        lines = self._open(marker)
        unchanged = None
        if incomplete is not None:
            self._namespace["incomplete"] = incomplete
            unchanged = "return incomplete(buffer, event_id, transaction_headers, ordinal, timestamp)"
        for index, converter in enumerate(self._converters):
            lines += _read_column(
                f"v{index} = {_conversion(index, converter, 'buffer[start:position]')}",
                f"v{index} = b'null'",
                unchanged=unchanged,
            )
        by_column = self._close(lines, [*self._names("v")], subject, headers, payload, key="v")
        return self._compile_matched(by_column, marker, subject, headers, payload)

    def _compile_matched(
        self, by_column: EncodeRow, marker: bytes, subject: bytes, headers: bytes, payload: bytes
    ) -> EncodeRow:
        """Tries RowPattern first. Where a tuple does not match, `by_column` has it and the next ones: twice as many
        each time, so that a table full of nulls does not pay for the attempts."""
        if not self._converters:
            return by_column
        pattern = RowPattern(self._converters)
        keys = [
            f"v{index}" if self._converters[index] is PASS else f"escape_key({pattern.json_of(index)})"
            for index in self._key
        ]
        lines = [
            "def encode_row(buffer, event_id, transaction_headers, ordinal, timestamp):",
            "    global skip, pause",
            "    if skip:",
            "        skip -= 1",
            f"    elif len(buffer) <= MESSAGE_BYTES_MAX and buffer[{self._position - 1}] == {marker[0]}:",
            f"        found = match(buffer, {self._position})",
            "        if found is not None:",
            f"            {''.join(f'{name}, ' for name in pattern.groups)} = found.groups()",
            "            if len(buffer) - found.end('size') == size[0] << 8 | size[1]:",
            "                pause = 1",
            "                try:",
            "                    return (",
            "                        SUBJECT,",
            f"                        HEADERS % ({', '.join(['event_id', 'transaction_headers', 'ordinal', *keys])}),",
            f"                        PAYLOAD % ({', '.join(['event_id', *pattern.terms, 'timestamp'])}),",
            "                    )",
            "                except UnicodeDecodeError:",
            "                    pass",
            "        skip = pause",
            f"        pause = min(pause * 2, {PAUSE_ROWS_MAX})",
            "    return by_column(buffer, event_id, transaction_headers, ordinal, timestamp)",
        ]
        namespace = {
            **self._namespace, "SUBJECT": subject, "HEADERS": headers, "PAYLOAD": pattern.fill(payload), "skip": 0,
            "pause": 1, "match": pattern.expression.fullmatch, "by_column": by_column,
            "MESSAGE_BYTES_MAX": MESSAGE_BYTES_MAX,
        }  # fmt: skip
        encode: EncodeRow = _define(lines, namespace)
        return encode

    def compile_update(
        self, column_names: Sequence[bytes], subject: bytes, headers: bytes, payload: bytes
    ) -> EncodeRow:
        """For an update with its full old tuple; `column_names` are JSON strings.

        `payload` takes, between id and timestamp, the old row's columns, the new one's, and the diff.
        """
        lines = self._open(b"O")
        for name in self._names("o"):
            lines += _read_column(f"{name} = buffer[start:position]", f"{name} = None")
        lines += [
            "        if buffer[position] != 78 or buffer[position + 1:position + 3] != COUNT:",
            "            raise UnexpectedTuple('an update without a new tuple that fits its relation')",
            "        position += 3",
        ]
        for index, name in enumerate(self._names("n")):
            # A TOASTed value that did not change is not sent; the full old tuple has it.
            lines += _read_column(f"{name} = buffer[start:position]", f"{name} = None", unchanged=f"{name} = o{index}")
        lines.append("        changed = []")
        for index, converter in enumerate(self._converters):
            lines += [
                f"        a{index} = b'null' if n{index} is None else {_conversion(index, converter, f'n{index}')}",
                f"        if o{index} == n{index}:",
                f"            b{index} = a{index}",
                "        else:",
                f"            b{index} = b'null' if o{index} is None else {_conversion(index, converter, f'o{index}')}",
                f"            changed.append(NAME{index} + a{index})",
            ]
            self._namespace[f"NAME{index}"] = column_names[index] + b":"
        lines.append("        diff = b'{%b}' % b','.join(changed) if changed else b'null'")
        values = [*self._names("b"), *self._names("a"), "diff"]
        return self._close(lines, values, subject, headers, payload, key="a")

    def compile_values(self, subject: bytes, headers: bytes, payload: bytes) -> EncodeValues:
        """For a row that was read by a query: one text a column, None for null."""
        values = [
            f"{name} if {name} is not None else b'null'"
            if converter is PASS
            else f"b'null' if {name} is None else {_conversion(index, converter, name)}"
            for index, (name, converter) in enumerate(zip(self._names("t"), self._converters, strict=True))
        ]
        lines = [
            "def encode_row(values, event_id, transaction_headers, ordinal, timestamp):",
            "    try:",
            f"        [{', '.join(self._names('t'))}] = values",
            "    except ValueError:",
            "        raise UnexpectedTuple('a row has not as many values as its relation has columns') from None",
            "    try:",
            *[f"        t{index} = {values[index]}" for index in self._key],
            "        return (",
            "            SUBJECT,",
            f"            HEADERS % ({self._header_terms('t')}),",
            f"            PAYLOAD % ({', '.join(['event_id', *self._keyed_terms(values), 'timestamp'])}),",
            "        )",
            "    except UnicodeDecodeError:",
            "        pass  # raised below: as its context, this exception would carry the value along",
            "    raise not_utf8()",
        ]
        namespace = {**self._namespace, "SUBJECT": subject, "HEADERS": headers, "PAYLOAD": payload}
        encode: EncodeValues = _define(lines, namespace)
        return encode

    def _keyed_terms(self, values: list[str]) -> list[str]:
        """A key's column was converted before, for the header."""
        return [f"t{index}" if index in self._key else value for index, value in enumerate(values)]

    def _header_terms(self, prefix: str) -> str:
        """What the format of the headers takes."""
        keys = [
            f"{prefix}{index}" if self._converters[index] is PASS else f"escape_key({prefix}{index})"
            for index in self._key
        ]
        return ", ".join(["event_id", "transaction_headers", "ordinal", *keys])

    def _names(self, prefix: str) -> list[str]:
        return [f"{prefix}{index}" for index in range(len(self._converters))]

    def _open(self, marker: bytes) -> list[str]:
        return [
            "def encode_row(buffer, event_id, transaction_headers, ordinal, timestamp):",
            "    try:",
            f"        if buffer[{self._position - 1}:{self._position + 2}] != {marker!r} + COUNT:",
            "            raise UnexpectedTuple('a tuple is not of the kind or size that its relation says')",
            f"        position = {self._position + 2}",
        ]

    def _close(
        self, lines: list[str], values: list[str], subject: bytes, headers: bytes, payload: bytes, *, key: str
    ) -> EncodeRow:
        lines += [
            "    except (IndexError, struct_error):",
            "        raise UnexpectedTuple('a tuple ends in the middle') from None",
            # Raised below: as its context, this exception would carry the value along.
            "    except UnicodeDecodeError:",
            "        position = -1",
            "    if position < 0:",
            "        raise not_utf8()",
            "    if position != len(buffer):",
            "        raise UnexpectedTuple('a tuple ends before or behind its message')",
            "    return (",
            "        SUBJECT,",
            f"        HEADERS % ({self._header_terms(key)}),",
            f"        PAYLOAD % ({', '.join(['event_id', *values, 'timestamp'])}),",
            "    )",
        ]
        namespace = {**self._namespace, "SUBJECT": subject, "HEADERS": headers, "PAYLOAD": payload}
        encode: EncodeRow = _define(lines, namespace)
        return encode


def _define(lines: list[str], namespace: dict[str, Any]) -> Any:
    exec(compile("\n".join(lines), "<pgstream encode_row>", "exec"), namespace)
    return namespace["encode_row"]


def _read_column(text: str, null: str, *, unchanged: str | None = None) -> list[str]:
    """Lines that read one value of a tuple: `t` with a length, `n`, or `u`."""
    lines = [
        "        kind = buffer[position]",
        "        if kind == 116:",
        "            start = position + 5",
        "            position = start + length(buffer, position + 1)[0]",
        f"            {text}",
        "        elif kind == 110:",
        f"            {null}",
        "            position += 1",
    ]
    if unchanged is not None:
        lines += ["        elif kind == 117:", f"            {unchanged}", "            position += 1"]
    return [*lines, "        else:", "            raise UnexpectedTuple('a tuple has a value of an unexpected kind')"]


def _conversion(index: int, converter: Converter, text: str) -> str:
    """The expression of one value's JSON; a call where the converter has no form of its own as source text."""
    form = INLINE.get(converter, "{call}({text})")
    return form.format(text=text, call=f"c{index}")
