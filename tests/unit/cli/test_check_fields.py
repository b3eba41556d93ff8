"""Help names the fields that the reader takes."""

from __future__ import annotations

from gateway_adapters import traveller

from gateway.cli import check


def test_the_fields_that_help_names_are_the_readers() -> None:
    assert check.FIELDS.split(", ") == sorted(traveller.FIELDS)
