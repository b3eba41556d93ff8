"""Makes tests/vectors/log1.json (docs/protocol/log.md). `--check` compares instead of writing.

Everything in it is fixed: keys, seeds, times and fields. No key here is used anywhere else.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from nacl.bindings import crypto_scalarmult_base

from gateway.audit import checkpoint, export, leaf, merkle, note, pairs, seal, tiles, trust, witness
from gateway.audit.cosign import line
from gateway.audit.entry import Entry, Phase
from gateway.errors import VerificationFailed
from gateway.primitives import cbor, ed25519

FILE = Path(__file__).with_name("log1.json")

ORIGIN = "pan.example/log"
TIME_NS = 1_760_000_000_000_000_000


def _seed(name: str) -> bytes:
    return sha256(b"limen log1 vector " + name.encode()).digest()


LOG = ed25519.Signer(_seed("log"))
WITNESS = ed25519.Signer(_seed("witness"))
LOG_KEY = note.Verifier(ORIGIN, note.LOG_KEY, LOG.public)
WITNESS_KEY = note.Verifier("hnd.example/witness", note.WITNESS_KEY, WITNESS.public)
PRIVATE = {role: _seed(role) for role in seal.ROLES}
PAIR_KEY = _seed("pair key")
RECIPIENTS = seal.Recipients(*(crypto_scalarmult_base(PRIVATE[role]) for role in seal.ROLES))
ENTRIES = (
    Entry("node.started", Phase.EVENT, public={"release": "0.1.0"}),
    Entry(
        "check.ask", Phase.INTENT, "HND",
        public={"purpose": "SEC.WATCH", "basis": "agreement art. 4", "agency": "SNM", "list": "PERSONS", "class": 8,
                "batches": 1, "leg": bytes(range(16)), "agreement": "PAN-HND/2026", "baseline": _seed("baseline"),
                "national": _seed("national")},
        secret={"officer": "P-1077", "case": "C-2026-4411", "justification": "arrival", "seeds": [_seed("batch")],
                "keys": [b"doc/1 X1234567"]},
        guard={"guarded": False, "why": []}, sealed_bytes=512,
    ),
    Entry(
        "check.ask", Phase.OUTCOME, "HND",
        public={"purpose": "SEC.WATCH", "basis": "agreement art. 4", "agency": "SNM", "list": "PERSONS", "class": 8,
                "batches": 1, "leg": bytes(range(16)), "agreement": "PAN-HND/2026", "baseline": _seed("baseline"),
                "national": _seed("national"), "intent_seq": 1, "reply": "answered", "reason": "",
                "request_hashes": _seed("request") + _seed("request 2")},
        secret={"hits": []}, sealed_bytes=512,
    ),
    Entry("epoch.opened", Phase.EVENT, "UTO", public={"epoch": "20251009-00112233", "expires_ns": TIME_NS + 10**15}),
    Entry(pairs.KIND, Phase.EVENT, public={"root": bytes(32)}),  # the root is put in where the tree is built
)  # fmt: skip


class Log:
    """The example log as an export's source."""

    def __init__(self) -> None:
        session = seal.Sealer(RECIPIENTS, _seed("session"))
        self.prepared = [leaf.prepare(entry, _seed(f"record {seq}"), session) for seq, entry in enumerate(ENTRIES)]
        self.heads: dict[str, pairs.Head] = {}
        self.data: list[bytes] = []
        for seq, prepared in enumerate(self.prepared):
            if prepared.kind == pairs.KIND:
                prepared = replace(prepared, public={"root": pairs.root(self.heads, PAIR_KEY, seq)})
            peer = prepared.peer
            last = self.heads.get(peer, pairs.Head(0, leaf.NO_ENTRY)) if peer else pairs.Head(-1, b"")
            data = leaf.encode(prepared, seq, TIME_NS + seq * 10**6, last.count + 1, last.hash)
            if peer:
                self.heads[peer] = pairs.Head(last.count + 1, merkle.leaf_hash(data))
            self.data.append(data)
        self.leaf_hashes = [merkle.leaf_hash(one) for one in self.data]

    def head(self, size: int) -> checkpoint.Checkpoint:
        return checkpoint.Checkpoint(ORIGIN, size, merkle.root_of(self.leaf_hashes[:size]))

    def noted(self, size: int) -> bytes:
        return note.sign(self.head(size).encode(), LOG_KEY, LOG.sign)

    def cosignature(self, size: int) -> bytes:
        return line(self.head(size).encode(), TIME_NS // 10**9 + size, WITNESS_KEY, WITNESS.sign)

    def subtree(self, level: int, index: int) -> bytes:
        return merkle.root_of(self.leaf_hashes[index << level : (index + 1) << level])

    def last_checkpoint(self, cosignatures: int = 0) -> tuple[bytes, bytes]:
        size = len(self.data)
        return self.noted(size) + self.cosignature(size), self.head(size).digest

    def cosigned_checkpoints(self, size: int) -> list[tuple[int, bytes]]:
        return [(held, self.noted(held) + self.cosignature(held)) for held in (3, 5) if held <= size]

    def leaves(self, start: int, stop: int) -> list[bytes]:
        return self.data[start:stop]

    def payloads(self, start: int, stop: int) -> list[tuple[int, bytes]]:
        return [(seq, self.prepared[seq].sealed) for seq in range(start, stop) if self.prepared[seq].sealed]

    def hashes(self, level: int, start: int, stop: int) -> list[bytes]:
        assert level == 0
        return self.leaf_hashes[start:stop]


def _fields(entry: Entry, sealed: bytes, seq: int) -> dict[str, Any]:
    opened = seal.Opener(PRIVATE["auditor"]).open(sealed)
    pairs = cbor.decode(opened.secret) | (cbor.decode(opened.guard) if opened.guard else {})
    values = {**entry.secret, **entry.guard}
    return {
        name: {
            "salt": salt.hex(),
            "value": cbor.encode(values.get(name)).hex(),
            "commitment": leaf.commitment(salt, name, values.get(name)).hex(),
        }
        for name, (salt, _) in sorted(pairs.items())
    }


def _witness_cases(log: Log) -> list[dict[str, Any]]:
    def proof(old: int, new: int) -> list[bytes]:
        return merkle.consistency_proof(old, new, log.subtree)

    other = bytes(32)
    cases = [
        ("first checkpoint", None, 0, 3, None, []),
        ("extension", 3, 3, 5, None, proof(3, 5)),
        ("the same again", 5, 5, 5, None, []),
        ("old size larger than the checkpoint", 3, 5, 3, None, []),
        ("old size is not the one held", 3, 2, 5, None, proof(2, 5)),
        ("old size is not the one held, which is none", None, 3, 5, None, proof(3, 5)),
        ("another root for the size held", 5, 5, 5, other, []),
        ("a proof of another step", 3, 3, 5, None, proof(2, 5)),
        ("no proof", 3, 3, 5, None, []),
        ("a proof where none is due", None, 0, 3, None, proof(2, 3)),
        ("a forged continuation", 3, 3, 5, other, proof(3, 5)),
    ]
    rows = []
    for name, held, old, new, root, steps in cases:
        root = log.head(new).root if root is None else root
        seen = None if held is None else witness.Seen(held, log.head(held).root)
        refusal, position = None, None
        try:
            witness.judge(seen, old, new, root, steps)
        except VerificationFailed as why:
            refusal, position = why.step, why.position
        rows.append(
            {
                "name": name,
                "held": None if seen is None else {"size": seen.size, "root": seen.root.hex()},
                "old_size": old,
                "size": new,
                "root": root.hex(),
                "proof": [step.hex() for step in steps],
                "refused": refusal,
                "held_size_told": position,
            }
        )
    return rows


def _bad_leaves(log: Log) -> list[dict[str, str]]:
    good = cbor.decode(log.data[1])

    def changed(**fields: Any) -> bytes:  # noqa: ANN401 (any CBOR value)
        return cbor.encode(good | fields)

    missing = {name: value for name, value in good.items() if name != "retention"}
    commitments = {name: value for name, value in good["commitments"].items() if name != "why"}
    first = log.data[1].index(b"\x63seq")
    swapped = log.data[1][:first] + log.data[1][first + 5 :] + log.data[1][first : first + 5]
    return [
        {"why": why, "leaf": data.hex()}
        for why, data in (
            ("another schema", changed(schema="limen.leaf/3")),
            ("the schema before with a field of this one", changed(schema="limen.leaf/1")),
            ("a pair hash of another size", changed(pair_hash=bytes(31))),
            ("a field too many", changed(surname="X")),
            ("a field missing", cbor.encode(missing)),
            ("an unknown kind", changed(kind="check.gossip")),
            ("a public field that is not declared", changed(public=good["public"] | {"officer": "P-1077"})),
            ("a mandatory public field missing", changed(public={})),
            ("a commitment missing", changed(commitments=commitments)),
            ("a pair number without a peer", changed(peer="")),
            ("keys not in canonical order", swapped),
            ("bytes after the end", log.data[1] + b"\x00"),
        )
    ]


def make() -> dict[str, Any]:
    """The whole file."""
    log = Log()
    size = len(ENTRIES)
    folder = export.MemoryFolder(export.files(log))
    payload = log.prepared[1].sealed
    return {
        "provenance": "Made by tests/vectors/generate_log1.py; fixed keys that are used nowhere else.",
        "keys": {
            "log_seed": _seed("log").hex(),
            "log_vkey": LOG_KEY.vkey,
            "witness_seed": _seed("witness").hex(),
            "witness_vkey": WITNESS_KEY.vkey,
            "readers": {
                role: {"private": PRIVATE[role].hex(), "public": getattr(RECIPIENTS, role).hex()} for role in seal.ROLES
            },
        },
        "entries": [
            {
                "seq": seq,
                "kind": entry.kind,
                "phase": entry.phase.value,
                "peer": entry.peer,
                "record_key": _seed(f"record {seq}").hex(),
                "fields": _fields(entry, log.prepared[seq].sealed, seq) if log.prepared[seq].sealed else {},
                "payload": log.prepared[seq].sealed.hex(),
                "leaf": log.data[seq].hex(),
                "leaf_hash": log.leaf_hashes[seq].hex(),
            }
            for seq, entry in enumerate(ENTRIES)
        ],
        "sealing": {
            "session_seed": _seed("session").hex(),
            "number": 0,
            "secret": seal.Opener(PRIVATE["supervisor"]).open(payload).secret.hex(),
            "guard": seal.Opener(PRIVATE["desk"]).open(payload).guard.hex(),
        },
        "tree": {
            "roots": [log.head(n).root.hex() for n in range(size + 1)],
            "inclusion_of_1_in_5": [step.hex() for step in merkle.inclusion_proof(1, size, log.subtree)],
            "consistency_from_3_to_5": [step.hex() for step in merkle.consistency_proof(3, size, log.subtree)],
        },
        "checkpoint": {
            "text": log.head(size).encode().decode(),
            "digest": log.head(size).digest.hex(),
            "note": log.noted(size).decode(),
            "cosignature_time_s": TIME_NS // 10**9 + size,
            "cosigned_message": note.cosigned_message(log.head(size).encode(), TIME_NS // 10**9 + size).decode(),
            "cosignature": log.cosignature(size).decode(),
        },
        "trust_card": trust.card(LOG_KEY, {"HND": WITNESS_KEY}, 1).encode(),
        "bundle": tiles.encode_bundle(log.data).hex(),
        "export": {path: data.hex() for path, data in sorted(folder.items())},
        "witness": _witness_cases(log),
        "refused_leaves": _bad_leaves(log),
    }


def main() -> int:
    """Write the file, or with `--check` say whether it is what this script makes."""
    text = json.dumps(make(), indent=1, ensure_ascii=True) + "\n"
    if "--check" in sys.argv[1:]:
        if FILE.read_text("ascii") != text:
            print(f"{FILE.name} is not what the generator makes", file=sys.stderr)
            return 1
        return 0
    FILE.write_text(text, "ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
