"""What a statistician types and reads: prices, intervals, what is left, and how a release stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import errors
from gateway.cli.acts import release
from gateway.cli.main import Refused, run
from gateway.rpc.doors import HomeCall, ReleaseLine, ReleaseQuestion
from gateway.statistics import catalogue
from gateway.statistics.release import to_json
from gateway.terms import PeerId
from gateway.terms.release import ReleaseStanding, ReleaseState
from tests.unit.cli.conftest import at_home
from tests.unit.rpc.test_releases import REFERENCE, WAITING, Desk, a_plan, ready
from tests.unit.statistics.test_release import QUERY, document

REF = "ref_" + REFERENCE.hex()
WHO = ("--basis", "act")
ASKED = ("--dataset", "PAN-crossings", "--period", "2026-08", *WHO)


class SlowDesk(Desk):
    """Answers from memory; a release is ready after it was asked for so many times."""

    after = 0
    held: ReleaseStanding | None = None

    async def get(self, question: ReleaseQuestion, reference: bytes, call: HomeCall) -> ReleaseStanding:
        self._begin(question, reference)
        if self.held is not None:
            return self.held
        self.after -= 1
        return ready(document()) if self.after < 0 else WAITING

    async def releases(self, call: HomeCall) -> list[ReleaseLine]:
        self._begin()
        return [ReleaseLine(PeerId("PAN"), PeerId("HND"), REFERENCE, QUERY.encode(), ReleaseState.READY, 10**18)]


@pytest.fixture
def desk(pan: Path) -> Iterator[SlowDesk]:
    """PAN's home listener with a desk that answers from memory."""
    made = SlowDesk()
    with at_home(pan, releases=made):
        yield made


Limen = Callable[..., tuple[int, str, str]]


@pytest.fixture
def limen(pan: Path, capsys: pytest.CaptureFixture[str]) -> Limen:
    def ask(*argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["release", *argv, "--booth", str(pan / "booth")])
        found = capsys.readouterr()
        return code, found.out, found.err

    return ask


def test_what_is_asked_is_the_query_that_was_typed(desk: SlowDesk, limen: Limen) -> None:
    code, out, _ = limen("plan", *ASKED, "--by", "nationality", "--measure", "detections", "--epsilon", "0.25",
                         "--suppress", "--from", "UTO")  # fmt: skip
    assert code == 0
    (asked,) = desk.asked
    assert isinstance(asked, tuple)
    (question,) = asked
    query = catalogue.decode(question.query)
    assert (query.dimensions, query.measure, query.epsilon_micro) == (("month", "nationality"), "detections", 250_000)
    assert (query.suppress, query.dataset, query.period) == (True, "PAN-crossings", "2026-08")
    assert (question.owner, question.purpose, question.legal_basis) == ("UTO", "RISK.IBC", "act")
    assert "520,000 micro-rho" in out and "±6 in 95 of 100" in out and "360 cells" in out
    told = json.loads(limen("plan", *ASKED, "--json")[1])
    assert (told["cost_micro_rho"], told["charge_micro_rho"], told["state"]) == (520_000, 0, None)
    assert told["reference"] == REF


def test_a_plan_that_cannot_be_paid_says_so() -> None:
    lines = "\n".join(release._planned(a_plan(charge_micro_rho=520_000, threshold=9, state="failed")))
    assert "a request would be refused (exit 7)" in lines and "cells under 9" in lines and "before: failed" in lines


def test_a_request_says_what_was_charged_and_how_to_read_it(desk: SlowDesk, limen: Limen) -> None:
    code, out, _ = limen("request", *ASKED, "--from", "HND")
    assert code == 0 and "charged 520,000 micro-rho" in out
    assert f"limen release get {REF} --from HND --basis 'act' --wait" in out


def test_a_release_is_read_whole_or_in_short(desk: SlowDesk, limen: Limen) -> None:
    code, out, _ = limen("get", REF, *WHO, "--json")
    assert (code, json.loads(out)) == (0, to_json(document()))
    code, out, _ = limen("get", REF, *WHO, "--cells", "3")
    assert code == 0 and "bias: cells are too low by" in out and "the 3 largest of 8 cells" in out
    assert ["EAST", "XXX", "0", "-3", "to", "3"] in [line.split() for line in out.splitlines()]


