"""Reading the node's database: one connection that cannot write. Sees what is committed, at once.

Bound to the thread that made it. Each method is one short statement; nothing here is cached, so a suspension or a new
epoch is seen by the next call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.audit import merkle, tiles, witness
from gateway.errors import ConfigRefused, NotFoundOrNotPermitted
from gateway.ports import StoredReply
from gateway.primitives import cbor
from gateway.store import db as database
from gateway.store.alerts import AlertRows
from gateway.store.db import Database
from gateway.store.deltas import DeltaRows
from gateway.store.epochs import EpochRows
from gateway.store.releases import ReleaseRows
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import EpochId, PeerId, RequestId
from gateway.terms.words import ListId

if TYPE_CHECKING:
    from gateway.audit import pairs

HEADS: Final = "pair_heads"
HEADS_BEFORE: Final = "pair_heads_before"
"""Rows of `meta`: where every pair stands in the newest tree that was agreed on, and in the one before."""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A signed manifest as it was stored. `other` is the peer it was made for, or the owner it came from."""

    other: PeerId
    list_id: ListId
    group: str
    epoch: EpochId
    version: int
    message: SignedMessage


@dataclass(frozen=True, slots=True)
class StoredOfficer:
    """A row of the officers' register; `body` is the enrolment's canonical bytes."""

    officer: str
    body: bytes = field(repr=False)
    retired_ns: int | None


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold in force: payloads of entries `first` to `last` stay; to be reviewed at `review_ns`."""

    hold_id: bytes
    first: int
    last: int
    review_ns: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one retention class; `first_overdue` is the first entry whose payload should have gone."""

    retention: str
    kept: int
    next_due_ns: int
    held: int
    overdue: int
    first_overdue: int | None


