"""Asking a witness outside the federation over HTTPS (C2SP tlog-witness, add-checkpoint).

The client is HTTP/1.1's smallest part over TLS: one connection, one request, no redirect followed, an answer of bounded
size. What comes back counts only where its cosignature verifies; a witness can refuse or stay silent, and no more.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

from gateway.audit import note, witness
from gateway.errors import ConfigRefused, PeerUnreachable, VerificationFailed

PATH: Final = "/add-checkpoint"
HEAD_BYTES_MAX: Final = 8_192
ANSWER_BYTES_MAX: Final = note.NOTE_BYTES_MAX
URL_BYTES_MAX: Final = 1_024

_URL: Final = re.compile(
    r"https://(?P<host>[A-Za-z0-9.-]{1,253})(?::(?P<port>[0-9]{1,5}))?(?P<path>/[A-Za-z0-9._~/%-]*)?\Z"
)
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [\t -~]*)?\r\n")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n?\Z")

_STEPS: Final = {
    HTTPStatus.BAD_REQUEST: witness.BAD_REQUEST,
    HTTPStatus.CONFLICT: witness.OLD_SIZE,
    HTTPStatus.UNPROCESSABLE_ENTITY: witness.PROOF,
    HTTPStatus.FORBIDDEN: "signature",
    HTTPStatus.NOT_FOUND: "origin",
}
"""What a refusal's status says, as the step of the VerificationFailed that is raised."""


@dataclass(frozen=True, slots=True)
class HttpsWitness:
    """One witness of the tlog-policy: the key that its cosignatures verify under, and where it is asked."""

    key: note.Verifier
    host: str
    port: int
    path: str
    tls: ssl.SSLContext = field(repr=False)

    @classmethod
    def of(cls, key: note.Verifier, url: str, ca: Path | None) -> HttpsWitness:
        """`https://host[:port][/prefix]` as a tlog-policy has it; `ca` a private CA in PEM, None for the system's.

        Raises:
            ConfigRefused: another form of address, or the CA cannot be used.
        """
        found = _URL.match(url) if len(url) <= URL_BYTES_MAX else None
        port = int(found["port"] or 443) if found else 0
        if found is None or not 0 < port < 65_536:
            raise ConfigRefused(f"witnesses.policy: the witness {key.name} is asked at https://host:port/path")
        try:
            tls = ssl.create_default_context(cafile=ca)
        except (OSError, ValueError) as cause:  # ssl.SSLError is an OSError
            raise ConfigRefused(f"witnesses.ca: the CA cannot be used ({cause})") from None
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        return cls(key, found["host"], port, (found["path"] or "").rstrip("/") + PATH, tls)

    async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], noted: bytes, *, timeout_s: float) -> bytes:
        """Ask for a cosignature; returns the lines that came back, unverified.

        Raises:
            PeerUnreachable: no answer, or none that the specification knows.
            VerificationFailed: the witness refused: the step says why, `position` is the size it stands at (409).
        """
        lines = [b"old %d" % old_size, *(base64.b64encode(one) for one in proof)]
        body = b"\n".join(lines) + b"\n\n" + noted
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        try:
            async with asyncio.timeout(timeout_s):
                status, answer = await self._exchange(head.encode("ascii") + body)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as cause:  # TimeoutError is an OSError
            raise PeerUnreachable(f"the witness {self.key.name} did not answer ({type(cause).__name__})") from None
        return _judged(self.key.name, status, answer)

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=HEAD_BYTES_MAX)
        try:
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status, length = read_head(head)
            return status, await (reader.readexactly(length) if length is not None else _rest(reader))
        finally:
            with contextlib.suppress(OSError):
                writer.transport.abort()


def read_head(head: bytes) -> tuple[int, int | None]:
    """Status and length of an answer, the length None where the connection's end is the answer's.

    Raises:
        ValueError: not an answer's head, a body in pieces, or one that is too long.
    """
    status, length = _STATUS.match(head), _LENGTH.search(head)
    if status is None or _CHUNKED.search(head):
        raise ValueError("not an answer that is read here")
    if length is not None and int(length[1]) > ANSWER_BYTES_MAX:
        raise ValueError("too long an answer")
    return int(status[1]), int(length[1]) if length is not None else None


async def _rest(reader: asyncio.StreamReader) -> bytes:
    data = b""
    while part := await reader.read(1 << 16):
        data += part
        if len(data) > ANSWER_BYTES_MAX:
            raise ValueError("too long an answer")
    return data


def _judged(name: str, status: int, answer: bytes) -> bytes:
    if status == HTTPStatus.OK:
        return answer
    step = _STEPS.get(HTTPStatus(status)) if status in _STEPS else None
    if step is None:
        raise PeerUnreachable(f"the witness {name} did not answer (status {status})")
    size = _SIZE.match(answer) if status == HTTPStatus.CONFLICT else None
    position = int(size[1]) if size is not None and int(size[1]) < 1 << 63 else None
    raise VerificationFailed(step, f"the witness {name} refused", position=position)


__all__ = ["HttpsWitness", "read_head"]
