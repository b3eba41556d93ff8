"""What follows a hit: people on both sides, two of them for a release; a refusal; and a signature nobody made."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gateway.audit.leaf import Leaf
from gateway.cli.acts.demo import vantage
from gateway.cli.acts.demo.run import SETTLE_S, Run, done
from gateway.cli.acts.nodes import PASSPHRASE, limen
from gateway.cli.report.record import Learned
from gateway.disclosure.case import Case, Outbound, Signature, State, decode
from gateway.disclosure.profiles import PERSON_FIELDS
from gateway.federation import statement
from gateway.flows import casework
from gateway.keyring import personal
from gateway.primitives import ed25519
from gateway.store import db
from gateway.terms import Hidden, PeerId, Role
from gateway.terms.ids import OfficerId

ASKER: Final = "HND"
OWNER: Final = "PAN"
HIT: Final = "document_wanted"
"""Asked by Honduras, listed by Panama, met by the document."""

STAFF: Final = {
    ASKER: {"desk-1": (Role.DESK_NATIONAL,)},
    OWNER: {"desk-1": (Role.DESK_NATIONAL,), "desk-2": (Role.DESK_NATIONAL,), "approver-1": (Role.SUPERVISOR,)},
}
OPERATOR_SEED: Final = b"a key that the operator made     "[:32]
BETWEEN: Final = (ASKER, OWNER)


# -- Small steps ------------------------------------------------------------------------------------------------------


def held(run: Run, state: str, number: str) -> Case | None:
    """The state's own record of a case."""
    with vantage.reading(run.nodes[state]) as reader:
        body = reader.case(bytes.fromhex(number.removeprefix("case_")))
    return None if body is None else decode(body)


def where(run: Run, state: str, number: str) -> str:
    """Where the case stands there."""
    case = held(run, state, number)
    return "" if case is None else case.state.value


def until(found: Callable[[], bool], what: str) -> None:
    """Wait for what the nodes do by themselves. Raises RuntimeError when they do not."""
    end = time.monotonic() + SETTLE_S
    while not found():
        if time.monotonic() > end:
            raise RuntimeError(f"in vain: {what}")
        time.sleep(0.05)


def reaches(run: Run, state: str, number: str, wanted: str) -> None:
    """Wait for a case to be in a state."""
    until(lambda: where(run, state, number) == wanted, f"{number} at {state} is {wanted}")


def shown(run: Run, state: str, name: str, number: str) -> str:
    """`limen case show` as the officer reads it."""
    ran = limen("case", "show", number, "--booth", str(run.nodes.desk(state, name)))
    return ran.out + ran.err


def requested(run: Run) -> str:
    """A hit whose case Honduras has confirmed and asked about, under review in Panama; its number."""
    ran, got, ok = run.ask(HIT)
    if not ok:
        raise RuntimeError(f"the traveller is not met: exit {ran.code} {ran.err.strip()}")
    number = str(got["hits"][0]["case"])
    done(
        run.nodes.case(ASKER, "desk-1", "confirm", number, "--measure", "M1", words="the same face and the same paper")
    )
    done(run.nodes.case(ASKER, "desk-1", "request", number))
    reaches(run, OWNER, number, "UNDER_REVIEW")
    reaches(run, ASKER, number, "ACKNOWLEDGED")
    return number


def entries_of(run: Run, state: str, number: str, kind: str) -> list[Leaf]:
    """Entries of one kind about a case in the state's log."""
    case_id = bytes.fromhex(number.removeprefix("case_"))
    with vantage.reading(run.nodes[state]) as reader:
        leaves = [Leaf.parse(data) for data in reader.leaves(0, reader.size())]
    return [leaf for leaf in leaves if leaf.kind == kind and leaf.public.get("case_id") == case_id]


# -- Followed ---------------------------------------------------------------------------------------------------------


def followed(run: Run) -> None:
    """From a hit to a disclosure that was received, opened by one officer, and its outcome told."""
    _asked(run)
    _alone(run)
    _released(run)
    _ended(run)


def _asked(run: Run) -> None:
    def asked() -> tuple[str, bool]:
        for state, people in STAFF.items():
            for name, roles in people.items():
                run.nodes.enrol(state, name, roles)
        number = requested(run)
        run.carried["followed"] = number
        case = held(run, OWNER, number)
        assert case is not None
        run.screen(shown(run, ASKER, "desk-1", number))
        (sent,) = entries_of(run, ASKER, number, "case.sent")
        told = f"{number}\nHonduras asks for: {', '.join(case.fields)}"
        return told, case.fields == PERSON_FIELDS and sent.public["message"] == "open"

    run.step(
        "A hit becomes a case",
        "The wanted person of before, at Honduras's booth. A desk officer confirms that it is this person and asks for "
        "fields: two acts, each signed with a key that no gateway holds. Only now Panama learns whom it is about.",
        "limen case confirm CASE --key me.key --measure M1 --words why.txt; limen case request CASE --key me.key",
        "the same case under one number at both states, under review in Panama",
        asked,
        (
            Learned(
                "PAN's desk", "which of its entries Honduras met, under which purpose, and that two acts were signed"
            ),
            Learned("UTO", "nothing"),
        ),
        BETWEEN,
    )


