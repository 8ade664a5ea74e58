"""A pooler's one trait that matters to us: it answers a login with a process number of its own making.

Between client and server it passes bytes on, as pgbouncer does in session mode, but rewrites BackendKeyData.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType

OWN_PROCESS_NUMBER = 1_234_567


class Pooler:
    """Listens on a free port of 127.0.0.1 and leads to the server at `port`. A context manager."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]

    def __enter__(self) -> Pooler:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._sockets += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    @staticmethod
    def _answer(server: socket.socket, client: socket.socket) -> None:
        """Message by message, so that BackendKeyData (K) is seen. For clients with sslmode and gssencmode disabled."""
        with contextlib.suppress(OSError, EOFError), server.makefile("rb") as stream:
            while tag := stream.read(1):
                length = stream.read(4)
                body = stream.read(struct.unpack("!I", length)[0] - 4)
                if tag == b"K":
                    body = struct.pack("!I", OWN_PROCESS_NUMBER) + body[4:]
                client.sendall(tag + length + body)
            client.shutdown(socket.SHUT_WR)
