"""What stands behind private statistics: the statistician's door and the peers' door. The job process makes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from gateway.app.home import Node, officer_of
from gateway.app.watch import again_if_moved
from gateway.errors import CapabilityMissing, Malformed, NotFoundOrNotPermitted, NotIdentified, VerificationFailed
from gateway.federation import envelope
from gateway.flows import ask_release, release
from gateway.flows.ask_release import AskingReleaseWorld, ReleasePeers
from gateway.flows.check import Officer
from gateway.flows.release import ReleaseWorld
from gateway.policy import catalogue
from gateway.rpc.convert.home_statistics import ACCOUNTS_MAX
from gateway.rpc.convert.peers import Sender
from gateway.rpc.doors import BudgetLine, CallContext, HomeCall, ReleaseLine, ReleaseQuestion
from gateway.statistics import dataset
from gateway.statistics.budget import AccountKey
from gateway.statistics.catalogue import unit_of
from gateway.statistics.dataset import Declaration
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import PeerId, Purpose
from gateway.terms.release import ReleaseAsk, ReleasePlan, ReleaseStanding, ReleaseState
from gateway.terms.words import Role


@dataclass(frozen=True, slots=True)
class ReleaseDesk:
    """`rpc.doors.ReleaseDoor` and `rpc.doors.PeerReleaseDoor` over the flows.

    `can_count` says whether this installation has the extra that makes releases, `catch_up` puts the newest rules in
    force.
    """

    node: Node
    peers: ReleasePeers
    sender: Sender
    can_count: bool
    tick_ns: int
    catch_up: Callable[[], Awaitable[object]]

    def _world(self) -> ReleaseWorld:
        node = self.node
        return ReleaseWorld(
            state=node.settings.state,
            policy=node.engine,
            uow=node.uow,
            book=node.reader,
            keys=node.keys,
            clock=node.clock,
            chance=node.chance,
            compute=node.compute,
            sign_release=self.sender.release,
            can_count=self.can_count,
            tick_ns=self.tick_ns,
            judge_witnesses=node.quorum.judge,
        )

    def _asking(self) -> AskingReleaseWorld:
        node = self.node
        return AskingReleaseWorld(
            state=node.settings.state,
            policy=node.engine,
            uow=node.uow,
            peers=self.peers,
            clock=node.clock,
            compute=node.compute,
            verify=self._verify,
            timeout_s=node.settings.peers.case_timeout_ms / 1000,
        )

    def _verify(self, owner: PeerId, message: SignedMessage) -> None:
        """A release stands under the key that was in force when it was made."""
        try:
            made_ns = envelope.decode(message.header).time_ns
            keys = self.node.view().member(owner).member.message_keys
            envelope.verify(
                message,
                method=envelope.RELEASE,
                sender=owner,
                receiver=self.node.settings.state,
                keys=[key.public for key in keys if key.not_before_ns <= made_ns <= key.not_after_ns],
                now_ns=None,
            )
        except (Malformed, CapabilityMissing, NotIdentified):
            raise VerificationFailed("release", "is not signed as a release") from None

    # -- The statistician ---------------------------------------------------------------------------------------------

    async def plan(self, question: ReleaseQuestion, call: HomeCall) -> ReleasePlan:
        """What it would cost, here or at its owner's."""

        async def doing() -> ReleasePlan:
            officer = officer_of(self.node, call)
            ask = _ask(question, officer)
            if self._is_ours(question):
                return await release.plan_for(ask, question.owner, self._world(), officer=officer)
            return await ask_release.plan(question.owner, ask, officer, self._asking())

        return await again_if_moved(doing, self.catch_up)

    async def request(self, question: ReleaseQuestion, call: HomeCall) -> ReleaseStanding:
        """Have it made, here or at its owner's."""

        async def doing() -> ReleaseStanding:
            officer = officer_of(self.node, call)
            ask = _ask(question, officer)
            if self._is_ours(question):
                return await release.request(ask, question.owner, self._world(), officer=officer)
            return await ask_release.request(question.owner, ask, officer, self._asking())

        return await again_if_moved(doing, self.catch_up)

    async def get(self, question: ReleaseQuestion, reference: bytes, call: HomeCall) -> ReleaseStanding:
        """How it stands, with the document where it is ready. The reference stands for what was asked."""

        async def doing() -> ReleaseStanding:
            officer = officer_of(self.node, call)
            reader = self.node.reader
            ours = self._is_ours(question)
            query = reader.release_query(reference) if ours else reader.release_asked(question.owner, reference)
            if query is None:
                raise NotFoundOrNotPermitted("no release of this reference was asked for here")
            ask = _ask(replace(question, query=query), officer)
            if ours:
                return await release.get(ask, question.owner, self._world(), officer=officer)
            return await ask_release.get(question.owner, ask, officer, self._asking())

        return await again_if_moved(doing, self.catch_up)

    async def releases(self, call: HomeCall) -> Sequence[ReleaseLine]:
        """Those made here, for each that asked, and those asked of others; newest first."""
        await release.read("list", officer_of(self.node, call), self._world())
        reader, us, now_ns = self.node.reader, self.node.settings.state, self.node.clock.now_ns()
        rows = {(row.reference, row.snapshot): row for row in reader.releases(whole=False)}
        lines: dict[tuple[str, str, bytes], ReleaseLine] = {}
        for asked in reader.release_requests():
            row = rows[asked.reference, asked.snapshot]
            state = release.state_of(row, now_ns)
            lines[us, asked.recipient, asked.reference] = ReleaseLine(
                us, asked.recipient, asked.reference, row.query, state, asked.at_ns
            )
        held = {(copy.owner, copy.reference, copy.snapshot) for copy in reader.release_copies(whole=False)}
        for put in reader.releases_asked():
            is_here = (put.owner, put.reference, put.snapshot) in held
            state = ReleaseState.READY if is_here else ReleaseState.WAITING
            lines[put.owner, us, put.reference] = ReleaseLine(put.owner, us, put.reference, put.query, state, put.at_ns)
        return sorted(lines.values(), key=lambda line: (-line.asked_ns, line.owner, line.recipient, line.reference))

    async def budget(self, call: HomeCall) -> Sequence[BudgetLine]:
        """The accounts that were charged, and those that may be."""
        await release.read("budget", officer_of(self.node, call), self._world())
        reader = self.node.reader
        charged = {one.account.key: one for one in reader.release_accounts()}
        lines: list[BudgetLine] = []
        for held in reader.datasets():
            declared = dataset.decode(held.declaration)
            for key, cap in _accounts(declared, by_person=held.by_person):
                one = charged.pop(key, None)
                spent = one.account.spent if one is not None else 0
                caused = one.shares if one is not None else {}
                shares = tuple(
                    (peer, declared.shares.get(peer, 0), caused.get(peer, 0))
                    for peer in sorted({*declared.shares, *caused})
                )
                lines.append(BudgetLine(key.dataset, key.unit, key.period, max(cap, spent), spent, shares))
        # What was charged under a declaration that is no longer in force stays charged.
        lines += [
            BudgetLine(key.dataset, key.unit, key.period, one.account.cap, one.account.spent,
                       tuple((peer, 0, spent) for peer, spent in sorted(one.shares.items())))
            for key, one in charged.items()
        ]  # fmt: skip
        return sorted(lines, key=lambda line: (line.dataset, line.unit, line.period))[:ACCOUNTS_MAX]

    def _is_ours(self, question: ReleaseQuestion) -> bool:
        return question.owner == self.node.settings.state

    # -- The other side -----------------------------------------------------------------------------------------------

    async def plan_release(self, ask: ReleaseAsk, call: CallContext) -> ReleasePlan:
        """A peer asks what it would cost."""
        return await again_if_moved(
            lambda: release.plan_for(ask, call.peer, self._world(), came=call.came), self.catch_up
        )

    async def request_release(self, ask: ReleaseAsk, call: CallContext) -> ReleaseStanding:
        """A peer asks for a release."""
        return await again_if_moved(
            lambda: release.request(ask, call.peer, self._world(), came=call.came), self.catch_up
        )

    async def get_release(self, ask: ReleaseAsk, call: CallContext) -> ReleaseStanding:
        """A peer fetches one."""
        return await again_if_moved(lambda: release.get(ask, call.peer, self._world(), came=call.came), self.catch_up)


def _ask(question: ReleaseQuestion, officer: Officer) -> ReleaseAsk:
    """The question in the officer's name: in that of their roles which the purpose knows, if there is one."""
    known = catalogue.roles_of(question.purpose)
    role = next((role for role in officer.roles if role in known), (*officer.roles, Role.OPERATOR)[0])
    return ReleaseAsk(
        request_id=question.request_id,
        query=question.query,
        purpose=Purpose(question.purpose),
        legal_basis=question.legal_basis,
        agency=officer.agency,
        role=role,
    )


def _accounts(declared: Declaration, *, by_person: bool) -> list[tuple[AccountKey, int]]:
    """Every account that a declaration opens, with its cap."""
    months = declared.dimensions[0].values
    years = [year for year in sorted({month[:4] for month in months}) if sum(m.startswith(year) for m in months) == 12]
    return [
        (AccountKey(declared.name, unit_of(period, by_person=by_person), period), declared.caps[length])
        for length, periods in (("month", months), ("year", years))
        if length in declared.caps
        for period in periods
    ]
