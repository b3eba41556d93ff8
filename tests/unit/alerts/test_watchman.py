"""The node's own rules and the watchman's timer: what the log says, or no longer says, and what cannot be entered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from gateway import config, ports
from gateway.alerts.alert import Rule, State
from gateway.alerts.declared import Declared
from gateway.alerts.detector import Thresholds
from gateway.app import alerts
from gateway.app.alerts import CHECKPOINTS, QUESTIONS_MAX, Watchman
from gateway.audit.entry import Entry, Phase
from gateway.config import Config
from gateway.disclosure.case import Event, Step
from gateway.errors import AuditUnavailable
from gateway.federation.officers import Register
from gateway.flows import alerting
from gateway.flows.check import Inquiry, Officer, Traveller
from gateway.people.person import Document, document_number
from gateway.store.memory import MemoryStore
from gateway.store.reader import Reader
from gateway.telemetry.metrics import Metrics
from gateway.terms import Hidden, Role
from gateway.terms.ids import AgencyId, OfficerId, PeerId, Purpose, RequestId
from tests.unit.disclosure.test_case import a_case

S = 10**9
EVE = Officer(OfficerId("P-1"), AgencyId("SNM"), (Role.DESK_NATIONAL,))
HND = PeerId("HND")


@dataclass
class Clock:
    """Turned by hand."""

    now: int = 1_800_000_000 * S
    mono: int = S

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.mono

    async def sleep_until(self, monotonic_ns: int) -> None:
        raise AssertionError("the watchman does not sleep by the clock")

    def pass_s(self, seconds: int) -> None:
        self.now += seconds * S
        self.mono += seconds * S


class Chance:
    """Bytes by number."""

    drawn = 0

    def token(self, size: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")


@dataclass
class Node:
    """What a watchman stands in."""

    settings: Config
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)
    down: bool = False

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock.now_ns)
        self.man = self.another()

    def another(self, **changed: Any) -> Watchman:
        """Another process's, or another start's."""
        around: dict[str, Any] = {
            "settings": self.settings,
            "reader": cast(Reader, self.store),
            "uow": self,
            "clock": self.clock,
            "chance": Chance(),
            "declared": Declared,
            "register": Register,
            "complain": self.said.append,
        }
        return Watchman(**(around | changed))

    async def commit(self, entries: Sequence[Entry], changes: Sequence[ports.Change] = ()) -> ports.Committed:
        if self.down:
            raise AuditUnavailable("the writer does not answer")
        return await self.store.commit(entries, changes)

    def tick(self, man: Watchman | None = None) -> None:
        asyncio.run((man or self.man).tick())

    def log(self, kind: str, **public: Any) -> None:
        peer = HND if kind.split(".")[0] in ("table", "delta", "witness") else ""
        asyncio.run(self.store.commit([Entry(kind, Phase.EVENT, peer, public=public)]))

    def checkpoint(self) -> None:
        self.store.put_checkpoint(self.store.size(), b"note", b"digest %d" % self.store.size())

    def open(self) -> dict[str, int]:
        return {rule.value: count for rule, count in self.store.open_alerts().items()}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    (tmp_path / "limen.toml").write_text('state = "PAN"\nagencies = ["SNM"]\n')
    made = Node(config.load(tmp_path, environ={}))
    made.log("node.started", release="1")
    return made


def inquiry(number: int = 0, case_ref: str = "case 1") -> Inquiry:
    """A question about one document, as the check's flow has it."""
    papers = Document("PAN", document_number(f"AB{7_000_000 + number}"))
    return Inquiry(
        request_id=RequestId(number.to_bytes(16, "big")),
        purpose=Purpose("SEC.WATCH"),
        legal_basis="treaty",
        case_ref=f"{case_ref} {number // 20}",
        justification=Hidden(""),
        travellers=(Traveller(None, (papers,)),),
        protection_declared=False,
        declared_origins=frozenset(),
        reply_key=Hidden(bytes(32)),
        digest=bytes(64),
    )


def questions(node: Node, count: int, man: Watchman | None = None) -> None:
    see = (man or node.man).watch("SNM.booth-1")
    for number in range(count):
        node.clock.pass_s(60)
        see(inquiry(number), EVE, number, node.clock.now_ns())


