"""Rules are put in force by two persons who have seen what changes (T7; decision 25).

A bundle that is handed over lies beside a file `<layer>.signed`: the impact report that the two have seen, and their
signatures over the bundle, its number and the report. The node judges both before it logs the bundle and follows it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.config import Config, read_bounded
from gateway.errors import ConfigRefused, Malformed, NotIdentified, PolicyDenied, VerificationFailed
from gateway.federation import statement
from gateway.federation.officers import Register
from gateway.federation.statement import PersonalSignature
from gateway.opa.bundle import Bundle
from gateway.primitives import cbor, strict_json
from gateway.terms.ids import PeerId
from gateway.terms.words import Role

SIGNING: Final = frozenset({Role.POLICY_OFFICER})
"""Who signs for rules."""

PERSONS: Final = 2

FORM: Final = "limen/policy-impact/1"
REPORT_BYTES_MAX: Final = 8 << 20
ARCHIVE: Final = "archive"
"""Folder of every bundle that was ever in force, by its digest: what a decision is replayed with."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What two persons stand for: the report they saw, the log's form of their signatures, and who they are."""

    report: bytes = field(repr=False)
    persons: bytes = field(repr=False)
    officers: tuple[str, ...]

    @property
    def impact(self) -> bytes:
        """The report's SHA-256."""
        return hashlib.sha256(self.report).digest()


