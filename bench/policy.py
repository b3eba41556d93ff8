"""P1: what a decision costs: the baseline with the whole catalogue and a state's policy over 29 agreements.

CPU time of this thread for one `decide`: the question's document, both layers, and the combined permit. Hot is one
decision after the other; `idle4ms` one every 4 ms, when the caches belong to somebody else; `refused` one that is
denied, with its reasons. Beside them, in the same run, a rule of one comparison in the same embedded engine: what no
policy can go below.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.opa import bundle, golden, sources
from gateway.opa.engine import EmbeddedEngine
from gateway.opa.rego import Rego
from gateway.policy import agreement
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Question, Stage, document
from gateway.terms.ids import AgencyId, Purpose

Row = dict[str, Any]

NOW: Final = golden.TIME_NS
END: Final = 2 * NOW
STATE: Final = "PAN"
OTHERS: Final = tuple(f"X{a}{b}" for a in "ABCDE" for b in "ABCDEF")[:29]

TRIVIAL: Final = 'package one\n\ndefault decision := false\n\ndecision if input.schema == "limen.question/1"\n'


def run(smoke: bool) -> list[Row]:
    """The rows of P1. The short form asserts nothing about speed, but every decision is checked in both."""
    engine = _engine()
    questions = [
        replace(
            golden.question(Stage.ANSWER, Purpose(purpose), STATE, other),
            agency=AgencyId("AG"),
            legal_basis="bilateral agreement",
        )
        for other in OTHERS
        for purpose in ("SEC.WATCH", "DOC.STATUS")
    ]
    refused = [replace(question, agency=AgencyId("NONE")) for question in questions]
    floor = _trivial(questions[0])
    hot_rounds, idle_rounds = (4, 1) if smoke else (60, 8)
    hot, bare, no, idle = [], [], [], []
    for _ in range(hot_rounds):
        hot += _timed(lambda asked: _is(engine, asked, Permit), questions)
        bare += _timed(lambda asked: floor(), questions)
        no += _timed(lambda asked: _is(engine, asked, Deny), refused)
    for _ in range(idle_rounds):
        idle += _timed(lambda asked: _is(engine, asked, Permit), questions, idle_s=0.004)
    against = f"{_ms(bare):.3f} ms: one comparison in the same engine"
    return [
        _row("P1.hot", hot, 0.5, against),
        _row("P1.idle4ms", idle, 0.9, against),
        _row("P1.refused", no, None, against),
    ]


def _row(name: str, times_ns: list[int], goal: float | None, against: str) -> Row:
    value = round(_ms(times_ns), 3)
    return {
        "id": name,
        "value": value,
        "unit": "ms CPU, p50",
        "goal": f"<= {goal}" if goal is not None else "",
        "met": value <= goal if goal is not None else None,
        "against": against,
    }


def _ms(times_ns: list[int]) -> float:
    return median(times_ns) / 1e6


def _timed(call: Callable[[Question], object], questions: list[Question], idle_s: float = 0.0) -> list[int]:
    times = []
    for question in questions:
        if idle_s:
            time.sleep(idle_s)
        begun = time.thread_time_ns()
        call(question)
        times.append(time.thread_time_ns() - begun)
    return times


def _is(engine: EmbeddedEngine, asked: Question, kind: type[Permit] | type[Deny]) -> None:
    if not isinstance(engine.decide_now(asked), kind):
        raise RuntimeError(f"the decision is no {kind.__name__}")


def _trivial(question: Question) -> Callable[[], object]:
    rego = Rego()
    rego.add_module("one.rego", TRIVIAL)
    text = json.dumps(document(question))

    def decide() -> object:
        rego.set_input(text)
        return rego.rule("data.one.decision")

    return decide


def _engine() -> EmbeddedEngine:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = [
        agreement.starter(STATE, other, agencies={STATE: ["SNM"], other: ["AG"]}, valid_from_ns=1, valid_until_ns=END)
        for other in OTHERS
    ]
    opened = []
    for scope, files in (
        (bundle.BASELINE, sources.baseline()),
        (bundle.national_scope(STATE), sources.starter_national(STATE, signed)),
    ):
        raw = bundle.build(files, scope=scope, sequence=1, not_after_ns=END, signing_key_pem=private, key_id="bench")
        opened.append(bundle.open_(raw, {"bench": public}, scope, 1, NOW))
    return EmbeddedEngine.load(*opened, now_ns=NOW)


if __name__ == "__main__":
    for row in run(smoke=False):
        print(json.dumps(row))
