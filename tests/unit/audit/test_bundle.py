"""Entries that are handed out with their proofs: both verifiers say the same of any of them, and of any bytes."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from examples import limen_verify as one
from gateway.audit import bundle, merkle, trust
from gateway.audit.bundle import Bundle, Piece
from gateway.audit.leaf import Leaf, opened_pairs
from gateway.audit.seal import Opener
from gateway.cli.main import run as main
from gateway.errors import Malformed, NotFoundOrNotPermitted
from gateway.federation import fingerprint
from gateway.keyring import files
from gateway.primitives import cbor
from tests.unit.audit.both import MadeWithCases, card, written
from tests.unit.audit.log import READERS

ENTRIES = (0, 1, 200, 256, 279)


@cache
def made() -> Bundle:
    """Five entries, one of them with opened fields."""
    folder = MadeWithCases.copy()
    leaf = Leaf.parse(MadeWithCases.leaves()[1])
    (payload,) = (sealed for seq, sealed in MadeWithCases.made().store.payloads(1, 2) if seq == 1)
    opened = opened_pairs(leaf, Opener(READERS["supervisor"]).open(payload).secret)
    fields = {name: opened[name] for name in ("officer", "case", "keys")}
    return bundle.make(folder, ENTRIES, opened={1: fields}, card=trust.Card.encode(card()))


def judged(data: bytes, trusted: trust.Card | None = None) -> tuple[bool, str, int | None, dict[str, Any]]:
    """(holds, first step that does not, its entry, the document): of both, which must agree; "refused" as the step
    where it is neither a bundle nor a proof."""
    trusted = trusted or card()
    try:
        found = bundle.inspect(data, trusted)
    except Malformed:
        with pytest.raises(one.Refused):
            one.Evidence(data, one.Card(trusted.encode().encode())).run()
        return False, "refused", None, {}
    ours = one.Evidence(data, one.Card(trusted.encode().encode()))
    ours.run()
    theirs, said = found.as_json(), ours.document()
    for name in ("form", "ok", "origin", "size", "root", "cosignatures", "entries", "proved", "not_proved"):
        assert said[name] == theirs[name], name
    places = [[(s["step"], s["ok"], s.get("position")) for s in report["steps"]] for report in (theirs, said)]
    assert places[0] == places[1]
    fault, verdict = found.report.fault(), ours.verdict()
    if fault is None or verdict is None:
        assert fault is None and verdict is None
        return True, "", None, said
    assert (fault.step, fault.position) == (verdict[0], verdict[1].position)
    return False, fault.step, fault.position, said


def test_a_bundle_holds_says_what_is_opened_and_what_it_does_not_prove() -> None:
    held, _, _, said = judged(made().encode())
    assert held and [entry["seq"] for entry in said["entries"]] == list(ENTRIES)
    assert said["entries"][1]["opened"] == {
        "officer": "P-77", "case": "C-0", "keys": [b"doc/1 AB123456".hex()],
    }  # fmt: skip
    assert any("left others out" in line for line in said["not_proved"])
    assert Bundle.parse(made().encode()) == made()


@pytest.mark.parametrize("index", [0, 1, 255, 256, len(MadeWithCases.leaves()) - 1])
def test_a_proof_is_a_c2sp_tlog_proof(index: int) -> None:
    folder = MadeWithCases.copy()
    proof = bundle.make(folder, [index]).as_proof()
    assert judged(proof)[0]
    # Read here once more by the specification's own words: form, extra, index, path, a blank line, the checkpoint.
    head, checkpoint = proof.split(b"\n\n", 1)
    lines = head.decode().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1" and lines[2] == f"index {index}"
    assert base64.b64decode(lines[1].removeprefix("extra ")) == MadeWithCases.leaves()[index]
    assert checkpoint == folder["checkpoint"]
    path = [base64.b64decode(line) for line in lines[3:]]
    head_ = MadeWithCases.head()
    merkle.verify_inclusion(
        index, head_.size, merkle.leaf_hash(MadeWithCases.leaves()[index]), path, head_.root
    )  # fmt: skip


def changed(number: int, change: Callable[[Piece], Piece]) -> bytes:
    pieces = list(made().pieces)
    pieces[number] = change(pieces[number])
    return replace(made(), pieces=tuple(pieces)).encode()


@pytest.mark.parametrize(
    ("data", "step", "position"),
    [
        pytest.param(
            lambda: changed(2, lambda one_: replace(one_, leaf=MadeWithCases.leaves()[201])), "inclusion", 200,
            id="another leaf",
        ),
        pytest.param(lambda: changed(2, lambda one_: replace(one_, index=201)), "inclusion", 201, id="another number"),
        pytest.param(lambda: changed(0, lambda one_: replace(one_, path=one_.path[:-1])), "inclusion", 0, id="short"),
        pytest.param(
            lambda: changed(0, lambda one_: replace(one_, path=(*one_.path, bytes(32)))), "inclusion", 0, id="long"
        ),
        pytest.param(
            lambda: changed(4, lambda one_: replace(one_, index=1 << 60)), "inclusion", 1 << 60, id="beyond the tree"
        ),
        pytest.param(
            lambda: changed(1, lambda one_: replace(
                one_, opened={"officer": (one_.opened["officer"][0], cbor.encode("P-78"))})),
            "commitments", 1, id="another officer",
        ),
        pytest.param(
            lambda: changed(1, lambda one_: replace(one_, opened={"case": one_.opened["officer"]})),
            "commitments", 1, id="another field's",
        ),
        pytest.param(
            lambda: changed(1, lambda one_: replace(one_, opened={"officer": (bytes(16), b"\xff")})),
            "commitments", 1, id="no value",
        ),
        pytest.param(
            lambda: replace(made(), checkpoint=made().checkpoint.replace(b"pan.example/log\n", b"hnd.example/log\n", 1))
            .encode(), "signature", None, id="another log",
        ),
    ],
)  # fmt: skip
def test_what_is_bent_is_found_at_its_entry(data: Callable[[], bytes], step: str, position: int | None) -> None:
    held, found, at, _ = judged(data())
    assert (held, found, at) == (False, step, position)


def test_a_head_that_the_card_has_seen_otherwise_is_a_fault() -> None:
    seen = replace(MadeWithCases.head(), root=bytes(32))
    assert judged(made().encode(), replace(card(), seen=(seen,)))[:2] == (False, "history")
    older = replace(MadeWithCases.head(), size=5)
    held, _, _, said = judged(made().encode(), replace(card(), seen=(older,)))
    assert held and any("seen before" in line for line in said["not_proved"])


def test_an_entry_that_is_not_there_has_no_proof() -> None:
    with pytest.raises(NotFoundOrNotPermitted):
        bundle.make(MadeWithCases.copy(), [len(MadeWithCases.leaves())])


# -- Any bytes ---------------------------------------------------------------------------------------------------------


def bent(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, left out, put in or repeated."""
    spoiled = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(spoiled) + 1)
        how = chance.randrange(4)
        if how == 0 and at < len(spoiled):
            spoiled[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            del spoiled[at : at + chance.randrange(1, 40)]
        elif how == 2:
            spoiled[at:at] = chance.randbytes(chance.randrange(1, 40))
        else:
            spoiled[at:at] = spoiled[at : at + chance.randrange(1, 200)]
    return bytes(spoiled)


@settings(max_examples=500)
@given(st.integers(0, 1 << 32), st.booleans())
def test_a_bundle_or_a_proof_that_was_bent_is_no_other_truth(seed: int, as_proof: bool) -> None:
    whole = bundle.make(MadeWithCases.copy(), [200]).as_proof() if as_proof else made().encode()
    data = bent(whole, random.Random(seed))
    held, step, _, said = judged(data)
    assert held or step
    # Whatever still holds says of the entries what the log says.
    if held:
        for entry in said["entries"]:
            assert entry["kind"] == Leaf.parse(MadeWithCases.leaves()[entry["seq"]]).kind


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=40) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
NOTED = st.just(made().checkpoint) | st.binary(max_size=60)
ROWS = st.lists(
    st.tuples(
        st.integers(-1, 300) | st.booleans(), st.binary(max_size=60) | st.just(made().pieces[0].leaf),
        st.lists(st.binary(min_size=32, max_size=32) | VALUES, max_size=4),
        st.dictionaries(st.text(max_size=5), st.tuples(st.binary(max_size=17), st.binary(max_size=9)) | VALUES,
                        max_size=3) | VALUES,
    ) | VALUES, max_size=4,
)  # fmt: skip


