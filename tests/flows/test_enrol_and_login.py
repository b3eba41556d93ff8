"""What people sign comes into the log before it counts: officers, logins, the list of members."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import pytest

from gateway.audit.entry import Entry
from gateway.errors import (
    AuditUnavailable,
    KeysUnavailable,
    Malformed,
    NotIdentified,
    TooMany,
    VerificationFailed,
)
from gateway.federation import document, officers, statement, token
from gateway.federation.document import Document, Member, MessageKey, SignedDocument, Status
from gateway.federation.officers import Enrolled, Register
from gateway.flows import enrol, login
from gateway.flows.login import Challenges, LoginWorld
from gateway.keyring.memory import MemoryKeys
from gateway.ports import Change, Committed
from gateway.primitives import ed25519
from gateway.store.memory import MemoryStore
from gateway.terms.ids import AgencyId, OfficerId, PeerId
from gateway.terms.words import Role

pytestmark = pytest.mark.asyncio

PAN = PeerId("PAN")
NOW = 1_770_000_000 * 10**9
DAY = 86_400 * 10**9
REGISTER_SEED = b"r" * 32
ANA, CERTIFICATE = OfficerId("ana"), b"t" * 32


def seed(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def enrolled(name: str, until: int = NOW + 365 * DAY) -> Enrolled:
    roles = (Role.BORDER_FRONTLINE, Role.LIST_OFFICER)
    return Enrolled(OfficerId(name), AgencyId("SNM"), roles, ed25519.public(seed(name)), NOW, until)


class World:
    """A state's surroundings in memory: a clock that stands where it is put, counted chance."""

    def __init__(self) -> None:
        self.now = NOW
        self.drawn = 0
        self.register = Register()
        self.store = MemoryStore(lambda: self.now)
        self.keys: MemoryKeys = MemoryKeys(PAN)
        self.challenges = Challenges()

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now

    async def sleep_until(self, monotonic_ns: int) -> None:
        self.now = max(self.now, monotonic_ns)

    def token(self, size: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")

    def held(self) -> dict[OfficerId, bytes]:
        return {OfficerId(row.officer): row.body for row in self.store.officers()}

    def enrol(self, person: Enrolled) -> None:
        self.register = Register([*self.register.lines, officers.enrol(self.register, person, self.now, REGISTER_SEED)])

    def retire(self, officer: str) -> None:
        line = officers.retire(self.register, OfficerId(officer), self.now, REGISTER_SEED)
        self.register = Register([*self.register.lines, line])

    @property
    def login_world(self) -> LoginWorld:
        return LoginWorld(
            state=PAN,
            register=lambda: self.register,
            logged=lambda officer: self.held().get(officer),
            challenges=self.challenges,
            keys=self.keys,
            uow=self.store,
            clock=self,
            chance=self,
        )

    def challenge(self, officer: OfficerId = ANA, certificate: bytes = CERTIFICATE) -> bytes:
        return login.challenge(officer, certificate, self.login_world)[0]

    async def login(self, challenge: bytes, *, officer: OfficerId = ANA, by: str = "ana", **facts: Any) -> str:
        said: dict[str, Any] = {"state": PAN, "officer": officer, "challenge": challenge, "certificate": CERTIFICATE}
        signature = statement.sign_login(statement.login(**{**said, **facts}), seed(by))
        text, _ = await login.login(officer, challenge, signature, CERTIFICATE, self.login_world)
        return text


@pytest.fixture
def world() -> World:
    return World()


async def ready(world: World) -> World:
    world.enrol(enrolled("ana"))
    await enrol.log_register(world.register, world.held(), world.store)
    return world


async def test_acts_of_the_register_enter_the_log_once(world: World) -> None:
    world.enrol(enrolled("ana"))
    world.enrol(enrolled("ben"))
    assert len(await enrol.log_register(world.register, world.held(), world.store)) == 2
    assert await enrol.log_register(world.register, world.held(), world.store) == ()
    world.now += DAY
    world.retire("ana")
    assert len(await enrol.log_register(world.register, world.held(), world.store)) == 1

    assert [entry.kind for entry in world.store.entries] == ["officer.enrolled", "officer.enrolled", "officer.retired"]
    first = world.store.entries[0]
    assert first.public == {
        "agency": "SNM",
        "roles": "border.frontline,list.officer",
        "key_thumbprint": sha256(ed25519.public(seed("ana"))).digest(),
    }
    assert first.secret["officer"] == "ana"
    assert {row.officer: row.retired_ns for row in world.store.officers()} == {"ana": NOW + DAY, "ben": None}


async def test_a_register_with_its_tail_cut_is_found_at_the_next_start(world: World) -> None:
    world.enrol(enrolled("ana"))
    whole = world.register
    world.enrol(enrolled("ben"))
    await enrol.log_register(world.register, world.held(), world.store)
    with pytest.raises(VerificationFailed, match="missing from the register"):
        await enrol.log_register(whole, world.held(), world.store)


async def test_a_signed_challenge_gives_a_token_bound_to_the_connection(world: World) -> None:
    await ready(world)
    text = await world.login(world.challenge())
    public = (await world.keys.public_keys())["token"]
    keys = {document.key_id(public): public}
    read = token.verify(text, keys=keys, state=PAN, now_ns=NOW, certificate=CERTIFICATE)
    assert (read.officer, read.agency, read.expires_s) == ("ana", "SNM", NOW // 10**9 + 600)
    entry = world.store.entries[-1]
    assert (entry.kind, entry.public["granted"], entry.secret) == ("officer.login", True, {"officer": "ana"})
    assert entry.public["token_hash"] == sha256(text.encode()).digest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": "ben"},
        {"officer": OfficerId("zoe"), "by": "zoe"},
        {"state": PeerId("HND")},
        {"certificate": b"u" * 32},
        {"challenge": b"x" * 32},
    ],
    ids=str,
)
async def test_whatever_is_wrong_has_one_face_and_is_logged(world: World, wrong: dict[str, Any]) -> None:
    await ready(world)
    officer = wrong.get("officer", ANA)
    given = world.challenge(officer)
    with pytest.raises(NotIdentified):
        if "challenge" in wrong:
            await world.login(wrong["challenge"])
        else:
            await world.login(given, **wrong)
    entry = world.store.entries[-1]
    assert entry.public == {"agency": "", "granted": False, "reason": "NOT_IDENTIFIED"}
    assert entry.secret == {"officer": str(officer)}


