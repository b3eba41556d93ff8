"""What a node keeps of private statistics, as values: written by `store.releases`, read by `store.reader`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.statistics.budget import Account
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import PeerId


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """One loading of a data set. `declaration` is canonical (`statistics.dataset`), `snapshot` the events' SHA-256."""

    name: str
    version: int
    snapshot: bytes
    declaration: bytes = field(repr=False)
    by_person: bool
    at_ns: int


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A release that was charged. `message` is None until it was made; `code` says why it could not be, `attempts` how
    often a process began to make it.

    `cap` and `spent` are the account's after the charge, micro-rho. `shown_ns` is the tick from which it may be told
    what became of it.
    """

    reference: bytes
    snapshot: bytes
    query: bytes
    dataset: str
    version: int
    unit: str
    period: str
    salt: bytes = field(repr=False)
    cost: int
    cap: int
    spent: int
    charged_ns: int
    attempts: int
    code: str
    shown_ns: int
    message: SignedMessage | None


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """Who asked for which release, and when."""

    recipient: PeerId
    request_id: bytes
    reference: bytes
    snapshot: bytes
    at_ns: int


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account with what each peer has caused to be spent in it."""

    account: Account
    shares: Mapping[PeerId, int]


@dataclass(frozen=True, slots=True)
class StoredCopy:
    """A release that we received, with its owner's signature."""

    owner: PeerId
    reference: bytes
    snapshot: bytes
    query: bytes
    message: SignedMessage
    at_ns: int


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """A query that we put to another state: the reference people use, and what it stands for."""

    owner: PeerId
    reference: bytes
    query: bytes
    snapshot: bytes
    at_ns: int
