"""The log on standard error, as text for people or JSON for machines: without passwords and without row values."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from pgstream_relay.errors import RelayError
from pgstream_relay.masking import mask_passwords
from pgstream_relay.settings import LogSettings

# The texts of these are ours or the operating system's. Any other exception may quote the value it stumbled over.
_HARMLESS = (RelayError, OSError, ImportError)


def configure_logging(settings: LogSettings) -> None:
    """Call it once at the start, and again when the settings have changed."""
    level = getattr(logging, settings.level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render_exception,
            _mask,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries (asyncio, nats) log through the standard library; from warnings on, they come out the same way.
    logging.basicConfig(handlers=[_Forward()], level=max(level, logging.WARNING), force=True)


def format_exception(error: BaseException) -> str:
    """Where it was raised and of what type, causes first; its text only where that can't quote a row value."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        text = f": {link}" if isinstance(link, _HARMLESS) else ""
        parts.append("".join(traceback.format_tb(link.__traceback__)) + type(link).__qualname__ + text)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n\nled to:\n".join(reversed(parts))


def _render_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    information = event.pop("exc_info", None)
    if information is True:
        information = sys.exc_info()
    if isinstance(information, tuple):
        information = information[1]
    if isinstance(information, BaseException):
        event["exception"] = format_exception(information)
    return event


def _mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {key: mask_passwords(value) if isinstance(value, str) else value for key, value in event.items()}


class _Forward(logging.Handler):
    """Hands a library's record to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
