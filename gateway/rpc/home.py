"""The facades of a state's own systems towards their own gateway: `HomeClient` for booths and the command line,
`AuditClient` for auditors. What the gateway refuses arrives as the catalogue's error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc

from gateway.alerts.alert import Alert, Doing
from gateway.errors import GatewayError, Malformed, NodeUnreachable
from gateway.federation.certificates import KeyPair
from gateway.federation.statement import PersonalSignature
from gateway.flows.auditing import Reading
from gateway.flows.check import CheckAnswer, Inquiry
from gateway.rpc import status, tls
from gateway.rpc.convert import audit as audit_convert
from gateway.rpc.convert import home as convert
from gateway.rpc.convert import home_alerts as alerts_convert
from gateway.rpc.convert import home_cases as cases_convert
from gateway.rpc.convert import home_statistics as releases_convert
from gateway.rpc.convert import statistics
from gateway.rpc.doors import (
    BudgetLine,
    CaseAct,
    CaseLine,
    CaseQuery,
    CaseView,
    ListFile,
    LoadReport,
    NodeStatus,
    ReleaseLine,
    ReleaseQuestion,
)
from gateway.terms.ids import OfficerId
from gateway.terms.release import ReleasePlan, ReleaseStanding

T = TypeVar("T")

TIMEOUT_S: Final = 10.0
CHECK_TIMEOUT_S: Final = 30.0
LOAD_TIMEOUT_S: Final = 60.0


class _Client:
    """One open channel to the own gateway. An async context manager."""

    def __init__(self, address: str, *, leaf: KeyPair, anchor_pem: bytes, reply_bytes_max: int) -> None:
        self._address = address
        self._channel = grpc.aio.secure_channel(
            address,
            tls.channel_credentials(leaf, anchor_pem),
            options=tls.channel_options(reply_bytes_max),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _ask(
        self, method: str, body: bytes, read: Callable[[bytes], T], timeout_s: float, token: str | None = None
    ) -> T:
        metadata = (("authorization", f"Bearer {token}"),) if token is not None else ()
        ask: Any = self._channel.unary_unary(method)
        try:
            reply: bytes = await ask(body, timeout=timeout_s, metadata=metadata)
        except grpc.aio.AioRpcError as ended:
            told = status.read(ended.code(), status.details_of(ended.trailing_metadata()))
            raise (told or self._failed(ended.code().name)) from None
        try:
            return read(reply)
        except Malformed as cause:
            raise self._failed(f"the answer cannot be read ({cause.field})") from None

    def _failed(self, why: str) -> GatewayError:
        return NodeUnreachable(f"the gateway at {self._address} did not answer ({why}); is it running?")


class HomeClient(_Client):
    """A home system of this state. Every failure of the connection is NodeUnreachable."""

    def __init__(self, address: str, *, leaf: KeyPair, anchor_pem: bytes) -> None:
        """`leaf` is the workstation's certificate and key, `anchor_pem` the state's own anchor."""
        super().__init__(address, leaf=leaf, anchor_pem=anchor_pem, reply_bytes_max=convert.ANSWER_BYTES_MAX)

    async def challenge(self, officer: OfficerId, *, timeout_s: float = TIMEOUT_S) -> tuple[bytes, int]:
        """(32 bytes to sign, when they end in UTC ns)."""
        return await self._ask(
            convert.GET_LOGIN_CHALLENGE, convert.encode_challenge_request(officer), convert.challenge, timeout_s
        )

    async def login(
        self, officer: OfficerId, challenge: bytes, signature: bytes, *, timeout_s: float = TIMEOUT_S
    ) -> tuple[str, int]:
        """(token, when it ends in UTC ns). `signature` is `federation.statement.sign_login`'s. Raises NotIdentified."""
        return await self._ask(
            convert.LOGIN, convert.encode_login(officer, challenge, signature), convert.token, timeout_s
        )

    async def check(self, inquiry: Inquiry, token: str, *, timeout_s: float = CHECK_TIMEOUT_S) -> CheckAnswer:
        """Ask about travellers. `inquiry.digest` is not used: the gateway makes it from the bytes.

        Raises:
            NotIdentified, PolicyDenied, InputRefused, RequestReused, AuditUnavailable: as the contract says.
        """
        return await self._ask(
            convert.CHECK_TRAVELLERS,
            convert.encode_inquiry(inquiry),
            lambda body: convert.answer(body, inquiry.request_id),
            timeout_s,
            token,
        )

    async def load(self, load: ListFile, token: str | None = None, *, timeout_s: float = LOAD_TIMEOUT_S) -> LoadReport:
        """Enter a file of entries into one of our own lists."""
        return await self._ask(convert.LOAD_LIST, convert.encode_load(load), convert.report, timeout_s, token)

    async def cases(
        self, query: CaseQuery, token: str, *, timeout_s: float = TIMEOUT_S
    ) -> tuple[Sequence[CaseLine], bool]:
        """The cases this officer may follow, and whether there are more than the answer holds."""
        return await self._ask(
            cases_convert.LIST_CASES, cases_convert.encode_query(query), cases_convert.lines, timeout_s, token
        )

    async def case(self, case_id: bytes, token: str, *, timeout_s: float = TIMEOUT_S) -> CaseView:
        """One case as far as this officer may see it. Raises NotFoundOrNotPermitted."""
        return await self._ask(
            cases_convert.GET_CASE, cases_convert.encode_which(case_id), cases_convert.view, timeout_s, token
        )

    async def act(self, act: CaseAct, token: str, *, timeout_s: float = CHECK_TIMEOUT_S) -> CaseLine:
        """Do one act and return the case after it.

        Raises:
            NotFoundOrNotPermitted, PolicyDenied, VerificationFailed, VersionMoved, AuditUnavailable: as the contract
                says.
        """
        return await self._ask(
            cases_convert.ACT_ON_CASE, cases_convert.encode_act(act), cases_convert.line, timeout_s, token
        )

    async def alerts(
        self, token: str, *, closed: bool = False, timeout_s: float = TIMEOUT_S
    ) -> tuple[Sequence[Alert], bool]:
        """The alerts this supervisor may follow, and whether there are more than the answer holds."""
        return await self._ask(
            alerts_convert.LIST_ALERTS, alerts_convert.encode_query(closed), alerts_convert.lines, timeout_s, token
        )

    async def alert(self, alert_id: bytes, token: str, *, timeout_s: float = TIMEOUT_S) -> Alert:
        """One alert. Raises NotFoundOrNotPermitted."""
        return await self._ask(
            alerts_convert.GET_ALERT, alerts_convert.encode_which(alert_id), alerts_convert.alert, timeout_s, token
        )

    async def act_on_alert(self, alert_id: bytes, doing: Doing, token: str, *, timeout_s: float = TIMEOUT_S) -> Alert:
        """Assign or close it. Raises NotFoundOrNotPermitted, PolicyDenied, InputRefused, VersionMoved."""
        return await self._ask(
            alerts_convert.ACT_ON_ALERT,
            alerts_convert.encode_act(alert_id, doing),
            alerts_convert.done,
            timeout_s,
            token,
        )

    async def plan_release(
        self, question: ReleaseQuestion, token: str, *, timeout_s: float = CHECK_TIMEOUT_S
    ) -> ReleasePlan:
        """What a release would cost. Raises as the contract says."""
        body = releases_convert.encode_plan_ask(question)
        return await self._ask(releases_convert.PLAN, body, releases_convert.plan, timeout_s, token)

    async def request_release(
        self, question: ReleaseQuestion, token: str, *, timeout_s: float = CHECK_TIMEOUT_S
    ) -> ReleaseStanding:
        """Ask for a release. Raises BudgetExhausted and others, as the contract says."""
        body = releases_convert.encode_request(question)
        return await self._ask(releases_convert.REQUEST, body, releases_convert.standing, timeout_s, token)

    async def get_release(
        self, question: ReleaseQuestion, reference: bytes, token: str, *, timeout_s: float = CHECK_TIMEOUT_S
    ) -> ReleaseStanding:
        """How a release stands, with the document where it is ready. Raises NotFoundOrNotPermitted and others."""
        pieces: list[statistics.Piece] = []
        while statistics.wants_more(pieces):
            offset = releases_convert.PIECE_BYTES * len(pieces)

            def read(body: bytes, offset: int = offset) -> statistics.Piece:
                return releases_convert.piece(body, offset)

            body = releases_convert.encode_piece_ask(question, reference, offset)
            pieces.append(await self._ask(releases_convert.GET, body, read, timeout_s, token))
        try:
            return statistics.joined(pieces)
        except Malformed as cause:
            raise self._failed(f"the answer cannot be read ({cause.field})") from None

    async def releases(self, token: str, *, timeout_s: float = TIMEOUT_S) -> Sequence[ReleaseLine]:
        """The releases asked for here or made here, newest first."""
        return await self._ask(releases_convert.LIST, b"", releases_convert.lines, timeout_s, token)

    async def budget(self, token: str, *, timeout_s: float = TIMEOUT_S) -> Sequence[BudgetLine]:
        """The accounts of our own data sets."""
        return await self._ask(releases_convert.BUDGET, b"", releases_convert.budget, timeout_s, token)

    async def status(self, *, timeout_s: float = TIMEOUT_S) -> NodeStatus:
        """How the node is."""
        return await self._ask(convert.GET_STATUS, b"", convert.status, timeout_s)


