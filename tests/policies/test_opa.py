"""The same rules under the reference engine: what it refuses, what it answers, and that it takes our signature."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.opa import golden, sources
from gateway.opa.bundle import Bundle
from gateway.opa.engine import EmbeddedEngine
from gateway.policy import agreement
from gateway.policy.purposes import PURPOSES
from gateway.policy.question import Question, Stage, document
from gateway.terms.ids import AgencyId, PeerId, Purpose
from gateway.terms.words import KeyType, ListId, Role
from tests import extras
from tests.extras import ROOT
from tests.policies import world

pytestmark = pytest.mark.extra("opa")

RULES = ["--bundle", "policies"]
NONSENSE: tuple[Any, ...] = (None, [], {}, 0, "", True)

DIFFERENTIAL = 400
"""Random questions put to both engines, besides every golden decision."""


def opa(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [extras.path("opa"), *arguments], cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
    )


def passes(*arguments: str) -> str:
    run = opa(*arguments)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_rules_are_strictly_valid_and_ask_only_for_fields_that_exist() -> None:
    passes("check", "--strict", "--schema", "policies/schemas", *RULES)


def test_the_rules_call_nothing_outside_the_allow_list() -> None:
    only = ["--ignore", "*_test.rego", "--ignore", "examples"]
    passes("check", "--strict", "--capabilities", "policies/capabilities.json", *only, *RULES)


def test_the_rules_are_formatted() -> None:
    assert passes("fmt", "--list", "--fail", "policies") == ""


def test_the_rules_tests_pass_and_reach_every_line() -> None:
    passes("test", "--timeout", "120s", *RULES)
    report = json.loads(passes("test", "--timeout", "120s", "--coverage", "--format", "json", *RULES))
    for rules in ("baseline/sharing/sharing", "baseline/purposes/purposes", "national/sharing/sharing"):
        (covered,) = (
            found["coverage"]
            for name, found in report["files"].items()
            if name.endswith(f"limen/{rules}.rego") and "coverage" in found
        )
        assert covered == 100


@pytest.mark.parametrize(
    ("rules", "word"),
    [
        ("p if { not http.send({}) }", "http.send"),
        ("p if { input.purposes }", "purposes"),
        ("p if { x := 1 }", "unused"),
        ("p if { q(1) }", "undefined function"),
    ],
)
def test_the_checks_above_can_fail(rules: str, word: str, tmp_path: Path) -> None:
    module = tmp_path / "x.rego"
    module.write_text(f"# METADATA\n# schemas:\n#   - input: schema.question\npackage x\n\n{rules}\n")
    run = opa(
        "check", "--strict", "--schema", "policies/schemas", "--capabilities", "policies/capabilities.json", str(module)
    )
    assert run.returncode != 0
    assert word in run.stdout + run.stderr


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two bundles, as files, and their authorities' public keys."""
    folder = tmp_path_factory.mktemp("bundles")
    found = {}
    for layer, body, key in (
        ("baseline", world.baseline_raw(), world.REGION_PUBLIC),
        ("national", world.national_raw(), world.STATE_PUBLIC),
    ):
        found[layer] = folder / f"{layer}.tar.gz"
        found[layer].write_bytes(body)
        found[f"{layer} key"] = folder / f"{layer}.pem"
        found[f"{layer} key"].write_bytes(key)
    return found


def verified(bundle: Path, key: Path, key_id: str, scope: str, out: Path) -> subprocess.CompletedProcess[str]:
    return opa(
        "build", "--bundle", str(bundle), "--signing-alg", "ES256", "--verification-key", str(key),
        "--verification-key-id", key_id, "--scope", scope, "--output", str(out),
    )  # fmt: skip


