"""The HTTP server against clients that don't behave."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from pgstream_relay.errors import ConfigurationError
from pgstream_relay.runtime import http
from pgstream_relay.runtime.http import CONNECTIONS_MAX, REQUEST_BYTES_MAX, HttpServer, Response
from pgstream_relay.settings import HttpSettings


def broken() -> Response:
    raise ValueError("4711")


@pytest.fixture
def port() -> Iterator[int]:
    server = HttpServer(HttpSettings(port=0))
    server.start({"/": lambda: Response(200, "text/plain", b"hello"), "/broken": broken})
    yield server.address[1]
    server.close()


async def exchange(port: int, request: bytes) -> bytes:
    """All that the server answers until it closes the connection; nothing where it is cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_get_and_head(port: int) -> None:
    answer = await exchange(port, b"GET /?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 5" in head
    assert body == b"hello"
    alone = await exchange(port, b"HEAD / HTTP/1.0\r\n\r\n")
    assert alone.endswith(b"\r\n\r\n")
    assert without_date(alone) == without_date(head + b"\r\n\r\n")
    assert b"Python" not in head


def without_date(head: bytes) -> list[bytes]:
    return [line for line in head.split(b"\r\n") if not line.startswith(b"Date: ")]


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"POST / HTTP/1.1\r\n\r\n", b"501 Unsupported method ('POST')"),
        (b"\x16\x03\x01 nonsense\r\n\r\n", b"400 Bad HTTP/0.9 request type"),
        (b"GET / HTTP/2.0\r\n\r\n", b"505 Invalid HTTP version (2.0)"),
        (b"GET /broken HTTP/1.1\r\n\r\n", b"500 Internal Server Error"),
    ],
)
async def test_refusals(port: int, request_head: bytes, status: bytes) -> None:
    answer = await exchange(port, request_head)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"4711" not in answer


@pytest.mark.parametrize("endless", [b"x" * (3 * REQUEST_BYTES_MAX), (b"x" * 1000 + b"\r\nX: ") * 50])
async def test_an_endless_head_is_cut_off(port: int, endless: bytes) -> None:
    assert await exchange(port, b"GET / HTTP/1.1\r\nX: " + endless) == b""


async def test_a_client_that_dawdles_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each of its bytes comes in time."""
    monkeypatch.setattr(http, "EXCHANGE_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def dawdle() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.01)

    dawdling = asyncio.create_task(dawdle())
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    dawdling.cancel()
    writer.close()


async def test_answers_while_the_event_loop_hangs(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        answer = b""
        while more := client.recv(65536):
            answer += more
    assert answer.endswith(b"hello")


async def test_too_many_connections_are_refused_and_free_places_again(port: int) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS_MAX)]
    try:
        assert await exchange(port, b"GET / HTTP/1.1\r\n\r\n") == b""
    finally:
        for _, writer in idle:
            writer.close()
    async with asyncio.timeout(30):
        while b"hello" not in await exchange(port, b"GET / HTTP/1.1\r\n\r\n"):  # noqa: ASYNC110 - the server announces nothing
            await asyncio.sleep(0.005)


async def test_a_port_in_use_is_an_error_with_the_way_out() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(ConfigurationError, match="another process does") as caught,
    ):
        HttpServer(HttpSettings(port=other.getsockname()[1]))
    assert caught.value.hint is not None
    assert "--http" in caught.value.hint


async def test_an_address_of_another_machine() -> None:
    with pytest.raises(ConfigurationError, match=r"can't listen on 192\.0\.2\.1:1: "):
        HttpServer(HttpSettings("192.0.2.1", 1))
