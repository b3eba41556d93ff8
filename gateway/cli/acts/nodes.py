"""Several states' nodes as real processes on this machine: what the demonstration, the tests and the benches drive.

Everything is made by the same commands that people type; only what would ask for a passphrase again and again is done
with the key opened once.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

from gateway import config
from gateway.app import due
from gateway.cli import main as cli
from gateway.cli.verbs import SIGNED
from gateway.clock import VirtualClock, set_shift
from gateway.config import Config
from gateway.federation import statement
from gateway.keyring import personal
from gateway.policy import catalogue
from gateway.terms import Hidden, ListId, Role

PASSPHRASE = "demonstration only"
TOKEN_S = 400.0
"""Tokens last 600 s."""

DESK: Mapping[str, Sequence[Role]] = {
    "desk-1": (Role.DESK_NATIONAL,),
    "desk-2": (Role.DESK_NATIONAL,),
    "approver-1": (Role.SUPERVISOR,),
    "protection-1": (Role.PROTECTION_OFFICER,),
    "child-1": (Role.CHILD_PROTECTION,),
}
"""Who follows a hit in a state of a demonstration."""

STATISTICIANS: Mapping[str, Sequence[Role]] = {
    "analyst-1": (Role.ANALYST_NATIONAL,),
    "supervisor-1": (Role.SUPERVISOR,),
}
"""Who loads events and asks for statistics in a state of a demonstration."""

BASIS = "bilateral agreement"
LISTING_BASIS = "national immigration act"
EVENTS_DECISION = "STAT-1"
START_S = 30.0

FAST_TICKS = {
    "ticks.publish_s": "1",
    "ticks.fetch_s": "1",
    "ticks.cosign_s": "1",
    "ticks.checkpoint_s": "1",
    "ticks.case_s": "1",
    "statistics.tick_s": "1",
    "peers.check_timeout_ms": "10000",
}
"""A demonstration does not wait a quarter of an hour for a table, and a busy laptop is not a peer that is down."""

LISTENERS = ("peers", "home", "auditors", "metrics")


@dataclass(frozen=True, slots=True)
class Ran:
    """One command line that was run, and what came out."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Any:
        """Standard output as the document that `--json` promises."""
        return json.loads(self.out)


def limen(*argv: str, stdin: bytes = b"") -> Ran:
    """Run one command in this process, as a shell would: own standard streams, an exit code."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.stdin
    started = time.monotonic()
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = cli.run(argv)
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdin = before
    return Ran(tuple(argv), code, out.getvalue(), err.getvalue(), time.monotonic() - started)


def must(*argv: str, stdin: bytes = b"") -> Ran:
    """As `limen`, but a failure is an error with the command's own words."""
    ran = limen(*argv, stdin=stdin)
    if ran.code != 0:
        raise RuntimeError(f"limen {' '.join(argv)}: exit {ran.code}: {ran.err.strip() or ran.out.strip()}")
    return ran


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now, all different.

    They lie below those that the system gives to outgoing connections: between now and the moment a node listens there,
    no connection of anybody's takes one.
    """
    first = _PORTS_FROM if _EPHEMERAL_FROM > 2 * _PORTS_FROM else _EPHEMERAL_FROM // 2
    found: dict[int, None] = {}
    for _ in range(_PORT_TRIES):
        port = first + secrets.randbelow(_EPHEMERAL_FROM - first)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            found[port] = None
        if len(found) == count:
            return list(found)
    raise RuntimeError("there are not enough free ports on this machine")


def _ephemeral_from() -> int:
    """The first port that the system gives to outgoing connections."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 32768


_PORTS_FROM = 12_000
_PORT_TRIES = 4_000
_EPHEMERAL_FROM = _ephemeral_from()


