"""The thirty purposes as rules: what their rules read, a good question of each operation, and the golden decisions.

`policies/limen/baseline/purposes` decides over the whole catalogue, offered or not. Expected answers are written here
apart from the rules, from the catalogue's rows, so that a slip in either shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.policy import floors
from gateway.policy.purposes import PURPOSES, PurposeRow
from gateway.policy.safeguards import OPERATIONS, ROLE_ONLY, SAFEGUARDS, TIME_NS, Condition, DependsOn, Safeguard

SCHEMA: Final = "limen.purpose/1"
"""The form of the input document."""

PACKAGE: Final = "limen.baseline.purposes"
"""The package of the rules."""

APPROVALS: Final = {"allow": 0, "approval": 1, "four_eyes": 2}
"""How many persons of the data's owner must have approved."""

DESTINATIONS: Final = ("member", "third_state", "international_organisation", "private_party")
"""Kinds of recipients."""

PROVENANCE: Final[Mapping[str, tuple[str, ...]]] = {
    "national": ("member", "third_state", "international_organisation"),
    "bilateral": ("member",),
    "interpol": ("member",),
    "sis": (),
    "eurodac": (),
    "no_export": (),
}
"""Where information of a source may go at the level of persons. To a private party nothing does."""

CHILD_PURPOSES: Final = ("DOC.STATUS", "MISS.CHILD")
"""Under which a child, or a person of unknown age, may be asked about."""

GUARDS: Final[Mapping[str, tuple[tuple[str, Any], ...]]] = {
    "guard/destination": (
        ("destination.kind", "other"),
        ("destination.basis", ""),
        ("destination.until_ns", TIME_NS),
        ("destination.review_ns", TIME_NS),
    ),
    "guard/purpose_change": (("used", ["FAM.LINK", "TIP.VICTIM"]),),
    "guard/origin": (("protected", True), ("tags", ["WITNESS"]), ("claim", "open"), ("claim", "granted")),
    "guard/screening": (("screened", False),),
    "guard/provenance": (
        ("provenance", "sis"),
        ("provenance", "eurodac"),
        ("provenance", "no_export"),
        ("destination.kind", "private_party"),
    ),
    "guard/originator": (("onward", []),),
    "guard/child": (("age", "child"), ("age", "unknown")),
    "guard/firewall": (("tags", ["FAMILY_REUNIFICATION"]), ("tags", ["REGULARISATION"])),
    "guard/record": tuple(("record", state) for state in ("contested", "withdrawn", "retention_ended", "declined")),
}
"""For each guard, the changes of a good question at which it holds, by the field of `guard`."""

SPOKEN_GUARDS: Final = frozenset({"guard/destination", "guard/purpose_change"})
"""The guards that depend on the request."""


def data() -> dict[str, Any]:
    """`limen.baseline.safeguards`: the rows' safeguards by purpose and operation, and the tables of the guards."""
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {row.code: {} for row in PURPOSES}
    for safeguard in SAFEGUARDS:
        for operation in safeguard.operations:
            rows[safeguard.purpose].setdefault(operation, []).append(
                {
                    "code": safeguard.code,
                    "depends_on": safeguard.depends_on.value,
                    "conditions": [
                        {"fact": item.fact, "form": item.form.value, "value": plain(item.value)}
                        for item in safeguard.conditions
                    ],
                }
            )
    return {
        "rows": rows,
        "facts": {item.fact: True for safeguard in SAFEGUARDS for item in safeguard.conditions if item.fact},
        "operations": list(OPERATIONS),
        "role_only": {
            purpose: {role: list(only) for role, only in roles.items()} for purpose, roles in ROLE_ONLY.items()
        },
        "approvals": dict(APPROVALS),
        "destinations": list(DESTINATIONS),
        "provenance": {source: list(kinds) for source, kinds in PROVENANCE.items()},
        "child_purposes": list(CHILD_PURPOSES),
        "enforcement": list(floors.ENFORCEMENT),
        "firewall_tags": sorted(tag.value for tag in floors.FIREWALL_TAGS),
    }


