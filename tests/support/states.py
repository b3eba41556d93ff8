"""Three states as real processes, a proxy in front of each one's gateway: what e2e and fault tests share.

One region serves every test of a worker, because making it takes longer than most tests. A test that breaks something
puts it right again before it ends, and says so by `States.whole`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.region.generate import DEFAULT_CLOCK, Region, make_region
from examples.region.travellers import Passport, Traveller
from gateway.app import due, faults
from gateway.audit import checkpoint, note
from gateway.audit.leaf import Leaf
from gateway.cli.acts.nodes import Nodes, Ran, limen, must
from gateway.store.reader import Reader
from gateway.terms import ListId, PeerId
from tests.region import LOOPBACK, Proxy, proxied, wait_for, wait_for_port_file

ROOT = Path(__file__).resolve().parents[2]

AGENCIES = {"PAN": "SNM", "HND": "INM", "UTO": "UBG"}

ENTRIES = 40
"""Rows a state: the fixed travellers' and some company. Tables are padded anyway."""

CHECK_MS = 4000
"""How long these nodes wait for each other in a check. Long enough for a busy machine, short enough for a dead peer."""

TOKEN_S = 400.0
"""Tokens last 600 s."""

POINTS = (
    *(f"gateway.{kind}.{phase}.{place}" for kind in ("check.ask", "check.answer") for phase in ("intent", "outcome")
      for place in ("before", "after")),
    *(f"gateway.{kind}.event.{place}" for kind in ("case.act", "case.sent", "case.taken")
      for place in ("before", "after")),
    *(f"writer.{place}" for place in ("begun", "written", "committed")),
    *(f"keys.{place}_sign" for place in ("before", "after")),
    *(f"jobs.table.published.event.{place}" for place in ("before", "after")),
    *(f"gateway.{kind}.event.{place}" for kind in ("release.charged", "release.sent") for place in ("before", "after")),
    *(f"statistics.release.made.{phase}.{place}" for phase in ("intent", "outcome") for place in ("before", "after")),
)  # fmt: skip
"""Where a test can kill a process (`gateway.app.faults`)."""

SETTINGS = {
    "peers.check_timeout_ms": str(CHECK_MS),
    "faults.points": json.dumps([f"{point}=kill" for point in POINTS]),
}


