"""The wire between a node's own processes: length-prefixed CBOR over a unix socket.

Frame: 4 bytes big-endian length, then the CBOR array `[call id, operation, argument]` towards the server and
`[call id, null, result]` or `[call id, error reason, private text]` back. Calls are pipelined on one connection.
The server judges the peer's uid (SO_PEERCRED) and takes at most `FRAME_BYTES_MAX` a frame.
"""

from gateway.ipc.channel import Channel, Gone
from gateway.ipc.frames import FRAME_BYTES_MAX
from gateway.ipc.server import Server, serve

__all__ = ["FRAME_BYTES_MAX", "Channel", "Gone", "Server", "serve"]
