"""Writes messages.hex again: `python -m tests.golden.pgoutput.capture`. One message a line."""

from __future__ import annotations

from pathlib import Path

from pgstream_installer.embedded import EmbeddedPostgres
from tests.support.slot import take_messages

HERE = Path(__file__).parent


def main() -> None:
    with EmbeddedPostgres() as server, server.connect() as connection:
        for line in (HERE / "scenario.sql").read_text().splitlines():
            if not line.startswith("--"):
                connection.execute(line.encode())
        messages = take_messages(connection, "golden", "golden")
    (HERE / "messages.hex").write_text("".join(f"{message.hex()}\n" for message in messages))


if __name__ == "__main__":
    main()
