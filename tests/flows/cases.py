"""Two states with their people around one hit, everything in memory: each message crosses as its real bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.disclosure.case import Case, Outbound, decode
from gateway.errors import PeerUnreachable, WitnessesSilent
from gateway.federation import officers, statement
from gateway.federation.officers import Enrolled, Register
from gateway.federation.statement import PersonalSignature
from gateway.flows import check, deliver, disclose
from gateway.flows.casework import CaseWorld, Closing, Decision, OpenCase, version_of
from gateway.flows.check import Officer, Tickets
from gateway.primitives import ed25519
from gateway.rpc.convert import cases as convert
from gateway.rpc.convert import peers as checks
from gateway.terms import Hidden, PeerId, Role
from gateway.terms.exchange import Came, Named
from gateway.terms.ids import AgencyId, OfficerId
from gateway.terms.words import ListId
from gateway.watchlist.entry import ListEntry
from tests.flows.world import HND, PAN, YEAR_NS, State, World, person, traveller
from tests.support.entries import NOW_NS, entry

PEOPLE: Final = {
    "desk-1": Role.DESK_NATIONAL,
    "desk-2": Role.DESK_NATIONAL,
    "boss": Role.SUPERVISOR,
    "booth-2": Role.BORDER_SECONDLINE,
    "protection": Role.PROTECTION_OFFICER,
    "child": Role.CHILD_PROTECTION,
}
WANTED = entry(originator=HND)


def seed(state: PeerId, who: str) -> bytes:
    """The person's own seed, which no gateway holds."""
    return hashlib.sha256(f"{state} {who}".encode()).digest()


def register(state: PeerId) -> Register:
    """Everybody enrolled."""
    lines: list[officers.Line] = []
    for who, role in PEOPLE.items():
        enrolled = Enrolled(
            OfficerId(who),
            AgencyId("AAA"),
            (role,),
            ed25519.public(seed(state, who)),
            NOW_NS - YEAR_NS,
            NOW_NS + YEAR_NS,
        )
        lines.append(officers.enrol(Register(lines), enrolled, NOW_NS - YEAR_NS, b"r" * 32))
    return Register(lines)


@dataclass
class Post:
    """`flows.casework.CasePeers` of one desk: bytes out, bytes in at the other desk, and what a test does between."""

    desk: Desk
    down: bool = False
    lost: int = 0
    """How many of the next replies are lost after the other side has done its part."""
    bend: Callable[[Any], Any] = lambda message: message
    bodies: list[bytes] = field(default_factory=list)

    async def open_case(self, peer: PeerId, message: OpenCase, *, timeout_s: float) -> None:
        message = self.bend(message)
        came, body = await self._out(peer, convert.OPEN_CASE, convert.encode_open(message), message.named)
        await deliver.receive_open(self.desk.state.code, convert.open_case(body), came, self.desk.other.world())
        self._back()

    async def deliver(self, peer: PeerId, message: Decision, *, timeout_s: float) -> None:
        message = self.bend(message)
        came, body = await self._out(peer, convert.DELIVER_DECISION, convert.encode_decision(message), message.named)
        await deliver.receive_decision(self.desk.state.code, convert.decision(body), came, self.desk.other.world())
        self._back()

    async def correct(self, peer: PeerId, message: Decision, *, timeout_s: float) -> None:
        message = self.bend(message)
        came, body = await self._out(
            peer, convert.CORRECT_DISCLOSURE, convert.encode_correction(message), message.named
        )
        await deliver.receive_correction(self.desk.state.code, convert.correction(body), came, self.desk.other.world())
        self._back()

    async def close_case(self, peer: PeerId, message: Closing, *, timeout_s: float) -> None:
        message = self.bend(message)
        came, body = await self._out(peer, convert.CLOSE_CASE, convert.encode_close(message), message.named)
        await deliver.receive_close(self.desk.state.code, convert.close(body), came, self.desk.other.world())
        self._back()

    async def _out(self, peer: PeerId, method: str, body: bytes, named: Named | None) -> tuple[Came, bytes]:
        """Signed, as it arrives."""
        if self.down:
            raise PeerUnreachable("no line")
        self.bodies.append(body)
        us = self.desk.state
        message = await us.keys.sign(us.sender.request(method, peer, us.world.clock.now_ns(), named), body)
        return Came(_hash(body), message.header, message.signature, named), body

    def _back(self) -> None:
        if self.lost:
            self.lost -= 1
            raise PeerUnreachable("the reply was lost")


def _hash(body: bytes) -> bytes:
    return hashlib.sha512(body).digest()