@dataclass(frozen=True, slots=True)
class States:
    """The region. `nodes` drives it, `data` is what its lists hold, `proxies` lie in front of each state's gateway."""

    root: Path
    nodes: Nodes
    data: Region
    proxies: dict[str, Proxy]
    logged_in: dict[str, float] = field(default_factory=dict)

    # -- Asking -------------------------------------------------------------------------------------------------------

    def ask(self, traveller: str | Traveller, *more: str) -> Ran:
        """One of the fixed travellers at the booth of the story."""
        who = self.data.traveller(traveller) if isinstance(traveller, str) else traveller
        flags = ["--protection"] if who.protection_declared else []
        return self.scan(who.asked_by, who.passport, *flags, *more, purpose=who.purpose)

    def scan(self, state: str, passport: Passport, *more: str, purpose: str = "SEC.WATCH") -> Ran:
        """A passport's two lines at a state's booth."""
        self.login(state)
        return self.nodes.check(state, purpose, mrz(passport), *more)

    def login(self, state: str) -> None:
        """Log an officer in, unless the token of the last time still holds for a while."""
        if time.monotonic() > self.logged_in.get(state, 0.0) + TOKEN_S:
            self.nodes.login(state)
            self.logged_in[state] = time.monotonic()

    # -- Reading ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def reading(self, state: str) -> Iterator[Reader]:
        """The state's database, as it is now."""
        reader = Reader(self.folder(state) / "store", self.folder(state) / "periods")
        try:
            yield reader
        finally:
            reader.close()

    def size(self, state: str) -> int:
        """Entries of the state's log that are durable."""
        with self.reading(state) as reader:
            return reader.size()

    def leaves(self, state: str, start: int = 0, kind: str = "") -> list[Leaf]:
        """Entries from number `start` on, all or of one kind."""
        with self.reading(state) as reader:
            read = [Leaf.parse(data) for data in reader.leaves(start, reader.size())]
        return [leaf for leaf in read if not kind or leaf.kind == kind]

    def payload(self, state: str, seq: int) -> bytes:
        """An entry's sealed payload, b"" where it has none."""
        with self.reading(state) as reader:
            return reader.payload(seq) or b""

    def folder(self, state: str) -> Path:
        """The state's node directory."""
        return self.nodes[state].folder

    def metrics(self, state: str) -> bytes:
        """The page that Prometheus reads."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{LOOPBACK}:{self.nodes[state].ports['metrics']}/metrics", timeout=10) as page:
            return bytes(page.read())

    # -- Breaking and mending -----------------------------------------------------------------------------------------

    def arm(self, state: str, point: str) -> Path:
        """Kill the process of `point` when it next gets there; the file is gone when it has."""
        process, _, place = point.partition(".")
        file = faults.points_of(self.nodes[state].settings, process).file(place)
        file.touch()
        return file

    def kill(self, state: str, process: str) -> None:
        """SIGKILL, and wait until its successor is ready."""
        ready = self.folder(state) / "run" / f"{process}.ready"
        pid = ready.read_text()
        os.kill(int(pid), signal.SIGKILL)
        wait_for(lambda: _text(ready) not in ("", pid), what=f"{state}'s {process} again", timeout_s=30)

    @contextlib.contextmanager
    def unreachable(self, *states: str) -> Iterator[None]:
        """Nobody reaches these states' gateways meanwhile."""
        for state in states:
            self.proxies[state].refusing = True
            self.proxies[state].cut()
        try:
            yield
        finally:
            for state in states:
                self.proxies[state].refusing = False

    def until(self, found: Callable[[], bool], what: str, timeout_s: float = 40.0) -> None:
        """Wait; an error on the way counts as not yet. What the nodes said last is told where it was in vain."""
        last = [""]

        def tried() -> bool:
            try:
                last[0] = ""
                return found()
            except Exception as error:
                last[0] = repr(error)
                return False

        try:
            wait_for(tried, what=what, timeout_s=timeout_s)
        except TimeoutError as late:
            tails = [node.log_file.read_text(errors="replace")[-1500:] for node in self.nodes.nodes.values()]
            raise AssertionError("\n".join([str(late), *last, *tails])) from None

    def whole(self, *askers: str) -> None:
        """Until a check at each asker's booth is answered by everybody."""
        miss = self.data.traveller("miss").passport
        for state in askers or self.nodes.nodes:
            self.until(lambda state=state: self._answered(state, miss), f"{state} asks everybody")  # type: ignore[misc]

    def _answered(self, state: str, passport: Passport) -> bool:
        """Ask once, and pause after a no: owners count refusals (T19) and stop listening."""
        if self.scan(state, passport).code == 0:
            return True
        time.sleep(1.0)
        return False

    def settled(self) -> None:
        """Until every table that is due is made and has arrived."""
        now = self.nodes.now_ns()
        made = lambda: not any(due.is_due(node.settings, now) for node in self.nodes.nodes.values())  # noqa: E731
        self.until(made, "tables are made")
        self.nodes.wait_tables()

    # -- Lists --------------------------------------------------------------------------------------------------------

    def load(self, state: str, list_id: ListId, rows: bytes) -> Ran:
        """More rows for a list, signed by two officers."""
        file = self.root / f"{state}.{list_id.value}.csv"
        file.write_bytes(rows)
        return self.nodes.load(state, list_id, file)

    # -- Auditing -----------------------------------------------------------------------------------------------------

    def export(self, state: str, to: Path, *, cosignatures: int = 1) -> Path:
        """The state's log as a folder, up to a checkpoint that covers everything durable now."""
        size = self.size(state)

        def covered() -> bool:
            with self.reading(state) as reader:
                held = reader.last_checkpoint(cosignatures)
            return held is not None and checkpoint.parse(note.parse(held[0]).text).size >= size

        self.until(covered, f"a cosigned checkpoint of {state} covers everything")
        must("-q", "audit", "export", str(to), "--config", str(self.folder(state)), "--cosignatures", str(cosignatures))
        return to

    def card(self, state: str, to: Path, *more: str) -> Path:
        """An auditor's card of public keys for the state's log, made from the list of members alone."""
        must("-q", "audit", "card", "--federation", str(self.nodes.members), "--state", state, "-o", str(to), *more)
        return to

    def verify(self, export: Path, card: Path, *more: str) -> Ran:
        """`limen audit verify --json`. The auditor's one file, which has no reader's key, must say the same."""
        ran = limen("--json", "audit", "verify", str(export), "--trust", str(card), *more)
        if "--reader-key" not in more:
            words = [sys.executable, "-I", "-S", str(ROOT / "examples" / "limen_verify.py"), str(export), "--json"]
            alone = subprocess.run(
                [*words, "--trust", str(card), *more], capture_output=True, text=True, timeout=120, check=False
            )
            assert alone.returncode == ran.code, alone.stderr
            if alone.stdout:
                assert _verdict(json.loads(alone.stdout)) == _verdict(ran.json)
        return ran

    def audit(self, state: str, to: Path) -> Ran:
        """Export with as many cosignatures as a card asks for by default (more than half), make a card, verify."""
        to.mkdir(parents=True, exist_ok=True)
        quorum = (len(self.nodes.nodes) - 1) // 2 + 1
        return self.verify(self.export(state, to / "export", cosignatures=quorum), self.card(state, to / "card"))


def _verdict(report: dict[str, Any]) -> list[Any]:
    """What two verifiers must agree on."""
    steps = [(step["step"], step["ok"], step.get("position")) for step in report["steps"]]
    return [steps, *(report[name] for name in ("ok", "origin", "size", "root", "cosignatures"))]


def mrz(passport: Passport) -> bytes:
    """The two lines as a reader sends them."""
    return "\n".join(passport.mrz()).encode()


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError:
        return ""


