"""What is written where: the closed table of every call, background job and command, and the kinds it may enter.

A method, a timer or a kind that has no row here fails `tests/unit/audit/test_written.py`. An empty row says why.
"""

from __future__ import annotations

from typing import Final

PEERS: Final[dict[str, tuple[str, ...]]] = {
    "WatchlistService/Check": ("check.answer", "check.refused", "call.refused"),
    # A table and a delta are disclosures when they are made (T3); fetching what was made is not another one.
    "WatchlistService/GetManifest": (),
    "WatchlistService/GetTableChunk": (),
    "WatchlistService/GetDeltas": (),
    "DescribeService/Describe": ("policy.dry_run",),
    # A cosignature is in the witness's own store: two logs that entered each other's heads would feed each other.
    "WitnessService/AddCheckpoint": ("checkpoint.fault",),
    "WitnessService/GetPairHead": ("pair.told",),
    "CaseService/OpenCase": ("case.taken", "case.denied"),
    "CaseService/DeliverDecision": ("case.taken", "case.denied"),
    "CaseService/CloseCase": ("case.taken", "case.denied"),
    "CaseService/CorrectDisclosure": ("case.taken", "case.denied"),
    "StatisticsService/PlanRelease": ("release.requested", "release.denied"),
    "StatisticsService/RequestRelease": ("release.requested", "release.charged", "release.denied"),
    "StatisticsService/GetRelease": ("release.requested", "release.sent", "release.denied"),
}

HOME: Final[dict[str, tuple[str, ...]]] = {
    # A challenge is random bytes; what becomes of it is the login's entry.
    "HomeService/GetLoginChallenge": (),
    "HomeService/Login": ("officer.login",),
    "HomeService/CheckTravellers": ("check.ask", "check.denied"),
    "HomeService/LoadList": ("list.loaded", "list.entry", "list.denied", "delta.published"),
    # Numbers about the node, nothing about a person.
    "HomeService/GetStatus": (),
    "HomeCaseService/ListCases": ("case.read",),
    "HomeCaseService/GetCase": ("case.read",),
    "HomeCaseService/ActOnCase": ("case.act", "case.denied"),
    "HomeAlertService/ListAlerts": ("alert.read",),
    "HomeAlertService/GetAlert": ("alert.read",),
    "HomeAlertService/ActOnAlert": ("alert.acted",),
    "HomeStatisticsService/PlanOwnRelease": ("release.requested", "release.asked", "release.denied"),
    "HomeStatisticsService/RequestOwnRelease": (
        "release.requested", "release.asked", "release.charged", "release.denied",
    ),
    "HomeStatisticsService/GetOwnRelease": (
        "release.requested", "release.asked", "release.sent", "release.received", "release.denied",
    ),
    "HomeStatisticsService/ListReleases": ("release.requested", "release.denied"),
    "HomeStatisticsService/GetBudget": ("release.requested", "release.denied"),
}  # fmt: skip

AUDITORS: Final[dict[str, tuple[str, ...]]] = {
    # Heads and proofs are hashes, and public.
    "AuditService/GetCheckpoint": (),
    "AuditService/GetInclusionProof": (),
    "AuditService/GetConsistencyProof": (),
    "AuditService/GetEntries": ("audit.read", "audit.denied"),
    "AuditService/RevealEntry": ("audit.revealed", "audit.denied"),
}

TIMERS: Final[dict[str, tuple[str, ...]]] = {
    "node._watch": ("federation.adopted", "log.replaced", "policy.activated", "officer.enrolled", "officer.retired"),
    "node._fetch": ("table.received", "delta.received"),
    # As `_fetch`, of a peer that was met for the first time.
    "node._meet": ("table.received", "delta.received"),
    "node._collect": ("witness.disputed", "witnesses.silent"),
    "node._compare": ("pair.compared",),
    "node._enter_refusals": ("call.refused",),
    "node._confirm": ("node.restored", "payloads.lost"),
    # Numbers of cases and alerts leave, and nothing that they are about.
    "node.notices.tick": (),
    "node._look": ("alert.raised",),
    "node.cases.run": ("case.act", "case.sent", "case.dropped", "case.denied"),
    "writer._commits": ("clock.step",),
    "writer._checkpoints": ("filler", "pair.heads"),
    "writer._housekeeping": ("payloads.erased", "former.erased"),
}

PROCESSES: Final[dict[str, tuple[str, ...]]] = {
    "writer": ("node.started", "node.stopped"),
    "jobs": ("epoch.opened", "epoch.activated", "keys.destroyed", "table.published"),
    "statistics": ("release.made", "release.failed"),
}

COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "limen audit export": ("audit.exported",),
    "limen audit announce": ("audit.announced",),
    "limen audit hold": ("hold.set",),
    "limen audit lift": ("hold.lifted",),
    "limen audit erase": ("erasure.ordered",),
    "limen audit subject": ("subject.answered",),
    "limen epoch rotate": ("epoch.rotated", "epoch.opened", "keys.destroyed"),
    "limen node backup": ("node.backup",),
    "limen node recover": ("log.begun",),
    "limen officer declare": ("officer.declared",),
    "limen officer enrol": ("officer.enrolled",),
    "limen officer retire": ("officer.retired",),
    "limen peer suspend": ("peer.suspended", "keys.destroyed"),
    "limen watchlist load": ("list.loaded", "list.entry", "list.denied", "delta.published"),
    "limen watchlist impact": ("list.impact", "list.denied"),
    "limen watchlist protect": ("protection.changed", "protection.denied", "protection.read"),
    "limen events load": ("release.dataset", "release.denied"),
    "limen federation accept": ("federation.adopted", "log.replaced"),
}

NOT_WRITTEN: Final[dict[str, str]] = {
    "witness.cosigned": "older logs may hold it; a witness's own store is the record now",
    "counters.lost": "the counters of a subject live in memory and are empty after each node.started",
    "document.read": "a disclosed document is read through the case, which is case.read",
}
"""Kinds that verifiers know and nothing in this release writes."""
