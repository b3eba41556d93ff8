"""A client for an OPA server: one question, one attempt, and anything that is not exactly an answer is no answer.

Only what the gateway needs of OPA's REST interface (its documentation, "REST API"): the value of one rule, and whether
the bundles are loaded. Requests go over a unix socket, or over TLS 1.3 with both sides certified by a private CA.

    POST /v1/data/<package>/<rule>?strict-builtin-errors=true&provenance=true    {"input": ...}
    200 {"result": ..., "provenance": {"bundles": {"baseline": {"revision": "4.ab12..."}, ...}}}

A rule that is undefined answers 200 without `result`; a bundle that is not loaded does the same. Nothing is tried a
second time, no redirect is followed, no answer is larger than 64 KiB, and no text of the server's reaches an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import ConfigRefused, PolicyUnavailable
from gateway.primitives import strict_json

ANSWER_BYTES_MAX: Final = 64 << 10
HEAD_BYTES_MAX: Final = 8 << 10
IDLE_MAX: Final = 8
"""Connections kept open between questions."""

_STATUS: Final = re.compile(rb"HTTP/1\.1 ([0-9]{3})(?: [\t -~]*)?\r\n\Z")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~]*?)[ \t]*\r\n\Z")
_KNOWN: Final = frozenset({"result", "provenance", "decision_id"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server is: a unix socket, or a host and port with the TLS to use."""

    socket: Path | None
    host: str = ""
    port: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def where(self) -> str:
        """The address, for operators."""
        return f"unix://{self.socket}" if self.socket is not None else f"https://{self.host}:{self.port}"

    @classmethod
    def of(cls, url: str, ca: Path | None, certificate: Path | None, key: Path | None) -> Endpoint:
        """From `unix:///run/opa.sock` or `https://host:port`, the latter with a private CA and our own certificate.

        Raises:
            ConfigRefused: another form, a file is missing or is no certificate or key.
        """
        if found := re.fullmatch(r"unix://(/[^\0]+)", url):
            return cls(Path(found[1]))
        found = re.fullmatch(r"https://([A-Za-z0-9.-]+):([0-9]{1,5})/?", url)
        if not found or int(found[2]) > 65535 or ca is None or certificate is None or key is None:
            raise ConfigRefused(
                "policy.server: write unix:///path/of/socket, or https://host:port with policy.server_ca, "
                "policy.server_certificate and policy.server_key"
            )
        try:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            tls.minimum_version = ssl.TLSVersion.TLSv1_3
            tls.load_verify_locations(ca)
            tls.load_cert_chain(certificate, key)
        except (OSError, ValueError) as cause:  # ssl.SSLError is an OSError
            raise ConfigRefused(f"policy.server: the CA, the certificate or the key cannot be used ({cause})") from None
        return cls(None, found[1], int(found[2]), tls)


@dataclass(frozen=True, slots=True)
class Answer:
    """A rule's value, and the revision of each bundle the server held while it answered.

    `defined` is False where the server gave no value at all; `value` is then None.
    """

    defined: bool
    value: object
    revisions: Mapping[str, str]


class OpaServer:
    """The connections to one server. Every method raises PolicyUnavailable for whatever is not an answer.

    No method has a time limit of its own: the caller holds the deadline (`asyncio.timeout`), over all it asks.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def health(self) -> None:
        """Return once: the server says that every bundle is loaded (`/health?bundle=true`)."""
        await self._call(b"GET", "/health?bundle=true", b"")

    async def rule(self, package: str, rule: str, body: bytes) -> Answer:
        """The value of `data.<package>.<rule>` for a body `{"input": ...}`."""
        path = f"/v1/data/{package.replace('.', '/')}/{rule}?strict-builtin-errors=true&provenance=true"
        return _answer(await self._call(b"POST", path, body))

    async def close(self) -> None:
        """Close every connection."""
        while self._idle:
            _, writer = self._idle.pop()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _call(self, method: bytes, path: str, body: bytes) -> bytes:
        try:
            reader, writer = await self._connection()
            try:
                writer.write(
                    method + b" " + path.encode("ascii") + b" HTTP/1.1\r\nHost: opa\r\nAccept: application/json\r\n"
                    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                )
                await writer.drain()
                answer, stays = await _read(reader)
            except BaseException:
                # Half an answer may still be on its way: nobody asks here again.
                writer.transport.abort()
                raise
        except (OSError, EOFError, asyncio.LimitOverrunError, ValueError) as cause:
            raise PolicyUnavailable(
                f"the OPA server at {self._endpoint.where} gave no answer ({type(cause).__name__})"
            ) from None
        if stays and len(self._idle) < IDLE_MAX:
            self._idle.append((reader, writer))
        else:
            writer.close()
        return answer

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            # A server that was started anew has closed it, and one attempt is all there is.
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.transport.abort()
        place = self._endpoint
        if place.socket is not None:
            return await asyncio.open_unix_connection(place.socket, limit=HEAD_BYTES_MAX)
        return await asyncio.open_connection(place.host, place.port, ssl=place.tls, limit=HEAD_BYTES_MAX)


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """The body of a 200 in JSON, and whether the connection may be used again."""
    status = _STATUS.match(await reader.readuntil(b"\r\n"))
    if status is None:
        raise ValueError("status line")
    fields: dict[bytes, bytes] = {}
    read = 0
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        read += len(line)
        found = _FIELD.match(line)
        if found is None or read > HEAD_BYTES_MAX:
            raise ValueError("header")
        name = found[1].lower()
        if name in fields and name in (b"content-length", b"transfer-encoding", b"content-type"):
            raise ValueError("header twice")
        fields[name] = found[2]
    if status[1] != b"200":
        raise PolicyUnavailable(f"the OPA server answered {status[1].decode()}")
    kind = fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json" or b"content-encoding" in fields:
        raise ValueError("content type")
    chunked, size = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if (chunked is None) == (size is None):
        raise ValueError("length")
    body = await _chunks(reader) if size is None else await _exactly(reader, size, 10, 0)
    if chunked is not None and chunked.lower() != b"chunked":
        raise ValueError("transfer encoding")
    return body, fields.get(b"connection", b"").lower() != b"close"


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = (await reader.readuntil(b"\r\n"))[:-2]
        chunk = await _exactly(reader, size, 16, len(body))
        if await reader.readexactly(2) != b"\r\n":
            raise ValueError("chunk")
        if not chunk:
            return body
        body += chunk


async def _exactly(reader: asyncio.StreamReader, digits: bytes, base: int, have: int) -> bytes:
    if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", digits) or have + int(digits, base) > ANSWER_BYTES_MAX:
        raise ValueError("size")
    return await reader.readexactly(int(digits, base))


def _answer(body: bytes) -> Answer:
    """The document of an answer, strictly read."""
    try:
        document = strict_json.loads(body.decode("utf-8"), parse_float=strict_json.refuse)
        if not isinstance(document, dict) or not document.keys() <= _KNOWN:
            raise ValueError
        bundles = document["provenance"]["bundles"]
        revisions = {name: bundle["revision"] for name, bundle in bundles.items()}
        if not all(isinstance(revision, str) for revision in revisions.values()):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PolicyUnavailable("the OPA server's answer is not one of OPA's") from None
    return Answer("result" in document, document.get("result"), revisions)
