"""A listener on a line between gateways: hands everything on, and keeps every byte that passed.

It stands where somebody with the cable in his hand stands, so what the report shows of the wire was really on it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_PIECE_BYTES: Final = 65536


class Line:
    """Listens at a port of its own in front of one gateway. `up` is what came to the gateway, `down` what left it.

    A gateway that is stopped is as unreachable through it as without it.
    """

    def __init__(self) -> None:
        self.up = bytearray()
        self.down = bytearray()
        self._target = (LOOPBACK, 0)
        self._server = socket.create_server((LOOPBACK, 0))
        self.port: int = self._server.getsockname()[1]

    def listen(self, port: int) -> None:
        """Begin to hand on to the gateway at this port."""
        self._target = (LOOPBACK, port)
        threading.Thread(target=self._accept, name=f"line-{port}", daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()

    def passed(self) -> tuple[int, int]:
        """Bytes up and down so far."""
        return len(self.up), len(self.down)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, timeout=5.0)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for source, sink, kept in ((near, far, self.up), (far, near, self.down)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=_hand_on, args=(source, sink, kept), daemon=True).start()


def _hand_on(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            kept += piece
            sink.sendall(piece)
    # Both directions end together: to a caller a dead gateway is dead.
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


__all__ = ["LOOPBACK", "Line"]
