"""Every refusal the gateway knows: one catalogue with a private and a public half.

`str(error)` is private: it goes to the operational log, so it may name a state, a purpose or a field, and never a
person, a number, a date of birth or a key. `row.public` is all that the other side reads. `EXIT` is the command
line's exit code (SURFACE, exit codes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Fault = Literal["caller", "peer", "us", "world"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the catalogue.

    `reason` is ErrorInfo.reason (UPPER_SNAKE, stable, AIP-193); `status` a gRPC status by name; `retry` says whether
    the same bytes may succeed later.
    """

    reason: str
    status: str
    public: str
    fault: Fault
    retry: bool
    exit_code: int = 1


class GatewayError(Exception):
    """The root. Subclasses carry their catalogue row; `file` is the user's file that it is about, where it is one."""

    row: ClassVar[Row] = Row("INTERNAL", "INTERNAL", "The gateway failed.", "us", False)
    file: str = ""


class Malformed(GatewayError):
    """Bytes from outside have the wrong shape. `field` names the place, never the value."""

    row = Row("MALFORMED", "INVALID_ARGUMENT", "The message is malformed.", "caller", False, 8)

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class InputRefused(GatewayError):
    """A file or an input of the user's cannot be taken. Names line and field, never the content."""

    row = Row("INPUT_REFUSED", "INVALID_ARGUMENT", "The input was refused.", "caller", False, 8)

    def __init__(self, why: str, *, line: int | None = None, field: str | None = None, code: str = "") -> None:
        where = f"line {line}: " if line is not None else ""
        what = f"{field}: " if field else ""
        super().__init__(f"{where}{what}{why}")
        self.line = line
        self.field = field
        self.why = why
        self.code = code


class ConfigRefused(GatewayError):
    """The configuration is not usable. Names file and key, and says what to write instead."""

    row = Row("CONFIG_REFUSED", "FAILED_PRECONDITION", "The gateway is not configured.", "us", False, 8)


class NotIdentified(GatewayError):
    """The caller's certificate, pin, token or signature does not prove who it is."""

    row = Row("NOT_IDENTIFIED", "UNAUTHENTICATED", "The caller was not identified.", "caller", False, 3)


class PolicyDenied(GatewayError):
    """The rules or the floors do not permit it. Reasons are codes, and never depend on the person (decision 7)."""

    row = Row("POLICY_DENIED", "PERMISSION_DENIED", "The request is not permitted.", "caller", False, 3)

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("denied: " + ", ".join(reasons))
        self.reasons = reasons


class PeerSuspended(GatewayError):
    """The peer is withdrawn or suspended; evaluation stops at the next call (T3)."""

    row = Row("PEER_SUSPENDED", "PERMISSION_DENIED", "The request is not permitted.", "caller", False, 3)


class MethodUnknown(GatewayError):
    """No method of the contract has this path at this door. Paths are compared exactly, never brought to a form."""

    row = Row("METHOD_UNKNOWN", "UNIMPLEMENTED", "There is no such method.", "caller", False)


class NodeUnreachable(GatewayError):
    """A state's own system did not reach its own gateway, or not in time."""

    row = Row("NODE_UNREACHABLE", "UNAVAILABLE", "The gateway is not available.", "world", True)


class NotFoundOrNotPermitted(GatewayError):
    """One face for what does not exist and what may not be known."""

    row = Row("NOT_FOUND", "NOT_FOUND", "Not found.", "caller", False, 4)


class QuotaExhausted(GatewayError):
    """The peer's or the officer's allowance of the day is used up; nothing was evaluated or charged."""

    row = Row("QUOTA_EXHAUSTED", "RESOURCE_EXHAUSTED", "The allowance is used up.", "caller", True, 3)


class BudgetExhausted(GatewayError):
    """A private statistic costs more than is left in the account, or in the peer's share of it; nothing was charged.

    `of` is `account` or `share`; the numbers are micro-rho, and `left_epsilon_micro` what is left as micro-epsilon at
    delta 10^-8. They depend on what was asked before and never on the data.
    """

    row = Row("BUDGET_EXHAUSTED", "RESOURCE_EXHAUSTED", "The privacy budget is used up.", "caller", False, 7)

    def __init__(self, of: str, cost_micro_rho: int, left_micro_rho: int, left_epsilon_micro: int) -> None:
        left = f"{left_micro_rho / 1e6:.6f} rho (epsilon {left_epsilon_micro / 1e6:.2f}) are left"
        super().__init__(f"the release costs {cost_micro_rho / 1e6:.6f} rho and in the {of} {left}")
        self.of = of
        self.cost_micro_rho = cost_micro_rho
        self.left_micro_rho = left_micro_rho
        self.left_epsilon_micro = left_epsilon_micro