def report(held: Bundle, state: PeerId, before: Mapping[str, bytes], told: Mapping[str, Any]) -> bytes:
    """What the signers see, as the bytes that they sign for: which bundle, over which rules in force (`before`, digest
    by layer), and what changes (`told`)."""
    about = {
        "form": FORM,
        "state": state,
        "layer": held.layer,
        "digest": held.digest.hex(),
        "sequence": held.sequence,
        "before": {layer: digest.hex() for layer, digest in before.items()},
        **told,
    }
    return json.dumps(about, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"


def judge_report(data: bytes, held: Bundle, state: PeerId, before: Mapping[str, bytes]) -> None:
    """A report is of this bundle and of the rules that are in force now. Raises VerificationFailed (step `impact`)."""
    try:
        read = strict_json.loads(data.decode("utf-8"))
    except ValueError:
        read = None
    if not isinstance(read, dict) or read.get("form") != FORM:
        raise VerificationFailed("impact", "is not a report that `limen policy diff -o` wrote")
    about = (read.get("state"), read.get("layer"), read.get("digest"), read.get("sequence"))
    if about != (state, held.layer, held.digest.hex(), held.sequence):
        raise VerificationFailed("impact", "the report is about another bundle")
    if read.get("before") != {layer: digest.hex() for layer, digest in before.items()}:
        raise VerificationFailed(
            "impact", "other rules are in force than the report compares with: make it anew and have it signed again"
        )


def is_asked(register: Register, before: Mapping[str, bytes], layer: str, now_ns: int) -> bool:
    """Whether two persons must have signed: from the day that two policy officers are in force. A layer's first bundle
    is part of founding the node."""
    officers = [one for one in register.people() if one.in_force(now_ns) and SIGNING & set(one.roles)]
    return layer in before and len(officers) >= PERSONS


def facts(held: Bundle, state: PeerId, data: bytes) -> dict[str, Any]:
    """What each of the two signs."""
    return statement.activation(
        state=state, layer=held.layer, digest=held.digest, sequence=held.sequence,
        impact=hashlib.sha256(data).digest(),
    )  # fmt: skip


def judge(
    data: bytes,
    signatures: list[PersonalSignature],
    held: Bundle,
    state: PeerId,
    before: Mapping[str, bytes],
    register: Register,
    now_ns: int,
) -> Signed:
    """Two persons have signed for this bundle and this report.

    Raises:
        PolicyDenied: `signers`: fewer than two.
        VerificationFailed, NotIdentified, Malformed: a report or a signature that does not hold.
    """
    judge_report(data, held, state, before)
    people = statement.verify_all(
        signatures, statement.ACTIVATION, facts(held, state, data), register=register, roles=SIGNING, now_ns=now_ns
    )
    if len(people) < PERSONS:
        raise PolicyDenied(("signers",))
    persons = [
        [statement.ACTIVATION, person.public_key, signed.statement, signed.signature]
        for person, signed in zip(people, signatures, strict=True)
    ]
    return Signed(data, cbor.encode(persons), tuple(str(person.officer) for person in people))


def encode(data: bytes, signatures: list[PersonalSignature]) -> bytes:
    """The file beside a bundle."""
    return cbor.encode({"impact": data, "signatures": [signed.encode() for signed in signatures]})


def decode(data: bytes) -> tuple[bytes, list[PersonalSignature]]:
    """Report and signatures. Raises Malformed."""
    read = cbor.decode(data, field="signed", limit=REPORT_BYTES_MAX + (1 << 16))
    if not isinstance(read, dict) or read.keys() != {"impact", "signatures"}:
        raise Malformed("signed", "not a report with its signatures")
    given = read["signatures"]
    if not isinstance(read["impact"], bytes) or not isinstance(given, list) or len(given) > PERSONS:
        raise Malformed("signed", "not a report with its signatures")
    if not all(isinstance(one, bytes) for one in given):
        raise Malformed("signed", "not a personal signature")
    return read["impact"], [PersonalSignature.decode(one) for one in given]


def place(settings: Config, layer: str) -> Path:
    """Where a layer's signatures lie."""
    return settings.paths.policy / f"{layer}.signed"


def handed_over(
    settings: Config, held: Bundle, before: Mapping[str, bytes], register: Register, now_ns: int
) -> Signed | None:
    """Who stands for the bundle that lies in the node's folder; None where nobody has to.

    Raises:
        ConfigRefused: two persons must have signed and the file that says so is missing, is no such file, or what it
            says does not hold.
    """
    if not is_asked(register, before, held.layer, now_ns):
        return None
    path = place(settings, held.layer)
    try:
        read = read_bounded(path, REPORT_BYTES_MAX + (1 << 17))
        return judge(*decode(read), held, settings.state, before, register, now_ns)
    except OSError:
        why = "two policy officers have not signed for it"
    except PolicyDenied:
        why = "fewer than two policy officers have signed for it"
    except (Malformed, VerificationFailed) as cause:
        why = str(cause)
    except NotIdentified as cause:
        why = f"a signature does not count ({cause})"
    raise ConfigRefused(
        f"the {held.layer} bundle {held.sequence} is not put in force: {why}. `limen policy activate` hands it over "
        f"with both signatures; the rules in force lie in {settings.paths.policy / ARCHIVE}"
    )


def archive(settings: Config, held: Bundle) -> None:
    """Keep a bundle that is in force, and the report that it was put in force with, by its digest."""
    folder = settings.paths.policy / ARCHIVE
    folder.mkdir(mode=0o700, exist_ok=True)
    name = held.digest.hex()
    for source, suffix in ((settings.paths.policy / f"{held.layer}.tar.gz", ".tar.gz"),
                           (place(settings, held.layer), ".signed")):  # fmt: skip
        target = folder / f"{name}{suffix}"
        if target.exists() or not source.exists():
            continue
        data = source.read_bytes()
        if suffix == ".tar.gz" and hashlib.sha256(data).digest() != held.digest:
            continue  # The next one lies there already.
        # Several gateway processes come here at once, each with the same bytes.
        part = folder / f".{name}{suffix}.{os.getpid()}"
        part.write_bytes(data)
        part.replace(target)


__all__ = [
    "Signed",
    "archive",
    "decode",
    "encode",
    "facts",
    "handed_over",
    "is_asked",
    "judge",
    "judge_report",
    "report",
]