def _alone(run: Run) -> None:
    def alone() -> tuple[str, bool]:
        number = run.carried["followed"]
        done(run.nodes.case(OWNER, "desk-1", "prepare", number))
        second = run.nodes.case(OWNER, "desk-1", "approve", number)
        run.screen(second.err, OWNER)
        sent = len(entries_of(run, OWNER, number, "case.sent"))
        ok = second.code == 3 and "second_person" in second.err and sent == 0
        ok = ok and where(run, ASKER, number) == "ACKNOWLEDGED"
        return f"{second.err.strip()} (exit {second.code}); decisions sent: {sent}", ok

    run.step(
        "One person releases nothing",
        "In Panama one officer prepares the release and then tries to approve it himself.",
        "limen case prepare CASE --key one.key; limen case approve CASE --key one.key",
        "exit 3, second_person, and nothing leaves",
        alone,
        (Learned("HND's desk", "nothing yet"),),
        BETWEEN,
    )


def _released(run: Run) -> None:
    def released() -> tuple[str, bool]:
        number = run.carried["followed"]
        done(run.nodes.case(OWNER, "approver-1", "approve", number))
        reaches(run, OWNER, number, "DELIVERED")
        case = held(run, ASKER, number)
        assert case is not None
        slots = {len(one) for one in case.sealed}
        run.beneath(
            f"what crossed, as Honduras keeps it until somebody reads it: {len(case.sealed)} sealed slots of "
            f"{', '.join(map(str, slots))} B, one for each field asked and one for the marks:",
            *(f"slot {place}  {vantage.dump(slot)}" for place, slot in enumerate(case.sealed[:3])),
        )
        got = done(run.nodes.case(ASKER, "desk-1", "show", number))
        run.screen(shown(run, ASKER, "desk-1", number))
        entry = next(row for row in run.region.lists[OWNER].persons if row.entry_id == "WPAN000000")
        listed = f"{entry.surname}, {entry.given}"
        told = [f"{name}: {'; '.join(values)}" for name, values in got["disclosed"].items()]
        told.append(f"{got['subject_category']}, {got['basis']}, {got['reliability']}; {', '.join(got['conditions'])}")
        plain = json.dumps(got["disclosed"])
        ok = (
            set(got["disclosed"]) <= set(PERSON_FIELDS)
            and listed in got["disclosed"]["names"]
            and entry.dob in plain
            and entry.decision_ref not in plain
            and len(slots) == 1
        )
        return "\n".join(told), ok

    run.step(
        "A second person approves, and Honduras reads",
        "Another person of Panama signs the same case, fields, recipient and version of the record. The fields leave, "
        "each sealed to Honduras's key in a slot of one size; the officer who has the case opens them.",
        "limen case approve CASE --key two.key        (in Panama); limen case show CASE        (in Honduras)",
        "the fields of the purpose as they stand on Panama's list, and nothing else of the record",
        released,
        (
            Learned("HND's officer", "names, birth, sex, nationality, document, what to do, whom to call"),
            Learned("PAN", "that the disclosure was taken and logged"),
            Learned("the wire", "that something of the usual size passed"),
        ),
        BETWEEN,
    )


def _ended(run: Run) -> None:
    def ended() -> tuple[str, bool]:
        number = run.carried["followed"]
        done(run.nodes.case(ASKER, "desk-1", "outcome", number, "--code", "SAME_PERSON"))
        for state in BETWEEN:
            reaches(run, state, number, "CLOSED")
        at_owner = done(run.nodes.case(OWNER, "desk-1", "show", number))
        run.screen(shown(run, ASKER, "desk-1", number))
        return f"closed at both; Panama reads: {at_owner['outcome']}", at_owner["outcome"] == "SAME_PERSON"

    run.step(
        "What came of it",
        "The officer reports the outcome, and both halves of the case end.",
        "limen case outcome CASE --key me.key --code SAME_PERSON",
        "closed at both states",
        ended,
        (Learned("PAN's desk", "that it was the same person"),),
        BETWEEN,
    )


def refused(run: Run) -> None:
    """A refusal for a ground that nobody abroad may read."""

    def act() -> tuple[str, bool]:
        number = requested(run)
        words = "return would be unsafe"
        done(run.nodes.case(OWNER, "desk-1", "refuse", number, "--code", "R09", words=words))
        reaches(run, ASKER, number, "REFUSED")
        got = done(run.nodes.case(ASKER, "desk-1", "show", number))
        run.screen(shown(run, ASKER, "desk-1", number))
        here = held(run, OWNER, number)
        ok = here is not None and here.refusal == "R09" and got["refusal"] == "R06" and got["disclosed"] == {}
        ok = ok and words not in json.dumps(got)
        return f"Panama refused under R09; Honduras reads {got['refusal']}, no words, no field", ok

    run.step(
        "A request refused",
        "Panama refuses for the person's rights. Outside, that ground reads as one of proportion; no free text goes.",
        "limen case refuse CASE --key me.key --code R09 --words why.txt",
        "refused, with a code that says nothing of rights",
        act,
        (Learned("HND's desk", "that it was refused as out of proportion"),),
        BETWEEN,
    )


