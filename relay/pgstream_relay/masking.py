"""Passwords are taken out of any text that a person or a log may get to see."""

from __future__ import annotations

import re

MASK = "***"

# user:password@ of any URL; a NATS URL with one word before the @ holds a token.
_URL_PASSWORD = re.compile(r"(://[^\s:/@?#]*:)[^\s/?#]*@")
_URL_TOKEN = re.compile(r"\b((?:nats|tls)://)[^\s:/@?#]+@")
# key=value of a libpq connection string, and a URI's query.
_KEYWORD_PASSWORD = re.compile(r"(password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&'\"]+)", re.IGNORECASE)


def mask_passwords(text: str) -> str:
    """The text with each password or token in a URL or libpq connection string replaced by `***`."""
    if "://" in text:
        text = _URL_TOKEN.sub(rf"\1{MASK}@", _URL_PASSWORD.sub(rf"\1{MASK}@", text))
    return _KEYWORD_PASSWORD.sub(rf"\1{MASK}", text)
