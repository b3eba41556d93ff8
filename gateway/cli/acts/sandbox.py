"""`limen sandbox`: three states of the sandbox realm on this machine, with published travellers (`acts.travellers`).

SBX holds the lists. SBY is the desk that a home system is pointed at. SBZ is a member and never runs, so that an answer
may be incomplete. How the owners behave is chosen by the legal basis of the question (`travellers.BASES`): their
agreements differ in it. Your own node joins by its card; the sandbox's three states sign the list for it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from gateway.cli import inputs
from gateway.cli.acts import federation, travellers
from gateway.cli.acts.nodes import DESK as PEOPLE
from gateway.cli.acts.nodes import LISTENERS, Nodes, must
from gateway.cli.acts.travellers import ABSENT, ANSWERED, BASES, CASES, DESK, DOWN, OWNER, REFUSED, TRAVELLERS
from gateway.cli.main import ERROR, INTERRUPTED, OK, Refused, fail
from gateway.cli.output import emit, note, table
from gateway.clock import SystemClock
from gateway.disclosure.case import Side, State, decode
from gateway.errors import InputRefused, Malformed
from gateway.federation import document
from gateway.federation.document import Member
from gateway.keyring import files
from gateway.policy import agreement as agreements
from gateway.store.reader import Reader
from gateway.terms import Role
from gateway.terms.ids import case_number
from gateway.terms.realm import Realm

STATES: Final = (OWNER, DESK, ABSENT)
AGENCY: Final = "BORDER"
OFFICER: Final = "booth-1"
MARK: Final = "sandbox.json"
"""Written last: a folder without it is none, or was made in part."""

DAY_NS: Final = 86_400 * 10**9
LIFE_DAYS: Final = 180
"""As long as starter policies hold. A sandbox is made anew, never mended."""

GUESTS_MAX: Final = 2
"""With two more members the sandbox's three states are still the majority that signs a list."""

PORTS_MAX: Final = 65_535 - 30
SETTLE_S: Final = 60.0


def run(args: argparse.Namespace) -> int:
    """Print the travellers, let a node in, or run until SIGINT or SIGTERM."""
    if args.travellers:
        emit(args, [one.document() for one in TRAVELLERS], told())
        return OK
    if args.admit is not None:
        return _admit(args)
    if not 0 <= args.port <= PORTS_MAX:
        raise Refused(f"--port: write 0 to {PORTS_MAX}")
    # A sandbox that is stopped takes its nodes with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    box = Sandbox(args.folder)
    try:
        if not box.made:
            note(args, f"{box.root}: making three nodes, about half a minute")
            box.make(args.port)
        box.open()
        emit(args, box.document(), box.lines())
        return box.wait()
    except KeyboardInterrupt:
        return OK
    except RuntimeError as failed:
        # A command or a node says in its last line what is wrong.
        return fail(f"the sandbox did not start: {str(failed).strip().splitlines()[-1]}", ERROR)
    finally:
        box.stop()


def told() -> list[str]:
    """The travellers as a table."""
    rows = [
        {
            "traveller": one.name,
            "purpose": one.purpose,
            "basis": " ".join((one.basis, *one.options)),
            "exit": str(one.exit_code),
            "outcome": one.outcome or "-",
            "hit": ", ".join(f"{hit.kind} by {hit.match}, {hit.action}" for hit in one.hits) or "-",
        }
        for one in TRAVELLERS
    ]
    return table(rows, ("traveller", "purpose", "basis", "exit", "outcome", "hit"))


def page_rows() -> list[str]:
    """The travellers as the table of docs/sandbox.md, which a test holds to this."""
    rows = ["| traveller | what it is | question | exit | outcome | hit |", "|---|---|---|---|---|---|"]
    for one in TRAVELLERS:
        asked = f"`{one.purpose}`" + "".join(f" `{option}`" for option in one.options)
        if one.basis != ANSWERED:
            asked += f", basis `{one.basis}`"
        hits = "; ".join(
            f"`{hit.kind}`, `{hit.match}`, `{hit.action}`" + (", screening first" if hit.screening_required else "")
            for hit in one.hits
        )
        outcome = f"`{one.outcome}`" if one.outcome else "none"
        outcome += f", {', '.join(one.unreachable)} unreachable" if one.unreachable else ""
        rows.append(f"| `{one.name}` | {one.story} | {asked} | {one.exit_code} | {outcome} | {hits or 'none'} |")
    return rows


