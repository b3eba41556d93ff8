"""Two live states' logs, held against each other from exports alone: an honest pair, and an operator who rewrote."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.audit import merkle
from gateway.audit.leaf import Leaf
from gateway.cli.acts.nodes import Ran, limen, must
from gateway.primitives import cbor
from tests.e2e.test_states_auditor import Export
from tests.support.states import States, running

AGENCIES = {"PAN": "SNM", "HND": "INM"}


@dataclass
class Pair:
    """Both whole exports, both exports of the pair alone, and the cards of both."""

    states: States
    whole: dict[str, Path]
    alone: dict[str, Path]
    cards: list[str]

    def reconcile(self, one: Path, other: Path, *cards: str) -> Ran:
        return limen(
            "--json", "audit", "reconcile", str(one), str(other), *(cards or self.cards),
            "--federation", str(self.states.nodes.members),
        )  # fmt: skip


@pytest.fixture(scope="module")
def states() -> Iterator[States]:
    """A region of its own: in the shared one a test has signed answers with a state's keys and logged none, and that is
    just what is found here."""
    with running(AGENCIES) as made:
        yield made


@pytest.fixture(scope="module")
def pair(states: States, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    place = tmp_path_factory.mktemp("reconcile")
    # By now every peer's checkpoints were cosigned, so each knows that the other reads `entry`.
    states.settled()
    for name in ("miss", "document_wanted", "name_and_year"):
        assert states.ask(name).code == 0
    whole, alone, cards = {}, {}, []
    for state, other in (("PAN", "HND"), ("HND", "PAN")):
        whole[state] = states.export(state, place / f"{state}-whole")
        alone[state] = place / f"{state}-alone"
        must("-q", "audit", "export", str(alone[state]), "--config", str(states.folder(state)), "--pair", other)
        cards += ["--trust", str(states.card(state, place / f"{state}.card", "--quorum", "1"))]
    return Pair(states, whole, alone, cards)


def test_an_honest_pair_has_nothing_to_explain_from_whole_copies_and_from_pairs_alone(pair: Pair) -> None:
    for one, other in (
        (pair.whole["PAN"], pair.whole["HND"]),
        (pair.alone["HND"], pair.alone["PAN"]),
        (pair.whole["PAN"], pair.alone["HND"]),
    ):
        ran = pair.reconcile(one, other)
        assert ran.code == 0, ran.err
        assert ran.json["findings"] == [] and ran.json["matched"] >= 3
        assert set(ran.json["newer"]) == {"PAN", "HND"}
    # Live headers name entries: the newest question and the newest answer bind what came before.
    assert min(ran.json["bound"].values()) > 1


def test_every_checkpoint_there_was_is_known_from_a_whole_copy(pair: Pair) -> None:
    """What a message may name, or it proves a fork: trees that end by saying where each pair stands."""
    with pair.states.reading("PAN") as reader:
        sizes = [size for (size,) in reader._db.execute("SELECT size FROM checkpoint WHERE size > 0")]
        assert sizes
        assert {Leaf.parse(reader.leaf(size - 1) or b"").kind for size in sizes} == {"pair.heads"}


def test_a_copy_from_before_the_last_questions_accuses_nobody(pair: Pair, tmp_path: Path) -> None:
    states = pair.states
    early = states.export("PAN", tmp_path / "early")
    for name in ("miss", "document_wanted"):
        assert states.ask(name).code == 0
    late = states.export("HND", tmp_path / "late")
    ran = pair.reconcile(early, late)
    assert ran.code == 0 and ran.json["findings"] == [], ran.err


def test_a_pair_alone_verifies_by_both_verifiers(pair: Pair) -> None:
    for state in ("PAN", "HND"):
        card = Path(pair.cards[1 if state == "PAN" else 3])
        ran = pair.states.verify(pair.alone[state], card)
        assert ran.code == 0 and {step["step"] for step in ran.json["steps"]} >= {"tail", "sequence"}


def test_an_operator_who_rewrites_his_log_and_signs_it_anew_is_found_by_the_other_side(
    pair: Pair, tmp_path: Path
) -> None:
    states = pair.states
    folder = tmp_path / "rewritten"
    shutil.copytree(pair.whole["PAN"], folder)
    shutil.rmtree(folder / "payloads", ignore_errors=True)
    (folder / "history").write_bytes(b"")
    (folder / "format").write_bytes(b"limen.export/1\nno payloads\n")
    lonely = states.card("PAN", tmp_path / "lonely", "--quorum", "0")
    copy = Export(states, folder, lonely, lonely, lonely, 0)
    leaves = copy.leaves()
    kinds = ("check.ask", "check.answer")
    asked = [n for n, leaf in enumerate(map(Leaf.parse, leaves)) if leaf.kind in kinds and leaf.peer == "HND"]
    at = asked[0]
    # Both entries of the question, so that the log agrees with itself; then every chain anew.
    last: dict[str, bytes] = {}
    for n, data in enumerate(leaves):
        fields = cbor.decode(data)
        if n in (at, next(n for n in asked if Leaf.parse(leaves[n]).public.get("intent_seq") == at)):
            fields["public"]["purpose"] = "DOC.STATUS"
        if fields["peer"]:
            fields["pair_hash"] = last.get(fields["peer"], bytes(32))
            last[fields["peer"]] = merkle.leaf_hash(cbor.encode(fields))
        leaves[n] = cbor.encode(fields)
    copy.write(leaves, all_tiles=True)
    copy.sign(leaves)
    assert states.verify(folder, lonely).code == 0, "alone it is without a fault"
    ran = pair.reconcile(folder, pair.whole["HND"], "--trust", str(lonely), *pair.cards[2:])
    assert ran.code == 6
    found = ran.json["findings"]
    assert {one["fault"] for one in found} == {"PAN"}
    assert any(one["position"] <= at <= one["until"] and one["proof"]["signer"] == "PAN" for one in found)


def test_what_cannot_be_compared_is_refused_in_words(pair: Pair) -> None:
    twice = pair.reconcile(pair.whole["PAN"], pair.alone["PAN"])
    assert twice.code == 8 and "both copies are PAN's log" in twice.err
    uncarded = pair.reconcile(pair.whole["PAN"], pair.whole["HND"], *pair.cards[:2])
    assert uncarded.code == 8 and "no trust card names the log" in uncarded.err


def test_a_sample_that_was_announced_is_drawn_from_what_witnesses_sign_afterwards(pair: Pair, tmp_path: Path) -> None:
    states = pair.states
    whom = states.data.traveller("miss").asked_by
    owner = next(state for state in states.nodes.nodes if state != whom)
    told = must("--json", "audit", "announce", "--config", str(states.folder(whom)), "--about", owner, "--count", "2")
    seq = told.json["announced"]
    copies = [states.export(state, tmp_path / state, cosignatures=1) for state in (whom, owner)]
    cards = [states.card(state, tmp_path / f"{state}.card", "--quorum", "1") for state in (whom, owner)]
    words = [
        "--json", "audit", "sample", *map(str, copies), *(part for card in cards for part in ("--trust", str(card))),
        "--federation", str(states.nodes.members),
        "--reader-key", str(states.folder(whom) / "handover" / "auditor.key"),
    ]  # fmt: skip
    every = limen(*words)
    assert every.code == 0, every.err
    assert every.json["counts"]["same"] >= 1 and every.json["counts"]["smuggled"] == 0 == len(every.json["undeclared"])
    drawn = limen(*words, "--announced", str(seq))
    assert drawn.code == 0, drawn.err
    assert 0 < len(drawn.json["looked"]) <= 2
    assert limen(*words, "--announced", str(seq)).json == drawn.json
    assert limen(*words, "--announced", "0").code == 8
