"""Our log as static pages (C2SP tlog-tiles), and our witness over HTTP (C2SP tlog-witness).

Shown are the newest published checkpoint with its cosignatures, and hash tiles of the published tree. Entries are not:
they are for the state's auditors, at their own door, where reading is logged (docs/protocol/log.md). A monitor needs no
more than this to see that the log only grows, and a witness no more than a checkpoint and a proof.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from gateway.audit import checkpoint, note, tiles, witness
from gateway.audit.merkle import HASH_BYTES
from gateway.errors import AuditUnavailable, GatewayError, Malformed, NotFoundOrNotPermitted, VerificationFailed
from gateway.web.edge import Page, Take

TILE_TYPE: Final = "application/octet-stream"
SIZE_TYPE: Final = "text/x.tlog.size"
FOREVER_S: Final = 365 * 24 * 3600

SIZE_DIGITS_MAX: Final = 19
REQUEST_BYTES_MAX: Final = note.NOTE_BYTES_MAX + (witness.PROOF_HASHES_MAX + 2) * 64

_TILE: Final = re.compile(r"(0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?\Z")
_OLD: Final = re.compile(rb"old (0|[1-9][0-9]{0,%d})\Z" % (SIZE_DIGITS_MAX - 1))


class PublishedLog(Protocol):
    """What is shown of our log (`store.reader`)."""

    def last_checkpoint(self, cosignatures: int = 0) -> tuple[bytes, bytes] | None:
        """The newest published note with its cosignatures, and its digest."""

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """Hashes of a tile row."""


@dataclass(frozen=True, slots=True)
class TilesDoor:
    """`/checkpoint` and `/tile/`. Nothing beyond the published checkpoint is shown (T14)."""

    log: PublishedLog

    def checkpoint(self, rest: str) -> Page | None:
        """The signed tree head; None before the first."""
        held = self.log.last_checkpoint()
        return None if rest or held is None else Page(held[0])

    def tile(self, rest: str) -> Page | None:
        """`<L>/<N>[.p/<W>]`: a full tile, or one as wide as the published tree has it or had it at an earlier size."""
        asked = _TILE.match(rest)
        held = self.log.last_checkpoint()
        if asked is None or held is None:
            return None
        level, number = int(asked[1]), int(asked[2].replace("x", "").replace("/", ""))
        width = int(asked[3]) if asked[3] else tiles.WIDTH
        row = checkpoint.parse(note.parse(held[0]).text).size >> tiles.HEIGHT * level
        start = number * tiles.WIDTH
        if tiles.path(level, number, width) != f"tile/{rest}" or width > tiles.WIDTH or start + width > row:
            return None
        return Page(b"".join(self.log.hashes(level, start, start + width)), TILE_TYPE, cache_s=FOREVER_S)


@dataclass(frozen=True, slots=True)
class Submission:
    """A body of add-checkpoint: the size cosigned last, the consistency proof, and the signed note."""

    old_size: int
    proof: tuple[bytes, ...]
    noted: bytes


def read_submission(body: bytes) -> Submission:
    """Read a body of add-checkpoint strictly. Raises Malformed."""
    head, blank, noted = body.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    size = _OLD.match(first)
    if not blank or size is None or int(size[1]) >= 1 << 63:
        raise Malformed("old", "not an old size line")
    if len(lines) > witness.PROOF_HASHES_MAX:
        raise Malformed("proof", f"more than {witness.PROOF_HASHES_MAX} lines")
    proof = []
    for line in lines:
        try:
            hash_ = base64.b64decode(line, validate=True)
        except binascii.Error:
            raise Malformed("proof", "not base64") from None
        if len(hash_) != HASH_BYTES or base64.b64encode(hash_) != line:
            raise Malformed("proof", "not a hash of 32 bytes")
        proof.append(hash_)
    return Submission(int(size[1]), tuple(proof), noted)


Cosign = Callable[[str, Submission], Awaitable[bytes]]
"""(origin, submission) -> cosignature lines. NotFoundOrNotPermitted: no such log is known; VerificationFailed with the
steps of `audit.witness`; AuditUnavailable: nothing was signed."""

_STATUS: Final = {
    witness.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    witness.OLD_SIZE: HTTPStatus.CONFLICT,
    witness.PROOF: HTTPStatus.UNPROCESSABLE_ENTITY,
}


@dataclass(frozen=True, slots=True)
class WitnessDoor:
    """`POST /add-checkpoint`, with the specification's codes."""

    cosign: Cosign

    @property
    def route(self) -> Take:
        """For `web.edge`."""
        return Take(REQUEST_BYTES_MAX, self.add_checkpoint)

    async def add_checkpoint(self, body: bytes) -> Page:
        """200 with cosignature lines; 400, 403, 404, 409 with our size, 422, or 503 where our log does not answer."""
        try:
            asked = read_submission(body)
            origin = checkpoint.parse(note.parse(asked.noted).text).origin
        except Malformed:
            return Page(b"not an add-checkpoint request\n", status=HTTPStatus.BAD_REQUEST)
        try:
            return Page(await self.cosign(origin, asked))
        except NotFoundOrNotPermitted:
            return Page(b"no such log\n", status=HTTPStatus.NOT_FOUND)
        except VerificationFailed as refused:
            status = _STATUS.get(refused.step, HTTPStatus.FORBIDDEN)
            if status is HTTPStatus.CONFLICT and refused.position is not None:
                return Page(b"%d\n" % refused.position, SIZE_TYPE, status=status)
            return Page(f"{refused.step}\n".encode("ascii"), status=status)
        except AuditUnavailable:
            return Page(b"not now\n", status=HTTPStatus.SERVICE_UNAVAILABLE)
        except GatewayError:
            return Page(b"refused\n", status=HTTPStatus.FORBIDDEN)