class Reader(ReleaseRows, DeltaRows, EpochRows, AlertRows):
    """ports.Replies, ports.Entries, and what flows, jobs and auditors read besides.

    `path` is the store folder; `periods` that of the period keys, for those who read payloads. Raises ConfigRefused
    when there is no store.
    """

    def __init__(self, path: Path, periods: Path | None = None) -> None:
        self._db = database.reader_of(path)
        self._periods = periods
        self._one = self._db.execute

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    # Replies

    def find(self, peer: PeerId, method: str, leg_id: RequestId, batch: int) -> StoredReply | None:
        """The reply stored under this idempotency key, or None. Erased replies are not found."""
        row = self._one(
            "SELECT request_hash, body, header, signature FROM reply"
            " WHERE peer = ? AND method = ? AND leg_id = ? AND batch = ? AND body IS NOT NULL",
            (peer, method, leg_id.value, batch),
        ).fetchone()
        return None if row is None else StoredReply(row[0], SignedMessage(row[1], row[2], row[3]))

    def home_reply(self, request_id: RequestId) -> tuple[bytes, bytes] | None:
        """(request digest, sealed answer) of our own officer's question, or None."""
        row = self._one(
            "SELECT request_hash, sealed FROM home_reply WHERE request_id = ? AND sealed IS NOT NULL",
            (request_id.value,),
        ).fetchone()
        return None if row is None else (row[0], row[1])

    # Peers

    def is_suspended(self, peer: PeerId) -> bool:
        """True from the moment the suspension is durable."""
        row = self._one("SELECT suspended FROM peer WHERE peer = ?", (peer,)).fetchone()
        return bool(row and row[0])

    def suspended(self) -> list[PeerId]:
        """Every suspended peer."""
        return [PeerId(row[0]) for row in self._one("SELECT peer FROM peer WHERE suspended = 1 ORDER BY peer")]

    def quota_used(self, peer: PeerId, list_id: ListId, group: str, day: int) -> int:
        """Padded slots charged to the peer on this UTC day (days since 1970)."""
        row = self._one(
            "SELECT used FROM quota WHERE peer = ? AND list = ? AND grp = ? AND day = ?",
            (peer, list_id.value, group, day),
        ).fetchone()
        return int(row[0]) if row else 0

    def pair_seq(self, peer: PeerId) -> int:
        """The number of the newest entry naming this peer, 0 for none."""
        row = self._one("SELECT seq FROM pair WHERE peer = ?", (peer,)).fetchone()
        return int(row[0]) if row else 0

    def pair_key(self) -> bytes:
        """The key that opens places of `pair.heads`, 32 bytes. Raises NotFoundOrNotPermitted before the first start."""
        row = self._one("SELECT value FROM meta WHERE name = 'pair_key'", ()).fetchone()
        if row is None:
            raise NotFoundOrNotPermitted("this log has not been opened by a writer that keeps pairs yet")
        return bytes(row[0])

    def pair_heads(self) -> tuple[int, dict[str, pairs.Head]] | None:
        """(size, where every pair stood) of the newest published checkpoint; None before the first that says so."""
        from gateway.audit import pairs  # here, because the supervisor reads too and needs no cryptography

        row = self._one("SELECT max(size) FROM checkpoint").fetchone()
        for name in (HEADS, HEADS_BEFORE):
            held = self._one("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
            if held is None:
                continue
            size, heads = cbor.decode(bytes(held[0]), field=name)
            if size == row[0]:
                return size, {peer: pairs.Head(count, hash_) for peer, count, hash_ in heads}
        return None

    def compared(self, peer: PeerId) -> bytes | None:
        """How the last comparison with this peer ended (`flows.nightly.Compared`), or None."""
        row = self._one("SELECT value FROM meta WHERE name = ?", (f"compared {peer}",)).fetchone()
        return None if row is None else bytes(row[0])

    # Lists and tables

    def all(self, list_id: ListId) -> Iterator[bytes]:
        """Each live entry's canonical bytes, in entry id order."""
        for row in self._one(
            "SELECT body FROM list_entry WHERE list = ? AND withdrawn_ns IS NULL ORDER BY entry_id", (list_id.value,)
        ):
            yield row[0]

    def entry_ids(self, list_id: ListId) -> list[str]:
        """The id of each live entry, in order."""
        rows = self._one(
            "SELECT entry_id FROM list_entry WHERE list = ? AND withdrawn_ns IS NULL ORDER BY entry_id",
            (list_id.value,),
        )
        return [row[0] for row in rows]

    def entry(self, list_id: ListId, entry_id: str) -> bytes | None:
        """One live entry, or None."""
        row = self._one(
            "SELECT body FROM list_entry WHERE list = ? AND entry_id = ? AND withdrawn_ns IS NULL",
            (list_id.value, entry_id),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def withdrawn(self, list_id: ListId, entry_id: str) -> bytes | None:
        """An entry that was taken off, as it was then; None where there is none or it is live."""
        row = self._one(
            "SELECT body FROM list_entry WHERE list = ? AND entry_id = ? AND withdrawn_ns IS NOT NULL",
            (list_id.value, entry_id),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def manifests(self) -> list[StoredManifest]:
        """The newest manifest of every table made for a peer."""
        return self._manifests("manifest", "peer")

    def copies(self) -> list[StoredManifest]:
        """The newest manifest of every table received from its owner."""
        return self._manifests("copy", "owner")

    def manifest(self, peer: PeerId, list_id: ListId, group: str) -> StoredManifest | None:
        """The newest manifest made for a peer, or None."""
        wanted = (peer, list_id, group)
        return next((m for m in self.manifests() if (m.other, m.list_id, m.group) == wanted), None)

    def _manifests(self, table: str, who: str) -> list[StoredManifest]:
        rows = self._one(
            f"SELECT {who}, list, grp, epoch, version, body, header, signature FROM {table} AS held WHERE version ="
            f" (SELECT max(version) FROM {table} WHERE {who} = held.{who} AND list = held.list AND grp = held.grp)"
            f" ORDER BY {who}, list, grp"
        )
        return [
            StoredManifest(
                PeerId(row[0]), ListId(row[1]), row[2], EpochId(row[3]), row[4], SignedMessage(row[5], row[6], row[7])
            )
            for row in rows
        ]

    # Cases

    def case(self, case_id: bytes) -> bytes | None:
        """A case's body, or None."""
        row = self._one("SELECT body FROM case_file WHERE case_id = ?", (case_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def cases(self, due: bool = False, *, officer: str = "", states: Sequence[str] = ()) -> Iterator[bytes]:
        """Bodies of cases, one after the other as they are taken; soonest due first, those without a due time last.

        `due`: open, with a due time and nothing to send; `officer`: assigned or offered to this one; `states`: in one
        of these. A case kept before there was an index is always among them: whoever asks judges the case itself.
        """
        where, values = ["1 = 1"], list[str]()
        if officer:
            where.append("(assigned = ? OR offered = ? OR assigned IS NULL)")
            values += [officer, officer]
        if states:
            where.append(f"(state IN ({', '.join('?' * len(states))}) OR state IS NULL)")
            values += states
        order = "due_ns = 0, due_ns, case_id"
        if due:
            # In the order of the index over open cases.
            where.append("open = 1 AND due_ns > 0 AND outbound = ''")
            order = "due_ns, case_id"
        for row in self._one(f"SELECT body FROM case_file WHERE {' AND '.join(where)} ORDER BY {order}", values):
            yield bytes(row[0])

    def cases_of(self, record: str) -> list[bytes]:
        """Bodies of the cases about a record of ours (`Case.record`), and of those kept before there was an index."""
        rows = self._one("SELECT body FROM case_file WHERE record = ? OR record IS NULL ORDER BY case_id", (record,))
        return [bytes(row[0]) for row in rows]

    def cases_to_send(self) -> list[bytes]:
        """Bodies of the cases of which something still has to reach the other side."""
        rows = self._one("SELECT body FROM case_file WHERE open = 1 AND outbound != '' ORDER BY due_ns, case_id")
        return [bytes(row[0]) for row in rows]

    def cases_past(self, now_ns: int) -> list[bytes]:
        """Bodies of the open cases whose time is over."""
        rows = self._one(
            "SELECT body FROM case_file WHERE open = 1 AND expires_ns != 0 AND expires_ns <= ? ORDER BY case_id",
            (now_ns,),
        )
        return [bytes(row[0]) for row in rows]

    def open_cases(self, peer: PeerId) -> int:
        """How many cases with this peer are open."""
        row = self._one("SELECT count(*) FROM case_file WHERE open = 1 AND peer = ?", (peer,)).fetchone()
        return int(row[0])

    # What is in force

    def policy_sequence(self, layer: str) -> tuple[int, bytes] | None:
        """(sequence, digest) of the bundle in force in this layer, or None."""
        row = self._one("SELECT sequence, digest FROM policy WHERE layer = ?", (layer,)).fetchone()
        return None if row is None else (row[0], row[1])

    def officers(self) -> list[StoredOfficer]:
        """The whole register, retired people included."""
        rows = self._one("SELECT officer, body, retired_ns FROM officer ORDER BY officer")
        return [StoredOfficer(*row) for row in rows]

    def officer(self, officer: str) -> StoredOfficer | None:
        """One person's row, or None."""
        row = self._one("SELECT officer, body, retired_ns FROM officer WHERE officer = ?", (officer,)).fetchone()
        return None if row is None else StoredOfficer(*row)

    def federation(self) -> tuple[int, bytes] | None:
        """(version, signed bytes) of the list of members in force, or None."""
        row = self._one("SELECT version, body FROM federation ORDER BY version DESC LIMIT 1").fetchone()
        return None if row is None else (row[0], row[1])

    # The log

    def origin(self) -> str:
        """The log's origin line."""
        row = self._one("SELECT value FROM meta WHERE name = 'origin'").fetchone()
        return str(row[0])

    def size(self) -> int:
        """Leaves that are durable, published or not."""
        row = self._one("SELECT max(seq) FROM leaf").fetchone()
        return 0 if row[0] is None else row[0] + 1

    def leaf(self, seq: int) -> bytes | None:
        """One leaf's bytes, or None."""
        row = self._one("SELECT bytes FROM leaf WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else bytes(row[0])

    def leaves(self, start: int, stop: int) -> list[bytes]:
        """Leaves `[start, stop)`, as many of them as there are."""
        rows = self._one("SELECT bytes FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq", (start, stop))
        return [row[0] for row in rows]

    def payload(self, seq: int) -> bytes | None:
        """An entry's sealed payload, or None where it has none or it was erased."""
        found = self.payloads(seq, seq + 1)
        return found[0][1] if found else None

    def payloads(self, start: int, stop: int) -> list[tuple[int, bytes]]:
        """The payloads of entries `[start, stop)` that there are, with their numbers; none whose key was destroyed.

        Raises ConfigRefused where this reader was not told where the period keys are.
        """
        rows = self._one(
            "SELECT seq, sealed, class, period FROM payload WHERE seq >= ? AND seq < ? AND class <> '' ORDER BY seq",
            (start, stop),
        ).fetchall()
        # Whoever reads no payload is spared two libraries (app.due).
        from gateway.store.periods import PeriodKeys

        # Read anew each time: the writer destroys keys while we are open.
        keys = None if self._periods is None else PeriodKeys(self._periods, self.origin())
        found: list[tuple[int, bytes]] = []
        for seq, stored, retention, period in rows:
            if keys is None:
                raise ConfigRefused("payloads cannot be read without the folder of their period keys")
            payload = keys.open(retention, period, seq, stored)
            if payload is not None:
                found.append((seq, payload))
        return found

    def agreed(self) -> tuple[int, int] | None:
        """(size, UTC ns) of the newest checkpoint that more than half of our witnesses cosigned, and the earliest of
        their times; None before the first."""
        return agreed(self._db)

    def holds(self) -> list[Hold]:
        """Legal holds in force, by their first entry."""
        return [Hold(*row) for row in self._one("SELECT hold_id, first, last, review_ns FROM hold ORDER BY first")]

    def retention(self, past_ns: int) -> list[Kept]:
        """What is kept of each class; overdue is what was due before `past_ns`, UTC ns, and is not held."""
        held = "EXISTS (SELECT 1 FROM hold WHERE seq BETWEEN hold.first AND hold.last)"
        rows = self._one(
            f"SELECT class, count(*), min(due_ns), count(CASE WHEN {held} THEN 1 END),"
            f" count(CASE WHEN due_ns < ?1 AND NOT {held} THEN 1 END),"
            f" min(CASE WHEN due_ns < ?1 AND NOT {held} THEN seq END) FROM payload GROUP BY class ORDER BY class",
            (past_ns,),
        )
        return [Kept(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows]

    def stale_replies(self, past_ns: int) -> int:
        """Answers kept for repeated requests whose time was over before `past_ns`."""
        (peers,) = self._one(
            "SELECT count(*) FROM reply WHERE body IS NOT NULL AND expires_ns < ?", (past_ns,)
        ).fetchone()
        (home,) = self._one(
            "SELECT count(*) FROM home_reply WHERE sealed IS NOT NULL AND expires_ns < ?", (past_ns,)
        ).fetchone()
        return int(peers) + int(home)

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """`tiles.Hashes`: hashes of a tile row, all within one tile, the right edge rebuilt from what is below it."""
        return read_hashes(self._db, level, start, stop)

    def tree(self, size: int | None = None) -> tiles.Tree:
        """The tree of the first `size` leaves, for roots and proofs."""
        return tiles.Tree(self, self.size() if size is None else size)

    def consistency(self, old_size: int, size: int) -> list[bytes]:
        """The consistency proof between two sizes of our tree."""
        return self.tree(size).consistency(old_size)

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        """The inclusion proof of a leaf in the tree of `size`."""
        return self.tree(size).inclusion(seq)

    def last_checkpoint(self, cosignatures: int = 0) -> tuple[bytes, bytes] | None:
        """The newest published note with its cosignatures, and its digest (SHA-256 of the text); None before the first.

        With `cosignatures`, the newest note that has at least so many.
        """
        row = self._one(
            "SELECT size, note, digest FROM checkpoint"
            " WHERE ? = 0 OR ? <= (SELECT count(*) FROM cosignature WHERE cosignature.size = checkpoint.size)"
            " ORDER BY size DESC LIMIT 1",
            (cosignatures, cosignatures),
        ).fetchone()
        return None if row is None else (self._with_cosignatures(row[0], row[1]), row[2])

    def last_digest(self) -> bytes | None:
        """The digest of the newest published note; None before the first. Every message we sign names it."""
        row = self._one("SELECT digest FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        return None if row is None else bytes(row[0])

    def checkpoint(self, size: int) -> bytes | None:
        """The note published for this size, with its cosignatures, or None."""
        row = self._one("SELECT note FROM checkpoint WHERE size = ?", (size,)).fetchone()
        return None if row is None else self._with_cosignatures(size, row[0])

    def cosigned_checkpoints(self, size: int) -> list[tuple[int, bytes]]:
        """Every note up to this size that a witness has cosigned, with its size, oldest first."""
        rows = self._one(
            "SELECT size, note FROM checkpoint WHERE size <= ?"
            " AND EXISTS (SELECT 1 FROM cosignature WHERE cosignature.size = checkpoint.size) ORDER BY size",
            (size,),
        ).fetchall()
        return [(row[0], self._with_cosignatures(row[0], row[1])) for row in rows]

    def quorum_time(self, quorum: int) -> tuple[int, int] | None:
        """(size, UTC seconds) of the newest checkpoint that so many witnesses have cosigned, and when the last of them
        did; None where none has."""
        row = self._one(
            "SELECT size FROM cosignature GROUP BY size HAVING count(*) >= ? ORDER BY size DESC LIMIT 1", (quorum,)
        ).fetchone()
        if row is None:
            return None
        times = self._one(
            "SELECT time_s FROM cosignature WHERE size = ? ORDER BY time_s LIMIT 1 OFFSET ?", (row[0], quorum - 1)
        )
        return row[0], times.fetchone()[0]

    def cosigned(self, sizes: int) -> list[tuple[int, list[tuple[str, int]]]]:
        """The newest cosigned checkpoints, so many, newest first: size, and (key name, UTC seconds) of each line."""
        rows = self._one(
            "SELECT size, name, time_s FROM cosignature WHERE size IN"
            " (SELECT DISTINCT size FROM cosignature ORDER BY size DESC LIMIT ?) ORDER BY size DESC",
            (sizes,),
        )
        found: dict[int, list[tuple[str, int]]] = {}
        for size, name, time_s in rows:
            found.setdefault(size, []).append((name, time_s))
        return list(found.items())

    def witnessed_size(self, witness_peer: str) -> int:
        """The largest size this peer, or the witness outside with this key name, has cosigned for us, 0 for none."""
        row = self._one("SELECT max(size) FROM cosignature WHERE witness = ?", (witness_peer,)).fetchone()
        return int(row[0] or 0)

    def witness(self, origin: str) -> witness.Seen | None:
        """The head of another log that we cosigned last, or None."""
        row = self._one("SELECT size, root FROM witness WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else witness.Seen(row[0], row[1])

    def witness_note(self, origin: str) -> bytes | None:
        """The note of that head: what a monitor asks a witness for."""
        row = self._one("SELECT note FROM witness WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else bytes(row[0])

    def _with_cosignatures(self, size: int, noted: bytes) -> bytes:
        rows = self._one("SELECT line FROM cosignature WHERE size = ? ORDER BY name", (size,))
        return bytes(noted) + b"".join(row[0] for row in rows)


def read_hashes(db: Database, level: int, start: int, stop: int) -> Sequence[bytes]:
    """Hashes `[start, stop)` of a tile row. Raises ValueError when the store does not have them all."""
    number, at = divmod(start, tiles.WIDTH)
    row = db.execute("SELECT hashes FROM tile WHERE level = ? AND number = ?", (level, number)).fetchone()
    if row is not None:
        found = [row[0][n * 32 : n * 32 + 32] for n in range(at, at + stop - start)]
    elif level == 0:
        rows = db.execute("SELECT bytes FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq", (start, stop))
        found = [merkle.leaf_hash(leaf) for (leaf,) in rows]
    else:
        rows = db.execute(
            "SELECT root FROM tile WHERE level = ? AND number >= ? AND number < ? ORDER BY number",
            (level - 1, start, stop),
        )
        found = [root for (root,) in rows]
    if len(found) != stop - start:
        raise ValueError(f"the store lacks hashes of tile row {level} from {start}")
    return found


def agreed(db: Database) -> tuple[int, int] | None:
    """(size, UTC ns) of the newest checkpoint that more than half of those who ever cosigned for us have cosigned, and
    the earliest of their times for it."""
    (witnesses,) = db.execute("SELECT count(DISTINCT witness) FROM cosignature").fetchone()
    row = db.execute(
        "SELECT size, min(time_s) FROM cosignature GROUP BY size HAVING count(DISTINCT witness) > ?"
        " ORDER BY size DESC LIMIT 1",
        (witnesses // 2,),
    ).fetchone()
    return None if row is None else (row[0], row[1] * 10**9)