async def test_a_challenge_is_good_once_for_one_minute_one_officer_and_one_connection(world: World) -> None:
    await ready(world)
    used = world.challenge()
    await world.login(used)
    late = world.challenge()
    other = world.challenge(OfficerId("ben"))
    elsewhere = world.challenge(ANA, b"u" * 32)
    world.now += login.CHALLENGE_NS
    for challenge in (used, late, other, elsewhere):
        with pytest.raises(NotIdentified):
            await world.login(challenge)
    spoiled = world.challenge()
    with pytest.raises(NotIdentified):
        await world.login(spoiled, by="ben")
    with pytest.raises(NotIdentified):
        await world.login(spoiled)


async def test_an_officer_whose_enrolment_is_not_in_the_log_is_none(world: World) -> None:
    world.enrol(enrolled("ana"))
    with pytest.raises(NotIdentified, match="not in the log"):
        await world.login(world.challenge())
    await enrol.log_register(world.register, world.held(), world.store)
    await world.login(world.challenge())
    world.now += 1
    world.retire("ana")
    with pytest.raises(NotIdentified):
        await world.login(world.challenge())


async def test_a_token_does_not_outlive_the_person(world: World) -> None:
    world.enrol(enrolled("ana", until=NOW + 60 * 10**9))
    await enrol.log_register(world.register, world.held(), world.store)
    given = world.challenge()
    _, expires_ns = await login.login(
        ANA,
        given,
        statement.sign_login(
            statement.login(state=PAN, officer=ANA, challenge=given, certificate=CERTIFICATE), seed("ana")
        ),
        CERTIFICATE,
        world.login_world,
    )
    assert expires_ns == NOW + 60 * 10**9


async def test_challenges_have_a_bound_and_ended_ones_make_room(world: World) -> None:
    for _ in range(login.CHALLENGES_MAX):
        world.challenge()
    with pytest.raises(TooMany):
        world.challenge()
    world.now += login.CHALLENGE_NS
    world.challenge()


class Full:
    """ports.UnitOfWork on a full disk."""

    async def commit(self, entries: Sequence[Entry], changes: Sequence[Change] = ()) -> Committed:
        raise AuditUnavailable("the disk is full")


class NoKeys(MemoryKeys):
    """A key process that is gone."""

    async def sign_token(self, claims: Mapping[str, Any]) -> str:
        raise KeysUnavailable("gone")


@pytest.mark.parametrize("by", ["ana", "ben"], ids=["right", "wrong"])
async def test_no_token_and_no_refusal_is_told_that_the_log_does_not_hold(world: World, by: str) -> None:
    await ready(world)
    given = world.challenge()
    signed = statement.sign_login(
        statement.login(state=PAN, officer=ANA, challenge=given, certificate=CERTIFICATE), seed(by)
    )
    around = dataclasses.replace(world.login_world, uow=Full())
    with pytest.raises(AuditUnavailable):
        await login.login(ANA, given, signed, CERTIFICATE, around)
    # The challenge is used up all the same.
    with pytest.raises(NotIdentified):
        await login.login(ANA, given, signed, CERTIFICATE, world.login_world)


