"""The doors to a state's own people: home systems and auditors. Certificates of the state's own anchor only."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from gateway.errors import CapabilityMissing
from gateway.federation.certificates import Identity
from gateway.federation.envelope import body_hash
from gateway.ports import Clock
from gateway.rpc import interceptors, tls
from gateway.rpc.convert import audit as audit_convert
from gateway.rpc.convert import home as convert
from gateway.rpc.convert import home_alerts as alerts_convert
from gateway.rpc.convert import home_cases as cases_convert
from gateway.rpc.convert import home_statistics as releases_convert
from gateway.rpc.doors import AlertDoor, AuditCall, AuditDoor, CaseDoor, HomeCall, HomeDoor, ListDoor, ReleaseDoor
from gateway.rpc.interceptors import Context
from gateway.rpc.limits import Limits
from gateway.rpc.server import Listener, Observe, Seen
from gateway.terms import Hidden, PeerId

HOME_ROLES: Final = frozenset({"workstation"})
AUDITOR_ROLES: Final = frozenset({"auditor"})

HOME_METHODS: Final[Mapping[str, int]] = {
    convert.GET_LOGIN_CHALLENGE: convert.SMALL_BYTES_MAX,
    convert.LOGIN: convert.SMALL_BYTES_MAX,
    convert.CHECK_TRAVELLERS: convert.CHECK_BYTES_MAX,
    convert.LOAD_LIST: convert.LOAD_BYTES_MAX,
    convert.GET_STATUS: convert.SMALL_BYTES_MAX,
    cases_convert.LIST_CASES: cases_convert.SMALL_BYTES_MAX,
    cases_convert.GET_CASE: cases_convert.SMALL_BYTES_MAX,
    cases_convert.ACT_ON_CASE: cases_convert.ACT_BYTES_MAX,
    alerts_convert.LIST_ALERTS: alerts_convert.SMALL_BYTES_MAX,
    alerts_convert.GET_ALERT: alerts_convert.SMALL_BYTES_MAX,
    alerts_convert.ACT_ON_ALERT: alerts_convert.ACT_BYTES_MAX,
    releases_convert.PLAN: releases_convert.ASK_BYTES_MAX,
    releases_convert.REQUEST: releases_convert.ASK_BYTES_MAX,
    releases_convert.GET: releases_convert.ASK_BYTES_MAX,
    releases_convert.LIST: releases_convert.SMALL_BYTES_MAX,
    releases_convert.BUDGET: releases_convert.SMALL_BYTES_MAX,
}
"""Every method of the contract for home systems, with the most bytes it takes."""

AUDIT_METHODS: Final[Mapping[str, int]] = {
    audit_convert.GET_CHECKPOINT: audit_convert.SMALL_BYTES_MAX,
    audit_convert.GET_ENTRIES: audit_convert.SMALL_BYTES_MAX,
    audit_convert.REVEAL_ENTRY: audit_convert.REVEAL_BYTES_MAX,
    audit_convert.GET_INCLUSION_PROOF: audit_convert.SMALL_BYTES_MAX,
    audit_convert.GET_CONSISTENCY_PROOF: audit_convert.SMALL_BYTES_MAX,
}
"""Every method of the contract for auditors, with the most bytes it takes."""


class _OwnListener(Listener):
    """A door for clients of this state's own anchor, in some of its roles."""

    def __init__(
        self,
        audience: str,
        roles: frozenset[str],
        methods: Mapping[str, int],
        *,
        state: PeerId,
        anchor_pem: bytes,
        leaf: tls.Leaf,
        clock: Clock,
        observe: Observe,
        limits: Limits,
        ready: Callable[[], bool],
        share_port: bool,
    ) -> None:
        self._state = state
        self._roles = roles
        super().__init__(
            audience,
            methods,
            credentials=tls.server_credentials(leaf, lambda: anchor_pem),
            clock=clock,
            limits=limits,
            observe=observe,
            ready=ready,
            share_port=share_port,
        )

    def _identify(self, context: Context, now_ns: int) -> Identity:
        return self._leaves.identity(context, now_ns, self._state, self._roles)

    def _name(self, caller: Identity) -> str:
        return f"{caller.role}/{caller.name}"

    @abstractmethod
    async def _serve(
        self, path: str, body: bytes, context: Context, caller: Identity, now_ns: int, deadline_ns: int, seen: Seen
    ) -> bytes: ...


