"""A state's own rules: narrower is signed once somebody accepted it, wider never."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.main import run
from gateway.policy.agreement import Agreement
from tests.policies.world import agreed

ROW = '\tinput.schema == "limen.question/1"\n\n\t# One look-up'
TESTS = "limen/national/sharing/sharing_test.rego"


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The national rules of a copy, in a folder with a node of PAN and an agreement."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIMEN_CONFIG", raising=False)
    assert run(["init", "--state", "PAN", "pan", "-q"]) == 0
    made: Agreement = agreed()
    Path("agreement").write_text(json.dumps(made.document()))
    assert run(["policy", "rules", "own", "-q"]) == 0
    Path("own", TESTS).write_text("package limen.national.sharing_test\n\ntest_nothing if true\n")
    return Path("own/limen/national/sharing/sharing.rego")


def build(*more: str) -> int:
    key = next(Path("pan/policy-authority").glob("national-*.pem"))
    command = ["policy", "build", "--config", "pan", "--key", str(key), "--agreement", "agreement", "--rules", "own"]
    return run([*command, "-o", "made.tar.gz", *more])


def with_condition(source: Path, condition: str, more: str = "") -> None:
    text = source.read_text()
    assert text.count(ROW) == 1
    source.write_text(text.replace(ROW, f"\t{condition}\n{ROW}") + more)


BARRED = """
agency_fits if input.purpose != "SEC.WATCH"

agency_fits if input.agency == "OTHER"

# METADATA
# title: The agency does not fit
# custom:
#   depends_on: request
reasons contains "agency" if not agency_fits
"""


def test_rules_as_they_ship_change_nothing(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build() == 0
    assert "changes:" not in capsys.readouterr().err


def test_a_narrower_rule_is_told_and_signed_once_accepted(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_condition(rules, "agency_fits", BARRED)
    assert build() == 8
    err = capsys.readouterr().err
    assert "changes: ask SEC.WATCH AGR-HND-PAN: yes becomes no (agency)" in err and "--accept" in err
    assert not Path("made.tar.gz").exists()
    assert build("--accept") == 0
    assert run(["policy", "activate", "made.tar.gz", "--config", "pan"]) == 0
    capsys.readouterr()
    words = ["--purpose", "SEC.WATCH", "--basis", "bilateral agreement", "--owner", "HND", "--role", "border.frontline"]
    assert run(["policy", "ask", *words, "--agency", "SNM", "--config", "pan", "--json"]) == 3
    (row,) = json.loads(capsys.readouterr().out)
    assert row["national"][0] == "agency" or "agency" in row["national"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\trow.agencies[input.agency]\n", "", "a yes where the agreement says no"),
        (
            "decision := row.grant if",
            'decision := object.union(row.grant, {"slots_per_day": 999999999}) if',
            "function",
        ),
        ('default decision := {"schema": "limen.decision/1", "allow": false}', "default decision := true", "form"),
    ],
)
def test_a_wider_rule_is_never_signed(
    rules: Path, old: str, new: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = rules.read_text()
    assert old in text
    rules.write_text(text.replace(old, new))
    assert build("--accept") in (6, 8)
    assert words in capsys.readouterr().err
    assert not Path("made.tar.gz").exists()


GRANT = """decision := {
	"schema": "limen.decision/1", "allow": true, "agreement": row.grant.agreement,
	"agreement_version": row.grant.agreement_version, "key_types": row.grant.key_types, "kinds": row.grant.kinds,
	"slots_per_day": SLOTS, "transfer_basis": row.grant.transfer_basis, "retention": "RETENTION",
	"until_ns": row.grant.until_ns, "obligations": OBLIGATIONS,
} if"""


@pytest.mark.parametrize(
    ("slots", "retention", "obligations", "words"),
    [("min([1, row.grant.slots_per_day])", "24h", "row.grant.obligations", "narrower"),
     ("999999999", "30d", "row.grant.obligations", "slots_per_day"),
     ("1", "10y", "row.grant.obligations", "retention"), ("1", "30d", "[]", "obligations")],
)  # fmt: skip
def test_another_grant_is_narrower_or_is_refused(
    rules: Path, slots: str, retention: str, obligations: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grant = GRANT.replace("SLOTS", slots).replace("RETENTION", retention).replace("OBLIGATIONS", obligations)
    rules.write_text(rules.read_text().replace("decision := row.grant if", grant))
    assert build() == 8
    err = capsys.readouterr().err
    assert words in err and "yes becomes yes with another " in err
    assert build("--accept") == (0 if words == "narrower" else 8)


def test_rules_whose_tests_fail_are_not_signed(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("own", TESTS).write_text("package limen.national.sharing_test\n\ntest_nothing if false\n")
    assert build() == 8
    assert "its tests do not pass: limen.national.sharing_test.test_nothing" in capsys.readouterr().err


def test_a_copy_overwrites_nothing(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "rules", "own"]) == 8
    assert "is there already" in capsys.readouterr().err
