"""The HTTP server of probes and scrapers: the standard library's, in a thread of its own beside the event loop.

In a thread, so that /livez still answers when the event loop hangs; not with a web framework (aiohttp was tried), which
would cost a quarter of a second at each start and a third of the process's memory. One request a connection.
"""

from __future__ import annotations

import errno
import io
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, NamedTuple

import structlog

from pgstream_relay.errors import ConfigurationError
from pgstream_relay.settings import HttpSettings

BACKLOG = 128
CONNECTIONS_MAX = 64
REQUEST_BYTES_MAX = 16 * 1024
# For the whole of one request and its answer.
EXCHANGE_SECONDS = 10.0
# How often the server's thread looks whether it shall end and whose time is over.
POLL_SECONDS = 0.1

log = structlog.get_logger()


class Response(NamedTuple):
    """What a path answers with."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


Endpoint = Callable[[], Response]


class HttpServer:
    """Binds at once, so that a port in use is known before anything is streamed; answers from `start` on.

    Raises ConfigurationError where the address can't be had.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._server = _bind(settings)
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        host, port = self._server.socket.getsockname()[:2]
        return host, port

    def start(self, endpoints: Mapping[str, Endpoint]) -> None:
        """Begins to answer. Endpoints, by path, are called in threads: they may read, and change nothing."""
        self._server.endpoints = endpoints
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="http", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Listens no more; takes up to POLL_SECONDS. Connections that are still open are cut."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.cut_connections(older_than=time.monotonic())


def _bind(settings: HttpSettings) -> _Server:
    try:
        family, _, _, _, target = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise ConfigurationError(
            f"http.listen: {settings.host} is not an address of this machine", hint="write 127.0.0.1, 0.0.0.0 or a name"
        ) from None
    try:
        return _Server(family, target)
    except OSError as error:
        reason = "another process does" if error.errno == errno.EADDRINUSE else error.strerror
        raise ConfigurationError(
            f"http.listen: can't listen on {settings.host}:{settings.port}: {reason}",
            hint='give another address with --http HOST:PORT or [http] listen, or "off" for none',
        ) from None


class _Server(ThreadingHTTPServer):
    """A thread a connection, no more than CONNECTIONS_MAX of them and none for longer than EXCHANGE_SECONDS."""

    daemon_threads = True
    request_queue_size = BACKLOG
    endpoints: Mapping[str, Endpoint]

    def __init__(self, family: socket.AddressFamily, target: Any) -> None:
        self.address_family = family
        self._since: dict[socket.socket, float] = {}
        super().__init__(target, _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's: that asks the name server for our own name, which can take seconds.
        TCPServer.server_bind(self)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return len(self._since) < CONNECTIONS_MAX

    def process_request(self, request: Any, client_address: Any) -> None:
        self._since[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._since.pop(request, None)

    def service_actions(self) -> None:
        """Called by the server's thread every POLL_SECONDS or more often."""
        self.cut_connections(older_than=time.monotonic() - EXCHANGE_SECONDS)

    def cut_connections(self, older_than: float) -> None:
        """By time.monotonic() of when they came. Their threads end as their sockets do."""
        for request, since in self._since.copy().items():
            if since <= older_than:
                try:
                    request.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # closed a moment ago

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        # A client that is slow, gone or talks nonsense is its own trouble.
        if not isinstance(error, OSError):
            log.error("the http server failed in a way that it should not", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the server's endpoints; whatever else is refused by the base class, in plain text."""

    server: _Server
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"
    timeout = EXCHANGE_SECONDS

    def setup(self) -> None:
        super().setup()
        self.rfile = _RequestReader(self.connection.makefile("rb", buffering=0))

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def version_string(self) -> str:
        return "pgstream-relay"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: probes come every few seconds."""

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        endpoint = self.server.endpoints.get(path)
        if endpoint is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            response = endpoint()
        except Exception as error:
            log.error("an endpoint failed in a way that it should not", path=path, exc_info=error)
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        self.send_response(response.status)
        for name, value in (
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
            *response.headers,
        ):
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(response.body)


class _RequestReader(io.BufferedReader):
    """A request's head, of REQUEST_BYTES_MAX at most: the base class alone would read megabytes."""

    _left = REQUEST_BYTES_MAX

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise ConnectionAbortedError("the head of the request is too long")
        return line