class AuditClient(_Client):
    """An auditor's system. Nothing here is believed: the auditor verifies it against the log's public keys."""

    def __init__(self, address: str, *, leaf: KeyPair, anchor_pem: bytes) -> None:
        """`leaf` is the auditor's certificate and key, `anchor_pem` what the gateway's is judged by."""
        super().__init__(address, leaf=leaf, anchor_pem=anchor_pem, reply_bytes_max=audit_convert.ENTRIES_BYTES_MAX)

    async def checkpoint(self, *, timeout_s: float = TIMEOUT_S) -> bytes:
        """The newest published checkpoint with its cosignatures. Raises NotFoundOrNotPermitted before the first."""
        return await self._ask(audit_convert.GET_CHECKPOINT, b"", audit_convert.checkpoint, timeout_s)

    async def entries(self, reading: Reading, *, timeout_s: float = LOAD_TIMEOUT_S) -> list[bytes]:
        """Leaves, at least one and at most as many as asked for. Raises PolicyDenied."""
        return await self._ask(
            audit_convert.GET_ENTRIES,
            audit_convert.encode_entries_request(reading),
            lambda body: audit_convert.entries(body, reading.count),
            timeout_s,
        )

    async def reveal(
        self, seq: int, purpose: str, signatures: Sequence[PersonalSignature], *, timeout_s: float = TIMEOUT_S
    ) -> tuple[bytes, bytes]:
        """(leaf, sealed payload) of an entry that two persons have signed for. Raises PolicyDenied."""
        return await self._ask(
            audit_convert.REVEAL_ENTRY,
            audit_convert.encode_reveal_request(seq, purpose, signatures),
            audit_convert.revealed,
            timeout_s,
        )

    async def inclusion(self, index: int, size: int, *, timeout_s: float = TIMEOUT_S) -> Sequence[bytes]:
        """An inclusion proof (RFC 6962 section 2.1.1)."""
        return await self._ask(
            audit_convert.GET_INCLUSION_PROOF,
            audit_convert.encode_inclusion_request(index, size),
            audit_convert.inclusion,
            timeout_s,
        )

    async def consistency(self, old_size: int, new_size: int, *, timeout_s: float = TIMEOUT_S) -> Sequence[bytes]:
        """A consistency proof (RFC 6962 section 2.1.2)."""
        return await self._ask(
            audit_convert.GET_CONSISTENCY_PROOF,
            audit_convert.encode_consistency_request(old_size, new_size),
            audit_convert.consistency,
            timeout_s,
        )
