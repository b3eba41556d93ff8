"""The rules in an OPA server beside the gateway: the same two signed bundles, the same combination, no fallback.

The gateway verifies the bundles itself, as it does for the embedded engine, and remembers their revisions, which carry
a digest of the content (`opa.bundle`). The server must say with every answer that it holds exactly those. It is asked
every golden decision before its bundles count.

A server that is slow, gone, older, newer or confused is a no for every question (`policy_unavailable`), and never a
reason to decide elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from gateway.errors import PolicyUnavailable
from gateway.opa import golden
from gateway.opa.bundle import Bundle
from gateway.opa.content import PACKAGE_OF
from gateway.opa.engine import BROKEN, Explanation, explained, in_order
from gateway.opa.server import OpaServer
from gateway.policy import decision, reasons
from gateway.policy.decision import Deny, Permit, Versions
from gateway.policy.question import Question, document
from gateway.ports import PolicyVersions

T = TypeVar("T")

LAYERS: Final = ("baseline", "national")
"""The names that the server's configuration gives the bundles (`limen policy opa-config`)."""


class OpaEngine:
    """`ports.PolicyEngine` over an OPA server. `deadline_s` is for a whole decision, reasons included."""

    def __init__(self, server: OpaServer, deadline_s: float) -> None:
        self._server = server
        self._deadline_s = deadline_s
        self._revisions: dict[str, str] = {}
        self._versions: Versions | None = None
        self.faults = 0
        """Decisions that the server did not give in time or in form: an alarm when it rises."""

    async def prepare(
        self, baseline: Bundle, national: Bundle, *, now_ns: int, pinned_baseline: bytes = b""
    ) -> Callable[[], None]:
        """Prove that the server holds these two bundles and decides as they say; returns what puts them in force.

        Raises:
            VerificationFailed: a bundle is not what it must be, or a golden decision comes out otherwise.
            PolicyUnavailable: the server is not ready, or holds other bundles.
        """
        in_order(baseline, national, now_ns, pinned_baseline)
        revisions = {"baseline": baseline.revision, "national": national.revision}
        await self._in_time(self._server.health())
        for bundle in (baseline, national):
            for case in bundle.golden:
                answer, codes = await self._in_time(self._ask_case(bundle.layer, case, revisions))
                golden.judge(bundle.layer, case, answer, codes)
        versions = Versions(baseline.digest, national.digest, baseline.not_after_ns, national.not_after_ns)

        def enforce() -> None:
            self._revisions, self._versions = revisions, versions

        return enforce

    async def decide(self, question: Question) -> Permit | Deny:
        """See `ports.PolicyEngine`."""
        versions, revisions = self._versions, self._revisions
        if versions is None:
            return Deny(("policy_unavailable",))
        try:
            return await self._in_time(self._decide(question, versions, revisions))
        except PolicyUnavailable:
            self.faults += 1
            return Deny(("policy_unavailable",), versions.baseline, versions.national)

    async def explain(self, question: Question) -> Explanation:
        """The decision after the floors, with each layer's own reasons: where a no comes from.

        Raises:
            PolicyUnavailable: the server did not say, in time or in form.
        """
        versions, revisions, body = self._versions, self._revisions, _body(document(question))
        if versions is None:
            raise PolicyUnavailable("no policy is loaded")
        decided = await self._in_time(self._decide(question, versions, revisions))
        said: list[tuple[str, ...]] = []
        for layer in LAYERS:
            answer = await self._in_time(self._rule(layer, "decision", body, revisions))
            if isinstance(answer, Mapping) and answer.get("allow") is True:
                said.append(())
            else:
                said.append(reasons.known(await self._in_time(self._reasons(layer, body, revisions))) or ("denied",))
        baseline, national = said
        return explained(question, decided, baseline, national)

    def versions(self) -> PolicyVersions:
        """See `ports.PolicyEngine`."""
        if self._versions is None:
            raise PolicyUnavailable("no policy is loaded")
        return PolicyVersions(self._versions.baseline, self._versions.national)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _decide(self, question: Question, versions: Versions, revisions: Mapping[str, str]) -> Permit | Deny:
        body = _body(document(question))
        baseline, national = [await self._rule(layer, "decision", body, revisions) for layer in LAYERS]
        decided = decision.combine(baseline, national, question, versions)
        if isinstance(decided, Permit) or decided.reasons:
            return decided
        given = frozenset[str]().union(*[await self._reasons(layer, body, revisions) for layer in LAYERS])
        return Deny(reasons.known(given) or ("denied",), decided.baseline, decided.national)

    async def _ask_case(
        self, layer: str, case: Mapping[str, Any], revisions: Mapping[str, str]
    ) -> tuple[object, frozenset[str]]:
        body = _body(case.get("question"))
        answer = await self._rule(layer, "decision", body, revisions)
        return answer, await self._reasons(layer, body, revisions) if answer == decision.NO else frozenset()

    async def _reasons(self, layer: str, body: bytes, revisions: Mapping[str, str]) -> frozenset[str]:
        found = await self._rule(layer, "reasons", body, revisions)
        return frozenset(str(code) for code in found) if isinstance(found, list) else frozenset()

    async def _rule(self, layer: str, rule: str, body: bytes, revisions: Mapping[str, str]) -> object:
        """A rule's value, BROKEN where it is undefined."""
        answer = await self._server.rule(PACKAGE_OF[layer], rule, body)
        # The whole set is compared: another bundle beside ours could define anything that ours call.
        if answer.revisions != revisions:
            raise PolicyUnavailable("the OPA server holds other bundles than this node")
        return answer.value if answer.defined else BROKEN

    async def _in_time(self, asked: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asked
        except TimeoutError:
            raise PolicyUnavailable("the OPA server did not answer in time") from None


def _body(asked: object) -> bytes:
    return json.dumps({"input": asked}).encode("utf-8")
