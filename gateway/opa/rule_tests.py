"""The tests that stand beside rules, run in the embedded engine: no other program is needed.

As `opa test` does it: every rule whose name begins with `test_` passes where its value is defined and not false;
`todo_test_` is left out. Coverage is of lines with an expression, by the engine's own count: a line is reached when it
was evaluated, also on the way to another rule of its package, so that a rule which no test names can count as reached
up to the condition at which it ended. `opa test --coverage`, which counts more sharply, runs over the shipped rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import InputRefused
from gateway.opa.content import tests_of
from gateway.opa.rego import Rego, is_engine_fault

MODULES_MAX: Final = 1_000
"""Files of rules in one run."""

_PLACE: Final = re.compile(r"-->\s*.*?:(\d+):\d+\s*$", re.MULTILINE)
_WORDS: Final = re.compile(r"^error: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Tried:
    """One test: its package, its name, whether it passed, and the engine's words where it broke."""

    package: str
    name: str
    passed: bool
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """One file: how many lines were reached, and the lines that were not."""

    file: str
    reached: int
    missed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole run. `coverage` is of the files that hold rules, not of those that hold tests."""

    tests: tuple[Tried, ...]
    coverage: tuple[Coverage, ...]

    @property
    def failed(self) -> tuple[Tried, ...]:
        """The tests that did not pass."""
        return tuple(test for test in self.tests if not test.passed)

    @property
    def per_cent(self) -> float:
        """Lines reached of all lines with an expression; 100 where there is none."""
        reached = sum(file.reached for file in self.coverage)
        lines = reached + sum(len(file.missed) for file in self.coverage)
        return 100 * reached / lines if lines else 100.0


def run(modules: Mapping[str, str], data: Mapping[str, Any]) -> Outcome:
    """Run every test in `modules` (Rego v1 by file name) over `data`, the whole document.

    Raises:
        InputRefused: a module does not parse; names file, line and what the engine expected. There are too many.
    """
    if len(modules) > MODULES_MAX:
        raise InputRefused(f"more than {MODULES_MAX} files of rules", code="POLICY")
    found = {name: tests_of(name, text) for name, text in sorted(modules.items()) if parses(name, text)}
    rego = Rego()
    for name, text in sorted(modules.items()):
        rego.add_module(name, text)
    rego.add_data(data)
    rego.cover()
    tests = tuple(_tried(rego, package, test) for package, names in found.values() for test in names)
    holding_tests = {name for name, (_, names) in found.items() if names}
    coverage = tuple(
        Coverage(name, len(reached), tuple(missed))
        for name, reached, missed in rego.covered()
        if name not in holding_tests
    )
    return Outcome(tests, coverage)


def parses(name: str, text: str) -> bool:
    """True for a module. Raises InputRefused with the line and the engine's words otherwise."""
    if not text.isascii():
        raise InputRefused(f"{name}: rules are written in ASCII", code="POLICY")
    try:
        Rego().add_module(name, text)
    except BaseException as fault:
        if not is_engine_fault(fault):
            raise
        line, words = _said(fault)
        raise InputRefused(f"{name}: {words}", line=line, code="POLICY") from None
    return True


def _tried(rego: Rego, package: str, name: str) -> Tried:
    try:
        value = rego.rule(f"data.{package}.{name}")
    except BaseException as fault:
        if not is_engine_fault(fault):
            raise
        line, words = _said(fault)
        return Tried(package, name, False, f"line {line}: {words}" if line else words)
    return Tried(package, name, value is not None and value is not False)


def _said(fault: BaseException) -> tuple[int | None, str]:
    """The line that the engine points at, and its one sentence."""
    place, words = _PLACE.search(str(fault)), _WORDS.search(str(fault))
    return int(place.group(1)) if place else None, words.group(1).strip() if words else "does not parse as Rego v1"
