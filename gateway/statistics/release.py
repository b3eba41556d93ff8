"""The document of a release: canonical bytes that say everything a careful reader must know beside the numbers.

Cells are in the order of the key domain. A cell without a number says why; suppression never reads as zero, and a
negative number stays, because totals of trimmed cells would be too high.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from math import prod
from typing import Any, Final

from gateway.errors import GatewayError, Malformed
from gateway.people import codes
from gateway.primitives import cbor
from gateway.statistics import domain as domains
from gateway.statistics.bounding import salt_commitment
from gateway.statistics.budget import Account
from gateway.statistics.catalogue import Query, read_facts
from gateway.statistics.domain import KeyDomain
from gateway.statistics.plan import Plan

SCHEMA: Final = "limen.release/1"
BYTES_MAX: Final = 32 << 20

PROTECTED_OMISSION: Final = (
    "no cells by protection status about the recipient's own nationals, nor where the nationality names no state"
)


class CellStatus(IntEnum):
    """Why a cell has a number, or none."""

    RELEASED = 0
    BELOW_THRESHOLD = 1
    NOT_COLLECTED = 2
    WITHHELD = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: `noisy` is None where the status is not RELEASED."""

    key: tuple[str, ...]
    status: CellStatus
    noisy: int | None


@dataclass(frozen=True, slots=True)
class Release:
    """A document, read. `facts` holds every field by name; the numbers are `cells()`."""

    query: Query
    domain: KeyDomain
    facts: Mapping[str, Any]

    def cells(self) -> list[Cell]:
        """Every cell in order."""
        return [
            Cell(self.domain.key(number), CellStatus(status), value)
            for number, (status, value) in enumerate(
                zip(self.facts["statuses"], self.facts["values"]["noisy"], strict=True)
            )
        ]


def document(
    plan: Plan,
    values: tuple[int, ...],
    lost: int,
    *,
    release_id: str,
    owner: str,
    snapshot: bytes,
    salt: bytes,
    account: Account,
    audit_index: int,
    released_ns: int,
    software: Mapping[str, str],
) -> bytes:
    """The owner's whole document. `values` and `lost` are noisy already; `account` is after the charge.

    `snapshot` is the events' digest (32 bytes), `audit_index` the log entry before the counting, `software` name to
    version.
    What a peer gets is `for_recipient` of it.
    """
    statuses, shown = _cells(plan, values)
    total = sum(values)
    return cbor.encode(
        {
            "schema": SCHEMA,
            "id": release_id,
            "owner": owner,
            "recipient": "",
            "released_ns": released_ns,
            "query": plan.query.facts(),
            "query_digest": plan.query.digest,
            "snapshot": snapshot,
            "unit": {"name": plan.spec.unit, "period": plan.query.period, "scope": "within one state"},
            "bound": plan.spec.facts(),
            "salt_commitment": salt_commitment(salt),
            "mechanism": {"name": plan.noise.kind, "scale": _pair(plan.noise.scale)},
            "loss": {
                "micro_rho": plan.micro_rho,
                "epsilon_micro": plan.epsilon_micro,
                "delta": _pair(plan.delta),
            },
            "balance": {
                "cap_micro_rho": account.cap,
                "spent_micro_rho": account.spent,
                "left_micro_rho": account.left,
                "spent_epsilon_micro": account.epsilon_micro,
            },
            "error": {
                "sd_micro": plan.noise.sd_micro,
                "half_width_95": plan.noise.half_width(),
                "covers": "noise only; see bias for what the bound left out",
            },
            "bias": {
                "lost": lost,
                "lost_half_width_95": plan.loss_noise.half_width(),
                "mechanism": {"name": plan.loss_noise.kind, "scale": _pair(plan.loss_noise.scale)},
                "kept_per_mille": _kept(total, lost),
                "warning": "cells are too low by what the bound and the declared cells left out",
            },
            "domain": plan.domain.facts(),
            "domain_digest": plan.domain.digest,
            "suppression": {"rule": "noisy value below threshold", "threshold": plan.threshold}
            if plan.threshold
            else {"rule": "none", "threshold": 0},
            "omissions": [],
            "invariants": [],
            "statuses": statuses,
            "values": {"noisy": shown, "consistent": "noisy"},
            "software": dict(software),
            "audit_index": audit_index,
        }
    )


def for_recipient(data: bytes, recipient: str) -> bytes:
    """The document as one state gets it: made from the stored bytes without a draw, so always the same bytes (T20).

    A state gets no cell by protection status about its own nationals: neither the protected nor, since the rest of a
    total would tell them, the others. A nationality that names no state may be anybody's.
    """
    release = decode(data)
    facts = dict(release.facts)
    facts["recipient"] = recipient
    names = release.domain.names
    if "protection" in names:
        statuses = bytearray(facts["statuses"])
        noisy = list(facts["values"]["noisy"])
        for first, last in _withheld(release.domain, recipient):
            statuses[first:last] = bytes([CellStatus.WITHHELD]) * (last - first)
            noisy[first:last] = [None] * (last - first)
        facts["statuses"] = bytes(statuses)
        facts["values"] = {**facts["values"], "noisy": noisy}
        facts["omissions"] = [*facts["omissions"], PROTECTED_OMISSION]
    return cbor.encode(facts)


