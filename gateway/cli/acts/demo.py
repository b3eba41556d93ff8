"""`limen demo`: five states as real processes here (`--fast`: three), every step narrated and checked.

Panama, Honduras, Guatemala and Mexico exchange; Utopia, a state some travellers fled from, is a member too and lists
some of them. All persons are invented. The exit code is 0 only if every step came out as said; `report.html` is built
from the run.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway import __version__
from gateway.cli.acts.nodes import BASIS, Nodes, Ran, limen, must
from gateway.cli.main import ERROR, OK, Refused
from gateway.cli.report import page
from gateway.cli.report.picture import Crossing
from gateway.cli.report.record import (
    Learned,
    LogSize,
    OnTheWire,
    Party,
    RunRecord,
    Step,
    Verification,
    VerifyStep,
)
from gateway.clock import SystemClock
from gateway.federation import envelope
from gateway.rpc.convert.peers import CHECK
from gateway.terms import ListId, PeerId, Role

AGENCIES = {"PAN": "SNM", "HND": "INM", "UTO": "UBG", "GTM": "IGM", "MEX": "INAMI"}
NAMES = {"PAN": "Panama", "HND": "Honduras", "UTO": "Utopia", "GTM": "Guatemala", "MEX": "Mexico"}
FAST = ("PAN", "HND", "UTO")
PASSENGERS = 300
PLANTED = 4
COUNTS = {3: "three", 5: "five"}
SEED = 20231101
ENTRIES = 300
ENTRIES_FAST = 60
SETTLE_S = 60.0

UNPROTECTED = (
    "That a list exists, and its rough size; how much traffic there is between two states.",
    "Whether what a list says is true, and what a person does with a hit.",
    "A state that asks about people one at a time within its allowance: quotas bound that, they do not end it.",
)


def run(args: argparse.Namespace) -> int:
    """Run the story."""
    try:
        from examples.region.generate import make_region
    except ModuleNotFoundError:
        raise Refused("the demonstration's data comes with a checkout of the source; run `make demo` there") from None
    if args.out is not None and args.out.exists() and any(args.out.iterdir()):
        raise Refused(f"--out {args.out}: is not empty; name a new folder")
    root = Path(tempfile.mkdtemp(prefix="limen-"))
    clock = SystemClock()
    now = datetime.fromtimestamp(clock.now_ns() // 10**9, UTC)
    agencies = {state: AGENCIES[state] for state in (FAST if args.fast else AGENCIES)}
    story = Story(
        nodes=Nodes(root, agencies),
        region=make_region(
            SEED, now, entries=ENTRIES_FAST if args.fast else ENTRIES, states=FAST if args.fast else tuple(AGENCIES)
        ),
        quiet=args.quiet or args.json,
        started=time.monotonic(),
        made_at=now.isoformat(timespec="seconds"),
    )
    # A run that is stopped takes its nodes with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        story.tell(fast=args.fast)
    finally:
        story.nodes.stop()
        kept = story.keep(args.out)
        if not args.keep:
            shutil.rmtree(root, ignore_errors=True)
    record = story.record()
    report = (args.out if args.out is not None else Path.cwd()) / "report.html"
    report.write_text(page.render(record), "utf-8")
    story.end(record, report, kept if args.out is not None else None, root if args.keep else None)
    if args.json:
        print(
            json.dumps(
                {
                    "ok": record.ok,
                    "report": str(report),
                    "steps": [{"title": step.title, "ok": step.ok, "got": step.got} for step in record.steps],
                },
                indent=2,
            )
        )
    return OK if record.ok else ERROR


def _signed(body_bytes: int, *, reply: bool) -> int:
    """Size of a message whose body has this size, with its header and signature (docs/protocol/envelope.md)."""
    told = (CHECK, PeerId("HND"), PeerId("PAN"), bytes(32), SystemClock().now_ns(), bytes(32))
    fields = envelope.reply_fields(*told, bytes(64)) if reply else envelope.request_fields(*told)
    message = envelope.seal(fields, b"", lambda _: bytes(64))
    return body_bytes + len(message.header) + len(message.signature)


def passenger_list(rows: Sequence[Mapping[str, str]]) -> bytes:
    """A flight's list as `limen check --passengers` takes it."""
    out = io.StringIO(newline="")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


