"""What two gateways, and a state and its own people, say to each other about a private statistic."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.terms.exchange import Named
from gateway.terms.ids import AgencyId, Purpose, RequestId
from gateway.terms.words import Role


class ReleaseState(StrEnum):
    """Where a release stands. It leaves `waiting` at a tick only, so that its time tells nothing."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReleaseAsk:
    """One question for a statistic: what a peer signs, and what a state's own people ask their own node.

    `query` is the canonical form (`statistics.catalogue.Query`), at most 4,096 bytes; `request_id` the idempotency key.
    `pair_seq` numbers the asker's messages to this owner; digests are SHA-256 of the asker's bundles. At home the last
    four say nothing.
    """

    request_id: RequestId
    query: bytes
    purpose: Purpose
    legal_basis: str
    agency: AgencyId
    role: Role
    pair_seq: int = 0
    baseline: bytes = field(default=b"", repr=False)
    national: bytes = field(default=b"", repr=False)
    permit_expires_ns: int = 0
    named: Named | None = field(default=None, repr=False, compare=False)
    """Our entry, for the header."""


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """What a release would cost and how good it would be, without a look at the data.

    `reference` is the query's digest, `snapshot` that of the events it would be made from, 32 bytes each. Costs are
    whole micro-rho: `cost_micro_rho` is the price, `charge_micro_rho` what asking now would charge (0 where it was
    charged before), `left_micro_rho` what this recipient may still cause to be charged. `scale` and `delta` are
    numerator and denominator. `state` is "" where nobody has asked yet.
    """

    reference: bytes
    snapshot: bytes
    domain_digest: bytes
    cells: int
    unit: str
    l0: int
    linf: int
    mechanism: str
    scale: tuple[int, int]
    cost_micro_rho: int
    charge_micro_rho: int
    left_micro_rho: int
    epsilon_micro: int
    delta: tuple[int, int]
    sd_micro: int
    half_width_95: int
    loss_half_width_95: int
    threshold: int
    state: str


@dataclass(frozen=True, slots=True)
class ReleaseStanding:
    """How a release stands for one recipient: the answer to asking for it, and to fetching it.

    `reference` and `snapshot` name it (32 bytes each). `cost_micro_rho` is what this call charged, 0 where it was
    charged before; `code` says why it failed. `document` is the recipient's own (`statistics.release`), with its
    owner's `header` and `signature` as of a standing document; the three are b"" until it is ready, and the same bytes
    ever after.
    """

    reference: bytes
    snapshot: bytes
    state: ReleaseState
    cost_micro_rho: int = 0
    code: str = ""
    document: bytes = field(default=b"", repr=False)
    header: bytes = field(default=b"", repr=False)
    signature: bytes = field(default=b"", repr=False)
