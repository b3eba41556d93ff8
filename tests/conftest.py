"""What every test has: the extras' rule, and Hypothesis without a clock."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests import extras

# A busy machine is not a failing test. In CI each run draws the same examples, so that a red run is the change's fault.
settings.register_profile("limen", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("limen")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("extra"):
        name = str(mark.args[0])
        if extras.find(name) is None:
            why = f"{name} is not installed; `sh .ci/extras {name}` installs it"
            if extras.are_required():
                pytest.fail(why, pytrace=False)
            pytest.skip(why)
