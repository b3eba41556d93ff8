"""The named changes of the node's database. The only writes there are, besides the log's own.

Each is a function of the open transaction and the change's arguments; it raises a `GatewayError` to refuse, and the
writer undoes its whole unit. None reads a clock: times are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.audit import note, witness
from gateway.errors import (
    InputRefused,
    NotFoundOrNotPermitted,
    PeerSuspended,
    QuotaExhausted,
    RequestReused,
    VerificationFailed,
    VersionMoved,
)
from gateway.store import alerts, deltas, epochs, holds, releases
from gateway.store.db import Database

Args = Mapping[str, Any]
Apply = Callable[[Database, Args], None]


def _quota_charge(db: Database, a: Args) -> None:
    """{peer, list, group, day, amount, limit, leg_id?, batch?, slots?, request_hash?}: take `amount` slots of the day.

    With `leg_id`, batch 0 pays once for its whole leg however often it is sent, and a later batch is taken only if its
    leg has paid and, where `slots` says what this batch uses, has slots left: an asker cannot number its way around the
    quota. Other bytes under a batch that was charged before (`request_hash`) are refused.
    """
    peer, leg_id = a["peer"], a.get("leg_id")
    amount = a["amount"]
    if amount < 0:
        raise InputRefused("a charge is not negative", field="amount")
    if leg_id is not None:
        batch = a.get("batch", 0)
        row = db.execute("SELECT paid, used FROM charge WHERE peer = ? AND leg_id = ?", (peer, leg_id)).fetchone()
        if row is None:
            if batch != 0:
                raise QuotaExhausted("a later batch of a leg that has not paid")
            _charge(db, a, peer, amount)
            db.execute("INSERT INTO charge VALUES (?, ?, ?, ?, 0)", (peer, leg_id, a["day"], amount))
            row = (amount, 0)
        slots, hash_ = a.get("slots", 0), a.get("request_hash")
        held = db.execute(
            "SELECT request_hash FROM charge_batch WHERE peer = ? AND leg_id = ? AND batch = ?", (peer, leg_id, batch)
        ).fetchone()
        if held is not None:
            if held[0] != hash_:
                raise RequestReused(f"{peer}: other bytes under a request id that was charged")
            return
        db.execute("INSERT INTO charge_batch VALUES (?, ?, ?, ?, ?)", (peer, leg_id, batch, a["day"], hash_))
        if slots:
            if row[1] + slots > row[0]:
                raise QuotaExhausted("a leg uses more slots than it has paid for")
            db.execute("UPDATE charge SET used = used + ? WHERE peer = ? AND leg_id = ?", (slots, peer, leg_id))
        return
    _charge(db, a, peer, amount)


def _charge(db: Database, a: Args, peer: str, amount: int) -> None:
    key = (peer, a["list"], a["group"], a["day"])
    row = db.execute("SELECT used FROM quota WHERE peer = ? AND list = ? AND grp = ? AND day = ?", key).fetchone()
    used = (row[0] if row else 0) + amount
    if used > a["limit"]:
        raise QuotaExhausted(f"{peer}: {used} slots of {a['limit']} on day {a['day']}")
    db.execute("INSERT OR REPLACE INTO quota VALUES (?, ?, ?, ?, ?)", (*key, used))


def _reply_put(db: Database, a: Args) -> None:
    """{peer, method, leg_id, batch, request_hash, body, header, signature, expires_ns}: keep a reply for idempotency.

    The first reply to the same bytes stays; other bytes under the same id, or a reply already erased, are refused.
    """
    key = (a["peer"], a["method"], a["leg_id"], a["batch"])
    row = db.execute(
        "SELECT request_hash, body IS NULL FROM reply WHERE peer = ? AND method = ? AND leg_id = ? AND batch = ?", key
    ).fetchone()
    if row is not None:
        if row[0] != a["request_hash"] or row[1]:
            raise RequestReused(f"{a['peer']}: the request id was used before")
        return
    db.execute(
        "INSERT INTO reply VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*key, a["request_hash"], a["body"], a["header"], a["signature"], a["expires_ns"]),
    )


def _home_reply_put(db: Database, a: Args) -> None:
    """{request_id, request_hash, sealed, expires_ns}: keep an officer's answer, sealed under the client's key."""
    row = db.execute(
        "SELECT request_hash, sealed IS NULL FROM home_reply WHERE request_id = ?", (a["request_id"],)
    ).fetchone()
    if row is not None:
        if row[0] != a["request_hash"] or row[1]:
            raise RequestReused("the request id was used before")
        return
    db.execute(
        "INSERT INTO home_reply VALUES (?, ?, ?, ?)",
        (a["request_id"], a["request_hash"], a["sealed"], a["expires_ns"]),
    )


def _entry_put(db: Database, a: Args) -> None:
    """{list, entry_id, body, keys?}: enter or alter one entry of our list. `keys` are the hashes it is indexed by."""
    keys = a.get("keys")
    db.execute(
        "INSERT INTO list_entry (list, entry_id, body, withdrawn_ns, indexed) VALUES (?, ?, ?, NULL, ?)"
        " ON CONFLICT (list, entry_id) DO UPDATE"
        " SET body = excluded.body, withdrawn_ns = NULL, indexed = excluded.indexed",
        (a["list"], a["entry_id"], a["body"], int(keys is not None)),
    )
    deltas.index(db, a["list"], a["entry_id"], keys)


def _entry_withdraw(db: Database, a: Args) -> None:
    """{list, entry_id, at_ns}: withdraw a live entry. Refused where there is none."""
    done = db.execute(
        "UPDATE list_entry SET withdrawn_ns = ? WHERE list = ? AND entry_id = ? AND withdrawn_ns IS NULL",
        (a["at_ns"], a["list"], a["entry_id"]),
    )
    if done.rowcount != 1:
        raise NotFoundOrNotPermitted("no live entry of this id")
    deltas.index(db, a["list"], a["entry_id"], None)


def _manifest_put(db: Database, a: Args) -> None:
    """{peer, list, group, epoch, version, body, header, signature}: a table made for a peer. Versions rise; the same
    manifest again changes nothing."""
    _rising(db, "manifest", "peer", a)


def _copy_put(db: Database, a: Args) -> None:
    """{owner, list, group, epoch, version, body, header, signature}: a table received from its owner. Versions rise;
    the same manifest again changes nothing: its table may have been lost between commit and file."""
    _rising(db, "copy", "owner", a)


def _rising(db: Database, table: str, who: str, a: Args) -> None:
    key = (a[who], a["list"], a["group"])
    row = db.execute(
        f"SELECT version, body FROM {table} WHERE {who} = ? AND list = ? AND grp = ? ORDER BY version DESC LIMIT 1",
        key,
    ).fetchone()
    if row == (a["version"], a["body"]):
        return
    if row is not None and a["version"] <= row[0]:
        raise VersionMoved(f"{table} of {a[who]}: version {row[0]} is already here")
    db.execute(
        f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*key, a["version"], a["epoch"], a["body"], a["header"], a["signature"]),
    )


def _policy_activate(db: Database, a: Args) -> None:
    """{layer, digest, sequence}: put a bundle in force. The sequence rises; the same bundle again changes nothing."""
    row = db.execute("SELECT digest, sequence FROM policy WHERE layer = ?", (a["layer"],)).fetchone()
    if row is not None and a["sequence"] <= row[1] and (row[0], row[1]) != (a["digest"], a["sequence"]):
        raise VerificationFailed("policy sequence", f"the {a['layer']} bundle in force has sequence {row[1]}")
    db.execute("INSERT OR REPLACE INTO policy VALUES (?, ?, ?)", (a["layer"], a["digest"], a["sequence"]))


def _peer_suspend(db: Database, a: Args) -> None:
    """{peer, suspended}: stop, or start again, evaluating for a peer."""
    db.execute("INSERT OR REPLACE INTO peer VALUES (?, ?)", (a["peer"], int(a["suspended"])))


def _officer_put(db: Database, a: Args) -> None:
    """{officer, body}: enter a person in the register, or renew the key."""
    db.execute("INSERT OR REPLACE INTO officer VALUES (?, ?, NULL)", (a["officer"], a["body"]))


def _officer_retire(db: Database, a: Args) -> None:
    """{officer, at_ns}: end a person's key. Refused where there is none in force."""
    done = db.execute(
        "UPDATE officer SET retired_ns = ? WHERE officer = ? AND retired_ns IS NULL", (a["at_ns"], a["officer"])
    )
    if done.rowcount != 1:
        raise NotFoundOrNotPermitted("no such person in force")


