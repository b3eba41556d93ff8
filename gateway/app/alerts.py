"""What stands behind alerts: a watchman on a timer, and the supervisor's door. Answers never wait for either.

A question is put aside in one step when it is in the log; the rules look at it on the next tick, a few travellers at a
time, and lose it then. What is waiting is bounded: under a flood the rules see less and the metric says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway import ports
from gateway.alerts.alert import Alert, Doing, Fired, Rule, State, alert_number
from gateway.alerts.declared import FILE_NAME, KEY_NAME, Declared, decode
from gateway.alerts.detector import PAIR_WINDOW_NS, Approved, Detector, Thresholds, same_pairs
from gateway.app.home import Node, officer_of
from gateway.audit.leaf import Leaf
from gateway.config import Config
from gateway.disclosure import case as cases
from gateway.errors import ConfigRefused, GatewayError, Malformed, VersionMoved
from gateway.federation.officers import Register
from gateway.flows import alerting
from gateway.flows.alerting import AlertWorld, Question
from gateway.flows.check import Inquiry, Officer
from gateway.rpc.convert.home_alerts import LINES_MAX
from gateway.rpc.doors import HomeCall
from gateway.store.reader import Reader
from gateway.telemetry.metrics import Metrics
from gateway.web.notices import Notice

QUESTIONS_MAX: Final = 4_096
"""Questions that wait for the next tick."""

PENDING_MAX: Final = 256
"""What fired and could not be entered yet."""

LOOK_BACK: Final = 10_000
"""Entries of the log that are looked at after a start."""

LEAVES: Final = 64
"""Leaves, or cases, in one step of the loop's."""

LEAVES_MAX: Final = 4_096
"""Leaves in one tick."""

PAIRS_EVERY_NS: Final = 3600 * 10**9
CHECKPOINTS: Final = 3
"""So many checkpoints must be late before one is missed, whatever the settings say."""

FAULTS: Final = frozenset({"table.received", "delta.received", "release.received", "pair.compared"})
"""Kinds whose `fault` says that something signed did not hold."""

DISPUTES: Final = frozenset({"witness.disputed", "checkpoint.fault"})

OF_THE_LOG: Final = (Rule.CLOCK_STEP, Rule.FAILED_VERIFICATION, Rule.LOG_SILENCE)
"""Rules that are seen by an entry of the log."""

_NAMES: Final = tuple(name.encode() for name in (*FAULTS, *DISPUTES, "clock.step", "witnesses.silent"))


def declared_of(settings: Config) -> Declared:
    """The officers' circles as the agency declared them; nobody's where there is no file. Raises ConfigRefused."""
    folder = settings.paths.officers
    try:
        data, key = (folder / FILE_NAME).read_bytes(), (folder / KEY_NAME).read_bytes()
        return Declared(key, decode(data))
    except FileNotFoundError:
        return Declared()
    except OSError as cause:
        raise ConfigRefused(f"{folder / FILE_NAME}: cannot be read ({cause.strerror})") from None
    except Malformed as cause:
        raise ConfigRefused(f"{folder / FILE_NAME}: {cause}; make it with `limen officer declare`") from None


def thresholds_of(settings: Config) -> Thresholds:
    """The rules' limits as the settings have them."""
    return Thresholds(
        officer_repeats=settings.alerts.officer_repeats,
        unit_repeats=settings.alerts.unit_repeats,
        block_numbers=settings.alerts.block_numbers,
        burst_per_minute=settings.alerts.burst_per_minute,
        case_questions=settings.alerts.case_questions,
        shift_questions=settings.alerts.shift_questions,
        words_cases=settings.alerts.words_cases,
        pair_releases=settings.alerts.pair_releases,
        pair_percent=settings.alerts.pair_percent,
    )


