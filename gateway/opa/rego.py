"""The embedded engine (regorus, Microsoft's Rego in Rust) behind the few calls we use. The only module that imports it.

An engine belongs to the thread that made it, and its panics are no `Exception` (`is_engine_fault`). After any fault an
engine is thrown away: a failed `set_input` leaves the old input in place (rego.md 1.3).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Rego:
    """One engine with its modules and data. Every method may raise what `is_engine_fault` knows."""

    def __init__(self) -> None:
        # Here, because it brings an allocator of its own into the process: commands that decide nothing do without.
        import regorus  # type: ignore[import-untyped]

        self._engine = regorus.Engine()

    def add_module(self, name: str, text: str) -> None:
        """Parse a Rego v1 module. Nothing but its syntax is checked."""
        self._engine.add_policy(name, text)

    def add_data(self, document: Mapping[str, Any]) -> None:
        """Merge a document into `data`."""
        self._engine.add_data_json(json.dumps(document))

    def set_input(self, text: str) -> None:
        """The document that rules see as `input`, as JSON.

        Never the engine's own reading of Python values: a text with half a surrogate pair makes it crash the process,
        where its JSON reader refuses it.
        """
        self._engine.set_input_json(text)

    def rule(self, path: str) -> object:
        """A rule's value in Python's types (a set as a set); None where it is undefined or null."""
        value: object = self._engine.eval_rule(path)
        return value

    def cover(self) -> None:
        """Count from now on which lines are reached."""
        self._engine.set_enable_coverage(True)

    def covered(self) -> list[tuple[str, list[int], list[int]]]:
        """Each module's name with the lines that were reached and those that were not."""
        report = json.loads(self._engine.get_coverage_report_as_json())
        return [(file["path"], file["covered"], file["not_covered"]) for file in report["files"]]

    def trees(self) -> list[dict[str, Any]]:
        """The syntax tree of each module."""
        return [dict(entry["ast"]) for entry in json.loads(self._engine.get_ast_as_json())]


def is_engine_fault(fault: BaseException) -> bool:
    """True for what the engine raises: errors, and its panics, which `except Exception` would miss."""
    return isinstance(fault, Exception) or type(fault).__name__ == "PanicException"