def _witness_put(db: Database, a: Args) -> None:
    """{origin, old_size, size, root, note, proof?}: remember the head we are about to cosign (C2SP tlog-witness).

    Compares with the head held and stores the new one in this one transaction. Without `proof` the caller has verified
    consistency from the head of `old_size`, which cannot have changed meanwhile if `old_size` is still the one held.
    """
    row = db.execute("SELECT size, root FROM witness WHERE origin = ?", (a["origin"],)).fetchone()
    judge_witness(None if row is None else witness.Seen(row[0], row[1]), a)
    db.execute("INSERT OR REPLACE INTO witness VALUES (?, ?, ?, ?)", (a["origin"], a["size"], a["root"], a["note"]))


def judge_witness(seen: witness.Seen | None, a: Args) -> None:
    """Raises VerificationFailed with the steps of `audit.witness`."""
    proof = a.get("proof")
    if proof is not None:
        witness.judge(seen, a["old_size"], a["size"], a["root"], proof)
        return
    held = 0 if seen is None else seen.size
    if a["old_size"] > a["size"]:
        raise VerificationFailed(witness.BAD_REQUEST, "the old size is larger than the checkpoint")
    if a["old_size"] != held:
        raise VerificationFailed(witness.OLD_SIZE, "the old size is not the size cosigned last", position=held)
    if seen is not None and held == a["size"] and seen.root != a["root"]:
        raise VerificationFailed(witness.OLD_SIZE, "two roots for one size", position=held)


