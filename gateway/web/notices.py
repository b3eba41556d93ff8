"""Notices to a person's desk: a webhook or a mail that carries a case's or an alert's number and due time, no more.

Notices leave the gateway's protection, so they say nothing of a person, a state, a purpose or a result (T15). The
client is HTTP/1.1's and SMTP's smallest part over TLS: one connection, one attempt, no redirect followed, the answer's
text never kept. Whoever calls holds the queue and the retry.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from gateway.errors import ConfigRefused

HEAD_BYTES_MAX: Final = 8_192
SUBJECTS: Final = {"case": "A case is due", "alert": "An alert is due"}
OUR_NAME: Final = "limen"
"""What we call ourselves towards a mail server: not the machine's name."""

_URL = re.compile(r"https://(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/[A-Za-z0-9._~/%-]*)?\Z")
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})(?: [\t -~]*)?\r\n\Z")


class NotTaken(Exception):
    """A notice did not arrive. The text names the way, never the case."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One case or alert that waits for somebody. `case` is its number as text, `due_ns` UTC; `what` says which."""

    case: str
    due_ns: int
    what: str = "case"

    @property
    def due(self) -> str:
        """The due time, UTC, to the second."""
        return datetime.fromtimestamp(self.due_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def document(self) -> bytes:
        """What the webhook gets: a JSON object of two members."""
        return json.dumps({self.what: self.case, "due": self.due}, separators=(",", ":")).encode("ascii")

    def text(self) -> str:
        """What the mail says."""
        return f"{self.case}\nDue {self.due}\n"


class Way(Protocol):
    """How a notice reaches the desk."""

    async def send(self, notice: Notice) -> None:
        """One attempt. Raises NotTaken."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """HTTPS POST to one address."""

    host: str
    port: int
    path: str
    timeout_s: float
    tls: ssl.SSLContext = field(repr=False)

    @classmethod
    def of(cls, url: str, ca: Path | None, timeout_s: float) -> Webhook:
        """`https://host[:port][/path]`; `ca` a private CA in PEM, None for the system's.

        Raises:
            ConfigRefused: another form of address, or the CA cannot be used.
        """
        found = _URL.match(url)
        port = int(found["port"] or 443) if found else 0
        if not found or not 0 < port < 65_536:
            raise ConfigRefused("notices.webhook: write https://host:port/path")
        return cls(found["host"], port, found["path"] or "/", timeout_s, _tls(ca, "notices.webhook_ca"))

    async def send(self, notice: Notice) -> None:
        """POST and read the status line; 2xx is taken."""
        body = notice.document()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        try:
            async with asyncio.timeout(self.timeout_s):
                status = await self._status(head.encode("ascii") + body)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as cause:  # TimeoutError is an OSError
            raise NotTaken(f"the webhook did not take a notice ({type(cause).__name__})") from None
        if not 200 <= status < 300:
            raise NotTaken(f"the webhook did not take a notice (status {status})")

    async def _status(self, request: bytes) -> int:
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=HEAD_BYTES_MAX)
        try:
            writer.write(request)
            await writer.drain()
            found = _STATUS.match(await reader.readuntil(b"\n"))
        finally:
            # Nothing of the answer is wanted: not waited for, so that a server that never closes holds nobody up.
            with contextlib.suppress(OSError):
                writer.transport.abort()
        if found is None:
            raise ValueError("no status line")
        return int(found[1])


@dataclass(frozen=True, slots=True)
class Mail:
    """SMTP with STARTTLS, never without."""

    host: str
    port: int
    sender: str
    to: str
    timeout_s: float
    tls: ssl.SSLContext = field(repr=False)

    @classmethod
    def of(cls, host: str, port: int, sender: str, to: str, ca: Path | None, timeout_s: float) -> Mail:
        """A submission server. Raises ConfigRefused: the CA cannot be used."""
        return cls(host, port, sender, to, timeout_s, _tls(ca, "notices.mail_ca"))

    def message(self, notice: Notice) -> bytes:
        """The exact message. Date and Message-ID are the submission server's to add (RFC 6409 section 8): ours would
        carry the machine's clock and name."""
        head = f"From: {self.sender}\nTo: {self.to}\nSubject: {SUBJECTS[notice.what]}\n\n"
        return (head + notice.text()).replace("\n", "\r\n").encode("ascii")

    async def send(self, notice: Notice) -> None:
        """Hand the message to the server, from a thread: the library's client blocks."""
        try:
            await asyncio.to_thread(self._send, self.message(notice))
        except (OSError, smtplib.SMTPException) as cause:
            raise NotTaken(f"the mail server did not take a notice ({type(cause).__name__})") from None

    def _send(self, message: bytes) -> None:
        with smtplib.SMTP(self.host, self.port, local_hostname=OUR_NAME, timeout=self.timeout_s) as server:
            server.starttls(context=self.tls)
            server.sendmail(self.sender, [self.to], message)


def _tls(ca: Path | None, setting: str) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as cause:  # ssl.SSLError is an OSError
        raise ConfigRefused(f"{setting}: the CA cannot be used ({cause})") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


__all__ = ["Mail", "NotTaken", "Notice", "Way", "Webhook"]
