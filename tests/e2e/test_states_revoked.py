"""A peer that is suspended: nothing is evaluated from the next call on, its tables and keys are gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.cli.acts.nodes import limen, must
from gateway.terms import PeerId
from tests.support.hostile_asker import Asker
from tests.support.states import States


@pytest.fixture(scope="module")
def kept(states: States) -> Iterator[tuple[Asker, bytes]]:
    """HND towards UTO, with a question that was answered before; HND is let in again at the end."""
    asker = Asker(states, PeerId("HND"), PeerId("UTO"))
    body = asker.body()
    assert asker.send(asker.sign(body)).ok
    must("peer", "revoke", "HND", "--config", str(states.folder("UTO")))
    yield asker, body
    config = str(states.folder("UTO"))
    limen("peer", "readmit", "HND", "--config", config)


def test_nothing_is_evaluated_from_the_next_call_on(states: States, kept: tuple[Asker, bytes]) -> None:
    asker, body = kept
    start, used = states.size("UTO"), asker.used()
    # A new question, one that was answered before, and the table itself.
    assert asker.ask().reason == "PEER_SUSPENDED"
    assert asker.send(asker.sign(body)).reason == "PEER_SUSPENDED"
    assert asker.used() == used
    assert states.leaves("UTO", start, "check.answer") == []


def test_keys_and_tables_are_gone_and_the_log_says_so(states: States, kept: tuple[Asker, bytes]) -> None:
    node = states.folder("UTO")
    assert not list((node / "keys" / "seeds" / "HND").glob("*"))
    assert not list((node / "tables" / "HND").rglob("*.table"))
    assert not list((node / "copies" / "HND").rglob("*.table"))
    (said,) = [leaf for leaf in states.leaves("UTO", kind="peer.suspended") if leaf.public["suspended"]]
    (gone,) = states.leaves("UTO", kind="keys.destroyed")
    assert said.peer == gone.peer == "HND" and said.seq < gone.seq and int(gone.public["seeds"]) >= 1
    # Others are served as before.
    assert list((node / "tables" / "PAN").rglob("*.table"))


def test_the_officer_is_told_that_it_was_refused_and_never_that_there_was_nothing(
    states: States, kept: tuple[Asker, bytes]
) -> None:
    ran = states.ask("undeclared")
    assert [one["owner"] for one in ran.json["refused"]] == ["UTO"] and ran.json["hits"] == []
    assert states.ask("document_wanted").json["hits"], "the others answer"


def test_the_suspended_states_own_copy_is_of_no_use_to_it(states: States, kept: tuple[Asker, bytes]) -> None:
    """And the owner that suspended it does not ask it either."""
    start = states.size("HND")
    states.login("UTO")
    ran = states.nodes.check("UTO", "SEC.WATCH", b"surname: A\ngiven_names: B\nbirth_date: 1970-02-03\n")
    assert ran.code == 0 and states.leaves("HND", start, "check.answer") == []


def test_let_in_again_it_gets_new_keys_and_new_tables(states: States, kept: tuple[Asker, bytes]) -> None:
    asker, body = kept

    def tables() -> set[str]:
        return {path.name for path in (states.folder("HND") / "copies" / "UTO").rglob("*.table")}

    old = tables()
    must("peer", "readmit", "HND", "--config", str(states.folder("UTO")))
    states.until(lambda: states.ask("undeclared").json["outcome"] == "HIT", "UTO answers HND again")
    # The other groups' tables may come a tick after the one that answered.
    states.until(lambda: old.isdisjoint(tables() or old), "each of UTO's tables is another")
    new = tables()
    assert new and old.isdisjoint(new)
    # The old question names an epoch that is no more.
    assert asker.send(asker.sign(body)).reason == "EPOCH_REFUSED"
    states.settled()
