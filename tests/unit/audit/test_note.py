"""Signed notes, checkpoints and cosignatures against published examples, and strictness."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import checkpoint, cosign, note
from gateway.errors import Malformed, VerificationFailed
from gateway.primitives import ed25519

# The example of the note package that the format comes from (golang.org/x/mod/sumdb/note).
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()

# The example checkpoint of C2SP tlog-cosignature.
CHECKPOINT = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()

LOG = ed25519.Signer(bytes(range(32)))
WITNESS = ed25519.Signer(bytes(range(1, 33)))
LOG_KEY = note.Verifier("pan.example/log", note.LOG_KEY, LOG.public)
WITNESS_KEY = note.Verifier("hnd.example/witness", note.WITNESS_KEY, WITNESS.public)
HEAD = checkpoint.Checkpoint("pan.example/log", 7, bytes(range(32)))


def _cosigned() -> bytes:
    noted = note.sign(HEAD.encode(), LOG_KEY, LOG.sign)
    return noted + cosign.line(HEAD.encode(), 1_700_000_000, WITNESS_KEY, WITNESS.sign)


def test_the_published_note_verifies_and_a_changed_letter_does_not() -> None:
    verifier = note.Verifier.parse(NEUMANN)
    assert verifier.vkey == NEUMANN
    assert note.open_note(NEUMANN_NOTE, [verifier]).text.startswith(b"If you think")
    with pytest.raises(VerificationFailed):
        note.open_note(NEUMANN_NOTE.replace(b"problem is", b"problem was"), [verifier])


def test_the_published_checkpoint_parses_to_its_three_lines() -> None:
    parsed = note.parse(CHECKPOINT)
    head = checkpoint.parse(parsed.text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert [signature.name for signature in parsed.signatures] == [
        "example.com/behind-the-sofa",
        "witness.example.com/w1",
    ]
    assert int.from_bytes(parsed.signatures[1].raw[:8], "big") == 1679315147
    assert parsed.encode() == CHECKPOINT
    assert head.encode() == parsed.text


def test_the_text_may_have_empty_lines_of_its_own() -> None:
    text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n".encode()
    assert note.open_note(note.sign(text, LOG_KEY, LOG.sign), [LOG_KEY]).text == text


def test_log_and_witness_both_verify_and_the_time_comes_out() -> None:
    opened = note.open_note(_cosigned(), [LOG_KEY, WITNESS_KEY])
    assert [(good.verifier.name, good.time_s) for good in opened.verified] == [
        ("pan.example/log", 0),
        ("hnd.example/witness", 1_700_000_000),
    ]
    assert checkpoint.parse(opened.text) == HEAD


def test_unknown_keys_are_ignored_even_under_a_known_name() -> None:
    stranger = note.Verifier("pan.example/log", note.LOG_KEY, WITNESS.public)
    noted = note.sign(HEAD.encode(), LOG_KEY, LOG.sign) + stranger.signature(HEAD.encode(), WITNESS.sign).line
    assert len(note.open_note(noted, [LOG_KEY]).verified) == 1
    with pytest.raises(VerificationFailed, match="no known key"):
        note.open_note(note.sign(HEAD.encode(), stranger, WITNESS.sign), [LOG_KEY])


def test_a_bad_line_of_a_known_key_spoils_the_note() -> None:
    bad = note.Signature(WITNESS_KEY.name, WITNESS_KEY.key_id, bytes(72)).line
    with pytest.raises(VerificationFailed, match=r"hnd\.example/witness"):
        note.open_note(note.sign(HEAD.encode(), LOG_KEY, LOG.sign) + bad, [LOG_KEY, WITNESS_KEY])


def test_a_cosignature_is_bound_to_its_time() -> None:
    line = cosign.line(HEAD.encode(), 1_700_000_000, WITNESS_KEY, WITNESS.sign)
    assert note.verify_cosignature(HEAD.encode(), line, WITNESS_KEY) == 1_700_000_000
    signature = note.parse_lines(line)[0]
    later = note.Signature(signature.name, signature.key_id, (1_700_000_001).to_bytes(8, "big") + signature.raw[8:])
    with pytest.raises(VerificationFailed):
        note.verify_cosignature(HEAD.encode(), later.line, WITNESS_KEY)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"text\n",
        b"text\n\n",
        "text\n\n— name".encode(),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— na+me AAAAAAAA\n".encode(),
        "text\n\n— na\u00a0me AAAAAAAA\n".encode(),
        "text\n\n—  AAAAAAAA\n".encode(),
        b"text\n\n- name AAAAAAAA\n",
        "text\n\n— name AAAAAAB=\n".encode(),
        "text\n\n— name AAAA AAAA\n".encode(),
        "te\txt\n\n— name AAAAAAAA\n".encode(),
        b"te\xffxt\n\n\xe2\x80\x94 name AAAAAAAA\n",
        b"x" * (1 << 18),
    ],
)
def test_what_is_not_a_note_is_refused(broken: bytes) -> None:
    with pytest.raises(Malformed):
        note.parse(broken)


@pytest.mark.parametrize(
    "broken",
    [
        b"origin\n7\n" + b"A" * 43 + b"=",
        b"origin\n07\n" + b"A" * 43 + b"=\n",
        b"origin\n-7\n" + b"A" * 43 + b"=\n",
        b"\n7\n" + b"A" * 43 + b"=\n",
        b"origin\n7\n" + b"A" * 42 + b"B=\n",
        b"origin\n7\nAAAA\n",
        b"origin\n7\n" + b"A" * 43 + b"=\nextension\n",
        "origin\n\u0667\n".encode() + b"A" * 43 + b"=\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(broken: bytes) -> None:
    with pytest.raises(Malformed):
        checkpoint.parse(broken)


@pytest.mark.parametrize("vkey", ["", "a+b", NEUMANN[:-1], NEUMANN.replace("c74f20a3", "c74f20a4"), "a+00000000+"])
def test_what_is_not_a_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(Malformed):
        note.Verifier.parse(vkey)


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert note.parse(data).encode() == data
    with contextlib.suppress(Malformed):
        assert checkpoint.parse(data).encode() == data


@given(st.integers(0, len(_cosigned()) - 1), st.integers(0, 7))
def test_any_flipped_bit_of_a_cosigned_checkpoint_loses_a_signature(at: int, bit: int) -> None:
    data = bytearray(_cosigned())
    data[at] ^= 1 << bit
    try:
        opened = note.open_note(bytes(data), [LOG_KEY, WITNESS_KEY])
    except (Malformed, VerificationFailed):
        return
    # A flip in a line's name or key id makes it a stranger's, which is ignored; the text itself never changes unseen.
    assert len(opened.verified) == 1
    assert opened.text == HEAD.encode()


def test_quorum_of_groups() -> None:
    witnesses = {name: WITNESS_KEY for name in ("x1", "x2", "x3", "y1")}
    groups = {"x": cosign.Group(2, ("x1", "x2", "x3")), "all": cosign.Group(2, ("x", "y1"))}
    quorum = cosign.Quorum("all", witnesses, groups)
    assert quorum.holds(["x1", "x3", "y1"])
    assert not quorum.holds(["x1", "y1"])
    assert not quorum.holds(["x1", "x2", "x3"])
    assert cosign.Quorum("none", {}, {}).holds([])
