"""Timestamps, whose JSON has a T for the space and minutes in the offset. All other types of time are plain strings."""

from __future__ import annotations

import re

from pgstream_relay.event.values.converter import UnrepresentableValue

_DATE = rb"[0-9]{4,7}+-[0-9]{2}-[0-9]{2}"
_CLOCK = rb"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6}+)?+"
_is_timestamp = re.compile(rb"%b %b(?: BC)?+|-?infinity" % (_DATE, _CLOCK)).fullmatch
_is_timestamptz = re.compile(rb"%b %b\+00(?: BC)?+|-?infinity" % (_DATE, _CLOCK)).fullmatch


def convert_timestamp(text: bytes) -> bytes:
    """`2026-01-01 12:34:56.1` gives `"2026-01-01T12:34:56.1"`; ` BC` and `infinity` stay."""
    return b'"%b"' % text.replace(b" ", b"T", 1)


def check_timestamp(text: bytes) -> bytes:
    if _is_timestamp(text):
        return convert_timestamp(text)
    raise _not_a_timestamp("timestamp")


def convert_timestamptz(text: bytes) -> bytes:
    """`2026-01-01 10:34:56+00` gives `"2026-01-01T10:34:56+00:00"`; ` BC` and `infinity` stay.

    The session prints under TimeZone UTC, so the offset is always +00.
    """
    if text[-3:] == b"+00":
        return b'"%b:00"' % text.replace(b" ", b"T", 1)
    if _is_timestamptz(text):  # BC, or infinite
        return b'"%b"' % text.replace(b" ", b"T", 1).replace(b"+00", b"+00:00")
    raise _not_a_timestamp("timestamptz")


def check_timestamptz(text: bytes) -> bytes:
    if _is_timestamptz(text):
        return convert_timestamptz(text)
    raise _not_a_timestamp("timestamptz")


def _not_a_timestamp(type_name: str) -> UnrepresentableValue:
    return UnrepresentableValue(type_name, "the text is not one of DateStyle ISO and TimeZone UTC")
