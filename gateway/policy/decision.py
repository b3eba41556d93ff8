"""The answer of the rules, as a value (decision 2), and how two layers' answers become one.

Two layers decide apart: the regional baseline and the national policy. Both must permit; sets intersect, numbers take
the stricter, obligations add up. Anything that is not exactly of the expected form is a no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.policy.question import Question, Stage
from gateway.terms.words import KeyType, RecordKind

SCHEMA: Final = "limen.decision/1"
"""The form of a layer's answer; `policies/schemas/decision.json`."""

PERMIT_NS: Final = 15 * 60 * 10**9
"""The longest a permit holds (T5)."""

RETENTION_CLASSES: Final[tuple[str, ...]] = ("24h", "30d", "1y", "3y", "10y")
"""The log's retention classes that rules may ask for, strictest first (T13)."""


class Obligation(StrEnum):
    """What a permit binds the gateway to. Each is carried out by the module named; an unknown one is a no.

    Those that stand in a purpose's catalogue row are its safeguards.
    """

    LOG = "log"
    """An entry is durable before anything is told (flows)."""
    CHARGE = "charge"
    """Padded slots are charged before anything is evaluated (flows.answer): the limit on guessing."""
    HUMAN_CONFIRMATION = "human_confirmation"
    """A hit is shown as a question for a human, never as a finding (cli, client)."""
    PROTECTION_BEFORE_CHECK = "protection_before_check"
    """The protection declaration is part of the question and guards it before any key is made (floors)."""
    EXPIRED_NEVER_ANSWERS = "expired_never_answers"
    """Entries past their validity stand in no table and their labels are not read (watchlist.publish, flows.check)."""
    REDRESS_THROUGH_OWNER = "redress_through_owner"
    """A hit names the owner's contact, through which the person's rights are exercised (pseudonym.label)."""
    NO_HOLDER_DATA = "no_holder_data"
    """Document keys only, and a label without any holder field (matchkeys, pseudonym.label)."""
    UNKNOWN_NEVER_VALID = "unknown_never_valid"
    """Silence is shown as unknown, never as valid (cli, client)."""
    ISSUER_ONLY = "issuer_only"
    """Only the issuing state's own documents are listed (floors, watchlist.entry)."""
    TWO_PERSONS = "two_persons"
    """Two different officers signed (flows.listing, flows.check, floors)."""
    ONE_FLIGHT = "one_flight"
    """A question is about one flight, or about one crew and nobody else (flows.check)."""
    DELETED_AFTER_FLIGHT = "deleted_after_flight"
    """What is kept of those not hit goes 24 h after the flight has ended (flows.check, the log's class 24h)."""
    CHILD_RECIPIENT = "child_recipient"
    """A disclosure is for officers of the role child.protection only (disclosure.profiles)."""
    NEVER_DETAIN = "never_detain"
    """What is shown says not to detain; a hit is never a ground for refusal or detention (people.messages)."""
    ANSWER_IN_ONE_HOUR = "answer_in_one_hour"
    """The owner's desk answers within an hour, or the case is escalated (people.messages, disclosure.profiles)."""
    NO_OPEN_CLAIM = "no_open_claim"
    """With a claim or an appeal open or unknown, nothing reaches a state and the answer is a miss's (floors)."""
    BEST_INTEREST = "best_interest"
    """No child is asked about without the decision that it is in the child's best interest (floors)."""
    PURPOSE_BOUND = "purpose_bound"
    """The person is not asked about under another purpose, nor again for another end (flows.check, T16)."""
    NEVER_FALSE = "never_false"
    """The answer is true or unknown: silence never says that somebody is no national (people.messages)."""
    AGGREGATE_ONLY = "aggregate_only"
    """Numbers with noise over declared cells; nothing about a single person (gateway.statistics)."""


_SEC_WATCH = frozenset(
    {
        Obligation.LOG,
        Obligation.HUMAN_CONFIRMATION,
        Obligation.PROTECTION_BEFORE_CHECK,
        Obligation.EXPIRED_NEVER_ANSWERS,
        Obligation.REDRESS_THROUGH_OWNER,
    }
)
_ANSWER = frozenset({Obligation.LOG, Obligation.CHARGE, Obligation.EXPIRED_NEVER_ANSWERS})
_PUBLISH = frozenset({Obligation.LOG, Obligation.EXPIRED_NEVER_ANSWERS})
_DOC_STATUS = frozenset({Obligation.LOG, Obligation.NO_HOLDER_DATA, Obligation.UNKNOWN_NEVER_VALID})

