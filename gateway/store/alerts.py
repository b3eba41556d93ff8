"""Alerts in the node's database: the change, and what is read (docs/alerts.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.alerts.alert import Alert, Rule, State
from gateway.errors import VersionMoved
from gateway.store.db import Database, Rows
from gateway.terms.ids import OfficerId

Args = Mapping[str, Any]
Apply = Callable[[Database, Args], None]

KEPT_NS: Final = 365 * 24 * 3600 * 10**9
"""How long a closed alert can still be read. Its entries in the log stay."""

COLUMNS: Final = (
    "alert_id", "rule", "state", "version", "officers", "count", "times", "seq", "raised_ns", "due_ns", "assigned",
    "reason", "closed_ns",
)  # fmt: skip


def alert_of(row: Mapping[str, Any]) -> Alert:
    """A row as a word."""
    officers = tuple(OfficerId(one) for one in row["officers"].split(",") if one)
    return Alert(**{**row, "rule": Rule(row["rule"]), "state": State(row["state"]), "officers": officers})


def _alert_put(db: Database, a: Args) -> None:
    """{alert_id, rule, state, version, officers, count, times, seq, raised_ns, due_ns, assigned, reason, closed_ns}:
    version 1 is an alert where none of its rule and people is open, every other version follows the one held. With a
    new one those go that were closed a year before it."""
    row = db.execute("SELECT version FROM alert WHERE alert_id = ?", (a["alert_id"],)).fetchone()
    if a["version"] != (1 if row is None else row[0] + 1):
        raise VersionMoved("the alert went on meanwhile")
    if (
        row is None
        and db.execute(
            "SELECT 1 FROM alert WHERE rule = ? AND officers = ? AND state <> 'closed'", (a["rule"], a["officers"])
        ).fetchone()
    ):
        raise VersionMoved("such an alert is open")
    if row is None:
        db.execute("DELETE FROM alert WHERE state = 'closed' AND closed_ns < ?", (a["raised_ns"] - KEPT_NS,))
    marks = ", ".join("?" * len(COLUMNS))
    db.execute(f"INSERT OR REPLACE INTO alert VALUES ({marks})", tuple(a[name] for name in COLUMNS))


CHANGES: Final[Mapping[str, Apply]] = {"alert.put": _alert_put}


class AlertRows:
    """The part of `Reader` that is about alerts."""

    _one: Callable[..., Rows]

    def alert(self, alert_id: bytes) -> Alert | None:
        """One alert, or None."""
        row = self._one("SELECT * FROM alert WHERE alert_id = ?", (alert_id,)).fetchone()
        return None if row is None else _alert(row)

    def alerts(self, only_open: bool = False) -> list[Alert]:
        """All of them or the open ones, newest first."""
        rows = self._one("SELECT * FROM alert WHERE state <> ? ORDER BY raised_ns DESC, alert_id",
                         ("closed" if only_open else "",))  # fmt: skip
        return [_alert(row) for row in rows]

    def open_alert(self, rule: Rule, officers: tuple[OfficerId, ...]) -> Alert | None:
        """The one that is open of this rule about these people, or None."""
        row = self._one(
            "SELECT * FROM alert WHERE rule = ? AND officers = ? AND state <> 'closed'",
            (rule.value, ",".join(officers)),
        ).fetchone()
        return None if row is None else _alert(row)

    def alert_seq(self, rules: tuple[Rule, ...]) -> int:
        """The newest entry of the log that an alert of these rules is seen by, -1 for none."""
        marks = ", ".join("?" * len(rules))
        row = self._one(f"SELECT max(seq) FROM alert WHERE rule IN ({marks})", tuple(rule.value for rule in rules))
        found = row.fetchone()[0]
        return -1 if found is None else int(found)

    def open_alerts(self) -> dict[Rule, int]:
        """How many are open, by rule."""
        rows = self._one("SELECT rule, count(*) FROM alert WHERE state <> 'closed' GROUP BY rule")
        return {Rule(row[0]): int(row[1]) for row in rows}

    def case_page(self, after: bytes, most: int) -> list[tuple[bytes, bytes]]:
        """(number, body) of the next cases by number, so that all can be gone through in small steps."""
        rows = self._one(
            "SELECT case_id, body FROM case_file WHERE case_id > ? ORDER BY case_id LIMIT ?", (after, most)
        )
        return [(bytes(row[0]), bytes(row[1])) for row in rows]


def _alert(row: tuple[Any, ...]) -> Alert:
    return alert_of(dict(zip(COLUMNS, row, strict=True)))
