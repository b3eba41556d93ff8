"""What may be asked under a purpose, in this release's words. The rows are `policy.purposes`.

Nothing here permits anything: the rules do (`policies/`), and the floors hold what the catalogue says against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.policy.purposes import PURPOSES, PurposeRow
from gateway.policy.question import Stage
from gateway.terms.ids import Purpose, PurposeGroup
from gateway.terms.words import KeyType, ListId, RecordKind, Role

CATALOGUE: Final[Mapping[str, PurposeRow]] = {row.code: row for row in PURPOSES}
"""Every purpose by its code."""

OFFERED: Final[tuple[Purpose, ...]] = (
    Purpose("SEC.WATCH"),
    Purpose("DOC.STATUS"),
    Purpose("API.PRESCREEN"),
    Purpose("MISS.CHILD"),
    Purpose("READ.IDENT"),
    Purpose("RISK.IBC"),
)
"""Purposes with every safeguard of their row built. All others are denied, `purpose_not_offered`."""

IMMEDIATE: Final = frozenset({PurposeGroup("DOCUMENT"), PurposeGroup("CHILD")})
"""Groups whose entries a peer's next check finds; those of all others leave on the tick, so that no change of a
protected person's record shows as one (T10)."""

LIST_OPERATIONS: Final[tuple[str, ...]] = ("enter", "alter", "extend", "withdraw")
"""Acts upon our own list (T9)."""

MODEL_MARK: Final = "(as model)"
"""Marks an instrument that binds only its own members: never a legal basis here (T21)."""

_KEY_TYPES: Final[Mapping[str, KeyType]] = {
    "doc": KeyType.DOC_1,
    "name_year": KeyType.NAME_YEAR_1,
    "met2_dob": KeyType.MET2_DOB_1,
    "met2_year": KeyType.MET2_YEAR_1,
}
"""The catalogue's key names that this release can make, in their version in force."""

_KINDS: Final[Mapping[str, tuple[RecordKind, ...]]] = {
    "WATCH": (RecordKind.WANTED_ARREST, RecordKind.REFUSE_ENTRY),
    "DOCUMENT": (RecordKind.LOST_STOLEN, RecordKind.REVOKED),
    "SMUGGLING": (RecordKind.SMUGGLER_SUSPECT,),
    "CHILD": (RecordKind.MISSING_CHILD,),
    "READMISSION": (RecordKind.NATIONAL,),
}

_KEPT: Final = 256
"""Answers kept ready. Every question asks the same few; a peer that asks others gains nothing by it."""

_OPERATION: Final[Mapping[str, str]] = {"DOC.STATUS": "status", "READ.IDENT": "verify", "RISK.IBC": "aggregate"}

_DOCUMENT_PURPOSES: Final = frozenset({"DOC.STATUS", "DOC.NOTICE", "VERIF.DOC"})


def group_of(purpose: Purpose) -> PurposeGroup:
    """The purposes that share this one's table and key. A code outside the catalogue is alone in its group."""
    row = CATALOGUE.get(purpose)
    return PurposeGroup(row.group if row is not None else purpose)


def lists_of(purpose: Purpose) -> tuple[ListId, ...]:
    """The lists a question under the purpose is put to.

    Every code has one, offered or not, so that it is the rules which refuse it and give the reason; but a purpose of
    statistics has none: it reaches no record.
    """
    if is_aggregate(purpose):
        return ()
    return (ListId.DOCUMENTS,) if purpose in _DOCUMENT_PURPOSES else (ListId.PERSONS,)


@lru_cache(_KEPT)
def key_types_of(purpose: Purpose) -> tuple[KeyType, ...]:
    """The match keys that the catalogue lists for the purpose and this release makes; sorted, () where none."""
    row = CATALOGUE.get(purpose)
    names = row.match_keys if row is not None else ()
    return tuple(sorted(_KEY_TYPES[name] for name in names if name in _KEY_TYPES))


@lru_cache(_KEPT)
def key_types_of_group(group: PurposeGroup) -> frozenset[KeyType]:
    """The match keys that may stand in the group's tables: those of all its offered purposes."""
    return frozenset(
        key_type for purpose in OFFERED if group_of(purpose) == group for key_type in key_types_of(purpose)
    )