def plain(value: object) -> Any:
    """A value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def due(purpose: str, operation: str) -> list[Safeguard]:
    """The safeguards of a row that an operation must meet."""
    return [item for item in SAFEGUARDS if item.purpose == purpose and operation in item.operations]


def permitted(row: PurposeRow, operation: str) -> bool:
    """True where the row lists the operation with anything but `deny`."""
    return row.operations.get(operation, "deny") != "deny"


def asks(row: PurposeRow, operation: str, role: str) -> bool:
    """True where the row lists the role for the operation."""
    only = ROLE_ONLY.get(row.code, {}).get(role, OPERATIONS)
    return role in row.requester_roles and operation in only


def good(row: PurposeRow, operation: str, role: str = "") -> dict[str, Any]:
    """A question that the row permits at the operation, with every fact known and every guard content."""
    aggregate = operation == "aggregate"
    statistic = next(iter(row.statistics), "").replace("*", "ANY")
    return {
        "schema": SCHEMA,
        "purpose": row.code,
        "operation": operation,
        "role": role or next(name for name in row.requester_roles if asks(row, operation, name)),
        "legal_basis": "bilateral agreement",
        "categories": [row.data_categories[0]],
        "match_keys": [] if aggregate else list(row.match_keys),
        "statistic": statistic if aggregate else "",
        "approvals": APPROVALS.get(row.operations.get(operation, "deny"), 0),
        "time_ns": TIME_NS,
        "facts": {
            item.fact: plain(item.good())
            for safeguard in due(row.code, operation)
            for item in safeguard.conditions
            if item.fact
        },
        "guard": {} if aggregate else guard(),
    }


def guard() -> dict[str, Any]:
    """What is known of an adult whom nothing protects, asked about by the state that it may have left."""
    return {
        "owner": "UTO",
        "destination": {
            "state": "XOM",
            "kind": "member",
            "basis": "bilateral agreement",
            "until_ns": TIME_NS + 1,
            "review_ns": TIME_NS + 1,
        },
        "origins": ["XOM"],
        "any_origin": False,
        "issuer": "XOM",
        "protected": False,
        "tags": [],
        "claim": "none",
        "screened": True,
        "return_profile": False,
        "best_interest": False,
        "age": "adult",
        "provenance": "national",
        "originator": "ZZZ",
        "onward": ["XOM"],
        "record": "active",
        "used": [],
        "purpose_change": False,
    }


def with_guard(question: Mapping[str, Any], field: str, value: object) -> dict[str, Any]:
    """The question with one field of its guard changed; `destination.kind` names a field of the destination."""
    known = dict(question["guard"])
    outer, _, inner = field.partition(".")
    known[outer] = {**known[outer], inner: value} if inner else value
    return {**question, "guard": known}


def with_fact(question: Mapping[str, Any], condition: Condition, value: object) -> dict[str, Any]:
    """The question with one fact changed; without it where `value` is None."""
    facts = {name: kept for name, kept in question["facts"].items() if name != condition.fact}
    return {**question, "facts": facts if value is None else {**facts, condition.fact: plain(value)}}


def face(operation: str, *, spoken: bool) -> str:
    """What a no looks like: by the request it is spoken; by the person it is a miss, or the refusal without a code."""
    if spoken:
        return "spoken"
    return "miss" if operation in ("status", "hit", "aggregate") else "refused"


def cases() -> Iterator[dict[str, Any]]:
    """The golden decisions: every row's operations, roles and safeguards, with what is expected."""
    for row in PURPOSES:
        for operation in OPERATIONS:
            if not permitted(row, operation):
                asked = good(row, operation, row.requester_roles[0])
                # A safeguard on the operation itself speaks as well, and a row without statistics lists none to name.
                codes = [item.code for item in due(row.code, operation) if not item.conditions[0].fact]
                if operation == "aggregate" and not row.statistics:
                    codes.append("catalogue/statistic")
                yield _case(f"{row.code} {operation}: not listed", asked, row, ["operation", *codes], [])
                continue
            asked = good(row, operation)
            yield _case(f"{row.code} {operation}", asked, row, [], [])
            yield _case(f"{row.code} {operation}: an auditor", {**asked, "role": "auditor"}, row, ["role"], [])
    for safeguard in SAFEGUARDS:
        row = next(row for row in PURPOSES if row.code == safeguard.purpose)
        for operation in safeguard.operations:
            if not permitted(row, operation):
                continue
            for condition in safeguard.conditions:
                if not condition.fact:
                    continue
                asked = with_fact(good(row, operation), condition, condition.bad())
                by_request = safeguard.depends_on is DependsOn.REQUEST
                also = [
                    other.code
                    for other in due(row.code, operation)
                    if other.code != safeguard.code and any(item == condition for item in other.conditions)
                ]
                codes = [safeguard.code, *also]
                name = f"{safeguard.code} {operation}: {condition.fact}"
                yield _case(name, asked, row, codes if by_request else [], [] if by_request else codes)
                break
    yield from _guarded()


