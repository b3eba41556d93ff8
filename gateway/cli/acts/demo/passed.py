"""Everything that passed between the gateways, searched for everybody whom it was about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.cli.acts.demo.run import Run
from gateway.cli.report.record import Learned
from gateway.store import db

LETTERS_MIN: Final = 6
"""Shorter words stand in any random bytes of this length now and then."""


def passed(run: Run) -> None:
    """The bytes of all lines, and the answers beneath their encryption that nodes keep."""

    def act() -> tuple[str, bool]:
        words = set(planted(run))
        on_lines = [bytes(part).upper() for line in run.lines.values() for part in (line.up, line.down)]
        beneath = [body.upper() for state in run.nodes.nodes for body in answers(run, state)]
        found = [word for word in words if any(word.encode() in data for data in (*on_lines, *beneath))]
        # The search is right: the same words stand on the lists.
        lists = b"".join(path.read_bytes().upper() for path in (run.nodes.root / "data").rglob("persons.csv"))
        listed = sum(word.encode() in lists for word in words)
        total = sum(map(len, on_lines))
        return (
            f"{total:,} B at {len(run.lines)} doors and {len(beneath)} answers beneath the encryption\n"
            f"{len(words)} names and numbers searched, {listed} of them on the lists at home; found: {len(found)}"
        ), not found and listed > 0 and total > 0 and bool(beneath)

    run.step(
        "All that passed between the gateways",
        "Names and document numbers of every traveller of this story and of the entries they met, searched in every "
        "byte that was on a line, and in the answers as they are beneath TLS.",
        "grep ... every byte kept by the listeners between the gateways",
        "found: 0",
        act,
        (Learned("the wire", "how much passes between whom, and when"),),
    )


def planted(run: Run) -> Iterator[str]:
    """Words of the story's persons: parts of names, and document numbers."""
    for traveller in run.region.travellers:
        who = traveller.passport
        yield from (part for part in (*who.surname.split(), *who.given_names.split()) if len(part) >= LETTERS_MIN)
        yield who.document_number
        for hit in traveller.expected.hits:
            rows = run.region.lists.get(hit.owner)
            for row in rows.persons if rows is not None else ():
                if row.entry_id == hit.entry_id:
                    yield from (part for part in (*row.surname.split(), *row.given.split()) if len(part) >= LETTERS_MIN)


def answers(run: Run, state: str) -> list[bytes]:
    """Bodies of the answers that the node keeps to repeat them."""
    store = db.open_reader(run.nodes[state].folder / "store" / db.FILE)
    try:
        return [bytes(row[0]) for row in store.execute("SELECT body FROM reply WHERE body IS NOT NULL")]
    finally:
        store.close()


__all__ = ["passed"]
