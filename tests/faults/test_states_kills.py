"""Processes that are killed within a check: an answer only over two durable entries, and a node that comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.region.generate import COLUMNS
from examples.region.travellers import Entry
from gateway.audit import leaf as leaves
from gateway.audit.entry import Phase
from gateway.cli.acts.nodes import Ran
from gateway.terms import ListId
from tests.support.states import States

# Nodes are killed and filled up again and again: `make slow` runs these, with time to recover between them.
pytestmark = pytest.mark.slow

ANSWERING = (
    "gateway.check.answer.intent.after",
    "gateway.check.answer.outcome.before",
    "gateway.check.answer.outcome.after",
    "keys.before_sign",
    "keys.after_sign",
    "writer.written",
    "writer.committed",
)
ASKING = (
    "gateway.check.ask.intent.after",
    "gateway.check.ask.outcome.before",
    "gateway.check.ask.outcome.after",
    "writer.written",
    "writer.committed",
)
OFTEN = {
    "gateway.check.answer.outcome.before",
    "keys.after_sign",
    "writer.written",
    "gateway.check.ask.outcome.before",
}
"""Those that are tried on every run; the others are slow only because each costs a restart."""


def places(points: tuple[str, ...]) -> list[object]:
    """The points, each with its mark."""
    return [point if point in OFTEN else pytest.param(point, marks=pytest.mark.slow) for point in points]


def hashes(leaf: leaves.Leaf) -> list[bytes]:
    """Request hashes that an asker's outcome names, 64 bytes each."""
    held = leaf.public["request_hashes"]
    assert isinstance(held, bytes)
    return [held[at : at + 64] for at in range(0, len(held), 64)]


def hold(states: States, asker: str, owner: str, start: int) -> None:
    """Every answer that the asker got, since entry `start` of its log, stands in both logs, each after its intent."""
    at_owner = states.leaves(owner, kind="check.answer")
    intents = {leaf.seq: leaf.public["request_hash"] for leaf in at_owner if leaf.phase is Phase.INTENT}
    outcomes: dict[object, int] = {}
    for leaf in at_owner:
        if leaf.phase is Phase.OUTCOME:
            named = int(leaf.public["intent_seq"])
            assert named < leaf.seq and intents[named] == leaf.public["request_hash"]
            outcomes[leaf.public["request_hash"]] = leaf.seq
    at_asker = states.leaves(asker, start, "check.ask")
    asked = {leaf.seq for leaf in at_asker if leaf.phase is Phase.INTENT}
    for leaf in at_asker:
        if leaf.phase is Phase.OUTCOME:
            assert leaf.public["intent_seq"] in asked
            if leaf.peer == owner and leaf.public["reply"] == "answered":
                assert all(hash_ in outcomes for hash_ in hashes(leaf))