def of_leaf(data: bytes) -> Fired | None:
    """What an entry of our own log says of the node. Most are passed over without being read."""
    if not any(name in data for name in _NAMES):
        return None
    leaf = Leaf.parse(data)
    public = leaf.public
    if leaf.kind == "clock.step":
        return Fired(Rule.CLOCK_STEP, (), abs(int(public["step_ms"])), leaf.seq, leaf.time_ns)
    if leaf.kind == "witnesses.silent" and public["silent"]:
        return Fired(Rule.LOG_SILENCE, (), 1, leaf.seq, leaf.time_ns)
    if leaf.kind in DISPUTES or (leaf.kind in FAULTS and public["fault"]):
        return Fired(Rule.FAILED_VERIFICATION, (), 1, leaf.seq, leaf.time_ns)
    return None


@dataclass(slots=True)
class Watchman:
    """The rules of one gateway process. `is_first` also watches the log: one of a node's processes is enough.

    `declared` gives the officers' circles, `register` who may be given an alert.
    """

    settings: Config
    reader: Reader
    uow: ports.UnitOfWork
    clock: ports.Clock
    chance: ports.Chance
    declared: Callable[[], Declared]
    register: Callable[[], Register]
    complain: Callable[[str], None]
    is_first: bool = True
    dropped: int = 0
    """Questions that the rules never saw."""
    _waiting: deque[Question] = field(default_factory=deque)
    _pending: list[Fired] = field(default_factory=list)
    _said: str = ""
    _detector: Detector = field(init=False)
    _cursor: int = -1
    _grew: tuple[int, int] = (-1, 0)
    """(size, monotonic ns) when the log last grew."""
    _shown: tuple[bytes | None, int, int] = (None, 0, 0)
    """(digest, size, monotonic ns) when a checkpoint last left."""
    _silent: bool = False
    _late: bool = False
    _paired_ns: int = 0

    def __post_init__(self) -> None:
        self._detector = Detector(thresholds_of(self.settings), self.chance.token, self.declared)

    @property
    def every_s(self) -> float:
        """How often `tick` is due."""
        return float(self.settings.alerts.every_s)

    def world(self) -> AlertWorld:
        """The flows' surroundings."""
        return AlertWorld(
            self.uow,
            self.reader,
            self.clock,
            self.chance,
            self.register(),
            self.settings.alerts.due_h * 3600 * 10**9,
        )

    def watch(self, unit: str) -> Callable[[Inquiry, Officer, int, int], None]:
        """What a question that comes from `unit` is handed to: one step, whatever waits and whatever is in it."""

        def seen(inquiry: Inquiry, officer: Officer, seq: int, at_ns: int) -> None:
            if len(self._waiting) >= QUESTIONS_MAX:
                self.dropped += 1
            else:
                self._waiting.append(Question(inquiry, officer, f"{officer.agency}/{unit}", seq, at_ns))

        return seen

    def tell(self, metrics: Metrics) -> None:
        """The two numbers that are watched from outside."""
        metrics.gauges("alerts_open", "Alerts that no supervisor has closed, by rule.", "rule", self._open)
        metrics.gauge("alerts_unseen", "Questions that came too fast for the rules to see.", lambda: self.dropped)

    def waiting(self) -> list[Notice]:
        """The alerts that wait for a supervisor, for notices. One that cannot be entered has a number of zeros."""
        found = [
            Notice(alert.number, alert.due_ns, "alert")
            for alert in self.reader.alerts(only_open=True)
            if alert.state is State.NEW
        ]
        due_ns = self.settings.alerts.due_h * 3600 * 10**9
        if self._said and self._pending:
            found.append(Notice(alert_number(bytes(16)), min(one.at_ns for one in self._pending) + due_ns, "alert"))
        return found

    async def tick(self) -> None:
        """Look at what was put aside and at the log, and enter what fired."""
        fired = await self._people()
        if self.is_first:
            fired += await self._log()
            fired += self._growth()
            fired += await self._pairs()
        self._pending = alerting.folded([*self._pending, *fired])[:PENDING_MAX]
        await self._enter()

    async def _people(self) -> list[Fired]:
        fired: list[Fired] = []
        for _ in range(len(self._waiting)):
            for piece in alerting.pieces(self._waiting.popleft()):
                fired += self._detector.saw(piece)
                await asyncio.sleep(0)
        return fired

    async def _log(self) -> list[Fired]:
        size = self.reader.size()
        if self._cursor < 0:
            self._cursor = max(0, size - LOOK_BACK, self.reader.alert_seq(OF_THE_LOG) + 1)
        fired: list[Fired] = []
        for start in range(self._cursor, min(size, self._cursor + LEAVES_MAX), LEAVES):
            leaves = self.reader.leaves(start, min(start + LEAVES, size))
            fired += [found for leaf in leaves if (found := of_leaf(leaf)) is not None]
            self._cursor = start + len(leaves)
            await asyncio.sleep(0)
        return fired

    def _growth(self) -> list[Fired]:
        """Silence and gaps are counted from when this process first looked, by the clock that nobody can set."""
        now, mono = self.clock.now_ns(), self.clock.monotonic_ns()
        size, digest = self.reader.size(), self.reader.last_digest()
        if size != self._grew[0]:
            self._grew, self._silent = (size, mono), False
        if self._shown[2] == 0 or digest != self._shown[0]:
            self._shown, self._late = (digest, size, mono), False
        late_s = CHECKPOINTS * self.settings.ticks.checkpoint_s
        fired: list[Fired] = []
        still_s = (mono - self._grew[1]) // 10**9
        if still_s > max(self.settings.alerts.silence_s, late_s) and not self._silent:
            self._silent = True
            fired.append(Fired(Rule.LOG_SILENCE, (), still_s, -1, now))
        gap_s = (mono - self._shown[2]) // 10**9
        grown = size > self._shown[1]
        if grown and gap_s > max(self.settings.alerts.checkpoint_gap_s, late_s) and not self._late:
            self._late = True
            fired.append(Fired(Rule.CHECKPOINT_GAP, (), gap_s, -1, now))
        return fired

    async def _pairs(self) -> list[Fired]:
        """Once an hour through all cases, in small steps."""
        mono, now = self.clock.monotonic_ns(), self.clock.now_ns()
        if self._paired_ns and mono - self._paired_ns < PAIRS_EVERY_NS:
            return []
        self._paired_ns = mono
        found: list[Approved] = []
        after = b""
        while page := self.reader.case_page(after, LEAVES):
            for number, body in page:
                after = number
                try:
                    found += alerting.approvals(cases.decode(body))
                except Malformed:
                    continue
            await asyncio.sleep(0)
        fired = same_pairs(found, thresholds_of(self.settings), now)
        known = {
            alert.officers
            for alert in self.reader.alerts()
            if alert.rule is Rule.SAME_PAIR and now - alert.raised_ns < PAIR_WINDOW_NS
        }
        return [one for one in fired if one.officers not in known]

    async def _enter(self) -> None:
        kept: list[Fired] = []
        said = ""
        for fired in self._pending:
            try:
                alert = await alerting.raise_alert(fired, self.world())
                if alert.version == 1:
                    self.complain(f"alerts: {alert.rule.value} was raised, {alert.number}")
            except VersionMoved:
                kept.append(fired)
            except GatewayError as cause:
                kept.append(fired)
                said = f"alerts: {fired.rule.value} fired and cannot be entered: {cause}"
        if said and said != self._said:
            self.complain(said)
        self._pending, self._said = kept, said

    def _open(self) -> dict[str, float]:
        held = self.reader.open_alerts()
        return {rule.value: float(held.get(rule, 0)) for rule in Rule}


@dataclass(frozen=True, slots=True)
class AlertDesk:
    """`rpc.doors.AlertDoor` over the flows."""

    node: Node
    watchman: Watchman

    async def alerts(self, closed: bool, call: HomeCall) -> tuple[Sequence[Alert], bool]:
        """The alerts that this supervisor may follow."""
        found = await alerting.inbox(officer_of(self.node, call), self.watchman.world(), only_open=not closed)
        return found[:LINES_MAX], len(found) > LINES_MAX

    async def alert(self, alert_id: bytes, call: HomeCall) -> Alert:
        """One alert."""
        return await alerting.show(alert_id, officer_of(self.node, call), self.watchman.world())

    async def act_on_alert(self, alert_id: bytes, doing: Doing, call: HomeCall) -> Alert:
        """Assign or close it."""
        return await alerting.act(alert_id, doing, officer_of(self.node, call), self.watchman.world())
