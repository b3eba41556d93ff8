"""The rules as one page: purposes, operations, roles, guards, agreements. Made from the catalogue and the bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway import __version__
from gateway.cli.output import utc
from gateway.cli.report.frame import bullets, document, section, table
from gateway.cli.report.palette import text
from gateway.opa.bundle import Bundle
from gateway.policy import agreement as agreements
from gateway.policy import wording
from gateway.policy.agreement import Agreement, Mandate
from gateway.policy.purposes import PRIORITIES, PURPOSES, PurposeRow

NOT_PERMITTED: Final = (
    "What this page permits needs an agreement of the two states in force, a case, and a person in the role; the rules "
    "of both states are asked on every question. Engineering, not legal advice."
)


def render(state: str, held: Sequence[Bundle], now_ns: int) -> str:
    """The page. `held` are the bundles in force at a node of `state`; without them it is the catalogue alone."""
    signed, mandates = sources(held)
    body = [
        _head(state, held, now_ns),
        section("operations", "What each purpose permits", _operations()),
        section("roles", "Who may ask", _roles()),
        section("guards", "Guards that no rule opens", _guards()),
        *(
            [section("agreements", "Agreements and mandates in force here", _agreements(signed, mandates))]
            if held
            else []
        ),
        section("purposes", "Purpose by purpose", "".join(_purpose(row) for row in PURPOSES)),
        section("activities", "Which purposes serve an activity", _activities()),
        f"<footer><p>Limen {text(__version__)}. {text(NOT_PERMITTED)}</p></footer>",
    ]
    return document("Who may ask what", body)


def sources(held: Sequence[Bundle]) -> tuple[list[Agreement], list[Mandate]]:
    """The agreements and mandates of the national bundle."""
    for bundle in held:
        if bundle.layer == "national":
            found: Mapping[str, Any] = bundle.data["limen"]["national"]
            return (
                [agreements.parse(found["agreements"][name]) for name in sorted(found["agreements"])],
                [agreements.parse_mandate(found["mandates"][name]) for name in sorted(found.get("mandates", {}))],
            )
    return [], []


def _head(state: str, held: Sequence[Bundle], now_ns: int) -> str:
    rules = "".join(
        f'<p class="soft">{text(bundle.layer)}: sequence {bundle.sequence}, holds until {utc(bundle.not_after_ns)}, '
        f"SHA-256 <code>{bundle.digest.hex()}</code></p>"
        for bundle in held
    )
    links = "".join(
        f'<li><a href="#{anchor}">{text(words)}</a></li>'
        for anchor, words in (
            ("operations", "Operations"), ("roles", "Roles"), ("guards", "Guards"),
            *((("agreements", "Agreements"),) if held else ()), ("purposes", "Purposes"), ("activities", "Activities"),
        )
    )  # fmt: skip
    where = f"The rules in force at the gateway of {text(state)}" if held else "The purpose catalogue"
    return (
        f'<header><h1>Who may ask what</h1><p class="meta"><span>{where}</span> <span>{utc(now_ns)}</span></p>{rules}'
        f"<p>{text(NOT_PERMITTED)}</p>"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>'
    )


def _operations() -> str:
    return table(
        "Purposes and operations; what is not listed is denied",
        ("purpose", "offered", *wording.OPERATIONS),
        (
            (
                row.code,
                "yes" if wording.is_offered(row) else "no: denied",
                *(wording.decided(row, name) for name in wording.OPERATIONS),
            )
            for row in PURPOSES
        ),
    ) + bullets([f"{name}: {question}" for name, question in wording.OPERATIONS.items()])


def _roles() -> str:
    names = sorted({name for row in PURPOSES for name in row.requester_roles})
    given = {name for row in PURPOSES for name in wording.askers(row)[0]}
    return table(
        "Roles and the purposes under which they may ask",
        ("role", "an agency can give it", "offered", "in the catalogue only"),
        (
            (
                name,
                "yes" if name in given else "not yet",
                _codes(name, offered=True) if name in given else "none",
                _codes(name, offered=False, also_offered=name not in given),
            )
            for name in names
        ),
    )


def _codes(role: str, *, offered: bool, also_offered: bool = False) -> str:
    found = [
        row.code
        for row in PURPOSES
        if role in row.requester_roles and (also_offered or wording.is_offered(row) is offered)
    ]
    return ", ".join(found) or "none"


def _guards() -> str:
    return table(
        "Decided in code after the rules; a question that is guarded looks like one that found nothing",
        ("guard", "rule"),
        wording.FLOORS.values(),
    )


def _agreements(signed: Sequence[Agreement], mandates: Sequence[Mandate]) -> str:
    made = table(
        "Agreements",
        ("agreement", "between", "state", "until", "purposes", "a day, by group", "kept", "transferred under"),
        (
            (
                f"{one.id}, version {one.version}",
                " and ".join(f"{party} ({', '.join(one.agencies[party])})" for party in one.parties),
                one.status.replace("_", " "),
                utc(one.valid_until_ns),
                ", ".join(sorted(one.purposes)),
                ", ".join(f"{group} {count}" for group, count in sorted(one.slots_per_day.items())),
                one.retention,
                one.transfer_tool,
            )
            for one in signed
        ),
    )
    own = table(
        "This state's own mandates: lists and statistics",
        ("mandate", "for", "agencies", "on", "until"),
        (
            (one.id, one.list, ", ".join(one.agencies), "; ".join(one.legal_bases), utc(one.valid_until_ns))
            for one in mandates
        ),
    )
    return (made if signed else "<p>No agreement: nothing may be asked of another state.</p>") + (
        own if mandates else "<p>No mandate: no list may be changed.</p>"
    )


def _purpose(row: PurposeRow) -> str:
    roles, later_roles = wording.askers(row)
    made, later_keys = wording.keys(row)
    binding, models = wording.bases(row)
    group = ", ".join(
        other.code for other in PURPOSES if other.group == row.group and other.code != row.code
    )  # fmt: skip
    aside = "" if wording.is_offered(row) else ' <span class="mark bad">not offered: denied</span>'
    lines = [
        f"serves {'; '.join(row.activities)}",
        f"asked by {', '.join([*roles, *(f'{name} (not built)' for name in later_roles)]) or 'nobody'}",
        f"found by {', '.join([*made, *(f'{name} (not built)' for name in later_keys)]) or 'nothing: numbers only'}",
        f"table and key of the group {row.group}{f', shared with {group}' if group else ', its own'}",
        f"instruments {'; '.join(binding)}; the basis is what the agreement names",
        *(f"a model, never a basis: {words}" for words in models),
    ]
    return (
        f'<article class="card" id="{text(row.code)}"><h3>{text(row.code)}: {text(row.title)}{aside}</h3>'
        f"{bullets(lines)}<h4>Safeguards</h4>{bullets(row.safeguards)}</article>"
    )


def _activities() -> str:
    return table(
        "Activities of the field",
        ("activity", "purposes"),
        ((name, ", ".join(row.code for row in wording.serving(name))) for name in wording.activities()),
    ) + bullets([f"{code}: {words}" for code, words in PRIORITIES.items()])