def outcome_of(states: States, state: str, start: int, owner: str) -> str:
    """How the leg ended, by the asker's log; "" where no outcome is durable."""
    found = [leaf for leaf in states.leaves(state, start, "check.ask") if leaf.phase is Phase.OUTCOME]
    return next((str(leaf.public["reply"]) for leaf in found if leaf.peer == owner), "")


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left(states: States, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After all that, every log verifies offline."""
    yield
    for state in states.nodes.nodes:
        ran = states.audit(state, tmp_path_factory.mktemp(state))
        assert ran.code == 0 and ran.json["ok"], ran.err


@pytest.mark.parametrize("point", places(ANSWERING))
def test_a_process_of_the_answering_node_dies(states: States, point: str) -> None:
    start = states.size("HND")
    armed = states.arm("UTO", point)
    ran = states.ask("undeclared")
    states.until(lambda: not armed.exists(), f"{point} is reached", timeout_s=5)

    assert ran.code in (0, 5), ran.err
    told = outcome_of(states, "HND", start, "UTO")
    if ran.code == 0:
        # The node came back within the asker's patience: then the answer is whole.
        assert ran.json["outcome"] == "HIT" and told == "answered"
    else:
        assert (ran.json["unreachable"], ran.json["hits"], told) == (["UTO"], [], "unreachable")

    states.whole("HND")
    assert states.ask("undeclared").json["outcome"] == "HIT"
    hold(states, "HND", "UTO", start)


@pytest.mark.parametrize("point", places(ASKING))
def test_a_process_of_the_asking_node_dies(states: States, point: str) -> None:
    start = states.size("HND")
    armed = states.arm("HND", point)
    ran = states.ask("undeclared")
    states.until(lambda: not armed.exists(), f"{point} is reached", timeout_s=5)

    if ran.code == 0:
        assert ran.json["outcome"] == "HIT"
    else:
        assert ran.out == "" and ran.code == 1 and len(ran.err.splitlines()) == 1
    states.whole("HND")
    if ran.code == 0:
        assert outcome_of(states, "HND", start, "UTO") == "answered"
    assert states.ask("undeclared").json["outcome"] == "HIT"
    hold(states, "HND", "UTO", start)
    hold(states, "HND", "PAN", start)


@pytest.mark.parametrize("state", ["HND", "UTO"])
@pytest.mark.parametrize("process", ["keys", pytest.param("gateway", marks=pytest.mark.slow)])
def test_a_process_that_is_killed_between_checks_is_not_missed_for_long(
    states: States, state: str, process: str
) -> None:
    start = states.size("HND")
    states.kill(state, process)
    states.whole("HND")
    assert states.ask("undeclared").json["outcome"] == "HIT"
    hold(states, "HND", "UTO", start)


def a_document(number: str, entry_id: str) -> bytes:
    """One row of a list of documents that PAN reported lost."""
    row = Entry(
        entry_id=entry_id,
        owner="PAN",
        category="LOST_STOLEN_DOC",
        document_no=number,
        document_issuer="PAN",
        valid_until="2028-01-31",
        originator="PAN",
        provenance="PAN-NATIONAL",
        decision_ref="PAN-2026-900900",
        legal_basis="national immigration act",
    )
    return (",".join(COLUMNS) + "\n" + ",".join(getattr(row, column) for column in COLUMNS) + "\n").encode()


@pytest.mark.parametrize(
    ("point", "number"),
    [
        ("jobs.table.published.event.before", "L90000001"),
        pytest.param("jobs.table.published.event.after", "L90000002", marks=pytest.mark.slow),
    ],
)
def test_the_job_process_dies_while_it_makes_a_table(states: States, point: str, number: str) -> None:
    armed = states.arm("PAN", point)
    assert states.load("PAN", ListId.DOCUMENTS, a_document(number, f"DPAN{number[1:]}")).code == 0
    states.until(lambda: not armed.exists(), f"{point} is reached")
    states.settled()

    def found() -> bool:
        return owners_of(_status(states, number)) == ["PAN"]

    states.until(found, "the new entry answers")
    versions = [
        (leaf.peer, leaf.public["list"], leaf.public["group"], leaf.public["version"])
        for leaf in states.leaves("PAN", kind="table.published")
    ]
    assert len(set(versions)) == len(versions), "no version is made twice"


def _status(states: States, number: str) -> Ran:
    lines = f"document_number: {number}\nissuer: PAN\nnationality: PAN\n".encode()
    states.login("HND")
    return states.nodes.check("HND", "DOC.STATUS", lines)


def owners_of(ran: Ran) -> list[str]:
    """Whose entries an answer shows."""
    return [hit["owner"] for hit in ran.json["hits"]]


def test_tampering_with_the_place_of_an_answer_is_not_what_these_tests_overlook(states: States, tmp_path: Path) -> None:
    """The check at the end can fail: a log whose last outcome is cut off does not verify."""
    export = states.export("UTO", tmp_path / "export")
    bundle = max(path for path in (export / "tile" / "entries").rglob("*") if path.is_file())
    bundle.write_bytes(bundle.read_bytes()[:-40])
    assert states.verify(export, states.card("UTO", tmp_path / "card")).code == 6
