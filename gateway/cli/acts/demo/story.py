"""The whole story in order, and what is left of it: the report, each state's folder and its exported log."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway import __version__
from gateway.cli.acts.demo import auditor, cases, checks, ground, outage, passed, protection, statistics
from gateway.cli.acts.demo.line import LOOPBACK, Line
from gateway.cli.acts.demo.run import Run
from gateway.cli.acts.nodes import Nodes
from gateway.cli.main import ERROR, OK, Refused
from gateway.cli.report import page
from gateway.cli.report.picture import draw
from gateway.cli.report.record import Party, RunRecord
from gateway.clock import SystemClock

AGENCIES: Final = {"PAN": "SNM", "HND": "INM", "UTO": "UBG", "GTM": "IGM", "MEX": "INAMI"}
FAST: Final = ("PAN", "HND", "UTO")
SEED: Final = 20231101
ENTRIES: Final = 300
ENTRIES_FAST: Final = 60

UNPROTECTED: Final = (
    "That a list exists, and its rough size; how much traffic there is between two states.",
    "Whether what a list says is true, and what a person does with a hit.",
    "A state that asks about people one at a time within its allowance: quotas bound that, they do not end it.",
    "Groups: a table tells how many there are, which is what it is for. The noise hides one person, not ten.",
)


def run(args: argparse.Namespace) -> int:
    """Run the story."""
    try:
        from examples.region.generate import make_region
    except ModuleNotFoundError:
        raise Refused("the demonstration's data comes with a checkout of the source; run `make demo` there") from None
    if args.out is not None and args.out.exists() and any(args.out.iterdir()):
        raise Refused(f"--out {args.out}: is not empty; name a new folder")
    root = Path(tempfile.mkdtemp(prefix="limen-"))
    clock = SystemClock()
    now = datetime.fromtimestamp(clock.now_ns() // 10**9, UTC)
    agencies = {state: AGENCIES[state] for state in (FAST if args.fast else AGENCIES)}
    lines = {state: Line() for state in agencies}
    story = Run(
        nodes=Nodes(root, agencies, endpoints={state: f"{LOOPBACK}:{line.port}" for state, line in lines.items()}),
        region=make_region(
            SEED, now, entries=ENTRIES_FAST if args.fast else ENTRIES, states=FAST if args.fast else tuple(AGENCIES)
        ),
        lines=lines,
        quiet=args.quiet or args.json,
        started=time.monotonic(),
        made_at=now.isoformat(timespec="seconds"),
    )
    for state, line in lines.items():
        line.listen(story.nodes[state].ports["peers"])
    # A run that is stopped takes its nodes with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        tell(story, fast=args.fast)
    finally:
        story.nodes.stop()
        kept = keep(story, args.out)
        if not args.keep:
            shutil.rmtree(root, ignore_errors=True)
    told = record(story)
    place = args.out if args.out is not None else Path.cwd()
    report = place / "report.html"
    report.write_text(page.render(told), "utf-8")
    outcome = json.dumps(
        {
            "ok": told.ok,
            "report": str(report),
            "steps": [{"title": step.title, "ok": step.ok, "got": step.got} for step in told.steps],
        },
        indent=2,
    )
    if args.out is not None:
        # What the first page shows is taken from here (docs/make_picture.py --run).
        (place / "picture.svg").write_text(draw(told.crossing), "utf-8")
        (place / "run.json").write_text(outcome + "\n", "utf-8")
    end(story, told, report, kept if args.out is not None else None, root if args.keep else None)
    if args.json:
        print(outcome)
    return OK if told.ok else ERROR


def tell(run: Run, *, fast: bool) -> None:
    """The whole story, in order. Ends early when the ground is not there."""
    run.say(f"{run.many.capitalize()} invented states on this machine; all that passes goes over mutual TLS 1.3.")
    ground.found(run)
    if not run.ok:
        return
    checks.miss(run)
    checks.hits(run)
    checks.child(run)
    checks.flight(run)
    checks.refusal(run)
    protection.protected(run)
    cases.followed(run)
    cases.refused(run)
    cases.forged(run)
    statistics.released(run)
    passed.passed(run)
    auditor.audit(run)
    outage.down(run, fast=fast)
    auditor.operator(run)


def keep(run: Run, out: Path | None) -> Path | None:
    """Copy each state's folder and its exported log below `out`."""
    if out is None:
        return None
    for state, node in run.nodes.nodes.items():
        if node.folder.exists():
            shutil.copytree(node.folder, out / state, ignore=shutil.ignore_patterns("*.sock", "*.ready", "*.port"))
        export = run.nodes.root / "auditor" / state
        if export.exists():
            shutil.copytree(export, out / state / "audit-export")
            shutil.copy(run.nodes.root / "auditor" / f"{state}.card", out / state / "trust.card")
    return out


def record(run: Run) -> RunRecord:
    """What the report is made from."""
    return RunRecord(
        title=f"Limen: what {run.many} states told each other",
        release=__version__,
        made_at=run.made_at,
        duration_s=time.monotonic() - run.started,
        crossing=run.crossing,
        steps=tuple(run.steps),
        wire=tuple(run.wire),
        logs=tuple(run.logs),
        verifications=tuple(run.verifications),
        parties=(
            Party(
                "the officer in Honduras",
                "the hits, what to do and whom to call",
                "who else is on a list; that a leg was guarded",
            ),
            Party(
                "Panama",
                "that Honduras asked padded questions, when and under which purpose",
                "about whom, and whether anything was found",
            ),
            Party(
                "Panama's desk",
                "whom Honduras follows, once Honduras's people have confirmed a hit and signed a request",
                "about whom Honduras asked without following it",
            ),
            Party(
                "Honduras's desk",
                "the fields that two persons in Panama signed for, and a code where they refused",
                "what else the record says; why a refusal was a matter of rights",
            ),
            Party(
                "Honduras's statistician",
                "a monthly table of Panama's crossings, with its error and its price",
                "whether one given person is in it; a second drawing of the noise",
            ),
            Party(
                "whoever runs a node",
                "the lists of his own state, and that cases move",
                "how to sign for a person: what he writes himself does not leave, or an auditor names it",
            ),
            Party(
                "Utopia",
                "ordinary questions, as on any other day",
                "that its national asked Honduras for protection",
            ),
            Party(
                "the auditor",
                "that the logs are whole; with a key, the sealed fields of one state",
                "the other states' lists",
            ),
        ),
        unprotected=UNPROTECTED,
    )


def end(run: Run, record: RunRecord, report: Path, out: Path | None, root: Path | None) -> None:
    """The last lines."""
    run.say()
    run.say("What each party learned:")
    for party in record.parties:
        run.say(f"  {party.name}: {party.learned}. Not: {party.not_learned}.")
    good = sum(step.ok for step in record.steps)
    run.say()
    run.say(f"{good} of {len(record.steps)} steps came out as said, in {record.duration_s:.0f} s; report: {report}")
    if out is not None:
        run.say(f"each state's folder and its exported log: {out}")
    if root is not None:
        run.say(f"the nodes' folders: {root}")