# -- People -----------------------------------------------------------------------------------------------------------


def test_questions_are_put_aside_and_looked_at_on_the_tick(node: Node) -> None:
    questions(node, 15)
    assert node.open() == {}
    node.tick()
    assert node.open() == {"sequence": 1}
    (alert,) = node.store.alerts()
    assert (alert.officers, alert.times) == (("P-1",), 1)
    assert node.said == [f"alerts: sequence was raised, {alert.number}"]
    assert "P-1" not in node.said[0]


def test_enumeration_is_alarmed_within_two_hundred_questions_and_one_tick(node: Node) -> None:
    # R5, through everything that a node does with a question but the asking.
    for number in range(200):
        node.clock.pass_s(60)
        node.log("filler")
        node.checkpoint()
        node.man.watch("SNM.booth-1")(inquiry(number), EVE, number, node.clock.now_ns())
        node.tick()
        if node.open():
            break
    assert node.open() == {"sequence": 1}
    assert number < 20


def test_putting_aside_costs_the_same_whatever_is_in_the_question_and_whatever_waits(node: Node) -> None:
    # Counted in what is done, not in time: one append of what is already there, and nothing of it is read.
    class Unread:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"{name} was read on the way of an answer")

    see = node.man.watch("SNM.booth-1")
    for number in range(QUESTIONS_MAX + 3):
        see(cast(Inquiry, Unread()), EVE, number, 1)
    assert len(node.man._waiting) == QUESTIONS_MAX
    assert node.man.dropped == 3


def test_many_travellers_are_looked_at_in_steps_that_let_answers_through(node: Node) -> None:
    flight = replace(inquiry(), travellers=tuple(one for n in range(1_000) for one in inquiry(n * 977).travellers))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> None:
        node.man.watch("u")(flight, EVE, 1, node.clock.now_ns())
        task = asyncio.create_task(others())
        await node.man.tick()
        task.cancel()

    asyncio.run(both())
    assert turns >= 1_000 // alerting.PIECE


# -- The node ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "public", "rule"),
    [
        ("clock.step", {"step_ms": -7_200_000}, "clock_step"),
        ("witness.disputed", {"step": "root", "our_size": 5, "their_size": 9}, "failed_verification"),
        ("checkpoint.fault", {"origin": "o", "size": 1, "root": b"r"}, "failed_verification"),
        ("delta.received", {"list": "DOCUMENTS", "group": "DOCUMENT", "epoch": "e", "number": 1, "delta_hash": b"",
                            "fault": "signature"}, "failed_verification"),
        ("pair.compared", {"origin": "o", "size": 1, "count": 1, "head": b"", "asked": 1, "unchecked": 0,
                           "fault": "missing"}, "failed_verification"),
        ("witnesses.silent", {"silent": True, "quorum": 2, "size": 1, "reached_ns": 1}, "log_silence"),
    ],
)  # fmt: skip
def test_what_the_log_says_of_the_node_is_an_alert_once(node: Node, kind: str, public: Any, rule: str) -> None:
    node.log(kind, **public)
    node.tick()
    node.tick()
    assert node.open() == {rule: 1}
    (alert,) = node.store.alerts()
    assert (alert.seq, alert.times, alert.officers) == (1, 1, ())
    # Another start looks back and finds nothing new.
    node.tick(node.another())
    assert node.store.alerts() == [alert]


def test_what_is_in_order_is_none(node: Node) -> None:
    node.log("witnesses.silent", silent=False, quorum=2, size=1, reached_ns=1)
    node.log("delta.received", list="D", group="D", epoch="e", number=1, delta_hash=b"", fault="")
    node.log("pair.compared", origin="o", size=1, count=1, head=b"", asked=1, unchecked=0, fault="")
    for _ in range(100):
        node.log("filler")
    node.tick()
    assert node.open() == {}