@dataclass
class Story:
    """The run as it goes."""

    nodes: Nodes
    region: Any
    quiet: bool
    started: float
    made_at: str
    steps: list[Step] = field(default_factory=list)
    wire: list[OnTheWire] = field(default_factory=list)
    logs: list[LogSize] = field(default_factory=list)
    verifications: list[Verification] = field(default_factory=list)
    crossing: Crossing = field(default_factory=lambda: Crossing("HND", "PAN", 8, 0, 0, 0))

    # -- Telling ------------------------------------------------------------------------------------------------------

    def say(self, text: str = "") -> None:
        """One line of the narration."""
        if not self.quiet:
            print(text, flush=True)

    def step(
        self,
        title: str,
        story: str,
        command: str,
        expected: str,
        act: Callable[[], tuple[str, bool]],
        learned: Iterable[Learned] = (),
    ) -> None:
        """Do one thing, say what came out, and keep it for the report."""
        begun = time.monotonic()
        try:
            got, ok = act()
        except Exception as failed:
            got, ok = f"{type(failed).__name__}: {failed}", False
        took_ms = (time.monotonic() - begun) * 1000
        self.steps.append(Step(title, story, command, expected, got, ok, took_ms, tuple(learned)))
        self.say(f"{'ok  ' if ok else 'FAIL'} {len(self.steps):>2}. {title}")
        for line in got.splitlines()[: 12 if ok else 40]:
            self.say(f"        {line}")
        for one in learned:
            self.say(f"        {one.party} learned: {one.what}")

    @property
    def many(self) -> str:
        """How many states, in a word."""
        return COUNTS[len(self.nodes.nodes)]

    def tell(self, *, fast: bool) -> None:
        """The whole story, in order. Ends early when the ground is not there."""
        self.say(f"{self.many.capitalize()} invented states on this machine; all that passes goes over mutual TLS 1.3.")
        self._found()
        if not all(step.ok for step in self.steps):
            return
        self._miss()
        self._hits()
        self._child()
        self._flight()
        self._refusal()
        self._protected()
        self._down(fast=fast)
        self._audit()

    def _found(self) -> None:
        nodes = self.nodes

        def make() -> tuple[str, bool]:
            nodes.make()
            for state in nodes.nodes:
                nodes.enrol(state, "centre-1", (Role.TARGETING_CENTRE,))
            return f"{self.many} nodes, one signed list of members, agreements between all, their officers", True

        def start() -> tuple[str, bool]:
            nodes.start()
            processes = sum(len(node.pids()) - 1 for node in nodes.nodes.values())
            return f"{processes} processes: key process, writer and gateway for each state", True

        def load() -> tuple[str, bool]:
            data = nodes.root / "data"
            self.region.write(data)
            counts = []
            for state in nodes.nodes:
                added = 0
                for list_id, name in ((ListId.PERSONS, "persons.csv"), (ListId.DOCUMENTS, "documents.csv")):
                    added += nodes.load(state, list_id, data / state / name).json["added"]
                counts.append(f"{state} {added}")
            nodes.wait_tables(within_s=SETTLE_S)
            for state in nodes.nodes:
                nodes.login(state)
            made = must("--json", "peer", "copies", "--config", str(nodes["HND"].folder)).json
            held = [row for row in made if row["way"] == "in" and row["peer"] == "PAN" and row["list"] == "PERSONS"]
            entries = int(held[0]["entries"].split()[0])
            self.crossing = Crossing("HND", "PAN", 8, 0, 0, entries)
            return f"entries: {', '.join(counts)}; each peer got a table of its own, padded to {entries}", True

        self.step(
            f"{self.many.capitalize()} states make their nodes",
            "Each makes its own anchor, keys and rules. Nobody in the middle holds anything.",
            "limen init --state PAN ...; limen federation make, sign, accept; limen policy build, activate; "
            "limen officer enrol",
            f"{self.many} nodes that name each other in a list all of them signed",
            make,
        )
        if self.steps[-1].ok:
            self.step(
                "The nodes start",
                "Keys, log and network live in processes of their own.",
                "limen serve --config PAN",
                "ready",
                start,
            )
        if self.steps[-1].ok:
            self.step(
                "Each state loads its lists",
                "Two officers sign each file. A peer gets an encrypted table made for it alone, entry by entry.",
                "limen watchlist sign ...; limen watchlist load ...",
                "every peer holds a table",
                load,
            )

    # -- Checks -------------------------------------------------------------------------------------------------------

    def _ask(self, name: str) -> tuple[Ran, dict[str, Any], bool]:
        """Put one of the fixed travellers' questions, and compare with what the data says must come out."""
        traveller = self.region.traveller(name)
        return self._compare(traveller, traveller.expected)

    def _compare(self, traveller: Any, want: Any) -> tuple[Ran, dict[str, Any], bool]:
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
        return ran, got, ok

    def _command(self, name: str) -> str:
        traveller = self.region.traveller(name)
        more = " --protection" if traveller.protection_declared else ""
        return (
            f'limen check --purpose {traveller.purpose} --basis "{BASIS}" --case SHIFT-1{more} '
            f"< {name}.mrz        (at a booth of {traveller.asked_by})"
        )

    def _miss(self) -> None:
        before = len(self._checks_seen("PAN"))

        def act() -> tuple[str, bool]:
            ran, got, ok = self._ask("miss")
            until = time.monotonic() + SETTLE_S
            while not (calls := self._checks_seen("PAN")[before:]) and time.monotonic() < until:
                time.sleep(0.05)
            ok = ok and len(calls) == 1
            if calls:
                there, back = _signed(calls[0]["in"], reply=False), _signed(calls[0]["out"], reply=True)
                self.crossing = Crossing("HND", "PAN", 8, there, back, self.crossing.table_entries)
                self.wire.append(OnTheWire("one check of one traveller, HND to PAN, signed", there, back))
            return f"{got.get('outcome')} (exit {ran.code}, {ran.seconds * 1000:.0f} ms with everything)", ok

        self.step(
            "A miss",
            self.region.traveller("miss").story,
            self._command("miss"),
            "NOTHING_TO_REPORT: nothing you may act on, never a clearance",
            act,
            (
                Learned("officer in HND", "nothing to report"),
                Learned("the other states", "that HND's INM put one padded question of 8 points under SEC.WATCH"),
            ),
        )

        def shown() -> tuple[str, bool]:
            entries = self._entries("PAN", "check.answer")
            mine = [row for row in entries if row["phase"] == "intent" and row["peer"] == "HND"][-1:]
            words = ", ".join(
                f"{name} {value if len(str(value)) < 20 else str(value)[:12] + '...'}"
                for row in mine
                for name, value in sorted(row["public"].items())
            )
            passport = self.region.traveller("miss").passport
            planted = [passport.surname, passport.given_names, passport.document_number]
            whole = (self.nodes["PAN"].folder / "store" / "node.db").read_bytes() + self._raw_log("PAN")
            clean = not any(value.encode() in whole for value in planted)
            found = 0 if clean else "FOUND"
            size = self.wire[0] if self.wire else None
            traffic = (
                f"{size.sent_bytes} B in, {size.received_bytes} B out, as for every question of this class"
                if size
                else ""
            )
            told = (
                f"all that PAN's log says of it: {words}\n"
                f"its traffic: {traffic}\n"
                f"name and number in PAN's store and log: {found}"
            )
            return told, bool(mine) and clean

        self.step(
            "What PAN knows of it",
            "The owner's whole record of that question, and its whole traffic.",
            "limen audit export ...; limen audit show --kind check.answer",
            "agency, purpose, padded size, hashes; no name, no number, no result",
            shown,
        )

    def _hits(self) -> None:
        further = (
            (("sounds_alike", "A possible hit: the name differs"), ("wanted_in_guatemala", "A hit in a fourth state"))
            if "MEX" in self.nodes.nodes
            else ()
        )
        for name, title in (
            ("document_lost", "A stolen passport"),
            ("document_wanted", "A document hit"),
            ("name_and_date", "A hit by name and date"),
            ("undeclared", "A hit on a list of the state of origin"),
            *further,
        ):
            traveller = self.region.traveller(name)

            def act(name: str = name) -> tuple[str, bool]:
                ran, got, ok = self._ask(name)
                lines = [
                    f"HIT {hit['reference']}: {hit['kind']}, {hit['match_text']}; {hit['action']}"
                    + (", screening first" if hit["screening_required"] else "")
                    for hit in got.get("hits", [])
                ]
                if not got.get("complete"):
                    lines.append(f"unreachable: {got.get('unreachable')} {ran.err}")
                return "\n".join(lines), ok

            owner = traveller.expected.hits[0].owner
            self.step(
                title,
                traveller.story,
                self._command(name),
                f"a hit on {owner}'s list: a question for a human, with whom to call",
                act,
                (
                    Learned(f"officer in {traveller.asked_by}", "what to do and whom to call, no name, no reason"),
                    Learned(owner, "nothing more than from a miss"),
                ),
            )

    def _child(self) -> None:
        name = "missing_child" if "MEX" in self.nodes.nodes else "child_missing"
        traveller = self.region.traveller(name)

        def act() -> tuple[str, bool]:
            _, got, ok = self._ask(name)
            lines = [f"{hit['match_text']}: {hit['sentence']}" for hit in got.get("hits", [])]
            ok = ok and all(hit["action"] == "DO_NOT_DETAIN_CALL_OWNER" for hit in got.get("hits", []))
            return "\n".join(lines), ok

        self.step(
            "A missing child",
            traveller.story,
            self._command(name),
            "do not detain; call the owner's desk, which answers within an hour",
            act,
            (Learned(traveller.expected.hits[0].owner, "nothing yet: a person confirms first"),),
        )

    def _flight(self) -> None:
        owners = tuple(state for state in self.nodes.nodes if state not in ("PAN", "UTO"))
        flight = self.region.flight(PASSENGERS, listed=PLANTED, owners=owners)

        def act() -> tuple[str, bool]:
            file = self.nodes.root / "flight.csv"
            file.write_bytes(passenger_list([one.passport.fields() for one in flight]))
            ends_ns = SystemClock().now_ns() + 3 * 3600 * 10**9
            ran = self.nodes.flight("PAN", "centre-1", file, ends_ns=ends_ns)
            if ran.code != 0:
                return f"exit {ran.code}: {ran.err.strip()}", False
            hits = ran.json["hits"]
            met = {hit["traveller"] for hit in hits}
            planted = {place for place, one in enumerate(flight) if one.entry_id}
            told = f"{len(flight)} passengers in one question, {ran.seconds:.1f} s: {len(met)} to look at"
            places = ", ".join(f"{place + 1}: {hit['kind']}" for place in sorted(met) for hit in hits
                               if hit["traveller"] == place)  # fmt: skip
            return f"{told}\nby place on the list, no names: {places}", met == planted

        self.step(
            "A flight of 300",
            "The targeting centre asks about a whole flight at once. Of those who met nothing, nothing stays after it.",
            "limen check --purpose API.PRESCREEN --flight-ends ... --passengers flight.csv        (in Panama)",
            f"exactly the {PLANTED} passengers that were planted",
            act,
            (Learned("the other states", "padded questions of 1,280 points, whoever is on board"),),
        )

    def _refusal(self) -> None:
        def act() -> tuple[str, bool]:
            time.sleep(0.3)  # the line of the step before
            before = len(self._checks_seen("PAN"))
            ran, _, _ = self._ask("refused")
            sent = len(self._checks_seen("PAN")) - before
            ok = ran.code == 3 and "purpose_not_offered" in ran.err and sent == 0
            return f"{ran.err.strip()} (exit {ran.code}); messages sent: {sent}", ok

        self.step(
            "A question that policy forbids",
            self.region.traveller("refused").story,
            self._command("refused"),
            "exit 3 with the reason, and nothing sent",
            act,
            (Learned("the other states", "nothing: no message left"),),
        )

    def _protected(self) -> None:
        def act() -> tuple[str, bool]:
            ran, got, ok = self._ask("protected")
            _, miss, _ = self._ask("miss")
            same = {key: value for key, value in got.items() if key != "request_id"} == {
                key: value for key, value in miss.items() if key != "request_id"
            }
            return f"{got.get('outcome')} (exit {ran.code}); the answer of a miss, word for word: {same}", ok and same

        self.step(
            "A protected traveller on Utopia's list",
            self.region.traveller("protected").story,
            self._command("protected"),
            "the officer sees what a miss shows",
            act,
            (Learned("officer in HND", "nothing to report"), Learned("UTO", "an ordinary question about nobody")),
        )

        def vantage() -> tuple[str, bool]:
            seen = [row for row in self._entries("UTO", "check.answer") if row["peer"] == "HND"]
            pairs = [row for row in seen if row["phase"] == "intent" and row["public"]["purpose"] == "SEC.WATCH"]
            guarded, ordinary = pairs[-2], pairs[-1]
            shape = [
                (
                    sorted(row["public"]),
                    {
                        name: len(str(value))
                        for name, value in row["public"].items()
                        if name not in {"peer_seq", "intent_seq"}
                    },
                    row["sealed"],
                )
                for row in (guarded, ordinary)
            ]
            same = shape[0] == shape[1]
            return (
                f"entry {guarded['seq']} (guarded) and entry {ordinary['seq']} (a miss): same fields and sizes: {same}",
                same,
            )

        self.step(
            "What Utopia sees",
            "Its log of the guarded question beside its log of an ordinary miss.",
            "limen audit show UTO/audit-export --kind check.answer",
            "no difference",
            vantage,
        )

        def home() -> tuple[str, bool]:
            opened = self._entries("HND", "check.ask", reader="auditor")
            others = len(self.nodes.nodes) - 1
            # The last two questions: the protected traveller's, then the ordinary one it is compared with.
            guards = [
                (row["peer"], row["opened"]["guarded"])
                for row in opened
                if row["phase"] == "intent" and "opened" in row
            ][-2 * others :]
            sealed = self._entries("HND", "check.ask")
            hidden = all("guarded" not in row["public"] and "opened" not in row for row in sealed)
            ok = {peer for peer, guarded in guards[:others] if guarded} == {"UTO"} and hidden
            return (
                f"with the auditor's key: {', '.join(f'{peer} guarded={value}' for peer, value in guards[:others])}",
                ok,
            )

        self.step(
            "What the home auditor sees",
            "The truth stands in the home log, sealed to keys that are off the node.",
            "limen audit show HND/audit-export --kind check.ask --reader-key auditor.key",
            "the leg to Utopia was guarded",
            home,
            (Learned("home auditor of HND", "that the leg to UTO was a cover leg, and why"),),
        )

    def _down(self, *, fast: bool) -> None:
        traveller = self.region.traveller("peer_down")

        def down() -> tuple[str, bool]:
            self.nodes.stop("PAN")
            ran, got, ok = self._compare(traveller, traveller.expected)
            return f"complete {got.get('complete')}, unreachable {got.get('unreachable')} (exit {ran.code})", ok

        self.step(
            "A peer is down",
            traveller.story,
            self._command("peer_down"),
            "exit 5, PAN named, never nothing",
            down,
            (Learned("officer in HND", "that nothing may be read out of PAN's silence"),),
        )
        if fast:
            return

        def back() -> tuple[str, bool]:
            self.nodes.start("PAN")
            until = time.monotonic() + SETTLE_S
            while True:
                ran, got, ok = self._compare(traveller, traveller.recovered)
                if ok or time.monotonic() > until:
                    hits = [f"{hit['kind']} by {hit['class']}" for hit in got.get("hits", [])]
                    return f"{got.get('outcome')}: {', '.join(hits)} (exit {ran.code})", ok
                time.sleep(0.2)

        self.step("The peer is back", "The same question again.", self._command("peer_down"), "the hit", back)

    # -- The auditor --------------------------------------------------------------------------------------------------

    def _audit(self) -> None:
        root = self.nodes.root
        # The auditor is a folder of its own: cards of public keys, exports, and no node.
        auditor = root / "auditor"
        auditor.mkdir()

        def verify() -> tuple[str, bool]:
            good = True
            lines = []
            for state, node in self.nodes.nodes.items():
                if node.process is None:
                    continue
                export, card = auditor / state, auditor / f"{state}.card"
                must("audit", "export", str(export), "--config", str(node.folder), "--cosignatures", "1")
                must(
                    "audit",
                    "card",
                    "--federation",
                    str(self.nodes.members),
                    "--state",
                    state,
                    "--quorum",
                    "1",
                    "-o",
                    str(card),
                )
                ran = limen("--json", "audit", "verify", str(export), "--trust", str(card))
                self._verified(f"{NAMES[state]}'s log", ran, expected_ok=True)
                told = ran.json
                good = good and ran.code == 0 and told["ok"]
                lines.append(
                    f"{state}: {told['size']} entries, cosigned by {len(told['cosignatures'])}, ok {told['ok']}"
                )
                self.logs.append(LogSize(state, told["size"], told["size"], len(told["cosignatures"])))
            return "\n".join(lines), good

        self.step(
            "An auditor verifies, offline",
            "With nothing but public keys: no node, no network, no account.",
            "limen audit verify HND/audit-export --trust HND.card",
            "every step ok",
            verify,
            (Learned("auditor", "that each log is whole and unchanged, and a peer saw the same one"),),
        )

        def tampered() -> tuple[str, bool]:
            copy = auditor / "HND-tampered"
            shutil.copytree(auditor / "HND", copy)
            bundle = max(
                (copy / "tile" / "entries").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0
            )
            data = bytearray(bundle.read_bytes())
            at = data.index(b"SEC.WATCH") if b"SEC.WATCH" in data else len(data) // 2
            data[at] ^= 1
            bundle.write_bytes(data)
            ran = limen("--json", "audit", "verify", str(copy), "--trust", str(auditor / "HND.card"))
            self._verified("A copy of Honduras' log with one bit changed", ran, expected_ok=False)
            return f"{ran.err.strip()} (exit {ran.code})", ran.code == 6

        self.step(
            "A changed log is caught",
            "One bit of one entry of a copy is changed.",
            "limen audit verify HND-tampered --trust HND.card",
            "exit 6, with the step and the entry",
            tampered,
        )

        def cut() -> tuple[str, bool]:
            # An operator may drop the newest entries and show an older, correctly signed log. The witness knows better.
            card = str(auditor / "HND.card")
            size = limen("--json", "audit", "verify", str(auditor / "HND"), "--trust", card).json["size"]
            until = time.monotonic() + SETTLE_S
            while True:
                head = must("--json", "audit", "head", "--config", str(self.nodes["HND"].folder)).json
                if head["size"] > size and head["cosignatures"]:
                    break
                if time.monotonic() > until:
                    return "no newer checkpoint was cosigned", False
                time.sleep(0.1)
            held = auditor / "held-by-a-witness"
            held.write_text(head["note"], "utf-8")
            ran = limen("--json", "audit", "verify", str(auditor / "HND"), "--trust", card, "--witnessed", str(held))
            self._verified("An older log of Honduras shown as the newest", ran, expected_ok=False)
            return f"{ran.err.strip()} (exit {ran.code})", ran.code == 6

        self.step(
            "A cut tail is caught",
            "A log as it was some minutes ago, whole and correctly signed, beside the head that a witness holds.",
            "limen audit verify HND-older --trust HND.card --witnessed CHECKPOINT",
            "exit 6",
            cut,
        )

    def _verified(self, title: str, ran: Ran, *, expected_ok: bool) -> None:
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

    def _entries(self, state: str, kind: str, *, reader: str = "") -> list[dict[str, Any]]:
        """Entries of a state's published log, as an auditor reads them in an export."""
        node = self.nodes[state]
        # The entry of the last check is published with the next checkpoint.
        until = time.monotonic() + SETTLE_S
        want = self._unpublished(state)
        while self._published(state) < want and time.monotonic() < until:
            time.sleep(0.1)
        export = self.nodes.root / "peek" / state
        shutil.rmtree(export, ignore_errors=True)
        must("audit", "export", str(export), "--config", str(node.folder), "--cosignatures", "0")
        key = ("--reader-key", str(node.folder / "handover" / f"{reader}.key")) if reader else ()
        rows: list[dict[str, Any]] = must("--json", "audit", "show", str(export), "--kind", kind, *key).json
        return rows

    def _unpublished(self, state: str) -> int:
        from gateway.store.reader import Reader

        reader = Reader(self.nodes[state].folder / "store")
        try:
            return reader.size()
        finally:
            reader.close()

    def _published(self, state: str) -> int:
        return int(must("--json", "audit", "head", "--config", str(self.nodes[state].folder)).json["size"])

    def _log_lines(self, state: str) -> list[dict[str, Any]]:
        lines = []
        for line in self.nodes[state].log_file.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                lines.append(json.loads(line))
        return lines

    def _checks_seen(self, state: str) -> list[dict[str, Any]]:
        return [
            line
            for line in self._log_lines(state)
            if line.get("door") == "peers" and line.get("method") == "WatchlistService/Check"
        ]

    def _raw_log(self, state: str) -> bytes:
        store = self.nodes[state].folder / "store"
        wal = store / "node.db-wal"
        return self.nodes[state].log_file.read_bytes() + (wal.read_bytes() if wal.exists() else b"")

    # -- The end ------------------------------------------------------------------------------------------------------

    def keep(self, out: Path | None) -> Path | None:
        """Copy each state's folder and its exported log below `out`."""
        if out is None:
            return None
        for state, node in self.nodes.nodes.items():
            if node.folder.exists():
                shutil.copytree(node.folder, out / state, ignore=shutil.ignore_patterns("*.sock", "*.ready", "*.port"))
            export = self.nodes.root / "auditor" / state
            if export.exists():
                shutil.copytree(export, out / state / "audit-export")
                shutil.copy(self.nodes.root / "auditor" / f"{state}.card", out / state / "trust.card")
        return out

    def record(self) -> RunRecord:
        """What the report is made from."""
        return RunRecord(
            title=f"Limen: what {self.many} states told each other",
            release=__version__,
            made_at=self.made_at,
            duration_s=time.monotonic() - self.started,
            crossing=self.crossing,
            steps=tuple(self.steps),
            wire=tuple(self.wire),
            logs=tuple(self.logs),
            verifications=tuple(self.verifications),
            parties=(
                Party(
                    "the officer in Honduras",
                    "the hits, what to do and whom to call",
                    "who else is on a list; that a leg was guarded",
                ),
                Party(
                    "Panama",
                    "that Honduras asked padded questions, when and under which purpose",
                    "about whom, and whether anything was found",
                ),
                Party(
                    "Utopia",
                    "ordinary questions, as on any other day",
                    "that its national asked Honduras for protection",
                ),
                Party(
                    "the auditor",
                    "that the logs are whole; with a key, the sealed fields of one state",
                    "the other states' lists",
                ),
            ),
            unprotected=UNPROTECTED,
        )

    def end(self, record: RunRecord, report: Path, out: Path | None, root: Path | None) -> None:
        """The last lines."""
        self.say()
        self.say("What each party learned:")
        for party in record.parties:
            self.say(f"  {party.name}: {party.learned}. Not: {party.not_learned}.")
        good = sum(step.ok for step in record.steps)
        self.say()
        self.say(
            f"{good} of {len(record.steps)} steps came out as said, in {record.duration_s:.0f} s; report: {report}"
        )
        if out is not None:
            self.say(f"each state's folder and its exported log: {out}")
        if root is not None:
            self.say(f"the nodes' folders: {root}")