class Desk:
    """One state's people and their gateway."""

    other: Desk

    def __init__(self, state: State) -> None:
        self.state = state
        self.register = register(state.code)
        self.post = Post(self)
        self.witnessed = True

    def world(self) -> CaseWorld:
        state = self.state
        return CaseWorld(
            state=state.code,
            policy=state.policy,
            uow=state.uow,
            book=state.store,
            keys=state.keys,
            case_keys=state.keys,
            peers=self.post,
            clock=state.world.clock,
            register=lambda: self.register,
            case_key_of=lambda code: state.world[code].keys.case_key,
            read_check=checks.check_request,
            check_method=checks.CHECK,
            judge_witnesses=self._judge_witnesses,
        )

    def _judge_witnesses(self) -> None:
        if not self.witnessed:
            raise WitnessesSilent("nobody has seen the log")

    def officer(self, who: str) -> Officer:
        return Officer(OfficerId(who), AgencyId("AAA"), (PEOPLE[who],))

    def case(self, case_id: bytes) -> Case:
        body = self.state.store.case(case_id)
        assert body is not None
        return decode(body)

    def where(self, case_id: bytes) -> str:
        body = self.state.store.case(case_id)
        return "" if body is None else decode(body).state.value

    def sign(self, who: str, act: str, case: Case, **facts: Any) -> PersonalSignature:
        told = statement.case(
            case_id=case.case_id,
            state=self.state.code,
            peer=case.peer,
            purpose=case.purpose,
            legal_basis=case.legal_basis,
            **facts,
        )
        now = self.state.world.clock.now_ns()
        word = statement.CASE_ACTS[disclose.SIGNED_AS.get(act, act)]
        return statement.make(word, told, role=PEOPLE[who], signed_ns=now, seed=seed(self.state.code, who))

    def facts(self, act: str, case: Case, fields: Sequence[str], code: str) -> dict[str, Any]:
        """What `limen case` lets the person sign, out of what the screen shows."""
        if act == "request":
            return {"fields": fields, "code": code}
        if act in ("prepare", "approve", "correct"):
            named = fields if act == "prepare" else case.released
            if act == "correct":
                case = replace(case, recipient=self.other.state.keys.case_key)
            return {
                "fields": named,
                "withheld": [name for name in case.fields if name not in named],
                "recipient": disclose.recipient_of(case),
                "record_version": self.version(case),
            }
        return {"code": code, "record_version": self.version(case) if act == "refuse" else 0}

    def version(self, case: Case) -> int:
        body = self.state.store.entry(ListId(case.list_id), case.entry_id)
        return version_of(body) if body is not None else case.record_version

    async def do(
        self,
        who: str,
        act: str,
        case_id: bytes,
        *fields: str,
        code: str = "",
        to: str = "",
        by: str = "",
        version: int = 0,
    ) -> Case:
        """`who` is logged in and acts; `by` is who signed, where it is somebody else."""
        case = self.case(case_id)
        signed: tuple[PersonalSignature, ...] = ()
        if act in (*statement.CASE_ACTS, *disclose.SIGNED_AS):
            signed = (self.sign(by or who, act, case, **self.facts(act, case, fields, code)),)
        asked = disclose.Act(act, version or case.version, fields, code, to, Hidden(""), signed)
        return await disclose.act(case_id, asked, self.officer(who), self.world())

    async def send(self, case_id: bytes) -> None:
        await deliver.send(case_id, self.world())

    async def put(self, *changed: ListEntry) -> None:
        await self.state.enlist(*changed)


@dataclass
class Desks:
    """The asker's desk and the owner's."""

    asker: Desk
    owner: Desk

    @property
    def clock(self) -> Any:
        return self.asker.state.world.clock

    async def hit(self, *nationalities: str) -> bytes:
        """A hit, and the number of the case it begins."""
        state = self.asker.state
        tickets = Tickets(checks.encode_check_request, state.keys, lambda: state.keys.case_key)
        who = traveller(person("KASOULIDIS", "MEWES", "1980-03-05", *nationalities))
        answer = await check.ask(state.inquiry(who), state.officer(), state.asking(tickets=tickets))
        (hit,) = answer.hits
        return hit.case_id

    async def requested(self, *fields: str) -> bytes:
        """A hit that the asker's desk confirmed and asked about; the message waits."""
        number = await self.hit()
        await self.asker.do("desk-1", "confirm", number, code="M1")
        wanted = fields or ("names", "birth_date", "sex", "nationality", "document", "action", "contact")
        await self.asker.do("desk-1", "request", number, *wanted)
        return number

    async def opened(self, *fields: str) -> bytes:
        """The same, open at the owner's."""
        number = await self.requested(*fields)
        await self.asker.send(number)
        return number

    async def approved(self, *released: str, asked: Sequence[str] = ()) -> bytes:
        """A release by two persons that waits to be sent."""
        number = await self.opened(*asked)
        await self.owner.do("desk-1", "prepare", number, *(released or self.owner.case(number).fields))
        await self.owner.do("desk-2", "approve", number)
        assert self.owner.case(number).outbound is Outbound.DECISION
        return number


async def desks(listed: ListEntry = WANTED) -> Desks:
    """PAN, which asks, and HND, which lists."""
    world = await World.exchanging(PAN, HND, listed={HND: [listed]})
    pair = Desks(Desk(world[PAN]), Desk(world[HND]))
    pair.asker.other, pair.owner.other = pair.owner, pair.asker
    return pair


def tagged(listed: ListEntry, **changes: Any) -> ListEntry:
    """The entry with something changed."""
    return replace(listed, **changes)
