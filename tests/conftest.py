"""What every test has: the extras' rule, Hypothesis without a clock, and the one region that tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests import extras

if TYPE_CHECKING:
    from tests.support.states import States

# A busy machine is not a failing test. In CI each run draws the same examples, so that a red run is the change's fault.
settings.register_profile("limen", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("limen")

# gRPC's C core writes to stderr when a peer goes away, which many tests make it do.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


# An embedded policy engine may be dropped only by the thread that made it. The runner has threads of its own, and a
# collection that starts in one of them would drop engines left in a failed test's traceback: so this thread collects.
gc.disable()
COLLECT_EVERY = 100
_seen = 0


def pytest_runtest_teardown() -> None:
    global _seen
    _seen += 1
    if _seen % COLLECT_EVERY == 0:
        gc.collect()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("extra"):
        name = str(mark.args[0])
        if extras.find(name) is None:
            why = f"{name} is not installed; `sh .ci/extras {name}` installs it"
            if extras.are_required():
                pytest.fail(why, pytrace=False)
            pytest.skip(why)


@pytest.fixture(scope="session")
def states() -> Iterator[States]:
    """Three states as real processes. Tests that use it stand in files named `test_states_*.py`."""
    from tests.support.states import running  # here, because most tests need neither gRPC nor the region's data

    with running() as made:
        yield made


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With `--dist loadfile`: each file on one worker, and all of a folder that use the region on the same one, so that
    it is made once for the examples and once for the faults."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder, _, name = file.rpartition("/")
            return f"states of {folder}" if name.startswith("test_states_") else file

    return Scheduling(config, log)