def _cosignature_put(db: Database, a: Args) -> None:
    """{size, name, witness, line}: a verified cosignature line for our checkpoint of this size."""
    if db.execute("SELECT 1 FROM checkpoint WHERE size = ?", (a["size"],)).fetchone() is None:
        raise NotFoundOrNotPermitted("no checkpoint of this size was published")
    db.execute(
        "INSERT OR REPLACE INTO cosignature VALUES (?, ?, ?, ?, ?)",
        (a["size"], a["name"], a.get("witness", a["name"]), a["line"], cosignature_time(a["line"], a["name"])),
    )


def cosignature_time(line: bytes, name: str) -> int:
    """When the witness signed, in seconds. Raises VerificationFailed when the line is another's."""
    for signature in note.parse_lines(line):
        if signature.name == name:
            return min(int.from_bytes(signature.raw[:8], "big"), (1 << 63) - 1)
    raise VerificationFailed("cosignature", "the line has another name")


def _expect(db: Database, a: Args) -> None:
    """{baseline, national, peer_active}: decide again at the moment of sending (T5).

    Refused unless exactly these bundles are in force and the peer ("" for none) is not suspended.
    """
    peer = a["peer_active"]
    baseline, national, suspended = db.execute(
        "SELECT (SELECT digest FROM policy WHERE layer = 'baseline'),"
        " (SELECT digest FROM policy WHERE layer = 'national'),"
        " (SELECT suspended FROM peer WHERE peer = ?)",
        (peer,),
    ).fetchone()
    for layer, held in (("baseline", baseline), ("national", national)):
        if held != a[layer]:
            raise VersionMoved(f"the {layer} bundle in force is another")
    if peer and suspended:
        raise PeerSuspended(f"{peer} was suspended meanwhile")