def test_it_is_waited_for_as_long_as_was_said(desk: SlowDesk, limen: Limen) -> None:
    desk.after = 2
    assert limen("get", REF, *WHO)[0] == 5
    assert limen("get", REF, *WHO, "--wait", "30")[0] == 0
    assert len(desk.asked) == 3


def test_one_that_failed_says_its_code_and_is_exit_1(desk: SlowDesk, limen: Limen) -> None:
    desk.held = replace(WAITING, state=ReleaseState.FAILED, code="EVENTS_GONE", cost_micro_rho=0)
    code, out, _ = limen("get", REF, *WHO, "--wait")
    assert code == 1 and "EVENTS_GONE" in out
    code, out, _ = limen("export", REF, *WHO, "--format", "csv", "--json")
    assert (code, json.loads(out)["state"]) == (1, "failed")


@pytest.mark.parametrize(
    ("trouble", "code", "words"),
    [
        (errors.BudgetExhausted("share", 520_000, 20_000, 900_000), 7, "in the share 0.020000 rho (epsilon 0.90)"),
        (errors.CapabilityMissing("x"), 5, "UTO makes no releases"),
        (errors.PeerUnreachable("x"), 5, "UTO cannot be reached now"),
        (errors.NotFoundOrNotPermitted("x"), 4, ""),
        (errors.PolicyDenied(("role",)), 3, "role"),
        (errors.InputRefused("x", field="period", code="DOMAIN_UNKNOWN"), 8, "period"),
    ],
)
def test_a_no_has_its_exit_code_and_its_words(
    desk: SlowDesk, limen: Limen, trouble: errors.GatewayError, code: int, words: str
) -> None:
    desk.trouble = trouble
    found, out, err = limen("request", *ASKED, "--from", "UTO")
    assert (found, out) == (code, "")
    assert words in err and err.count("\n") == 1


def test_files_go_to_standard_output_or_where_they_are_told(desk: SlowDesk, limen: Limen, tmp_path: Path) -> None:
    code, out, _ = limen("export", REF, *WHO, "--format", "csv")
    assert code == 0 and out.startswith("month,route,nationality,status,noisy")
    file = tmp_path / "page.html"
    code, out, _ = limen("export", REF, *WHO, "--format", "html", "-o", str(file))
    assert code == 0 and "S-IBC" in out and file.read_text().startswith("<!DOCTYPE html>")


def test_the_list_and_the_budget_say_whose_and_how_much(desk: SlowDesk, limen: Limen) -> None:
    code, out, _ = limen("list")
    assert code == 0 and REF in out and "S-IBC persons crossings 2023-08 by route,nationality" in out
    assert json.loads(limen("list", "--json")[1])[0]["query"] == json.loads(json.dumps(QUERY.facts()))
    code, out, err = limen("budget")
    assert code == 0 and "HND 520,000/520,000" in out and "micro-rho" in err
    (first, _) = json.loads(limen("budget", "--json")[1])
    assert (first["left_micro_rho"], first["shares"][0]["peer"]) == (520_000, "HND")


@pytest.mark.parametrize("text", ["", "ref_", "ref_" + "0" * 63, "rel_" + "0" * 64, "ref_" + "G" * 64])
def test_a_reference_is_one_or_is_refused_unsaid(text: str) -> None:
    with pytest.raises(Refused) as refused:
        release.reference_of(text)
    assert "0000" not in str(refused.value)
    assert release.reference_of(REF) == REFERENCE


def test_words_that_cannot_be_asked_are_refused_before_anybody_is(desk: SlowDesk, limen: Limen) -> None:
    assert limen("plan", *ASKED, "--epsilon", "one")[0] == 2
    assert limen("plan", *ASKED, "--epsilon", "11")[0] == 8
    assert limen("plan", *ASKED, "--by", "sex")[0] == 8
    assert limen("plan", *ASKED, "--from", "Utopia")[0] == 2
    assert desk.asked == []
