"""What two states signed, and a state's own mandate to list: the facts that the national rules read.

An agreement is complete or it is none (T21): legal bases of its own, transfer tool, controllers, impact assessment,
supervisors and redress are mandatory, and an instrument marked "(as model)" is no basis. It holds in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import InputRefused
from gateway.policy import catalogue
from gateway.policy.decision import RETENTION_CLASSES
from gateway.terms.ids import Purpose, peer_id
from gateway.terms.words import ListId

AGREEMENT_SCHEMA: Final = "limen.agreement/1"
MANDATE_SCHEMA: Final = "limen.mandate/1"

STATUSES: Final[tuple[str, ...]] = ("in_force", "suspended", "ended")
"""Only an agreement in force is prepared for decisions."""

NS_MAX: Final = 2**63 - 1
"""Largest time the engines compare exactly, UTC ns."""

STATISTICS: Final = "STATISTICS"
"""What a mandate names in the place of a list where it lets the state's own analysts ask their own node for private
statistics of its own events. No other state is a party to that, so no agreement is needed."""

HOME_ROLES: Final[tuple[str, ...]] = ("analyst.national",)
"""Who may do so."""

TEXT_CHARS_MAX: Final = 200

REQUESTS_PER_DAY: Final = 200
"""Statistics a day that a starter agreement grants: a group of statistics counts requests where others count slots."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an agreement permits under one purpose."""

    legal_bases: tuple[str, ...]
    roles: tuple[str, ...]
    key_types: tuple[str, ...]
    kinds: tuple[str, ...]
    lists: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One agreement between two states, judged. `slots_per_day` counts padded batch elements by purpose group, and
    requests where the group is one of statistics.

    `agencies`, `controllers`, `supervisor` and `redress` are by state; times are UTC ns, the end is exclusive.
    """

    id: str
    version: int
    status: str
    parties: tuple[str, str]
    valid_from_ns: int
    valid_until_ns: int
    purposes: Mapping[str, Terms]
    agencies: Mapping[str, tuple[str, ...]]
    slots_per_day: Mapping[str, int]
    retention: str
    transfer_tool: str
    controllers: Mapping[str, str]
    dpia: str
    supervisor: Mapping[str, str]
    redress: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """The agreement as `parse` reads it."""
        return {
            "schema": AGREEMENT_SCHEMA,
            "id": self.id,
            "version": self.version,
            "status": self.status,
            "parties": list(self.parties),
            "valid_from_ns": self.valid_from_ns,
            "valid_until_ns": self.valid_until_ns,
            "purposes": {
                purpose: {
                    "legal_bases": list(terms.legal_bases),
                    "roles": list(terms.roles),
                    "key_types": list(terms.key_types),
                    "kinds": list(terms.kinds),
                    "lists": list(terms.lists),
                }
                for purpose, terms in self.purposes.items()
            },
            "agencies": {state: list(names) for state, names in self.agencies.items()},
            "slots_per_day": dict(self.slots_per_day),
            "retention": self.retention,
            "transfer_tool": self.transfer_tool,
            "controllers": dict(self.controllers),
            "dpia": self.dpia,
            "supervisor": dict(self.supervisor),
            "redress": dict(self.redress),
        }


@dataclass(frozen=True, slots=True)
class Mandate:
    """A state's own authority to change one of its lists (T9), or to make statistics of its own events (`STATISTICS`).

    `kinds` are the list's kinds of records, none for statistics.
    """

    id: str
    list: str
    agencies: tuple[str, ...]
    legal_bases: tuple[str, ...]
    kinds: tuple[str, ...]
    valid_from_ns: int
    valid_until_ns: int

    def document(self) -> dict[str, Any]:
        """The mandate as `parse_mandate` reads it."""
        return {
            "schema": MANDATE_SCHEMA,
            "id": self.id,
            "list": self.list,
            "agencies": list(self.agencies),
            "legal_bases": list(self.legal_bases),
            "kinds": list(self.kinds),
            "valid_from_ns": self.valid_from_ns,
            "valid_until_ns": self.valid_until_ns,
        }


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `path` leads to it from the document's root, by names of fields and places in lists."""

    path: tuple[str | int, ...]
    why: str

    @property
    def field(self) -> str:
        """The path in words, without places in lists: `purposes.SEC.WATCH.roles`; empty for the document itself."""
        return ".".join(part for part in self.path if isinstance(part, str))


