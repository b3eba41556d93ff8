"""The rules in this process: two bundles, two embedded engines, one answer (decision 3).

Decisions run inline in the event loop that loaded the engine: one costs less than a tenth of a millisecond, a hop to an
owner thread costs 20 us more and waits for the interpreter's lock behind whatever the loop runs (rego.md 1.3). The
engines belong to that thread; a call from another one is a no.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.errors import PolicyUnavailable, VerificationFailed
from gateway.opa import golden
from gateway.opa.bundle import Bundle
from gateway.opa.content import PACKAGE_OF
from gateway.opa.rego import Rego, is_engine_fault
from gateway.policy import decision, floors, reasons
from gateway.policy.decision import Deny, Permit, Versions
from gateway.policy.question import Question, document
from gateway.ports import PolicyVersions


class _Broken:
    """What a layer answers when its engine failed: a value that is no form of yes."""


BROKEN: Final = _Broken()


class _Layer:
    """One bundle in one engine."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.faults = 0
        self._decision = f"data.{PACKAGE_OF[bundle.layer]}.decision"
        self._reasons = f"data.{PACKAGE_OF[bundle.layer]}.reasons"
        self._rego: Rego | None = None

    def answer(self, asked: str) -> object:
        """The layer's raw answer to a question's JSON, BROKEN after any fault."""
        return self._rule(self._decision, asked)

    def reasons(self, asked: str) -> frozenset[str]:
        """Why the layer says no; what is no text is left to be read as `denied`."""
        found = self._rule(self._reasons, asked)
        return frozenset(str(code) for code in found) if isinstance(found, set | frozenset | list) else frozenset()

    def _rule(self, path: str, asked: str) -> object:
        try:
            if self._rego is None:
                self._rego = self._fresh()
            self._rego.set_input(asked)
            return self._rego.rule(path)
        except BaseException as fault:
            # The old input may still be set and the engine in any state: never ask it again.
            self._rego = None
            self.faults += 1
            if not is_engine_fault(fault):
                raise
            return BROKEN

    def _fresh(self) -> Rego:
        rego = Rego()
        for name, text in sorted(self.bundle.modules.items()):
            rego.add_module(name, text)
        rego.add_data(self.bundle.data)
        return rego

    def prove(self) -> None:
        """Raise VerificationFailed unless every golden decision comes out as written."""
        for case in self.bundle.golden:
            asked = json.dumps(case.get("question"))
            answer = self.answer(asked)
            golden.judge(self.bundle.layer, case, answer, self.reasons(asked) if answer == decision.NO else ())


def answers(bundle: Bundle) -> list[tuple[object, frozenset[str]]]:
    """What the bundle's layer says to each of its own golden questions, with its reasons where that is a no."""
    layer = _Layer(bundle)
    found = []
    for case in bundle.golden:
        asked = json.dumps(case.get("question"))
        answer = layer.answer(asked)
        found.append((answer, layer.reasons(asked) if answer == decision.NO else frozenset()))
    return found


