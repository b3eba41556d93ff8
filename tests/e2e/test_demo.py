"""The demonstration, whole: every step as said, and what it leaves behind stands on its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.cli.acts.nodes import limen
from tests.unit.cli.test_report import Outline

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
STATES = ("PAN", "HND", "UTO")
STEPS = (
    "A miss",
    "A flight of 300",
    "A second person approves, and Honduras reads",
    "A request refused",
    "A second signature by the wrong key",
    "A second signature forged in the database",
    "A second signature forged in the log",
    "A private monthly table beside the truth",
    "Asked again, it costs nothing",
    "A budget that is used up",
    "All that passed between the gateways",
    "A changed log is caught",
    "A cut tail is caught",
)


class Steps(HTMLParser):
    """The text of each step's article, by its place."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: dict[str, str] = {}
        self._at = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "article":
            self._at = dict(attrs).get("id") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._at = ""

    def handle_data(self, data: str) -> None:
        if self._at:
            self.text[self._at] = self.text.get(self._at, "") + data


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a short run leaves."""
    out = tmp_path_factory.mktemp("demo") / "out"
    ran = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--fast", "--json", "--out", str(out)],
        cwd=out.parent,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    wrong = [step for step in json.loads(ran.stdout)["steps"] if not step["ok"]]
    assert (ran.returncode, wrong) == (0, []), ran.stderr
    return out


def test_every_step_came_out_as_said(left: Path) -> None:
    told = json.loads((left / "run.json").read_text("utf-8"))
    titles = [step["title"] for step in told["steps"]]
    assert told["ok"] and set(STEPS) <= set(titles) and len(titles) == len(set(titles))


def test_the_report_shows_each_of_these_steps_from_every_side(left: Path) -> None:
    page = (left / "report.html").read_text("utf-8")
    steps = Steps(page).text
    told = json.loads((left / "run.json").read_text("utf-8"))["steps"]
    for number, step in enumerate(told, 1):
        assert step["title"] in steps[f"step-{number}"]
    numbers = {step["title"]: number for number, step in enumerate(told, 1)}
    approved = steps[f"step-{numbers['A second person approves, and Honduras reads']}"]
    for part in ("officer in HND", "home auditor of HND", "the wire", "names: VARGULEN, TAMORESTO", "case.sent"):
        assert part in approved
    # What an officer of Panama's did is shown as what was on that officer's screen.
    for title in ("One person releases nothing", "A second signature by the wrong key"):
        alone = steps[f"step-{numbers[title]}"]
        assert "officer in PAN" in alone and "officer in HND" not in alone
    assert "is not that of the person logged in here" in alone
    # Real bytes: records of TLS that were on the line, and the sealed slots that they carried.
    assert re.search(r"in +170303", approved) and re.search(r"slot 0 +[0-9a-f]{8} ", approved)
    assert page.count("limen-chart") > 0 and "<script" not in page
    # What the statistician reads has intervals; the truth stands in the chart alone.
    table = steps[f"step-{numbers['A private monthly table beside the truth']}"]
    assert "the truth" in table and "95 % INTERVAL" in table


def test_the_report_of_a_real_run_can_be_read_by_everybody(left: Path) -> None:
    outline = Outline((left / "report.html").read_text("utf-8"))
    identities = [value for name, value in outline.attributes if name == "id"]
    assert len(identities) == len(set(identities))
    assert {value for name, value in outline.attributes if name == "href"} <= {f"#{one}" for one in identities}
    levels = [int(tag[1]) for tag in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    assert not {"script", "link", "img", "iframe", "object"} & set(outline.tags)
    # Each drawing says in words what it shows.
    drawn = [value for name, value in outline.attributes if name == "aria-labelledby" and value and "told" in value]
    assert len(drawn) == outline.tags.count("svg") == 2


def test_each_state_s_log_verifies_with_public_keys_alone(left: Path) -> None:
    for state in STATES:
        ran = limen("--json", "audit", "verify", str(left / state / "audit-export"), "--trust",
                    str(left / state / "trust.card"))  # fmt: skip
        assert ran.code == 0 and ran.json["ok"], (state, ran.out)
    disclosed = limen("--json", "audit", "verify", str(left / "PAN" / "audit-export"), "--trust",
                      str(left / "PAN" / "trust.card")).json  # fmt: skip
    assert any("two persons" in said for said in disclosed["proved"])
