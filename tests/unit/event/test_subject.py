"""Subjects: reversible tokens, templates, coverage of patterns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgstream_relay.event.subject import escape_token, format_pattern, format_subject, is_covered

NAME = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def unescape(token: str) -> str:
    if token == "=":
        return ""
    return re.sub(rb"=([0-9A-F]{2})", lambda match: bytes.fromhex(match[1].decode()), token.encode()).decode()


@pytest.mark.parametrize(
    ("name", "token"),
    [("orders", "orders"), ("a.b", "a=2Eb"), ("My Table", "My=20Table"), ("x*y>", "x=2Ay=3E"), ("", "="),
     ("é", "=C3=A9"), ("=", "=3D"), ("$x", "=24x"), ("a-b_C9", "a-b_C9")],
)  # fmt: skip
def test_escapes(name: str, token: str) -> None:
    assert escape_token(name) == token


@given(NAME)
def test_a_token_is_legal_and_can_be_taken_back(name: str) -> None:
    token = escape_token(name)
    assert re.fullmatch(r"[A-Za-z0-9_=-]+", token)
    assert unescape(token) == name


def test_values_that_look_like_placeholders_are_only_text() -> None:
    subject = format_subject(
        "{database}.{schema}.{table}.{operation}",
        database="{table}",
        schema="{operation}",
        table="t",
        operation="insert",
    )
    assert subject == "=7Btable=7D.=7Boperation=7D.t.insert"


def test_a_pattern_covers_the_subjects_of_all_operations() -> None:
    names = {"database": "shop", "schema": "public", "table": "orders"}
    template = "x.{table}.{operation}"
    assert format_pattern(template, **names) == "x.orders.*"
    assert is_covered(format_subject(template, **names, operation="insert"), format_pattern(template, **names))


def test_a_wildcard_is_a_whole_token() -> None:
    assert format_pattern("{table}-{operation}.x", database="d", schema="s", table="t") == "*.x"
    assert format_pattern("a.{table}-{operation}", database="d", schema="s", table="t") == "a.*"


@pytest.mark.parametrize(
    ("subject", "pattern", "covered"),
    [("a.b", "a.b", True), ("a.b", "a.*", True), ("a.*", "a.*", True), ("a.*", "a.b", False), ("a.b.c", "a.*", False),
     ("a.b.c", "a.>", True), ("a", "a.>", False), ("a.>", "a.*", False), ("a.>", "a.>", True), ("*.b", "a.*", False)],
)  # fmt: skip
def test_coverage(subject: str, pattern: str, covered: bool) -> None:
    assert is_covered(subject, pattern) is covered