def parse(document: object) -> Agreement:
    """Judge an agreement. Raises InputRefused naming the field; every field is mandatory and no other is taken."""
    found: list[Fault] = []
    judged = _agreement(document, found)
    if judged is None or found:
        raise _refused("agreement", found[0])
    return judged


def faults(document: object) -> tuple[Fault, ...]:
    """Everything that is wrong with an agreement, in the order in which it is judged; () if `parse` takes it."""
    found: list[Fault] = []
    _agreement(document, found)
    return tuple(found)


def parse_mandate(document: object) -> Mandate:
    """Judge a mandate. Raises InputRefused naming the field."""
    found: list[Fault] = []
    judged = _mandate(document, found)
    if judged is None or found:
        raise _refused("mandate", found[0])
    return judged


def _refused(name: str, fault: Fault) -> InputRefused:
    field = f"{name}.{fault.field}" if fault.field else name
    return InputRefused(fault.why, field=field, code="AGREEMENT")


def _agreement(document: object, found: list[Fault]) -> Agreement | None:
    """The agreement, None where it has no shape at all; worth something only where nothing was found."""
    fields = _Fields.of(document, (), Agreement.__slots__, AGREEMENT_SCHEMA, found)
    if fields is None:
        return None
    parties = fields.words("parties")
    if parties and len(parties) != 2:
        fields.wrong("name the two states", "parties")
    for state in parties:
        _state(fields, state)
    given = fields.mapping("purposes")
    terms = {purpose: _terms(fields, purpose, body) for purpose, body in sorted(given.items())}
    groups = {catalogue.group_of(Purpose(purpose)) for purpose in terms}
    slots = fields.counts("slots_per_day")
    # An unknown purpose is a fault of its own; what group it was to be in cannot be known.
    if slots and terms.keys() <= catalogue.CATALOGUE.keys() and set(slots) != groups:
        fields.wrong("give a number for each purpose group of the agreement, and no other", "slots_per_day")
    agencies = fields.word_lists("agencies")
    controllers, supervisor, redress = (fields.texts(name) for name in ("controllers", "supervisor", "redress"))
    by_state: dict[str, Mapping[str, Any]] = {
        "agencies": agencies,
        "controllers": controllers,
        "supervisor": supervisor,
        "redress": redress,
    }
    for name, values in by_state.items():
        if values and parties and set(values) != set(parties):
            fields.wrong("say it for both states, and for no other", name)
    start, end = fields.period()
    return Agreement(
        id=fields.text("id"),
        version=fields.count("version"),
        status=fields.one_of("status", STATUSES),
        parties=(parties[0], parties[-1]) if parties else ("", ""),
        valid_from_ns=start,
        valid_until_ns=end,
        purposes=terms,
        agencies=agencies,
        slots_per_day=slots,
        retention=fields.one_of("retention", RETENTION_CLASSES),
        transfer_tool=fields.text("transfer_tool"),
        controllers=controllers,
        dpia=fields.text("dpia"),
        supervisor=supervisor,
        redress=redress,
    )


def _mandate(document: object, found: list[Fault]) -> Mandate | None:
    fields = _Fields.of(document, (), Mandate.__slots__, MANDATE_SCHEMA, found)
    if fields is None:
        return None
    list_id = fields.one_of("list", [*(word.value for word in ListId), STATISTICS])
    kinds = catalogue.kinds_of_list(ListId(list_id)) if list_id not in ("", STATISTICS) else ()
    start, end = fields.period()
    return Mandate(
        id=fields.text("id"),
        list=list_id,
        agencies=fields.words("agencies"),
        legal_bases=_bases(fields),
        kinds=fields.some_of("kinds", [kind.name for kind in kinds]),
        valid_from_ns=start,
        valid_until_ns=end,
    )


