"""What strangers send in the log's formats is read or refused with our error: whole files, mutated where it matters.

Random bytes seldom get past a first line. So each parser is given something valid that was cut, joined, repeated,
replaced and flipped, beside bytes of any kind.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import bundle, checkpoint, export, leaf, note, tiles, trust
from gateway.audit.checkpoint import Checkpoint
from gateway.errors import InputRefused, Malformed
from gateway.web.tlog import read_submission
from gateway.web.witness import read_head
from tests.unit.audit.log import CARD, LOG, LOG_KEY, Made

MADE: Final = Made(3)
NOTED: Final = MADE.store.last_checkpoint() or (b"", b"")
HEAD: Final = checkpoint.parse(note.parse(NOTED[0]).text)
LEAVES: Final = MADE.store.leaves(0, HEAD.size)
TREE: Final = MADE.store.tree()
PATH: Final = [base64.b64encode(one) for one in TREE.consistency(5)]
SUBMISSION: Final = b"\n".join([b"old 5", *PATH]) + b"\n\n" + NOTED[0]
POLICY: Final = (
    CARD.encode().replace("quorum peers", "group any-of any peers\nquorum any-of")
    + f"seen {HEAD.origin} {HEAD.size} {base64.b64encode(HEAD.root).decode()}\nperson {'ab' * 32}\n"
).encode()
ANSWER: Final = b"HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 3\r\n\r\n"
PROOF: Final = bundle.Bundle(NOTED[0], (bundle.Piece(2, LEAVES[2], tuple(TREE.inclusion(2))),))


def _card(data: bytes) -> trust.Card:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Malformed("card", "not UTF-8") from None
    return trust.Card.parse(text)


def _head(data: bytes) -> Any:  # noqa: ANN401
    try:
        return read_head(data)
    except ValueError as cause:
        raise Malformed("head", str(cause)) from None


ODD: Final = (
    b"\x00", b"\xff", b"-1", b"9" * 30, "\u0663".encode(), b"\r\n", b"\xe2\x80\x94 ", b"\t", b" ", b"=", b"\n\n",
)  # fmt: skip
"""What numbers and texts choke on."""

PARSERS: Final[dict[str, tuple[Callable[[bytes], Any], bytes]]] = {
    "note": (note.parse, NOTED[0]),
    "signature lines": (note.parse_lines, NOTED[0].partition(b"\n\n")[2]),
    "vkey": (lambda data: note.Verifier.parse(data.decode("latin-1")), LOG_KEY.vkey.encode()),
    "checkpoint": (checkpoint.parse, HEAD.encode()),
    "tile": (tiles.split_tile, b"".join(MADE.store.hashes(0, 0, HEAD.size))),
    "entry bundle": (tiles.decode_bundle, tiles.encode_bundle(LEAVES)),
    "leaf": (leaf.Leaf.parse, LEAVES[1]),
    "tlog-policy": (_card, POLICY),
    "add-checkpoint": (read_submission, SUBMISSION),
    "a witness's answer": (
        _head,
        ANSWER,
    ),
    "records": (lambda data: export.split_records(data, "records"), export.records([b"a", b"", b"c" * 300])),
    "receipt": (export.Receipt.parse, MADE.receipt.encode()),
    "tlog-proof": (bundle.parse, PROOF.as_proof()),
    "bundle": (bundle.parse, PROOF.encode()),
}


@st.composite
def mutated(draw: st.DrawFn, valid: bytes) -> bytes:
    """One to four changes of a valid file."""
    data = valid
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        stop = draw(st.integers(at, min(len(data), at + 64)))
        match draw(st.integers(0, 5)):
            case 0:  # Other bytes in the place of some.
                data = data[:at] + draw(st.binary(max_size=8)) + data[stop:]
            case 1:  # Cut off.
                data = data[:at]
            case 2:  # A piece twice.
                data = data[:stop] + data[at:stop] + data[stop:]
            case 3:  # A flipped bit.
                if at < len(data):
                    data = data[:at] + bytes((data[at] ^ 1 << draw(st.integers(0, 7)),)) + data[at + 1 :]
            case 4:  # A line less, or moved to the end.
                lines = data.split(b"\n")
                line = lines.pop(draw(st.integers(0, len(lines) - 1)))
                data = b"\n".join([*lines, *([line] if draw(st.booleans()) else [])])
            case _:
                odd = draw(st.sampled_from(ODD))
                data = data[:at] + odd + data[at:]
    return data


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_valid_is_read(name: str) -> None:
    read, valid = PARSERS[name]
    assert read(valid) is not None


@settings(max_examples=100)
@given(data=st.data())
@pytest.mark.parametrize("name", PARSERS)
def test_whatever_became_of_it_is_read_or_refused(name: str, data: st.DataObject) -> None:
    read, valid = PARSERS[name]
    given_ = data.draw(mutated(valid) | st.binary(max_size=500))
    try:
        read(given_)
    except (Malformed, InputRefused) as refusal:
        assert "\n" not in str(refusal)


@settings(max_examples=100)
@given(st.data())
def test_what_is_read_is_what_was_written(data: st.DataObject) -> None:
    """Two texts never mean one note, head, policy or proof: what parses encodes back to itself."""
    noted = data.draw(mutated(NOTED[0]))
    with contextlib.suppress(Malformed):
        parsed = note.parse(noted)
        assert parsed.encode() == noted
        assert checkpoint.parse(parsed.text).encode() == parsed.text
    proof = data.draw(mutated(PROOF.encode()))
    with contextlib.suppress(Malformed):
        assert bundle.Bundle.parse(proof).encode() == proof
    try:
        card = _card(data.draw(mutated(POLICY)))
    except (Malformed, InputRefused):
        return
    assert trust.Card.parse(card.encode()) == card


@settings(max_examples=50)
@given(st.data())
def test_nothing_mutated_is_a_checkpoint_that_the_log_has_signed(data: st.DataObject) -> None:
    noted = data.draw(mutated(NOTED[0]))
    try:
        opened = note.open_note(noted, [LOG_KEY])
    except Exception as refusal:
        assert type(refusal).__module__ == "gateway.errors"
        return
    assert opened.text == HEAD.encode()
    assert Checkpoint(HEAD.origin, HEAD.size, HEAD.root).encode() == opened.text
    assert LOG.public == LOG_KEY.public
