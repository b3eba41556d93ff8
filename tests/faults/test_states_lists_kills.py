"""A load that is interrupted: the whole file is on the list with all its entries in the log, or nothing is."""

from __future__ import annotations

import csv
import io

import pytest

from gateway.cli.acts.nodes import LISTING_BASIS
from gateway.store.reader import Reader
from gateway.terms import ListId
from gateway.watchlist import entry as entries
from tests.support.states import States

AT = "PAN"
ROWS = 20
COLUMNS = ("entry_id", "category", "document_no", "document_issuer", "valid_until", "originator", "provenance",
           "decision_ref", "legal_basis")  # fmt: skip


def file_of(prefix: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        (f"{prefix}{n}", "LOST_STOLEN_DOC", f"PA84{n:05}", AT, "2029-12-31", AT, "NATIONAL", "J-2026-74", LISTING_BASIS)
        for n in range(ROWS)
    )
    return out.getvalue().encode()


def listed(states: States, prefix: str) -> int:
    with states.reading(AT) as reader:
        found = [entries.decode(body).entry_id for body in reader.all(ListId.DOCUMENTS)]
    return sum(entry_id.startswith(prefix) for entry_id in found)


def deltas(reader: Reader) -> dict[str, int]:
    """The newest delta of each peer's chain."""
    return {one.peer: reader.delta_number(one.peer, ListId.DOCUMENTS, "DOCUMENT", one.epoch) for one in reader.epochs()}


SLOW = pytest.mark.slow


@pytest.mark.parametrize("point", ["written", pytest.param("begun", marks=SLOW), pytest.param("committed", marks=SLOW)])
def test_a_load_that_is_killed_is_whole_or_not_at_all(point: str, states: States) -> None:
    prefix, size = f"K{point.upper()}", states.size(AT)
    with states.reading(AT) as reader:
        chains_before = deltas(reader)
    before = listed(states, prefix)
    file = states.arm(AT, f"writer.{point}")
    try:
        # Another unit of the node's may get to the point first: then the load waits for the next writer.
        states.load(AT, ListId.DOCUMENTS, file_of(prefix))
    except RuntimeError as lost:
        assert "log" in str(lost)
    assert not file.exists(), "nothing got to the point"

    with states.reading(AT) as reader:
        chains = {chain: count - chains_before[chain] for chain, count in deltas(reader).items()}
    there, logged = listed(states, prefix), len(states.leaves(AT, size, "list.entry"))
    assert before == 0 and there in (0, ROWS) and logged == there
    assert len(states.leaves(AT, size, "list.loaded")) == (there > 0)
    # Each peer's delta stands with the change or falls with it.
    assert set(chains.values()) == {int(there > 0)} and len(chains) == len(states.nodes.nodes) - 1

    states.whole(AT)
    ran = states.load(AT, ListId.DOCUMENTS, file_of(prefix))
    assert (ran.json["added"], ran.json["unchanged"]) == ((0, ROWS) if there else (ROWS, 0))
    assert (listed(states, prefix), len(states.leaves(AT, size, "list.entry"))) == (ROWS, ROWS)
    for entry_id in range(ROWS):
        assert states.nodes.withdraw(AT, ListId.DOCUMENTS, f"{prefix}{entry_id}", "J-2026-75").code == 0
    states.whole()
