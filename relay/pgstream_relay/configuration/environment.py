"""Environment variables, each with a twin `…_FILE` that names a file to read the value from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pgstream_relay.errors import ConfigurationError


class Given(NamedTuple):
    """A value and the place it came from, as an error message names it: `--nats`, `PGSTREAM_NATS_URL`, …"""

    text: str
    where: str


def read_variable(environment: Mapping[str, str], name: str) -> Given | None:
    """The value of `name`, else the content of the file that `name_FILE` names, else None; empty is not set.

    Raises ConfigurationError where both are set or the file can't be read.
    """
    text = environment.get(name, "").strip()
    file_name = environment.get(f"{name}_FILE", "").strip()
    if text and file_name:
        raise ConfigurationError(f"{name} and {name}_FILE are both set, and may differ", hint="unset one of the two")
    if text:
        return Given(text, name)
    if not file_name:
        return None
    where = f"{name}_FILE ({file_name})"
    try:
        text = Path(file_name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(
            f"{where}: the file can't be read: {error.strerror}", hint="mend the path, or the file's permissions"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{where}: the file is not UTF-8 text", hint="write the value alone into it") from None
    if not text:
        raise ConfigurationError(f"{where}: the file is empty", hint=f"write the value into it, or unset {name}_FILE")
    return Given(text, where)