MANDATORY: Final[Mapping[tuple[Stage, str], frozenset[Obligation]]] = {
    (Stage.ASK, "SEC.WATCH"): _SEC_WATCH,
    (Stage.ANSWER, "SEC.WATCH"): _ANSWER,
    (Stage.PUBLISH, "SEC.WATCH"): _PUBLISH,
    (Stage.LIST, "SEC.WATCH"): frozenset({Obligation.LOG, Obligation.TWO_PERSONS}),
    (Stage.ASK, "DOC.STATUS"): _DOC_STATUS,
    (Stage.ANSWER, "DOC.STATUS"): frozenset({Obligation.LOG, Obligation.CHARGE, Obligation.NO_HOLDER_DATA}),
    (Stage.PUBLISH, "DOC.STATUS"): frozenset({Obligation.LOG, Obligation.NO_HOLDER_DATA}),
    (Stage.LIST, "DOC.STATUS"): frozenset({Obligation.LOG, Obligation.TWO_PERSONS, Obligation.ISSUER_ONLY}),
    (Stage.ASK, "API.PRESCREEN"): _SEC_WATCH | {Obligation.ONE_FLIGHT, Obligation.DELETED_AFTER_FLIGHT},
    (Stage.ANSWER, "API.PRESCREEN"): _ANSWER,
    (Stage.PUBLISH, "API.PRESCREEN"): _PUBLISH,
    (Stage.ASK, "MISS.CHILD"): frozenset(
        {
            Obligation.LOG,
            Obligation.HUMAN_CONFIRMATION,
            Obligation.EXPIRED_NEVER_ANSWERS,
            Obligation.CHILD_RECIPIENT,
            Obligation.NEVER_DETAIN,
            Obligation.ANSWER_IN_ONE_HOUR,
        }
    ),
    (Stage.ANSWER, "MISS.CHILD"): _ANSWER,
    (Stage.PUBLISH, "MISS.CHILD"): _PUBLISH,
    (Stage.ASK, "READ.IDENT"): frozenset(
        {
            Obligation.LOG,
            Obligation.TWO_PERSONS,
            Obligation.NO_OPEN_CLAIM,
            Obligation.BEST_INTEREST,
            Obligation.PURPOSE_BOUND,
            Obligation.NEVER_FALSE,
        }
    ),
    (Stage.ANSWER, "READ.IDENT"): _ANSWER,
    (Stage.PUBLISH, "READ.IDENT"): _PUBLISH,
    (Stage.ASK, "RISK.IBC"): frozenset({Obligation.LOG, Obligation.AGGREGATE_ONLY}),
    (Stage.ANSWER, "RISK.IBC"): frozenset({Obligation.LOG, Obligation.CHARGE, Obligation.AGGREGATE_ONLY}),
}
"""Obligations without which a permit is a no, by stage and purpose: the safeguards of the catalogue's rows."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Yes, within these bounds. The next step takes it as an argument, so that it cannot be called without one.

    `agreement` names the pair's agreement (for listing: the mandate); `key_types` the match keys both layers grant;
    `kinds` the record kinds by name; `slots_per_day` the quota in padded batch elements (the stricter of both layers);
    `retention` the log's retention class; `expires_ns` at most 15 minutes ahead (T5); digests are the bundles'
    (SHA-256).
    """

    agreement: str
    agreement_version: int
    key_types: tuple[str, ...]
    kinds: tuple[str, ...]
    slots_per_day: int
    transfer_basis: str
    retention: str
    expires_ns: int
    baseline: bytes
    national: bytes
    obligations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """No. `reasons` are sorted codes of `policies/reasons.json`; they depend on the request, never on the person."""

    reasons: tuple[str, ...]
    baseline: bytes = b""
    national: bytes = b""


@dataclass(frozen=True, slots=True)
class Versions:
    """The two bundles an answer came from: SHA-256 digests, and the end of their validity, UTC ns."""

    baseline: bytes
    national: bytes
    baseline_not_after_ns: int
    national_not_after_ns: int


@dataclass(frozen=True, slots=True)
class _Grant:
    """One layer's yes, of the exact form."""

    agreement: str
    agreement_version: int
    key_types: frozenset[str]
    kinds: frozenset[str]
    slots_per_day: int
    transfer_basis: str
    retention: str
    until_ns: int
    obligations: frozenset[str]


class _Unusable(Exception):
    """The layer's answer is not of the form we know, so it is not a yes."""


NO: Final = {"schema": SCHEMA, "allow": False}

_FIELDS: Final = frozenset(
    {
        "schema",
        "allow",
        "agreement",
        "agreement_version",
        "key_types",
        "kinds",
        "slots_per_day",
        "transfer_basis",
        "retention",
        "until_ns",
        "obligations",
    }
)

