"""The register of officers, and what they sign."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused, Malformed, NotIdentified, VerificationFailed
from gateway.federation import officers, statement
from gateway.federation.officers import Enrolled, Line, Register
from gateway.federation.statement import PersonalSignature
from gateway.primitives import cbor, ed25519
from gateway.terms.ids import AgencyId, OfficerId, PeerId
from gateway.terms.words import ListId, Role

NOW = 1_770_000_000 * 10**9
DAY = 86_400 * 10**9
REGISTER_SEED = b"r" * 32
REGISTER_KEY = ed25519.public(REGISTER_SEED)


def seed(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def person(name: str, *roles: Role, key: str = "", until: int = NOW + 365 * DAY) -> Enrolled:
    return Enrolled(
        OfficerId(name), AgencyId("SNM"), roles or (Role.LIST_OFFICER,), ed25519.public(seed(key or name)), NOW, until
    )


def grow(*people: Enrolled) -> Register:
    register = Register()
    for one in people:
        register = Register([*register.lines, officers.enrol(register, one, NOW, REGISTER_SEED)])
    return register


def file_of(register: Register) -> bytes:
    return b"".join(line.raw + b"\n" for line in register.lines)


ANA, BEN = person("ana"), person("ben", Role.LIST_OFFICER, Role.SUPERVISOR)
REGISTER = grow(ANA, BEN)


def test_a_register_reads_back_the_same() -> None:
    found = officers.read(file_of(REGISTER), REGISTER_KEY)
    assert found.people() == [ANA, BEN]
    assert found.head == REGISTER.head
    assert officers.read(b"", REGISTER_KEY).people() == []


def test_an_officer_is_found_by_number_and_by_key_while_in_force() -> None:
    assert REGISTER.officer(OfficerId("ana"), NOW) == REGISTER.holder(ANA.thumbprint, NOW) == ANA
    for at in (NOW - 1, ANA.valid_until_ns):
        with pytest.raises(NotIdentified):
            REGISTER.officer(OfficerId("ana"), at)
    with pytest.raises(NotIdentified):
        REGISTER.holder(bytes(32), NOW)


def test_one_key_a_number_and_one_number_a_key() -> None:
    with pytest.raises(InputRefused, match="retire it first"):
        officers.enrol(REGISTER, person("ana", key="new"), NOW, REGISTER_SEED)
    with pytest.raises(InputRefused, match="enrolled before"):
        officers.enrol(REGISTER, person("carla", key="ana"), NOW, REGISTER_SEED)
    with pytest.raises(InputRefused, match="ends before it begins"):
        officers.enrol(REGISTER, person("carla", until=NOW), NOW, REGISTER_SEED)


def test_a_retired_officer_is_gone_and_may_come_back_with_a_new_key_only() -> None:
    gone = Register([*REGISTER.lines, officers.retire(REGISTER, OfficerId("ana"), NOW + DAY, REGISTER_SEED)])
    assert officers.read(file_of(gone), REGISTER_KEY).people()[0].valid_until_ns == NOW + DAY
    with pytest.raises(NotIdentified):
        gone.officer(OfficerId("ana"), NOW + DAY)
    with pytest.raises(InputRefused, match="to retire"):
        officers.retire(gone, OfficerId("ana"), NOW + 2 * DAY, REGISTER_SEED)
    with pytest.raises(InputRefused, match="enrolled before"):
        officers.enrol(gone, ANA, NOW + 2 * DAY, REGISTER_SEED)
    back = Register([*gone.lines, officers.enrol(gone, person("ana", key="new"), NOW + 2 * DAY, REGISTER_SEED)])
    assert back.officer(OfficerId("ana"), NOW + 2 * DAY).public_key == ed25519.public(seed("new"))
    with pytest.raises(NotIdentified):
        back.holder(ANA.thumbprint, NOW)


@pytest.mark.parametrize("position", [0, 1])
def test_a_line_taken_out_moved_or_forged_is_found(position: int) -> None:
    lines = [line.raw for line in grow(ANA, BEN, person("carla")).lines]
    without = lines[:position] + lines[position + 1 :]
    swapped = [lines[1], lines[0], lines[2]]
    forged = Register([officers.enrol(Register(), ANA, NOW, b"f" * 32)])
    for bad in (without, swapped):
        with pytest.raises(VerificationFailed) as caught:
            officers.read(b"".join(raw + b"\n" for raw in bad), REGISTER_KEY)
        assert caught.value.step == "register"
    with pytest.raises(VerificationFailed, match="not signed"):
        officers.read(file_of(forged), REGISTER_KEY)


def test_every_changed_byte_is_refused() -> None:
    data = file_of(grow(ANA))
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises((Malformed, VerificationFailed)):
            officers.read(bytes(changed), REGISTER_KEY)


def test_the_rules_hold_for_the_registers_own_key_too() -> None:
    first = REGISTER.lines[0]
    table = json.loads(officers.enrol(REGISTER, person("carla"), NOW, REGISTER_SEED).raw)
    table.update(officer="ana", signature="")
    del table["signature"]
    body = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    table["signature"] = ed25519.sign(REGISTER_SEED, officers.DOMAIN + body).hex()
    raw = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    assert first.person.officer == "ana"
    with pytest.raises(VerificationFailed, match="retire it first"):
        officers.read(file_of(REGISTER) + raw + b"\n", REGISTER_KEY)


def test_acts_that_the_log_lacks_are_told_and_a_cut_tail_is_found() -> None:
    first, second = REGISTER.lines
    assert officers.unlogged(REGISTER, {}) == REGISTER.lines
    assert officers.unlogged(REGISTER, {OfficerId("ana"): first.raw}) == (second,)
    assert officers.unlogged(REGISTER, {OfficerId("ana"): first.raw, OfficerId("ben"): second.raw}) == ()
    with pytest.raises(VerificationFailed, match="1 acts of the log are missing"):
        officers.unlogged(Register(REGISTER.lines[:1]), {OfficerId("ben"): second.raw})
    gone = Register([*REGISTER.lines, officers.retire(REGISTER, OfficerId("ana"), NOW + DAY, REGISTER_SEED)])
    assert officers.unlogged(gone, {OfficerId("ana"): first.raw, OfficerId("ben"): second.raw}) == gone.lines[2:]
    assert gone.last_line(OfficerId("ana")) == gone.lines[2]


@given(
    st.binary(max_size=200),
    st.dictionaries(
        st.sampled_from(["act", "roles", "seq", "officer", "at_ns", "x"]),
        st.none() | st.integers() | st.text(max_size=4) | st.lists(st.integers() | st.text(max_size=3), max_size=2),
    ),
)
def test_any_bytes_are_a_register_or_refused(noise: bytes, change: dict[str, Any]) -> None:
    table = {**json.loads(REGISTER.lines[0].raw), **change}
    bent = json.dumps(table, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    for data in (noise, noise + b"\n", bent):
        try:
            found = officers.read(data, REGISTER_KEY)
        except (Malformed, VerificationFailed):
            continue
        assert file_of(found) == data


FACTS = statement.listing(
    state=PeerId("PAN"),
    list_id=ListId.PERSONS,
    mode="snapshot",
    file_hash=b"h" * 64,
    originator="PAN",
    provenance=("PAN-NATIONAL",),
    decision="D-1",
    legal_basis="act 1",
)
LISTERS = frozenset({Role.LIST_OFFICER})


def sign(
    name: str,
    facts: dict[str, Any] = FACTS,
    *,
    role: Role = Role.LIST_OFFICER,
    act: str = statement.LISTING,
    at: int = NOW,
) -> PersonalSignature:
    return statement.make(act, facts, role=role, signed_ns=at, seed=seed(name))


def check(*signatures: PersonalSignature, now: int = NOW, roles: frozenset[Role] = LISTERS) -> tuple[Enrolled, ...]:
    return statement.verify_all(signatures, statement.LISTING, FACTS, register=REGISTER, roles=roles, now_ns=now)


def test_two_persons_sign_one_file() -> None:
    assert check(sign("ana"), sign("ben")) == (ANA, BEN)
    assert PersonalSignature.decode(sign("ana").encode()) == sign("ana")


@pytest.mark.parametrize("fact", sorted(FACTS))
def test_a_signature_over_another_fact_is_refused(fact: str) -> None:
    other: dict[str, Any] = {**FACTS, fact: b"x" if isinstance(FACTS[fact], bytes) else "x"}
    with pytest.raises(VerificationFailed) as caught:
        check(sign("ana", other))
    assert caught.value.step == "statement"


def test_more_or_fewer_facts_are_refused() -> None:
    for facts in ({**FACTS, "more": 1}, {name: FACTS[name] for name in FACTS if name != "mode"}):
        with pytest.raises(VerificationFailed):
            check(sign("ana", facts))


def test_a_signature_for_another_act_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="another act"):
        check(sign("ana", act=statement.ACTIVATION))


def test_one_person_twice_is_one_person() -> None:
    with pytest.raises(VerificationFailed) as caught:
        check(sign("ana"), sign("ana", at=NOW + 1))
    assert caught.value.step == "persons"


def test_a_role_must_be_the_signers_and_may_do_the_act() -> None:
    with pytest.raises(NotIdentified, match="supervisor"):
        check(sign("ana", role=Role.SUPERVISOR), roles=frozenset({Role.SUPERVISOR}))
    with pytest.raises(NotIdentified, match="supervisor"):
        check(sign("ben", role=Role.SUPERVISOR))
    assert check(sign("ben", role=Role.SUPERVISOR), roles=frozenset({Role.SUPERVISOR})) == (BEN,)


def test_a_stranger_and_a_stolen_name_are_refused() -> None:
    with pytest.raises(NotIdentified):
        check(sign("carla"))
    mine, theirs = sign("ana"), sign("ben")
    with pytest.raises(VerificationFailed):
        check(dataclasses.replace(mine, key_thumbprint=theirs.key_thumbprint))
    with pytest.raises(VerificationFailed) as caught:
        check(dataclasses.replace(theirs, signature=mine.signature))
    assert caught.value.step == "ed25519"
    for change in ({"role": Role.SUPERVISOR}, {"signed_ns": NOW + 1}):
        with pytest.raises(VerificationFailed):
            check(dataclasses.replace(theirs, **change))


def test_a_signature_waits_a_week_and_does_not_come_from_tomorrow() -> None:
    week = statement.AGE_NS_MAX
    assert check(sign("ana"), now=NOW + week) == (ANA,)
    with pytest.raises(NotIdentified, match="too old"):
        check(sign("ana"), now=NOW + week + 1)
    with pytest.raises(NotIdentified, match="from the future"):
        check(sign("ana", at=NOW + DAY))


def test_a_signature_made_before_the_person_was_valid_is_refused() -> None:
    with pytest.raises(NotIdentified):
        check(sign("ana", at=NOW - 1))


def test_a_bundle_is_put_in_force_by_number_and_digest() -> None:
    facts = statement.activation(state=PeerId("PAN"), layer="national", digest=b"d" * 32, sequence=1, impact=b"i" * 32)
    signed = sign("ana", facts, act=statement.ACTIVATION)
    for bent in ({**facts, "sequence": 2}, {**facts, "sequence": True}):
        with pytest.raises(VerificationFailed):
            statement.verify(signed, statement.ACTIVATION, bent, register=REGISTER, roles=LISTERS, now_ns=NOW)
    assert statement.verify(signed, statement.ACTIVATION, facts, register=REGISTER, roles=LISTERS, now_ns=NOW) == ANA


def login(**change: Any) -> Enrolled:
    made = statement.login(state=PeerId("PAN"), officer=OfficerId("ana"), challenge=b"c" * 32, certificate=b"t" * 32)
    facts: dict[str, Any] = {
        "state": "PAN",
        "officer": "ana",
        "challenge": b"c" * 32,
        "certificate": b"t" * 32,
        "now_ns": NOW,
    }
    return statement.verify_login(statement.sign_login(made, seed("ana")), register=REGISTER, **{**facts, **change})


def test_a_login_answers_this_challenge_at_this_door_over_this_connection() -> None:
    assert login() == ANA
    for change in (
        {"state": "HND"},
        {"officer": "ben"},
        {"officer": "zoe"},
        {"challenge": b"d" * 32},
        {"certificate": b"u" * 32},
        {"now_ns": NOW - 1},
    ):
        with pytest.raises(NotIdentified):
            login(**change)


def test_a_login_is_no_signature_for_anything_else() -> None:
    made = statement.login(state=PeerId("PAN"), officer=OfficerId("ana"), challenge=b"c" * 32, certificate=b"t" * 32)
    signature = statement.sign_login(made, seed("ana"))
    with pytest.raises(Malformed):
        check(PersonalSignature(ANA.thumbprint, Role.LIST_OFFICER, NOW, made, signature))


@given(
    st.binary(max_size=100)
    | st.dictionaries(
        st.sampled_from(["act", "key", "role", "signed_ns", "x"]),
        st.integers(0, 9) | st.text(max_size=3) | st.binary(max_size=3) | st.lists(st.integers(0, 3)),
    ).map(cbor.encode)
)
def test_any_statement_is_judged(data: bytes) -> None:
    for file in (data, cbor.encode({"statement": data, "signature": bytes(64)})):
        with pytest.raises(Malformed):
            PersonalSignature.decode(file)
    with pytest.raises((Malformed, VerificationFailed)):
        check(PersonalSignature(ANA.thumbprint, Role.LIST_OFFICER, NOW, data, bytes(64)))


def test_a_line_is_named_by_its_exact_bytes() -> None:
    lines: tuple[Line, ...] = REGISTER.lines
    assert len({line.digest for line in lines}) == 2
    assert officers.read(file_of(REGISTER), REGISTER_KEY).lines == lines
