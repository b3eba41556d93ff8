"""Epochs of a peer: one is active; a pending one's tables are in the making; retired ones are answered until they end.

A row goes when its seed is destroyed, and not before: so a kill between the two leaves the row, and the seed is
destroyed again (`flows.rotate`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.errors import VersionMoved
from gateway.store.db import Database, Rows
from gateway.terms.exchange import Epoch
from gateway.terms.ids import EpochId, PeerId
from gateway.terms.words import EpochState

Args = Mapping[str, Any]

HELD: Final = (
    "(epoch IN (SELECT epoch FROM epoch WHERE peer IN (?, ''))"
    " OR epoch IN (SELECT epoch FROM epoch_beside WHERE peer = ?))"
)
"""A condition on a column `epoch`: one of the peer's that has a row. Takes the peer twice."""


def _put(db: Database, a: Args) -> None:
    """{peer, epoch, expires_ns}: the active epoch of a peer; "" for every peer that has none of its own."""
    db.execute("INSERT OR REPLACE INTO epoch VALUES (?, ?, ?)", (a["peer"], a["epoch"], a["expires_ns"]))


def _open(db: Database, a: Args) -> None:
    """{peer, epoch, expires_ns}: begin a peer's next epoch. Refused while another one is pending."""
    if db.execute("SELECT 1 FROM epoch_beside WHERE peer = ? AND state = 'pending'", (a["peer"],)).fetchone():
        raise VersionMoved(f"{a['peer']}: another epoch is pending")
    db.execute("INSERT INTO epoch_beside VALUES (?, ?, 'pending', ?)", (a["peer"], a["epoch"], a["expires_ns"]))


def _activate(db: Database, a: Args) -> None:
    """{peer, epoch, until_ns}: the pending epoch is active; the one before is retired, and ends at `until_ns`."""
    row = db.execute(
        "SELECT expires_ns FROM epoch_beside WHERE peer = ? AND epoch = ? AND state = 'pending'",
        (a["peer"], a["epoch"]),
    ).fetchone()
    if row is None:
        raise VersionMoved(f"{a['peer']}: the epoch is no longer pending")
    db.execute("DELETE FROM epoch_beside WHERE peer = ? AND epoch = ?", (a["peer"], a["epoch"]))
    _retire(db, a["peer"], a["until_ns"])
    _put(db, {"peer": a["peer"], "epoch": a["epoch"], "expires_ns": row[0]})


def _end(db: Database, a: Args) -> None:
    """{peer, at_ns}: every epoch of the peer ends at this moment, the pending one too."""
    _retire(db, a["peer"], a["at_ns"])
    db.execute("UPDATE epoch_beside SET state = 'retired' WHERE peer = ?", (a["peer"],))
    db.execute(
        "UPDATE epoch_beside SET expires_ns = ? WHERE peer = ? AND expires_ns > ?", (a["at_ns"], a["peer"], a["at_ns"])
    )


def _retire(db: Database, peer: str, until_ns: int) -> None:
    held = db.execute("SELECT epoch, expires_ns FROM epoch WHERE peer = ?", (peer,)).fetchone()
    if held is not None:
        db.execute("DELETE FROM epoch WHERE peer = ?", (peer,))
        db.execute("INSERT INTO epoch_beside VALUES (?, ?, 'retired', ?)", (peer, held[0], min(held[1], until_ns)))


def _gone(db: Database, a: Args) -> None:
    """{peer, epoch, at_ns}: an epoch whose seed is destroyed has neither row nor deltas. Refused before its end."""
    place = (a["peer"], a["epoch"])
    for table in ("epoch", "epoch_beside"):
        row = db.execute(f"SELECT expires_ns FROM {table} WHERE peer = ? AND epoch = ?", place).fetchone()
        if row is not None and row[0] > a["at_ns"]:
            raise VersionMoved(f"{a['peer']}: the epoch has not ended")
        db.execute(f"DELETE FROM {table} WHERE peer = ? AND epoch = ?", place)
    db.execute("DELETE FROM delta WHERE peer = ? AND epoch = ?", place)


def _drop(db: Database, a: Args) -> None:
    """{peer}: a peer whose seeds are all destroyed has no epoch."""
    for table in ("epoch", "epoch_beside"):
        db.execute(f"DELETE FROM {table} WHERE peer = ?", (a["peer"],))


CHANGES: Final[Mapping[str, Callable[[Database, Args], None]]] = {
    "epoch.put": _put,
    "epoch.open": _open,
    "epoch.activate": _activate,
    "epoch.end": _end,
    "epoch.gone": _gone,
    "epoch.drop": _drop,
}
"""Rows of `store.changes.CHANGES`."""


class EpochRows:
    """The part of `Reader` that is about epochs."""

    _one: Callable[..., Rows]

    def epoch(self, peer: PeerId) -> tuple[EpochId, int] | None:
        """The active epoch and its expiry, UTC ns; a common one where the peer has none of its own."""
        row = self._one(
            "SELECT epoch, expires_ns FROM epoch WHERE peer IN (?, '') ORDER BY peer DESC LIMIT 1", (peer,)
        ).fetchone()
        return None if row is None else (EpochId(row[0]), row[1])

    def epoch_end(self, peer: PeerId, epoch: EpochId) -> int | None:
        """When an epoch of the peer ends, pending and retired ones too; None where it has no such epoch."""
        held = self.epoch(peer)
        if held is not None and held[0] == epoch:
            return held[1]
        row = self._one("SELECT expires_ns FROM epoch_beside WHERE peer = ? AND epoch = ?", (peer, epoch)).fetchone()
        return None if row is None else int(row[0])

    def epochs(self) -> list[Epoch]:
        """Every epoch that has a row."""
        rows = self._one(
            "SELECT peer, epoch, 'active', expires_ns FROM epoch"
            " UNION ALL SELECT peer, epoch, state, expires_ns FROM epoch_beside ORDER BY 1, 2"
        )
        return [Epoch(PeerId(row[0]), EpochId(row[1]), EpochState(row[2]), row[3]) for row in rows]


__all__ = ["CHANGES", "HELD", "EpochRows"]