def _guarded() -> Iterator[dict[str, Any]]:
    """The guards, on one purpose of enforcement."""
    row = next(row for row in PURPOSES if row.code == "SEC.WATCH")
    asked = good(row, "disclose")
    beside = {
        ("destination.kind", "other"): ["guard/provenance"],
        ("tags", ("FAMILY_REUNIFICATION",)): ["guard/origin"],
        ("tags", ("REGULARISATION",)): ["guard/origin"],
    }
    for code, changes in GUARDS.items():
        for field, value in changes:
            also = beside.get((field, tuple(value) if isinstance(value, list) else value), [])
            spoken = code in SPOKEN_GUARDS
            yield _case(
                f"{code} {field} {value}",
                with_guard(asked, field, value),
                row,
                [code] if spoken else [],
                also if spoken else [code, *also],
            )
    for field, value in (("origins", []), ("originator", "UTO"), ("screened", True)):
        yield _case(f"SEC.WATCH disclose: {field} {value}", with_guard(asked, field, value), row, [], [])
    changed = with_guard(with_guard(asked, "used", ["READ.IDENT"]), "purpose_change", True)
    yield _case("SEC.WATCH disclose: a purpose change on record", changed, row, [], [])
    unknown = with_guard(with_guard(with_guard(asked, "any_origin", True), "origins", []), "protected", True)
    yield _case("SEC.WATCH disclose: papers that name no state", unknown, row, [], [])
    elsewhere = with_guard(unknown, "issuer", "UTO")
    yield _case("SEC.WATCH disclose: papers of another issuer", elsewhere, row, [], ["guard/origin"])
    home = next(row for row in PURPOSES if row.code == "READ.IDENT")
    asked = with_guard(with_guard(good(home, "verify"), "claim", "finally_refused"), "tags", ["ASYLUM_SEEKER"])
    yield _case("READ.IDENT verify: refused for good", asked, home, [], ["guard/origin"])
    yield _case("READ.IDENT verify: the return profile", with_guard(asked, "return_profile", True), home, [], [])
    child = with_guard(good(home, "verify"), "age", "unknown")
    yield _case("READ.IDENT verify: a child", child, home, [], ["guard/child"])
    yield _case("READ.IDENT verify: in its interest", with_guard(child, "best_interest", True), home, [], [])
    other = replace(row, code="SEC.OTHER", operations={})
    yield _case("another code", {**good(row, "hit"), "purpose": other.code}, other, ["purpose_unknown"], [])
    for field, value, code in (
        ("schema", "limen.purpose/2", "malformed"),
        ("categories", [], "catalogue/category"),
        ("match_keys", ["civil_doc"], "key_type"),
        ("match_keys", [], "key_type"),
        ("statistic", "S-HIT", "catalogue/statistic"),
        ("legal_basis", "", "legal_basis"),
        ("approvals", 101, "catalogue/approval"),
    ):
        yield _case(f"SEC.WATCH hit: {field} {value}", {**good(row, "hit"), field: value}, row, [code], [])


def _case(
    name: str, asked: Mapping[str, Any], row: PurposeRow, reasons: list[str], withheld: list[str]
) -> dict[str, Any]:
    allow = not reasons and not withheld
    operation = str(asked["operation"])
    answer = {
        "schema": "limen.purpose-decision/1",
        "allow": allow,
        "needs": row.operations.get(operation, "deny"),
        "face": "answer" if allow else face(operation, spoken=bool(reasons)),
    }
    return {
        "name": name,
        "question": dict(asked),
        "decision": answer,
        "reasons": sorted(reasons),
        "withheld": sorted(withheld),
    }
