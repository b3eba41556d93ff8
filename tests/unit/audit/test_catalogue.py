"""Whatever the code logs is in the catalogue, with fields that it declares."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.audit import ocsf, search
from gateway.audit.kinds import CATALOGUE

GATEWAY = Path(__file__).parents[3] / "gateway"
NAMES = {kind.name for kind in CATALOGUE}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every `Entry("kind", ...)` in the code, with its place."""
    for path in sorted(GATEWAY.rglob("*.py")):
        if "wire" in path.parts or path.is_relative_to(GATEWAY / "audit"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "Entry"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                yield f"{path.relative_to(GATEWAY)}:{node.lineno}", node


@pytest.mark.parametrize(("place", "call"), list(calls()), ids=lambda value: value if isinstance(value, str) else "")
def test_an_entry_in_the_code_is_of_the_catalogue(place: str, call: ast.Call) -> None:
    name = call.args[0]
    assert isinstance(name, ast.Constant) and name.value in NAMES, place
    declared = {
        part: {field for kind in CATALOGUE if kind.name == name.value for field in fields(kind)}
        for part, fields in (
            ("public", lambda kind: (*kind.public, *kind.optional)),
            ("secret", lambda kind: kind.secret),
            ("guard", lambda kind: kind.guard),
        )
    }
    for keyword in call.keywords:
        if keyword.arg in declared and isinstance(keyword.value, ast.Dict):
            literal = {key.value for key in keyword.value.keys if isinstance(key, ast.Constant)}
            assert literal <= declared[keyword.arg], f"{place}: {literal - declared[keyword.arg]}"


def test_the_search_finds_them() -> None:
    assert len(list(calls())) >= 10


def test_what_was_denied_is_found_as_denied_and_acts_upon_lists_have_an_activity() -> None:
    denied = {name for name in NAMES if name.endswith(".denied")}
    assert denied <= search._DENIED <= NAMES and search._FAILED <= NAMES and search._TO_THE_PEER <= NAMES
    assert ocsf._ACTIVITY.keys() <= NAMES
    assert {name for name in NAMES if name.startswith(("protection.", "list."))} <= ocsf._ACTIVITY.keys()
