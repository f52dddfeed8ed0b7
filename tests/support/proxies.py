"""Proxies in threads: one that answers everything alike, and one that opens TLS."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ssl import SSLContext

PAGE = b"<html><head><title>Blocked</title></head><body>Access denied by policy</body></html>"


def answer(status: str, body: bytes = PAGE, *, kind: str = "text/html", head: str = "") -> bytes:
    """An answer of a proxy, which closes the connection."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, *([head] if head else []), "", ""]).encode() + body


@contextmanager
def proxy(content: bytes, *, inspecting: SSLContext | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that answers every request with these bytes; gives its address and what it was asked.

    Args:
        content: The answer.
        inspecting: The context with which it opens the TLS of tunnels, instead of refusing them.
    """
    heads: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(10)
                heads.append(connection.recv(65536))
                if inspecting is None:
                    connection.sendall(content)
                    continue
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with inspecting.wrap_socket(connection, server_side=True) as tunnel:
                    tunnel.recv(65536)
                    tunnel.sendall(content)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
