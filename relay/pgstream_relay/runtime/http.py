"""A small HTTP server for probes and scrapers: GET and HEAD of fixed paths, one request a connection, no uploads.

By hand on asyncio's streams, and not with a web framework: five fixed answers need none, and the usual one (aiohttp)
would cost a quarter of a second at each start and a third of the process's memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

import structlog

from pgstream_relay.errors import ConfigurationError
from pgstream_relay.settings import HttpSettings

BACKLOG = 128
CONNECTIONS_MAX = 64
REQUEST_BYTES_MAX = 16 * 1024
# For the whole of one request and its answer.
EXCHANGE_SECONDS = 10.0

log = structlog.get_logger()


class Response(NamedTuple):
    """What a path answers with."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


Endpoint = Callable[[], Response]


def bind_listener(settings: HttpSettings) -> socket.socket:
    """Binds at once, so that a port in use is known before anything is streamed. Raises ConfigurationError."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise ConfigurationError(
            f"http.listen: {settings.host} is not an address of this machine", hint="write 127.0.0.1, 0.0.0.0 or a name"
        ) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        reason = "another process does" if error.errno == errno.EADDRINUSE else error.strerror
        raise ConfigurationError(
            f"http.listen: can't listen on {settings.host}:{settings.port}: {reason}",
            hint='give another address with --http HOST:PORT or [http] listen, or "off" for none',
        ) from None
    return listener


class HttpServer:
    """Answers on an already bound socket. Endpoints are called on the event loop and must not wait."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begins to answer; returns at once."""
        self._server = await asyncio.start_server(self._converse, sock=listener, limit=REQUEST_BYTES_MAX)

    async def close(self) -> None:
        """Closes the socket and cuts what is still connected."""
        if self._server is not None:
            self._server.close()
        for writer in self._connections:
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        self._connections.add(writer)
        # A client that is slow, gone or talks nonsense is its own trouble.
        try:
            with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(EXCHANGE_SECONDS):
                    request = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(request))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        finally:
            self._connections.discard(writer)
            writer.close()

    def _answer(self, request: bytes) -> bytes:
        """From the head of a request to the whole of its answer."""
        words = request.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _encode_response(_refusal(HTTPStatus.BAD_REQUEST), with_body=True)
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            return _encode_response(_refusal(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", "GET, HEAD")), with_body=True)
        path = target.partition("?")[0]
        endpoint = self._endpoints.get(path)
        try:
            response = endpoint() if endpoint is not None else _refusal(HTTPStatus.NOT_FOUND)
        except Exception as error:
            log.error("an endpoint failed in a way that it should not", path=path, exc_info=error)
            response = _refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
        return _encode_response(response, with_body=method == "GET")


def _refusal(status: HTTPStatus, *headers: tuple[str, str]) -> Response:
    return Response(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode(), headers)


def _encode_response(response: Response, *, with_body: bool) -> bytes:
    headers = (
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "close"),
        *response.headers,
    )
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (response.body if with_body else b"")
