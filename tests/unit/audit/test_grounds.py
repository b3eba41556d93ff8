"""Before a disclosure stand a hit, a permit and two acts; before a release its charge. A writer who leaves one out, and
signs what is left with everything that an auditor asks for, is found by both verifiers, at the place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from gateway.audit import export
from gateway.audit.entry import Entry, Phase
from gateway.audit.verify import inspect
from tests.unit.audit.both import Verdict, both, cases, enter, grounds, releases
from tests.unit.audit.log import CARD, Made


def everything() -> list[Entry]:
    return [*grounds(), *cases(), *releases()]


def exported(entries: list[Entry]) -> export.MemoryFolder:
    """The export of a log whose writer logged these, signed and cosigned."""
    made = Made(0)

    async def log() -> None:
        await enter(made.store, entries)
        await made.sign(["HND", "UTO"])

    asyncio.run(log())
    return made.export()


@cache
def before() -> int:
    """How many entries such a log begins with."""
    return Made(0).store.size()


def judged(entries: list[Entry]) -> Verdict:
    return both(exported(entries), CARD)


def named(kind: str, phase: Phase | None = None, **public: Any) -> Callable[[Entry], bool]:  # noqa: ANN401
    """Which entry is meant."""
    return lambda entry: (
        entry.kind == kind
        and phase in (None, entry.phase)
        and all(entry.public.get(name) == value for name, value in public.items())
    )


def without(wanted: Callable[[Entry], bool]) -> list[Entry]:
    left = [entry for entry in everything() if not wanted(entry)]
    assert len(left) < len(everything())
    return left


def altered(wanted: Callable[[Entry], bool], **public: Any) -> list[Entry]:  # noqa: ANN401
    said = [
        replace(entry, public={**entry.public, **public}) if wanted(entry) else entry for entry in everything()
    ]  # fmt: skip
    assert said != everything()
    return said


def later(wanted: Callable[[Entry], bool]) -> list[Entry]:
    """The same entries, with one at the end."""
    return without(wanted) + [entry for entry in everything() if wanted(entry)]


def place(entries: list[Entry], wanted: Callable[[Entry], bool]) -> int:
    """The number of the first such entry: before it is what the log begins with and, for each answer, its outcome."""
    at = next(number for number, entry in enumerate(entries) if wanted(entry))
    return before() + at + sum(entry.kind == "check.answer" for entry in entries[:at])


DISCLOSURE = named("case.sent")
OPENING = named("case.taken", message="open")
ANSWER = named("check.answer")


def test_what_is_whole_rests_on_its_grounds() -> None:
    verdict = judged(everything())
    assert verdict.ok
    assert verdict.details["disclosures"] == "1 rest on a hit, a permit and two acts before them"
    assert verdict.details["charges"] == "1 charges, 2 deliveries of what was charged and made"


@pytest.mark.parametrize(
    ("entries", "at"),
    [
        pytest.param(without(OPENING), DISCLOSURE, id="no hit"),
        pytest.param(later(OPENING), DISCLOSURE, id="the hit after it"),
        pytest.param(without(ANSWER), OPENING, id="a hit in no answer"),
        pytest.param(later(ANSWER), OPENING, id="a hit in a later answer"),
        pytest.param(altered(OPENING, answered=b"x" * 64), OPENING, id="a hit in another answer"),
        pytest.param(altered(OPENING, purpose="RISK.IBC"), DISCLOSURE, id="another purpose"),
        pytest.param(altered(OPENING, case_id=b"y" * 16), DISCLOSURE, id="another case"),
        pytest.param(without(named("policy.activated", layer="baseline")), DISCLOSURE, id="no baseline"),
        pytest.param(without(named("policy.activated", layer="national")), DISCLOSURE, id="no national rules"),
        pytest.param(later(named("policy.activated", layer="national")), DISCLOSURE, id="the permit after it"),
        pytest.param(altered(named("policy.activated"), digest=b"z" * 32), DISCLOSURE, id="other rules in force"),
        pytest.param(altered(DISCLOSURE, national=b"z" * 32), DISCLOSURE, id="another permit"),
        pytest.param(without(named("case.act", act="prepare")), DISCLOSURE, id="no act of the first person"),
        pytest.param(without(named("case.act", act="approve")), DISCLOSURE, id="no act of the second person"),
        pytest.param(later(named("case.act", act="approve")), DISCLOSURE, id="the approval after it"),
    ],
)
def test_a_disclosure_without_its_grounds_is_found_at_its_place(
    entries: list[Entry], at: Callable[[Entry], bool]
) -> None:
    verdict = judged(entries)
    assert (verdict.step, verdict.position) == ("disclosures", place(entries, at))


def test_rules_that_were_replaced_permit_nothing_more() -> None:
    newer = Entry("policy.activated", Phase.EVENT, public={"layer": "national", "digest": b"m" * 32, "sequence": 2})
    entries = everything()
    at = next(number for number, entry in enumerate(entries) if DISCLOSURE(entry))
    entries.insert(at, newer)
    verdict = judged(entries)
    assert (verdict.step, verdict.position) == ("disclosures", place(entries, DISCLOSURE))


CHARGE = named("release.charged")
MADE = named("release.made", Phase.INTENT)
SENT = named("release.sent")


@pytest.mark.parametrize(
    ("entries", "at"),
    [
        pytest.param(without(CHARGE), MADE, id="no charge"),
        pytest.param(later(CHARGE), MADE, id="the charge after it"),
        pytest.param(altered(CHARGE, query_digest=b"e" * 32), MADE, id="another query's charge"),
        pytest.param(altered(CHARGE, snapshot=b"t" * 32), MADE, id="another snapshot's charge"),
        pytest.param(altered(CHARGE, cost_micro_rho=1), MADE, id="another cost"),
        pytest.param(altered(CHARGE, dataset="asylum"), MADE, id="another data set"),
        pytest.param(without(named("release.made")), SENT, id="given and never made"),
        pytest.param(without(named("release.made", Phase.OUTCOME)), SENT, id="given and not finished"),
    ],
)
def test_a_release_without_its_charge_is_found_at_its_place(entries: list[Entry], at: Callable[[Entry], bool]) -> None:
    verdict = judged(entries)
    assert (verdict.step, verdict.position) == ("charges", place(entries, at))


def test_a_replay_charges_nothing_and_gives_the_same_bytes() -> None:
    again = next(entry for entry in releases() if CHARGE(entry))
    entries = [*everything(), again]
    verdict = judged(entries)
    assert (verdict.step, verdict.position) == ("charges", place(entries, lambda entry: entry is again))
    first = releases()[-1]
    other = replace(first, public={**first.public, "release_hash": b"i" * 32})
    entries = [*everything(), other]
    verdict = judged(entries)
    assert (verdict.step, verdict.position) == ("charges", place(entries, lambda entry: entry is other))


def test_an_older_log_whose_openings_name_no_answer_verifies_and_the_report_says_so() -> None:
    entries = everything()
    for number, entry in enumerate(entries):
        if OPENING(entry):
            entries[number] = replace(
                entry, public={name: value for name, value in entry.public.items() if name != "answered"}
            )
    assert judged(entries).ok
    assert any("older form" in said for said in inspect(exported(entries), CARD).not_proved)
    # Once an opening has named its answer, none is of the older form.
    older = next(entry for entry in entries if OPENING(entry))
    later_one = replace(older, public={**older.public, "case_id": b"w" * 16})
    entries = [*everything(), later_one]
    verdict = judged(entries)
    assert (verdict.step, verdict.position) == ("disclosures", place(entries, lambda entry: entry is later_one))


def test_a_case_that_comes_again_is_no_second_hit() -> None:
    opening = next(entry for entry in everything() if OPENING(entry))
    again = replace(opening, public={name: value for name, value in opening.public.items() if name != "answered"})
    assert judged([*everything(), again]).ok
