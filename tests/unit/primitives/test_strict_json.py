"""The strict reader of JSON text."""

from __future__ import annotations

import pytest

from gateway.primitives import strict_json


def test_plain_json_is_read() -> None:
    assert strict_json.loads('{"a": [1, 2.5, null, "x"]}') == {"a": [1, 2.5, None, "x"]}


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', "NaN", "[Infinity]", "[-Infinity]", "{", "", "[" * 100_000],
    ids=["twice", "twice inside", "nan", "infinity", "minus infinity", "cut", "empty", "deep"],
)
def test_loose_ends_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        strict_json.loads(text)


def test_numbers_are_judged_as_written() -> None:
    assert strict_json.loads("[1, 2]", parse_int=str) == ["1", "2"]
    with pytest.raises(ValueError):
        strict_json.loads("[1, 2.0]", parse_float=strict_json.refuse)
