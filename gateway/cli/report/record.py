"""What a run writes down, for its report: plain values, nothing read from anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.cli.report.picture import Crossing


@dataclass(frozen=True, slots=True)
class Learned:
    """What one party knows after a step, in one plain sentence."""

    party: str
    what: str


@dataclass(frozen=True, slots=True)
class View:
    """What one party has in front of it after a step, verbatim: a screen, entries of a log, bytes of the line."""

    party: str
    what: str
    content: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the run: what was typed, what had to come out, what came out, who learned what by it, and what each
    party had in front of it.

    `command` is shown as typed; `expected` and `got` are words or a few lines of output. `drawing` is an SVG of the
    run's own making (`report.picture`), or nothing.
    """

    title: str
    story: str
    command: str
    expected: str
    got: str
    ok: bool
    duration_ms: float
    learned: tuple[Learned, ...] = ()
    views: tuple[View, ...] = ()
    drawing: str = ""


@dataclass(frozen=True, slots=True)
class OnTheWire:
    """Bytes counted between two gateways during a step, in all: TLS, headers and signatures included."""

    what: str
    sent_bytes: int
    received_bytes: int


@dataclass(frozen=True, slots=True)
class LogSize:
    """One state's log at the end: entries, size of its last checkpoint, and how many peers cosigned that."""

    state: str
    entries: int
    checkpoint: int
    cosignatures: int


@dataclass(frozen=True, slots=True)
class VerifyStep:
    """One numbered step of `limen audit verify`."""

    step: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """One offline verification. `ok` is what the verifier said, `expected_ok` what it had to say: a changed copy must
    fail. `root` is the root hash in hexadecimal."""

    title: str
    origin: str
    size: int
    root: str
    ok: bool
    expected_ok: bool
    steps: tuple[VerifyStep, ...]
    proved: tuple[str, ...] = ()
    not_proved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Party:
    """One row of the closing table: what a party learned in the whole run, and what it could not learn."""

    name: str
    learned: str
    not_learned: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that a report shows. `made_at` is UTC in ISO 8601; `unprotected` says plainly what nobody is kept from."""

    title: str
    release: str
    made_at: str
    duration_s: float
    crossing: Crossing
    steps: tuple[Step, ...]
    wire: tuple[OnTheWire, ...]
    logs: tuple[LogSize, ...]
    verifications: tuple[Verification, ...]
    parties: tuple[Party, ...]
    unprotected: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True where every step and every verification came out as said."""
        return (
            bool(self.steps)
            and all(step.ok for step in self.steps)
            and all(one.ok is one.expected_ok for one in self.verifications)
        )
