"""A private monthly table beside the truth, which the demonstration alone knows; asked again; and a budget used up."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.cli.acts.demo.run import Run, done
from gateway.cli.acts.nodes import BASIS, Ran, limen
from gateway.cli.report import chart
from gateway.cli.report.record import Learned
from gateway.errors import BudgetExhausted
from gateway.terms import Role

if TYPE_CHECKING:
    from examples.region.events import Events

OWNER: Final = "PAN"
ASKER: Final = "HND"
PERSONS: Final = 4_000
MONTH: Final = "2026-08"
MONTH_CAP: Final = 1_040_000
SHARE: Final = 520_000
"""One release at epsilon 1 of each month for Honduras, in micro-rho; as much is left for Panama."""

ANALYST: Final = "analyst-1"
WAIT_S: Final = "60"
WITHIN: Final = 6
"""Of ten cells. Of the noise 97.3 % are within the half-width, so that five cells or more are outside in one run of
300,000."""


@dataclass(frozen=True, slots=True)
class Story:
    """What this part is about: the run, the events with their truth, and what is asked of them."""

    run: Run
    made: Events
    truth: Mapping[str, int]
    people: tuple[str, ...]
    dataset: str = f"{OWNER}-crossings"

    @property
    def query(self) -> tuple[str, ...]:
        """The question whose answer is read."""
        return ("--dataset", self.dataset, "--period", MONTH, "--by", "nationality", "--epsilon", "1")

    def ask(self, verb: str, *more: str) -> Ran:
        """`limen release` by Honduras's statistician, about Panama's events."""
        return self.run.nodes.release(ASKER, ANALYST, verb, *more, source=OWNER)

    def spent(self) -> int:
        """What is spent of the month's account, by Panama's own books."""
        lines = done(self.run.nodes.release(OWNER, ANALYST, "budget"))
        found = [one["spent_micro_rho"] for one in lines if (one["dataset"], one["period"]) == (self.dataset, MONTH)]
        return int(sum(found))


def released(run: Run) -> None:
    """Events, a plan, a release and its replay, and a refusal."""
    from examples.region import events

    made = events.make(OWNER, persons=PERSONS)
    people = sorted({row["person_ref"] for row in csv.DictReader(io.StringIO(made.events_csv))})
    story = Story(run, made, persons_of(made.events_csv), tuple(people))
    _load(story, events.declaration(OWNER, month_cap=MONTH_CAP, shares={ASKER: SHARE}))
    _plan(story)
    _table(story)
    _again(story)
    _gone(story)


def _load(story: Story, declared: str) -> None:
    run = story.run

    def load() -> tuple[str, bool]:
        run.nodes.statisticians(OWNER)
        run.nodes.enrol(ASKER, ANALYST, (Role.ANALYST_NATIONAL,))
        folder = run.nodes.root / "data" / "events"
        folder.mkdir(parents=True)
        for name, text in (
            ("events.csv", story.made.events_csv),
            ("events.yaml", story.made.map_yaml),
            ("dataset.yaml", declared),
        ):
            (folder / name).write_text(text, "utf-8")
        ran = run.nodes.load_events(OWNER, folder / "events.csv", folder / "events.yaml", folder / "dataset.yaml")
        told = done(ran)
        kept = "".join(path.read_text("utf-8") for path in (run.nodes[OWNER].folder / "events").glob("*.csv"))
        clean = not any(person in kept for person in story.people)
        found = 0 if clean else "FOUND"
        return (
            f"{told['dataset']}: events of {len(story.people):,} persons; their references in what is kept: {found}",
            clean,
        )

    run.step(
        "Events become a data set",
        "Panama declares the cells and what may be spent before anybody asks; two persons sign. Of a row stay month, "
        "route, nationality, protection status and a keyed hash of the person.",
        "limen events sign ...; limen events load events.csv --map events.yaml --dataset dataset.yaml",
        "taken, and no reference to a person in it",
        load,
    )


def _plan(story: Story) -> None:
    run = story.run

    def plan() -> tuple[str, bool]:
        told = done(story.ask("plan", *story.query))
        run.screen(json.dumps(told, indent=2))
        ok = told["charge_micro_rho"] == SHARE == told["left_micro_rho"] and story.spent() == 0
        return (
            f"{told['cells']} cells; would cost {told['charge_micro_rho']:,} of {told['left_micro_rho']:,} micro-rho; "
            f"95 % of the noise within ±{told['half_width_95']}; spent so far: {story.spent()}"
        ), ok

    run.step(
        "A plan costs nothing",
        "A statistician of Honduras asks what a table of Panama's crossings in a month would cost, and how good it is.",
        f"limen release plan --from PAN --dataset {story.dataset} --period {MONTH} --by nationality --epsilon 1",
        "cost and expected error; no event is read, nothing is spent",
        plan,
        (Learned("HND's statistician", "the declared cells, the price and the error"),),
        (ASKER, OWNER),
    )


def _table(story: Story) -> None:
    run = story.run

    def table() -> tuple[str, bool]:
        asked = done(story.ask("request", *story.query))
        run.carried["release"] = asked["reference"]
        got = story.ask("get", asked["reference"], "--wait", WAIT_S)
        document = done(got)
        run.carried["document"] = got.out
        cells = {cell["nationality"]: cell["noisy"] for cell in document["cells"]}
        half = int(document["error"]["half_width_95"])
        near = sum(abs(value - story.truth[name]) <= half for name, value in cells.items())
        run.draw(
            chart.draw(
                chart.from_rows(
                    [((MONTH, name), value, "") for name, value in cells.items()],
                    {(MONTH, name): story.truth[name] for name in cells},
                ),
                half,
                title=f"Distinct persons by nationality, Panama, {MONTH}",
                name=f"chart-{len(run.steps)}",
            )
        )
        shown = limen("release", "get", asked["reference"], "--from", OWNER, "--basis", BASIS, "--booth",
                      str(run.nodes.desk(ASKER, ANALYST)))  # fmt: skip
        run.screen(shown.out)
        lines = ", ".join(f"{name} {value} ({story.truth[name]})" for name, value in cells.items())
        leaked = [person for person in story.people[:200] if person in got.out]
        return (
            f"{near} of {len(cells)} cells within ±{half} of the truth; charged {asked['cost_micro_rho']:,} micro-rho, "
            f"before the noise was drawn\npublished (true): {lines}"
        ), near >= WITHIN and asked["cost_micro_rho"] == SHARE == story.spent() and not leaked

    run.step(
        "A private monthly table beside the truth",
        "Panama's rules decide, its log is written, its account is charged; then the events are counted, one person at "
        "most once, and noise that hides any one person is added. Only the noisy table leaves.",
        f"limen release request ... --period {MONTH} --by nationality; limen release get REF --from PAN --wait",
        "near the truth in almost every cell, and what it cost",
        table,
        (
            Learned("HND's statistician", "how many persons of which nationality, within the noise"),
            Learned("anybody who reads it", "nothing about whether one given person is among them"),
        ),
        (ASKER, OWNER),
    )


def _again(story: Story) -> None:
    run = story.run

    def again() -> tuple[str, bool]:
        before = story.spent()
        asked = done(story.ask("request", *story.query))
        got = story.ask("get", asked["reference"], "--wait", WAIT_S)
        same = got.code == 0 and got.out == run.carried["document"]
        ok = same and asked["reference"] == run.carried["release"] and asked["cost_micro_rho"] == 0
        ok = ok and story.spent() == before
        return f"the same bytes: {same}; charged {asked['cost_micro_rho']}; spent in all {before:,} as before", ok

    run.step(
        "Asked again, it costs nothing",
        "New noise for the same question would average out. There is none: the stored table is given, byte for byte, "
        "after the rules have decided about the asker anew.",
        "limen release request ...; limen release get REF --from PAN",
        "the same table, at no cost",
        again,
        (Learned("HND's statistician", "nothing more than before"),),
        (ASKER, OWNER),
    )


def _gone(story: Story) -> None:
    run = story.run

    def gone() -> tuple[str, bool]:
        before = story.spent()
        other = ("--dataset", story.dataset, "--period", MONTH, "--by", "route", "--epsilon", "1")
        ran = story.ask("request", *other)
        run.screen(ran.err)
        ok = ran.code == BudgetExhausted.row.exit_code and story.spent() == before
        return f"{ran.err.strip()} (exit {ran.code})", ok

    run.step(
        "A budget that is used up",
        "The same month by another road, by route. Panama's declaration gives Honduras one such table a month.",
        f"limen release request --from PAN --dataset {story.dataset} --period {MONTH} --by route",
        "exit 7, with what is left; nothing is counted",
        gone,
        (Learned("HND's statistician", "that its share of this month is used up"),),
        (ASKER, OWNER),
    )


def persons_of(events_csv: str) -> dict[str, int]:
    """The truth: distinct persons of the month by nationality, 0 where there is nobody."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for row in csv.DictReader(io.StringIO(events_csv)):
        if row["event_date"].startswith(MONTH):
            seen[row["nationality"]].add(row["person_ref"])
    return defaultdict(int, {name: len(people) for name, people in seen.items()})


__all__ = ["persons_of", "released"]
