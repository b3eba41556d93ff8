"""An auditor with a card of public keys and a folder: an honest log verifies, every kind of tampering is located."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.audit import checkpoint, merkle, note, tiles
from gateway.audit.leaf import Leaf
from gateway.audit.note import Verifier
from gateway.cli.acts.nodes import Ran, limen
from gateway.federation import names
from gateway.keyring import files
from gateway.primitives import cbor, ed25519
from tests.support.states import ROOT, States


@dataclass
class Export:
    """A copy of PAN's export that may be spoiled, and the cards to judge it by."""

    states: States
    folder: Path
    card: Path
    """Half of the witnesses and one more, from the list of members."""
    lonely: Path
    """Without any witness: what an auditor has who trusts the operator's signature alone."""
    seen: Path
    """Without witnesses, by an auditor who was here before."""
    early: int
    """How many entries there were then."""

    def leaves(self) -> list[bytes]:
        """Every leaf, in order."""
        size = self.head().size
        return [
            leaf
            for number in range(-(-size // tiles.WIDTH))
            for leaf in tiles.decode_bundle(self._bundle(number, size).read_bytes())
        ]

    def head(self) -> checkpoint.Checkpoint:
        """The checkpoint that stands in the folder."""
        return checkpoint.parse(note.parse((self.folder / "checkpoint").read_bytes()).text)

    def _bundle(self, number: int, size: int) -> Path:
        return self.folder / tiles.entries_path(number, min(tiles.WIDTH, size - number * tiles.WIDTH))

    def write(self, leaves: list[bytes], *, all_tiles: bool) -> None:
        """Put these leaves in place of the true ones; with tiles that fit them, or with the old tiles."""
        size = len(leaves)
        shutil.rmtree(self.folder / "tile" / "entries")
        if all_tiles:
            shutil.rmtree(self.folder / "tile")
        hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
        for level, number, width in tiles.widths(size):
            start = number * tiles.WIDTH
            if all_tiles:
                span = tiles.WIDTH**level
                row = [merkle.root_of(hashes[n * span : (n + 1) * span]) for n in range(start, start + width)]
                self._put(tiles.path(level, number, width), b"".join(row))
            if level == 0:
                self._put(tiles.entries_path(number, width), tiles.encode_bundle(leaves[start : start + width]))

    def _put(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def sign(self, leaves: list[bytes]) -> None:
        """A new checkpoint over the leaves under the log's true key, as its operator can make it and nobody else."""
        held = files.read_secret(self.states.folder("PAN") / "keys" / "log.key", "log")
        seed = held.copy()
        held.free()
        origin = names.log_origin(self.states.nodes["PAN"].settings.state)
        verifier = Verifier(origin, note.LOG_KEY, ed25519.public(seed))
        head = checkpoint.Checkpoint(origin, len(leaves), merkle.root_of([merkle.leaf_hash(leaf) for leaf in leaves]))
        noted = note.sign(head.encode(), verifier, lambda text: ed25519.sign(seed, text))
        (self.folder / "checkpoint").write_bytes(noted)

    def verify(self, card: Path | None = None, *more: str) -> Ran:
        """`limen audit verify`."""
        return self.states.verify(self.folder, card or self.card, *more)


@dataclass
class Origin:
    """What every copy is made from."""

    states: States
    folder: Path
    card: Path
    lonely: Path
    seen: Path
    early: int


@pytest.fixture(scope="module")
def origin(states: States, tmp_path_factory: pytest.TempPathFactory) -> Origin:
    place = tmp_path_factory.mktemp("auditor")
    for name in ("miss", "document_wanted", "name_and_year"):
        assert states.ask(name).code == 0
    early = states.export("PAN", place / "early", cosignatures=2)
    for name in ("undeclared", "document_lost", "refugee", "name_and_date", "child"):
        assert states.ask(name).code == 0
    folder = states.export("PAN", place / "export", cosignatures=2)
    return Origin(
        states,
        folder,
        states.card("PAN", place / "card"),
        states.card("PAN", place / "lonely", "--quorum", "0"),
        states.card("PAN", place / "seen", "--quorum", "0", "--seen", str(early)),
        checkpoint.parse(note.parse((early / "checkpoint").read_bytes()).text).size,
    )


@pytest.fixture
def export(origin: Origin, tmp_path: Path) -> Export:
    folder = tmp_path / "export"
    shutil.copytree(origin.folder, folder)
    return Export(origin.states, folder, origin.card, origin.lonely, origin.seen, origin.early)


@dataclass(frozen=True)
class Found:
    """What the verifier says: every step that failed with its position, and the one place its sentence names."""

    steps: dict[str, int | None]
    step: str
    position: int | None


def located(ran: Ran) -> Found:
    """Exit code, document and the one sentence agree that there is a fault."""
    assert ran.code == 6 and ran.json["ok"] is False and len(ran.err.splitlines()) == 1
    failed = {step["step"]: step.get("position") for step in ran.json["steps"] if not step["ok"]}
    said = re.match(r"limen: (\w+)(?: at entry (\d+))?: ", ran.err)
    assert said is not None, ran.err
    assert ran.json["proved"] == [] and said[1] == next(iter(failed))
    return Found(failed, said[1], int(said[2]) if said[2] else None)


def test_an_honest_log_verifies_with_public_keys_alone(origin: Origin, tmp_path: Path) -> None:
    """In a process of its own that has no node, no configuration and no way to a network."""
    card = tmp_path / "card"
    shutil.copy(origin.card, card)
    secret = [path.read_bytes() for path in origin.states.folder("PAN").rglob("*.key")]
    assert not any(key[-65:-1] in card.read_bytes() for key in secret)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "PYTHONUTF8": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "gateway", "audit", "verify", str(origin.folder), "--trust", str(card), "--json"],
        cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr.decode()
    said = json.loads(ran.stdout)
    assert said["ok"] and said["size"] > 100 and all(step["ok"] for step in said["steps"])
    assert sorted(one["name"].split("/")[0] for one in said["cosignatures"])
    assert len(said["cosignatures"]) == 2 and said["proved"] and said["not_proved"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card"]


def test_a_readers_key_shows_that_sealed_fields_are_as_committed(export: Export) -> None:
    key = export.states.folder("PAN") / "handover" / "auditor.key"
    ran = export.verify(None, "--reader-key", str(key))
    assert ran.code == 0 and any("sealed fields" in line for line in ran.json["proved"])


def test_a_year_s_pack_makes_the_decisions_of_a_real_node_again(origin: Origin, tmp_path: Path) -> None:
    node = origin.states.folder("PAN")
    rules = origin.states.nodes["PAN"].settings.paths.policy
    ran = limen(
        "audit", "pack", str(origin.folder), "--trust", str(origin.card), "--state", "PAN",
        "-o", str(tmp_path / "pack"), "--reader-key", str(node / "handover" / "auditor.key"),
        "--policy-keys", str(rules / "keys"),
        "--bundle", str(rules / "baseline.tar.gz"), str(rules / "national.tar.gz"),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    replay = json.loads((tmp_path / "pack" / "replay.json").read_bytes())
    assert replay["sample"] >= 8 and replay["results"].keys() == {"the same"}, replay
    (month,) = (tmp_path / "pack" / "months").iterdir()
    assert "| SEC.WATCH | " in month.read_text()


def middle(leaves: list[bytes]) -> int:
    """An entry about a check, not at any edge."""
    checks = [number for number, leaf in enumerate(leaves) if Leaf.parse(leaf).kind in ("check.ask", "check.answer")]
    return checks[len(checks) // 2]


def _changed(leaves: list[bytes], at: int) -> list[bytes]:
    bent = bytearray(leaves[at])
    bent[len(bent) // 2] ^= 1
    return [*leaves[:at], bytes(bent), *leaves[at + 1 :]]


def _removed(leaves: list[bytes], at: int) -> list[bytes]:
    return [*leaves[:at], *leaves[at + 1 :]]


def _inserted(leaves: list[bytes], at: int) -> list[bytes]:
    return [*leaves[:at], leaves[at - 1], *leaves[at:]]


def _reordered(leaves: list[bytes], at: int) -> list[bytes]:
    return [*leaves[:at], leaves[at + 1], leaves[at], *leaves[at + 2 :]]


def _cut(leaves: list[bytes], at: int) -> list[bytes]:
    return leaves[:at]


TAMPER: dict[str, Callable[[list[bytes], int], list[bytes]]] = {
    "one byte changed": _changed,
    "one entry removed": _removed,
    "one entry inserted": _inserted,
    "two entries in another order": _reordered,
    "the tail cut": _cut,
}


@pytest.mark.parametrize("what", TAMPER)
def test_tampering_is_found_where_it_is(export: Export, what: str) -> None:
    leaves = export.leaves()
    at = middle(leaves)
    export.write(TAMPER[what](leaves, at), all_tiles=False)
    found = located(export.verify())
    assert (found.step, found.position) == ("root", at)


@pytest.mark.parametrize("what", TAMPER)
def test_tampering_with_tiles_that_fit_is_found(export: Export, what: str) -> None:
    """Somebody has recomputed the whole tree; the checkpoint and the entries themselves still speak."""
    leaves = export.leaves()
    at = middle(leaves)
    export.write(TAMPER[what](leaves, at), all_tiles=True)
    found = located(export.verify())
    assert found.step == "root" and found.position is not None
    if what == "one byte changed":
        # Nothing but the tree says so, and of the tree only heads that somebody has signed.
        assert found.position <= at
    else:
        assert found.position == at


def _other_words(leaf: bytes) -> bytes:
    """The entry, saying that another agency asked: nothing else in the log contradicts that."""
    value = cbor.decode(leaf)
    value["public"]["agency"] = "SMN"
    return cbor.encode(value)


def test_a_log_rewritten_whole_and_signed_anew_by_its_operator_has_no_witnesses(export: Export) -> None:
    leaves = export.leaves()
    at = middle(leaves)
    leaves[at] = _other_words(leaves[at])
    export.write(leaves, all_tiles=True)
    export.sign(leaves)
    # The log's own history of cosigned heads contradicts it.
    steps = located(export.verify()).steps
    assert {"quorum", "history"} <= steps.keys() and not {"signature", "root"} & steps.keys()
    # The next entry about the same peer contradicts it too, unless that one was made anew as well.
    assert "sequence" not in steps or steps["sequence"] == at
    # So its operator takes that away; the witnesses are still missing.
    (export.folder / "history").write_bytes(b"")
    found = located(export.verify())
    assert found.step == "quorum" and "history" not in found.steps


def test_what_a_witness_holds_locates_the_rewriting(export: Export, tmp_path: Path) -> None:
    """An auditor who trusts no witness by name, and has one's own copy of the head it cosigned."""
    witnessed = tmp_path / "witnessed"
    shutil.copy(export.folder / "checkpoint", witnessed)
    leaves = export.leaves()
    at = middle(leaves)
    leaves[at] = _other_words(leaves[at])
    export.write(leaves, all_tiles=True)
    export.sign(leaves)
    (export.folder / "history").write_bytes(b"")
    found = located(export.verify(export.lonely, "--witnessed", str(witnessed)))
    assert "history" in found.steps and "quorum" not in found.steps
    assert found.position is not None and found.position <= at


def test_an_auditor_who_was_here_before_locates_the_rewriting(export: Export) -> None:
    """The card remembers the head seen last time: what came before it cannot change."""
    leaves = export.leaves()
    at = middle(leaves[: export.early])
    leaves[at] = _other_words(leaves[at])
    export.write(leaves, all_tiles=True)
    export.sign(leaves)
    (export.folder / "history").write_bytes(b"")
    found = located(export.verify(export.seen))
    assert "history" in found.steps and found.position is not None and found.position <= at


def test_a_tail_cut_off_and_signed_anew_is_shorter_than_what_was_seen(export: Export) -> None:
    leaves = export.leaves()
    short = leaves[: export.early - 20]
    export.write(short, all_tiles=True)
    export.sign(short)
    (export.folder / "history").write_bytes(b"")
    assert located(export.verify(export.seen)).steps["history"] == len(short)


def test_a_payload_that_was_changed_or_taken_away_is_found(export: Export) -> None:
    path = next(path for path in sorted((export.folder / "payloads").rglob("*")) if path.is_file())
    data = bytearray(path.read_bytes())
    seq = int.from_bytes(data[4:12], "big")
    data[100] ^= 1
    path.write_bytes(data)
    assert located(export.verify()).position == seq
    length = int.from_bytes(data[:4], "big")
    path.write_bytes(data[4 + length :])
    assert located(export.verify()).position == seq


@pytest.mark.parametrize("card", ["another state's log", "garbage"])
def test_a_card_for_another_log_proves_nothing(export: Export, tmp_path: Path, card: str) -> None:
    file = tmp_path / "other"
    if card == "garbage":
        file.write_text("this is no card\n")
        ran = export.verify(file)
        assert ran.code in (6, 8) and ran.out == "" and len(ran.err.splitlines()) == 1
    else:
        export.states.card("HND", file)
        assert located(export.verify(file)).step == "signature"


def test_a_folder_that_is_no_export_is_said_to_be_none(export: Export, tmp_path: Path) -> None:
    for folder in (tmp_path / "nothing", tmp_path):
        ran = export.states.verify(folder, export.card)
        assert ran.code == 8 and ran.out == "" and len(ran.err.splitlines()) == 1
