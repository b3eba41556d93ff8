"""What stands behind the listeners for a state's own people: officers' systems and auditors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway import __version__, ports
from gateway.app.quorum import Quorum
from gateway.app.watch import Watched, again_if_moved
from gateway.audit import checkpoint, note
from gateway.config import Config
from gateway.errors import NotFoundOrNotPermitted, NotIdentified, PolicyUnavailable
from gateway.federation import document, token
from gateway.federation.members import FederationView
from gateway.federation.officers import Register
from gateway.federation.statement import PersonalSignature
from gateway.flows import auditing, check, login, nightly
from gateway.flows.auditing import AuditWorld, Reading
from gateway.flows.check import AskingWorld, CheckAnswer, Inquiry, Officer, Tickets
from gateway.flows.login import Challenges, LoginWorld
from gateway.flows.subjects import Subjects
from gateway.rpc.convert import peers as convert
from gateway.rpc.doors import AuditCall, HomeCall, NodeStatus, PeerState
from gateway.store.reader import Reader
from gateway.terms.ids import OfficerId, PeerId


class NodeKeys(ports.Keys, ports.CaseKeys, Protocol):
    """The key process, with what it does for cases."""


class Node(Protocol):
    """What the desks use of the gateway process (`gateway.app.node`)."""

    @property
    def settings(self) -> Config: ...

    def compared(self, peer: PeerId) -> nightly.Compared | None: ...

    @property
    def clock(self) -> ports.Clock: ...

    @property
    def reader(self) -> Reader: ...

    @property
    def chance(self) -> ports.Chance: ...

    @property
    def compute(self) -> ports.Compute: ...

    @property
    def copies(self) -> ports.Tables: ...

    @property
    def deltas(self) -> ports.DeltaCopies: ...

    @property
    def engine(self) -> ports.PolicyEngine: ...

    @property
    def stale(self) -> set[PeerId]: ...

    @property
    def token_key(self) -> bytes: ...

    @property
    def keys(self) -> NodeKeys: ...

    @property
    def uow(self) -> ports.UnitOfWork: ...

    @property
    def peers(self) -> ports.Peers: ...

    @property
    def view(self) -> Watched[FederationView]: ...

    @property
    def quorum(self) -> Quorum: ...

    @property
    def subjects(self) -> Subjects: ...

    @property
    def policy(self) -> Watched[Any]: ...

    @property
    def register(self) -> Watched[Register]: ...

    def others(self) -> list[PeerId]: ...

    def suspended(self) -> list[PeerId]: ...

    def watch(self, unit: str) -> Callable[[Inquiry, Officer, int, int], None]: ...

    def is_ready(self) -> bool: ...


def officer_of(node: Node, call: HomeCall) -> Officer:
    """The token's officer, who must still be in force in the register at this moment.

    Raises:
        NotIdentified: no token, not ours, expired, or the person was retired meanwhile.
    """
    if call.token is None:
        raise NotIdentified("this needs a token; `limen officer login` gets one")
    read = token.verify(
        call.token.open(),
        keys={document.key_id(node.token_key): node.token_key},
        state=node.settings.state,
        now_ns=call.now_ns,
        certificate=call.certificate,
    )
    person = node.register().officer(read.officer, call.now_ns)
    return Officer(read.officer, read.agency, tuple(role for role in read.roles if role in person.roles))


@dataclass(frozen=True, slots=True)
class HomeDesk:
    """`rpc.doors.HomeDoor` over the flows."""

    node: Node
    challenges: Challenges

    def _login_world(self) -> LoginWorld:
        node = self.node
        return LoginWorld(
            state=node.settings.state,
            register=node.register,
            logged=self._logged,
            challenges=self.challenges,
            keys=node.keys,
            uow=node.uow,
            clock=node.clock,
            chance=node.chance,
        )

    def _logged(self, officer: OfficerId) -> bytes | None:
        row = self.node.reader.officer(officer)
        return None if row is None else row.body

    async def challenge(self, officer: OfficerId, call: HomeCall) -> tuple[bytes, int]:
        """A challenge, for unknown officers too."""
        return login.challenge(officer, call.certificate, self._login_world())

    async def login(self, officer: OfficerId, challenge: bytes, signature: bytes, call: HomeCall) -> tuple[str, int]:
        """A token bound to this client. The register may have grown a moment ago: it is read again first."""
        await self.node.register.refresh()
        return await login.login(officer, challenge, signature, call.certificate, self._login_world())

    async def check(self, inquiry: Inquiry, call: HomeCall) -> CheckAnswer:
        """Who asks, then the flow."""
        return await again_if_moved(
            lambda: check.ask(inquiry, officer_of(self.node, call), self._asking_world(call)), self.node.policy.refresh
        )

    def _asking_world(self, call: HomeCall) -> AskingWorld:
        node = self.node
        settings = node.settings
        return AskingWorld(
            state=settings.state,
            owners=node.others(),
            policy=node.engine,
            uow=node.uow,
            peers=node.peers,
            copies=node.copies,
            deltas=node.deltas,
            home=node.reader,
            compute=node.compute,
            clock=node.clock,
            chance=node.chance,
            timeout_s=settings.peers.check_timeout_ms / 1000,
            tick_ns=settings.ticks.answer_tick_ms * 1_000_000,
            checks_per_day=settings.quotas.officer_checks_per_day,
            travellers_per_day=settings.quotas.officer_travellers_per_day,
            suspended=node.suspended(),
            register=node.register,
            subjects=node.subjects,
            watch=node.watch(call.client.name),
            stale=node.stale.add,
            tickets=Tickets(
                convert.encode_check_request,
                node.keys,
                lambda: node.view().member(settings.state).member.case_key,
            ),
        )

    async def status(self, call: HomeCall) -> NodeStatus:
        """How the node is."""
        node = self.node
        held = node.reader.last_checkpoint()
        size = checkpoint.parse(note.parse(held[0]).text).size if held is not None else 0
        try:
            versions = node.engine.versions()
        except PolicyUnavailable:
            versions = None
        tables: dict[str, dict[str, int]] = {}
        for signed in node.copies.all():
            scope = signed.manifest.scope
            tables.setdefault(scope.owner, {})[f"{scope.list_id.value}/{scope.group}"] = signed.manifest.version
        compared = {peer: node.compared(peer) for peer in node.others()}
        return NodeStatus(
            state=node.settings.state,
            release=__version__,
            ready=node.is_ready(),
            time_ns=call.now_ns,
            policy=versions,
            log_size=size,
            quorum=node.quorum.needed,
            witnessed_ns=node.quorum.reached()[1] if node.quorum.needed else 0,
            disclosing=not node.quorum.is_silent(),
            peers=tuple(
                PeerState(
                    member.state,
                    not node.reader.is_suspended(member.state),
                    tables.get(member.state, {}),
                    *((last.time_ns, last.outcome) if (last := compared.get(member.state)) is not None else (0, "")),
                )
                for member in node.view().document.members
                if member.state != node.settings.state
            ),
        )


@dataclass(frozen=True, slots=True)
class AuditDesk:
    """`rpc.doors.AuditDoor`: the published log, each reading of it an entry."""

    node: Node

    def _world(self) -> AuditWorld:
        node = self.node
        return AuditWorld(node.settings.state, node.uow, node.reader, node.clock, node.register)

    async def checkpoint(self, call: AuditCall) -> bytes:
        """The newest published checkpoint with its cosignatures."""
        held = self.node.reader.last_checkpoint()
        if held is None:
            raise NotFoundOrNotPermitted("no checkpoint was published yet")
        return held[0]

    async def entries(self, reading: Reading, call: AuditCall) -> Sequence[bytes]:
        """Leaves. Logged before they are read."""
        return await auditing.read(reading, call.client.name or "auditor", self._world())

    async def reveal(
        self, seq: int, purpose: str, signatures: Sequence[PersonalSignature], call: AuditCall
    ) -> tuple[bytes, bytes]:
        """What is sealed of one entry. The register may have grown a moment ago: it is read again first."""
        await self.node.register.refresh()
        return await auditing.reveal(seq, purpose, signatures, call.client.name or "auditor", self._world())

    async def inclusion(self, index: int, size: int, call: AuditCall) -> Sequence[bytes]:
        """RFC 6962 section 2.1.1."""
        if not 0 <= index < size <= auditing.size_of(self.node.reader):
            raise NotFoundOrNotPermitted("no such entry is published")
        return self.node.reader.inclusion(index, size)

    async def consistency(self, old_size: int, new_size: int, call: AuditCall) -> Sequence[bytes]:
        """RFC 6962 section 2.1.2."""
        if not 0 < old_size <= new_size <= auditing.size_of(self.node.reader):
            raise NotFoundOrNotPermitted("no such sizes are published")
        return self.node.reader.consistency(old_size, new_size)