_KEY_TYPES: Final = frozenset(key_type.value for key_type in KeyType)
_KINDS: Final = frozenset(kind.name for kind in RecordKind)
_OBLIGATIONS: Final = frozenset(obligation.value for obligation in Obligation)


def combine(baseline: object, national: object, question: Question, versions: Versions) -> Permit | Deny:
    """One answer out of two, failing closed. `baseline` and `national` are the layers' raw answers, any value at all.

    A `Deny` of a layer that said no in due form has no reasons yet: they are a second question to the layers, put only
    then (PROTOCOL, the spike). The steps are numbered in docs and tests by this list.
    """
    digests = (versions.baseline, versions.national)
    # 1. A bundle past its validity decides nothing.
    if question.time_ns >= min(versions.baseline_not_after_ns, versions.national_not_after_ns):
        return Deny(("policy_expired",), *digests)
    # 2. Two answers of the exact form: undefined, null, another schema, an unknown key or word is a no.
    try:
        region, state = _grant(baseline), _grant(national)
    except _Unusable:
        return Deny(("policy_answer",), *digests)
    # 3. Both say yes.
    if region is None or state is None:
        return Deny((), *digests)
    # 4. The agreement is the state's to name; the baseline names none.
    if region.agreement or not state.agreement:
        return Deny(("policy_answer",), *digests)
    # 5. Sets intersect, and nothing is granted that was not asked.
    key_types = region.key_types & state.key_types
    if question.key_types:
        key_types &= {key_type.value for key_type in question.key_types}
    aggregate = question.operation == "aggregate"
    if not key_types and not aggregate:
        return Deny(("key_type",), *digests)
    kinds = region.kinds & state.kinds
    if not kinds and not aggregate:
        return Deny(("policy_answer",), *digests)
    # 6. Obligations add up; those of the purpose's safeguards must be among them.
    obligations = region.obligations | state.obligations
    mandatory = MANDATORY.get((question.stage, question.purpose))
    if mandatory is None:
        return Deny(("purpose_not_offered",), *digests)
    if not mandatory <= obligations:
        return Deny(("policy_answer",), *digests)
    # 7. Numbers take the stricter.
    slots_per_day = min(region.slots_per_day, state.slots_per_day)
    if slots_per_day == 0 and question.stage in (Stage.ASK, Stage.ANSWER):
        return Deny(("policy_answer",), *digests)
    retention = min(region.retention, state.retention, key=RETENTION_CLASSES.index)
    expires_ns = min(
        question.time_ns + PERMIT_NS,
        versions.baseline_not_after_ns,
        versions.national_not_after_ns,
        region.until_ns,
        state.until_ns,
    )
    if expires_ns <= question.time_ns:
        return Deny(("agreement_not_in_force",), *digests)
    return Permit(
        agreement=state.agreement,
        agreement_version=state.agreement_version,
        key_types=tuple(sorted(key_types)),
        kinds=tuple(sorted(kinds)),
        slots_per_day=slots_per_day,
        transfer_basis=state.transfer_basis,
        retention=retention,
        expires_ns=expires_ns,
        baseline=versions.baseline,
        national=versions.national,
        obligations=tuple(sorted(obligations)),
    )


def _grant(answer: object) -> _Grant | None:
    """A layer's yes, or None for its no in due form. Raises _Unusable for everything else."""
    if not isinstance(answer, dict):
        raise _Unusable
    if answer == NO and answer["allow"] is False:
        return None
    if answer.keys() != _FIELDS or answer["schema"] != SCHEMA or answer["allow"] is not True:
        raise _Unusable
    retention = answer["retention"]
    if not isinstance(retention, str) or retention not in RETENTION_CLASSES:
        raise _Unusable
    return _Grant(
        agreement=_text(answer["agreement"]),
        agreement_version=_number(answer["agreement_version"]),
        key_types=_words(answer["key_types"], _KEY_TYPES),
        kinds=_words(answer["kinds"], _KINDS),
        slots_per_day=_number(answer["slots_per_day"]),
        transfer_basis=_text(answer["transfer_basis"]),
        retention=retention,
        until_ns=_number(answer["until_ns"]),
        obligations=_words(answer["obligations"], _OBLIGATIONS),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise _Unusable
    return value


def _number(value: object) -> int:
    # bool is an int in Python; true is not a number of slots.
    if type(value) is not int or value < 0:
        raise _Unusable
    return value


def _words(value: object, vocabulary: frozenset[str]) -> frozenset[str]:
    if not isinstance(value, list | set | frozenset) or not all(isinstance(word, str) for word in value):
        raise _Unusable
    words = frozenset(value)
    if not words <= vocabulary:
        raise _Unusable
    return words