def kinds_of_group(group: PurposeGroup) -> tuple[RecordKind, ...]:
    """The kinds of entries that may stand in the group's tables. A kind stands in one group only: the firewall."""
    return _KINDS.get(group, ())


def group_of_kind(kind: RecordKind) -> PurposeGroup:
    """The one group whose tables may hold an entry of this kind."""
    return next(PurposeGroup(group) for group, kinds in _KINDS.items() if kind in kinds)


@lru_cache(_KEPT)
def kinds_of_list(list_id: ListId) -> tuple[RecordKind, ...]:
    """The kinds of entries that a list holds, over all its groups' tables."""
    documents = (RecordKind.LOST_STOLEN, RecordKind.REVOKED)
    if list_id is ListId.DOCUMENTS:
        return documents
    return tuple(kind for kind in RecordKind if kind not in documents)


def purpose_of_list(list_id: ListId) -> Purpose:
    """The purpose under which a list is kept: what a listing question names."""
    return Purpose("DOC.STATUS" if list_id is ListId.DOCUMENTS else "SEC.WATCH")


@lru_cache(_KEPT)
def roles_of(purpose: Purpose) -> frozenset[Role]:
    """Who may ask under the purpose, as far as the agency's register knows the role."""
    row = CATALOGUE.get(purpose)
    names = row.requester_roles if row is not None else ()
    return frozenset(role for role in Role if role.value in names)


def check_operation(purpose: Purpose) -> str:
    """The operation that a question under the purpose is: `status` for the state of a document, `verify` for a return,
    `aggregate` for a statistic, else `hit`."""
    return _OPERATION.get(purpose, "hit")


def end_of(purpose: Purpose) -> str:
    """The end a purpose serves: what was asked about a person for one is not asked about it for another (T16)."""
    return "return" if purpose == "READ.IDENT" else "border"


def signers_of(purpose: Purpose, stage: Stage) -> int:
    """How many persons must have signed a question under the purpose: two where its own operation is `four_eyes`."""
    return 2 if stage is Stage.ASK and decision_of(purpose, check_operation(purpose)) == "four_eyes" else 0


def is_aggregate(purpose: Purpose) -> bool:
    """True where only numbers may be asked for: no list, no match key, no record (`gateway.statistics`)."""
    return check_operation(purpose) == "aggregate"


def stages_of(purpose: Purpose) -> tuple[Stage, ...]:
    """The stages at which a question under the purpose can be permitted."""
    if is_aggregate(purpose):
        return (Stage.ASK, Stage.ANSWER)
    listed = any(purpose_of_list(list_id) == purpose for list_id in ListId)
    return (Stage.ASK, Stage.ANSWER, Stage.PUBLISH, *((Stage.LIST,) if listed else ()))


class TableOf(NamedTuple):
    """A table that owners make for peers: which list and group, and the offered purposes that reach it."""

    list_id: ListId
    group: PurposeGroup
    purposes: tuple[Purpose, ...]


@lru_cache(1)
def tables() -> tuple[TableOf, ...]:
    """Every table of this release, in the order of the offered purposes. Purposes of one group share one."""
    reached: dict[tuple[ListId, PurposeGroup], list[Purpose]] = {}
    for purpose in OFFERED:
        for list_id in lists_of(purpose):
            reached.setdefault((list_id, group_of(purpose)), []).append(purpose)
    return tuple(TableOf(list_id, group, tuple(purposes)) for (list_id, group), purposes in reached.items())


def decision_of(purpose: Purpose, operation: str) -> str:
    """`allow`, `approval`, `four_eyes` or `deny`. An operation or a code that is not listed is `deny`."""
    row = CATALOGUE.get(purpose)
    return row.operations.get(operation, "deny") if row is not None else "deny"


@lru_cache(_KEPT)
def is_model(instrument: str) -> bool:
    """True for an instrument that may be no legal basis: marked as a model, or part of one the catalogue marks so."""
    plain = _plain(instrument)
    return "(as model" in plain or (len(plain) >= _MODEL_CHARS_MIN and any(plain in model for model in _MODELS))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


_MODEL_CHARS_MIN = 8
"""Shorter texts would be found inside a model's name by chance."""

_MODELS: Final = frozenset(
    _plain(text.replace(MODEL_MARK, "")) for row in PURPOSES for text in row.legal_basis if MODEL_MARK in text
)
