"""Our log as static pages and our witness over HTTP (C2SP tlog-tiles, tlog-witness)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import checkpoint, merkle, note, tiles, witness
from gateway.audit.checkpoint import Checkpoint
from gateway.errors import AuditUnavailable, Malformed, NotFoundOrNotPermitted, PeerSuspended, VerificationFailed
from gateway.primitives import ed25519
from gateway.web.edge import Page
from gateway.web.tlog import SIZE_TYPE, Submission, TilesDoor, WitnessDoor, read_submission

SIGNER = ed25519.Signer(bytes(32))
KEY = note.Verifier("pan.example/log", note.LOG_KEY, SIGNER.public)


@dataclass
class Grown:
    """A log of so many entries, of which `shown` are published."""

    shown: int
    leaves: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.leaves = [merkle.leaf_hash(number.to_bytes(4, "big")) for number in range(self.shown + 100)]

    def root(self, size: int) -> bytes:
        return merkle.root_of(self.leaves[:size]) if size else merkle.EMPTY_ROOT

    def last_checkpoint(self, cosignatures: int = 0) -> tuple[bytes, bytes] | None:
        if not self.shown:
            return None
        head = Checkpoint(KEY.name, self.shown, self.root(self.shown))
        return note.sign(head.encode(), KEY, SIGNER.sign), head.digest

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        step = tiles.WIDTH**level
        return [merkle.root_of(self.leaves[at * step : (at + 1) * step]) for at in range(start, stop)]


def test_a_monitor_rebuilds_the_root_from_tiles_alone() -> None:
    log = Grown(70_000 // 100)
    door = TilesDoor(log)
    page = door.checkpoint("")
    assert page is not None
    head = checkpoint.parse(note.open_note(page.body, [KEY]).text)

    class Fetched:
        def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
            number = start // tiles.WIDTH
            shown = door.tile(tiles.path(level, number, stop - start).removeprefix("tile/"))
            assert shown is not None and shown.cache_s
            return tiles.split_tile(shown.body)

    assert tiles.Tree(Fetched(), head.size).root() == head.root


def test_nothing_beyond_the_published_tree_is_shown() -> None:
    door = TilesDoor(Grown(300))
    assert door.tile("0/001.p/44") is not None
    assert door.tile("0/001.p/45") is None
    assert door.tile("0/001") is None
    assert door.tile("1/000.p/1") is not None and door.tile("1/000.p/2") is None
    assert door.tile("2/000.p/1") is None


@pytest.mark.parametrize(
    "rest",
    ["", "0", "0/0", "00/000", "0/x000/001", "0/000/001", "0/000.p/0", "0/000.p/256", "0/000.p/044", "entries/000",
     "0/000/", "0/000?x", "-1/000", "0/\u0661\u0662\u0663", "99/000.p/1", "0/x999/x999/x999/x999/x999/x999/999"],
)  # fmt: skip
def test_a_path_that_is_no_tile_shows_nothing(rest: str) -> None:
    assert TilesDoor(Grown(300)).tile(rest) is None


def test_before_the_first_checkpoint_nothing_is_shown() -> None:
    door = TilesDoor(Grown(0))
    assert door.checkpoint("") is None and door.tile("0/000.p/1") is None


def a_body(old_size: int = 0, proof: Sequence[bytes] = (), shown: int = 300) -> bytes:
    held = Grown(shown).last_checkpoint()
    assert held is not None
    lines = [b"old %d" % old_size, *(base64.b64encode(one) for one in proof)]
    return b"\n".join(lines) + b"\n\n" + held[0]


def posted(body: bytes, answer: bytes | Exception) -> tuple[Page, list[tuple[str, Submission]]]:
    asked: list[tuple[str, Submission]] = []

    async def cosign(origin: str, submission: Submission) -> bytes:
        asked.append((origin, submission))
        if isinstance(answer, Exception):
            raise answer
        return answer

    return asyncio.run(WitnessDoor(cosign).add_checkpoint(body)), asked


def test_a_cosignature_comes_back_as_the_body() -> None:
    proof = [bytes([number]) * 32 for number in range(3)]
    page, asked = posted(a_body(256, proof), b"a line\n")
    assert (page.status, page.body) == (200, b"a line\n")
    ((origin, submission),) = asked
    assert origin == KEY.name
    assert (submission.old_size, submission.proof) == (256, tuple(proof))
    assert note.open_note(submission.noted, [KEY])


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (NotFoundOrNotPermitted("no such log"), 404),
        (VerificationFailed("note", "no known key has signed it"), 403),
        (VerificationFailed(witness.BAD_REQUEST, "larger"), 400),
        (VerificationFailed(witness.OLD_SIZE, "another", position=17), 409),
        (VerificationFailed(witness.PROOF, "does not hold"), 422),
        (PeerSuspended("suspended"), 403),
        (AuditUnavailable("the log does not answer"), 503),
    ],
)
def test_a_refusal_has_the_specifications_code(refusal: Exception, status: int) -> None:
    page, _ = posted(a_body(), refusal)
    assert page.status == status
    if status == 409:
        assert (page.body, page.content_type) == (b"17\n", SIZE_TYPE)


@pytest.mark.parametrize(
    "body",
    [b"", b"old 0", b"old 0\n\n", b"old 00\n\n" + a_body().partition(b"\n\n")[2], b"old -1\n\nx", b"old 0\nAAAA\n\nx",
     b"old 99999999999999999999\n\nx", a_body(1, [bytes(32)] * 64), a_body().replace(b"old 0", b"Old 0"),
     a_body().replace(b"\n300\n", b"\n300 \n"), a_body(1, [bytes(31)])],
)  # fmt: skip
def test_a_body_that_is_no_request_is_refused_before_anybody_is_asked(body: bytes) -> None:
    page, asked = posted(body, b"")
    assert page.status == 400 and not asked


@given(st.binary(max_size=400))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    try:
        read = read_submission(body)
    except Malformed:
        return
    lines = [b"old %d" % read.old_size, *(base64.b64encode(one) for one in read.proof)]
    assert b"\n".join(lines) + b"\n\n" + read.noted == body