@dataclass
class Node:
    """One state's node."""

    state: str
    agency: str
    folder: Path
    ports: dict[str, int]
    officers: dict[str, Path] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Config:
        """As its processes read them."""
        return config.load(self.folder)

    @property
    def booth(self) -> Path:
        """The workstation's folder."""
        return self.folder / "booth"

    @property
    def log_file(self) -> Path:
        """What its processes say on standard error."""
        return self.folder / "node.log"

    def listening(self) -> list[str]:
        """The arguments of `limen init` that say where it listens."""
        return [part for name in LISTENERS for part in (f"--{name}", f"127.0.0.1:{self.ports[name]}")]

    def pids(self) -> dict[str, int]:
        """Process id of each of the node's processes, from their ready files."""
        found = {}
        for path in (self.folder / "run").glob("*.ready"):
            with contextlib.suppress(OSError, ValueError):
                found[path.stem] = int(path.read_text("ascii"))
        return found


class Nodes:
    """A federation of nodes below one folder. `agencies` is by state, in the order they are made.

    `endpoints` replaces where a peer is said to listen, to put a proxy between. Socket paths are short because `root`
    must be.
    """

    def __init__(
        self,
        root: Path,
        agencies: Mapping[str, str],
        *,
        shift_ns: int = 0,
        settings: Mapping[str, str] | None = None,
        endpoints: Mapping[str, str] | None = None,
        threshold: int | None = None,
    ) -> None:
        self.root = root
        self.settings = {**FAST_TICKS, **(settings or {})}
        self.endpoints = dict(endpoints or {})
        self.threshold = threshold or len(agencies) // 2 + 1
        self.clock_file = root / "clock"
        self.passphrase_file = root / "passphrase"
        root.mkdir(parents=True, exist_ok=True)
        set_shift(self.clock_file, shift_ns)
        self.passphrase_file.write_text(PASSPHRASE + "\n")
        self.passphrase_file.chmod(0o600)
        numbers = iter(free_ports(len(agencies) * len(LISTENERS)))
        self.nodes = {
            state: Node(state, agency, root / state, {name: next(numbers) for name in LISTENERS})
            for state, agency in agencies.items()
        }
        self._keys: dict[Path, personal.PersonalKey] = {}
        self._at_desk: dict[Path, float] = {}

    def __getitem__(self, state: str) -> Node:
        return self.nodes[state]

    def now_ns(self) -> int:
        """The nodes' common time."""
        return VirtualClock(self.clock_file).now_ns()

    # -- Making -------------------------------------------------------------------------------------------------------

    def make(self) -> None:
        """Folders, keys, one baseline, agreements between all, the signed list of members, three officers a state."""
        baseline: list[str] = []
        for node in self.nodes.values():
            must("-q", "init", "--state", node.state, str(node.folder), "--agency", node.agency, *node.listening(),
                 "--clock-file", str(self.clock_file), *baseline)  # fmt: skip
            if not baseline:
                key = next((node.folder / "policy" / "keys").glob("baseline-*.pem"))
                bundle = node.folder / "policy" / "baseline.tar.gz"
                baseline = ["--baseline", str(bundle), "--baseline-key", str(key)]
                self.baseline = bundle
            self._settle(node)
        self.federate(1)
        for left, right in self._pairs():
            must("agreement", "new", left, right, "--agency", f"{left}:{self[left].agency}", "--agency",
                 f"{right}:{self[right].agency}", "--config", str(self[left].folder), "-o",
                 str(self.root / f"{left}-{right}.json"))  # fmt: skip
        for node in self.nodes.values():
            self.activate(node.state)
            for name, roles in (
                ("list-1", (Role.LIST_OFFICER, Role.SUPERVISOR)),
                ("list-2", (Role.LIST_OFFICER, Role.SUPERVISOR)),
                ("booth-1", (Role.BORDER_FRONTLINE, Role.BORDER_SECONDLINE)),
            ):
                self.enrol(node.state, name, roles)

    def _settle(self, node: Node) -> None:
        """Write our settings into the node's file, below the ones that `init` wrote."""
        tables: dict[str, list[str]] = {}
        for key, value in self.settings.items():
            table, _, name = key.rpartition(".")
            shown = value if value.isdigit() or value in {"true", "false"} or value[:1] in '["' else json.dumps(value)
            tables.setdefault(table, []).append(f"{name} = {shown}")
        with (node.folder / config.FILE_NAME).open("a") as file:
            for table, lines in tables.items():
                file.write(f"\n[{table}]\n" + "\n".join(lines) + "\n")

    def _pairs(self) -> Iterator[tuple[str, str]]:
        states = list(self.nodes)
        for place, left in enumerate(states):
            for right in states[place + 1 :]:
                yield left, right

    def federate(self, version: int, *, suspend: Sequence[str] = ()) -> Path:
        """Make a version of the list of members, have every state sign it, and put it in force everywhere."""
        cards = []
        for node in self.nodes.values():
            card = self.root / f"{node.state}-{version}.card"
            endpoint = ["--endpoint", self.endpoints[node.state]] if node.state in self.endpoints else []
            must("federation", "card", "--config", str(node.folder), "-o", str(card), *endpoint)
            cards.append(str(card))
        out = self.root / f"members-{version}"
        must("federation", "make", *cards, "--version", str(version), "--threshold", str(self.threshold), "--baseline",
             str(self.baseline), "-o", str(out), "--config", str(next(iter(self.nodes.values())).folder),
             *(part for state in suspend for part in ("--suspend", state)))  # fmt: skip
        for node in self.nodes.values():
            must("federation", "sign", str(out), "--state", node.state, "--key",
                 str(node.folder / "anchor" / "federation.key"))  # fmt: skip
        for node in self.nodes.values():
            must("federation", "accept", str(out), "--config", str(node.folder))
        self.members = out
        return out

    def activate(self, state: str, agreements: Sequence[Path] | None = None) -> None:
        """Build the state's national bundle from its agreements, sign it and hand it to the node."""
        node = self[state]
        if agreements is None:
            agreements = [self.root / f"{left}-{right}.json" for left, right in self._pairs() if state in (left, right)]
        out = self.root / f"{state}.national.tar.gz"
        key = next((node.folder / "policy-authority").glob("national-*.pem"))
        must("policy", "build", "--config", str(node.folder), "--key", str(key), "-o", str(out),
             *(part for path in agreements for part in ("--agreement", str(path))))  # fmt: skip
        must("policy", "activate", str(out), "--config", str(node.folder))

    def enrol(self, state: str, name: str, roles: Sequence[Role]) -> Path:
        """Enrol a person with a key of their own; returns the key file."""
        node = self[state]
        key = self.root / f"{state}-{name}.key"
        must("officer", "enrol", "--config", str(node.folder), "--officer", f"{state}-{name}", "--key", str(key),
             "--passphrase-file", str(self.passphrase_file),
             *(part for role in roles for part in ("--role", role.value)))  # fmt: skip
        node.officers[name] = key
        return key

    def key(self, path: Path) -> personal.PersonalKey:
        """A person's key, opened once."""
        if path not in self._keys:
            self._keys[path] = personal.open_(path.read_bytes(), Hidden(PASSPHRASE))
        return self._keys[path]

    # -- Running ------------------------------------------------------------------------------------------------------

    def start(self, *states: str) -> None:
        """Start nodes (all by default) and wait until they are ready."""
        for state in states or tuple(self.nodes):
            node = self[state]
            (node.folder / "run" / "node.ready").unlink(missing_ok=True)
            with node.log_file.open("ab") as log:
                node.process = subprocess.Popen(
                    [sys.executable, "-m", "gateway", "serve", "--config", str(node.folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        for state in states or tuple(self.nodes):
            self._wait_ready(self[state])

    def _wait_ready(self, node: Node) -> None:
        until = time.monotonic() + START_S
        while not (node.folder / "run" / "node.ready").exists():
            assert node.process is not None
            if node.process.poll() is not None or time.monotonic() > until:
                tail = node.log_file.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the node of {node.state} did not start:\n{tail}")
            time.sleep(0.02)

    def stop(self, *states: str) -> None:
        """Stop nodes (all by default) in order."""
        for state in states or tuple(self.nodes):
            process = self[state].process
            if process is not None and process.poll() is None:
                process.terminate()
        for state in states or tuple(self.nodes):
            process = self[state].process
            if process is not None:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                self[state].process = None

    def load(self, state: str, list_id: ListId, file: Path, *more: str, mode: str = "delta") -> Ran:
        """Two officers sign a file and it is loaded."""
        signatures = self.signed(state, list_id, file.read_bytes(), mode)
        return must("--json", "watchlist", "load", str(file), "--list", list_id.value, "--mode", mode, "--basis",
                    LISTING_BASIS, "--config", str(self[state].folder), *signatures, *more)  # fmt: skip

    def add(self, state: str, list_id: ListId, record: bytes) -> Ran:
        """Two officers sign one record, a JSON object, and it is entered."""
        signatures = self.signed(state, list_id, record, "delta")
        return limen("--json", "watchlist", "add", list_id.value, "--basis", LISTING_BASIS, "--config",
                     str(self[state].folder), *signatures, stdin=record)  # fmt: skip

    def withdraw(self, state: str, list_id: ListId, entry_id: str, decision: str) -> Ran:
        """Two officers sign that one entry is withdrawn, and it is."""
        signatures = self.signed(state, list_id, entry_id.encode(), "withdraw", decision)
        return limen("--json", "watchlist", "withdraw", list_id.value, entry_id, "--basis", LISTING_BASIS, "--decision",
                     decision, "--config", str(self[state].folder), *signatures)  # fmt: skip

    def signed(self, state: str, list_id: ListId, data: bytes, mode: str, decision: str = "") -> list[str]:
        """Two officers' signatures over a change of a list, as `limen watchlist` takes them."""
        node = self[state]
        facts = statement.listing(
            state=node.settings.state,
            list_id=list_id,
            mode=mode,
            file_hash=sha512(data).digest(),
            originator="",
            provenance=[],
            decision=decision,
            legal_basis=LISTING_BASIS,
        )
        signatures = []
        for name in ("list-1", "list-2"):
            made = statement.make(
                statement.LISTING,
                facts,
                role=Role.LIST_OFFICER,
                signed_ns=self.now_ns(),
                seed=self.key(node.officers[name]).seed.open(),
            )
            path = self.root / f"{state}.{list_id.value}.{name}.sig"
            path.write_bytes(made.encode())
            signatures += ["--signature", str(path)]
        return signatures

    def login(self, state: str, name: str = "booth-1") -> Ran:
        """A token at the state's booth."""
        return must("officer", "login", "--booth", str(self[state].booth), "--key", str(self[state].officers[name]),
                    "--passphrase-file", str(self.passphrase_file))  # fmt: skip

    def check(self, state: str, purpose: str, traveller: bytes, *more: str, case: str = "SHIFT-1") -> Ran:
        """Ask at the state's booth, with `--json`."""
        return limen("--json", "check", "--booth", str(self[state].booth), "--purpose", purpose, "--basis", BASIS,
                     "--case", case, *more, stdin=traveller)  # fmt: skip

    def flight(
        self, state: str, name: str, file: Path, *, ends_ns: int, purpose: str = "API.PRESCREEN", crew: bool = False
    ) -> Ran:
        """A flight's list at the officer's own workstation, in one question, with `--json`."""
        ends = datetime.fromtimestamp(ends_ns // 10**9, UTC).isoformat()
        return limen("--json", "check", "--booth", str(self.desk(state, name)), "--purpose", purpose, "--basis", BASIS,
                     "--case", "FLIGHT-1", "--passengers", str(file), "--flight-ends", ends, "--timeout", "60",
                     *(("--crew",) if crew else ()))  # fmt: skip

    # -- Cases --------------------------------------------------------------------------------------------------------

    def staff(self, *states: str) -> None:
        """Enrol the people who follow hits (`DESK`), in all states by default."""
        for state in states or tuple(self.nodes):
            for name, roles in DESK.items():
                if name not in self[state].officers:
                    self.enrol(state, name, roles)

    def desk(self, state: str, name: str) -> Path:
        """The officer's own workstation, with a token that still holds for a while."""
        node = self[state]
        folder = self.root / f"{state}-{name}.booth"
        if not folder.exists():
            shutil.copytree(node.booth, folder)
        if time.monotonic() > self._at_desk.get(folder, 0.0):
            must("officer", "login", "--booth", str(folder), "--key", str(node.officers[name]), "--passphrase-file",
                 str(self.passphrase_file))  # fmt: skip
            self._at_desk[folder] = time.monotonic() + TOKEN_S
        return folder

    def forget(self) -> None:
        """Nobody is logged in any more: the clock was moved past every token's end."""
        self._at_desk.clear()

    def case(self, state: str, name: str, verb: str, *more: str, words: str = "") -> Ran:
        """`limen case VERB ... --json` as that officer; signed where the verb wants it. `words` by standard input."""
        signed = ["--key", str(self[state].officers[name]), "--passphrase-file", str(self.passphrase_file)]
        reasons = ["--words", "-"] if words else []
        return limen("--json", "case", verb, *more, "--booth", str(self.desk(state, name)),
                     *(signed if verb in SIGNED else ()), *reasons, stdin=words.encode())  # fmt: skip

    def cases(self, state: str, name: str, *more: str) -> list[Any]:
        """The officer's inbox."""
        ran = self.case(state, name, "list", *more)
        if ran.code != 0:
            raise RuntimeError(f"limen case list: exit {ran.code}: {ran.err.strip()}")
        return list(ran.json["cases"])

    # -- Statistics ---------------------------------------------------------------------------------------------------

    def statisticians(self, *states: str) -> None:
        """Enrol the people of statistics (`STATISTICIANS`), in all states by default."""
        for state in states or tuple(self.nodes):
            for name, roles in STATISTICIANS.items():
                if name not in self[state].officers:
                    self.enrol(state, name, roles)

    def load_events(self, state: str, file: Path, columns: Path, declaration: Path) -> Ran:
        """Two persons sign events with their map and declaration, and they are loaded, with `--json`."""
        from gateway_adapters import dataset_yaml  # here, because nodes without events need no YAML

        node = self[state]
        told = dataset_yaml.read(declaration.read_bytes()).name
        facts = statement.dataset(
            state=node.settings.state,
            name=told,
            declaration=sha256(declaration.read_bytes()).digest(),
            columns=sha256(columns.read_bytes()).digest(),
            file_hash=sha512(file.read_bytes()).digest(),
            decision=EVENTS_DECISION,
            legal_basis=LISTING_BASIS,
        )
        signatures = []
        for name, roles in STATISTICIANS.items():
            seed = self.key(node.officers[name]).seed.open()
            made = statement.make(statement.DATASET, facts, role=roles[0], signed_ns=self.now_ns(), seed=seed)
            path = self.root / f"{state}.{told}.{name}.sig"
            path.write_bytes(made.encode())
            signatures += ["--signature", str(path)]
        return limen("--json", "events", "load", str(file), "--map", str(columns), "--dataset", str(declaration),
                     "--basis", LISTING_BASIS, "--decision", EVENTS_DECISION, "--config", str(node.folder),
                     *signatures)  # fmt: skip

    def release(self, state: str, name: str, verb: str, *more: str, source: str = "") -> Ran:
        """`limen release VERB ... --json` as that officer; `source` is the state whose events it is, if not ours."""
        about = () if verb in ("list", "budget") else ("--basis", BASIS if source else LISTING_BASIS)
        return limen("--json", "release", verb, *more, "--booth", str(self.desk(state, name)), *about,
                     *(("--from", source) if source else ()))  # fmt: skip

    def wait_tables(self, *, within_s: float = 60.0) -> None:
        """Until every node holds every other's newest tables and every log has a cosigned checkpoint."""
        until = time.monotonic() + within_s
        while not all(self._settled(node) for node in self.nodes.values()):
            if time.monotonic() > until:
                raise RuntimeError("the nodes did not exchange their tables in time")
            time.sleep(0.05)

    def _settled(self, node: Node) -> bool:
        if node.process is not None and due.is_due(node.settings, self.now_ns()):
            return False
        for other in self.nodes.values():
            if other is node or other.process is None:
                continue
            for folder in (f"{place.list_id.value}.{place.group}" for place in catalogue.tables()):
                made = other.folder / "tables" / node.state / folder
                held = node.folder / "copies" / other.state / folder
                names = {path.name for path in made.glob("*.table")}
                if not names or names != {path.name for path in held.glob("*.table")}:
                    return False
        return True


__all__ = ["BASIS", "FAST_TICKS", "LISTING_BASIS", "Node", "Nodes", "Ran", "free_ports", "limen", "must"]
