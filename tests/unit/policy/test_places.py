"""The line of a value in a JSON text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy import places

TEXT = """{
  "id": "AGR",
  "parties":
    ["HND",
     "PAN"],
  "terms": {"SEC.WATCH": {"roles": ["a",
    "b"]}, "n": 3 },
  "none": []
}
"""


def test_each_value_has_its_line_and_a_field_that_of_its_name() -> None:
    found = places.lines(TEXT)
    assert found[()] == 1
    assert found[("id",)] == 2
    assert found[("parties",)] == 3
    assert found[("parties", 0)] == 4
    assert found[("parties", 1)] == 5
    assert found[("terms", "SEC.WATCH", "roles", 1)] == 7
    assert found[("terms", "n")] == 7
    assert found[("none",)] == 8


def test_what_is_missing_has_the_line_of_what_it_is_missing_from() -> None:
    found = places.lines(TEXT)
    assert places.line_of(("terms", "SEC.WATCH", "kinds"), found) == 6
    assert places.line_of(("dpia",), found) == 1
    assert places.line_of(("parties", 7), found) == 3


@pytest.mark.parametrize(
    ("text", "line"), [("", 1), ('{\n"a": 1,\n}', 3), ("[1,\n2", 2), ('{"a": NaN}', 1), ('{"a": 1,\n"a": 2}\n', 3)]
)
def test_what_is_no_json_has_a_line_too(text: str, line: int) -> None:
    with pytest.raises(ValueError):
        places.lines(text)
    assert places.line_of_fault(text) == line


def test_too_deep_is_refused() -> None:
    with pytest.raises(ValueError):
        places.lines("[" * 40 + "]" * 40)
    with pytest.raises(ValueError):
        places.lines("[" * 100_000)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        found += _paths(item, (*path, key))
    return found


@given(VALUES, st.sampled_from([None, 0, 2]), st.booleans())
def test_every_value_of_any_document_is_found_in_order(value: Any, indent: int | None, plain: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=plain)
    found = places.lines(text)
    assert list(found) == _paths(value)
    assert list(found.values()) == sorted(found.values())
    assert max(found.values()) <= text.count("\n") + 1


@given(st.text(max_size=60) | st.text(alphabet='{}[]",:0a\\ \n', max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        places.lines(text)
    except ValueError:
        assert 1 <= places.line_of_fault(text) <= text.count("\n") + 1
