"""An officer logs in: a challenge, the person's own signature over it, a token of ten minutes.

The gateway holds no officer's key and no token key. The walk is docs/flows/login.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import GatewayError, NotIdentified, TooMany
from gateway.federation import claims, statement
from gateway.federation.officers import Enrolled, Register
from gateway.terms.ids import OfficerId, PeerId

CHALLENGE_BYTES = 32
CHALLENGE_NS = 60 * 10**9
CHALLENGES_MAX = 10_000
"""Challenges outstanding in one process: many more than a state has booths."""


@dataclass(slots=True)
class Challenges:
    """Challenges given out and not yet answered, in the memory of one process; a client answers over the connection
    that it asked over, which stays with that process."""

    _ends: dict[tuple[bytes, OfficerId, bytes], int] = field(default_factory=dict)

    def give(self, challenge: bytes, officer: OfficerId, certificate: bytes, now_ns: int) -> int:
        """Remember one; returns when it ends. Raises TooMany when nothing has ended and there is no room."""
        if len(self._ends) >= CHALLENGES_MAX:
            self._ends = {place: ends for place, ends in self._ends.items() if ends > now_ns}
            if len(self._ends) >= CHALLENGES_MAX:
                raise TooMany("login challenges outstanding")
        ends = now_ns + CHALLENGE_NS
        self._ends[challenge, officer, certificate] = ends
        return ends

    def take(self, challenge: bytes, officer: OfficerId, certificate: bytes, now_ns: int) -> bool:
        """Use one up. False where it was not given to this officer over this certificate, was used, or has ended."""
        return self._ends.pop((challenge, officer, certificate), 0) > now_ns


@dataclass(frozen=True, slots=True)
class LoginWorld:
    """The surroundings of a login. `logged` is the last act about an officer that the log holds: a person whose
    enrolment is not in the log cannot log in."""

    state: PeerId
    register: Callable[[], Register]
    logged: Callable[[OfficerId], bytes | None]
    challenges: Challenges
    keys: ports.Keys
    uow: ports.UnitOfWork
    clock: ports.Clock
    chance: ports.Chance


def challenge(officer: OfficerId, certificate: bytes, world: LoginWorld) -> tuple[bytes, int]:
    """A challenge and when it ends. Anyone with a client certificate gets one: this door does not say who is enrolled.

    Raises:
        TooMany: no room for another.
    """
    drawn = world.chance.token(CHALLENGE_BYTES)
    return drawn, world.challenges.give(drawn, officer, certificate, world.clock.now_ns())


async def login(
    officer: OfficerId, answered: bytes, signature: bytes, certificate: bytes, world: LoginWorld
) -> tuple[str, int]:
    """A token bound to the client certificate, and when it ends. Both outcomes are in the log before they are told.

    Raises:
        NotIdentified: unknown or retired officer, wrong or used challenge, wrong signature: one face for all.
        KeysUnavailable, AuditUnavailable: no token was given.
    """
    now = world.clock.now_ns()
    try:
        # The challenge is used up whatever comes of it.
        if not world.challenges.take(answered, officer, certificate, now):
            raise NotIdentified("the challenge was not given here, was used, or has ended")
        register = world.register()
        person = statement.verify_login(
            signature,
            state=world.state,
            officer=officer,
            challenge=answered,
            certificate=certificate,
            register=register,
            now_ns=now,
        )
        act = register.last_line(officer)
        if act is None or world.logged(officer) != act.raw:
            raise NotIdentified("the enrolment is not in the log")
    except GatewayError as refusal:
        await world.uow.commit([_entry(officer, None, {"granted": False, "reason": refusal.row.reason})])
        raise NotIdentified(f"login: {refusal}") from None

    made = claims.claims(
        state=world.state,
        officer=officer,
        agency=person.agency,
        roles=person.roles,
        now_ns=now,
        certificate=certificate,
        token_id=world.chance.token(claims.TOKEN_ID_BYTES),
        # A token does not outlive the person's validity.
        life_s=min(claims.LIFE_S_MAX, max(1, (person.valid_until_ns - now) // 10**9)),
    )
    token = await world.keys.sign_token(made)
    expires_ns = made["exp"] * 10**9
    told = {"granted": True, "token_hash": sha256(token.encode("ascii")).digest(), "expires_ns": expires_ns}
    await world.uow.commit([_entry(officer, person, told)])
    return token, expires_ns


def _entry(officer: OfficerId, person: Enrolled | None, public: dict[str, str | int | bool | bytes]) -> Entry:
    agency = str(person.agency) if person is not None else ""
    return Entry(
        "officer.login",
        Phase.EVENT,
        public={"agency": agency, **public},
        secret={"officer": str(officer)},
        retention="1y",
    )