@settings(max_examples=400)
@given(
    st.binary(max_size=300)
    | VALUES.map(cbor.encode)
    | st.tuples(st.just(bundle.FORMAT), NOTED, st.text(max_size=9) | VALUES, ROWS).map(cbor.encode)
    | st.lists(st.text(max_size=60), max_size=6).map(
        lambda lines: "\n".join([bundle.PROOF_FORMAT, *lines]).encode() + b"\n\n" + made().checkpoint
    )
    | st.binary(max_size=90).map(lambda data: bundle.PROOF_FORMAT.encode() + b"\n" + data)
)
@example(b"")
@example(bundle.PROOF_FORMAT.encode() + b"\n\n\n")
@example(bundle.PROOF_FORMAT.encode() + b"\nextra \nindex 0\n\n" + made().checkpoint)
@example(bundle.PROOF_FORMAT.encode() + b"\nextra AA==\nindex 9999999999999999999\n\n" + made().checkpoint)
@example(cbor.encode([bundle.FORMAT, made().checkpoint, "", []]))
@example(cbor.encode([bundle.FORMAT, made().checkpoint, "", [[True, b"", [], {}]]]))
def test_any_bytes_are_verified_or_refused(data: bytes) -> None:
    judged(data)


@pytest.mark.parametrize("seed", range(8))
def test_any_file_ends_with_a_code_and_one_sentence(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(seed)
    (tmp_path / "card").write_text(card().encode())
    file = tmp_path / "evidence"
    file.write_bytes(chance.choice((chance.randbytes(chance.randrange(300)), bent(made().encode(), chance))))
    alone = one.main([str(file), "--trust", str(tmp_path / "card")])
    assert alone in (0, 6, 8)
    capsys.readouterr()
    assert main(["audit", "verify", str(file), "--trust", str(tmp_path / "card")]) == alone
    said = capsys.readouterr()
    assert "Traceback" not in said.err


# -- Commands ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """An export, a card and a reader's key."""
    written(MadeWithCases.copy(), tmp_path / "export")
    (tmp_path / "card").write_text(card().encode())
    files.write_secret(tmp_path / "supervisor.key", "supervisor", READERS["supervisor"])
    return tmp_path


def test_the_commands_make_a_bundle_and_a_proof_that_the_one_file_takes(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export, trusted, out = str(desk / "export"), str(desk / "card"), desk / "out.limen"
    key = str(desk / "supervisor.key")
    assert main(["audit", "bundle", export, "--trust", trusted, "--entry", "1", "2", "--open", "case",
                 "--reader-key", key, "-o", str(out)]) == 0  # fmt: skip
    assert out.stat().st_mode & 0o777 == 0o600
    capsys.readouterr()
    assert main(["--json", "audit", "verify", str(out), "--trust", trusted]) == 0
    theirs = json.loads(capsys.readouterr().out)
    assert one.main([str(out), "--trust", trusted, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["entries"] == theirs["entries"] and said["entries"][0]["opened"] == {"case": "C-0"}
    assert "P-77" not in out.read_bytes().decode("latin-1")

    proof = desk / "entry.tlog-proof"
    assert main(["audit", "show", export, "--seq", "7", "--proof", str(proof)]) == 0
    capsys.readouterr()
    assert one.main([str(proof), "--trust", trusted]) == 0
    told = capsys.readouterr().out
    assert f"trust card: {' '.join(fingerprint.words('trust card', trust.bare(card().encode())))} (" in told
    assert "entry 7 " in told and "Not proved:" in told
    assert main(["audit", "verify", str(proof), "--trust", trusted]) == 0
    assert "entry 7 " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "export", "--kind", "filler", "--proof", "p"], 2, "name it with --seq"),
        (["bundle", "export", "--trust", "card", "--entry", "99999", "-o", "b"], 4, "there is no entry"),
        (["bundle", "export", "--trust", "card", "--entry", "1", "--open", "case", "-o", "b"], 2, "--reader-key"),
        (["bundle", "export", "--trust", "card", "--entry", "0", "--open", "case", "--reader-key", "supervisor.key",
          "-o", "b"], 4, "no"),
        (["verify", "card", "--trust", "card"], 8, "neither a bundle nor a proof"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_with_the_cause(
    desk: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    given_ = [str(desk / word) if word in {"export", "card", "p", "b", "supervisor.key"} else word for word in words]
    ended = main(["audit", *given_])
    told = capsys.readouterr().err
    assert said in told and ended == code, (ended, told)
    assert not (desk / "p").exists() and not (desk / "b").exists()


def test_a_card_s_words_are_the_same_whatever_its_remarks_say() -> None:
    text = card().encode()
    remarked = "# of last year\n\n" + text.replace(" ", "  \t", 3) + "\n# end\n"
    assert trust.bare(text) == trust.bare(remarked) == one.bare(remarked.encode())
    assert one.words(one.bare(remarked.encode())) == " ".join(fingerprint.words("trust card", trust.bare(text)))
    assert trust.bare(text) != trust.bare(text.replace("quorum", "quorum ", 1).replace("peers", "HND"))
