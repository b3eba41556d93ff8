"""The store in memory: the plainest statement of what a store promises, for flows' tests and the sandbox.

Same promises as writer and reader together, but for durability. Nothing is sealed unless there are recipients.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from gateway.alerts.alert import Alert
from gateway.audit import leaf, merkle, pairs, tiles, witness
from gateway.audit.entry import Entry, Phase
from gateway.audit.seal import Recipients, Sealer
from gateway.errors import (
    InputRefused,
    NotFoundOrNotPermitted,
    PeerSuspended,
    QuotaExhausted,
    RequestReused,
    VerificationFailed,
    VersionMoved,
)
from gateway.ports import Change, Committed, StoredReply
from gateway.statistics.kept import StoredCopy, StoredDataset, StoredQuery, StoredRelease, StoredRequest
from gateway.store import memory_alerts, memory_deltas, memory_epochs, memory_releases
from gateway.store.changes import cosignature_time, judge_witness
from gateway.store.memory_alerts import MemoryAlerts
from gateway.store.memory_epochs import MemoryEpochs
from gateway.store.memory_releases import MemoryReleases
from gateway.store.reader import StoredManifest, StoredOfficer
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import EpochId, PeerId, RequestId
from gateway.terms.words import ListId

Args = Mapping[str, Any]


@dataclass(slots=True)
class _Tables:
    """Everything that a refused unit must leave as it was."""

    replies: dict[tuple[str, str, bytes, int], StoredReply] = field(default_factory=dict)
    home_replies: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    quota: dict[tuple[str, str, str, int], int] = field(default_factory=dict)
    paid: dict[tuple[str, bytes], int] = field(default_factory=dict)
    used: dict[tuple[str, bytes], dict[int, tuple[int, bytes | None]]] = field(default_factory=dict)
    listed: dict[tuple[str, str], bytes] = field(default_factory=dict)
    withdrawn: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str, str], StoredManifest] = field(default_factory=dict)
    copies: dict[tuple[str, str, str], StoredManifest] = field(default_factory=dict)
    epochs: dict[str, tuple[str, int]] = field(default_factory=dict)
    epochs_beside: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    policy: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    suspended: dict[str, bool] = field(default_factory=dict)
    officers: dict[str, StoredOfficer] = field(default_factory=dict)
    witnessed: dict[str, tuple[witness.Seen, bytes]] = field(default_factory=dict)
    cases: dict[bytes, Args] = field(default_factory=dict)
    case_tokens: dict[tuple[str, bytes, str], bytes] = field(default_factory=dict)
    cosignatures: dict[tuple[int, str], tuple[str, bytes]] = field(default_factory=dict)
    federation: tuple[int, bytes] | None = None
    list_keys: dict[tuple[str, str], tuple[bytes, ...]] = field(default_factory=dict)
    deltas: dict[memory_deltas.Place, SignedMessage] = field(default_factory=dict)
    delta_copies: dict[memory_deltas.Place, SignedMessage] = field(default_factory=dict)
    datasets: dict[str, tuple[StoredDataset, ...]] = field(default_factory=dict)
    accounts: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    shares: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    releases: dict[tuple[bytes, bytes], StoredRelease] = field(default_factory=dict)
    requests: dict[tuple[str, bytes], StoredRequest] = field(default_factory=dict)
    deliveries: dict[tuple[bytes, bytes, str], SignedMessage] = field(default_factory=dict)
    release_queries: dict[tuple[str, bytes], StoredQuery] = field(default_factory=dict)
    release_copies: dict[tuple[str, bytes, bytes], StoredCopy] = field(default_factory=dict)
    alerts: dict[bytes, Alert] = field(default_factory=dict)
    compared: dict[str, bytes] = field(default_factory=dict)

    def copied(self) -> _Tables:
        """Another one with the same rows. Rows are never changed in place, but for `used`, which holds a table each."""
        kept = {one.name: getattr(self, one.name) for one in fields(self)}
        made: dict[str, Any] = {name: dict(rows) if isinstance(rows, dict) else rows for name, rows in kept.items()}
        made["used"] = {leg: dict(batches) for leg, batches in self.used.items()}
        return _Tables(**made)


class MemoryStore(MemoryReleases, MemoryEpochs, MemoryAlerts):
    """`ports.UnitOfWork`, and all that `Reader` reads.

    `now_ns` gives the wall time of each commit; `chance` the record keys (32 bytes each; zeros unless given, so that
    tests are the same each time). `entries` are the accepted entries as they came, in the order of the log.
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        *,
        origin: str = "memory.example/log",
        recipients: Recipients | None = None,
        chance: Callable[[int], bytes] = bytes,
    ) -> None:
        self._now_ns = now_ns
        self._origin = origin
        self._recipients = recipients or Recipients(*(bytes((9,)) + bytes(31),) * 3)
        self._chance = chance
        self._sealer: Sealer | None = None
        self._tables = _Tables()
        self._leaves: list[bytes] = []
        self._payloads: dict[int, bytes] = {}
        self._pairs: dict[str, pairs.Head] = {}
        self._heads: dict[int, dict[str, pairs.Head]] = {}
        self._last_ns = 0
        self._checkpoints: dict[int, tuple[bytes, bytes]] = {}
        self.entries: list[Entry] = []

    # ports.UnitOfWork

    async def commit(self, entries: Sequence[Entry], changes: Sequence[Change] = ()) -> Committed:
        """All of it or nothing."""
        prepared = [leaf.prepare(entry, self._chance(32), self._session()) for entry in entries]
        before = self._tables.copied()
        try:
            for change in changes:
                apply = _APPLY.get(change.name)
                if apply is None:
                    raise InputRefused("no such change", field=change.name)
                apply(self, change.args)
        except BaseException:
            self._tables = before
            raise
        now = self._last_ns = max(self._now_ns(), self._last_ns)
        seqs, counts, hashes = [], [], []
        for entry, ready in zip(entries, prepared, strict=True):
            seq = len(self._leaves)
            last = self._pairs.get(entry.peer, pairs.Head(0, leaf.NO_ENTRY)) if entry.peer else pairs.Head(-1, b"")
            data = leaf.encode(ready, seq, now, last.count + 1, last.hash)
            if entry.peer:
                self._pairs[entry.peer] = pairs.Head(last.count + 1, merkle.leaf_hash(data))
            self._leaves.append(data)
            hashes.append(merkle.leaf_hash(data))
            if ready.sealed:
                self._payloads[seq] = ready.sealed
            self.entries.append(entry)
            seqs.append(seq)
            counts.append(last.count + 1)
        return Committed(tuple(seqs), tuple(counts), (now,) * len(seqs), tuple(hashes))

    async def witness_put(
        self, origin: str, old_size: int, size: int, root: bytes, noted: bytes, proof: Sequence[bytes] | None = None
    ) -> None:
        """As `WriterClient.witness` (whose name is taken here by the reader's)."""
        args = {"origin": origin, "old_size": old_size, "size": size, "root": root, "note": noted, "proof": proof}
        await self.commit([], [Change("witness.put", args)])

    def _session(self) -> Sealer:
        if self._sealer is None or self._sealer.is_spent:
            self._sealer = Sealer(self._recipients, self._chance(32))
        return self._sealer

    @property
    def _chains(self) -> memory_deltas.Tables:
        return self._tables

    @property
    def _alerted(self) -> memory_alerts.Tables:
        return self._tables

    @property
    def _held(self) -> memory_releases.Tables:
        return self._tables

    # Changes, as store.changes has them

    def _quota_charge(self, a: Args) -> None:
        t = self._tables
        if a["amount"] < 0:
            raise InputRefused("a charge is not negative", field="amount")
        leg_id = a.get("leg_id")
        if leg_id is None:
            self._charge(a)
            return
        leg = (a["peer"], leg_id)
        batch = a.get("batch", 0)
        if leg not in t.paid:
            if batch != 0:
                raise QuotaExhausted("a later batch of a leg that has not paid")
            self._charge(a)
            t.paid[leg] = a["amount"]
        used = t.used.setdefault(leg, {})
        slots, hash_ = a.get("slots", 0), a.get("request_hash")
        if batch in used:
            if used[batch][1] != hash_:
                raise RequestReused("other bytes under a request id that was charged")
            return
        if sum(taken for taken, _ in used.values()) + slots > t.paid[leg]:
            raise QuotaExhausted("a leg uses more slots than it has paid for")
        used[batch] = (slots, hash_)

    def _charge(self, a: Args) -> None:
        key = (a["peer"], a["list"], a["group"], a["day"])
        used = self._tables.quota.get(key, 0) + a["amount"]
        if used > a["limit"]:
            raise QuotaExhausted(f"{a['peer']}: {used} slots of {a['limit']}")
        self._tables.quota[key] = used

    def _reply_put(self, a: Args) -> None:
        key = (a["peer"], a["method"], a["leg_id"], a["batch"])
        held = self._tables.replies.get(key)
        if held is not None:
            if held.request_hash != a["request_hash"]:
                raise RequestReused("the request id was used before")
            return
        message = SignedMessage(a["body"], a["header"], a["signature"])
        self._tables.replies[key] = StoredReply(a["request_hash"], message)

    def _home_reply_put(self, a: Args) -> None:
        held = self._tables.home_replies.get(a["request_id"])
        if held is not None:
            if held[0] != a["request_hash"]:
                raise RequestReused("the request id was used before")
            return
        self._tables.home_replies[a["request_id"]] = (a["request_hash"], a["sealed"])

    def _entry_put(self, a: Args) -> None:
        self._tables.listed[(a["list"], a["entry_id"])] = a["body"]
        self._tables.withdrawn.pop((a["list"], a["entry_id"]), None)
        self._index(a["list"], a["entry_id"], a.get("keys"))

    def _entry_withdraw(self, a: Args) -> None:
        body = self._tables.listed.pop((a["list"], a["entry_id"]), None)
        if body is None:
            raise NotFoundOrNotPermitted("no live entry of this id")
        self._tables.withdrawn[(a["list"], a["entry_id"])] = body
        self._index(a["list"], a["entry_id"], None)

    def _case_put(self, a: Args) -> None:
        held = self._tables.cases.get(a["case_id"])
        if held is not None and (held["version"], held["body"]) == (a["version"], a["body"]):
            return
        if (0 if held is None else held["version"]) != a["version"] - 1:
            raise VersionMoved("the case went on meanwhile")
        self._tables.cases[a["case_id"]] = dict(a)

    def _case_expect(self, a: Args) -> None:
        held = self._tables.cases.get(a["case_id"])
        if held is None or held["version"] != a["version"]:
            raise VersionMoved("the case went on meanwhile")

    def _case_token(self, a: Args) -> None:
        key = (a["peer"], a["request_id"], a["entry_id"])
        if self._tables.case_tokens.setdefault(key, a["case_id"]) != a["case_id"]:
            raise NotFoundOrNotPermitted("the token was used")

    def _entry_expect(self, a: Args) -> None:
        if self._tables.listed.get((a["list"], a["entry_id"])) != a["body"]:
            raise VersionMoved("the record changed meanwhile")

    def _manifest_put(self, a: Args) -> None:
        _rising(self._tables.manifests, a["peer"], a)

    def _copy_put(self, a: Args) -> None:
        _rising(self._tables.copies, a["owner"], a)

    def _policy_activate(self, a: Args) -> None:
        held = self._tables.policy.get(a["layer"])
        new = (a["sequence"], a["digest"])
        if held is not None and a["sequence"] <= held[0] and held != new:
            raise VerificationFailed("policy sequence", f"the {a['layer']} bundle in force has sequence {held[0]}")
        self._tables.policy[a["layer"]] = new

    def _peer_suspend(self, a: Args) -> None:
        self._tables.suspended[a["peer"]] = bool(a["suspended"])

    def _officer_put(self, a: Args) -> None:
        self._tables.officers[a["officer"]] = StoredOfficer(a["officer"], a["body"], None)

    def _officer_retire(self, a: Args) -> None:
        held = self._tables.officers.get(a["officer"])
        if held is None or held.retired_ns is not None:
            raise NotFoundOrNotPermitted("no such person in force")
        self._tables.officers[a["officer"]] = StoredOfficer(held.officer, held.body, a["at_ns"])

    def _witness_put(self, a: Args) -> None:
        held = self._tables.witnessed.get(a["origin"])
        judge_witness(held[0] if held else None, a)
        self._tables.witnessed[a["origin"]] = (witness.Seen(a["size"], a["root"]), a["note"])

    def _cosignature_put(self, a: Args) -> None:
        if a["size"] not in self._checkpoints:
            raise NotFoundOrNotPermitted("no checkpoint of this size was published")
        cosignature_time(a["line"], a["name"])
        self._tables.cosignatures[(a["size"], a["name"])] = (a.get("witness", a["name"]), a["line"])

    def _expect(self, a: Args) -> None:
        for layer in ("baseline", "national"):
            held = self._tables.policy.get(layer)
            if held is None or held[1] != a[layer]:
                raise VersionMoved(f"the {layer} bundle in force is another")
        if a["peer_active"] and self._tables.suspended.get(a["peer_active"]):
            raise PeerSuspended(f"{a['peer_active']} was suspended meanwhile")

    def _federation_put(self, a: Args) -> None:
        held = self._tables.federation
        new = (a["version"], a["body"])
        if held is not None and held != new and a["version"] <= held[0]:
            raise VerificationFailed("federation version", f"version {held[0]} is in force")
        self._tables.federation = new

    def _pair_compared(self, a: Args) -> None:
        self._tables.compared[a["peer"]] = a["said"]

    # Reading, as store.reader has it

    def find(self, peer: PeerId, method: str, leg_id: RequestId, batch: int) -> StoredReply | None:
        return self._tables.replies.get((peer, method, leg_id.value, batch))

    def home_reply(self, request_id: RequestId) -> tuple[bytes, bytes] | None:
        return self._tables.home_replies.get(request_id.value)

    def is_suspended(self, peer: PeerId) -> bool:
        return self._tables.suspended.get(peer, False)

    def suspended(self) -> list[PeerId]:
        return sorted(PeerId(peer) for peer, is_so in self._tables.suspended.items() if is_so)

    def quota_used(self, peer: PeerId, list_id: ListId, group: str, day: int) -> int:
        return self._tables.quota.get((peer, list_id.value, group, day), 0)

    def pair_seq(self, peer: PeerId) -> int:
        return self._pairs[peer].count if peer in self._pairs else 0

    def all(self, list_id: ListId) -> Iterator[bytes]:
        for (name, _), body in sorted(self._tables.listed.items()):
            if name == list_id.value:
                yield body

    def entry_ids(self, list_id: ListId) -> list[str]:
        return sorted(entry_id for name, entry_id in self._tables.listed if name == list_id.value)

    def entry(self, list_id: ListId, entry_id: str) -> bytes | None:
        return self._tables.listed.get((list_id.value, entry_id))

    def withdrawn(self, list_id: ListId, entry_id: str) -> bytes | None:
        return self._tables.withdrawn.get((list_id.value, entry_id))

    def case(self, case_id: bytes) -> bytes | None:
        held = self._tables.cases.get(case_id)
        return None if held is None else held["body"]

    def cases(self, due: bool = False, *, officer: str = "", states: Sequence[str] = ()) -> Iterator[bytes]:
        for a in sorted(self._tables.cases.values(), key=lambda a: (a["due_ns"] or 1 << 62, a["case_id"])):
            is_old = a.get("assigned") is None
            if due and not (a["open"] and a["due_ns"] and not a["outbound"]):
                continue
            if officer and not is_old and officer not in (a["assigned"], a["offered"]):
                continue
            if not states or is_old or a["state"] in states:
                yield a["body"]

    def cases_of(self, record: str) -> list[bytes]:
        found = sorted(self._tables.cases.values(), key=lambda a: bytes(a["case_id"]))
        return [a["body"] for a in found if a.get("record") in (record, None)]

    def cases_to_send(self) -> list[bytes]:
        found = sorted(self._tables.cases.values(), key=lambda a: (a["due_ns"], a["case_id"]))
        return [a["body"] for a in found if a["open"] and a["outbound"]]

    def cases_past(self, now_ns: int) -> list[bytes]:
        found = sorted(self._tables.cases.values(), key=lambda a: bytes(a["case_id"]))
        return [a["body"] for a in found if a["open"] and 0 < a["expires_ns"] <= now_ns]

    def open_cases(self, peer: PeerId) -> int:
        return sum(bool(a["open"]) and a["peer"] == peer for a in self._tables.cases.values())

    def manifests(self) -> list[StoredManifest]:
        return [held for _, held in sorted(self._tables.manifests.items())]

    def copies(self) -> list[StoredManifest]:
        return [held for _, held in sorted(self._tables.copies.items())]

    def manifest(self, peer: PeerId, list_id: ListId, group: str) -> StoredManifest | None:
        return self._tables.manifests.get((peer, list_id.value, group))

    def policy_sequence(self, layer: str) -> tuple[int, bytes] | None:
        return self._tables.policy.get(layer)

    def officers(self) -> list[StoredOfficer]:
        return [held for _, held in sorted(self._tables.officers.items())]

    def officer(self, officer: str) -> StoredOfficer | None:
        return self._tables.officers.get(officer)

    def federation(self) -> tuple[int, bytes] | None:
        return self._tables.federation

    def origin(self) -> str:
        return self._origin

    def size(self) -> int:
        return len(self._leaves)

    def leaf(self, seq: int) -> bytes | None:
        return self._leaves[seq] if 0 <= seq < len(self._leaves) else None

    def leaves(self, start: int, stop: int) -> list[bytes]:
        return self._leaves[start:stop]

    def payload(self, seq: int) -> bytes | None:
        return self._payloads.get(seq)

    def payloads(self, start: int, stop: int) -> list[tuple[int, bytes]]:
        return [(seq, sealed) for seq, sealed in sorted(self._payloads.items()) if start <= seq < stop]

    def hashes(self, level: int, start: int, stop: int) -> list[bytes]:
        span = tiles.WIDTH**level
        leaf_hashes = [merkle.leaf_hash(one) for one in self._leaves]
        found = [merkle.root_of(leaf_hashes[n * span : (n + 1) * span]) for n in range(start, stop)]
        if stop * span > len(self._leaves):
            raise ValueError(f"the store lacks hashes of tile row {level} from {start}")
        return found

    def tree(self, size: int | None = None) -> tiles.Tree:
        return tiles.Tree(self, self.size() if size is None else size)

    def consistency(self, old_size: int, size: int) -> list[bytes]:
        return self.tree(size).consistency(old_size)

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        return self.tree(size).inclusion(seq)

    def pair_key(self) -> bytes:
        return bytes(32)

    async def put_heads(self) -> None:
        """What the writer adds before a checkpoint."""
        root = pairs.root(self._pairs, self.pair_key(), len(self._leaves))
        heads = dict(self._pairs)
        await self.commit([Entry(pairs.KIND, Phase.EVENT, public={"root": root})])
        self._heads[len(self._leaves)] = heads

    def pair_heads(self) -> tuple[int, dict[str, pairs.Head]] | None:
        size = max(self._checkpoints, default=0)
        return (size, self._heads[size]) if size in self._heads else None

    def compared(self, peer: PeerId) -> bytes | None:
        return self._tables.compared.get(peer)

    def put_checkpoint(self, size: int, noted: bytes, digest: bytes) -> None:
        """What the writer's timer does: keep a signed note for a size."""
        self._checkpoints[size] = (noted, digest)

    def last_checkpoint(self, cosignatures: int = 0) -> tuple[bytes, bytes] | None:
        for size in sorted(self._checkpoints, reverse=True):
            if sum(held == size for held, _ in self._tables.cosignatures) >= cosignatures:
                return self._with_cosignatures(size), self._checkpoints[size][1]
        return None

    def last_digest(self) -> bytes | None:
        return self._checkpoints[max(self._checkpoints)][1] if self._checkpoints else None

    def checkpoint(self, size: int) -> bytes | None:
        return self._with_cosignatures(size) if size in self._checkpoints else None

    def quorum_time(self, quorum: int) -> tuple[int, int] | None:
        by_size: dict[int, list[int]] = {}
        for (size, name), (_, line) in self._tables.cosignatures.items():
            by_size.setdefault(size, []).append(cosignature_time(line, name))
        reached = [(size, sorted(times)[quorum - 1]) for size, times in by_size.items() if len(times) >= quorum]
        return max(reached, default=None)

    def cosigned(self, sizes: int) -> list[tuple[int, list[tuple[str, int]]]]:
        by_size: dict[int, list[tuple[str, int]]] = {}
        for (size, name), (_, line) in self._tables.cosignatures.items():
            by_size.setdefault(size, []).append((name, cosignature_time(line, name)))
        return sorted(by_size.items(), reverse=True)[:sizes]

    def cosigned_checkpoints(self, size: int) -> list[tuple[int, bytes]]:
        cosigned = sorted({held for held, _ in self._tables.cosignatures if held <= size})
        return [(held, self._with_cosignatures(held)) for held in cosigned]

    def witnessed_size(self, witness_peer: str) -> int:
        sizes = (size for (size, _), (peer, _) in self._tables.cosignatures.items() if peer == witness_peer)
        return max(itertools.chain((0,), sizes))

    def witness(self, origin: str) -> witness.Seen | None:
        held = self._tables.witnessed.get(origin)
        return held[0] if held else None

    def witness_note(self, origin: str) -> bytes | None:
        held = self._tables.witnessed.get(origin)
        return held[1] if held else None

    def kinds_logged(self) -> list[tuple[str, str]]:
        """(kind, phase) of every entry in order: what a flow's test usually asks."""
        return [(entry.kind, entry.phase.value) for entry in self.entries]

    def _with_cosignatures(self, size: int) -> bytes:
        lines = (line for (held, _), (_, line) in sorted(self._tables.cosignatures.items()) if held == size)
        return self._checkpoints[size][0] + b"".join(lines)


