"""The answering end of a node's internal socket."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import cbor2

from gateway.errors import GatewayError

FRAME_BYTES_MAX: Final = 64 << 20
"""Largest frame, bytes: a table's build batch or a watchlist file with room to spare."""

PATH_BYTES_MAX: Final = 107
"""Longest socket path Linux takes, bytes (unix(7), sun_path without its terminator)."""

Handler = Callable[[str, Any], Awaitable[Any]]


async def serve(path: Path, handler: Handler, *, uid: int | None = None) -> asyncio.Server:
    """Listen on `path` (mode 0600) and answer each frame with `handler(operation, argument)`.

    Calls of one connection run concurrently. A `GatewayError` travels back by its reason; any other exception becomes
    INTERNAL without text and is re-raised to the loop's exception handler. Callers of another uid are cut at once.

    Raises:
        ValueError: the path is too long for a socket.
    """
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        raise ValueError(f"socket path has more than {PATH_BYTES_MAX} bytes; choose a shorter run directory")
    allowed = os.getuid() if uid is None else uid
    path.unlink(missing_ok=True)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if _peer_uid(writer) != allowed:
            writer.close()
            return
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                call_id, operation, argument = await read_frame(reader)
                task = asyncio.create_task(_answer(handler, writer, call_id, operation, argument))
                running.add(task)
                task.add_done_callback(running.discard)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError, cbor2.CBORDecodeError):
            pass
        except asyncio.CancelledError:
            # The process ends. Python 3.11's streams would report the cancellation as an error of the connection.
            pass
        finally:
            writer.close()

    old = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(connected, path=str(path))
    finally:
        os.umask(old)


async def _answer(handler: Handler, writer: asyncio.StreamWriter, call_id: int, operation: str, argument: Any) -> None:
    try:
        reply = [call_id, None, await handler(operation, argument)]
    except GatewayError as error:
        reply = [call_id, error.row.reason, _details(error)]
    except Exception as error:
        asyncio.get_running_loop().call_exception_handler({"message": f"ipc {operation}", "exception": error})
        reply = [call_id, "INTERNAL", [type(error).__name__]]
    try:
        writer.write(frame(reply))
        await writer.drain()
    except (ConnectionError, RuntimeError):
        pass


def error_parts(error: GatewayError) -> tuple[str, list[Any]]:
    """An error as it travels: its reason and the private details; `channel.error_of` puts it together again."""
    return error.row.reason, _details(error)


def _details(error: GatewayError) -> list[Any]:
    reasons = getattr(error, "reasons", None)
    if reasons is not None:
        return [list(reasons)]
    if hasattr(error, "step"):
        return [error.step, getattr(error, "why", ""), getattr(error, "position", None)]
    if hasattr(error, "why"):
        return [getattr(error, "field", None) or "", error.why, getattr(error, "line", None)]
    return [str(error)]


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    sock: socket.socket = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def frame(body: Any) -> bytes:
    """One frame. Raises ValueError above `FRAME_BYTES_MAX`."""
    data = cbor2.dumps(body)
    if len(data) > FRAME_BYTES_MAX:
        raise ValueError("frame too large")
    return len(data).to_bytes(4, "big") + data


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, Any, Any]:
    """Read one frame. Raises ValueError on a size or shape that is not ours."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size > FRAME_BYTES_MAX:
        raise ValueError("frame too large")
    body = cbor2.loads(await reader.readexactly(size))
    if not (isinstance(body, list) and len(body) == 3 and isinstance(body[0], int)):
        raise ValueError("frame has the wrong shape")
    return body[0], body[1], body[2]
