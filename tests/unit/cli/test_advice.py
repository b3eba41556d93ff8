"""Every no that an officer can meet has its cause and what to do, from one table (`gateway.cli.advice`)."""

from __future__ import annotations

import json
import re

import pytest

from gateway import errors
from gateway.cli import advice, main
from gateway.errors import NotFoundOrNotPermitted, NotIdentified, PolicyDenied
from gateway.policy.reasons import REASONS
from tests.extras import ROOT

RAISED = sorted(
    {
        code
        for path in (ROOT / "gateway").rglob("*.py")
        for code in re.findall(r'PolicyDenied\(\("([a-z_]+)",?\)', path.read_text("utf-8"))
    }
    | set(re.findall(r'(?:yield|reasons\.add\() ?"([a-z_]+)"', (ROOT / "gateway/policy/floors.py").read_text("utf-8")))
)
"""Codes that the code itself gives."""


@pytest.mark.parametrize("code", sorted({*REASONS, *RAISED, *advice.MORE}))
def test_every_reason_has_a_cause_and_a_next_step(code: str) -> None:
    assert advice.cause(code) and advice.step(code)


def test_the_table_has_no_reason_that_nobody_gives() -> None:
    assert set(advice.NEXT) == set(REASONS)
    lowered = {kind.row.reason.lower() for kind in errors.CATALOGUE}
    assert set(advice.MORE) <= {*RAISED, *lowered}
    assert set(advice.PUBLIC) <= {kind.row.reason for kind in errors.CATALOGUE}


def test_a_denial_says_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def denied(argv: object, given: object) -> int:
        raise PolicyDenied(("legal_basis", "role"))

    monkeypatch.setattr(main, "_run", denied)
    assert main.run(["check"]) == 3
    said = capsys.readouterr().err
    assert said.startswith(
        "limen: denied: legal_basis (the legal basis is not one that the agreement or mandate names: "
    )
    assert "role (the role may not do this under the purpose: " in said and said.count("\n") == 1


def test_what_only_has_a_public_text_gets_a_next_step_and_what_says_more_is_left() -> None:
    assert advice.told(NotFoundOrNotPermitted("Not found.")).startswith(
        "Not found: there is none of this name or number"
    )
    assert advice.told(NotFoundOrNotPermitted("UTO is no member")) == "UTO is no member"
    assert advice.told(NotIdentified("The caller was not identified.")).endswith("sign with your own key")


def test_a_code_that_is_not_ours_is_shown_as_it_is() -> None:
    assert advice.told(PolicyDenied(("a_later_code",))) == "denied: a_later_code"


def test_programs_get_the_codes_alone() -> None:
    assert json.dumps(PolicyDenied(("role",)).reasons) == '["role"]'
