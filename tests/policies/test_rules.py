"""The rules that ship: their own tests on the embedded engine, their tables, and their forms."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gateway.opa import content, golden, sources
from gateway.opa.engine import EmbeddedEngine
from gateway.opa.rego import Rego
from gateway.policy import agreement, catalogue, decision, reasons
from gateway.policy.decision import Obligation, Permit
from gateway.policy.purposes import PURPOSES
from gateway.policy.question import Stage, document
from gateway.terms.words import KeyType, ListId, RecordKind, Role
from tests.extras import ROOT
from tests.policies import world

POLICIES = ROOT / "policies"
MODULES = sorted(POLICIES.rglob("*.rego"))


def whole() -> dict[str, Any]:
    """All `data.json` files under `policies/`, each at its folder's path."""
    merged: dict[str, Any] = {}
    for path in sorted(POLICIES.rglob("data.json")):
        place = merged
        for part in path.parent.relative_to(POLICIES).parts:
            place = place.setdefault(part, {})
        place.update(json.loads(path.read_text(encoding="utf-8")))
    return merged


def embedded() -> Rego:
    rego = Rego()
    for path in MODULES:
        rego.add_module(path.name, path.read_text(encoding="ascii"))
    rego.add_data(whole())
    rego.set_input("{}")
    return rego


def rego_tests() -> list[str]:
    found = []
    for path in MODULES:
        text = path.read_text(encoding="ascii")
        package = re.search(r"^package (\S+)$", text, re.MULTILINE)
        assert package is not None
        found += [f"data.{package[1]}.{name}" for name in re.findall(r"^(test_\w+) ", text, re.MULTILINE)]
    return found


REGO = embedded()


@pytest.mark.parametrize("name", rego_tests())
def test_the_rules_own_tests_hold_on_the_embedded_engine(name: str) -> None:
    assert REGO.rule(name) is True


def test_there_are_rego_tests_beside_each_decision_package() -> None:
    for package in content.PACKAGE_OF.values():
        assert sum(name.startswith(f"data.{package}_test.") for name in rego_tests()) > 10


@pytest.mark.parametrize("name", sorted(sources.generated()))
def test_the_files_made_from_the_codes_tables_are_what_it_says(name: str) -> None:
    assert (POLICIES / name).read_bytes() == sources.generated()[name], "run python policies/generate.py"


def test_every_reason_a_rule_gives_is_in_the_table() -> None:
    table = json.loads((POLICIES / "reasons.json").read_text(encoding="utf-8"))
    assert table == dict(reasons.REASONS)
    for path in MODULES:
        if not path.name.endswith("_test.rego"):
            given = re.findall(r'^reasons contains "(\w+)"', path.read_text(encoding="ascii"), re.MULTILINE)
            assert set(given) <= table.keys()


@pytest.mark.parametrize("layer", content.LAYERS)
def test_every_reason_of_a_rule_comes_up_in_a_golden_decision_or_a_test(layer: str) -> None:
    rules = (POLICIES / "limen" / layer / "sharing" / "sharing.rego").read_text(encoding="ascii")
    tests = (POLICIES / "limen" / layer / "sharing" / "sharing_test.rego").read_text(encoding="ascii")
    cases = json.loads(
        (POLICIES / "limen" / ("baseline" if layer == "baseline" else "examples") / "golden.json").read_bytes()
    )
    shown = {code for case in cases for code in case["reasons"]} | set(re.findall(r'"([a-z_]+)"', tests))
    assert set(re.findall(r'^reasons contains "(\w+)"', rules, re.MULTILINE)) <= shown


def test_the_baselines_golden_decisions_cover_every_purpose_stage_and_reason() -> None:
    names = {case["name"] for case in json.loads((POLICIES / "limen" / "baseline" / "golden.json").read_bytes())}
    for row in PURPOSES:
        assert f"ask {row.code}" in names or any(name.startswith(f"ask {row.code}") for name in names)
    for stage, purpose in world.GOOD:
        assert f"{stage.value} {purpose}" in names


def test_golden_decisions_of_many_agreements_are_bounded() -> None:
    signed = [
        agreement.starter(
            "PAN", f"A{a}{b}", agencies={"PAN": ["SNM"], f"A{a}{b}": ["X"]}, valid_from_ns=1, valid_until_ns=9
        )
        for a in "ABCDE"
        for b in "ABCDEF"
    ]
    cases = golden.national("PAN", signed, [])
    stages = sum(len([s for s in catalogue.stages_of(p) if s is not Stage.LIST]) for p in catalogue.OFFERED)
    assert len(cases) <= golden.AGREEMENTS_MAX * stages * 7


def test_a_state_without_agreements_has_a_bundle_that_says_no() -> None:
    engine = EmbeddedEngine.load(
        world.shipped()[0], world.open_national(world.national_raw(agreements=())), now_ns=world.NOW
    )
    for stage, purpose in world.GOOD:
        assert not isinstance(engine.decide_now(world.good(stage, purpose)), Permit)


def test_a_starter_lists_by_its_own_agencies_only() -> None:
    files = sources.starter_national(
        "PAN", [world.agreed().document()], agencies=["POL"], valid_from_ns=1, valid_until_ns=world.NOW + world.YEAR
    )
    mandates = json.loads(files["limen/national/mandates/data.json"])
    assert {name: mandate["agencies"] for name, mandate in mandates.items()} == {
        "MANDATE-PAN-PERSONS": ["POL", "SNM"],
        "MANDATE-PAN-DOCUMENTS": ["POL", "SNM"],
        "MANDATE-PAN-STATISTICS": ["POL", "SNM"],
    }
    assert json.loads(sources.starter_national("PAN", [], mandates=[])["limen/national/mandates/data.json"]) == {}


SCHEMAS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (POLICIES / "schemas").glob("*.json")}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_takes_every_field_and_no_other(name: str) -> None:
    schema = SCHEMAS[name]
    fields = {
        "question": set(document(world.good())),
        "decision": decision._FIELDS,
        "agreement": set(world.agreed().document()),
        "mandate": {"schema", *agreement.Mandate.__slots__},
    }[name]
    assert set(schema["properties"]) == fields
    assert schema["additionalProperties"] is False
    assert schema["title"] == {
        "question": "limen.question/1",
        "decision": decision.SCHEMA,
        "agreement": agreement.AGREEMENT_SCHEMA,
        "mandate": agreement.MANDATE_SCHEMA,
    }[name]  # fmt: skip
    if name != "decision":
        assert set(schema["required"]) == fields


def test_the_schemas_words_are_the_codes_words() -> None:
    question, answer = SCHEMAS["question"]["properties"], SCHEMAS["decision"]["properties"]
    assert question["stage"]["enum"] == [stage.value for stage in Stage]
    assert question["list"]["enum"] == [*(list_id.value for list_id in ListId), ""]
    assert question["role"]["enum"] == [role.value for role in Role]
    for place in (question["key_types"], answer["key_types"]):
        assert place["items"]["enum"] == [key_type.value for key_type in KeyType]
    assert answer["kinds"]["items"]["enum"] == [kind.name for kind in RecordKind]
    assert answer["obligations"]["items"]["enum"] == sorted(Obligation)
    assert answer["retention"]["enum"] == list(decision.RETENTION_CLASSES)
    assert SCHEMAS["agreement"]["properties"]["status"]["enum"] == list(agreement.STATUSES)


def test_an_installed_wheel_finds_its_rules(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from gateway.opa import sources\n"
        "print(sources.root()); print(*sorted(sources.baseline()))"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert run == [str(tmp_path / "site" / "gateway" / "opa" / "policies"), " ".join(sorted(sources.baseline()))]
