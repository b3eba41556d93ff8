"""The auditor's one file: the standard library alone, the gateway's verdict on everything, and never a traceback."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from examples import limen_verify as one
from gateway.audit import export, trust
from gateway.audit.kinds import CATALOGUE, RETENTION_NS
from gateway.audit.leaf import Leaf
from gateway.audit.note import Verifier
from gateway.audit.verify import STEPS
from gateway.cli.main import run as limen
from gateway.errors import GatewayError, InputRefused, Malformed, VerificationFailed
from gateway.primitives import cbor, ed25519
from tests.extras import ROOT
from tests.unit.audit.both import MadeWithCases, both, card, written
from tests.unit.audit.log import WITNESS_KEYS

FILE = ROOT / "examples" / "limen_verify.py"
VECTORS: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / "log1.json").read_text("ascii"))


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The file alone: no environment, no site packages, from anywhere."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "limen_verify.py", *map(str, words)],
        cwd=cwd, env={"PATH": ""}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an auditor takes along: the file, a card, an export."""
    folder = tmp_path_factory.mktemp("laptop")
    (folder / "limen_verify.py").write_bytes(FILE.read_bytes())
    (folder / "card").write_text(card().encode())
    written(MadeWithCases.copy(), folder / "export")
    return folder


# -- One file ----------------------------------------------------------------------------------------------------------