WATCH = """
import os, shutil, signal, sys, time
root = sys.argv[1]
sys.stdin.buffer.read()
for number in (signal.SIGTERM, signal.SIGKILL):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if root.encode() + b"/" in file.read() and int(name) != os.getpid():
                    os.kill(int(name), number)
                    found.append(name)
        except OSError:
            pass
    if not found:
        break
    time.sleep(8)
if len(sys.argv) == 2:
    shutil.rmtree(root, ignore_errors=True)
"""
"""Outlives the tests: once they are gone, in whatever way, their nodes are ended and their folder is removed."""


@contextlib.contextmanager
def watched(root: Path) -> Iterator[None]:
    """Have the region ended when we are: a test run that is killed leaves no nodes behind."""
    keep = ["keep"] if os.environ.get("LIMEN_KEEP_REGION") else []
    process = subprocess.Popen(
        [sys.executable, "-c", WATCH, str(root), *keep], stdin=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    try:
        yield
    finally:
        process.stdin.close()
        process.wait()


@contextlib.contextmanager
def running(
    agencies: dict[str, str] = AGENCIES,
    *,
    entries: int = ENTRIES,
    settings: dict[str, str] = SETTINGS,
    before_start: Callable[[Nodes], None] = lambda _nodes: None,
) -> Iterator[States]:
    """Make, start, load, log in; stop and remove at the end. `LIMEN_KEEP_REGION=1` keeps the folders."""
    # Not pytest's own folder: a socket's path has to be short.
    root = Path(tempfile.mkdtemp(prefix="limen-", dir="/tmp"))
    shift_ns = int(DEFAULT_CLOCK.timestamp() * 1e9) - time.time_ns()
    with contextlib.ExitStack() as stack:
        stack.enter_context(watched(root))
        proxies = {state: stack.enter_context(proxied(LOOPBACK, 0)) for state in agencies}
        nodes = Nodes(
            root,
            agencies,
            shift_ns=shift_ns,
            settings=settings,
            endpoints={state: f"{LOOPBACK}:{proxy.port}" for state, proxy in proxies.items()},
        )
        for state, proxy in proxies.items():
            proxy.target = (LOOPBACK, nodes[state].ports["peers"])
        nodes.make()
        before_start(nodes)
        stack.callback(nodes.stop)
        nodes.start()
        states = States(root, nodes, make_region(entries=entries), proxies)
        states.data.write(root / "data")
        for state in agencies:
            nodes.load(state, ListId.PERSONS, root / "data" / state / "persons.csv")
            nodes.load(state, ListId.DOCUMENTS, root / "data" / state / "documents.csv")
        states.settled()
        yield states


@contextlib.contextmanager
def plain(agencies: dict[str, str], region: Region) -> Iterator[Nodes]:
    """Nodes without proxies that hold the region's lists; stopped and removed at the end."""
    root = Path(tempfile.mkdtemp(prefix="limen-", dir="/tmp"))
    shift_ns = int(DEFAULT_CLOCK.timestamp() * 1e9) - time.time_ns()
    with contextlib.ExitStack() as stack:
        stack.enter_context(watched(root))
        nodes = Nodes(root, agencies, shift_ns=shift_ns)
        nodes.make()
        stack.callback(nodes.stop)
        nodes.start()
        region.write(root / "data")
        for state in agencies:
            nodes.load(state, ListId.PERSONS, root / "data" / state / "persons.csv")
            nodes.load(state, ListId.DOCUMENTS, root / "data" / state / "documents.csv")
        nodes.wait_tables()
        yield nodes


def owners(ran: Ran) -> Sequence[PeerId]:
    """Whose entries an answer shows."""
    return [PeerId(hit["owner"]) for hit in ran.json["hits"]]


@dataclass(frozen=True, slots=True)
class Liar:
    """A hostile owner in a state's place (`tests.support.hostile_owner`)."""

    folder: Path

    def feel(self, mood: str) -> None:
        """How it answers from now on."""
        (self.folder / "mood").write_text(mood, "ascii")

    def seen(self) -> list[dict[str, str]]:
        """Every check that reached it, as it came over the wire: header, signature and body in hex."""
        file = self.folder / "seen"
        return [json.loads(line) for line in file.read_text("ascii").splitlines()] if file.exists() else []


@contextlib.contextmanager
def replaced(states: States, state: str, *, asked_by: str) -> Iterator[Liar]:
    """A liar with the state's own keys stands behind the state's address meanwhile."""
    folder = states.root / f"liar-{state}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    liar = Liar(folder)
    liar.feel("honest")
    proxy = states.proxies[state]
    target = proxy.target
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.hostile_owner", str(states.folder(state)), str(folder)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        proxy.target = (LOOPBACK, wait_for_port_file(folder / "port", timeout_s=30, process=process))
        proxy.cut()
        states.whole(asked_by)
        yield liar
    finally:
        process.terminate()
        process.wait(20)
        proxy.target = target
        proxy.cut()
        states.whole(asked_by)
