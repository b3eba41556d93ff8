"""Deltas in the node's database: those made for peers, those received from owners, and the index of our lists' keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

from gateway.errors import VerificationFailed, VersionMoved
from gateway.ports import SignedDelta
from gateway.store.db import Database, Rows
from gateway.store.epochs import HELD
from gateway.terms.exchange import Delta, KeyScope, SignedMessage
from gateway.terms.ids import EpochId, PeerId
from gateway.terms.words import ListId

Args = Mapping[str, Any]
Apply = Callable[[Database, Args], None]
Numbered = tuple[int, SignedMessage]

_CHAIN: Final = "list = ? AND grp = ? AND epoch = ?"

_ALL: Final = 1 << 62
"""A limit that is none."""


def index(db: Database, list_: str, entry_id: str, hashes: Sequence[bytes] | None) -> None:
    """Forget an entry's keys and enter these; None for an entry that leaves."""
    db.execute("DELETE FROM list_key WHERE list = ? AND entry_id = ?", (list_, entry_id))
    if hashes is not None:
        db.executemany("INSERT INTO list_key VALUES (?, ?, ?)", [(list_, one, entry_id) for one in hashes])


def _delta_put(db: Database, a: Args) -> None:
    """{peer, list, group, epoch, number, body, header, signature}: the next delta of a peer's chain, in one of its
    epochs. Numbers rise by one from 1."""
    held = "SELECT epoch FROM epoch WHERE peer IN (?, '') UNION SELECT epoch FROM epoch_beside WHERE peer = ?"
    if (a["epoch"],) not in [tuple(row) for row in db.execute(held, (a["peer"], a["peer"]))]:
        raise VersionMoved(f"{a['peer']}: the epoch is no longer there")
    chain = (a["peer"], a["list"], a["group"], a["epoch"])
    (last,) = db.execute(f"SELECT max(number) FROM delta WHERE peer = ? AND {_CHAIN}", chain).fetchone()
    if a["number"] != (last or 0) + 1:
        raise VersionMoved(f"{a['peer']}: delta {last} is already here")
    db.execute(
        "INSERT INTO delta VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*chain, a["number"], a["body"], a["header"], a["signature"]),
    )


def _delta_copy_put(db: Database, a: Args) -> None:
    """{owner, list, group, epoch, number, body, header, signature}: a delta received. The same one again changes
    nothing."""
    place = (a["owner"], a["list"], a["group"], a["epoch"], a["number"])
    row = db.execute(f"SELECT body FROM delta_copy WHERE owner = ? AND {_CHAIN} AND number = ?", place).fetchone()
    if row is not None:
        judge_same(row[0], a)
        return
    db.execute(
        "INSERT INTO delta_copy VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*place, a["body"], a["header"], a["signature"])
    )


def judge_same(held: bytes, a: Args) -> None:
    """Raises VerificationFailed where an owner made two deltas under one number."""
    if held != a["body"]:
        raise VerificationFailed("delta", "two deltas under one number", position=a["number"])


def _delta_prune(db: Database, a: Args) -> None:
    """{peer, list, group, epoch, floor}: forget the epoch's deltas below `floor`, and those of epochs that are gone.
    Who still holds the table of a retired epoch reads on from there."""
    place = (a["peer"], a["list"], a["group"])
    db.execute(f"DELETE FROM delta WHERE peer = ? AND {_CHAIN} AND number < ?", (*place, a["epoch"], a["floor"]))
    db.execute(
        f"DELETE FROM delta WHERE peer = ? AND list = ? AND grp = ? AND NOT {HELD}", (*place, a["peer"], a["peer"])
    )


def _delta_copy_prune(db: Database, a: Args) -> None:
    """{owner, list, group, epoch, floor}: forget the deltas of other epochs and those below `floor`."""
    db.execute(
        "DELETE FROM delta_copy WHERE owner = ? AND list = ? AND grp = ? AND (epoch <> ? OR number < ?)",
        (a["owner"], a["list"], a["group"], a["epoch"], a["floor"]),
    )


