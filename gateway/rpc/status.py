"""The error catalogue on the wire, both ways, in one place: gRPC status, public text, `google.rpc.ErrorInfo`.

What leaves is the row's public text and reason, and as metadata only codes: reasons of a refusal by policy, the field
or step that failed. The private text stays in the operational log. An exception that is not of the catalogue leaves as
INTERNAL with constant words.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from gateway import errors
from gateway.errors import GatewayError

DOMAIN: Final = "limen"
DETAILS_KEY: Final = "grpc-status-details-bin"
DETAILS_BYTES_MAX: Final = 4_096
REASONS_MAX: Final = 32

STATUS: Final = {code.name: code for code in grpc.StatusCode}
BY_REASON: Final = {kind.row.reason: kind for kind in errors.CATALOGUE}

_CODE = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,64}\Z")


_BUDGET: Final = ("cost_micro_rho", "left_micro_rho", "left_epsilon_micro")
"""What is said of an account: numbers that depend on what was asked, never on the data."""


@lru_cache(maxsize=1024)
def _details(reason: str, metadata: tuple[tuple[str, str], ...]) -> bytes:
    row = BY_REASON[reason].row
    packed = AnyMessage()
    packed.Pack(ErrorInfo(reason=reason, domain=DOMAIN, metadata=dict(metadata)))
    status = Status(code=STATUS[row.status].value[0], message=row.public, details=[packed])
    return bytes(status.SerializeToString())


def _codes(error: GatewayError) -> tuple[tuple[str, str], ...]:
    """The error's codes, each of a closed shape, so that no text of ours or of a caller's can ride along."""
    found: list[tuple[str, str]] = []
    reasons = getattr(error, "reasons", ())
    if reasons:
        found.append(("reasons", ",".join(code for code in reasons[:REASONS_MAX] if _CODE.match(code))))
    for name in ("field", "step", "code", "of"):
        value = getattr(error, name, None)
        if isinstance(value, str) and _CODE.match(value):
            found.append((name, value))
    for name in ("line", "position", *_BUDGET):
        value = getattr(error, name, None)
        if type(value) is int:
            found.append((name, str(value)))
    return tuple(found)


def refusal(error: GatewayError) -> tuple[grpc.StatusCode, str, bytes]:
    """(status, public text, bytes of `grpc-status-details-bin`) of an error that leaves."""
    kind = type(error) if type(error).row.reason in BY_REASON else GatewayError
    return STATUS[kind.row.status], kind.row.public, _details(kind.row.reason, _codes(error))


INTERNAL: Final = (STATUS[GatewayError.row.status], GatewayError.row.public, _details(GatewayError.row.reason, ()))
"""What leaves for an exception nobody foresaw."""

LATE: Final = (grpc.StatusCode.DEADLINE_EXCEEDED, "The gateway was too slow.", b"")
"""What leaves when our own bound on a call's time passed."""


def read(code: grpc.StatusCode, details: bytes | None) -> GatewayError | None:
    """The error that a gateway told, or None when it told none that we know: no details, another domain, an unknown
    reason, a status that is not the reason's."""
    if details is None or len(details) > DETAILS_BYTES_MAX:
        return None
    try:
        told = Status.FromString(details)
        if len(told.details) != 1 or not told.details[0].Is(ErrorInfo.DESCRIPTOR):
            return None
        info = ErrorInfo()
        told.details[0].Unpack(info)
    except DecodeError:
        return None
    kind = BY_REASON.get(info.reason)
    if kind is None or info.domain != DOMAIN or STATUS[kind.row.status] is not code:
        return None
    return _made(kind, dict(info.metadata))


REFUSED_WORDS: Final = {
    "NO_KEY": "nothing to ask about: give a document with its issuer, or a whole name with a year of birth",
    "CASE": "a case or shift reference is required",
    "DATASET_UNKNOWN": "there is no such data set",
    "DOMAIN_UNKNOWN": "the data set does not cover it",
    "NO_CAP": "the data set's owner allows no release of this length",
    "CODE": "there is no such code for this; the command's -h lists them",
    "OFFICER": "that person may not follow this: an alert goes to a supervisor whom it is not about",
    "NOBODY": "nobody of this number is enrolled here, or no longer; `limen officer list` on the node has all",
    "OFFICER_ROLE": "this officer has no role that follows this case",
    "COUNT": "too many travellers in one question; split it",
}
"""What a code of the gateway's means, in words that are ours: the other side's text is never shown."""


VERIFICATION_WORDS: Final = {
    "persons": "the signatures are not those that this takes: one's own for an act, a second person's for a release",
    "statement": "what was signed is not what was asked: look at it again, and sign again",
}
"""What a failed step of the gateway's means, in words that are ours."""


def _made(kind: type[GatewayError], said: dict[str, str]) -> GatewayError:
    def code(name: str) -> str:
        value = said.get(name, "")
        return value if _CODE.match(value) else ""

    if kind is errors.PolicyDenied:
        listed = said.get("reasons", "").split(",")[:REASONS_MAX]
        return errors.PolicyDenied(tuple(sorted(one for one in listed if _CODE.match(one))))
    if kind is errors.VerificationFailed:
        return errors.VerificationFailed(
            code("step") or "unknown",
            VERIFICATION_WORDS.get(code("step"), "so the other side says"),
            position=_number(said),
        )
    if kind is errors.Malformed:
        return errors.Malformed(code("field") or "message", "the gateway cannot take this value; correct it")
    if kind is errors.InputRefused:
        return errors.InputRefused(
            REFUSED_WORDS.get(code("code"), "refused by the gateway"),
            line=_number(said, "line"),
            field=code("field") or None,
            code=code("code"),
        )
    if kind is errors.BudgetExhausted:
        of = code("of") if code("of") in ("account", "share") else "account"
        cost, left, epsilon = (_number(said, name) or 0 for name in _BUDGET)
        return errors.BudgetExhausted(of, cost, left, epsilon)
    plain = cast("type[Exception]", kind)
    return cast("GatewayError", plain(kind.row.public))


def _number(said: dict[str, str], name: str = "position") -> int | None:
    value = said.get(name, "")
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None


def details_of(metadata: object) -> bytes | None:
    """The status details out of trailing metadata; None unless they stand exactly once."""
    if metadata is None:
        return None
    found = [value for key, value in metadata if key == DETAILS_KEY]  # type: ignore[attr-defined]
    return found[0] if len(found) == 1 and isinstance(found[0], bytes) else None


def not_answered(peer: str, code: grpc.StatusCode, told: GatewayError | None) -> errors.PeerUnreachable:
    """What an asker says of a call that ended without an answer it can use."""
    return errors.PeerUnreachable(f"{peer}: {told.row.reason if told is not None else code.name}")