def starter(
    left: str,
    right: str,
    *,
    agencies: Mapping[str, Sequence[str]],
    valid_from_ns: int,
    valid_until_ns: int,
    version: int = 1,
    slots_per_day: int = 200_000,
) -> Agreement:
    """A complete agreement of two states over the offered purposes, to be edited by those who sign it.

    `agencies` names each state's asking agencies. Legal bases are the catalogue's instruments that bind, and the
    agreement itself ("bilateral agreement"); roles, keys and kinds are the catalogue's.
    """
    parties = sorted((left, right))
    name = f"AGR-{parties[0]}-{parties[1]}"
    terms = {}
    for purpose in catalogue.OFFERED:
        row = catalogue.CATALOGUE[purpose]
        kinds = catalogue.kinds_of_group(catalogue.group_of(purpose))
        terms[str(purpose)] = {
            "legal_bases": sorted({t for t in row.legal_basis if not catalogue.is_model(t)} | {"bilateral agreement"}),
            "roles": sorted(role.value for role in catalogue.roles_of(purpose)),
            "key_types": [key_type.value for key_type in catalogue.key_types_of(purpose)],
            "kinds": sorted(kind.name for kind in kinds),
            "lists": [list_id.value for list_id in catalogue.lists_of(purpose)],
        }
    return parse(
        {
            "schema": AGREEMENT_SCHEMA,
            "id": name,
            "version": version,
            "status": "in_force",
            "parties": parties,
            "valid_from_ns": valid_from_ns,
            "valid_until_ns": valid_until_ns,
            "purposes": terms,
            "agencies": {state: list(agencies[state]) for state in parties},
            "slots_per_day": {
                catalogue.group_of(purpose): REQUESTS_PER_DAY if catalogue.is_aggregate(purpose) else slots_per_day
                for purpose in catalogue.OFFERED
            },
            "retention": "30d",
            "transfer_tool": f"{name}: administrative arrangement with enforceable rights",
            "controllers": {state: f"{state}: separate controller for what it asks and lists" for state in parties},
            "dpia": f"{name}/dpia/1",
            "supervisor": {state: f"{state}: data protection authority" for state in parties},
            "redress": {state: f"{state}: request through the owner's data protection officer" for state in parties},
        }
    )


def starter_mandate(
    state: str,
    list_id: ListId,
    *,
    agencies: Sequence[str],
    valid_from_ns: int,
    valid_until_ns: int,
    legal_bases: Sequence[str] = (),
) -> Mandate:
    """A mandate for one list of the state, on the purpose's binding instruments and the given national acts."""
    row = catalogue.CATALOGUE[catalogue.purpose_of_list(list_id)]
    binding = {text for text in row.legal_basis if not catalogue.is_model(text)}
    return parse_mandate(
        {
            "schema": MANDATE_SCHEMA,
            "id": f"MANDATE-{state}-{list_id.value}",
            "list": list_id.value,
            "agencies": sorted(set(agencies)),
            "legal_bases": sorted(binding | {"national immigration act"} | set(legal_bases)),
            "kinds": sorted(kind.name for kind in catalogue.kinds_of_list(list_id)),
            "valid_from_ns": valid_from_ns,
            "valid_until_ns": valid_until_ns,
        }
    )


def starter_statistics(
    state: str, *, agencies: Sequence[str], valid_from_ns: int, valid_until_ns: int, legal_bases: Sequence[str] = ()
) -> Mandate:
    """A mandate for the state's own statistics, on the national acts that its lists stand on and the given ones."""
    return parse_mandate(
        {
            "schema": MANDATE_SCHEMA,
            "id": f"MANDATE-{state}-{STATISTICS}",
            "list": STATISTICS,
            "agencies": sorted(set(agencies)),
            "legal_bases": sorted({"national immigration act"} | set(legal_bases)),
            "kinds": [],
            "valid_from_ns": valid_from_ns,
            "valid_until_ns": valid_until_ns,
        }
    )


def _terms(whole: _Fields, purpose: str, body: object) -> Terms:
    """One purpose's terms: never more than the catalogue has."""
    empty = Terms((), (), (), (), ())
    if purpose not in catalogue.CATALOGUE:
        whole.wrong("not a purpose of the catalogue", "purposes", purpose)
        return empty
    fields = _Fields.of(body, ("purposes", purpose), Terms.__slots__, None, whole.found)
    if fields is None:
        return empty
    code = Purpose(purpose)
    return Terms(
        legal_bases=_bases(fields),
        roles=fields.words("roles", [role.value for role in catalogue.roles_of(code)]),
        key_types=fields.some_of("key_types", [key_type.value for key_type in catalogue.key_types_of(code)]),
        kinds=fields.some_of("kinds", [kind.name for kind in catalogue.kinds_of_group(catalogue.group_of(code))]),
        lists=fields.some_of("lists", [list_id.value for list_id in catalogue.lists_of(code)]),
    )


def _bases(fields: _Fields) -> tuple[str, ...]:
    bases = fields.words("legal_bases")
    for basis in bases:
        if catalogue.is_model(basis):
            place = fields.body["legal_bases"].index(basis)
            fields.wrong(f"{basis!r} is a model and binds neither state", "legal_bases", place)
    return bases


