"""No password is left in a text, and nothing else is lost from it."""

from __future__ import annotations

import pytest

from pgstream_relay.masking import mask_passwords


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://u:hunter2@h:5432/x", "postgresql://u:***@h:5432/x"),
        ("postgresql://u:hun@ter2@h/x?sslmode=require", "postgresql://u:***@h/x?sslmode=require"),
        ("postgresql://u@h/x?password=hunter2&sslmode=require", "postgresql://u@h/x?password=***&sslmode=require"),
        ("host=h password=hunter2 user=u", "host=h password=*** user=u"),
        ("host=h password = 'hun\\'ter 2' user=u", "host=h password = *** user=u"),
        ("sslpassword=hunter2", "sslpassword=***"),
        ("nats://hunter2@h, nats://u:hunter2@h2", "nats://***@h, nats://u:***@h2"),
        ("postgresql://u@h/x", "postgresql://u@h/x"),
        ("lag at 0/16B3748", "lag at 0/16B3748"),
    ],
)
def test_masked(text: str, masked: str) -> None:
    assert mask_passwords(text) == masked
