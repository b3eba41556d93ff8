"""The statistician's page names the acts that a node as it is made, and an agreement as it is drafted, take."""

from __future__ import annotations

from gateway.policy import agreement
from tests.extras import ROOT

PAGE = (ROOT / "docs" / "statistics.md").read_text("utf-8")
UNTIL = 10**18


def test_the_acts_of_a_new_node_and_of_a_drafted_agreement_stand_on_the_page() -> None:
    mandate = agreement.starter_statistics("PAN", agencies=["SNM"], valid_from_ns=1, valid_until_ns=UNTIL)
    drafted = agreement.starter(
        "PAN", "HND", agencies={"PAN": ["SNM"], "HND": ["INM"]}, valid_from_ns=1, valid_until_ns=UNTIL
    )
    assert [f"has `{act}`" in PAGE for act in mandate.legal_bases] == [True]
    assert "bilateral agreement" in drafted.purposes["RISK.IBC"].legal_bases and "has `bilateral agreement`" in PAGE
