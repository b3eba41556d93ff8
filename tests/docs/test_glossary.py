"""The glossary and the shared words say the same."""

from __future__ import annotations

import enum
import inspect
import re

import pytest

import gateway.terms
from gateway.terms import exchange, hidden, ids, words
from tests.extras import ROOT

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text("utf-8")
NAMED = set(re.findall(r"`([^`\n]+)`", GLOSSARY))


def public_names() -> list[str]:
    """What the modules of `terms` define for others."""
    defined = set(gateway.terms.__all__)
    for module in (exchange, hidden, ids, words):
        for name, value in vars(module).items():
            if not name.startswith("_") and inspect.isclass(value) and value.__module__ == module.__name__:
                defined.add(name)
    return sorted(defined)


def vocabularies() -> list[type[enum.Enum]]:
    return [
        value
        for value in vars(words).values()
        if inspect.isclass(value) and issubclass(value, enum.Enum) and list(value)
    ]


@pytest.mark.parametrize("name", public_names())
def test_every_shared_word_has_its_line(name: str) -> None:
    assert name in NAMED


@pytest.mark.parametrize("vocabulary", vocabularies(), ids=lambda kind: kind.__name__)
def test_every_value_of_a_vocabulary_stands_in_its_row(vocabulary: type[enum.Enum]) -> None:
    rows = [line for line in GLOSSARY.splitlines() if line.startswith(f"| `{vocabulary.__name__}` |")]
    assert len(rows) == 1
    told = set(re.findall(r"`([^`]+)`", rows[0])) - {vocabulary.__name__}
    values = {member.value if isinstance(member.value, str) else member.name for member in vocabulary}
    assert told == values


def test_the_glossary_names_nothing_that_is_gone() -> None:
    known = (
        set(public_names())
        | {str(m.value) for v in vocabularies() for m in v}
        | {m.name for v in vocabularies() for m in v}
    )
    code_like = {name for name in NAMED if re.fullmatch(r"[A-Z][a-z]\w+", name)}
    assert code_like - known == set()