def test_a_log_that_does_not_grow_is_an_alert_even_where_it_cannot_be_entered(node: Node) -> None:
    node.tick()
    node.down = True
    node.clock.pass_s(node.settings.alerts.silence_s + 1)
    node.tick()
    assert node.open() == {}
    assert len(node.said) == 1 and node.said[0].startswith("alerts: log_silence fired and cannot be entered")
    (notice,) = node.man.waiting()
    assert notice.case == f"alert_{bytes(16).hex()}" and notice.document().startswith(b'{"alert":')
    node.tick()
    assert len(node.said) == 1
    node.down = False
    node.tick()
    assert node.open() == {"log_silence": 1}
    assert [one.case for one in node.man.waiting()] == [node.store.alerts()[0].number]


def test_a_quiet_log_is_none_while_it_grows(node: Node) -> None:
    for _ in range(20):
        node.clock.pass_s(node.settings.alerts.silence_s // 2)
        node.log("filler")
        node.checkpoint()
        node.tick()
    assert node.open() == {}


def test_a_log_that_grows_without_checkpoints_is_an_alert_once(node: Node) -> None:
    node.checkpoint()
    node.tick()
    gap_s = max(node.settings.alerts.checkpoint_gap_s, CHECKPOINTS * node.settings.ticks.checkpoint_s)
    for _ in range(6):
        node.clock.pass_s(gap_s // 2 + 1)
        node.log("filler")
        node.tick()
    assert node.open() == {"checkpoint_gap": 1}
    assert node.store.alerts()[0].times == 1
    node.checkpoint()
    node.tick()
    node.clock.pass_s(gap_s // 2)
    node.tick()
    assert node.store.alerts()[0].times == 1


def test_another_process_of_the_node_leaves_the_log_to_the_first(node: Node) -> None:
    node.log("clock.step", step_ms=9_000)
    second = node.another(is_first=False)
    questions(node, 15, second)
    node.tick(second)
    assert node.open() == {"sequence": 1}


# -- Pairs ------------------------------------------------------------------------------------------------------------


def test_pairs_are_counted_over_the_cases_once_an_hour_and_told_once(node: Node) -> None:
    made_ns = node.clock.now_ns()
    people = [("P-1", "S-1")] * 12 + [("P-2", "S-2"), ("P-2", "S-3")]
    for number, (preparer, approver) in enumerate(people):
        steps = (Step(Event.PREPARE, made_ns, preparer), Step(Event.APPROVE, made_ns, approver))
        case = a_case(case_id=number.to_bytes(16, "big"), history=steps)
        args = {"case_id": case.case_id, "peer": "HND", "version": 1, "open": 0, "outbound": "",
                "due_ns": 0, "expires_ns": 0, "body": case.encode()}  # fmt: skip
        asyncio.run(node.store.commit([], [ports.Change("case.put", args)]))
    node.tick()
    (alert,) = node.store.alerts()
    assert (alert.rule, alert.officers, alert.count) == (Rule.SAME_PAIR, ("P-1", "S-1"), 12)
    for _ in range(3):
        node.clock.pass_s(3_601)
        node.log("filler")
        node.checkpoint()
        node.tick()
    node.tick(node.another())
    assert [one.times for one in node.store.alerts()] == [1]


# -- What is seen from outside ----------------------------------------------------------------------------------------


def test_metrics_tell_how_many_are_open_by_rule_and_nothing_of_anybody(node: Node) -> None:
    metrics = Metrics("1")
    node.man.tell(metrics)
    questions(node, 15)
    node.tick()
    page = metrics.exposition().decode()
    assert 'limen_alerts_open{rule="sequence"} 1.0' in page
    assert 'limen_alerts_open{rule="clock_step"} 0.0' in page
    assert "limen_alerts_unseen 0.0" in page
    assert "P-1" not in page


def test_a_notice_carries_number_and_due_time_and_stops_when_somebody_has_it(node: Node) -> None:
    questions(node, 15)
    node.tick()
    (alert,) = node.store.alerts()
    (notice,) = node.man.waiting()
    assert (notice.case, notice.due_ns, notice.what) == (alert.number, alert.due_ns, "alert")
    taken = replace(alert, state=State.ASSIGNED, assigned="S-1", version=2)
    asyncio.run(node.store.commit([], [ports.Change("alert.put", alerting.row_of(taken))]))
    assert node.man.waiting() == []


def test_the_settings_are_the_rules_limits(node: Node) -> None:
    assert alerts.thresholds_of(node.settings) == Thresholds()