def _delta_drop(db: Database, a: Args) -> None:
    """{peer}: forget every delta of a state's, of both directions."""
    db.execute("DELETE FROM delta WHERE peer = ?", (a["peer"],))
    db.execute("DELETE FROM delta_copy WHERE owner = ?", (a["peer"],))


CHANGES: Final[Mapping[str, Apply]] = {
    "delta.put": _delta_put,
    "delta.prune": _delta_prune,
    "delta.drop": _delta_drop,
    "delta_copy.put": _delta_copy_put,
    "delta_copy.prune": _delta_copy_prune,
}
"""Rows of `store.changes.CHANGES`."""


# -- Reading ----------------------------------------------------------------------------------------------------------


class DeltaRows:
    """The part of `Reader` that is about deltas."""

    _one: Callable[..., Rows]

    def delta_head(self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId) -> tuple[int, bytes]:
        """Number and SHA-256 of the newest delta of a peer's chain; (0, zeros) before the first."""
        row = self._one(
            f"SELECT number, body FROM delta WHERE peer = ? AND {_CHAIN} ORDER BY number DESC LIMIT 1",
            (peer, list_id.value, group, epoch),
        ).fetchone()
        return (0, bytes(32)) if row is None else (row[0], sha256(row[1]).digest())

    def delta_number(self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId) -> int:
        """The number alone: asked on every check."""
        row = self._one(
            f"SELECT max(number) FROM delta WHERE peer = ? AND {_CHAIN}", (peer, list_id.value, group, epoch)
        ).fetchone()
        return int(row[0] or 0)

    def deltas(
        self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId, after: int, count: int
    ) -> list[Numbered]:
        """The next deltas of a peer's chain, in order."""
        return self._deltas("delta", "peer", (peer, list_id.value, group, epoch, after, count))

    def delta_copies(self, owner: PeerId, list_id: ListId, group: str, epoch: EpochId, after: int) -> list[Numbered]:
        """The deltas received from an owner, in order."""
        return self._deltas("delta_copy", "owner", (owner, list_id.value, group, epoch, after, _ALL))

    def _deltas(self, table: str, who: str, values: tuple[Any, ...]) -> list[Numbered]:
        rows = self._one(
            f"SELECT number, body, header, signature FROM {table} WHERE {who} = ? AND {_CHAIN} AND number > ?"
            " ORDER BY number LIMIT ?",
            values,
        )
        return [(row[0], SignedMessage(row[1], row[2], row[3])) for row in rows]

    def sharing(self, list_id: ListId, hashes: Sequence[bytes]) -> list[bytes]:
        """Live entries that hold one of these keys, and those that are not indexed."""
        marks = ",".join("?" * len(hashes))
        rows = self._one(
            "SELECT body FROM list_entry WHERE list = ? AND withdrawn_ns IS NULL AND (indexed = 0 OR entry_id IN"
            f" (SELECT entry_id FROM list_key WHERE list = ? AND hash IN ({marks}))) ORDER BY entry_id",
            (list_id.value, list_id.value, *hashes),
        )
        return [bytes(row[0]) for row in rows]


class Copies(Protocol):
    """What `DeltaCopies` reads."""

    def delta_copies(
        self, owner: PeerId, list_id: ListId, group: str, epoch: EpochId, after: int
    ) -> list[Numbered]: ...


@dataclass(frozen=True, slots=True)
class DeltaCopies:
    """`ports.DeltaCopies` over the database. `parse` turns a delta's exact bytes into words (`rpc.convert`)."""

    rows: Copies
    parse: Callable[[bytes], Delta]

    def after(self, scope: KeyScope, number: int) -> list[SignedDelta]:
        """Those of the scope with a higher number, in order."""
        found = self.rows.delta_copies(scope.owner, scope.list_id, scope.group, scope.epoch, number)
        return [SignedDelta(self.parse(message.body), message) for _, message in found]