# -- Forged -----------------------------------------------------------------------------------------------------------


def approval(case: Case, signed_ns: int) -> Signature:
    """An approval of this release, signed with a key of the operator's own: right in every word but the signer."""
    word = statement.CASE_ACTS["approve"]
    facts = casework.release_facts(case, PeerId(OWNER))
    made = statement.make(word, facts, role=Role.SUPERVISOR, signed_ns=signed_ns, seed=OPERATOR_SEED)
    return Signature(word, made.statement, made.signature, ed25519.public(OPERATOR_SEED))


def prepared(run: Run) -> tuple[str, Case]:
    """A case that one person of Panama has prepared and nobody has approved."""
    number = requested(run)
    done(run.nodes.case(OWNER, "desk-1", "prepare", number))
    case = held(run, OWNER, number)
    assert case is not None
    return number, case


def written(run: Run, case: Case) -> Case:
    """Write the case into Panama's database as approved, past the gateway, as root on the node can."""
    forged = replace(
        case,
        state=State.GRANTED,
        version=case.version + 1,
        outbound=Outbound.DECISION,
        due_ns=0,
        signatures=(*case.signatures, approval(case, run.nodes.now_ns())),
    )
    store = db.open_writer(run.nodes[OWNER].folder / "store" / db.FILE)
    try:
        store.execute(
            "UPDATE case_file SET version = ?, open = 1, outbound = ?, due_ns = 0, body = ? WHERE case_id = ?",
            (forged.version, forged.outbound.value, forged.encode(), case.case_id),
        )
    finally:
        store.close()
    return forged


def forged(run: Run) -> None:
    """The operator of Panama's node wants a release out that one person prepared."""
    _at_the_desk(run)
    _in_the_store(run)


def _at_the_desk(run: Run) -> None:
    def desk() -> tuple[str, bool]:
        number, _ = prepared(run)
        run.carried["forged"] = number
        # At the second officer's workstation, logged in as that officer, with another key: the first officer's, which
        # the workstation tells from the file, and one drawn in the second officer's name, which the register tells.
        booth = run.nodes.desk(OWNER, "desk-2")
        drawn = run.nodes.root / "drawn.key"
        drawn.write_bytes(personal.create(OfficerId(f"{OWNER}-desk-2"), Hidden(PASSPHRASE))[0])
        tried = [
            limen("case", "approve", number, "--booth", str(booth), "--key", str(key), "--role", "desk.national",
                  "--passphrase-file", str(run.nodes.passphrase_file))
            for key in (run.nodes[OWNER].officers["desk-1"], drawn)
        ]  # fmt: skip
        run.screen("\n".join(ran.err.strip() for ran in tried), OWNER)
        sent = len(entries_of(run, OWNER, number, "case.sent"))
        ok = [ran.code for ran in tried] == [3, 3] and sent == 0
        ok = ok and where(run, OWNER, number) == "AWAITING_SECOND_APPROVAL"
        told = "\n".join(f"{ran.err.strip().replace(str(run.nodes.root), '.')} (exit {ran.code})" for ran in tried)
        return f"{told}\ndecisions sent: {sent}", ok

    run.step(
        "A second signature by the wrong key",
        "Somebody sits at the second officer's workstation while he is logged in, and signs with the first officer's "
        "key, then with one drawn in the second officer's name.",
        "limen case approve CASE --key another.key",
        "refused, and nothing leaves",
        desk,
        (Learned("HND's desk", "nothing"),),
        BETWEEN,
    )


def _in_the_store(run: Run) -> None:
    def store() -> tuple[str, bool]:
        number = run.carried["forged"]
        case = held(run, OWNER, number)
        assert case is not None
        written(run, case)
        reaches(run, OWNER, number, "UNDER_REVIEW")
        sent = len(entries_of(run, OWNER, number, "case.sent"))
        denied = [leaf.public["reasons"] for leaf in entries_of(run, OWNER, number, "case.denied")]
        ok = sent == 0 and denied[-1:] == ["second_person"] and where(run, ASKER, number) == "ACKNOWLEDGED"
        return f"PAN's gateway: case.denied, {denied[-1:]}; decisions sent: {sent}; back under review", ok

    run.step(
        "A second signature forged in the database",
        "The operator writes the approval into Panama's database himself, right in every word, signed with a key of "
        "his own. The gateway judges both signatures again before anything is sealed.",
        "UPDATE case_file SET body = ..., outbound = 'decision'        (root on Panama's node)",
        "it does not leave; the log says why; people look again",
        store,
        (Learned("HND's desk", "nothing"), Learned("PAN's desk", "that the case is back under review")),
        BETWEEN,
    )


__all__ = ["ASKER", "OWNER", "approval", "followed", "forged", "held", "prepared", "refused"]
