"""Every call, timer and command has a row that says what it enters; nothing is entered that has no row; no entry lacks
a field that its kind must have."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.audit import kinds, leaf, seal
from gateway.audit.entry import Entry
from gateway.audit.kinds import CATALOGUE, Kind
from gateway.errors import GatewayError, InputRefused
from gateway.rpc.home_server import AUDIT_METHODS, HOME_METHODS
from gateway.rpc.server import PEER_METHODS
from tests.support import written
from tests.unit.audit.log import recipients

GATEWAY: Final = Path(__file__).parents[3] / "gateway"
TABLES: Final = (
    written.PEERS, written.HOME, written.AUDITORS, written.TIMERS, written.PROCESSES, written.COMMANDS,
)  # fmt: skip
NAMES: Final = {kind.name for kind in CATALOGUE}


def _short(path: str) -> str:
    """`/gateway.wire.v1.WatchlistService/Check` as `WatchlistService/Check`."""
    return path.rpartition(".")[2]


@pytest.mark.parametrize(("methods", "rows"), [
    (PEER_METHODS, written.PEERS), (HOME_METHODS, written.HOME), (AUDIT_METHODS, written.AUDITORS),
], ids=["peers", "home", "auditors"])  # fmt: skip
def test_every_method_of_a_door_has_a_row(methods: Mapping[str, object], rows: Mapping[str, object]) -> None:
    assert {_short(path) for path in methods} == set(rows)


def test_the_contract_has_no_method_without_a_row() -> None:
    """What the protos declare, whether it is served or not."""
    declared = set()
    for path in (GATEWAY.parent / "proto").rglob("*.proto"):
        service = ""
        for line in path.read_text("utf-8").splitlines():
            words = line.split()
            if words[:1] == ["service"]:
                service = words[1]
            if words[:1] == ["rpc"]:
                declared.add(f"{service}/{words[1].partition('(')[0]}")
    assert declared == set(written.PEERS) | set(written.HOME) | set(written.AUDITORS)


def _function(file: str, owner: str, name: str) -> ast.AST:
    for node in ast.walk(ast.parse((GATEWAY / file).read_text("utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name == owner:
            for inner in node.body:
                if isinstance(inner, ast.AsyncFunctionDef) and inner.name == name:
                    return inner
    raise AssertionError(f"{file} has no {owner}.{name}")


def _timers() -> set[str]:
    """What `Node.start` and `Writer.start` set going, by their source: `self.<path>` that a timer or task runs."""
    found = set()
    start = _function("app/node.py", "Node", "start")
    for node in ast.walk(start):
        if isinstance(node, ast.For) and ast.unparse(node.target) == "(every_s, job)":
            assert isinstance(node.iter, ast.Tuple)
            for pair in node.iter.elts:
                assert isinstance(pair, ast.Tuple)
                found.add("node." + ast.unparse(pair.elts[1]).removeprefix("self."))
    for file, owner, prefix in (("app/node.py", "Node", "node."), ("store/writer.py", "Writer", "writer.")):
        for node in ast.walk(_function(file, owner, "start")):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.create_task":
                called = node.args[0]
                assert isinstance(called, ast.Call)
                name = ast.unparse(called.func).removeprefix("self.")
                if name != "_every":
                    found.add(prefix + name)
    return found


def test_every_timer_has_a_row() -> None:
    assert _timers() == set(written.TIMERS)


def _strings(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def _written_kinds() -> set[str]:
    """Kinds that stand in the code as what an entry is made of: the first argument of `Entry`, `entry`, `_plain`."""
    found: set[str] = set()
    for path in sorted(GATEWAY.rglob("*.py")):
        if (
            "wire" in path.parts
            or path.is_relative_to(GATEWAY / "audit")
            or path.is_relative_to(GATEWAY / "cli/acts/demo")
        ):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("Entry", "entry", "_plain"):
                found |= NAMES & set(_strings(node.args[0] if node.args else node))
                if node.args and isinstance(node.args[0], ast.JoinedStr):
                    # `officer.{act}`: the words of the act are the kinds.
                    found |= {name for name in NAMES if name in ("officer.enrolled", "officer.retired")}
                if node.args and ast.unparse(node.args[0]).endswith("pairs.KIND"):
                    found.add("pair.heads")
    return found


def test_every_kind_that_the_code_writes_has_a_row_and_every_row_is_written() -> None:
    rows = {kind for table in TABLES for row in table.values() for kind in row}
    assert rows <= NAMES
    assert _written_kinds() == rows


def test_a_kind_that_nothing_writes_says_so() -> None:
    assert NAMES - _written_kinds() == set(written.NOT_WRITTEN)


def _whole(kind: Kind) -> Entry:
    """An entry of a kind with every mandatory field."""
    public: dict[str, Any] = dict.fromkeys(kind.public, "x")
    return Entry(kind.name, kind.phase, public=public, sealed_bytes=1024)


KINDS: Final = pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: f"{kind.name}.{kind.phase.value}")


@KINDS
def test_an_entry_without_a_mandatory_field_is_refused_by_who_makes_it_and_by_who_writes_it(kind: Kind) -> None:
    whole = _whole(kind)
    kinds.judge(whole)
    sealer = seal.Sealer(recipients(), bytes(32))
    prepared = leaf.prepare(whole, bytes(32), sealer)
    leaf.judge_prepared(prepared)
    for name in kind.public:
        less = {field: value for field, value in whole.public.items() if field != name}
        with pytest.raises(InputRefused, match=name):
            kinds.judge(Entry(kind.name, kind.phase, public=less))
        with pytest.raises(GatewayError):
            leaf.judge_prepared(replace(prepared, public=less))
    with pytest.raises(InputRefused, match="not declared"):
        kinds.judge(Entry(kind.name, kind.phase, public={**whole.public, "surname": "x"}))


@KINDS
def test_every_sealed_field_is_committed_to_whether_it_has_a_value_or_not(kind: Kind) -> None:
    prepared = leaf.prepare(_whole(kind), bytes(32), seal.Sealer(recipients(), bytes(32)))
    read = leaf.Leaf.parse(leaf.encode(prepared, 0, 1, 0, b""))
    assert read.commitments.keys() == {*kind.secret, *kind.guard}
    assert bool(read.sealed) == kind.is_sealed
    assert read.public.keys() == set(kind.public)