def _state(fields: _Fields, state: str) -> None:
    try:
        peer_id(state)
    except ValueError as fault:
        fields.wrong(str(fault), "parties", fields.body["parties"].index(state))


class _Fields:
    """A document with exactly the fields it should have, read one by one.

    What is wrong is written down in `found` and read as empty, so that one reading finds everything. A field that is
    missing is wrong once.
    """

    def __init__(self, body: Mapping[str, Any], path: tuple[str | int, ...], found: list[Fault]) -> None:
        self.body = body
        self.path = path
        self.found = found

    @classmethod
    def of(
        cls,
        document: object,
        path: tuple[str | int, ...],
        fields: Iterable[str],
        schema: str | None,
        found: list[Fault],
    ) -> _Fields | None:
        """The document's fields, None where it is no object."""
        if not isinstance(document, dict):
            found.append(Fault(path, "must be an object"))
            return None
        wanted = set(fields) | ({"schema"} if schema else set())
        made = cls({str(key): value for key, value in document.items()}, path, found)
        for field in sorted(wanted - made.body.keys()):
            made.wrong("is missing", field)
        for field in sorted(made.body.keys() - wanted):
            made.wrong("is not a field", field)
        if schema and made.body.get("schema", schema) != schema:
            made.wrong(f"write {schema!r}", "schema")
        return made

    def wrong(self, why: str, *path: str | int) -> None:
        """Write down what is wrong at a place below this document."""
        self.found.append(Fault((*self.path, *path), why))

    def text(self, field: str) -> str:
        return self._text(self.body[field], field) if field in self.body else ""

    def count(self, field: str) -> int:
        return self._count(self.body[field], field) if field in self.body else 0

    def words(self, field: str, vocabulary: Sequence[str] | None = None) -> tuple[str, ...]:
        if field not in self.body:
            return ()
        words = self._words(self.body[field], field)
        for word in words:
            if vocabulary is not None and word not in vocabulary:
                known = ", ".join(sorted(vocabulary)) or "none"
                self.wrong(f"{word!r} is not one of {known}", field, self.body[field].index(word))
        return words

    def some_of(self, field: str, vocabulary: Sequence[str]) -> tuple[str, ...]:
        """Words of the vocabulary, one at least; none where it has none."""
        if not vocabulary and self.body.get(field) == []:
            return ()
        return self.words(field, vocabulary)

    def one_of(self, field: str, words: Sequence[str]) -> str:
        if field not in self.body:
            return ""
        value = self.body[field]
        if isinstance(value, str) and value in words:
            return value
        self.wrong(f"write one of {', '.join(words)}", field)
        return ""

    def mapping(self, field: str) -> Mapping[str, Any]:
        value = self.body.get(field)
        if isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
            return value
        if field in self.body:
            self.wrong("must be an object that is not empty", field)
        return {}

    def texts(self, field: str) -> dict[str, str]:
        return {key: self._text(value, field, key) for key, value in self.mapping(field).items()}

    def counts(self, field: str) -> dict[str, int]:
        return {key: self._count(value, field, key) for key, value in self.mapping(field).items()}

    def word_lists(self, field: str) -> dict[str, tuple[str, ...]]:
        return {key: self._words(value, field, key) for key, value in self.mapping(field).items()}

    def period(self) -> tuple[int, int]:
        start, end = self.count("valid_from_ns"), self.count("valid_until_ns")
        if start and end and start >= end:
            self.wrong("ends before it begins", "valid_until_ns")
        return start, end

    def _text(self, value: object, *path: str | int) -> str:
        if (
            isinstance(value, str)
            and 1 <= len(value) <= TEXT_CHARS_MAX
            and value.isprintable()
            and value == value.strip()
        ):
            return value
        self.wrong(f"must be a text of 1 to {TEXT_CHARS_MAX} printable characters", *path)
        return ""

    def _count(self, value: object, *path: str | int) -> int:
        if type(value) is int and 1 <= value <= NS_MAX:
            return value
        self.wrong("must be a whole number from 1", *path)
        return 0

    def _words(self, value: object, *path: str | int) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            self.wrong("must be a list that is not empty", *path)
            return ()
        texts = [self._text(word, *path, place) for place, word in enumerate(value)]
        words = sorted(text for text in texts if text)
        if len(set(words)) != len(words):
            self.wrong("the same word stands twice", *path)
        return tuple(words)