def decode(data: bytes) -> Release:
    """Read a document from its canonical bytes.

    Raises:
        Malformed: another schema, fields or shape, or numbers where the status says there are none.
    """
    facts = cbor.decode(data, field="release", limit=BYTES_MAX)
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA or facts.keys() != _FIELDS:
        raise Malformed("release", "is not a release document of this version")
    domain = domains.read(facts["domain"])
    query = read_facts(facts["query"])
    values, statuses = facts["values"], facts["statuses"]
    if not isinstance(values, dict) or values.keys() != {"noisy", "consistent"} or not isinstance(statuses, bytes):
        raise Malformed("release.values", "has another shape")
    noisy = values["noisy"]
    if not isinstance(noisy, list) or not len(noisy) == len(statuses) == domain.size:
        raise Malformed("release.values", "does not fit the key domain")
    for value, status in zip(noisy, statuses, strict=True):
        if status > CellStatus.WITHHELD or (type(value) is int) != (status == CellStatus.RELEASED):
            raise Malformed("release.values", "a cell has a number without being released, or none")
        if status != CellStatus.RELEASED and value is not None:
            raise Malformed("release.values", "a cell that is not released has a value")
    if facts["query_digest"] != query.digest or facts["domain_digest"] != domain.digest:
        raise Malformed("release", "a digest is not that of its part")
    return Release(query, domain, facts)


def told(data: bytes) -> tuple[Any, Any, Any, Any] | None:
    """(owner, recipient, query digest, snapshot) as a document says them; None for what is no document."""
    try:
        facts = decode(data).facts
    except GatewayError:
        return None
    return facts["owner"], facts["recipient"], facts["query_digest"], facts["snapshot"]


def to_json(data: bytes) -> dict[str, Any]:
    """The document for people and `--json`: bytes in hexadecimal, every cell with its keys and its status in words."""
    release = decode(data)
    plain = {name: value for name, value in release.facts.items() if name not in {"statuses", "values"}}
    readable: dict[str, Any] = _hex(plain)
    readable["columns"] = {"consistent": release.facts["values"]["consistent"]}
    readable["cells"] = [
        {**dict(zip(release.domain.names, cell.key, strict=True)), "status": cell.status.name.lower(),
         "noisy": cell.noisy}
        for cell in release.cells()
    ]  # fmt: skip
    return readable


def _withheld(domain: KeyDomain, recipient: str) -> Iterator[tuple[int, int]]:
    """The runs of cells about the recipient's own nationals, or about nobody's; all of them without a nationality."""
    names = domain.names
    if "nationality" not in names:
        yield 0, domain.size
        return
    where = names.index("nationality")
    values = domain.dimensions[where].values
    run = prod(len(one.values) for one in domain.dimensions[where + 1 :])
    places = [
        place for place, code in enumerate(values) if codes.same_state(code, recipient) or not codes.names_a_state(code)
    ]
    for block in range(0, domain.size, run * len(values)):
        for place in places:
            first = block + place * run
            yield first, first + run


def _cells(plan: Plan, values: tuple[int, ...]) -> tuple[bytes, list[int | None]]:
    statuses, shown = bytearray(plan.domain.size), list[int | None](values)
    whole = not any(dimension.uncollected for dimension in plan.domain.dimensions)
    for number, value in enumerate(values):
        if not whole and not plan.domain.is_collected(number):
            statuses[number], shown[number] = CellStatus.NOT_COLLECTED, None
        elif value < plan.threshold and plan.threshold:
            statuses[number], shown[number] = CellStatus.BELOW_THRESHOLD, None
    return bytes(statuses), shown


def _kept(total: int, lost: int) -> int | None:
    """Kept pieces a thousand, from noisy numbers only; None where they say nothing."""
    whole = max(0, total) + max(0, lost)
    return round(Fraction(1000 * max(0, total), whole)) if whole else None


def _pair(value: Fraction) -> list[int]:
    return [value.numerator, value.denominator]


def _hex(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _hex(one) for name, one in value.items()}
    return [_hex(one) for one in value] if isinstance(value, list) else value


_FIELDS: Final = frozenset(
    {
        "schema", "id", "owner", "recipient", "released_ns", "query", "query_digest", "snapshot", "unit", "bound",
        "salt_commitment", "mechanism", "loss", "balance", "error", "bias", "domain", "domain_digest", "suppression",
        "omissions", "invariants", "statuses", "values", "software", "audit_index",
    }
)  # fmt: skip
