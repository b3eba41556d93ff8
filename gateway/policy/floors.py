"""The floors: what no policy can open, evaluated in code after the rules (T6).

A correctly signed bundle that allows everything leaks nothing: `hold` narrows or refuses its permit by the catalogue,
and `guard` decides on the person what no rule ever sees. The two faces of no (decision 7) part here: `hold` refuses
aloud, by the request; a guarded leg runs as a cover leg and looks like a miss from everywhere (T4).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from gateway.policy import catalogue
from gateway.policy.decision import PERMIT_NS, RETENTION_CLASSES, Deny, Permit
from gateway.policy.question import Question, Stage
from gateway.terms.ids import PeerId, Purpose
from gateway.terms.words import BATCH_CLASSES, AsylumState, ListId, ProtectionTag, Role

SIGNERS_MIN: Final = 2
"""Different officers who must sign a change of a list (T9), and a question under a purpose of four eyes."""

SLOTS_PER_DAY_MAX: Final = 2_000_000
"""No permit charges more padded slots a day to one (peer, list, group): about 23 a second, the whole day long."""

FIREWALL_TAGS: Final = frozenset({ProtectionTag.FAMILY_REUNIFICATION, ProtectionTag.REGULARISATION})
"""Tags of records kept for care: such a record is left out before matching under every purpose of enforcement."""

ENFORCEMENT: Final = ("SEC.", "SMUG.", "PNR.", "READ.", "RISK.")
"""Prefixes of the purposes of enforcement."""

RETURN: Final = Purpose("READ.IDENT")
"""The purpose of returns: its questions need two persons, and a claim that is not open."""

RETENTION: Final = {Purpose("API.PRESCREEN"): RETENTION_CLASSES[0]}
"""The log's class where it is no rule's to lengthen: what a flight leaves goes a day after it (T13)."""

CLAIM_CLOSED: Final = frozenset({AsylumState.NONE, AsylumState.FINALLY_REFUSED})
"""What must be known of an asylum claim before a person is asked about for a return (T10)."""

_CHILD_PURPOSES: Final = frozenset({"MISS.CHILD", "DOC.STATUS"})
"""Under which a child may be asked about: a missing child, and a document, which says nothing of its holder."""


MARKERS: Final = frozenset({Role.PROTECTION_OFFICER, Role.LIST_OFFICER, Role.SUPERVISOR})
"""In which roles persons set and clear protection tags."""


class Leg(StrEnum):
    """How one owner is asked about one person. From outside the two are the same."""

    REAL = "real"
    GUARDED = "guarded"


class Origins(Protocol):
    """The states a person may have fled from (T2); `people.origins` makes them."""

    def includes(self, state: PeerId, /) -> bool:
        """True where the state is one of them."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidate origins as plain values: `states` by name; with `all_but_issuer` every state but the document's
    `issuer` (refugee documents, XXA, XXB, XXC, XXX, unknown: T2)."""

    states: frozenset[str] = frozenset()
    all_but_issuer: bool = False
    issuer: str = ""

    def includes(self, state: str, /) -> bool:
        """True where the state may be the one the person fled from."""
        return state in self.states or (self.all_but_issuer and state != self.issuer)


def guard(
    purpose: Purpose,
    owner: PeerId,
    *,
    origins: Origins,
    protected: bool,
    child: bool,
    tags: Collection[ProtectionTag] = (),
    asylum: AsylumState = AsylumState.UNKNOWN,
    best_interest: bool = False,
) -> str:
    """Why nothing about this person may reach this owner under the purpose, or "" for a real leg.

    `protected`: declared at the booth, or shown by the document. `tags`: the record's protection tags, in force or in
    its history (T10); any of them protects. `child`: under 18, or with a birth date that could be (T21). `asylum` and
    `best_interest` (a decision is named) count for a return. The reason is for the home auditor and the protection desk
    only.
    """
    if purpose == RETURN and (protected or tags or asylum not in CLAIM_CLOSED):
        # Asking the state of origin at all is what must not happen, so every owner is left out alike (T4).
        return "asylum"
    if (protected or tags) and origins.includes(owner):
        return "protected_origin"
    if purpose.startswith(ENFORCEMENT) and not FIREWALL_TAGS.isdisjoint(tags):
        return "firewall"
    if (child or ProtectionTag.UNACCOMPANIED_CHILD in tags) and purpose not in _CHILD_PURPOSES:
        return "" if purpose == RETURN and best_interest else "child"
    return ""


def legs(
    purpose: Purpose,
    owners: Iterable[PeerId],
    *,
    origins: Origins,
    protected: bool,
    child: bool,
    tags: Collection[ProtectionTag] = (),
    asylum: AsylumState = AsylumState.UNKNOWN,
    best_interest: bool = False,
) -> dict[PeerId, Leg]:
    """How each permitted owner is asked about one person: every owner gets a leg, so that none can be missed (T4)."""
    reasons = {
        owner: guard(
            purpose,
            owner,
            origins=origins,
            protected=protected,
            child=child,
            tags=tags,
            asylum=asylum,
            best_interest=best_interest,
        )
        for owner in owners
    }
    return {owner: Leg.GUARDED if reason else Leg.REAL for owner, reason in reasons.items()}


def marking(*, is_set: bool, signed: Sequence[tuple[str, Role]]) -> tuple[str, ...]:
    """Why a record's protection tag may not be set, or cleared, by those who signed (person and role); () where it may
    (T10). Setting takes one person. Clearing takes two, one of them as protection officer; that the other is a list
    officer is what every change of a list needs."""
    persons = {person for person, _ in signed}
    reasons = set()
    if len(persons) < (1 if is_set else SIGNERS_MIN):
        reasons.add("signers")
    if any(role not in MARKERS for _, role in signed):
        reasons.add("role")
    if not is_set and not any(role is Role.PROTECTION_OFFICER for _, role in signed):
        reasons.add("protection_role")
    return tuple(sorted(reasons))


def hold(question: Question, permit: Permit) -> Permit | Deny:
    """The permit as far as the floors let it stand, or the refusal. Depends on the request only.

    The steps are in the order of the threat model; all of them are judged, so that a refusal names every reason.
    """
    reasons = set(_request(question))
    if question.stage is Stage.LIST:
        reasons |= set(_listing(question))
    else:
        reasons |= set(_exchange(question, permit))
    granted = {key_type.value for key_type in catalogue.key_types_of(question.purpose)}
    if question.key_types:
        granted &= {key_type.value for key_type in question.key_types}
    key_types = tuple(sorted(granted & set(permit.key_types)))
    aggregate = catalogue.is_aggregate(question.purpose)
    if not key_types and not aggregate:
        reasons.add("key_type")
    # A kind stands in one group's tables only; what the group does not hold is not granted (decision 8).
    if question.stage is Stage.LIST and question.list_id is not None:
        held = catalogue.kinds_of_list(question.list_id)
    else:
        held = catalogue.kinds_of_group(catalogue.group_of(question.purpose))
    kinds = tuple(sorted({kind.name for kind in held} & set(permit.kinds)))
    if (not kinds and not aggregate) or permit.retention not in RETENTION_CLASSES or permit.slots_per_day < 0:
        reasons.add("policy_answer")
    expires_ns = min(permit.expires_ns, question.time_ns + PERMIT_NS)
    if expires_ns <= question.time_ns:
        reasons.add("policy_expired")
    if reasons:
        return Deny(tuple(sorted(reasons)), permit.baseline, permit.national)
    return replace(
        permit,
        key_types=key_types,
        kinds=kinds,
        slots_per_day=min(permit.slots_per_day, SLOTS_PER_DAY_MAX),
        expires_ns=expires_ns,
        retention=RETENTION.get(question.purpose, permit.retention),
    )


def _request(question: Question) -> Iterable[str]:
    """What holds at every stage: the catalogue's rows."""
    if question.purpose not in catalogue.CATALOGUE:
        yield "purpose_unknown"
    elif question.purpose not in catalogue.OFFERED:
        yield "purpose_not_offered"
    if question.list_id not in (catalogue.lists_of(question.purpose) or (None,)):
        yield "list"
    if not set(question.key_types) <= set(catalogue.key_types_of(question.purpose)):
        yield "key_type"