async def test_without_the_key_process_there_is_no_token_and_no_entry_that_says_there_was(world: World) -> None:
    await ready(world)
    world.keys = NoKeys(PAN)
    before = len(world.store.entries)
    with pytest.raises(KeysUnavailable):
        await world.login(world.challenge())
    assert len(world.store.entries) == before


async def test_a_token_stands_in_the_log_by_its_hash_only(world: World) -> None:
    await ready(world)
    text = await world.login(world.challenge())
    everything = b"".join(world.store.leaves(0, world.store.size()))
    assert text.encode() not in everything and b"ana" not in everything
    assert sha256(text.encode()).digest() in everything


async def test_a_register_or_a_list_of_members_that_cannot_be_logged_does_not_count(world: World) -> None:
    world.enrol(enrolled("ana"))
    with pytest.raises(AuditUnavailable):
        await enrol.log_register(world.register, world.held(), Full())
    with pytest.raises(AuditUnavailable):
        await enrol.adopt(listed(1, "HND", "PAN"), world.store.federation(), NOW, Full())
    assert (world.held(), world.store.federation(), world.store.entries) == ({}, None, [])
    with pytest.raises(NotIdentified):
        await world.login(world.challenge())


def member(state: str) -> Member:
    public = ed25519.public(seed(state))
    number = sum(state.encode())
    return Member(
        state=PeerId(state),
        status=Status.ACTIVE,
        agencies=(AgencyId("SNM"),),
        endpoints=(f"127.0.0.1:{10_000 + number}",),
        tls_pins=(seed(state + "pin"),),
        anchor_pem="-----BEGIN CERTIFICATE-----\n",
        authority=ed25519.public(seed(state + "authority")),
        message_keys=(MessageKey(document.key_id(public), public, NOW, NOW + DAY),),
        log_vkey=f"limen/{state}/log+{number:08x}+AAAA",
        witness_vkey=f"limen/{state}/witness+{number:08x}+AAAA",
        case_key=seed(state + "case"),
    )


def listed(version: int, *signers: str, baseline: int = 0, expires_ns: int = NOW + DAY) -> SignedDocument:
    made = document.unsigned(
        Document(version, expires_ns, 2, bytes([baseline]) * 32, (member("HND"), member("PAN"), member("UTO")))
    )
    for state in signers:
        made = document.sign(made, PeerId(state), seed(state + "authority"))
    return made


async def test_a_list_of_members_is_in_force_once_it_is_in_the_log(world: World) -> None:
    made = listed(1, "HND", "PAN")
    assert await enrol.adopt(made, world.store.federation(), NOW, world.store) == made.document
    held = world.store.federation()
    assert held == (1, document.render(made))
    entry = world.store.entries[-1]
    assert entry.public["digest"] == made.digest
    assert (entry.public["members"], entry.public["signers"]) == ("HND,PAN,UTO", "HND,PAN")


async def test_the_same_list_with_more_signatures_changes_nothing(world: World) -> None:
    await enrol.adopt(listed(1, "HND", "PAN"), world.store.federation(), NOW, world.store)
    again = listed(1, "HND", "PAN", "UTO")
    assert await enrol.adopt(again, world.store.federation(), NOW, world.store) == again.document
    assert len(world.store.entries) == 1
    with pytest.raises(VerificationFailed, match="expired"):
        await enrol.adopt(again, world.store.federation(), NOW + DAY, world.store)


async def test_an_older_an_unsigned_and_another_list_of_the_version_are_refused(world: World) -> None:
    await enrol.adopt(listed(2, "HND", "PAN"), world.store.federation(), NOW, world.store)
    for bad, step in (
        (listed(1, "HND", "PAN", "UTO"), "version"),
        (listed(2, "HND", "PAN", baseline=1), "version"),
        (listed(3, "HND"), "quorum"),
        (listed(3, "HND", "PAN", expires_ns=NOW), "expiry"),
    ):
        with pytest.raises(VerificationFailed) as caught:
            await enrol.adopt(bad, world.store.federation(), NOW, world.store)
        assert caught.value.step == step
    assert world.store.federation() == (2, document.render(listed(2, "HND", "PAN")))
    assert len(world.store.entries) == 1


async def test_a_member_card_that_lacks_a_key_is_no_card() -> None:
    card = document.encode_card(member("PAN"))
    assert document.decode_card(card) == member("PAN")
    with pytest.raises(Malformed):
        document.decode_card(document.encode_card(dataclasses.replace(member("PAN"), message_keys=())))