class Sandbox(Nodes):
    """The three nodes below one folder."""

    def __init__(self, root: Path) -> None:
        self.made = (root / MARK).is_file()
        if not self.made and root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise Refused(f"{root}: is no sandbox, or was made in part; remove it or name another folder")
        super().__init__(root.resolve(), dict.fromkeys(STATES, AGENCY))
        for node in self.nodes.values():
            if self.made:
                node.ports = {name: getattr(node.settings.listeners, name).port for name in LISTENERS}
        self._answered: set[bytes] = set()

    # -- Making -------------------------------------------------------------------------------------------------------

    def make(self, first_port: int = 0) -> None:
        """Nodes, one list of members, agreements that differ by legal basis, officers, and SBX's lists."""
        try:
            self._judge_ports(first_port)
            self._found(first_port)
            self._load()
        except BaseException:
            self.stop()
            shutil.rmtree(self.root, ignore_errors=True)
            raise
        mark = {"made_ns": SystemClock().now_ns(), "release": 1}
        files.write_new(self.root / MARK, (json.dumps(mark) + "\n").encode("ascii"))
        self.made = True

    def _judge_ports(self, first: int) -> None:
        for number, at in ((number, at) for number in range(len(STATES)) for at in range(len(LISTENERS))):
            port = first + 10 * number + at
            with contextlib.closing(socket.socket()) as probe:
                # Connections of a sandbox that was just stopped are not in the way.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port if first else 0))
                except OSError:
                    raise Refused(
                        f"--port: something listens on port {port}; name another, or 0 for free ones"
                    ) from None

    def _found(self, first_port: int) -> None:
        baseline: list[str] = []
        for number, node in enumerate(self.nodes.values()):
            if first_port:
                node.ports = {name: first_port + 10 * number + at for at, name in enumerate(LISTENERS)}
            must("-q", "init", "--state", node.state, str(node.folder), "--sandbox", "--agency", AGENCY,
                 *node.listening(), *baseline)  # fmt: skip
            if not baseline:
                shutil.copy(next((node.folder / "policy" / "keys").glob("baseline-*.pem")), self.root / "baseline.pem")
                shutil.copy(node.folder / "policy" / "baseline.tar.gz", self.root / "baseline.tar.gz")
                baseline = ["--baseline", str(self.root / "baseline.tar.gz"), "--baseline-key",
                            str(self.root / "baseline.pem")]  # fmt: skip
            self._settle(node)
        self.list_members(1, [federation.card(node.settings) for node in self.nodes.values()])
        for state in STATES:
            self.agree(state)
        for name in ("list-1", "list-2"):
            self.enrol(OWNER, name, (Role.LIST_OFFICER, Role.SUPERVISOR))
        self.enrol(DESK, OFFICER, (Role.BORDER_FRONTLINE, Role.BORDER_SECONDLINE))
        self.staff(OWNER, DESK)
        folder = self.root / "travellers"
        folder.mkdir()
        for one in TRAVELLERS:
            (folder / f"{one.name}.mrz").write_text("\n".join(one.zone) + "\n", "ascii")

    def _load(self) -> None:
        self.start(OWNER, DESK)
        for list_id, rows in travellers.lists(self._today()).items():
            file = self.root / f"{list_id.value.lower()}.csv"
            file.write_bytes(rows)
            self.load(OWNER, list_id, file)
        # The third never runs, so nobody waits for it.
        absent = self.nodes.pop(ABSENT)
        try:
            self.wait_tables(within_s=SETTLE_S)
        finally:
            self.nodes[ABSENT] = absent

    def _today(self) -> date:
        return datetime.fromtimestamp(self.now_ns() // 10**9, UTC).date()

    def list_members(self, version: int, cards: Sequence[Member]) -> Path:
        """A version of the list, signed by the sandbox's three states and in force at them; returns the file."""
        folder = self.root / "members"
        folder.mkdir(exist_ok=True)
        named = []
        for card in cards:
            path = folder / f"{card.state}-{version}.card"
            files.replace(path, document.encode_card(card))
            named.append(str(path))
        out = folder / f"members-{version}.list"
        out.unlink(missing_ok=True)
        must("federation", "make", *named, "--version", str(version), "--threshold", str(len(cards) // 2 + 1),
             "--days", "366", "--baseline", str(self.root / "baseline.tar.gz"), "-o", str(out))  # fmt: skip
        for node in self.nodes.values():
            key = node.folder / "anchor" / "federation.key"
            must("federation", "sign", str(out), "--state", node.state, "--key", str(key))
        for node in self.nodes.values():
            must("federation", "accept", str(out), "--config", str(node.folder))
        return out

    def agree(self, state: str) -> None:
        """The state's own rules: its agreements with every member, as it signed them."""
        signed = []
        for other in self.members_by_state().values():
            if {state, str(other.state)} not in ({state}, {OWNER, ABSENT}):
                signed.append(self.agreement(state, other, by=state))
        self.activate(state, signed)

    def members_by_state(self) -> dict[str, Member]:
        """The list in force at SBX."""
        held = federation.in_force(self[OWNER].settings)
        return {} if held is None else {str(member.state): member for member in held.document.members}

    def agreement(self, ours: str, other: Member, *, by: str) -> Path:
        """What a sandbox's state and another signed, as `by` has it: copies differ where an owner shall refuse."""
        now_ns = SystemClock().now_ns()
        agencies = {ours: [AGENCY], str(other.state): [str(agency) for agency in other.agencies]}
        made = agreements.starter(
            ours, other.state, agencies=agencies, valid_from_ns=now_ns - DAY_NS, valid_until_ns=now_ns + 366 * DAY_NS
        ).document()
        for terms in made["purposes"].values():
            if ABSENT in (ours, other.state):
                # The state that never runs is asked under one basis alone.
                terms["legal_bases"] = [DOWN]
            else:
                terms["legal_bases"] = [ANSWERED, DOWN, *([REFUSED] if by != OWNER else [])]
        path = self.root / "members" / f"{ours}-{other.state}.by-{by}.agreement"
        files.replace(path, (json.dumps(made, indent=2) + "\n").encode("utf-8"))
        return path

    # -- Running ------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start what does not run yet, and log the officer in. Raises Refused when the sandbox is too old."""
        made_ns = json.loads((self.root / MARK).read_text("ascii"))["made_ns"]
        if SystemClock().now_ns() > made_ns + LIFE_DAYS * DAY_NS:
            raise Refused(f"{self.root}: is more than {LIFE_DAYS} days old; remove it, and it is made anew")
        if self[OWNER].process is None:
            self.start(OWNER, DESK)
        for state in (OWNER, DESK):
            self[state].officers = {name: self._key_of(state, name) for name in (*PEOPLE, OFFICER)}
        self.login(DESK, OFFICER)

    def wait(self) -> int:
        """Until a node ends, which is an error, or somebody interrupts."""
        while all(self[state].process is not None and self[state].process.poll() is None for state in (OWNER, DESK)):  # type: ignore[union-attr]
            self.answer()
            time.sleep(0.5)
        return ERROR

    def answer(self) -> None:
        """SBX's desk: each new request is released or refused as `CASES` has it."""
        with contextlib.closing(Reader(self[OWNER].settings.paths.store)) as reader:
            found = [decode(body) for body in reader.cases(states=(State.UNDER_REVIEW.value,))]
        for case in found:
            follow = CASES.get(case.entry_id)
            if case.side is not Side.OWNER or case.state is not State.UNDER_REVIEW or follow is None:
                continue
            if case.case_id in self._answered:
                continue
            self._answered.add(case.case_id)
            number = case_number(case.case_id)
            if follow.code:
                self._act(follow.by, "refuse", number, "--code", follow.code)
            else:
                self._act(follow.by, "prepare", number, *(p for name in follow.fields for p in ("--field", name)))
                self._act("approver-1", "approve", number)

    def _act(self, name: str, verb: str, number: str, *more: str) -> None:
        ran = self.case(OWNER, name, verb, number, *more)
        if ran.code == INTERRUPTED:
            raise KeyboardInterrupt
        if ran.code != OK:
            # Such as a case that was withdrawn meanwhile.
            print(f"{OWNER}'s desk: {ran.err.strip()}", file=sys.stderr)

    def _key_of(self, state: str, name: str) -> Path:
        return self.root / f"{state}-{name}.key"

    def document(self) -> dict[str, Any]:
        """What a program needs to know."""
        return {
            "folder": str(self.root),
            "gateway": {state: f"127.0.0.1:{self[state].ports['peers']}" for state in (OWNER, DESK)},
            "home": f"127.0.0.1:{self[DESK].ports['home']}",
            "booth": str(self[DESK].booth),
            "officer": f"{DESK}-{OFFICER}",
            "key": str(self._key_of(DESK, OFFICER)),
            "desk": {name: str(self._key_of(DESK, name)) for name in PEOPLE},
            "passphrase_file": str(self.passphrase_file),
            "baseline": str(self.root / "baseline.tar.gz"),
            "baseline_key": str(self.root / "baseline.pem"),
            "bases": BASES,
            "travellers": [one.document() for one in TRAVELLERS],
        }

    def lines(self) -> list[str]:
        """What a person needs to know."""
        booth, key = self[DESK].booth, self._key_of(DESK, OFFICER)
        return [
            f"The sandbox runs in {self.root}; everybody in it is invented. Ctrl-C ends it, the folder stays.",
            "",
            f"A home system speaks to 127.0.0.1:{self[DESK].ports['home']}, with the certificate in {booth}.",
            "An officer is logged in for ten minutes; again with",
            f"  limen officer login --booth {booth} --key {key} --passphrase-file {self.passphrase_file}",
            "Ask:",
            f'  limen check --booth {booth} --purpose SEC.WATCH --basis "{ANSWERED}" --case TEST-1 \\',
            f"    < {self.root}/travellers/specimen.mrz",
            "",
            *told(),
            "",
            f"Every answer names {ABSENT} as refused where it was not asked. A node of your own: docs/sandbox.md.",
        ]


def _admit(args: argparse.Namespace) -> int:
    """List another sandbox node beside ours, and write what its operator needs."""
    box = Sandbox(args.folder)
    if not box.made:
        raise Refused(f"{args.folder}: is no sandbox; start one with `limen sandbox`")
    try:
        card = document.decode_card(inputs.bytes_of(args.admit))
    except Malformed as cause:
        raise InputRefused(f"{args.admit}: {cause}") from None
    document.require_realm(card.realm, Realm.SANDBOX)
    if card.state in STATES:
        raise Refused(f"{card.state} is the sandbox's own; your node needs another code")
    listed = box.members_by_state()
    guests = (set(listed) | {str(card.state)}) - set(STATES)
    if len(guests) > GUESTS_MAX:
        raise Refused(f"a sandbox takes {GUESTS_MAX} nodes beside its own, and has them; make another sandbox")
    held = federation.in_force(box[OWNER].settings)
    assert held is not None
    members = sorted([*(listed[state] for state in listed if state != card.state), card], key=lambda one: one.state)
    out = box.list_members(held.document.version + 1, members)
    for state in STATES:
        box.agree(state)
    guest = box.root / "guests" / str(card.state)
    guest.mkdir(parents=True, exist_ok=True)
    shutil.copy(out, guest / "members.list")
    given = []
    for state in (OWNER, ABSENT):
        path = guest / f"{state}.agreement"
        shutil.copy(box.agreement(state, card, by=str(card.state)), path)
        given += ["--agreement", str(path)]
    emit(
        args,
        {"state": str(card.state), "version": held.document.version + 1, "folder": str(guest)},
        [
            f"{card.state} is on list {held.document.version + 1}, in force here. At your node's folder, NODE:",
            f"  limen federation accept {guest / 'members.list'} --config NODE",
            "  limen policy build --config NODE --key NODE/policy-authority/national-*.pem -o rules.tar.gz \\",
            f"    {' '.join(given)}",
            "  limen policy activate rules.tar.gz --config NODE",
            "Start it with `limen serve --config NODE`, if it does not run. Its officers may ask what the table says.",
        ],
    )
    return OK
