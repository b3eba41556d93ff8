"""Each rule that gives a reason says what it depends on; what depends on a person is never spoken (T4, decision 7)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.errors import InputRefused
from gateway.opa import depends, sources
from tests.extras import ROOT

MODULES = sorted((ROOT / "policies").rglob("*.rego"))

HEAD = "package limen.national.sharing\n\n"
SAID = '# METADATA\n# title: A title\n# custom:\n#   depends_on: {0}\n{1} contains "agency" if input.agency == 1\n'


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_every_rule_that_ships_says_what_it_depends_on(path: Path) -> None:
    depends.judge(path.name, path.read_text(encoding="ascii"))


@pytest.mark.parametrize("path", [path for path in MODULES if not path.name.endswith("_test.rego")])
def test_no_rule_loses_its_annotation_unseen(path: Path) -> None:
    text = path.read_text(encoding="ascii")
    for said in re.finditer(r"^#   depends_on: \w+\n", text, re.MULTILINE):
        with pytest.raises(InputRefused, match="depends_on"):
            depends.judge(path.name, text[: said.start()] + text[said.end() :])


def test_reasons_depend_on_the_request_and_what_is_withheld_on_the_person() -> None:
    depends.judge("x", HEAD + SAID.format("request", "reasons"))
    depends.judge("x", HEAD + SAID.format("person", "withheld"))
    for wrong in (("person", "reasons"), ("request", "withheld"), ("both", "reasons")):
        with pytest.raises(InputRefused) as refusal:
            depends.judge("x", HEAD + SAID.format(*wrong))
        assert refusal.value.line == 7


@pytest.mark.parametrize(
    "rule",
    [
        'reasons contains "agency" if input.agency == 1\n',
        '# depends_on: request\nreasons contains "agency"\n',
        '# METADATA\n# custom:\n#   depends_on: request\n\nreasons contains "agency"\n',
        'reasons := {"agency"}\n',
    ],
)
def test_a_rule_that_does_not_say_it_is_refused(rule: str) -> None:
    with pytest.raises(InputRefused, match="a rule of reasons must say depends_on: request"):
        depends.judge("x", HEAD + rule)


def test_own_rules_without_it_are_not_built(tmp_path: Path) -> None:
    place = tmp_path / "limen" / "national" / "sharing"
    place.mkdir(parents=True)
    shipped = (ROOT / "policies" / "limen" / "national" / "sharing" / "sharing.rego").read_text(encoding="ascii")
    (place / "sharing.rego").write_text(shipped)
    assert list(sources.own_rules(tmp_path)) == ["limen/national/sharing/sharing.rego"]
    (place / "sharing.rego").write_text(shipped + '\nreasons contains "agency" if input.agency == 1\n')
    with pytest.raises(InputRefused, match="depends_on"):
        sources.own_rules(tmp_path)
