"""Two states with an agreement, their policy authorities' keys, and engines over signed bundles."""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.opa import bundle, golden, sources
from gateway.opa.bundle import Bundle
from gateway.opa.engine import EmbeddedEngine
from gateway.policy import agreement
from gateway.policy.agreement import Agreement
from gateway.policy.decision import Obligation
from gateway.policy.question import Question, Stage
from gateway.terms.ids import AgencyId, Purpose
from gateway.terms.words import KeyType, RecordKind

NOW: Final = 1_800_000_000 * 10**9
DAY: Final = 24 * 3600 * 10**9
YEAR: Final = 365 * DAY

WATCH: Final = Purpose("SEC.WATCH")
STATUS: Final = Purpose("DOC.STATUS")

AGENCIES: Final = {"PAN": ["SNM"], "HND": ["INM"]}


def _pem(number: int) -> tuple[bytes, bytes]:
    """A P-256 key pair that is the same in every run."""
    private = ec.derive_private_key(number, ec.SECP256R1())
    return (
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


REGION, REGION_PUBLIC = _pem(0x5EA50)
STATE, STATE_PUBLIC = _pem(0x57A7E)
STRANGER, _ = _pem(0xBAD)

REGION_KEYS: Final = {"region-1": REGION_PUBLIC}
STATE_KEYS: Final = {"pan-1": STATE_PUBLIC}


def agreed(**changes: Any) -> Agreement:
    """The agreement of PAN and HND, in force around NOW."""
    made = agreement.starter("PAN", "HND", agencies=AGENCIES, valid_from_ns=NOW - YEAR, valid_until_ns=NOW + YEAR)
    return replace(made, **changes)


def baseline_raw(
    files: Mapping[str, bytes] | None = None, *, sequence: int = 1, not_after_ns: int = NOW + YEAR
) -> bytes:
    return bundle.build(
        sources.baseline() if files is None else files,
        scope=bundle.BASELINE,
        sequence=sequence,
        not_after_ns=not_after_ns,
        signing_key_pem=REGION,
        key_id="region-1",
    )


def national_raw(
    files: Mapping[str, bytes] | None = None,
    *,
    sequence: int = 1,
    not_after_ns: int = NOW + YEAR,
    agreements: tuple[Agreement, ...] | None = None,
) -> bytes:
    if files is None:
        files = sources.starter_national("PAN", agreements if agreements is not None else (agreed(),))
    return bundle.build(
        files,
        scope="national/PAN",
        sequence=sequence,
        not_after_ns=not_after_ns,
        signing_key_pem=STATE,
        key_id="pan-1",
    )


def open_baseline(raw: bytes, *, min_sequence: int = 1, now_ns: int = NOW, **rest: Any) -> Bundle:
    return bundle.open_(raw, REGION_KEYS, bundle.BASELINE, min_sequence, now_ns, **rest)


def open_national(raw: bytes, *, min_sequence: int = 1, now_ns: int = NOW, **rest: Any) -> Bundle:
    return bundle.open_(raw, STATE_KEYS, "national/PAN", min_sequence, now_ns, **rest)


@cache
def shipped() -> tuple[Bundle, Bundle]:
    """The baseline as it ships and PAN's starter, opened."""
    return open_baseline(baseline_raw()), open_national(national_raw())


def engine() -> EmbeddedEngine:
    return EmbeddedEngine.load(*shipped(), now_ns=NOW)


def good(stage: Stage = Stage.ANSWER, purpose: Purpose = WATCH, **changes: Any) -> Question:
    """A question that PAN's rules permit at the stage: as asker, as owner, or about its own list."""
    owner, asker = {Stage.ASK: ("HND", "PAN"), Stage.LIST: ("PAN", "PAN")}.get(stage, ("PAN", "HND"))
    agency = AGENCIES["PAN" if stage is not Stage.ANSWER else "HND"][0]
    asked = golden.question(stage, purpose, owner, asker)
    basis = {Stage.PUBLISH: "", Stage.LIST: "national immigration act"}.get(stage, "bilateral agreement")
    return replace(replace(asked, agency=AgencyId(agency), time_ns=NOW, legal_basis=basis), **changes)


GOOD: Final = tuple((stage, purpose) for stage in Stage for purpose in (WATCH, STATUS))
"""Every stage and purpose of which `good` makes a permitted question."""

ALL_KEYS: Final = tuple(sorted(KeyType))


def hostile_rules(layer: str) -> dict[str, bytes]:
    """The files of a bundle that permits everything it can say, for ever: what a corrupt signer would sign."""
    grant = {
        "schema": "limen.decision/1",
        "allow": True,
        "agreement": "ALL" if layer == "national" else "",
        "agreement_version": 1,
        "key_types": [key_type.value for key_type in KeyType],
        "kinds": [kind.name for kind in RecordKind],
        "slots_per_day": 2**62,
        "transfer_basis": "all" if layer == "national" else "",
        "retention": "10y",
        "until_ns": 2**62,
        "obligations": [obligation.value for obligation in Obligation],
    }
    rules = f"package limen.{layer}.sharing\n\ndecision := {json.dumps(grant)}\n\nreasons := set()\n"
    # The policy's line length is bounded by the engine, so the grant stands on lines of its own.
    rules = rules.replace(", ", ",\n\t")
    case = {"name": "all", "question": {"schema": "limen.question/1"}, "decision": grant, "reasons": []}
    return {
        f"limen/{layer}/sharing/sharing.rego": rules.encode(),
        f"limen/{layer}/golden.json": json.dumps([case]).encode(),
    }


def members(raw: bytes) -> dict[str, bytes]:
    """The files of a packed bundle."""
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def packed(files: Mapping[str, bytes]) -> bytes:
    """Any files at all as a gzipped tar."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    squeezing = zlib.compressobj(wbits=31)
    return squeezing.compress(plain.getvalue()) + squeezing.flush()