class TooMany(GatewayError):
    """A rate, size or concurrency limit of this peer (T19)."""

    row = Row("TOO_MANY", "RESOURCE_EXHAUSTED", "Too many requests.", "caller", True)


class DeadlineMissing(GatewayError):
    """A call without a deadline, or with one already past."""

    row = Row("DEADLINE_MISSING", "INVALID_ARGUMENT", "A deadline is required.", "caller", False)


class EpochRefused(GatewayError):
    """The epoch is unknown here or has expired; fetch the current manifest."""

    row = Row("EPOCH_REFUSED", "FAILED_PRECONDITION", "The epoch is not in force.", "caller", False)


class CapabilityMissing(GatewayError):
    """No common protocol major, suite or key-type version with the peer: UNREACHABLE, never a miss."""

    row = Row("CAPABILITY_MISSING", "FAILED_PRECONDITION", "No common version.", "caller", False, 5)


class BaselineOutdated(GatewayError):
    """The peer's regional baseline is not the federation's (T6)."""

    row = Row("BASELINE_OUTDATED", "FAILED_PRECONDITION", "The regional baseline differs.", "caller", False, 3)


class RequestReused(GatewayError):
    """The same request id came with other bytes, or after its stored reply was erased."""

    row = Row("REQUEST_REUSED", "ALREADY_EXISTS", "The request id was used before.", "caller", False)


class VersionMoved(GatewayError):
    """Policy, agreement, tag, record or peer key changed between the decision and the commit: decide again (T5)."""

    row = Row("VERSION_MOVED", "ABORTED", "The state changed; ask again.", "us", True)


class AuditUnavailable(GatewayError):
    """The log could not be written; nothing was revealed. No entry, no answer."""

    row = Row("AUDIT_UNAVAILABLE", "UNAVAILABLE", "The gateway is not available.", "us", True)


class WitnessesSilent(GatewayError):
    """No quorum of witnesses has seen our log for too long: nothing is disclosed until one has (T13)."""

    row = Row("WITNESSES_SILENT", "UNAVAILABLE", "The gateway is not available.", "us", True)


class KeysUnavailable(GatewayError):
    """The key process is gone; no answer leaves."""

    row = Row("KEYS_UNAVAILABLE", "UNAVAILABLE", "The gateway is not available.", "us", True)


class PolicyUnavailable(GatewayError):
    """No policy is loaded, it has expired or the engine failed. Anything unknown means no."""

    row = Row("POLICY_UNAVAILABLE", "PERMISSION_DENIED", "The request is not permitted.", "us", True, 3)


class PeerUnreachable(GatewayError):
    """A peer did not answer in time or not in a form that can be trusted. Never read as "nothing to report"."""

    row = Row("PEER_UNREACHABLE", "UNAVAILABLE", "The peer is not available.", "world", True, 5)


class VerificationFailed(GatewayError):
    """A signature, proof, hash or chain does not hold. `step` names the check, `position` the first bad place."""

    row = Row("VERIFICATION_FAILED", "INVALID_ARGUMENT", "The proof does not hold.", "peer", False, 6)

    def __init__(self, step: str, why: str, *, position: int | None = None) -> None:
        at = "" if position is None else f" at entry {position}"
        super().__init__(f"{step}{at}: {why}")
        self.step = step
        self.why = why
        self.position = position


CATALOGUE: tuple[type[GatewayError], ...] = (
    GatewayError,
    Malformed,
    InputRefused,
    ConfigRefused,
    NotIdentified,
    PolicyDenied,
    PeerSuspended,
    MethodUnknown,
    NodeUnreachable,
    NotFoundOrNotPermitted,
    QuotaExhausted,
    BudgetExhausted,
    TooMany,
    DeadlineMissing,
    EpochRefused,
    CapabilityMissing,
    BaselineOutdated,
    RequestReused,
    VersionMoved,
    AuditUnavailable,
    WitnessesSilent,
    KeysUnavailable,
    PolicyUnavailable,
    PeerUnreachable,
    VerificationFailed,
)
"""Every class above; docs and tests walk it."""
