"""Changes of legal holds, and the erasure that two persons ordered (docs/retention.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.audit.kinds import MINIMUM_NS, RETENTION_NS
from gateway.errors import InputRefused
from gateway.store.db import Database

Args = Mapping[str, Any]

ORDER: Final = "payloads.order"
"""The change after which the writer destroys record keys."""


def _set(db: Database, a: Args) -> None:
    """{hold_id, first, last, review_ns}: keep the payloads of these entries until the hold is lifted."""
    held = db.execute("SELECT 1 FROM hold WHERE hold_id = ?", (a["hold_id"],)).fetchone()
    if held is not None:
        raise InputRefused("this hold is in force already", field="hold", code="HOLD_KNOWN")
    db.execute("INSERT INTO hold VALUES (?, ?, ?, ?)", (a["hold_id"], a["first"], a["last"], a["review_ns"]))


def _lift(db: Database, a: Args) -> None:
    """{hold_id}: terms decide again."""
    if not db.execute("DELETE FROM hold WHERE hold_id = ?", (a["hold_id"],)).rowcount:
        raise InputRefused("no such hold is in force", field="hold", code="HOLD_UNKNOWN")


def _order(db: Database, a: Args) -> None:
    """{class, first, last, until_ns, checkpoint}: destroy these payloads of one class before their term.

    `until_ns` is a time that more than half of the witnesses have cosigned in `checkpoint`; the writer has compared it
    with its own clock. All or nothing: one that is held or younger than its class's minimum refuses the whole.
    """
    class_, first, last, until = a["class"], a["first"], a["last"], a["until_ns"]
    (newest,) = db.execute("SELECT max(seq) FROM leaf").fetchone()
    if newest is None or last > newest:
        raise InputRefused("there is no such entry yet", field="last", code="NO_ENTRY")
    (witnesses,) = db.execute("SELECT count(DISTINCT witness) FROM cosignature").fetchone()
    count, time_s = db.execute(
        "SELECT count(DISTINCT witness), min(time_s) FROM cosignature WHERE size = ?", (a["checkpoint"],)
    ).fetchone()
    if count * 2 <= witnesses or not count or time_s * 10**9 < until:
        raise InputRefused("no quorum of witnesses has cosigned that time", field="until_ns", code="NOT_COSIGNED")
    chosen = "class = ? AND seq BETWEEN ? AND ?"
    values = (class_, first, last)
    if db.execute(
        "SELECT 1 FROM payload JOIN hold ON seq BETWEEN hold.first AND hold.last"
        " WHERE class = ? AND seq BETWEEN ? AND ? LIMIT 1",
        values,
    ).fetchone():
        raise InputRefused("one of these entries is held", field="first", code="HELD")
    young = RETENTION_NS[class_] - MINIMUM_NS[class_] + until
    if db.execute(f"SELECT 1 FROM payload WHERE {chosen} AND due_ns > ? LIMIT 1", (*values, young)).fetchone():
        raise InputRefused(
            f"one of these entries is younger than the minimum of class {class_}", field="first", code="TOO_YOUNG"
        )
    groups = db.execute(
        f"SELECT class, period, min(seq), max(seq) FROM payload WHERE {chosen} GROUP BY class, period", values
    ).fetchall()
    if not groups:
        raise InputRefused("none of these entries has a payload of this class", field="first", code="NO_PAYLOAD")
    db.executemany("INSERT INTO doomed VALUES (?, ?, ?, ?)", groups)
    db.execute(f"DELETE FROM payload WHERE {chosen}", values)


CHANGES: Final[Mapping[str, Callable[[Database, Args], None]]] = {
    "hold.set": _set,
    "hold.lift": _lift,
    ORDER: _order,
}
