"""Neither a password nor a row value gets into the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from pgstream_relay.errors import RelayError
from pgstream_relay.runtime.logs import configure_logging, format_exception
from pgstream_relay.settings import LogSettings


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def broken() -> None:
    try:
        int("row value 4711")
    except ValueError as error:
        raise RelayError("can't convert") from error


def test_an_exception_shows_place_and_type_and_no_foreign_text() -> None:
    with pytest.raises(RelayError) as caught:
        broken()
    text = format_exception(caught.value)
    assert "ValueError\n\nled to:" in text
    assert text.endswith("RelayError: can't convert")
    assert "in broken" in text
    assert "invalid literal" not in text


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings("json", "info"))
    log = structlog.get_logger()
    log.debug("not shown")
    log.warning("away", dsn="postgresql://u:hunter2@h/x", count=3)
    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "away", "level": "warning", "dsn": "postgresql://u:***@h/x", "count": 3}


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings("text", "info"))
    structlog.get_logger().info("database is streaming", database="shop", password="host=x password=hunter2")
    line = capsys.readouterr().err
    assert "database is streaming" in line
    assert "database=shop" in line
    assert "hunter2" not in line


def test_libraries_come_out_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings("json", "info"))
    logging.getLogger("asyncio").info("not shown")
    try:
        int("row value 4711")
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["logger"]) == ("Task exception was never retrieved", "asyncio")
    assert line["exception"].endswith("ValueError")
    assert "invalid literal" not in line["exception"]
