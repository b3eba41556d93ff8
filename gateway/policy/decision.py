"""The answer of the rules, as a value (decision 2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permit:
    """Yes, within these bounds. The next step takes it as an argument, so that it cannot be called without one.

    `agreement` names the pair's agreement; `key_types` the match keys both layers grant; `slots_per_day` the quota in
    padded batch elements (the stricter of both layers); `retention` the log's retention class; `expires_ns` at most
    15 minutes ahead (T5); digests are the bundles' (SHA-256).
    """

    agreement: str
    agreement_version: int
    key_types: tuple[str, ...]
    kinds: tuple[str, ...]
    slots_per_day: int
    transfer_basis: str
    retention: str
    expires_ns: int
    baseline: bytes
    national: bytes


@dataclass(frozen=True, slots=True)
class Deny:
    """No. `reasons` are sorted codes of `policies/reasons.json`; they depend on the request, never on the person."""

    reasons: tuple[str, ...]
    baseline: bytes = b""
    national: bytes = b""
