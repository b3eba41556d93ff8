"""`limen protection` at a running node: one person sets a tag, two clear it, and everything stands in the log (T10)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from gateway.cli.acts.nodes import LISTING_BASIS, Ran, limen
from gateway.terms import ListId, Role
from gateway.watchlist import entry as entries
from tests.support.states import States

AT, ID = "PAN", "TAGGED1"
DENIED, NOT_FOUND, VERIFICATION, REFUSED = 3, 4, 6, 8
DAY_NS = 86_400 * 10**9

RECORD = {
    "entry_id": ID, "category": "WANTED_ARREST", "surname": "QUIROZ", "given": "ELMER", "dob": "1981-07-19", "sex": "M",
    "nationality": "HND", "valid_until": "2029-12-31", "originator": AT, "provenance": "NATIONAL",
    "decision_ref": "J-2026-81", "legal_basis": LISTING_BASIS,
}  # fmt: skip
WORDS = ("--tag", "WITNESS", "--source", "COURT-3", "--decision", "P-7", "--basis", LISTING_BASIS)


@pytest.fixture
def listed(states: States) -> Iterator[States]:
    """PAN with the record, and with a protection officer."""
    node = states.nodes[AT]
    for name, role in (("shield-1", Role.PROTECTION_OFFICER), ("shield-2", Role.PROTECTION_OFFICER)):
        if name not in node.officers:
            states.nodes.enrol(AT, name, (role,))
    ran = states.nodes.add(AT, ListId.PERSONS, json.dumps(RECORD).encode())
    assert ran.code == 0, ran.err
    yield states
    assert states.nodes.withdraw(AT, ListId.PERSONS, ID, "J-2026-99").code == 0


def protection(states: States, verb: str, *more: str, entry_id: str = ID) -> Ran:
    return limen("--json", "protection", verb, "PERSONS", entry_id, "--config", str(states.folder(AT)), *more)


def sign(states: States, name: str, act: str, role: Role, *words: str) -> tuple[str, str]:
    # A new file each time: what was signed is not overwritten.
    path = states.root / f"{name}.{act}.{secrets.token_hex(4)}.sig"
    ran = protection(states, "sign", "--act", act, *words, "--role", role.value, "--key",
                     str(states.nodes[AT].officers[name]), "--passphrase-file", str(states.nodes.passphrase_file), "-o",
                     str(path))  # fmt: skip
    assert ran.code == 0, ran.err
    return "--signature", str(path)


def lines(states: States) -> list[tuple[str, bool, str]]:
    with states.reading(AT) as reader:
        body = reader.entry(ListId.PERSONS, ID)
    assert body is not None
    return [(one.tag.value, one.is_set, one.source) for one in entries.decode(body).history]


def test_one_person_sets_and_two_clear(listed: States) -> None:
    size = listed.size(AT)
    mine = sign(listed, "shield-1", "set", Role.PROTECTION_OFFICER, *WORDS)
    ran = protection(listed, "set", *WORDS, *mine)
    assert (ran.code, ran.json["changed"], ran.json["lines"]) == (0, True, 1), ran.err
    again = protection(listed, "set", *WORDS, *mine)
    assert (again.code, again.json["changed"]) == (0, False)

    shield = sign(listed, "shield-1", "clear", Role.PROTECTION_OFFICER, *WORDS)
    shield_2 = sign(listed, "shield-2", "clear", Role.PROTECTION_OFFICER, *WORDS)
    lister = sign(listed, "list-1", "clear", Role.LIST_OFFICER, *WORDS)
    lister_2 = sign(listed, "list-2", "clear", Role.LIST_OFFICER, *WORDS)
    for wrong, code in (
        ((), DENIED),
        (shield, DENIED),
        (lister, DENIED),
        (shield * 2, VERIFICATION),
        ((*shield, *shield_2), DENIED),
        ((*lister, *lister_2), DENIED),
        ((*mine, *lister), VERIFICATION),
    ):
        assert protection(listed, "clear", *WORDS, *wrong).code == code, wrong
    other = ("--tag", "REFUGEE", *WORDS[2:])
    assert protection(listed, "clear", *other, *shield, *lister).code == VERIFICATION
    assert lines(listed) == [("WITNESS", True, "COURT-3")]

    ran = protection(listed, "clear", *WORDS, *shield, *lister)
    assert (ran.code, ran.json["lines"]) == (0, 2), ran.err
    assert ran.json["guards_until"]
    assert lines(listed) == [("WITNESS", True, "COURT-3"), ("WITNESS", False, "COURT-3")]

    looking = sign(listed, "shield-1", "show", Role.PROTECTION_OFFICER)
    shown = protection(listed, "show", *looking)
    assert shown.code == 0, shown.err
    # Within the day a cleared tag still guards.
    assert shown.json["in_force"] == ["WITNESS"] and [one["act"] for one in shown.json["history"]] == ["set", "clear"]

    # The same two signatures clear nothing that was set after them.
    mine = sign(listed, "shield-2", "set", Role.PROTECTION_OFFICER, *WORDS)
    assert protection(listed, "set", *WORDS, *mine).json["lines"] == 3
    assert protection(listed, "clear", *WORDS, *shield, *lister).code not in (0, None)
    assert len(lines(listed)) == 3

    kinds = [leaf.kind for leaf in listed.leaves(AT, size) if leaf.kind.startswith("protection.")]
    assert kinds.count("protection.changed") == 3 and kinds.count("protection.read") == 1
    assert kinds.count("protection.denied") == 5
    with listed.reading(AT) as reader:
        told = b"".join(reader.leaves(size, reader.size()))
    assert [word for word in (b"WITNESS", b"COURT-3", ID.encode(), b"shield-1") if word in told] == []


def test_what_is_not_there_or_not_set_or_not_a_code_is_refused(listed: States) -> None:
    key = ("--key", str(listed.nodes[AT].officers["shield-1"]), "--passphrase-file",
           str(listed.nodes.passphrase_file), "-o", str(listed.root / "none.sig"))  # fmt: skip
    assert protection(listed, "sign", "--act", "set", *WORDS, *key, entry_id="NOBODY").code == NOT_FOUND
    assert protection(listed, "sign", "--act", "set", *key).code == 2
    family = ("--tag", "FAMILY_REUNIFICATION", *WORDS[2:])
    shield = sign(listed, "shield-1", "clear", Role.PROTECTION_OFFICER, *family)
    lister = sign(listed, "list-1", "clear", Role.LIST_OFFICER, *family)
    before = lines(listed)
    assert protection(listed, "clear", *family, *shield, *lister).code == REFUSED
    odd = ("--tag", "REGULARISATION", "--source", "a neighbour said so", *WORDS[4:])
    mine = sign(listed, "shield-1", "set", Role.PROTECTION_OFFICER, *odd)
    assert protection(listed, "set", *odd, *mine).code == REFUSED
    assert lines(listed) == before