class HomeServer(_OwnListener):
    """The door to booths, desks and agencies' systems."""

    size_step = 2048
    """An answer with a hit is longer than one without: log lines and metrics must not say which it was."""

    def __init__(
        self,
        *,
        state: PeerId,
        door: HomeDoor,
        anchor_pem: bytes,
        leaf: tls.Leaf,
        clock: Clock,
        observe: Observe,
        lists: ListDoor | None = None,
        cases: CaseDoor | None = None,
        releases: ReleaseDoor | None = None,
        alerts: AlertDoor | None = None,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        ready: Callable[[], bool] = lambda: True,
        share_port: bool = False,
    ) -> None:
        """`anchor_pem` is the state's own anchor: who it did not certify as a workstation gets no answer."""
        self._door = door
        self._lists = lists
        self._cases = cases
        self._releases = releases
        self._alerts = alerts
        self._flows: Mapping[str, Callable[[bytes, HomeCall, Seen], Awaitable[bytes]]] = {
            convert.GET_LOGIN_CHALLENGE: self._challenge,
            convert.LOGIN: self._login,
            convert.CHECK_TRAVELLERS: self._check,
            convert.LOAD_LIST: self._load,
            convert.GET_STATUS: self._status,
            cases_convert.LIST_CASES: self._list_cases,
            cases_convert.GET_CASE: self._get_case,
            cases_convert.ACT_ON_CASE: self._act_on_case,
            alerts_convert.LIST_ALERTS: self._list_alerts,
            alerts_convert.GET_ALERT: self._get_alert,
            alerts_convert.ACT_ON_ALERT: self._act_on_alert,
            releases_convert.PLAN: self._plan_release,
            releases_convert.REQUEST: self._request_release,
            releases_convert.GET: self._get_release,
            releases_convert.LIST: self._list_releases,
            releases_convert.BUDGET: self._get_budget,
        }
        super().__init__(
            "home",
            HOME_ROLES,
            HOME_METHODS,
            state=state,
            anchor_pem=anchor_pem,
            leaf=leaf,
            clock=clock,
            observe=observe,
            limits=limits,
            ready=ready,
            share_port=share_port,
        )

    async def _serve(
        self, path: str, body: bytes, context: Context, caller: Identity, now_ns: int, deadline_ns: int, seen: Seen
    ) -> bytes:
        token = interceptors.bearer(context)
        call = HomeCall(
            client=caller,
            now_ns=now_ns,
            deadline_ns=deadline_ns,
            token=Hidden(token) if token is not None else None,
        )
        return await self._flows[path](body, call, seen)

    async def _challenge(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        officer = convert.challenge_request(body)
        seen.served = True
        return convert.encode_challenge(*await self._door.challenge(officer, call))

    async def _login(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        officer, challenge, signature = convert.login(body)
        seen.served = True
        return convert.encode_token(*await self._door.login(officer, challenge, signature, call))

    async def _check(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        today = datetime.fromtimestamp(call.now_ns // 10**9, UTC).date()
        inquiry = convert.inquiry(body, body_hash(body), today)
        seen.served = True
        return convert.encode_answer(await self._door.check(inquiry, call))

    async def _load(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        if self._lists is None:
            raise CapabilityMissing("list files are not taken at this door")
        load = convert.load(body)
        seen.served = True
        return convert.encode_report(await self._lists.load(load, call))

    def _desk(self) -> CaseDoor:
        if self._cases is None:
            raise CapabilityMissing("cases are not served at this door")
        return self._cases

    async def _list_cases(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk, query = self._desk(), cases_convert.query(body)
        seen.served = True
        return cases_convert.encode_lines(*await desk.cases(query, call))

    async def _get_case(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk, case_id = self._desk(), cases_convert.which(body)
        seen.served = True
        return cases_convert.encode_view(await desk.case(case_id, call))

    async def _act_on_case(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk, act = self._desk(), cases_convert.act(body)
        seen.served = True
        return cases_convert.encode_line(await desk.act(act, call))

    def _supervisor(self) -> AlertDoor:
        if self._alerts is None:
            raise CapabilityMissing("alerts are not served at this door")
        return self._alerts

    async def _list_alerts(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk, closed = self._supervisor(), alerts_convert.query(body)
        seen.served = True
        return alerts_convert.encode_lines(*await desk.alerts(closed, call))

    async def _get_alert(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk, alert_id = self._supervisor(), alerts_convert.which(body)
        seen.served = True
        return alerts_convert.encode_alert(await desk.alert(alert_id, call))

    async def _act_on_alert(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk, (alert_id, doing) = self._supervisor(), alerts_convert.act(body)
        seen.served = True
        return alerts_convert.encode_done(await desk.act_on_alert(alert_id, doing, call))

    def _statistician(self) -> ReleaseDoor:
        if self._releases is None:
            raise CapabilityMissing("releases are not served at this door")
        return self._releases

    async def _plan_release(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk, question = self._statistician(), releases_convert.plan_ask(body)
        seen.served = True
        return releases_convert.encode_plan(await desk.plan(question, call))

    async def _request_release(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk, question = self._statistician(), releases_convert.request(body)
        seen.served = True
        return releases_convert.encode_standing(await desk.request(question, call))

    async def _get_release(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk, (question, reference, offset) = self._statistician(), releases_convert.piece_ask(body)
        seen.served = True
        return releases_convert.encode_piece(await desk.get(question, reference, call), offset)

    async def _list_releases(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk = self._statistician()
        releases_convert.list_ask(body)
        seen.served = True
        return releases_convert.encode_lines(await desk.releases(call))

    async def _get_budget(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        desk = self._statistician()
        releases_convert.budget_ask(body)
        seen.served = True
        return releases_convert.encode_budget(await desk.budget(call))

    async def _status(self, body: bytes, call: HomeCall, seen: Seen) -> bytes:
        convert.status_request(body)
        seen.served = True
        return convert.encode_status(await self._door.status(call))


class AuditServer(_OwnListener):
    """The door to auditors."""

    def __init__(
        self,
        *,
        state: PeerId,
        door: AuditDoor,
        anchor_pem: bytes,
        leaf: tls.Leaf,
        clock: Clock,
        observe: Observe,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        ready: Callable[[], bool] = lambda: True,
        share_port: bool = False,
    ) -> None:
        """`anchor_pem` is what auditors' certificates are judged by."""
        self._door = door
        self._flows: Mapping[str, Callable[[bytes, AuditCall, Seen], Awaitable[bytes]]] = {
            audit_convert.GET_CHECKPOINT: self._checkpoint,
            audit_convert.GET_ENTRIES: self._entries,
            audit_convert.REVEAL_ENTRY: self._reveal,
            audit_convert.GET_INCLUSION_PROOF: self._inclusion,
            audit_convert.GET_CONSISTENCY_PROOF: self._consistency,
        }
        super().__init__(
            "auditors",
            AUDITOR_ROLES,
            AUDIT_METHODS,
            state=state,
            anchor_pem=anchor_pem,
            leaf=leaf,
            clock=clock,
            observe=observe,
            limits=limits,
            ready=ready,
            share_port=share_port,
        )

    async def _serve(
        self, path: str, body: bytes, context: Context, caller: Identity, now_ns: int, deadline_ns: int, seen: Seen
    ) -> bytes:
        call = AuditCall(client=caller, now_ns=now_ns, deadline_ns=deadline_ns)
        return await self._flows[path](body, call, seen)

    async def _checkpoint(self, body: bytes, call: AuditCall, seen: Seen) -> bytes:
        audit_convert.checkpoint_request(body)
        seen.served = True
        return audit_convert.encode_checkpoint(await self._door.checkpoint(call))

    async def _entries(self, body: bytes, call: AuditCall, seen: Seen) -> bytes:
        reading = audit_convert.entries_request(body)
        seen.served = True
        return audit_convert.encode_entries(await self._door.entries(reading, call))

    async def _reveal(self, body: bytes, call: AuditCall, seen: Seen) -> bytes:
        seq, purpose, signatures = audit_convert.reveal_request(body)
        seen.served = True
        return audit_convert.encode_revealed(*await self._door.reveal(seq, purpose, signatures, call))

    async def _inclusion(self, body: bytes, call: AuditCall, seen: Seen) -> bytes:
        index, size = audit_convert.inclusion_request(body)
        seen.served = True
        return audit_convert.encode_inclusion(await self._door.inclusion(index, size, call))

    async def _consistency(self, body: bytes, call: AuditCall, seen: Seen) -> bytes:
        old_size, new_size = audit_convert.consistency_request(body)
        seen.served = True
        return audit_convert.encode_consistency(await self._door.consistency(old_size, new_size, call))


__all__ = ["AUDIT_METHODS", "HOME_METHODS", "AuditServer", "HomeServer"]
