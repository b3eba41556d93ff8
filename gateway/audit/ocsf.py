"""Entries in the words of OCSF 1.6.0, class API Activity (6003), for systems that gather events.

Only what stands in a leaf, and tags; no sealed value. `metadata.uid` is left out: it means another thing from 1.7 on.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.audit.search import Outcome, Row

VERSION: Final = "1.6.0"
CLASS: Final = 6003
CATEGORY: Final = 6

CREATE, READ, UPDATE, DELETE, OTHER = 1, 2, 3, 4, 99

_ACTIVITY: Final = {
    "check.ask": READ, "check.answer": READ, "check.denied": READ, "check.refused": READ,
    "case.read": READ, "alert.read": READ, "document.read": READ, "audit.read": READ, "audit.exported": READ,
    "audit.revealed": READ, "audit.denied": READ, "subject.answered": READ, "release.sent": READ,
    "release.received": READ, "protection.read": READ, "list.impact": READ,
    "protection.changed": UPDATE, "protection.denied": UPDATE,
    "table.received": READ, "delta.received": READ, "policy.dry_run": READ,
    "list.loaded": UPDATE, "list.entry": UPDATE, "list.denied": UPDATE, "case.act": UPDATE, "case.taken": UPDATE,
    "peer.suspended": UPDATE, "policy.activated": UPDATE, "federation.adopted": UPDATE, "alert.acted": UPDATE,
    "table.published": CREATE, "delta.published": CREATE, "officer.enrolled": CREATE, "epoch.opened": CREATE,
    "epoch.rotated": UPDATE, "epoch.activated": UPDATE,
    "release.dataset": CREATE, "release.made": CREATE, "alert.raised": CREATE,
    "officer.retired": DELETE, "keys.destroyed": DELETE, "payloads.erased": DELETE, "former.erased": DELETE,
    "erasure.ordered": DELETE,
    "payloads.lost": DELETE,
}  # fmt: skip
"""Kinds that are one of the class's four activities; the others are 99 (Other)."""

_STATUS: Final = {Outcome.DONE: (1, "Success"), Outcome.DENIED: (2, "Failure"), Outcome.FAILED: (2, "Failure")}
_SEVERITY: Final = {Outcome.DENIED: 2, Outcome.FAILED: 3}
_NAMES: Final = {CREATE: "Create", READ: "Read", UPDATE: "Update", DELETE: "Delete", OTHER: "Other"}


def event(row: Row, origin: str, state: str, officer: str, release: str) -> dict[str, Any]:
    """One event. `origin` names the log, `state` whose it is, `officer` is the tag or "", `release` this program's."""
    activity = _ACTIVITY.get(row.kind, OTHER)
    status_id, status = _STATUS.get(Outcome(row.outcome), (0, "Unknown"))
    made: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": _NAMES[activity],
        "actor": {"user": {"uid": officer}} if officer else {"app_name": row.agency or state},
        "api": {"operation": f"{row.kind} {row.phase}", "service": {"name": "limen"}},
        "category_uid": CATEGORY,
        "class_uid": CLASS,
        "metadata": {
            "log_name": origin,
            "product": {"name": "Limen", "vendor_name": "Limen", "version": release},
            "sequence": row.seq,
            "version": VERSION,
        },
        "severity_id": _SEVERITY.get(Outcome(row.outcome), 1),
        "src_endpoint": {"name": row.agency or state},
        "status": status,
        "status_id": status_id,
        "time": row.time_ns // 10**6,
        "type_uid": CLASS * 100 + activity,
    }
    if row.reasons:
        made["status_detail"] = row.reasons
    if row.peer:
        made["dst_endpoint"] = {"name": row.peer}
    rest = {
        name: value
        for name in ("purpose", "basis", "role", "recipient", "fields", "decision", "agreement", "baseline", "national")
        if (value := getattr(row, name))
    }
    if rest:
        made["unmapped"] = rest
    return made