def _federation_put(db: Database, a: Args) -> None:
    """{version, body}: the signed list of members in force. Versions rise; the same one again changes nothing."""
    row = db.execute("SELECT version, body FROM federation ORDER BY version DESC LIMIT 1").fetchone()
    if row is not None and (row[0], row[1]) == (a["version"], a["body"]):
        return
    if row is not None and a["version"] <= row[0]:
        raise VerificationFailed("federation version", f"version {row[0]} is in force")
    db.execute("INSERT INTO federation VALUES (?, ?)", (a["version"], a["body"]))


def _case_put(db: Database, a: Args) -> None:
    """{case_id, peer, version, open, outbound, due_ns, expires_ns, body}: the case after a move; {record?, state?,
    assigned?, offered?} are what it is looked for by.

    Version 1 begins a case whose number is not taken; every other version follows the one held. The same case again
    changes nothing.
    """
    row = db.execute("SELECT version, body FROM case_file WHERE case_id = ?", (a["case_id"],)).fetchone()
    if row is not None and (row[0], row[1]) == (a["version"], a["body"]):
        return
    if (0 if row is None else row[0]) != a["version"] - 1:
        raise VersionMoved("the case went on meanwhile")
    db.execute(
        "INSERT OR REPLACE INTO case_file"
        " (case_id, peer, version, open, outbound, due_ns, expires_ns, body, record, state, assigned, offered)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            a["case_id"],
            a["peer"],
            a["version"],
            int(a["open"]),
            a["outbound"],
            a["due_ns"],
            a["expires_ns"],
            a["body"],
            *(a.get(name) for name in ("record", "state", "assigned", "offered")),
        ),
    )


def _case_expect(db: Database, a: Args) -> None:
    """{case_id, version}: the case is still where it was when its message was decided about (T5)."""
    row = db.execute("SELECT version FROM case_file WHERE case_id = ?", (a["case_id"],)).fetchone()
    if row is None or row[0] != a["version"]:
        raise VersionMoved("the case went on meanwhile")


def _case_token(db: Database, a: Args) -> None:
    """{peer, request_id, entry_id, case_id}: use a hit token. Refused where it was used for another case (T12)."""
    key = (a["peer"], a["request_id"], a["entry_id"])
    row = db.execute(
        "SELECT case_id FROM case_token WHERE peer = ? AND request_id = ? AND entry_id = ?", key
    ).fetchone()
    if row is not None and row[0] != a["case_id"]:
        raise NotFoundOrNotPermitted("the token was used")
    db.execute("INSERT OR IGNORE INTO case_token VALUES (?, ?, ?, ?)", (*key, a["case_id"]))


def _entry_expect(db: Database, a: Args) -> None:
    """{list, entry_id, body}: the live entry is still exactly this one (T5)."""
    row = db.execute(
        "SELECT body FROM list_entry WHERE list = ? AND entry_id = ? AND withdrawn_ns IS NULL",
        (a["list"], a["entry_id"]),
    ).fetchone()
    if row is None or row[0] != a["body"]:
        raise VersionMoved("the record changed meanwhile")


def _pair_compared(db: Database, a: Args) -> None:
    """{peer, said}: how the last comparison with a peer ended."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"compared {a['peer']}", a["said"]))


CHANGES: Final[Mapping[str, Apply]] = {
    "quota.charge": _quota_charge,
    "reply.put": _reply_put,
    "home_reply.put": _home_reply_put,
    "entry.put": _entry_put,
    "entry.withdraw": _entry_withdraw,
    "manifest.put": _manifest_put,
    "copy.put": _copy_put,
    "policy.activate": _policy_activate,
    "peer.suspend": _peer_suspend,
    "officer.put": _officer_put,
    "officer.retire": _officer_retire,
    "witness.put": _witness_put,
    "cosignature.put": _cosignature_put,
    "expect": _expect,
    "federation.put": _federation_put,
    "case.put": _case_put,
    "case.token": _case_token,
    "case.expect": _case_expect,
    "entry.expect": _entry_expect,
    "pair.compared": _pair_compared,
    **epochs.CHANGES,
    **deltas.CHANGES,
    **releases.CHANGES,
    **alerts.CHANGES,
    **holds.CHANGES,
}
"""Every change there is. A name outside this table is refused."""
