"""Reads a stream whole, from a socket of its own: nats-py is slow with headers, and there are many."""

from __future__ import annotations

import json
import socket
import uuid
from collections import deque
from collections.abc import Callable
from io import BufferedReader
from typing import Any, Final

from tests.faults.judge import Stored

READ_TIMEOUT_SECONDS: Final = 120.0
_BUFFER_BYTES: Final = 1 << 20
_CONNECT: Final = 'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n'
_STALLED: Final = "Nats-Consumer-Stalled"


def read_stream(port: int, stream: str, take: Callable[[Stored], None]) -> None:
    """Hands over all messages of a stream, in order. Raises RuntimeError where one is missing, and TimeoutError."""
    with socket.create_connection(("127.0.0.1", port), timeout=READ_TIMEOUT_SECONDS) as connection:
        session = _Session(connection)
        session.send(f"{_CONNECT}SUB {session.inbox}.answer 1\r\nSUB {session.inbox}.messages 2\r\n")
        last = session.request(f"STREAM.INFO.{stream}", {})["state"]["last_seq"]
        config = {
            "deliver_subject": f"{session.inbox}.messages", "deliver_policy": "all", "ack_policy": "none",
            "mem_storage": True, "flow_control": True, "idle_heartbeat": 5_000_000_000,
        }  # fmt: skip
        session.request(f"CONSUMER.CREATE.{stream}", {"stream_name": stream, "config": config})
        sequence, delivered = 0, 0
        while sequence < last:
            subject, reply, block, payload = session.receive()
            status, headers = _headers(block)
            if status:
                answer_to = reply or headers.get(_STALLED)
                if answer_to:
                    session.send(f"PUB {answer_to} 0\r\n\r\n")
                continue
            # $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>
            tokens = reply.split(".")
            delivered += 1
            if int(tokens[6]) != delivered:
                raise RuntimeError(f"the server left out a message of {stream} before {tokens[5]}")
            sequence = int(tokens[5])
            take(Stored(sequence, subject, headers, payload))


class _Session:
    """A NATS connection that is used by one reader."""

    def __init__(self, connection: socket.socket) -> None:
        # The consumer of a reader before this one may still be there.
        self.inbox = f"_INBOX.stress{uuid.uuid4().hex}"
        self._connection = connection
        self._early: deque[tuple[str, str, bytes, bytes]] = deque()
        self._file = BufferedReader(socket.SocketIO(connection, "r"), _BUFFER_BYTES)

    def send(self, text: str) -> None:
        self._connection.sendall(text.encode())

    def request(self, subject: str, body: dict[str, Any]) -> dict[str, Any]:
        """An answer of the JetStream API."""
        payload = json.dumps(body)
        self.send(f"PUB $JS.API.{subject} {self.inbox}.answer {len(payload)}\r\n{payload}\r\n")
        # A new consumer's first messages may come before the answer that there is one.
        while (message := self._read())[0] != f"{self.inbox}.answer":
            self._early.append(message)
        answer: dict[str, Any] = json.loads(message[3])
        if "error" in answer:
            raise RuntimeError(f"{subject}: {answer['error']['description']}")
        return answer

    def receive(self) -> tuple[str, str, bytes, bytes]:
        """The next message: subject (that it was published on), reply subject or "", header block, payload."""
        return self._early.popleft() if self._early else self._read()

    def _read(self) -> tuple[str, str, bytes, bytes]:
        while True:
            line = self._file.readline()
            words = line.split()
            if not words:
                raise RuntimeError("the server closed the connection")
            if words[0] in (b"MSG", b"HMSG"):
                break
            if words[0] == b"PING":
                self.send("PONG\r\n")
            elif words[0] == b"-ERR":
                raise RuntimeError(line.decode())
        size = int(words[-1])
        header_size = int(words[-2]) if words[0] == b"HMSG" else 0
        content = self._file.read(size + 2)
        reply = words[3].decode() if len(words) > (5 if words[0] == b"HMSG" else 4) else ""
        return words[1].decode(), reply, content[:header_size], content[header_size:-2]


def _headers(block: bytes) -> tuple[str, dict[str, str]]:
    """The status behind NATS/1.0, "" for none, and the headers."""
    first, *lines = block.decode().split("\r\n")
    return first[len("NATS/1.0") :].strip(), dict(line.split(": ", 1) for line in lines if line)
