from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgstream_relay.snapshot.copy_text import split_line

ESCAPES = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
VALUES = st.one_of(
    st.none(),
    st.text(st.sampled_from("\\Nbfnrtv\b\f\n\r\t\v.x01é")),
    st.text(st.characters(codec="utf-8", min_codepoint=1)),
)


def copied(values: list[str | None]) -> bytes:
    """The line that COPY writes of these values."""
    fields = ["\\N" if value is None else "".join(ESCAPES.get(char, char) for char in value) for value in values]
    return ("\t".join(fields) + "\n").encode()


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_gives_back_what_copy_wrote(values: list[str | None]) -> None:
    assert split_line(copied(values), len(values)) == [None if value is None else value.encode() for value in values]


def test_null_and_the_text_that_looks_like_it() -> None:
    assert split_line(b"\\N\t\\\\N\tN\t\n", 4) == [None, b"\\N", b"N", b""]


def test_a_table_without_columns() -> None:
    assert split_line(b"\n", 0) == []


@pytest.mark.parametrize(("line", "columns"), [(b"1\t2\n", 1), (b"1\n", 2), (b"\n", 2), (b"1\n", 0)])
def test_another_number_of_values_is_an_error_without_the_values(line: bytes, columns: int) -> None:
    with pytest.raises(ValueError, match=f"values in place of {columns}"):
        split_line(line, columns)
