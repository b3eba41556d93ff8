"""The error catalogue as a whole: complete, stable in form, and telling the other side nothing."""

from __future__ import annotations

import re
from typing import Any

import grpc
import pytest

from gateway import errors
from gateway.errors import CATALOGUE, GatewayError

GRPC_STATUSES = {code.name for code in grpc.StatusCode} - {"OK", "CANCELLED", "UNKNOWN", "DATA_LOSS", "OUT_OF_RANGE"}

EXIT_CODES = {1, 3, 4, 5, 6, 7, 8}
"""SURFACE: 0 is success and 2 is a command line that could not be read; no refusal has either."""


def test_the_catalogue_has_every_error_of_the_module_once() -> None:
    defined = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)}
    assert set(CATALOGUE) == defined
    assert len(CATALOGUE) == len(set(CATALOGUE))


def test_every_error_has_a_row_and_a_reason_of_its_own() -> None:
    assert all("row" in vars(kind) for kind in CATALOGUE)
    reasons = [kind.row.reason for kind in CATALOGUE]
    assert len(set(reasons)) == len(reasons)


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.__name__)
def test_a_row_is_in_form(kind: type[GatewayError]) -> None:
    row = kind.row
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", row.reason)
    assert row.status in GRPC_STATUSES
    assert row.exit_code in EXIT_CODES
    assert re.fullmatch(r"[A-Z][^.]*\.", row.public), "one sentence"
    assert row.fault in ("caller", "peer", "us", "world")
    assert kind.__doc__


def test_what_must_look_alike_looks_alike() -> None:
    # A peer must not learn from a refusal whether it was suspended, forbidden, or met by a gateway without rules.
    seen = {
        (kind.row.status, kind.row.public)
        for kind in (errors.PolicyDenied, errors.PeerSuspended, errors.PolicyUnavailable)
    }
    assert seen == {("PERMISSION_DENIED", "The request is not permitted.")}
    gone = {(kind.row.status, kind.row.public) for kind in (errors.AuditUnavailable, errors.KeysUnavailable)}
    assert gone == {("UNAVAILABLE", "The gateway is not available.")}


@pytest.mark.parametrize(
    ("error", "private"),
    [
        (errors.Malformed("blinded", "has 31 bytes"), "blinded: has 31 bytes"),
        (errors.InputRefused("is no date", line=4, field="birth_date"), "line 4: birth_date: is no date"),
        (errors.InputRefused("the file is empty"), "the file is empty"),
        (errors.PolicyDenied(("purpose", "role")), "denied: purpose, role"),
        (
            errors.VerificationFailed("inclusion", "the root differs", position=7),
            "inclusion at entry 7: the root differs",
        ),
        (errors.VerificationFailed("signature", "no known key"), "signature: no known key"),
        (
            errors.BudgetExhausted("share", 520_000, 20_000, 612_345),
            "the release costs 0.520000 rho and in the share 0.020000 rho (epsilon 0.61) are left",
        ),
    ],
)
def test_the_private_text_says_where_and_why(error: GatewayError, private: str) -> None:
    assert str(error) == private
    assert str(error) not in error.row.public


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.__name__)
def test_the_public_text_depends_on_nothing(kind: Any) -> None:
    assert not re.search(r"[{}%]", kind.row.public)