def _exchange(question: Question, permit: Permit) -> Iterable[str]:
    """Asking, answering, publishing: two states, the purpose's own check, and an agreement to transfer under (T21)."""
    purpose = question.purpose
    decided = catalogue.decision_of(purpose, question.operation)
    if question.operation != catalogue.check_operation(purpose) or decided not in ("allow", "four_eyes"):
        yield "operation"
    if question.stage not in catalogue.stages_of(purpose):
        yield "stage"
    # Four eyes are the asker's: its two officers sign the question, and no officer is named abroad.
    if decided == "four_eyes" and question.stage is Stage.ASK and question.signers < SIGNERS_MIN:
        yield "signers"
    if question.asker == question.owner and question.stage is Stage.ANSWER and catalogue.is_aggregate(purpose):
        # A state's own analyst at its own node: nothing crosses a border, and a mandate stands for the agreement.
        if not permit.agreement:
            yield "no_agreement"
        if question.role is not Role.ANALYST_NATIONAL:
            yield "role"
    else:
        if question.asker == question.owner:
            yield "not_the_owner"
        if not permit.agreement or not permit.transfer_basis:
            yield "no_agreement"
    if question.stage is Stage.PUBLISH:
        # A table is made by the node's jobs, for a peer and not for a question.
        if question.role is not Role.OPERATOR:
            yield "role"
        return
    if question.role not in catalogue.roles_of(purpose):
        yield "role"
    if not question.legal_basis or catalogue.is_model(question.legal_basis):
        yield "legal_basis"
    if catalogue.is_aggregate(purpose):
        return
    if not question.key_types:
        yield "key_type"
    if question.class_size not in BATCH_CLASSES:
        yield "class_size"
    if question.has_case is not True:
        yield "case_required"


def _listing(question: Question) -> Iterable[str]:
    """Changing our own list is an act: authority, decision reference, basis, two persons, issuing state (T9)."""
    if question.stage not in catalogue.stages_of(question.purpose):
        yield "stage"
    if question.operation not in catalogue.LIST_OPERATIONS:
        yield "operation"
    if question.asker != question.owner:
        yield "not_the_owner"
    if question.role is not Role.LIST_OFFICER:
        yield "role"
    if not question.legal_basis or catalogue.is_model(question.legal_basis):
        yield "legal_basis"
    if question.has_case is not True:
        yield "case_required"
    if question.signers < SIGNERS_MIN:
        yield "signers"
    if question.issuers != ((str(question.owner),) if question.list_id is ListId.DOCUMENTS else ()):
        yield "issuer"
