"""Private statistics in the memory store: the same changes and reads as `store.releases`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from gateway.errors import NotFoundOrNotPermitted, RequestReused, VersionMoved
from gateway.statistics.budget import Account, AccountKey
from gateway.statistics.kept import (
    StoredAccount,
    StoredCopy,
    StoredDataset,
    StoredQuery,
    StoredRelease,
    StoredRequest,
)
from gateway.store.releases import Args, charged, judge_copy, judge_new
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import PeerId

AccountOf = tuple[str, str, str]
ReleaseOf = tuple[bytes, bytes]


class Tables(Protocol):
    """What is kept. Rows are never changed in place."""

    datasets: dict[str, tuple[StoredDataset, ...]]
    accounts: dict[AccountOf, tuple[int, int]]
    shares: dict[tuple[str, str, str, str], int]
    releases: dict[ReleaseOf, StoredRelease]
    requests: dict[tuple[str, bytes], StoredRequest]
    deliveries: dict[tuple[bytes, bytes, str], SignedMessage]
    release_queries: dict[tuple[str, bytes], StoredQuery]
    release_copies: dict[tuple[str, bytes, bytes], StoredCopy]


class MemoryReleases:
    """The part of `MemoryStore` that is about statistics."""

    @property
    def _held(self) -> Tables:
        """The tables as they now stand."""
        raise NotImplementedError

    # Changes

    def _dataset_put(self, a: Args) -> None:
        before = self._held.datasets.get(a["name"], ())
        told = (a["snapshot"], a["declaration"], bool(a["by_person"]))
        if before and (before[-1].snapshot, before[-1].declaration, before[-1].by_person) == told:
            return
        self._held.datasets[a["name"]] = (*before, StoredDataset(a["name"], len(before) + 1, *told, a["at_ns"]))

    def _release_charge(self, a: Args) -> None:
        key = (a["reference"], a["snapshot"])
        if key in self._held.releases:
            judge_new(a)
            return
        loaded = self.dataset(a["dataset"])
        if loaded is None or loaded.version != a["version"]:
            raise VersionMoved("the data set was loaded again meanwhile")
        place = (a["dataset"], a["unit"], a["period"])
        done = charged(a, self.release_account(*place), self.release_share(*place, a["peer"]))
        self._held.accounts[place] = (done.account.cap, done.account.spent)
        if done.share is not None:
            self._held.shares[(*place, done.share.peer)] = done.share.spent
        self._held.releases[key] = StoredRelease(
            reference=a["reference"],
            snapshot=a["snapshot"],
            query=a["query"],
            dataset=a["dataset"],
            version=a["version"],
            unit=a["unit"],
            period=a["period"],
            salt=a["salt"],
            cost=a["cost"],
            cap=done.account.cap,
            spent=done.account.spent,
            charged_ns=a["at_ns"],
            attempts=0,
            code="",
            shown_ns=0,
            message=None,
        )

    def _release_request(self, a: Args) -> None:
        key = (a["recipient"], a["request_id"])
        held = self._held.requests.get(key)
        if held is not None:
            if (held.reference, held.snapshot) != (a["reference"], a["snapshot"]):
                raise RequestReused("the request id was used for another question")
            return
        found = self._charged(a)
        if found.code:
            self._held.releases[(found.reference, found.snapshot)] = replace(found, code="", shown_ns=0, attempts=0)
        self._held.requests[key] = StoredRequest(
            PeerId(a["recipient"]), a["request_id"], a["reference"], a["snapshot"], a["at_ns"]
        )

    def _release_attempt(self, a: Args) -> None:
        found = self.release(a["reference"], a["snapshot"])
        if found is None or found.message is not None or found.code:
            raise RequestReused("this release does not wait any more")
        self._held.releases[(found.reference, found.snapshot)] = replace(found, attempts=found.attempts + 1)

    def _release_put(self, a: Args) -> None:
        found = self._charged(a)
        if found.message is not None:
            if found.message.body != a["body"]:
                raise RequestReused("this release was made before")
            return
        self._held.releases[(found.reference, found.snapshot)] = replace(
            found, message=SignedMessage(a["body"], a["header"], a["signature"]), shown_ns=a["shown_ns"], code=""
        )

    def _release_fail(self, a: Args) -> None:
        found = self._charged(a)
        if found.message is not None:
            raise NotFoundOrNotPermitted("no such release waits")
        self._held.releases[(found.reference, found.snapshot)] = replace(found, code=a["code"], shown_ns=a["shown_ns"])

    def _release_deliver(self, a: Args) -> None:
        if self._charged(a).message is None:
            raise NotFoundOrNotPermitted("no such release was made")
        key = (a["reference"], a["snapshot"], a["recipient"])
        self._held.deliveries.setdefault(key, SignedMessage(a["body"], a["header"], a["signature"]))

    def _release_asked(self, a: Args) -> None:
        owner = PeerId(a["owner"])
        kept = StoredQuery(owner, a["reference"], a["query"], a["snapshot"], a["at_ns"])
        self._held.release_queries[(owner, a["reference"])] = kept

    def _release_copy(self, a: Args) -> None:
        key = (a["owner"], a["reference"], a["snapshot"])
        held = self._held.release_copies.get(key)
        if held is not None:
            judge_copy(held.message.body, a)
            return
        message = SignedMessage(a["body"], a["header"], a["signature"])
        self._held.release_copies[key] = StoredCopy(
            PeerId(a["owner"]), a["reference"], a["snapshot"], a["query"], message, a["at_ns"]
        )

    def _charged(self, a: Args) -> StoredRelease:
        found = self.release(a["reference"], a["snapshot"])
        if found is None:
            raise NotFoundOrNotPermitted("no such release was charged")
        return found

    # Reading, as store.releases has it

    def dataset(self, name: str, version: int = 0) -> StoredDataset | None:
        found = self._held.datasets.get(name, ())
        return next((one for one in reversed(found) if version in (0, one.version)), None)

    def datasets(self) -> list[StoredDataset]:
        return [held[-1] for _, held in sorted(self._held.datasets.items())]

    def snapshots_needed(self) -> set[bytes]:
        return {one.snapshot for one in self.datasets()} | {one.snapshot for one in self.waiting_releases()}

    def release(self, reference: bytes, snapshot: bytes, *, whole: bool = True) -> StoredRelease | None:
        found = self._held.releases.get((reference, snapshot))
        return found if whole or found is None else _without(found)

    def releases(self, *, whole: bool = True) -> list[StoredRelease]:
        found = sorted(self._held.releases.values(), key=lambda one: (one.charged_ns, one.reference, one.snapshot))
        return found if whole else [_without(one) for one in found]

    def waiting_releases(self) -> list[StoredRelease]:
        found = [one for one in self.releases() if one.message is None and not one.code]
        return sorted(found, key=lambda one: one.attempts)

    def has_waiting_releases(self) -> bool:
        return bool(self.waiting_releases())

    def release_account(self, dataset: str, unit: str, period: str) -> int:
        return self._held.accounts.get((dataset, unit, period), (0, 0))[1]

    def release_share(self, dataset: str, unit: str, period: str, peer: PeerId) -> int:
        return self._held.shares.get((dataset, unit, period, peer), 0)

    def release_accounts(self) -> list[StoredAccount]:
        shares: dict[AccountOf, dict[PeerId, int]] = {}
        for (dataset, unit, period, peer), spent in sorted(self._held.shares.items()):
            shares.setdefault((dataset, unit, period), {})[PeerId(peer)] = spent
        return [
            StoredAccount(Account(AccountKey(*key), cap, spent), shares.get(key, {}))
            for key, (cap, spent) in sorted(self._held.accounts.items())
        ]

    def release_request(self, recipient: PeerId, request_id: bytes) -> StoredRequest | None:
        return self._held.requests.get((recipient, request_id))

    def newest_request(self, recipient: PeerId, reference: bytes) -> StoredRequest | None:
        return next((one for one in reversed(self.release_requests(recipient)) if one.reference == reference), None)

    def release_requests(self, recipient: str = "") -> list[StoredRequest]:
        found = [one for one in self._held.requests.values() if recipient in ("", one.recipient)]
        return sorted(found, key=lambda one: one.at_ns)

    def release_delivery(self, reference: bytes, snapshot: bytes, recipient: PeerId) -> SignedMessage | None:
        return self._held.deliveries.get((reference, snapshot, recipient))

    def release_query(self, reference: bytes) -> bytes | None:
        return next((one.query for one in self.releases() if one.reference == reference), None)

    def release_asked(self, owner: PeerId, reference: bytes) -> bytes | None:
        held = self._held.release_queries.get((owner, reference))
        return None if held is None else held.query

    def releases_asked(self) -> list[StoredQuery]:
        found = self._held.release_queries.values()
        return sorted(found, key=lambda one: (one.at_ns, one.owner, one.reference))

    def release_copy(self, owner: PeerId, reference: bytes, snapshot: bytes) -> StoredCopy | None:
        return self._held.release_copies.get((owner, reference, snapshot))

    def release_copies(self, *, whole: bool = True) -> list[StoredCopy]:
        held = self._held.release_copies.values()
        found = sorted(held, key=lambda one: (one.at_ns, one.owner, one.reference, one.snapshot))
        return found if whole else [replace(one, message=_EMPTY) for one in found]


_EMPTY: Final = SignedMessage(b"", b"", b"")


def _without(release: StoredRelease) -> StoredRelease:
    return replace(release, message=release.message and _EMPTY)


APPLY: Final[Mapping[str, Callable[[Any, Args], None]]] = {
    "dataset.put": MemoryReleases._dataset_put,
    "release.charge": MemoryReleases._release_charge,
    "release.request": MemoryReleases._release_request,
    "release.attempt": MemoryReleases._release_attempt,
    "release.put": MemoryReleases._release_put,
    "release.fail": MemoryReleases._release_fail,
    "release.deliver": MemoryReleases._release_deliver,
    "release.asked": MemoryReleases._release_asked,
    "release.copy": MemoryReleases._release_copy,
}
"""Rows of `store.memory`'s own table."""