def in_order(baseline: Bundle, national: Bundle, now_ns: int, pinned_baseline: bytes) -> None:
    """Raise VerificationFailed unless each is the layer it should be and holds now, and the first is the pinned one."""
    for wanted, bundle in (("baseline", baseline), ("national", national)):
        if bundle.layer != wanted:
            raise VerificationFailed("bundle scope", f"{bundle.scope} is not the {wanted} layer")
        if now_ns >= bundle.not_after_ns:
            raise VerificationFailed("bundle expiry", f"the {wanted} bundle has expired")
    if pinned_baseline and baseline.digest != pinned_baseline:
        raise VerificationFailed("bundle digest", "the baseline is not the one the federation named")


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with what each part of it said, for `limen policy ask`. Reasons are sorted codes, () for a yes."""

    decision: Permit | Deny
    baseline: tuple[str, ...]
    national: tuple[str, ...]
    floors: tuple[str, ...]


def explained(
    question: Question, decided: Permit | Deny, baseline: tuple[str, ...], national: tuple[str, ...]
) -> Explanation:
    """What the layers said, and the floors after them."""
    held = floors.hold(question, decided) if isinstance(decided, Permit) else decided
    floored = held.reasons if isinstance(held, Deny) and isinstance(decided, Permit) else ()
    return Explanation(held, baseline, national, floored)


class EmbeddedEngine:
    """`ports.PolicyEngine` over two bundles. Load it in the thread that will ask it."""

    def __init__(self) -> None:
        self._layers: tuple[_Layer, _Layer] | None = None
        self._versions = Versions(b"", b"", 0, 0)
        self._owner = threading.get_ident()

    @classmethod
    def load(cls, baseline: Bundle, national: Bundle, *, now_ns: int, pinned_baseline: bytes = b"") -> EmbeddedEngine:
        """An engine over two opened bundles, once all their golden decisions have come out as written.

        `pinned_baseline` is the digest that the federation document names (T6); another baseline is refused.

        Raises:
            VerificationFailed: a bundle is of another layer, expired or not the pinned one; a golden decision differs.
        """
        engine = cls()
        engine.reload(baseline, national, now_ns=now_ns, pinned_baseline=pinned_baseline)
        return engine

    def reload(self, baseline: Bundle, national: Bundle, *, now_ns: int, pinned_baseline: bytes = b"") -> None:
        """Put two bundles in force. What was in force stays when this raises VerificationFailed."""
        self._proved(baseline, national, now_ns, pinned_baseline)()

    async def prepare(
        self, baseline: Bundle, national: Bundle, *, now_ns: int, pinned_baseline: bytes = b""
    ) -> Callable[[], None]:
        """Load two bundles and prove their golden decisions; returns what puts them in force.

        Raises:
            VerificationFailed: as `load`.
        """
        return self._proved(baseline, national, now_ns, pinned_baseline)

    def _proved(self, baseline: Bundle, national: Bundle, now_ns: int, pinned_baseline: bytes) -> Callable[[], None]:
        in_order(baseline, national, now_ns, pinned_baseline)
        layers = (_Layer(baseline), _Layer(national))
        for layer in layers:
            layer.prove()
            layer.faults = 0
        versions = Versions(baseline.digest, national.digest, baseline.not_after_ns, national.not_after_ns)

        def enforce() -> None:
            self._layers, self._versions = layers, versions

        return enforce

    async def close(self) -> None:
        """Nothing is open."""

    async def decide(self, question: Question) -> Permit | Deny:
        """See `ports.PolicyEngine`. Never waits."""
        return self.decide_now(question)

    def decide_now(self, question: Question) -> Permit | Deny:
        """`decide` without a loop: for `limen policy` and benches."""
        if self._layers is None or threading.get_ident() != self._owner:
            return Deny(("policy_unavailable",))
        baseline, national = self._layers
        asked = json.dumps(document(question))
        decided = decision.combine(baseline.answer(asked), national.answer(asked), question, self._versions)
        if isinstance(decided, Permit) or decided.reasons:
            return decided
        given = reasons.known(baseline.reasons(asked) | national.reasons(asked))
        return Deny(given or ("denied",), decided.baseline, decided.national)

    async def explain(self, question: Question) -> Explanation:
        """The decision after the floors, with each layer's own reasons: where a no comes from."""
        decided = self.decide_now(question)
        by_layer: list[tuple[str, ...]] = []
        asked = json.dumps(document(question))
        for layer in self._layers or ():
            answer = layer.answer(asked)
            no = not isinstance(answer, Mapping) or answer.get("allow") is not True
            by_layer.append((reasons.known(layer.reasons(asked)) or ("denied",)) if no else ())
        baseline, national = by_layer if by_layer else [("policy_unavailable",)] * 2
        return explained(question, decided, baseline, national)

    def versions(self) -> PolicyVersions:
        """See `ports.PolicyEngine`."""
        if self._layers is None:
            raise PolicyUnavailable("no policy is loaded")
        return PolicyVersions(self._versions.baseline, self._versions.national)

    @property
    def faults(self) -> int:
        """How often an engine failed and was made anew since the bundles were loaded: an alarm when it is not 0."""
        return sum(layer.faults for layer in self._layers or ())