def _rising(table: dict[tuple[str, str, str], StoredManifest], other: str, a: Args) -> None:
    key = (other, a["list"], a["group"])
    held = table.get(key)
    if held is not None and (held.version, held.message.body) == (a["version"], a["body"]):
        return
    if held is not None and a["version"] <= held.version:
        raise VersionMoved(f"version {held.version} is already here")
    message = SignedMessage(a["body"], a["header"], a["signature"])
    table[key] = StoredManifest(
        PeerId(other), ListId(a["list"]), a["group"], EpochId(a["epoch"]), a["version"], message
    )


_APPLY: Mapping[str, Callable[[MemoryStore, Args], None]] = {
    "quota.charge": MemoryStore._quota_charge,
    "reply.put": MemoryStore._reply_put,
    "home_reply.put": MemoryStore._home_reply_put,
    "entry.put": MemoryStore._entry_put,
    "entry.withdraw": MemoryStore._entry_withdraw,
    "manifest.put": MemoryStore._manifest_put,
    "copy.put": MemoryStore._copy_put,
    "policy.activate": MemoryStore._policy_activate,
    "peer.suspend": MemoryStore._peer_suspend,
    "officer.put": MemoryStore._officer_put,
    "officer.retire": MemoryStore._officer_retire,
    "witness.put": MemoryStore._witness_put,
    "cosignature.put": MemoryStore._cosignature_put,
    "expect": MemoryStore._expect,
    "federation.put": MemoryStore._federation_put,
    "pair.compared": MemoryStore._pair_compared,
    "case.put": MemoryStore._case_put,
    "case.token": MemoryStore._case_token,
    "case.expect": MemoryStore._case_expect,
    "entry.expect": MemoryStore._entry_expect,
    **memory_epochs.APPLY,
    **memory_deltas.APPLY,
    **memory_releases.APPLY,
    **memory_alerts.APPLY,
}
