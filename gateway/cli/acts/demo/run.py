"""The run as it goes: its nodes, the lines between them, and how a step is told, checked and kept for the report."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.cli.acts.demo import vantage
from gateway.cli.acts.demo.line import Line
from gateway.cli.acts.nodes import BASIS, Nodes, Ran, must
from gateway.cli.report.picture import Crossing
from gateway.cli.report.record import Learned, LogSize, OnTheWire, Step, Verification, VerifyStep, View

COUNTS: Final = {3: "three", 5: "five"}
SETTLE_S: Final = 60.0
NAMES: Final = {"PAN": "Panama", "HND": "Honduras", "UTO": "Utopia", "GTM": "Guatemala", "MEX": "Mexico"}


@dataclass
class Run:
    """The run. `nodes` drives it, `region` is the invented data with its truth, `lines` lie before the gateways."""

    nodes: Nodes
    region: Any
    lines: Mapping[str, Line]
    quiet: bool
    started: float
    made_at: str
    steps: list[Step] = field(default_factory=list)
    wire: list[OnTheWire] = field(default_factory=list)
    logs: list[LogSize] = field(default_factory=list)
    verifications: list[Verification] = field(default_factory=list)
    crossing: Crossing = field(default_factory=lambda: Crossing("HND", "PAN", 8, 0, 0, 0))
    carried: dict[str, str] = field(default_factory=dict)
    """What a later step goes on with: numbers of cases, a release and its document."""
    _screen: str = ""
    _at: str = ""
    _beneath: list[str] = field(default_factory=list)
    _drawing: str = ""

    # -- Telling ------------------------------------------------------------------------------------------------------

    @property
    def ok(self) -> bool:
        """Whether every step so far came out as said."""
        return all(step.ok for step in self.steps)

    @property
    def many(self) -> str:
        """How many states, in a word."""
        return COUNTS[len(self.nodes.nodes)]

    def say(self, text: str = "") -> None:
        """One line of the narration."""
        if not self.quiet:
            print(text, flush=True)

    def screen(self, text: str, at: str = "") -> None:
        """What the officer of this step has on the screen: the asking state's, or the one's named `at`."""
        self._screen, self._at = text.strip("\n"), at

    def beneath(self, *lines: str) -> None:
        """What crossed in this step under the encryption, where a store keeps it."""
        self._beneath.extend(lines)

    def draw(self, drawing: str) -> None:
        """A drawing of this step's result."""
        self._drawing = drawing

    def step(
        self,
        title: str,
        story: str,
        command: str,
        expected: str,
        act: Callable[[], tuple[str, bool]],
        learned: Iterable[Learned] = (),
        between: tuple[str, str] | None = None,
    ) -> None:
        """Do one thing, say what came out, and keep it for the report, with what was seen `between` (asker, owner)."""
        self._screen, self._at, self._drawing = "", "", ""
        self._beneath.clear()
        begun = vantage.mark(self.nodes, self.lines, *between) if between else None
        start = time.monotonic()
        try:
            got, ok = act()
        except Exception as failed:
            got, ok = f"{type(failed).__name__}: {failed}", False
        took_ms = (time.monotonic() - start) * 1000
        seen: tuple[View, ...] = ()
        if begun is not None:
            seen = vantage.views(self.nodes, self.lines, begun, self._screen, self._at, self._beneath)
        self.steps.append(
            Step(title, story, command, expected, got, ok, took_ms, tuple(learned), seen, drawing=self._drawing)
        )
        self.say(f"{'ok  ' if ok else 'FAIL'} {len(self.steps):>2}. {title}")
        for line in got.splitlines()[: 12 if ok else 40]:
            self.say(f"        {line}")
        for one in learned:
            self.say(f"        {one.party} learned: {one.what}")

    # -- Asking -------------------------------------------------------------------------------------------------------

    def ask(self, name: str) -> tuple[Ran, dict[str, Any], bool]:
        """Put one of the fixed travellers' questions, and compare with what the data says must come out."""
        traveller = self.region.traveller(name)
        return self.compare(traveller, traveller.expected)

    def compare(self, traveller: Any, want: Any) -> tuple[Ran, dict[str, Any], bool]:
        """Put a traveller's question; True where all that came out is what had to."""
        zone = "\n".join((*traveller.passport.mrz(), "")).encode()
        more = ("--protection",) if traveller.protection_declared else ()
        ran = self.nodes.check(traveller.asked_by, traveller.purpose, zone, *more)
        got: dict[str, Any] = json.loads(ran.out) if ran.out.strip() else {}
        hits = sorted((h["owner"], h["kind"], h["class"], h["screening_required"]) for h in got.get("hits", []))
        wanted = sorted((h.owner, h.kind, h.match, h.screening_required) for h in want.hits)
        ok = (
            ran.code == want.exit_code
            and got.get("outcome", "") == want.outcome
            and got.get("unreachable", []) == list(want.unreachable)
            and hits == wanted
        )
        self.screen(ran.out or ran.err)
        return ran, got, ok

    def command(self, name: str) -> str:
        """The question as it is typed."""
        traveller = self.region.traveller(name)
        more = " --protection" if traveller.protection_declared else ""
        return (
            f'limen check --purpose {traveller.purpose} --basis "{BASIS}" --case SHIFT-1{more} '
            f"< {name}.mrz        (at a booth of {traveller.asked_by})"
        )

    # -- Reading ------------------------------------------------------------------------------------------------------

    def verified(self, title: str, ran: Ran, *, expected_ok: bool) -> None:
        """Keep what a verification said, for the report."""
        told = ran.json
        self.verifications.append(
            Verification(
                title=title,
                origin=told["origin"],
                size=told["size"],
                root=told["root"],
                ok=told["ok"],
                expected_ok=expected_ok,
                steps=tuple(VerifyStep(one["step"], one["ok"], one["detail"]) for one in told["steps"]),
                proved=tuple(told.get("proved", ())),
                not_proved=tuple(told.get("not_proved", ())),
            )
        )

    def entries(self, state: str, kind: str, *, reader: str = "") -> list[dict[str, Any]]:
        """Entries of a state's published log, as an auditor reads them in an export."""
        node = self.nodes[state]
        # The entry of the last check is published with the next checkpoint.
        until = time.monotonic() + SETTLE_S
        want = self._durable(state)
        while self._published(state) < want and time.monotonic() < until:
            time.sleep(0.1)
        export = self.nodes.root / "peek" / state
        shutil.rmtree(export, ignore_errors=True)
        must("audit", "export", str(export), "--config", str(node.folder), "--cosignatures", "0")
        key = ("--reader-key", str(node.folder / "handover" / f"{reader}.key")) if reader else ()
        rows: list[dict[str, Any]] = must("--json", "audit", "show", str(export), "--kind", kind, *key).json
        return rows

    def _durable(self, state: str) -> int:
        with vantage.reading(self.nodes[state]) as reader:
            return reader.size()

    def _published(self, state: str) -> int:
        return int(must("--json", "audit", "head", "--config", str(self.nodes[state].folder)).json["size"])

    def log_lines(self, state: str) -> list[dict[str, Any]]:
        """What its processes said, as far as it is JSON."""
        lines = []
        for line in self.nodes[state].log_file.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                lines.append(json.loads(line))
        return lines

    def checks_seen(self, state: str) -> list[dict[str, Any]]:
        """The checks that came to its door, by its own log lines."""
        return [
            line
            for line in self.log_lines(state)
            if line.get("door") == "peers" and line.get("method") == "WatchlistService/Check"
        ]

    def raw_log(self, state: str) -> bytes:
        """What its processes said, and the database's newest pages."""
        store = self.nodes[state].folder / "store"
        wal = store / "node.db-wal"
        return self.nodes[state].log_file.read_bytes() + (wal.read_bytes() if wal.exists() else b"")


def done(ran: Ran) -> Any:
    """The command's document. Raises RuntimeError with its own words."""
    if ran.code != 0:
        raise RuntimeError(f"limen {' '.join(ran.argv[:4])}: exit {ran.code}: {ran.err.strip()}")
    return ran.json


__all__ = ["BASIS", "NAMES", "SETTLE_S", "Run", "done"]
