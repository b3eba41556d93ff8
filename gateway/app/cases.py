"""What stands behind cases: the desk's door, the peers' door, and the worker that brings what waits across."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.app.home import Node, officer_of
from gateway.disclosure.case import Case, Outbound, decode
from gateway.errors import GatewayError, InputRefused, PeerUnreachable
from gateway.federation.officers import Register
from gateway.flows import deliver, disclose
from gateway.flows.casework import CasePeers, CaseWorld, Closing, Decision, Handles, OpenCase, held
from gateway.rpc.convert import peers as convert
from gateway.rpc.convert.home_cases import LINES_MAX
from gateway.rpc.doors import CallContext, CaseAct, CaseLine, CaseQuery, CaseStep, CaseView, HomeCall
from gateway.terms.ids import PeerId, case_number
from gateway.web.notices import Notice

LATER_S_MAX: Final = 60.0
"""The longest pause between two attempts to send one case's message."""

ARGUMENTS: Final = frozenset({"fields", "code", "to"})


@dataclass(slots=True)
class CaseDesk:
    """`rpc.doors.CaseDoor` and `rpc.doors.PeerCaseDoor` over the flows."""

    node: Node
    peers: CasePeers
    complain: Callable[[str], None] = lambda sentence: None
    _later: dict[bytes, tuple[float, float]] = field(default_factory=dict)
    """When a case's message is tried next (loop time), and the pause after that. Lost at a restart: tried then."""
    _handles: Handles = field(default_factory=Handles)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)

    def _world(self) -> CaseWorld:
        node = self.node
        return CaseWorld(
            state=node.settings.state,
            policy=node.engine,
            uow=node.uow,
            book=node.reader,
            keys=node.keys,
            case_keys=node.keys,
            peers=self.peers,
            clock=node.clock,
            register=self._register,
            case_key_of=self._case_key_of,
            read_check=convert.check_request,
            check_method=convert.CHECK,
            judge_witnesses=node.quorum.judge,
            timeout_s=node.settings.peers.case_timeout_ms / 1000,
            handles=self._handles,
        )

    def _register(self) -> Register:
        return self.node.register()

    def _case_key_of(self, state: PeerId) -> bytes:
        return self.node.view().member(state).member.case_key

    # -- The desk -----------------------------------------------------------------------------------------------------

    async def cases(self, query: CaseQuery, call: HomeCall) -> tuple[Sequence[CaseLine], bool]:
        """The inbox of this officer."""
        found = await disclose.inbox(
            officer_of(self.node, call),
            self._world(),
            mine=query.mine,
            due=query.due,
            states=query.states,
            most=LINES_MAX + 1,
        )
        return [line_of(case) for case in found[:LINES_MAX]], len(found) > LINES_MAX

    async def case(self, case_id: bytes, call: HomeCall) -> CaseView:
        """One case."""
        seen = await disclose.show(case_id, officer_of(self.node, call), self._world())
        case = seen.case
        return CaseView(
            line=line_of(case),
            legal_basis=case.legal_basis,
            fields=case.fields or disclose.fields_to_ask(case),
            released=case.released,
            withheld=seen.withheld,
            recipient=disclose.recipient_of(case),
            refusal=case.refusal,
            outcome=case.outcome,
            record_version=case.record_version,
            conditions=seen.conditions,
            subject_category=seen.marks.get("subject_category", ""),
            basis=seen.marks.get("basis", ""),
            reliability=seen.marks.get("reliability", ""),
            as_of=seen.marks.get("as_of", ""),
            disclosed=seen.disclosed,
            history=tuple(CaseStep(one.event.value, one.at_ns, one.officer) for one in case.history),
            acts=seen.acts,
            words=seen.words,
        )

    async def act(self, act: CaseAct, call: HomeCall) -> CaseLine:
        """Do it; what has to be sent is tried at once, in the background but for `deliver`."""
        unknown = act.arguments.keys() - ARGUMENTS
        if unknown:
            raise InputRefused("an act takes fields, code and to", field="arguments", code="ARGUMENT")
        asked = disclose.Act(
            name=act.act,
            version=act.version,
            fields=act.arguments.get("fields", ()),
            code=_one(act, "code"),
            to=_one(act, "to"),
            words=act.words,
            signatures=act.signatures,
        )
        after = await disclose.act(act.case_id, asked, officer_of(self.node, call), self._world())
        if act.act == "deliver":
            await deliver.send(act.case_id, self._world())
            after = held(act.case_id, self._world())
        elif after.outbound is not Outbound.NONE:
            self._later.pop(act.case_id, None)
            self._hurry.set()
        return line_of(after)

    # -- The other side -----------------------------------------------------------------------------------------------

    async def open_case(self, message: OpenCase, call: CallContext) -> int:
        """A peer asks for the facts behind a hit."""
        return await deliver.receive_open(call.peer, message, call.came, self._world())

    async def deliver(self, message: Decision, call: CallContext) -> int:
        """A peer's people decided."""
        return await deliver.receive_decision(call.peer, message, call.came, self._world())

    async def correct(self, message: Decision, call: CallContext) -> int:
        """A peer's people correct what they disclosed."""
        return await deliver.receive_correction(call.peer, message, call.came, self._world())

    async def close_case(self, message: Closing, call: CallContext) -> int:
        """A peer tells what came of a case."""
        return await deliver.receive_close(call.peer, message, call.came, self._world())

    # -- Timers -------------------------------------------------------------------------------------------------------

    async def run(self, every_s: float) -> None:
        """Until cancelled: end what is past its time, and send what waits, on the tick or when an act hurries it."""
        while True:
            self._hurry.clear()
            try:
                await disclose.expire(self._world())
                await self.send_waiting()
            except GatewayError as cause:
                # The log or the keys are away: everything waits in the records and is tried again.
                self.complain(f"cases: {cause}")
            try:
                await asyncio.wait_for(self._hurry.wait(), every_s)
            except TimeoutError:
                continue

    async def send_waiting(self) -> None:
        """One attempt for each case that waits and is not put off. What fails is put off a little longer each time."""
        loop = asyncio.get_running_loop()
        for body in self.node.reader.cases_to_send():
            case = decode(body)
            due_s, pause_s = self._later.get(case.case_id, (0.0, 1.0))
            if loop.time() < due_s:
                continue
            try:
                await deliver.send(case.case_id, self._world())
                self._later.pop(case.case_id, None)
            except GatewayError as cause:
                if not isinstance(cause, PeerUnreachable):
                    self.complain(f"cases: a message to {case.peer} was not sent: {cause}")
                self._later[case.case_id] = (loop.time() + pause_s, min(2 * pause_s, LATER_S_MAX))

    def waiting(self) -> list[Notice]:
        """The cases that wait for our own people, for notices: number and due time."""
        cases = (decode(body) for body in self.node.reader.cases(due=True))
        return [
            Notice(case_number(case.case_id), case.due_ns)
            for case in cases
            if case.due_ns and case.outbound is Outbound.NONE and disclose.waits_here(case)
        ]


def line_of(case: Case) -> CaseLine:
    """A case as it stands in a list."""
    return CaseLine(
        case_id=case.case_id,
        side=case.side.value,
        peer=case.peer,
        purpose=case.purpose,
        kind=case.kind,
        match=case.match,
        state=case.state.value,
        version=case.version,
        due_ns=case.due_ns,
        expires_ns=case.expires_ns,
        urgency=case.urgency,
        assigned=case.assigned,
        offered_to=case.offered_to,
        screening_required=case.screening_required and not case.screened,
    )


def _one(act: CaseAct, name: str) -> str:
    values = act.arguments.get(name, ())
    if len(values) > 1:
        raise InputRefused("takes one value", field=name, code="ARGUMENT")
    return values[0] if values else ""
