"""A sample of questions, made again from what the asker's log has sealed, and looked for in the owner's (T8).

Every blind and every dummy of a batch follows from its seed; the log committed to the seed and to the ordered keys of
declared travellers before the batch left. A request that is made again from these has the hash that the owner logged,
or a slot held something that nobody declared. Here is only arithmetic; the copies were verified before.

Which questions are looked at, the audited office must not choose: the sample is announced by an entry of its own log,
and drawn from the witnesses' signatures under the first checkpoint behind it that has a quorum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway.audit import checkpoint, note
from gateway.audit.entry import Phase
from gateway.audit.leaf import Leaf
from gateway.audit.trust import Card
from gateway.errors import Malformed, VerificationFailed
from gateway.federation import envelope
from gateway.policy import catalogue
from gateway.pseudonym import batch
from gateway.terms.exchange import CheckRequest
from gateway.terms.ids import AgencyId, EpochId, PeerId, Purpose, RequestId
from gateway.terms.words import KeyType, ListId, Role

Encode = Callable[[CheckRequest], bytes]
"""The exact body of a request (`rpc.convert`)."""

ANNOUNCED: Final = "audit.announced"


class Said(StrEnum):
    """What the owner's log says to one question of the sample."""

    SAME = "same"
    SMUGGLED = "smuggled"
    """The owner was asked something else than what the asker's log declares: a slot that nobody declared."""
    NOT_ASKED = "not asked"
    """The owner has no such question: it was not delivered."""
    ERASED = "erased"
    """The sealed part is gone, after its term or left out of the copy."""


@dataclass(frozen=True, slots=True)
class Look:
    """One question of the sample: the asker's entry, what was found, and the owner's entry where it shows."""

    seq: int
    said: Said
    owner_seq: int | None = None


def remake(asker: PeerId, intent: Leaf, told: Mapping[str, Any]) -> list[CheckRequest]:
    """Every request of a question, from its intent and its opened fields alone.

    Raises:
        Malformed: they are not a question's.
    """
    public: dict[str, Any] = dict(intent.public)
    try:
        purpose, size = Purpose(public["purpose"]), public["class"]
        keys, seeds = list(told["keys"]), list(told["seeds"])
        return [
            CheckRequest(
                leg_id=RequestId(public["leg"]),
                batch=number,
                batches=public["batches"],
                asker=asker,
                owner=PeerId(intent.peer),
                agency=AgencyId(public["agency"]),
                role=Role(public["role"]),
                purpose=purpose,
                legal_basis=public["basis"],
                list_id=ListId(public["list"]),
                group=catalogue.group_of(purpose),
                epoch=EpochId(public["epoch"]),
                key_types=tuple(KeyType(name) for name in public["key_types"].split(",")),
                known_version=public["version"],
                blinded=batch.blinded_elements(keys[number * size : (number + 1) * size], seed, size),
                seed_commitment=batch.seed_commitment(seed),
                pair_seq=intent.pair_seq,
                baseline_digest=public["baseline"],
                national_digest=public["national"],
                permit_expires_ns=public["permit_expires_ns"],
            )
            for number, seed in enumerate(seeds)
        ]
    except (KeyError, TypeError, ValueError) as why:
        raise Malformed("intent", f"no question can be made from it ({type(why).__name__})") from None


def look(asker: PeerId, intent: Leaf, told: Mapping[str, Any] | None, answers: Sequence[Leaf], encode: Encode) -> Look:
    """One question against the owner's `check.answer` intents about the asker. `told` is None where it is erased.

    Raises:
        Malformed: no question can be made from the entry.
    """
    if told is None:
        return Look(intent.seq, Said.ERASED)
    hashes = {envelope.body_hash(encode(one)) for one in remake(asker, intent, told)}
    asked = [one for one in answers if one.public["peer_seq"] == intent.pair_seq]
    for one in asked:
        if one.public["request_hash"] not in hashes:
            return Look(intent.seq, Said.SMUGGLED, one.seq)
    return Look(intent.seq, Said.SAME, asked[0].seq) if asked else Look(intent.seq, Said.NOT_ASKED)


def undeclared(intents: Iterable[Leaf], answers: Iterable[Leaf]) -> list[Leaf]:
    """The owner's questions that name no question of the asker's log."""
    declared = {one.pair_seq for one in intents}
    return [one for one in answers if one.public["peer_seq"] not in declared]


def questions(leaves: Iterable[Leaf], peer: str, before: int | None = None) -> list[Leaf]:
    """The questions to a peer of which a sample is drawn, up to an announcement."""
    return [
        one
        for one in leaves
        if (one.kind, one.phase, one.peer) == ("check.ask", Phase.INTENT, peer) and (before is None or one.seq < before)
    ]


def seed_after(announced: int, notes: Iterable[bytes], card: Card) -> bytes:
    """What the sample is drawn from, 32 bytes: the text and the card's witnesses' signatures of the first checkpoint
    behind the announcement that has a quorum.

    Nobody knows them before: a witness signs a head once, with its time. Who keeps the log could still choose among the
    signatures of more witnesses than the quorum needs; all that stand under the note are taken.

    Raises:
        VerificationFailed: step `sample`: there is no such checkpoint yet.
    """
    held: list[tuple[int, note.Note]] = []
    for noted in notes:
        parsed = note.parse(noted)
        held.append((checkpoint.parse(parsed.text).size, parsed))
    for size, parsed in sorted(held, key=lambda one: one[0]):
        if size <= announced:
            continue
        lines: list[bytes] = []
        names: list[str] = []
        for name, witness in sorted(card.quorum.witnesses.items()):
            good = note.verify(parsed, [witness])
            if good:
                names.append(name)
                lines += [one.raw for one in parsed.signatures if one.name == witness.name]
        if names and card.quorum.holds(names):
            return hashlib.sha256(parsed.text + b"".join(sorted(lines))).digest()
    raise VerificationFailed("sample", f"no checkpoint behind entry {announced} has a quorum of the card yet")


def draw(seed: bytes, found: Sequence[Leaf], count: int) -> list[Leaf]:
    """`count` of the questions, in the log's order: those with the smallest SHA-256(seed | 8-byte number)."""
    by = sorted(found, key=lambda one: hashlib.sha256(seed + one.seq.to_bytes(8, "big")).digest())
    return sorted(by[:count], key=lambda one: one.seq)
