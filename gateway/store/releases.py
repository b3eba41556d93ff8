"""Private statistics in the node's database: the changes, and what is read (docs/statistics.md).

The order that matters is kept by the rows themselves: a release is charged before it can be stored, its salt and its
charge stay the first ones, and so do the bytes that were stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.errors import BudgetExhausted, NotFoundOrNotPermitted, RequestReused, VerificationFailed, VersionMoved
from gateway.statistics import budget
from gateway.statistics.budget import Account, AccountKey, Charged, Exhausted, Share
from gateway.statistics.kept import (
    StoredAccount,
    StoredCopy,
    StoredDataset,
    StoredQuery,
    StoredRelease,
    StoredRequest,
)
from gateway.statistics.noise import epsilon_for
from gateway.store.db import Database, Rows
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import PeerId

Args = Mapping[str, Any]
Apply = Callable[[Database, Args], None]


def charged(a: Args, spent: int, share_spent: int) -> Charged:
    """The account and the share after a charge, from what was spent before. Raises BudgetExhausted."""
    account = Account(AccountKey(a["dataset"], a["unit"], a["period"]), max(a["cap"], spent), spent)
    share = None if a["share_cap"] is None else Share(a["peer"], max(a["share_cap"], share_spent), share_spent)
    done = budget.charge(account, a["cost"], share)
    if isinstance(done, Exhausted):
        raise BudgetExhausted(done.of, done.cost, done.left, epsilon_for(done.left))
    return done


# -- Changes ----------------------------------------------------------------------------------------------------------


def _dataset_put(db: Database, a: Args) -> None:
    """{name, snapshot, declaration, by_person, at_ns}: a data set in force. The same again changes nothing."""
    held = db.execute(
        "SELECT version, snapshot, declaration, by_person FROM dataset WHERE name = ? ORDER BY version DESC LIMIT 1",
        (a["name"],),
    ).fetchone()
    if held is not None and held[1:] == (a["snapshot"], a["declaration"], int(a["by_person"])):
        return
    row = (a["name"], 1 if held is None else held[0] + 1, a["snapshot"], a["declaration"], int(a["by_person"]))
    db.execute("INSERT INTO dataset VALUES (?, ?, ?, ?, ?, ?)", (*row, a["at_ns"]))


def _release_charge(db: Database, a: Args) -> None:
    """{reference, snapshot, query, dataset, version, unit, period, salt, cost, cap, peer, share_cap, at_ns, is_new?}:
    charge a release to its account and, unless `share_cap` is None, to the peer's share of it.

    Charged once: the same query over the same snapshot again changes nothing, its first salt and its first charge stay;
    with `is_new` it is refused, for what the caller has logged is not what happened. Refused where another loading than
    `version` is in force, and where either has not enough left.
    """
    held = db.execute("SELECT 1 FROM release WHERE reference = ? AND snapshot = ?", (a["reference"], a["snapshot"]))
    if held.fetchone() is not None:
        judge_new(a)
        return
    loaded = db.execute("SELECT max(version) FROM dataset WHERE name = ?", (a["dataset"],)).fetchone()
    if loaded[0] != a["version"]:
        raise VersionMoved("the data set was loaded again meanwhile")
    key = (a["dataset"], a["unit"], a["period"])
    row = db.execute("SELECT spent FROM release_account WHERE dataset = ? AND unit = ? AND period = ?", key).fetchone()
    theirs = db.execute(
        "SELECT spent FROM release_share WHERE dataset = ? AND unit = ? AND period = ? AND peer = ?", (*key, a["peer"])
    ).fetchone()
    done = charged(a, row[0] if row else 0, theirs[0] if theirs else 0)
    db.execute("INSERT OR REPLACE INTO release_account VALUES (?, ?, ?, ?, ?)",
               (*key, done.account.cap, done.account.spent))  # fmt: skip
    if done.share is not None:
        db.execute("INSERT OR REPLACE INTO release_share VALUES (?, ?, ?, ?, ?, ?)",
                   (*key, done.share.peer, done.share.cap, done.share.spent))  # fmt: skip
    db.execute(
        "INSERT INTO release (reference, snapshot, query, dataset, version, unit, period, salt, cost, cap, spent,"
        " charged_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (a["reference"], a["snapshot"], a["query"], a["dataset"], a["version"], a["unit"], a["period"], a["salt"],
         a["cost"], done.account.cap, done.account.spent, a["at_ns"]),
    )  # fmt: skip


def judge_new(a: Args) -> None:
    """Raises VersionMoved where a charge that was there before was to be the first."""
    if a.get("is_new"):
        raise VersionMoved("somebody else was the first to ask for it")


def _release_request(db: Database, a: Args) -> None:
    """{recipient, request_id, reference, snapshot, at_ns}: somebody asks for a release that was charged.

    A release that failed waits again: it was paid for. The same request again changes nothing.
    """
    key = (a["recipient"], a["request_id"])
    held = db.execute(
        "SELECT reference, snapshot FROM release_request WHERE recipient = ? AND request_id = ?", key
    ).fetchone()
    if held is not None:
        if held != (a["reference"], a["snapshot"]):
            raise RequestReused("the request id was used for another question")
        return
    row = db.execute(
        "SELECT code FROM release WHERE reference = ? AND snapshot = ?", (a["reference"], a["snapshot"])
    ).fetchone()
    if row is None:
        raise NotFoundOrNotPermitted("no such release was charged")
    if row[0]:
        db.execute("UPDATE release SET code = '', shown_ns = 0, attempts = 0 WHERE reference = ? AND snapshot = ?",
                   (a["reference"], a["snapshot"]))  # fmt: skip
    db.execute("INSERT INTO release_request VALUES (?, ?, ?, ?, ?)", (*key, a["reference"], a["snapshot"], a["at_ns"]))


def _release_attempt(db: Database, a: Args) -> None:
    """{reference, snapshot}: a process begins to make a charged release. Refused where it does not wait any more."""
    done = db.execute(
        "UPDATE release SET attempts = attempts + 1"
        " WHERE reference = ? AND snapshot = ? AND body IS NULL AND code = ''",
        (a["reference"], a["snapshot"]),
    )
    if done.rowcount != 1:
        raise RequestReused("this release does not wait any more")


def _release_put(db: Database, a: Args) -> None:
    """{reference, snapshot, body, header, signature, shown_ns}: the whole document, once, after its charge.

    The same body again changes nothing; another is refused, because a second draw would tell more than was charged.
    """
    key = (a["reference"], a["snapshot"])
    row = db.execute("SELECT body FROM release WHERE reference = ? AND snapshot = ?", key).fetchone()
    if row is None:
        raise NotFoundOrNotPermitted("no such release was charged")
    if row[0] is not None:
        if row[0] != a["body"]:
            raise RequestReused("this release was made before")
        return
    db.execute(
        "UPDATE release SET body = ?, header = ?, signature = ?, shown_ns = ?, code = ''"
        " WHERE reference = ? AND snapshot = ?",
        (a["body"], a["header"], a["signature"], a["shown_ns"], *key),
    )


def _release_fail(db: Database, a: Args) -> None:
    """{reference, snapshot, code, shown_ns}: a charged release could not be made. It stays charged."""
    done = db.execute(
        "UPDATE release SET code = ?, shown_ns = ? WHERE reference = ? AND snapshot = ? AND body IS NULL",
        (a["code"], a["shown_ns"], a["reference"], a["snapshot"]),
    )
    if done.rowcount != 1:
        raise NotFoundOrNotPermitted("no such release waits")


def _release_deliver(db: Database, a: Args) -> None:
    """{reference, snapshot, recipient, body, header, signature}: what one recipient is given. The first stays."""
    row = db.execute(
        "SELECT body IS NOT NULL FROM release WHERE reference = ? AND snapshot = ?", (a["reference"], a["snapshot"])
    ).fetchone()
    if row is None or not row[0]:
        raise NotFoundOrNotPermitted("no such release was made")
    db.execute(
        "INSERT OR IGNORE INTO release_delivery VALUES (?, ?, ?, ?, ?, ?)",
        (a["reference"], a["snapshot"], a["recipient"], a["body"], a["header"], a["signature"]),
    )


def _release_copy(db: Database, a: Args) -> None:
    """{owner, reference, snapshot, query, body, header, signature, at_ns}: a release that we received.

    The same body again changes nothing; another body for the same release is the owner's breach, and is refused.
    """
    key = (a["owner"], a["reference"], a["snapshot"])
    held = db.execute(
        "SELECT body FROM release_copy WHERE owner = ? AND reference = ? AND snapshot = ?", key
    ).fetchone()
    if held is not None:
        judge_copy(held[0], a)
        return
    db.execute("INSERT INTO release_copy VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
               (*key, a["query"], a["at_ns"], a["body"], a["header"], a["signature"]))  # fmt: skip


def _release_asked(db: Database, a: Args) -> None:
    """{owner, reference, query, snapshot, at_ns}: we asked another state for a release. The last request counts."""
    db.execute("INSERT OR REPLACE INTO release_asked VALUES (?, ?, ?, ?, ?)",
               (a["owner"], a["reference"], a["query"], a["snapshot"], a["at_ns"]))  # fmt: skip


def judge_copy(held: bytes, a: Args) -> None:
    """Raises VerificationFailed where the owner gives other bytes than before for one release."""
    if held != a["body"]:
        raise VerificationFailed("release", "the owner gave other bytes for it before")


CHANGES: Final[Mapping[str, Apply]] = {
    "dataset.put": _dataset_put,
    "release.charge": _release_charge,
    "release.request": _release_request,
    "release.attempt": _release_attempt,
    "release.put": _release_put,
    "release.fail": _release_fail,
    "release.deliver": _release_deliver,
    "release.asked": _release_asked,
    "release.copy": _release_copy,
}
"""Rows of `store.changes.CHANGES`."""


# -- Reading ----------------------------------------------------------------------------------------------------------

_DATASET: Final = "SELECT name, version, snapshot, declaration, by_person, at_ns FROM dataset"
_FACTS: Final = (
    "SELECT reference, snapshot, query, dataset, version, unit, period, salt, cost, cap, spent, charged_ns, attempts,"
    " code, shown_ns,"
)
_RELEASE: Final = f"{_FACTS} body, header, signature FROM release"
_RELEASE_ONLY: Final = f"{_FACTS} CASE WHEN body IS NULL THEN NULL ELSE x'' END, x'', x'' FROM release"
_REQUEST: Final = "SELECT recipient, request_id, reference, snapshot, at_ns FROM release_request"
_COPY: Final = "SELECT owner, reference, snapshot, query, body, header, signature, at_ns FROM release_copy"
_COPY_ONLY: Final = "SELECT owner, reference, snapshot, query, x'', x'', x'', at_ns FROM release_copy"


class ReleaseRows:
    """The part of `Reader` that is about statistics."""

    _one: Callable[..., Rows]

    def dataset(self, name: str, version: int = 0) -> StoredDataset | None:
        """The loading in force of a data set, or the one of this version; None where there is none."""
        row = self._one(
            f"{_DATASET} WHERE name = ? AND CAST(? AS BIGINT) IN (0, version) ORDER BY version DESC LIMIT 1",
            (name, version),
        ).fetchone()
        return None if row is None else _dataset(row)

    def datasets(self) -> list[StoredDataset]:
        """Every data set's loading in force."""
        rows = self._one(f"{_DATASET} AS d WHERE version = (SELECT max(version) FROM dataset WHERE name = d.name)"
                         " ORDER BY name")  # fmt: skip
        return [_dataset(row) for row in rows]

    def snapshots_needed(self) -> set[bytes]:
        """The events that may still be read: those in force, and those of releases that wait."""
        waiting = self._one("SELECT snapshot FROM release WHERE body IS NULL AND code = ''")
        return {one.snapshot for one in self.datasets()} | {bytes(row[0]) for row in waiting}

    def release(self, reference: bytes, snapshot: bytes, *, whole: bool = True) -> StoredRelease | None:
        """The release of a query over a snapshot, where it was charged. Not `whole`: one made has an empty message."""
        columns = _RELEASE if whole else _RELEASE_ONLY
        row = self._one(f"{columns} WHERE reference = ? AND snapshot = ?", (reference, snapshot)).fetchone()
        return None if row is None else _release(row)

    def releases(self, *, whole: bool = True) -> list[StoredRelease]:
        """Every release that was charged, oldest first. Not `whole`: what was made has an empty message."""
        rows = self._one(f"{_RELEASE if whole else _RELEASE_ONLY} ORDER BY charged_ns, reference, snapshot")
        return [_release(row) for row in rows]

    def waiting_releases(self) -> list[StoredRelease]:
        """Those that were charged and are neither made nor failed: the least tried first, then the oldest."""
        rows = self._one(
            f"{_RELEASE} WHERE body IS NULL AND code = '' ORDER BY attempts, charged_ns, reference, snapshot"
        )
        return [_release(row) for row in rows]

    def has_waiting_releases(self) -> bool:
        """Whether there is work for the job that makes releases."""
        row = self._one("SELECT EXISTS (SELECT 1 FROM release WHERE body IS NULL AND code = '')").fetchone()
        return bool(row[0])

    def release_account(self, dataset: str, unit: str, period: str) -> int:
        """Micro-rho spent in an account."""
        row = self._one(
            "SELECT spent FROM release_account WHERE dataset = ? AND unit = ? AND period = ?", (dataset, unit, period)
        ).fetchone()
        return int(row[0]) if row else 0

    def release_share(self, dataset: str, unit: str, period: str, peer: PeerId) -> int:
        """Micro-rho that a peer has caused to be spent in an account."""
        row = self._one(
            "SELECT spent FROM release_share WHERE dataset = ? AND unit = ? AND period = ? AND peer = ?",
            (dataset, unit, period, peer),
        ).fetchone()
        return int(row[0]) if row else 0

    def release_accounts(self) -> list[StoredAccount]:
        """Every account that was charged, with the peers' parts in it."""
        shares: dict[tuple[str, str, str], dict[PeerId, int]] = {}
        for dataset, unit, period, peer, spent in self._one(
            "SELECT dataset, unit, period, peer, spent FROM release_share ORDER BY peer"
        ):
            shares.setdefault((dataset, unit, period), {})[PeerId(peer)] = spent
        rows = self._one("SELECT dataset, unit, period, cap, spent FROM release_account ORDER BY dataset, unit, period")
        return [
            StoredAccount(Account(AccountKey(*row[:3]), row[3], row[4]), shares.get((row[0], row[1], row[2]), {}))
            for row in rows
        ]

    def release_request(self, recipient: PeerId, request_id: bytes) -> StoredRequest | None:
        """What was asked for under this id."""
        row = self._one(f"{_REQUEST} WHERE recipient = ? AND request_id = ?", (recipient, request_id)).fetchone()
        return None if row is None else _request(row)

    def newest_request(self, recipient: PeerId, reference: bytes) -> StoredRequest | None:
        """The recipient's last request for this query, over whichever snapshot."""
        row = self._one(
            f"{_REQUEST} WHERE recipient = ? AND reference = ? ORDER BY at_ns DESC, rowid DESC LIMIT 1",
            (recipient, reference),
        ).fetchone()
        return None if row is None else _request(row)

    def release_requests(self, recipient: str = "") -> list[StoredRequest]:
        """Every request, or one recipient's, oldest first."""
        rows = self._one(f"{_REQUEST} WHERE CAST(? AS TEXT) IN ('', recipient) ORDER BY at_ns, rowid", (recipient,))
        return [_request(row) for row in rows]

    def release_delivery(self, reference: bytes, snapshot: bytes, recipient: PeerId) -> SignedMessage | None:
        """What a recipient was given."""
        row = self._one(
            "SELECT body, header, signature FROM release_delivery"
            " WHERE reference = ? AND snapshot = ? AND recipient = ?",
            (reference, snapshot, recipient),
        ).fetchone()
        return None if row is None else SignedMessage(*row)

    def release_query(self, reference: bytes) -> bytes | None:
        """The query of this reference, where it was charged here."""
        row = self._one("SELECT query FROM release WHERE reference = ? LIMIT 1", (reference,)).fetchone()
        return None if row is None else bytes(row[0])

    def release_asked(self, owner: PeerId, reference: bytes) -> bytes | None:
        """The query of this reference, where we have asked its owner for it."""
        row = self._one(
            "SELECT query FROM release_asked WHERE owner = ? AND reference = ?", (owner, reference)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def releases_asked(self) -> list[StoredQuery]:
        """Every query that we put to another state, oldest first."""
        rows = self._one("SELECT owner, reference, query, snapshot, at_ns FROM release_asked"
                         " ORDER BY at_ns, owner, reference")  # fmt: skip
        return [StoredQuery(PeerId(row[0]), *row[1:]) for row in rows]

    def release_copy(self, owner: PeerId, reference: bytes, snapshot: bytes) -> StoredCopy | None:
        """A release that we received from its owner."""
        row = self._one(
            f"{_COPY} WHERE owner = ? AND reference = ? AND snapshot = ?", (owner, reference, snapshot)
        ).fetchone()
        return None if row is None else _copy(row)

    def release_copies(self, *, whole: bool = True) -> list[StoredCopy]:
        """Every release that we received, oldest first. Not `whole`: with an empty message."""
        rows = self._one(f"{_COPY if whole else _COPY_ONLY} ORDER BY at_ns, owner, reference, snapshot")
        return [_copy(row) for row in rows]


def _dataset(row: tuple[Any, ...]) -> StoredDataset:
    return StoredDataset(row[0], row[1], row[2], row[3], bool(row[4]), row[5])


def _release(row: tuple[Any, ...]) -> StoredRelease:
    message = None if row[15] is None else SignedMessage(*row[15:])
    return StoredRelease(*row[:15], message)  # type: ignore[call-arg]


def _request(row: tuple[Any, ...]) -> StoredRequest:
    return StoredRequest(PeerId(row[0]), *row[1:])


def _copy(row: tuple[Any, ...]) -> StoredCopy:
    return StoredCopy(PeerId(row[0]), row[1], row[2], row[3], SignedMessage(*row[4:7]), row[7])