def test_opa_takes_our_signature_and_refuses_what_we_refuse(raw: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.tar.gz"
    for layer, key_id, scope in (("baseline", "region-1", "baseline"), ("national", "pan-1", "national/PAN")):
        key = raw[f"{layer} key"]
        assert verified(raw[layer], key, key_id, scope, out).returncode == 0
        assert "scope" in verified(raw[layer], key, key_id, "another", out).stdout
        stranger = raw["national key" if layer == "baseline" else "baseline key"]
        assert verified(raw[layer], stranger, key_id, scope, out).returncode != 0
        files = world.members(raw[layer].read_bytes())
        name = f"limen/{layer}/sharing/sharing.rego"
        tampered = tmp_path / "tampered.tar.gz"
        tampered.write_bytes(world.packed(files | {name: files[name] + b"\n"}))
        assert verified(tampered, key, key_id, scope, out).returncode != 0


def answers(bundle: Path, layer: str, questions: list[dict[str, Any]], tmp_path: Path) -> list[list[Any]]:
    """OPA's decision and reasons for each question, in one run over the signed bundle itself."""
    asked = tmp_path / f"{layer}.json"
    asked.write_text(json.dumps({"questions": questions}))
    package = f"data.limen.{layer}.sharing"
    query = (
        "[[answer, reasons] | some question in input.questions; "
        f"answer := {package}.decision with input as question; reasons := {package}.reasons with input as question]"
    )
    found = json.loads(
        passes(
            "eval", "--bundle", str(bundle), "--input", str(asked), "--strict-builtin-errors", "--format", "json", query
        )
    )
    result: list[list[Any]] = found["result"][0]["expressions"][0]["value"]
    assert len(result) == len(questions)
    return result


def random_questions(seed: int) -> list[Question]:
    """Good questions with up to three fields replaced by another word of their vocabulary."""
    draw = random.Random(seed)
    choices: dict[str, list[Any]] = {
        "stage": list(Stage),
        "purpose": [Purpose(row.code) for row in PURPOSES] + [Purpose("SEC.OTHER")],
        "operation": ["hit", "status", "disclose", "enter", "withdraw", ""],
        "legal_basis": ["", "bilateral agreement", "EU Dir. 2003/86 (as model)", "national immigration act"],
        "list_id": list(ListId),
        "key_types": [(), (KeyType.DOC_1,), tuple(KeyType), (KeyType.NAME_YEAR_1,)],
        "class_size": [0, 8, 9, 32, 320, 1280],
        "asker": [PeerId("PAN"), PeerId("HND"), PeerId("UTO")],
        "owner": [PeerId("PAN"), PeerId("HND"), PeerId("UTO")],
        "agency": [AgencyId("SNM"), AgencyId("INM"), AgencyId("")],
        "role": list(Role),
        "has_case": [True, False],
        "signers": [0, 1, 2, 3],
        "time_ns": [0, world.NOW, world.NOW + world.YEAR - 1, world.NOW + world.YEAR, 2**63 - 1],
        "issuers": [(), ("PAN",), ("HND", "PAN")],
    }
    made = []
    for _ in range(DIFFERENTIAL):
        question = world.good(*draw.choice(world.GOOD))
        for field in draw.sample(sorted(choices), draw.randint(0, 3)):
            question = replace(question, **{field: draw.choice(choices[field])})
        made.append(question)
    return made


@pytest.mark.parametrize("layer", ["baseline", "national"])
def test_both_engines_give_every_answer_alike(layer: str, raw: dict[str, Path], tmp_path: Path) -> None:
    bundles: dict[str, Bundle] = dict(zip(("baseline", "national"), world.shipped(), strict=True))
    cases = [case["question"] for case in bundles[layer].golden]
    cases += [document(question) for question in random_questions(7)]
    # What no Question can be: each field of a good one taken away, and of another type.
    good = document(world.good())
    for field in good:
        cases.append({name: value for name, value in good.items() if name != field})
        cases += [good | {field: value} for value in NONSENSE]
    engine = EmbeddedEngine.load(*world.shipped(), now_ns=world.NOW)
    assert engine._layers is not None
    mine = engine._layers[0 if layer == "baseline" else 1]
    permitted = 0
    for asked, (answer, reasons) in zip(cases, answers(raw[layer], layer, cases, tmp_path), strict=True):
        text = json.dumps(asked)
        assert golden.plain(mine.answer(text)) == golden.plain(answer), asked
        assert sorted(mine.reasons(text)) == reasons, asked
        permitted += answer["allow"]
    assert engine.faults == 0
    assert permitted > 20
    assert permitted < len(cases) / 2


def test_thirty_states_agreements_give_alike_answers(tmp_path: Path) -> None:
    others = [f"X{a}{b}" for a in "ABCDE" for b in "ABCDEF"]
    end = 2 * golden.TIME_NS
    signed = [
        agreement.starter("PAN", other, agencies={"PAN": ["SNM"], other: ["AG"]}, valid_from_ns=1, valid_until_ns=end)
        for other in others
    ]
    body = world.national_raw(sources.starter_national("PAN", signed))
    bundle = tmp_path / "national.tar.gz"
    bundle.write_bytes(body)
    opened = world.open_national(body)
    cases = [case["question"] for case in opened.golden]
    for case, (answer, reasons) in zip(opened.golden, answers(bundle, "national", cases, tmp_path), strict=True):
        assert golden.plain(answer) == golden.plain(case["decision"])
        assert reasons == case["reasons"]
