"""A state's own rules beside those that ship: they may refuse more than its agreements permit, never permit more.

Each golden question of the agreements is put to the state's rules. Where the answer is another one, a person must have
seen it before the bundle is signed; where it is a wider one, there is no bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.opa import golden
from gateway.opa.bundle import Bundle
from gateway.opa.engine import answers
from gateway.policy import decision, reasons
from gateway.policy.decision import RETENTION_CLASSES

_SETS: Final = ("key_types", "kinds")
_NUMBERS: Final = ("slots_per_day", "until_ns")
_SAME: Final = ("schema", "allow", "agreement", "agreement_version", "transfer_basis")


@dataclass(frozen=True, slots=True)
class Change:
    """A golden question to which the state's rules answer otherwise. `wider` names what is more than was agreed, or is
    empty; `case` is the question with its new answer."""

    name: str
    before: str
    after: str
    wider: str
    case: Mapping[str, Any]


def changes(bundle: Bundle) -> list[Change]:
    """Every golden question of the bundle to which its rules answer otherwise than is written."""
    found = []
    for case, (answer, given) in zip(bundle.golden, answers(bundle), strict=True):
        codes = list(reasons.known(given))
        expected = case["decision"]
        if golden.plain(answer) == golden.plain(expected) and (answer != decision.NO or codes == case["reasons"]):
            continue
        plain = (
            {**answer, **{name: sorted(answer[name]) for name in _lists(answer)}} if isinstance(answer, dict) else {}
        )
        found.append(
            Change(
                str(case["name"]),
                _words(expected, case["reasons"]),
                _words(answer, codes, expected),
                _wider(expected, answer),
                {**case, "decision": plain, "reasons": codes},
            )
        )
    return found


def accepted(bundle: Bundle, changed: Sequence[Change]) -> list[Mapping[str, Any]]:
    """The bundle's golden decisions with the changes that a person accepted."""
    by_name = {change.name: change.case for change in changed}
    return [by_name.get(str(case["name"]), case) for case in bundle.golden]


def _lists(answer: Mapping[str, Any]) -> list[str]:
    return [name for name, value in answer.items() if isinstance(value, set | frozenset)]


def _wider(expected: Mapping[str, Any], answer: object) -> str:
    """What the answer grants beyond the agreement, or "" where it is as narrow or a no."""
    if answer == decision.NO:
        return ""
    if not isinstance(answer, dict) or answer.get("allow") is not True or expected.get("allow") is not True:
        return "a yes where the agreement says no" if isinstance(answer, dict) else "no answer of the form"
    if answer.keys() != expected.keys():
        return "no answer of the form"
    for name in _SAME:
        if answer[name] != expected[name]:
            return name
    for name in _SETS:
        if not set(answer[name]) <= set(expected[name]):
            return name
    for name in _NUMBERS:
        if type(answer[name]) is not int or answer[name] > expected[name]:
            return name
    if not set(expected["obligations"]) <= set(answer["obligations"]):
        return "obligations"
    ranks = {word: rank for rank, word in enumerate(RETENTION_CLASSES)}
    if ranks.get(answer["retention"], len(ranks)) > ranks[expected["retention"]]:
        return "retention"
    return ""


def _words(answer: object, codes: Sequence[str], before: Mapping[str, Any] | None = None) -> str:
    """An answer for people; with `before`, in which fields a yes is another yes."""
    if answer == decision.NO:
        return f"no ({', '.join(codes) or 'denied'})"
    if not isinstance(answer, dict) or answer.get("allow") is not True:
        return "no answer of the form"
    changed = [name for name in (before or {}) if golden.plain(answer.get(name)) != golden.plain((before or {})[name])]
    return f"yes with another {', '.join(changed)}" if changed and before and before.get("allow") is True else "yes"
