"""No safeguard without what holds it and a test of either side, and none that no offered purpose has."""

from __future__ import annotations

import subprocess
import sys

import pytest

from docs import make_safeguards
from docs.make_safeguards import SAFEGUARDS, Held, faults
from gateway.policy.decision import Obligation
from tests.extras import ROOT


def test_the_page_is_what_the_catalogue_the_rules_and_the_tests_say() -> None:
    check = [sys.executable, str(ROOT / "docs" / "make_safeguards.py"), "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


KEY = ("SEC.WATCH", "alert older than valid_until never answers")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"permits": "tests/flows/test_check.py::test_nobody_wrote"}, "there is no test"),
        ({"refuses": "tests/flows/none.py::test_x"}, "there is no test"),
        ({"obligation": Obligation.BEST_INTEREST}, "no permit is bound to best_interest"),
        ({"where": "gateway/nothing.py"}, "there is no gateway/nothing.py"),
    ],
)
def test_an_orphan_is_found(change: dict[str, object], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held: Held = SAFEGUARDS[KEY]._replace(**change)  # type: ignore[arg-type]
    monkeypatch.setattr(make_safeguards, "SAFEGUARDS", {**SAFEGUARDS, KEY: held})
    (fault,) = faults()
    assert words in fault


def test_a_safeguard_that_nothing_holds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_safeguards, "SAFEGUARDS", {key: held for key, held in SAFEGUARDS.items() if key != KEY})
    assert list(faults()) == [f"{KEY[0]}: {KEY[1]}: nothing says what holds it"]
