"""Patterns of NATS subjects: which subjects fall under them. Pure."""

from __future__ import annotations


def covers(outer: str, inner: str) -> bool:
    """Whether `inner` (a subject, or a pattern with every subject of its own) falls under the pattern `outer`."""
    outer_tokens, inner_tokens = outer.split("."), inner.split(".")
    for position, token in enumerate(outer_tokens):
        if token == ">":
            return len(inner_tokens) > position
        if position >= len(inner_tokens):
            return False
        other = inner_tokens[position]
        if other == ">" or (token != "*" and token != other):
            return False
    return len(outer_tokens) == len(inner_tokens)