def test_it_imports_the_standard_library_alone() -> None:
    names: set[str] = set()
    for node in ast.walk(ast.parse(FILE.read_text("utf-8"), feature_version=(3, 9))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("__import__", "exec", "eval", "compile")
    assert names <= sys.stdlib_module_names
    assert not names & {"importlib", "socket", "urllib", "http", "ctypes", "subprocess"}


def test_its_steps_and_terms_are_the_gateway_s() -> None:
    assert one.STEPS == STEPS and one.TERMS_NS == RETENTION_NS
    told = [line.split()[1] for line in (one.__doc__ or "").splitlines() if line[:3].strip().rstrip(".").isdigit()]
    assert told == list(STEPS)
    assert {(kind.name, kind.phase.value) for kind in CATALOGUE} == one.KINDS.keys()


def test_it_runs_alone_and_ends_with_what_is_proved_and_what_is_not(laptop: Path) -> None:
    ran = run("export", "--trust", "card", cwd=laptop)
    assert (ran.returncode, ran.stderr) == (0, "")
    said = ran.stdout.splitlines()
    assert [line.split()[:3] for line in said if re.match(r" [ \d]\d\. ", line)] == [
        [f"{n}.", "ok", step] for n, step in enumerate(STEPS, 1)
    ]
    proved, not_proved = said.index("Proved:"), said.index("Not proved:")
    assert 0 < proved < not_proved < len(said) - 2
    assert any("never entered" in line for line in said[not_proved:]) and any(
        "true" in line for line in said[not_proved:]
    )
    document = json.loads(run("export", "--trust", "card", "--json", cwd=laptop).stdout)
    assert document["ok"] and [step["step"] for step in document["steps"]] == list(STEPS)
    assert sorted(path.name for path in laptop.iterdir()) == ["card", "export", "limen_verify.py"]


def test_exit_codes_are_the_product_s_and_there_is_one_sentence(laptop: Path, tmp_path: Path) -> None:
    (tmp_path / "limen_verify.py").write_bytes(FILE.read_bytes())
    (tmp_path / "card").write_text(card().encode())
    (tmp_path / "words").write_text("this is no card\n")
    folder = MadeWithCases.copy()
    del folder["tile/0/000"]
    written(folder, tmp_path / "export")
    for code, words in (
        (6, ("export", "--trust", "card")),
        (8, ("export", "--trust", "words")),
        (8, ("export", "--trust", "nothing")),
        (8, ("nothing", "--trust", "card")),
        (8, (".", "--trust", "card")),
        (8, ("export", "--trust", "card", "--witnessed", "nothing")),
    ):
        ran = run(*words, cwd=tmp_path)
        assert (ran.returncode, len(ran.stderr.splitlines())) == (code, 1), ran.stderr
        assert bool(ran.stdout) == (code == 6)
    assert run("export", cwd=tmp_path).returncode == 2
    refused = run("export", "--trust", "card", cwd=tmp_path)
    assert refused.stderr.startswith("limen-verify: root at entry 0: ") and "Proved:\n  Nothing" in refused.stdout


@pytest.mark.parametrize(
    "content", [b"", bytes(range(256)), b"surname;given_names\nDOE;JANE\n"], ids=["empty", "bytes", "list"]
)
def test_a_wrong_file_of_a_witness_is_the_reader_s_mistake_and_accuses_no_log(
    laptop: Path, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(content)
    ran = run("export", "--trust", "card", "--witnessed", str(wrong), cwd=laptop)
    code = limen(
        ["audit", "verify", str(laptop / "export"), "--trust", str(laptop / "card"), "--witnessed", str(wrong)]
    )
    found = capsys.readouterr()
    assert (ran.returncode, ran.stdout, code, found.out) == (8, "", 8, "")
    for said in (ran.stderr, found.err):
        assert f"{wrong}: is not a note of a log's head" in said and said.count("\n") == 1 and "DOE" not in said
    held = str(laptop / "export" / "checkpoint")
    assert run("export", "--trust", "card", "--witnessed", held, cwd=laptop).returncode == 0


def test_words_of_an_unknown_hand_do_not_reach_the_terminal() -> None:
    assert one.shown("a\x1b[2Jb\x9bc\u202e") == "a?[2Jb?c?"


# -- The same verdict --------------------------------------------------------------------------------------------------


def test_both_verify_a_log_with_cases_and_persons() -> None:
    verdict = both(MadeWithCases.copy(), card())
    assert verdict.ok and verdict.details["persons"].startswith("6 signatures hold, 1 disclosures")


def test_both_verify_the_vectors() -> None:
    folder = export.MemoryFolder({path: bytes.fromhex(data) for path, data in VECTORS["export"].items()})
    assert both(folder, trust.Card.parse(VECTORS["trust_card"])).ok


@pytest.mark.parametrize("case", VECTORS["refused_leaves"], ids=lambda case: case["why"])
def test_a_leaf_that_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(one.Refused):
        one.leaf(bytes.fromhex(case["leaf"]))


def test_both_read_the_same_cards() -> None:
    text = card().encode()
    for wrong in (
        "log", "log x", "witness a b", "group g 1 nobody", "group peers 1 HND", "quorum none", "seen a 1 AAAA",
        "seen a x AAAA", "person 12", f"log {WITNESS_KEYS['HND'].vkey}", "what is this",
        f"witness again {WITNESS_KEYS['HND'].vkey}",
    ):  # fmt: skip
        with pytest.raises(InputRefused) as told:
            trust.Card.parse(f"{text}{wrong}\n")
        with pytest.raises(one.Refused, match=f"line {told.value.line}:"):
            one.Card(f"{text}{wrong}\n".encode())
    with pytest.raises(one.Refused, match="quorum"):
        one.Card(b"# nothing\n")
    commented = one.Card(("# a comment\n\n" + text.replace(" ", " \t ")).encode())
    assert commented.persons == card().persons and commented.quorum == card().quorum.name
    # A node's tlog-policy is a card too, with the addresses of witnesses outside.
    key = WITNESS_KEYS["HND"].vkey
    policy = text.replace(key, f"{key} https://witness.example/limen")
    assert trust.Card.parse(policy).urls == {"HND": "https://witness.example/limen"}
    assert trust.Card.parse(policy).encode() == policy
    assert one.Card(policy.encode()).witnesses.keys() == one.Card(text.encode()).witnesses.keys()
    for reader in (trust.Card.parse, lambda given_: one.Card(given_.encode())):
        with pytest.raises((InputRefused, one.Refused)):
            reader(policy.replace("/limen", "/limen more"))


def test_a_witness_counts_through_groups() -> None:
    names = [f"w{n}" for n in range(5)]
    keys = [Verifier(name, 4, bytes([n + 1]) * 32) for n, name in enumerate(names)]
    text = "".join(f"witness {key.name} {key.vkey}\n" for key in keys)
    text += "group a all w0 w1\ngroup b any w2 w3\ngroup c 2 a b w4\nquorum c\n"
    ours, theirs = one.Card(text.encode()), trust.Card.parse(text)
    for mask in range(32):
        held = {name for n, name in enumerate(names) if mask >> n & 1}
        assert ours.enough(held) == theirs.quorum.holds(held)


# -- Ed25519 -----------------------------------------------------------------------------------------------------------

# RFC 8032 section 7.1: tests 1, 2, 3 and SHA(abc); public key, message, signature.
RFC8032 = (
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
)


def judged(public: bytes, message: bytes, signature: bytes) -> bool:
    """What the one file says; libsodium says the same."""
    try:
        one.verify(public, message, signature)
        ours = True
    except one.Bad:
        ours = False
    try:
        ed25519.verify(public, message, signature)
        theirs = True
    except VerificationFailed:
        theirs = False
    assert ours == theirs
    return ours


@pytest.mark.parametrize("vector", RFC8032)
def test_the_rfc_s_signatures_hold_and_no_bit_of_them_may_change(vector: tuple[str, str, str]) -> None:
    public, message, signature = map(bytes.fromhex, vector)
    assert judged(public, message, signature)
    chance = random.Random(8032)
    for whole in (public, message, signature):
        for at in chance.sample(range(8 * len(whole)), min(12, 8 * len(whole))):
            bent = bytearray(whole)
            bent[at // 8] ^= 1 << at % 8
            parts = [bytes(bent) if part is whole else part for part in (public, message, signature)]
            assert not judged(*parts)
    assert not judged(public, message, signature[:-1]) and not judged(public[:-1], message, signature)


def times(number: int, point: one.Point) -> one.Point:
    sum_ = one.NEUTRAL
    for bit in bin(number)[2:]:
        sum_ = one.double(sum_)
        if bit == "1":
            sum_ = one.add(sum_, point)
    return sum_


def encoded(point: one.Point) -> bytes:
    inverse = pow(point[2], one.P - 2, one.P)
    x, y = point[0] * inverse % one.P, point[1] * inverse % one.P
    return (y | (x & 1) << 255).to_bytes(32, "little")


TWIST = one.point(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
"""A point of order 8."""


def test_a_second_form_of_s_is_refused() -> None:
    public, message, signature = map(bytes.fromhex, RFC8032[1])
    s = int.from_bytes(signature[32:], "little")
    for more in range(1, 8):
        assert not judged(public, message, signature[:32] + (s + more * one.L).to_bytes(32, "little"))


def test_points_of_small_order_and_second_forms_are_refused() -> None:
    small = [encoded(times(n, TWIST)) for n in range(8)]
    # Second forms: y + p for y of 0 and 1, and x = 0 with a sign.
    other = [(one.P + y | sign << 255).to_bytes(32, "little") for y in (0, 1) for sign in (0, 1)]
    other += [bytes([1]) + bytes(30) + b"\x80", (one.P - 1 | 1 << 255).to_bytes(32, "little")]
    assert len(set(small + other)) == 14
    for key in small + other:
        for start in small + other:
            assert not judged(key, b"any", start + bytes(32))
    for data in (*other, *((one.P + y).to_bytes(32, "little") for y in range(2, 19)), (2).to_bytes(32, "little")):
        with pytest.raises(one.Bad):
            one.point(data)


@pytest.mark.parametrize("key_twist", range(8))
@pytest.mark.parametrize("start_twist", range(8))
def test_with_a_component_of_small_order_both_judge_alike(key_twist: int, start_twist: int) -> None:
    chance = random.Random(8 * key_twist + start_twist)
    secret, nonce = chance.randrange(one.L), chance.randrange(one.L)
    public = encoded(one.add(times(secret, one.BASE), times(key_twist, TWIST)))
    start = encoded(one.add(times(nonce, one.BASE), times(start_twist, TWIST)))
    message = chance.randbytes(20)
    k = int.from_bytes(hashlib.sha512(start + public + message).digest(), "little") % one.L
    signature = start + ((nonce + k * secret) % one.L).to_bytes(32, "little")
    # Without the cofactor it holds only where the small parts cancel.
    assert judged(public, message, signature) == ((key_twist * k + start_twist) % 8 == 0)


# -- Any bytes ---------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=40) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(0, 500), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_the_gateway_encodes_is_read_back(value: Any) -> None:  # noqa: ANN401
    assert one.cbor(cbor.encode(value)) == value


@settings(max_examples=600)
@given(st.binary(max_size=60) | VALUES.map(cbor.encode).flatmap(
    lambda data: st.integers(0, 8 * len(data) - 1).map(
        lambda at: data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :])))  # fmt: skip
@example(b"\x81" * 17 + b"\x00")
@example(b"\x81" * 16 + b"\x00")
@example(b"\x9b" + b"\xff" * 8)
@example(b"\xa2\x61b\x00\x61a\x00")
@example(b"\xa1\xf5\x00")
@example(b"\xf9\x00\x00")
@example(b"\xf8\x14")
@example(b"\xc0\x00")
@example(b"\x1a\x00\x00\xff\xff")
@example(b"\x3b" + b"\xff" * 8)
@example(b"\x61\xff")
def test_both_read_any_bytes_alike(data: bytes) -> None:
    try:
        theirs = cbor.decode(data)
    except Malformed:
        with pytest.raises(one.Refused):
            one.cbor(data)
        return
    assert one.cbor(data) == theirs


@settings(max_examples=300)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 7))
def test_both_read_a_bent_leaf_alike(which: int, at: int, bit: int) -> None:
    leaves = MadeWithCases.leaves()
    data = bytearray(leaves[which % len(leaves)])
    data[at % len(data)] ^= 1 << bit
    try:
        theirs = Leaf.parse(bytes(data))
    except Malformed:
        with pytest.raises(one.Refused):
            one.leaf(bytes(data))
        return
    ours = one.leaf(bytes(data))
    assert (ours["seq"], ours["kind"], ours["public"]) == (theirs.seq, theirs.kind, theirs.public)


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_card_a_note_a_bundle_and_records_or_refused(data: bytes) -> None:
    for reader in (one.Card, one.note, one.entries_of, lambda given_: list(one.records(given_))):
        with contextlib.suppress(one.Refused):
            reader(data)


@pytest.mark.parametrize("seed", range(12))
def test_garbage_in_any_file_is_a_verdict(seed: int) -> None:
    """Of both, and the same one; the file before says nothing about the next."""
    chance = random.Random(seed)
    for path in MadeWithCases.copy():
        folder = MadeWithCases.copy()
        kept = folder[path]
        at = chance.randrange(len(kept) + 1)
        folder[path] = chance.choice((
            chance.randbytes(chance.randrange(300)), b"", kept[:at], kept + chance.randbytes(3),
            kept[:at] + chance.randbytes(5) + kept[at + 5 :], kept[at:] + kept[:at],
        ))  # fmt: skip
        both(folder, card())


@pytest.mark.parametrize("seed", range(6))
def test_a_folder_of_garbage_ends_with_a_code(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(seed)
    folder = MadeWithCases.copy()
    for path in chance.sample(sorted(folder), 3):
        folder[path] = chance.randbytes(chance.randrange(400))
    written(folder, tmp_path / "export")
    (tmp_path / "export" / "tile" / "0" / "001").mkdir(parents=True, exist_ok=True)
    (tmp_path / "card").write_text(card().encode())
    assert one.main([str(tmp_path / "export"), "--trust", str(tmp_path / "card")]) in (6, 8)
    (tmp_path / "card").write_bytes(chance.randbytes(300))
    assert one.main([str(tmp_path / "export"), "--trust", str(tmp_path / "card")]) == 8
    assert "Traceback" not in capsys.readouterr().err


def test_errors_of_the_gateway_are_of_the_catalogue() -> None:
    with pytest.raises(GatewayError):
        trust.Card.parse("nothing")
