#!/usr/bin/env python3
"""limen-verify: an access log, or entries of one, verified on a laptop with this one file and Python 3.9 or newer.

    python3 limen_verify.py EXPORT --trust CARD [--witnessed NOTE] [--json]
    python3 limen_verify.py BUNDLE-OR-PROOF --trust CARD [--json]

Take three things and nothing else: this file, the folder that `limen audit export` wrote (or the file with a bundle or
a proof that somebody handed you), and a trust card that you have from elsewhere. No network, no package, no
configuration; nothing is written. It is made from docs/protocol/log.md ("Verifying a copy") and shares no code with the
gateway, so that one mistake is not made twice.

The steps, numbered as the report numbers them; all are taken, so that a fault is not only found but located:

 1. signature    the checkpoint is signed by the log's key on the trust card
 2. quorum       enough witnesses of the card have cosigned it
 3. root         leaves hash to the tiles, tiles to the checkpoint's root
 4. sequence     every leaf is of a known form and says its own number; no gap, also per pair
 5. time         the leaves' times never go back
 6. pairs        every outcome names one earlier, open intent about the same thing
 7. payloads     every payload is the one its leaf has the digest of, or was erased lawfully
 8. receipts     every signed message is named by a leaf
 9. history      the log extends every head that was signed, seen or held by a witness before
10. commitments  needs a reader's private key: always skipped here
11. persons      every act of a case carries its person's own signature, and every disclosure those of two
12. disclosures  before every disclosure stand its hit, its permit and the acts of both persons
13. charges      before every release stands its one charge

Of a bundle or a proof, which hold some entries and no more: signature, quorum, history (a head on the card of the same
size), inclusion (each entry stands in the tree), sequence, and commitments (the fields that are opened).

Exit code: 0 verified, 6 a fault was found, 8 not an export, a bundle, a proof or a card, 2 wrong arguments, 1 the disk
failed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

VERSION = "0.1.0"

HOLDS = rb"(no )?payloads\n(?:receipts (0|[1-9][0-9]{0,8})\n)?\Z"  # how a folder's format ends

STEPS = (
    "signature", "quorum", "root", "sequence", "time", "pairs", "payloads", "receipts", "history", "commitments",
    "persons", "disclosures", "charges",
)  # fmt: skip
EVIDENCE_STEPS = ("signature", "quorum", "history", "inclusion", "sequence", "commitments")

# Every kind of entry: name and phase | public fields | optional ones | sealed ones, guard included. A `-` is none; what
# is set in goes on with the line before.
# catalogue: begin (made by docs/make_audit_events.py)
CATALOGUE = """
check.ask intent | purpose basis agency list class batches agreement baseline national | leg role seed_commitments
    epoch version key_types permit_expires_ns | officer case justification seeds keys guarded why
check.ask outcome | purpose basis agency list class batches agreement baseline national intent_seq reply reason
    request_hashes | leg role reply_hashes replies | hits
check.denied event | purpose basis agency reasons | list role class | officer case
check.answer intent | purpose basis agency list class batches agreement baseline national role batch peer_seq
    request_hash seed_commitment epoch | signed | -
check.answer outcome | purpose basis agency list class batches agreement baseline national role batch peer_seq
    request_hash seed_commitment epoch intent_seq reply_hash table_version | - | -
check.refused event | purpose request_hash reason | basis agency class peer_seq reasons list role batch count signed |
    -
table.published event | list group epoch version padded_count table_hash manifest_hash basis agreement baseline
    national | previous public_key | told withheld
table.received event | list group epoch version padded_count table_hash manifest_hash basis fault | previous | -
list.loaded event | list mode file_hash basis added changed withdrawn signers | - | officers decision
list.entry event | list act basis | file_hash | entry_id originator decision officers before after
list.denied event | list file_hash reasons | - | officers decision
policy.activated event | layer digest sequence | signer not_after_ns impact persons | officers
officer.enrolled event | agency roles key_thumbprint | - | officer by
officer.retired event | agency key_thumbprint | roles | officer by
officer.login event | agency granted | reason token_hash expires_ns | officer
peer.suspended event | suspended | reason | officers
federation.adopted event | version digest | members expires_ns signers | -
epoch.opened event | epoch expires_ns | - | -
keys.destroyed event | seeds | epoch reason | -
witness.cosigned event | origin old_size size root | - | -
witness.disputed event | step our_size their_size | note_hash witness | -
checkpoint.fault event | origin size root | known_size known_root known_note step note | -
audit.read event | first count | filter purpose | officer case
audit.exported event | size root | payloads about | officer
node.started event | release | size | -
node.stopped event | - | reason | -
clock.step event | step_ms | - | -
filler event | - | - | -
counters.lost event | reason | - | -
document.read event | agency format valid | - | officer
payloads.erased event | class period first last count ground until_ns checkpoint | - | -
alert.raised event | alert_id rule times | - | officers count seq
call.refused event | reason count | method | -
protection.changed event | list basis | - | entry_id act tag source decision officers persons
protection.denied event | list basis | - | entry_id act tag decision officers reasons
protection.read event | list | - | entry_id officers
list.impact event | list basis | - | officer case entries travellers file_hash traffic_hash band
pair.compared event | origin size count head asked unchecked fault | reason number named statement | -
pair.told event | size count asked | - | -
case.act event | case_id side purpose act state version fields statement signature signer baseline national | - |
    officer code words to
case.denied event | case_id side purpose act reasons | - | officer
case.read event | case_id what | - | officer
case.sent event | case_id side purpose message state fields recipient record_version persons baseline national | - | -
case.taken event | case_id side purpose message state request_hash | signed persons record_version fields answered |
    entry_id code
case.dropped event | case_id message request_hash | signed | cause
release.dataset event | dataset snapshot declaration by_person file_hash basis signers baseline national | - |
    officers decision rows
release.asked event | purpose basis agency role query_digest act request_id agreement baseline national | - | officer
release.requested event | purpose basis agency role query_digest act dataset request_id request_hash peer_seq
    agreement baseline national | signed | officer
release.denied event | purpose basis agency role query_digest act request_hash reason reasons | - | officer
release.charged event | query_digest snapshot dataset unit period cost_micro_rho salt_commitment | - | -
release.made intent | query_digest snapshot dataset cost_micro_rho | - | -
release.made outcome | query_digest snapshot dataset cost_micro_rho intent_seq release_hash shown_ns | - | -
release.failed event | query_digest snapshot dataset code | - | -
release.sent event | purpose basis agency role query_digest snapshot release_hash request_hash agreement baseline
    national | - | officer
release.received event | purpose basis agency role query_digest snapshot release_hash fault | - | officer
delta.published event | list group epoch number delta_hash agreement baseline national | - | rows
delta.received event | list group epoch number delta_hash fault | - | -
policy.dry_run event | purpose basis agency role side permitted reasons baseline national | - | -
node.backup event | digest files bytes | - | -
node.restored event | digest size their_size | - | -
witnesses.silent event | silent quorum size reached_ns | - | -
alert.acted event | alert_id rule act state version | - | officer to reason words
alert.read event | alert_id what | - | officer
officer.declared event | agency | - | officer hashes
pair.heads event | root | - | -
audit.announced event | about count | - | officer
former.erased event | former class period until_ns checkpoint | - | -
payloads.lost event | class period first last count | - | -
hold.set event | hold_id first last authority decision review_ns persons | - | officers
hold.lifted event | hold_id authority decision persons | - | officers
erasure.ordered event | class first last authority decision ground until_ns checkpoint persons | - | officers
audit.revealed event | entry kind purpose persons | - | officers
audit.denied event | purpose what reasons | - | officer
epoch.rotated event | epochs emergency decision persons | - | officers
epoch.activated event | epoch retired until_ns | - | -
subject.answered event | size root proofing via | - | officer
log.begun event | former size root held origin reason decision persons | - | officers
log.replaced event | former origin version size root | - | -
"""
# catalogue: end

DAY_NS = 86_400 * 10**9
TERMS_NS = {
    "none": 0, "24h": DAY_NS, "30d": 30 * DAY_NS, "1y": 365 * DAY_NS, "3y": 1095 * DAY_NS, "10y": 3650 * DAY_NS,
}  # fmt: skip

PERIODS_NS = {
    "none": DAY_NS // 24, "24h": DAY_NS // 24, "30d": DAY_NS, "1y": 30 * DAY_NS, "3y": 30 * DAY_NS, "10y": 30 * DAY_NS,
}  # fmt: skip

RETENTION_ACTS = {
    "hold.set": ("limen/retention/hold/1", ("hold_id", "first", "last", "authority", "decision", "review_ns")),
    "hold.lifted": ("limen/retention/lift/1", ("hold_id", "authority", "decision")),
    "epoch.rotated": ("limen/rotation/1", ("epochs", "emergency", "decision")),
    "erasure.ordered": ("limen/retention/erase/1", ("class", "first", "last", "authority", "decision", "ground")),
}
"""What two persons sign about payloads, and which of the entry's fields with it."""

NOTE_MAX = 1 << 17
LINES_MAX = 64
CARD_MAX = 1 << 20
LEAF_MAX = (1 << 16) - 1
RECORD_MAX = 32 << 20
FILE_MAX = 1 << 30
"""Longest file read, bytes. Whoever made the folder may mean ill; nothing in it is larger."""
DEPTH_MAX = 16
CBOR_MAX = 1 << 20
BUNDLE_MAX = 16 << 20
PROOF_MAX = 256 << 10
PATH_MAX = 63
PROOF_FORM = "c2sp.org/tlog-proof@v1"
WIDTH = 256


class Refused(Exception):
    """Bytes of the wrong shape."""


class Bad(Exception):
    """A signature does not hold."""


# -- Ed25519 (RFC 8032 section 5.1), verification alone ----------------------------------------------------------------
# Nothing here is secret, so nothing takes care of constant time.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]  # X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z

NEUTRAL: Point = (0, 1, 1, 0)


def add(a: Point, b: Point) -> Point:
    """The sum of two points (section 5.1.4)."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    x, u, v, y = f - e, h - g, h + g, f + e
    return x * u % P, v * y % P, u * v % P, x * y % P


def double(a: Point) -> Point:
    """A point twice (section 5.1.4)."""
    xx, yy = a[0] * a[0] % P, a[1] * a[1] % P
    h = xx + yy
    e = h - (a[0] + a[1]) ** 2 % P
    g = xx - yy
    f = (2 * a[2] * a[2] + g) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def negative(a: Point) -> Point:
    """The same point on the other side."""
    return -a[0] % P, a[1], a[2], -a[3] % P


def is_neutral(a: Point) -> bool:
    """True for the neutral element."""
    return a[0] % P == 0 and (a[1] - a[2]) % P == 0


def is_small(a: Point) -> bool:
    """True for the eight points whose order divides the cofactor."""
    return is_neutral(double(double(double(a))))


@lru_cache(maxsize=4096)
def point(data: bytes) -> Point:
    """A point from its 32 bytes (section 5.1.3). Raises Bad, also for a second encoding of the same point."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        raise Bad("a point is not in its one form")
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (v * x * x - u) % P:
        raise Bad("not a point of the curve")
    if x == 0 and sign:
        raise Bad("a point is not in its one form")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


@lru_cache(maxsize=4096)
def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Return if `signature` is `public`'s over these bytes (section 5.1.7). Raises Bad.

    Strict as libsodium is: S below the group's order, both points in their one form and neither of small order, and the
    equation without the cofactor, [S]B = R + [k]A.
    """
    if len(public) != 32 or len(signature) != 64:
        raise Bad("a key has 32 bytes and a signature 64")
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        raise Bad("S is not reduced")
    key, start = point(public), point(signature[:32])
    if is_small(key) or is_small(start):
        raise Bad("a point of small order")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    # [S]B - [k]A in one pass over the bits of both (Straus).
    minus = negative(key)
    table = (NEUTRAL, BASE, minus, add(BASE, minus))
    sum_ = NEUTRAL
    for bit in range(max(s.bit_length(), k.bit_length()) - 1, -1, -1):
        sum_ = double(sum_)
        which = (s >> bit & 1) | (k >> bit & 1) << 1
        if which:
            sum_ = add(sum_, table[which])
    if not is_neutral(add(sum_, negative(start))):
        raise Bad("the signature does not hold")


# -- Canonical CBOR (RFC 8949 section 4.2.1) ---------------------------------------------------------------------------


def cbor(data: bytes, limit: int = CBOR_MAX) -> Any:
    """The value, where `data` is its one canonical encoding. Raises Refused.

    Integers of 64 bits and a sign, bytes, text, arrays, maps with text or integer keys, false, true, null; at most 16
    arrays and maps deep.
    """
    if len(data) > limit:
        raise Refused("too long")
    try:
        value, end = _item(data, 0, DEPTH_MAX)
    except (IndexError, UnicodeDecodeError):
        raise Refused("not canonical CBOR") from None
    if end != len(data):
        raise Refused("not canonical CBOR")
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    head = data[at]
    major, number = head >> 5, head & 31
    at += 1
    if number >= 24:
        if major == 7 or number > 27:
            raise Refused("not canonical CBOR")
        size = 1 << (number - 24)
        if at + size > len(data):
            raise Refused("not canonical CBOR")
        least = 24 if size == 1 else 1 << (4 * size)
        number = int.from_bytes(data[at : at + size], "big")
        at += size
        if number < least:
            raise Refused("not canonical CBOR")
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    if major in (2, 3):
        end = at + number
        if end > len(data):
            raise Refused("not canonical CBOR")
        return (data[at:end] if major == 2 else data[at:end].decode("utf-8")), end
    if major == 4:
        if not depth:
            raise Refused("nested too deeply")
        items = []
        for _ in range(number):
            value, at = _item(data, at, depth - 1)
            items.append(value)
        return items, at
    if major == 5:
        if not depth:
            raise Refused("nested too deeply")
        table = {}
        last = b""
        for _ in range(number):
            start = at
            key, at = _item(data, at, depth - 1)
            encoded = data[start:at]
            if encoded[0] >> 5 not in (0, 1, 3) or encoded <= last:
                raise Refused("not canonical CBOR")
            last = encoded
            table[key], at = _item(data, at, depth - 1)
        return table, at
    if major == 7 and 20 <= number <= 22:
        return (False, True, None)[number - 20], at
    raise Refused("not canonical CBOR")


# -- Notes, keys and the trust card (C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy) -----------------


def unbase64(text: str) -> bytes:
    """The bytes of the one base64 text there is for them. Raises Refused."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise Refused("not base64") from None
    if base64.b64encode(raw).decode("ascii") != text:
        raise Refused("not the canonical base64")
    return raw


class Key(NamedTuple):
    """A key that signs notes: `kind` 1 is a log's, 4 a witness's."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """4 bytes that, with the name, tell which key made a line."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes((self.kind,)) + self.public).digest()[:4]


def key(vkey: str, kind: int) -> Key:
    """Read `name+hex id+base64(kind, public key)`. Raises Refused."""
    parts = vkey.split("+", 2)
    if len(parts) != 3:
        raise Refused("a verifier key is name+id+key")
    raw = unbase64(parts[2])
    if not _is_name(parts[0]) or len(raw) != 33 or raw[0] != kind:
        raise Refused("not a key of this kind")
    made = Key(parts[0], kind, raw[1:])
    if parts[1] != made.id.hex():
        raise Refused("the key id is not this key's")
    return made


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(char.isspace() or char < " " for char in name)


class Head(NamedTuple):
    """What a checkpoint says."""

    origin: str
    size: int
    root: bytes


class Note(NamedTuple):
    """A signed note taken apart. `lines` are (name, key id, the rest)."""

    text: bytes
    head: Head
    lines: list[tuple[str, bytes, bytes]]

    def signed(self, by: Key) -> int | None:
        """The time of the key's line, 0 for a log's; None where it has no line. Raises Bad where the line is bad."""
        for name, id_, raw in self.lines:
            if name != by.name or id_ != by.id:
                continue
            if by.kind == 1:
                verify(by.public, self.text, raw)
                return 0
            when = int.from_bytes(raw[:8], "big")
            if when >= 1 << 63:
                raise Bad("the time is out of range")
            verify(by.public, b"cosignature/v1\ntime %d\n" % when + self.text, raw[8:])
            return when
        return None


def note(data: bytes) -> Note:
    """Read a signed checkpoint, strictly. Raises Refused."""
    if len(data) > NOTE_MAX:
        raise Refused("a note is too long")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("a note is not UTF-8") from None
    if any(char < " " and char != "\n" for char in whole):
        raise Refused("a control character in a note")
    cut = whole.rfind("\n\n")
    if cut < 0 or not whole[cut + 2 :].endswith("\n"):
        raise Refused("a note without signature lines")
    text, rows = whole[: cut + 1], whole[cut + 2 : -1].split("\n")
    if len(rows) > LINES_MAX:
        raise Refused("a note with too many signatures")
    lines = []
    for row in rows:
        dash, _, rest = row.partition(" ")
        name, space, encoded = rest.partition(" ")
        raw = unbase64(encoded)
        if dash != "\u2014" or not space or not _is_name(name) or len(raw) < 5:
            raise Refused("not a signature line")
        lines.append((name, raw[:4], raw[4:]))
    parts = text.split("\n")
    if len(parts) != 4 or not parts[0] or parts[3] or not re.match(r"(0|[1-9][0-9]{0,18})\Z", parts[1], re.ASCII):
        raise Refused("a checkpoint has three lines: origin, size and root")
    root = unbase64(parts[2])
    if len(root) != 32:
        raise Refused("a root has 32 bytes")
    return Note(text.encode(), Head(parts[0], int(parts[1]), root), lines)


class Card:
    """The trust card: whose logs are believed, which witnesses are enough, what was seen before, and whose signature
    counts."""

    def __init__(self, data: bytes) -> None:
        """Raises Refused with the line that is wrong."""
        self.logs: dict[str, Key] = {}
        self.witnesses: dict[str, Key] = {}
        self.groups: dict[str, tuple[int, list[str]]] = {}
        self.seen: list[Head] = []
        self.persons: set[bytes] = set()
        self.quorum = ""
        if len(data) > CARD_MAX:
            raise Refused("a trust card has at most 1 MiB")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("not a trust card") from None
        publics: set[tuple[int, bytes]] = set()
        members: set[str] = set()
        for number, line in enumerate(text.split("\n"), 1):
            words = [word for word in line.replace("\t", " ").split(" ") if word]
            if words and not words[0].startswith("#"):
                try:
                    self._line(words, publics, members)
                except Refused as why:
                    raise Refused(f"line {number}: {why}") from None
        if not self.quorum:
            raise Refused("the quorum line is missing; `quorum none` says that no witness is needed")

    def _line(self, words: list[str], publics: set[tuple[int, bytes]], members: set[str]) -> None:
        word, count = words[0], len(words)
        if word == "log" and count in (2, 3):
            log = self._key(words[1], 1, publics)
            self.logs.setdefault(log.name, log)
        elif word == "witness" and count in (3, 4):
            self._fresh(words[1])
            self.witnesses[words[1]] = self._key(words[2], 4, publics)
        elif word == "group" and count >= 4:
            self._fresh(words[1])
            names = words[3:]
            for name in names:
                if (name not in self.witnesses and name not in self.groups) or name in members:
                    raise Refused("a member of a group is defined above, and in one group once")
                members.add(name)
            how = {"all": str(len(names)), "any": "1"}.get(words[2], words[2])
            if not re.match(r"[0-9]{1,9}\Z", how, re.ASCII) or not 1 <= int(how) <= len(names):
                raise Refused("a group has all, any or a number up to the count of its members")
            self.groups[words[1]] = (int(how), names)
        elif word == "quorum" and count == 2 and not self.quorum:
            if words[1] != "none" and words[1] not in self.witnesses and words[1] not in self.groups:
                raise Refused("the quorum's name is not defined above")
            self.quorum = words[1]
        elif word == "seen" and count == 4 and re.match(r"[0-9]{1,19}\Z", words[2], re.ASCII):
            root = unbase64(words[3])
            if len(root) != 32:
                raise Refused("a root has 32 bytes")
            self.seen.append(Head(words[1], int(words[2]), root))
        elif word == "person" and count in (2, 3) and re.match(r"[0-9a-f]{64}\Z", words[1]):
            self.persons.add(bytes.fromhex(words[1]))
        else:
            raise Refused("not a line of a trust card")

    def _fresh(self, name: str) -> None:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise Refused("the name is taken")

    @staticmethod
    def _key(vkey: str, kind: int, publics: set[tuple[int, bytes]]) -> Key:
        made = key(vkey, kind)
        if (kind, made.public) in publics:
            raise Refused("the same key twice")
        publics.add((kind, made.public))
        return made

    def enough(self, names: set[str]) -> bool:
        """True when the witnesses of these names are a quorum."""
        held = set(names)
        for name, (needed, members) in self.groups.items():  # members are defined before their group
            if sum(member in held for member in members) >= needed:
                held.add(name)
        return self.quorum == "none" or self.quorum in held


# -- The folder --------------------------------------------------------------------------------------------------------


class Export:
    """The files of an export."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None where there is no plain file of that name."""
        path = os.path.join(self.path, *name.split("/"))
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):
                return None
            if found.st_size > FILE_MAX:
                raise Refused(f"{name} is too long")
            with open(path, "rb") as file:
                return file.read(FILE_MAX)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def tile(self, name: str, width: int) -> bytes | None:
        """The tile of this width; else one of any other, which helps to find the place of a fault."""
        for other in (width, *range(WIDTH, 0, -1)):
            data = self.read(name if other == WIDTH else f"{name}.p/{other}")
            if data is not None:
                return data
        return None


def numbered(number: int) -> str:
    """A tile's number in its path: groups of three digits, an x before all but the last."""
    groups: list[str] = []
    while True:
        groups.insert(0, f"{number % 1000:03d}")
        number //= 1000
        if not number:
            return "/".join(["x" + group for group in groups[:-1]] + groups[-1:])


def entries_of(data: bytes) -> tuple[list[bytes], bool]:
    """The leaves of a bundle, as many as can be read up to 256, and whether that was all of it."""
    leaves: list[bytes] = []
    at = 0
    while at < len(data) and len(leaves) < WIDTH:
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            return leaves, False
        leaves.append(data[at + 2 : end])
        at = end
    return leaves, at == len(data)


def records(data: bytes) -> Iterator[bytes]:
    """The records of a file, each behind its length in four bytes. Raises Refused where the bytes end within one."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 4 + size > len(data) or size > RECORD_MAX:
            raise Refused("the bytes end within a record")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


# -- Leaves ------------------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """The fields of one kind and phase."""

    public: frozenset[str]
    allowed: frozenset[str]
    sealed: frozenset[str]


def kinds() -> dict[tuple[str, str], Kind]:
    """The catalogue, by name and phase."""
    table = {}
    for row in re.sub(r"\n +", " ", CATALOGUE).strip().splitlines():
        title, *cells = (cell.split() for cell in row.split("|"))
        public, optional, sealed = (frozenset(cell) - {"-"} for cell in cells)
        table[(title[0], title[1])] = Kind(public, public | optional, sealed)
    return table


KINDS = kinds()
PAIRED = frozenset(name for name, phase in KINDS if phase == "intent")
LEAF_KEYS = frozenset(
    ["schema", "seq", "time_ns", "kind", "phase", "peer", "pair_seq", "public", "commitments", "sealed", "retention"]
)
FORMS = {"limen.leaf/1": LEAF_KEYS, "limen.leaf/2": LEAF_KEYS | {"pair_hash"}}
PLAIN = frozenset((str, int, bool, bytes))
ABOUT = ("purpose", "basis", "list", "class", "request_hash", "leg", "batch", "query_digest", "snapshot")
"""Fields in which an outcome is its intent's."""
GROUNDS = frozenset(
    ["check.answer", "policy.activated", "case.act", "case.taken", "case.sent",
     "release.charged", "release.made", "release.sent"]
)  # fmt: skip
"""Kinds on which a disclosure or a release rests, and those two."""


def leaf(data: bytes) -> dict[str, Any]:
    """Read a leaf, strictly. Raises Refused."""
    value: dict[str, Any] = cbor(data, LEAF_MAX)
    schema = value.get("schema") if type(value) is dict else None
    if type(schema) is not str or value.keys() != FORMS.get(schema):
        raise Refused("not a leaf of a known form")
    for name in ("seq", "time_ns", "pair_seq"):
        if type(value[name]) is not int or value[name] < 0:
            raise Refused(f"{name} is not a number of at least 0")
    for name in ("kind", "phase", "peer", "retention"):
        if type(value[name]) is not str:
            raise Refused(f"{name} is not text")
    kind = KINDS.get((value["kind"], value["phase"]))
    if kind is None:
        raise Refused(f"its kind is not in the catalogue of limen-verify {VERSION}")
    if value["retention"] not in TERMS_NS:
        raise Refused("no such retention class")
    public, commitments, sealed = value["public"], value["commitments"], value["sealed"]
    if type(public) is not dict or not kind.public <= public.keys() or not kind.allowed >= public.keys():
        raise Refused("the public fields are not the kind's")
    if not PLAIN.issuperset(map(type, public.values())):
        raise Refused("a public field is not text, number, truth or bytes")
    if type(commitments) is not dict or commitments.keys() != kind.sealed:
        raise Refused("the commitments are not the kind's")
    if any(type(one) is not bytes or len(one) != 32 for one in commitments.values()):
        raise Refused("a commitment has 32 bytes")
    if type(sealed) is not bytes or len(sealed) != (32 if kind.sealed else 0):
        raise Refused("not a payload's digest")
    if bool(value["peer"]) != bool(value["pair_seq"]):
        raise Refused("a pair number belongs to a peer")
    before = value.setdefault("pair_hash", b"")
    if schema == "limen.leaf/2" and (type(before) is not bytes or len(before) != (32 if value["peer"] else 0)):
        raise Refused("pair_hash is not the hash of an entry")
    return value


# -- The verification --------------------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """What is wrong; `position` is the entry, `exact` says that it is the one, not only the first it may be."""

    why: str
    position: int | None
    exact: bool

    @property
    def rank(self) -> tuple[bool, float]:
        """Exact places before rough ones, the front before the back, no place last."""
        return not self.exact, float("inf") if self.position is None else self.position


class Audit:
    """One verification. Steps are taken by `run`; `faults` holds the best-placed fault of each step."""

    steps: tuple[str, ...] = STEPS

    def __init__(
        self, export: Export, card: Card, witnessed: list[bytes], progress: Callable[[int, int], None]
    ) -> None:
        self.export, self.card, self.witnessed, self.progress = export, card, witnessed, progress
        self.faults: dict[str, Fault] = {}
        self.head = Head("?", 0, hashlib.sha256(b"").digest())
        self.cosigned: list[tuple[str, int]] = []
        self.heads: list[tuple[Head, str]] = []
        self.roots: dict[int, bytes] = {}
        self.peaks: list[tuple[int, bytes]] = []  # complete subtrees, (height, hash), the largest first
        self.size = 0
        self.rows: dict[int, list[bytes]] = {}  # hashes of the tile levels above 0
        self.last_ns = 0
        self.pairs: dict[str, tuple[int, bytes, int]] = {}  # of each pair's last entry: number, hash, place
        self.chained = False  # whether a leaf of the form with pair_hash has come; all after it are
        self.intents: dict[int, tuple[str, str, list[Any]]] = {}
        self.missing: list[tuple[int, str, int]] = []  # (entry, class, time) of payloads that are not there
        # What entries say is gone, by class and period (-1: by order, any period): first, last, time, day, held ranges
        self.gone: dict[tuple[str, int], list[tuple[int, int, int, str, list[tuple[int, int]]]]] = {}
        self.holds: dict[bytes, tuple[int, int]] = {}
        self.cosigned_until: dict[int, int] = {}  # the latest time at which a witness of the card cosigned a size, s
        self.stepped = self.restored = -1  # the newest entry of a clock's step, of a restoration
        self.erased: dict[tuple[str, str], list[int]] = {}  # (day, class): first, last, count of lawful erasures
        self.manifests: set[tuple[str, bytes]] = set()
        self.enrolled: set[bytes] = set()
        self.retired: set[bytes] = set()
        self.with_payloads = True
        self.told: bytes | None = None  # how many receipts the export says it has
        self.answers: set[tuple[str, Any]] = set()  # (peer, request hash) of what was answered
        self.names_answers = False
        self.cases: dict[tuple[str, Any], tuple[Any, bool]] = {}  # opened: purpose, is the answer named
        self.entered: dict[tuple[str, Any], set[Any]] = {}  # statements of the acts in a case
        self.rules: dict[Any, Any] = {}  # the digest in force of each layer
        self.costs: dict[tuple[Any, Any], tuple[Any, Any]] = {}  # (query, snapshot): data set and cost charged
        self.made: set[tuple[Any, Any]] = set()
        self.given: dict[tuple[Any, Any, str], Any] = {}
        self.grounded = self.older = self.deliveries = 0
        self.outcomes = self.payloads = self.lost = self.unsaid = self.receipts = self.signatures = self.disclosures = 0

    def fault(self, step: str, why: str, position: int | None = None, exact: bool = True) -> None:
        """Keep the best-placed fault of a step."""
        new = Fault(why, position, exact and position is not None)
        held = self.faults.get(step)
        if held is None or new.rank < held.rank:
            self.faults[step] = new

    def run(self) -> None:
        """Take every step. Raises Refused where the folder is not an export at all."""
        self.checkpoint()  # 1, 2
        self.known()  # 9: which heads
        self.walk()  # 3 to 7, 11 to 13
        self.compare()  # 3, 9: the recomputed roots against them
        self.messages()  # 8

    # 1, 2

    def checkpoint(self) -> None:
        """Who signed the checkpoint, and who cosigned it."""
        form = re.match(rb"limen\.export/1\n" + HOLDS, self.export.read("format") or b"")
        if form is None:
            raise Refused("format: not a folder of the form limen.export/1")
        self.with_payloads, self.told = form[1] is None, form[2]
        data = self.export.read("checkpoint")
        if data is None:
            raise Refused("there is no checkpoint")
        self.judge(data)

    def judge(self, data: bytes) -> None:
        """The signatures on the checkpoint. Raises Refused where it cannot be read."""
        noted = note(data)
        self.head = noted.head
        if self.head.origin not in self.card.logs:
            self.fault("signature", f"the trust card names no log {self.head.origin}")
        elif not self.signed(noted):
            self.fault("signature", "the log's key on the trust card has not signed this checkpoint")
        for name, witness in self.card.witnesses.items():
            try:
                when = noted.signed(witness)
            except Bad:
                self.fault("quorum", f"the cosignature of {name} does not hold")
                continue
            if when is not None:
                self.cosigned.append((name, when))
                self.cosigned_until[self.head.size] = max(when, self.cosigned_until.get(self.head.size, 0))
        if not self.card.enough({name for name, _ in self.cosigned}):
            by = ", ".join(name for name, _ in self.cosigned) or "nobody"
            self.fault("quorum", f"cosigned by {by}; the trust card asks for {self.card.quorum}")

    def signed(self, noted: Note) -> bool:
        """Whether the log of the card has signed this note."""
        log = self.card.logs.get(self.head.origin)
        try:
            return log is not None and noted.signed(log) is not None
        except Bad:
            return False

    # 9, first half

    def known(self) -> None:
        """Gather every head that this log is bound to."""
        self.heads = [(head, "the trust card") for head in self.card.seen if head.origin == self.head.origin]
        held = [(data, "a witness") for data in self.witnessed]
        try:
            held += [(data, "the log's own history") for data in records(self.export.read("history") or b"")]
        except Refused as why:
            self.fault("history", f"the history cannot be read: {why}")
        for data, where in held:
            try:
                noted = note(data)
            except Refused as why:
                self.fault("history", f"a note from {where} cannot be read: {why}")
                continue
            if noted.head.origin != self.head.origin:
                continue
            if not self.signed(noted):
                self.fault("history", f"a note of {noted.head.size} entries from {where} is not signed by the log")
                continue
            times: list[int] = []
            for name, witness in self.card.witnesses.items():
                try:
                    when = noted.signed(witness)
                    times += [] if when is None else [when]
                except Bad:
                    times = []
                    said = f"a note of {noted.head.size} entries from {where}: the cosignature of {name} does not hold"
                    self.fault("history", said)
            self.cosigned_until[noted.head.size] = max([*times, self.cosigned_until.get(noted.head.size, 0)])
            self.heads.append((noted.head, where))
        self.heads.append((self.head, ""))
        self.heads.sort(key=lambda one: one[0].size)

    # 3

    def walk(self) -> None:
        """One pass over all entries; the tree grows beside it."""
        marks = {head.size for head, _ in self.heads}
        if 0 in marks:
            self.roots[0] = hashlib.sha256(b"").digest()
        for number in range(-(-self.head.size // WIDTH)):
            start = number * WIDTH
            width = min(WIDTH, self.head.size - start)
            leaves = self.bundle(number, start, width)
            hashes = [hashlib.sha256(b"\x00" + data).digest() for data in leaves]
            self.tile(number, start, width, hashes)
            payloads = self.payload_file(number, start)
            for seq, (data, hash_) in enumerate(zip(leaves[:width], hashes), start):
                self.grow(hash_)
                if self.size in marks:
                    self.roots[self.size] = self.root()
                self.entry(seq, data, hash_, payloads.pop(seq, None))
            for seq in payloads:
                self.fault("payloads", "a payload for an entry that has none", seq)
            self.progress(start + len(leaves), self.head.size)
            if len(leaves) < width:
                break
        self.upper_tiles()
        self.judge_missing()

    def judge_missing(self) -> None:
        """A payload that is not there was erased lawfully, or it is a fault."""
        if self.with_payloads:
            for seq, retention, time_ns in self.missing:
                self.not_there(seq, retention, time_ns)

    def bundle(self, number: int, start: int, width: int) -> list[bytes]:
        """The leaves of one bundle, or as many as can be read."""
        data = self.export.tile("tile/entries/" + numbered(number), width)
        if data is None:
            self.fault("root", f"the entries from {start} on are not there", start, exact=False)
            return []
        leaves, whole = entries_of(data)
        if not whole:
            self.fault("root", "the entries cannot be read on from here", start + len(leaves))
        if len(leaves) < width:
            said = f"{len(leaves)} of {width} entries are in this bundle"
            self.fault("root", said, start + len(leaves), exact=False)
        return leaves

    def tile(self, number: int, start: int, width: int, hashes: list[bytes]) -> None:
        """The hashes of one bundle's leaves are those of its tile, no more and no fewer."""
        data = self.export.tile("tile/0/" + numbered(number), width)
        if data is None:
            self.fault("root", f"tile 0/{number} is not there", start, exact=False)
            return
        told = [data[at : at + 32] for at in range(0, len(data), 32)]
        for offset in range(width):
            if offset >= len(hashes) or offset >= len(told) or len(told[offset]) < 32:
                self.fault("root", "entries and tree end at different places", start + offset, exact=False)
                return
            if hashes[offset] != told[offset]:
                self.fault("root", "the entry does not hash to what the tree has here", start + offset)
                return
        if len(hashes) > width or len(told) > width:
            self.fault("root", "there is more than the checkpoint's size", start + width, exact=False)

    def grow(self, hash_: bytes) -> None:
        """Add a leaf's hash to the tree (RFC 6962 section 2.1)."""
        height = 0
        while self.peaks and self.peaks[-1][0] == height:
            hash_ = hashlib.sha256(b"\x01" + self.peaks.pop()[1] + hash_).digest()
            height += 1
            if height % 8 == 0:
                self.rows.setdefault(height // 8, []).append(hash_)
        self.peaks.append((height, hash_))
        self.size += 1

    def root(self) -> bytes:
        """The root of all leaves so far."""
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        hash_ = self.peaks[-1][1]
        for _, left in reversed(self.peaks[:-1]):
            hash_ = hashlib.sha256(b"\x01" + left + hash_).digest()
        return hash_

    def upper_tiles(self) -> None:
        """The tiles above the lowest are those that the leaves make. With leaves at fault they tell nothing new."""
        for level, row in sorted(self.rows.items()):
            for start in range(0, len(row), WIDTH):
                part = row[start : start + WIDTH]
                if "root" in self.faults:
                    return
                name = f"tile/{level}/{numbered(start // WIDTH)}"
                if self.export.read(name if len(part) == WIDTH else f"{name}.p/{len(part)}") != b"".join(part):
                    said = f"tile {level}/{start // WIDTH} is not the one its leaves make"
                    self.fault("root", said, start << 8 * level, exact=False)

    # 4, 5, 6, 7, 11, 12, 13

    def entry(self, seq: int, data: bytes, hash_: bytes, payload: bytes | None) -> None:
        """One leaf, against everything before it."""
        try:
            value = leaf(data)
        except Refused as why:
            self.fault("sequence", f"the leaf cannot be read: {why}", seq)
            return
        if value["seq"] != seq:
            self.fault("sequence", f"the leaf says it is number {value['seq']}", seq)
        peer = value["peer"]
        if value["schema"] == "limen.leaf/2":
            self.chained = True
        elif self.chained:
            self.fault("sequence", "a leaf of the form before, after one of the newer form", seq)
        if peer:
            last, before, at = self.pairs.get(peer, (0, bytes(32), seq))
            if value["pair_seq"] != last + 1:
                said = f"number {value['pair_seq']} with {peer} where {last + 1} is due"
                self.fault("sequence", said, seq)
            elif value["pair_hash"] not in (before, b""):
                self.fault("sequence", f"the next entry with {peer} names another one before it", at)
            self.pairs[peer] = (value["pair_seq"], hash_, seq)
        if value["time_ns"] < self.last_ns:
            self.fault("time", "the time goes back", seq)
        self.last_ns = max(self.last_ns, value["time_ns"])
        public = value["public"]
        if value["kind"] in PAIRED:
            self.pair(seq, value["kind"], value["phase"], peer, public)
        signed = self.persons(seq, value["kind"], peer, public)
        if value["kind"] in GROUNDS:
            self.ground(seq, value["kind"], value["phase"], peer, public)
        if signed or value["kind"] not in RETENTION_ACTS:
            self.erasure(seq, value["kind"], value["time_ns"], public)
        manifest = public.get("manifest_hash")
        if type(manifest) is bytes:
            self.manifests.add((peer, manifest))
        self.payload(seq, value, payload)

    def pair(self, seq: int, kind: str, phase: str, peer: str, public: dict[str, Any]) -> None:
        """An intent stays open until its one outcome."""
        about = [public.get(name) for name in ABOUT]
        if phase == "intent":
            self.intents[seq] = (kind, peer, about)
            return
        self.outcomes += 1
        named = public.get("intent_seq")
        opened = self.intents.pop(named, None) if type(named) is int else None
        if opened is None:
            self.fault("pairs", "the outcome names no open intent before it", seq)
        elif opened != (kind, peer, about):
            self.fault("pairs", f"the outcome is about another thing than its intent {named}", seq)

    def payload_file(self, number: int, start: int) -> dict[int, bytes]:
        """The payloads of one bundle's entries, by number; their numbers go up."""
        return self.kept("payloads/" + numbered(number), start)

    def kept(self, name: str, start: int) -> dict[int, bytes]:
        """The payloads in a file, by their entries' numbers, which go up."""
        data = self.export.read(name) if self.with_payloads else None
        kept: dict[int, bytes] = {}
        last = -1
        try:
            for record in records(data or b""):
                seq = int.from_bytes(record[:8], "big")
                if len(record) < 8 or seq <= last:
                    raise Refused("the payloads are not in the order of their numbers")
                kept[seq] = record[8:]
                last = seq
        except Refused as why:
            self.fault("payloads", str(why), start)
            return {}
        return kept

    def payload(self, seq: int, value: dict[str, Any], payload: bytes | None) -> None:
        """A payload is the one whose digest the leaf has, or it is gone."""
        if not value["sealed"]:
            if payload is not None:
                self.fault("payloads", "a payload for an entry that has none", seq)
        elif payload is None:
            self.missing.append((seq, value["retention"], value["time_ns"]))
        elif hashlib.sha256(payload).digest() != value["sealed"]:
            self.payloads += 1
            self.fault("payloads", "the payload is not the one that was logged", seq)
        else:
            self.payloads += 1

    def erasure(self, seq: int, kind: str, time_ns: int, public: dict[str, Any]) -> None:
        """What an entry says is gone counts only where it could go."""
        if kind == "clock.step":
            self.stepped = seq
        elif kind == "node.restored":
            self.restored = seq
        elif kind == "hold.set" and [type(public[name]) for name in ("hold_id", "first", "last")] == [bytes, int, int]:
            self.holds[public["hold_id"]] = (public["first"], public["last"])
        elif kind == "hold.lifted" and type(public["hold_id"]) is bytes:
            self.holds.pop(public["hold_id"], None)
        if kind not in ("payloads.erased", "payloads.lost", "erasure.ordered"):
            return
        destroyed = kind != "payloads.lost"
        retention, numbers = public["class"], [public.get("period", -1), public["first"], public["last"]]
        until, size = public.get("until_ns", 0), public.get("checkpoint", 0)
        if retention not in TERMS_NS or [type(one) for one in (*numbers, until)] != [int] * 4:
            self.fault("payloads", "an erasure that names no class, period and entries", seq)
            return
        period, first, last = numbers
        if not 0 <= first <= last < seq:
            self.fault("payloads", "an erasure of entries that were not before it", seq)
        elif not destroyed and last >= self.restored:
            self.fault("payloads", "payloads are said to be lost, and the node was not restored after them", seq)
        elif destroyed and until > time_ns:
            self.fault("payloads", "payloads were destroyed by a time that had not come", seq)
        elif destroyed and (type(size) is not int or not self.stepped < size <= seq):
            self.fault("payloads", "payloads were destroyed after a step of the clock that no witness had seen", seq)
        elif kind == "payloads.erased" and self.card.witnesses and self.cosigned_until.get(size, 0) * 10**9 < until:
            said = "payloads were destroyed, and no witness of the card had cosigned that their time had come"
            self.fault("payloads", said, seq)
        else:
            day = time.strftime("%Y-%m-%d", time.gmtime(time_ns // 10**9))
            self.gone.setdefault((retention, period), []).append((first, last, until, day, list(self.holds.values())))

    def not_there(self, seq: int, retention: str, time_ns: int) -> None:
        """A payload that is not there: erased when its term was over, lost with a disk, or destroyed."""
        said, lost = "", False
        period = time_ns - time_ns % PERIODS_NS[retention]
        by_term = [(*one, TERMS_NS[retention]) for one in self.gone.get((retention, period), [])]
        least = min(TERMS_NS[retention], 365 * DAY_NS)
        by_order = [(*one, least) for one in self.gone.get((retention, -1), [])]
        for first, last, until, day, held, wait in by_term + by_order:
            if not first <= seq <= last:
                continue
            if until and any(low <= seq <= high for low, high in held):
                said = said or f"the payload was destroyed on {day}, while it was held"
            elif until >= time_ns + wait:
                row = self.erased.setdefault((day, retention), [seq, seq, 0])
                row[:] = min(row[0], seq), max(row[1], seq), row[2] + 1
                return
            elif until:
                said = said or f"the payload was destroyed on {day}, before class {retention} allows"
            else:
                lost = True
        if lost:
            self.lost += 1
        else:
            self.fault("payloads", said or "the payload is missing, and no entry says that it was erased", seq)

    # 11

    def persons(self, seq: int, kind: str, peer: str, public: dict[str, Any]) -> bool:
        """Who may sign, and who signed what. False where it does not hold."""
        thumbprint = public.get("key_thumbprint")
        if kind == "officer.enrolled" and type(thumbprint) is bytes:
            self.enrolled.add(thumbprint)
        elif kind == "officer.retired" and type(thumbprint) is bytes:
            self.retired.add(thumbprint)
        try:
            if kind == "case.act":
                self.act(public)
            elif kind == "case.sent":
                self.sent(peer, public)
            elif kind == "audit.revealed":
                self.revealed(public)
            elif kind == "log.begun":
                self.begun(seq, public)
            elif kind in RETENTION_ACTS:
                self.retained(kind, public)
            elif kind == "policy.activated" and "persons" in public:
                self.activated(public)
        except Bad as why:
            self.fault("persons", str(why), seq)
            return False
        except (Refused, TypeError, ValueError, KeyError):
            self.fault("persons", "what persons signed cannot be read", seq)
            return False
        return True

    def act(self, public: dict[str, Any]) -> None:
        """A person's act in a case, or one of the gateway's own, which nobody signed."""
        if not public["statement"]:
            return
        if thumb(public["signer"]) in self.retired:
            raise Bad("signed with a key that was retired before")
        said = self.person(public["signer"], public["statement"], public["signature"])
        if (said["act"], said["case"]) != ("limen/case/{}/1".format(public["act"]), public["case_id"]):
            raise Bad("the signature is on another act or case than the entry's")

    def sent(self, peer: str, public: dict[str, Any]) -> None:
        """A message of a case with the persons' signatures it rests on; a disclosure rests on two."""
        signers: dict[str, bytes] = {}
        for act, public_key, statement, signature in cbor(some_bytes(public["persons"])):
            said = self.person(public_key, statement, signature)
            if (said["act"], said["case"], said["peer"]) != (act, public["case_id"], peer):
                raise Bad("a signature is on another act, case or peer than the entry's")
            signers[act] = public_key
            if act in ("limen/case/prepare/1", "limen/case/approve/1"):
                over = (",".join(said["fields"]), said["recipient"], said["record_version"])
                if over != (public["fields"], public["recipient"], public["record_version"]):
                    raise Bad("a signature is on other fields, another recipient or another version of the record")
        if is_disclosure(public):
            both = {"limen/case/prepare/1", "limen/case/approve/1"}
            if signers.keys() != both or len(set(signers.values())) != 2:
                raise Bad("a disclosure without the signatures of two distinct persons")
            self.disclosures += 1

    def revealed(self, public: dict[str, Any]) -> None:
        """What was sealed of an entry was given to an auditor: two persons signed for that entry."""
        signers = set()
        for act, public_key, statement, signature in cbor(some_bytes(public["persons"])):
            said = self.person(public_key, statement, signature)
            facts = (said["act"], said["entry"], said["purpose"])
            if act != "limen/reveal/1" or facts != ("limen/reveal/1", public["entry"], public["purpose"]):
                raise Bad("a signature is on another act, entry or purpose than the entry's")
            signers.add(some_bytes(public_key))
        if len(signers) != 2:
            raise Bad("what was sealed was given without the signatures of two distinct persons")

    def retained(self, kind: str, public: dict[str, Any]) -> None:
        """Payloads were held or destroyed, or keys changed, by order: two persons signed for what the entry says."""
        wanted, names = RETENTION_ACTS[kind]
        signers = set()
        for act, public_key, statement, signature in cbor(some_bytes(public["persons"])):
            said = self.person(public_key, statement, signature)
            same = all(type(said[name]) is type(public[name]) and said[name] == public[name] for name in names)
            if not same or act != wanted or said["act"] != wanted:
                raise Bad("a signature is on another act or other facts than the entry's")
            signers.add(some_bytes(public_key))
        if len(signers) != 2:
            raise Bad("an act of two persons without the signatures of two distinct ones")

    def activated(self, public: dict[str, Any]) -> None:
        """Rules were put in force: two persons signed for the bundle and for the report of what it changes."""
        signers = set()
        for act, public_key, statement, signature in cbor(some_bytes(public["persons"])):
            said = self.person(public_key, statement, signature)
            names = ("layer", "digest", "sequence", "impact")
            same = all(type(said[name]) is type(public[name]) and said[name] == public[name] for name in names)
            if not same or {act, said["act"]} != {"limen/activation/1"}:
                raise Bad("a signature is on another act, other rules or another report than the entry's")
            signers.add(some_bytes(public_key))
        if len(signers) != 2:
            raise Bad("rules were put in force without the signatures of two distinct persons")

    def begun(self, seq: int, public: dict[str, Any]) -> None:
        """A log that follows another begins with two persons' word; nobody is enrolled in it yet."""
        if seq:
            raise Bad("a log begins with the entry that says so, and nowhere else")
        signers = set()
        for act, public_key, statement, signature in cbor(some_bytes(public["persons"])):
            said = self.person(public_key, statement, signature, enrolled=False)
            facts = ("former", "size", "root", "held", "origin", "reason", "decision")
            if {act, said["act"]} != {"limen/recovery/1"} or any(said[name] != public[name] for name in facts):
                raise Bad("a signature is on another beginning than the entry's")
            signers.add(some_bytes(public_key))
        if len(signers) != 2:
            raise Bad("a new log without the signatures of two distinct persons")

    def person(self, public_key: bytes, statement: bytes, signature: bytes, *, enrolled: bool = True) -> dict[str, Any]:
        """What a person said, where the person counts and the signature holds. Raises Bad."""
        if enrolled and thumb(public_key) not in self.enrolled:
            raise Bad("signed with a key that nobody was enrolled with")
        if self.card.persons and thumb(public_key) not in self.card.persons:
            raise Bad("signed with a key that the log enrols and the trust card's register does not know")
        try:
            verify(public_key, b"limen/personal/1\x00" + some_bytes(statement), some_bytes(signature))
        except Bad:
            raise Bad("a person's signature does not hold") from None
        said = cbor(statement)
        if type(said) is not dict or said.get("key") != thumb(public_key):
            raise Bad("a statement names another key than the one that signed it")
        self.signatures += 1
        return said

    # 12, 13

    def ground(self, seq: int, kind: str, phase: str, peer: str, public: dict[str, Any]) -> None:
        """What a disclosure or a release needs before it, kept as it comes and asked for when it is due."""
        try:
            if kind.startswith("release."):
                self.release(kind, phase, peer, public)
            elif kind == "policy.activated":
                self.rules[public["layer"]] = public["digest"]
            elif kind == "check.answer":
                if phase == "outcome":
                    self.answers.add((peer, public["request_hash"]))
            elif kind == "case.act":
                self.entered.setdefault((peer, public["case_id"]), set()).add(public["statement"])
            elif kind == "case.taken" and (public["message"], public["side"]) == ("open", "owner"):
                self.open(peer, public)
            elif kind == "case.sent" and is_disclosure(public):
                self.disclosure(peer, public)
        except Bad as why:
            self.fault("charges" if kind.startswith("release.") else "disclosures", str(why), seq)

    def open(self, peer: str, public: dict[str, Any]) -> None:
        """A peer's hit opens a case, once; it names the batch that we answered."""
        place = (peer, public["case_id"])
        if place in self.cases:
            return
        names = "answered" in public
        self.cases[place] = (public["purpose"], names)
        if names:
            self.names_answers = True
            if (peer, public["answered"]) not in self.answers:
                raise Bad("a case was opened over a hit in a batch that was not answered before")
        elif self.names_answers:
            raise Bad("a case was opened over a hit in no answer that it names")

    def disclosure(self, peer: str, public: dict[str, Any]) -> None:
        """Before it stand its hit, its permit and the acts of both persons."""
        place = (peer, public["case_id"])
        self.grounded += 1
        if place not in self.cases:
            raise Bad("a disclosure in a case that no hit has opened")
        purpose, names = self.cases[place]
        self.older += not names
        if purpose != public["purpose"]:
            raise Bad("a disclosure for another purpose than its hit's")
        for layer in ("baseline", "national"):
            if layer not in self.rules or self.rules[layer] != public[layer]:
                raise Bad(f"a disclosure without a permit: the {layer} rules it names are not those in force here")
        entered = self.entered.get(place, set())
        try:
            signed = [one[2] in entered for one in cbor(some_bytes(public["persons"]))]
        except (Refused, TypeError, LookupError):
            raise Bad("the persons of a disclosure cannot be read") from None
        if not signed or not all(signed):
            raise Bad("a disclosure with a signature that was not entered as an act before")

    def release(self, kind: str, phase: str, peer: str, public: dict[str, Any]) -> None:
        """A release is charged once, then made, then given, to each recipient in the same bytes."""
        place = (public["query_digest"], public["snapshot"])
        if kind == "release.charged":
            if place in self.costs:
                raise Bad("a release is charged a second time")
            self.costs[place] = (public["dataset"], public["cost_micro_rho"])
        elif place not in self.costs:
            raise Bad("a release without its charge before it")
        elif kind == "release.made":
            if self.costs[place] != (public["dataset"], public["cost_micro_rho"]):
                raise Bad("a release of another data set or cost than was charged")
            if phase == "outcome":
                self.made.add(place)
        else:
            self.deliveries += 1
            if place not in self.made:
                raise Bad("a release is given that was not made before")
            if self.given.setdefault((*place, peer), public["release_hash"]) != public["release_hash"]:
                raise Bad("a release is given in other bytes than before")

    # 3 and 9, second half

    def compare(self) -> None:
        """Every known head is a root of this tree; the last that is and the first that is not enclose a rewriting."""
        good = 0
        for head, where in self.heads:
            root = self.roots.get(head.size)
            if root == head.root:
                good = max(good, head.size)
            elif head.size > self.head.size:
                said = f"{where} has seen {head.size} entries of this log; this copy ends before that: its tail was cut"
                self.fault("history", said, self.head.size)
            elif where:
                said = f"entries {good} to {head.size} are not those that {where} has seen: the log was rewritten"
                self.fault("history", said, self.size if root is None else self.near(good))
            elif "root" not in self.faults:
                said = "the entries make another root than the one signed"
                self.fault("root", said, self.near(good), exact=False)

    def near(self, good: int) -> int:
        """Where entries after the first `good` went wrong: the first that contradicts itself, else the first at all."""
        places = [self.faults[step].position for step in ("sequence", "time", "pairs") if step in self.faults]
        return min((place for place in places if place is not None and place >= good), default=good)

    # 8

    def messages(self) -> None:
        """Every receipt is of a message that an entry names."""
        try:
            found = list(records(self.export.read("receipts") or b""))
            if self.told is not None and int(self.told) != len(found):
                raise Refused(f"the export says {int(self.told)} messages and {len(found)} are here")
            for number, record in enumerate(found):
                value = cbor(record, RECORD_MAX)
                if type(value) is not list or [type(part) for part in value] != [str, bytes, bytes, bytes]:
                    raise Refused(f"receipt {number} cannot be read")
                if (value[0], hashlib.sha256(value[1]).digest()) not in self.manifests:
                    raise Refused(f"receipt {number} is of a message that no entry names")
                self.receipts += 1
        except Refused as why:
            self.fault("receipts", str(why))

    # The report

    def verdict(self) -> tuple[str, Fault] | None:
        """The first step that fails, with the nearest place; None where every step holds."""
        failed = [step for step in self.steps if step in self.faults]
        if not failed:
            return None
        step, fault = failed[0], self.faults[failed[0]]
        if step in ("signature", "quorum", "root") and not fault.exact:
            # These judge the log as a whole; the first entry that contradicts itself is nearer to the place.
            placed = ("root", "sequence", "time", "pairs", "history", "persons", "disclosures", "charges")
            places = [self.faults[one].position for one in placed if one in self.faults]
            fault = fault._replace(position=min((place for place in places if place is not None), default=None))
        return step, fault

    def details(self) -> dict[str, str]:
        """What each step found where it holds."""
        size = self.head.size
        by = ", ".join(name for name, _ in self.cosigned) or "nobody, as the card allows"
        sealed = "; ".join([f"{self.payloads} as logged", *self.lawful()])
        return {
            "signature": f"signed by {self.head.origin}",
            "quorum": f"cosigned by {by}",
            "root": f"{self.size} leaves make the signed root",
            "sequence": f"0 to {size - 1} without a gap" if size else "the log is empty",
            "time": "never goes back",
            "pairs": f"{self.outcomes} outcomes follow their intents, {len(self.intents)} intents have none",
            "payloads": sealed if self.with_payloads else "not in this export",
            "receipts": f"{self.receipts} messages are named by entries",
            "history": f"extends {sum(head.size < size for head, _ in self.heads)} earlier heads",
            "commitments": "skipped: this program takes no reader's key",
            "persons": f"{self.signatures} signatures hold, {self.disclosures} disclosures are of two",
            "disclosures": f"{self.grounded} rest on a hit, a permit and two acts before them",
            "charges": f"{len(self.costs)} charges, {self.deliveries} deliveries of what was charged and made",
        }

    def lawful(self) -> list[str]:
        """Lawful erasures, a sentence for each class and day."""
        return [
            f"{count} erased lawfully under class {retention} on {day} (entries {first} to {last})"
            for (day, retention), (first, last, count) in sorted(self.erased.items())
        ]

    def proved(self) -> list[str]:
        """What holds now, in sentences; nothing where any step fails."""
        if self.faults:
            return []
        said = [
            f"These {self.head.size} entries are exactly those {self.head.origin} has signed; none was changed, "
            "removed, inserted or reordered since."
        ]
        if self.cosigned:
            names = ", ".join(name for name, _ in self.cosigned)
            said.append(f"{names} saw the same log, so its operator has not shown another one to them.")
        said.append(f"Each of {self.outcomes} outcomes was preceded by its intent.")
        if self.with_payloads:
            said.append(f"{self.payloads} sealed payloads are the ones that were logged.")
        said += [f"Payloads: {one}." for one in self.lawful()]
        if self.disclosures:
            said.append(f"Each of {self.disclosures} disclosures was signed by two persons enrolled before.")
        if self.grounded:
            said.append(
                f"Before each of {self.grounded} disclosures stand the opening of its case over a hit, rules in force "
                "that it names, and the acts of both persons."
            )
        if self.costs:
            said.append(f"Each of {len(self.costs)} releases was charged once, before it was made or given.")
        return said

    def not_proved(self) -> list[str]:
        """What nobody can tell from these files."""
        said = [
            "That everything that happened was logged: acts that were never entered leave no trace here; compare with "
            "the other state's log.",
            "That what an entry says is true.",
            f"Anything after entry {self.head.size - 1}." if self.head.size else "Anything: the log is empty.",
            "What the sealed fields say: no reader's key was given.",
        ]
        if not self.cosigned:
            said.append("That the operator shows everybody the same log: no witness has cosigned.")
        if self.signatures and not self.card.persons:
            said.append("That those enrolled are persons of the agency's register: the card names none.")
        if self.grounded:
            said.append("That a disclosure's hit was a true one: what was found stands in no log in clear.")
        if self.older:
            said.append(f"Over which answers {self.older} disclosures' hits were: their openings are of an older form.")
        if self.told is None:
            said.append("That no signed message was taken out: this export does not say how many it has.")
        if self.receipts:
            said.append("That the receipts' own signatures hold: the card has no keys of messages.")
        gone = sum(count for _, _, count in self.erased.values())
        if gone:
            said.append(f"What {gone} erased payloads said: only their digests are left.")
        if self.lost:
            said.append(f"What {self.lost} payloads said whose keys were lost when the node was restored.")
        return said

    def document(self) -> dict[str, Any]:
        """The report as `limen audit verify --json` prints it."""
        details = self.details()
        steps = []
        for name in self.steps:
            fault = self.faults.get(name)
            row: dict[str, Any] = {"step": name, "ok": fault is None, "detail": fault.why if fault else details[name]}
            if fault is not None and fault.position is not None:
                row["position"] = fault.position
            steps.append(row)
        return {
            "ok": not self.faults,
            "origin": self.head.origin,
            "size": self.head.size,
            "root": base64.b64encode(self.head.root).decode("ascii"),
            "cosignatures": [{"name": name, "time": when} for name, when in self.cosigned],
            "steps": steps,
            "erased": [
                {"class": retention, "date": day, "first": first, "last": last, "count": count}
                for (day, retention), (first, last, count) in sorted(self.erased.items())
            ],
            "proved": self.proved(),
            "not_proved": self.not_proved(),
        }


class Piece(NamedTuple):
    """One entry of a bundle: its number, its bytes, the way to the root, and its opened fields by name."""

    number: int
    leaf: bytes
    path: list[bytes]
    opened: dict[str, tuple[bytes, bytes]]


def proof(data: bytes) -> tuple[bytes, list[Piece]]:
    """A C2SP tlog-proof whose extra data are the entry: its checkpoint and its one piece. Raises Refused."""
    if len(data) > PROOF_MAX:
        raise Refused("a proof is too long")
    head, blank, noted = data.partition(b"\n\n")
    try:
        rows = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Refused("a proof is not ASCII before its checkpoint") from None
    if rows[0] != PROOF_FORM or not blank:
        raise Refused("a proof without a checkpoint")
    if len(rows) < 3 or not rows[1].startswith("extra "):
        raise Refused("a proof without the extra line that holds the entry")
    if not re.match(r"index (0|[1-9][0-9]{0,18})\Z", rows[2], re.ASCII):
        raise Refused("a proof without its index line")
    path = [unbase64(row) for row in rows[3:]]
    entry = unbase64(rows[1][6:])
    _sizes(entry, path)
    return noted, [Piece(int(rows[2][6:]), entry, path, {})]


def bundle(data: bytes) -> tuple[bytes, str, list[Piece]]:
    """A bundle's checkpoint, its own card, and its pieces in the order of their numbers. Raises Refused."""
    value = cbor(data, BUNDLE_MAX)
    if type(value) is not list or len(value) != 4 or value[0] != "limen.bundle/1":
        raise Refused("not of the form limen.bundle/1")
    if [type(part) for part in value[1:]] != [bytes, str, list]:
        raise Refused("a bundle is a checkpoint, a card and entries")
    pieces: list[Piece] = []
    for row in value[3]:
        if type(row) is not list or [type(part) for part in row] != [int, bytes, list, dict]:
            raise Refused("an entry of a bundle is its number, its leaf, its path and its opened fields")
        index, entry, path, opened = row
        if not (pieces[-1].number if pieces else -1) < index < 1 << 63:
            raise Refused("the entries of a bundle are not in the order of their numbers")
        _sizes(entry, path)
        for name, pair in opened.items():
            if type(name) is not str or type(pair) is not list or [type(part) for part in pair] != [bytes, bytes]:
                raise Refused("an opened field is a salt and a value")
            if len(pair[0]) != 16:
                raise Refused("a salt has 16 bytes")
        pieces.append(Piece(index, entry, path, {name: (pair[0], pair[1]) for name, pair in opened.items()}))
    return value[1], value[2], pieces


def _sizes(entry: bytes, path: list[Any]) -> None:
    if len(entry) > LEAF_MAX or len(path) > PATH_MAX or any(type(one) is not bytes or len(one) != 32 for one in path):
        raise Refused("an entry is too long, or its path is not of hashes")


def leads(index: int, size: int, hash_: bytes, path: list[bytes]) -> bytes | None:
    """The root to which a leaf's path leads in a tree of this size (RFC 9162 section 2.1.3.2); None where it cannot."""
    if index >= size:
        return None
    at, last = index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            hash_ = hashlib.sha256(b"\x01" + sibling + hash_).digest()
            while at and not at & 1:
                at >>= 1
                last >>= 1
        else:
            hash_ = hashlib.sha256(b"\x01" + hash_ + sibling).digest()
        at >>= 1
        last >>= 1
    return hash_ if last == 0 else None


class Evidence(Audit):
    """Some entries with their proofs: a bundle, or a single one."""

    steps = EVIDENCE_STEPS

    def __init__(self, data: bytes, card: Card) -> None:
        """Raises Refused: neither a bundle nor a proof."""
        super().__init__(Export(""), card, [], lambda _, __: None)
        self.own_card = ""
        self.form = "bundle"
        if data.startswith(PROOF_FORM.encode() + b"\n"):
            self.form = "proof"
            self.noted, self.pieces = proof(data)
        else:
            self.noted, self.own_card, self.pieces = bundle(data)
        self.shown: list[dict[str, Any]] = []
        self.opened = 0

    def run(self) -> None:
        """Take every step. Raises Refused where the checkpoint cannot be read."""
        self.judge(self.noted)
        head = self.head
        for seen in self.card.seen:
            if (seen.origin, seen.size) == (head.origin, head.size) and seen.root != head.root:
                self.fault("history", "the trust card has seen another log of this size", head.size)
        for piece in self.pieces:
            if leads(piece.number, head.size, hashlib.sha256(b"\x00" + piece.leaf).digest(), piece.path) != head.root:
                self.fault("inclusion", "its path does not lead to the signed root", piece.number)
            try:
                value = leaf(piece.leaf)
            except Refused as why:
                self.fault("sequence", f"the leaf cannot be read: {why}", piece.number)
                continue
            if value["seq"] != piece.number:
                self.fault("sequence", f"the leaf says it is number {value['seq']}", piece.number)
            self.show(piece, value)

    def show(self, piece: Piece, value: dict[str, Any]) -> None:
        """An entry for the report, with those opened fields that are as committed to."""
        fields = {}
        for name, (salt, encoded) in piece.opened.items():
            named = name.encode()
            try:
                plain_value = cbor(encoded, BUNDLE_MAX)
            except Refused:
                self.fault("commitments", "an opened field cannot be read", piece.number)
                continue
            made = hashlib.sha256(salt + len(named).to_bytes(2, "big") + named + encoded).digest()
            if value["commitments"].get(name) != made:
                self.fault("commitments", "an opened field is not the one committed to", piece.number)
                continue
            fields[name] = plain_value
            self.opened += 1
        told = {name: value[name] for name in ("seq", "time_ns", "kind", "phase", "peer", "public")}
        self.shown.append(plain({**told, "opened": fields}))

    def details(self) -> dict[str, str]:
        """What each step found where it holds."""
        count = len(self.pieces)
        return {
            **super().details(),
            "history": "no head of this size is on the card, or it is this one",
            "inclusion": f"{count} entries stand in the tree of {self.head.size}",
            "sequence": f"{count} entries are of a known form and say their own numbers",
            "commitments": f"{self.opened} opened fields are as committed to",
        }

    def proved(self) -> list[str]:
        """What holds now; nothing where any step fails."""
        if self.faults:
            return []
        said = [
            f"Each of these {len(self.pieces)} entries stands, as it is here, at its number in the log that "
            f"{self.head.origin} has signed with {self.head.size} entries."
        ]
        if self.cosigned:
            names = ", ".join(name for name, _ in self.cosigned)
            said.append(f"{names} saw the same log, so its operator has not shown another one to them.")
        if self.opened:
            said.append(f"{self.opened} opened fields are the ones committed to at the time.")
        return said

    def not_proved(self) -> list[str]:
        """What nobody can tell from this file."""
        said = [
            "That there is nothing else: whoever chose these entries may have left others out.",
            "That the rest of the log holds: no gap, no answer without its decision; only an export shows it.",
            "That what an entry says is true.",
        ]
        if not self.cosigned:
            said.append("That the operator shows everybody the same log: no witness has cosigned.")
        if any(seen.origin == self.head.origin and seen.size != self.head.size for seen in self.card.seen):
            said.append("That this log extends what the card has seen before: only an export shows it.")
        if self.own_card:
            said.append("That the bundle's own trust card is right: only the one you gave was used.")
        return said

    def document(self) -> dict[str, Any]:
        """The report as `limen audit verify --json` prints it."""
        return {"form": self.form, **super().document(), "entries": self.shown}


def plain(value: Any) -> Any:
    """The value as JSON can hold it: bytes in hex."""
    if type(value) is bytes:
        return value.hex()
    if type(value) is list:
        return [plain(one) for one in value]
    if type(value) is dict:
        return {str(plain(name)): plain(one) for name, one in value.items()}
    return value


PAIR_STEPS = ("signature", "quorum", "root", "sequence", "tail", "time", "pairs", "payloads", "receipts", "commitments")


class PairAudit(Audit):
    """One verification of the entries about one peer. What needs other entries is not asked."""

    steps = PAIR_STEPS
    peer = ""
    count = unchained = 0

    def fault(self, step: str, why: str, position: int | None = None, exact: bool = True) -> None:
        if step in PAIR_STEPS:
            super().fault(step, why, position, exact)

    def checkpoint(self) -> None:
        form = re.match(rb"limen\.pair/1\n([A-Z]{3})\n" + HOLDS, self.export.read("format") or b"")
        if form is None:
            raise Refused("format: not a folder of the form limen.pair/1")
        self.peer, self.with_payloads, self.told = form[1].decode(), form[2] is None, form[3]
        data = self.export.read("checkpoint")
        if data is None:
            raise Refused("there is no checkpoint")
        self.judge(data)

    def known(self) -> None:
        """No head is held against these entries: a copy of the whole log says what it extends."""

    def compare(self) -> None:
        """Nothing, for the same reason."""

    def walk(self) -> None:
        payloads = self.kept("payloads", 0)
        before = -1
        try:
            for number, record in enumerate(list(records(self.export.read("entries") or b"")), 1):
                data, proof = with_proof(record, 2)
                value = leaf(data)
                seq = value["seq"]
                if seq <= before or value["peer"] != self.peer:
                    self.fault("sequence", f"entry {number} with {self.peer} is not in its place", seq)
                before = seq
                self.count += 1
                self.unchained += value["schema"] == "limen.leaf/1"
                self.included(seq, data, proof)
                self.entry(seq, data, hashlib.sha256(b"\x00" + data).digest(), payloads.pop(seq, None))
        except Refused as why:
            self.fault("sequence", f"the entries cannot be read on: {why}", before + 1)
        for seq in payloads:
            self.fault("payloads", "a payload for an entry that is not here", seq)
        self.tail(before)
        # What says that something was erased is about no peer, and so not here: only terms are judged.
        for seq, retention, time_ns in self.missing if self.with_payloads else ():
            if time_ns + TERMS_NS[retention] > self.last_ns:
                self.fault("payloads", "the payload is missing before its term", seq)
            else:
                self.unsaid += 1

    def included(self, seq: int, data: bytes, proof: list[bytes]) -> None:
        """An entry is in the tree."""
        hash_ = hashlib.sha256(b"\x00" + data).digest()
        if any(len(one) != 32 for one in proof) or leads(seq, self.head.size, hash_, proof) != self.head.root:
            self.fault("root", "the entry is not in the tree that was signed", seq)

    def tail(self, last: int) -> None:
        """The last entry of the tree says how many entries the pair has, and which is the last."""
        try:
            data, proof, salt, beside = with_proof(self.export.read("heads") or b"", 4)
            ending = leaf(data)
            count, hash_, _ = self.pairs.get(self.peer, (0, bytes(32), 0))
            if len(salt) != 32 or len(beside) != 15 or any(len(one) != 32 for one in beside) or not 0 < count < 1 << 63:
                raise Refused("a salt, a hash or a count has the wrong size")
        except Refused as why:
            self.fault("tail", f"where the pair ends cannot be read: {why}", last + 1, exact=False)
            return
        self.included(self.head.size - 1, data, proof)
        self.last_ns = max(self.last_ns, ending["time_ns"])
        hash_ = hashlib.sha256(b"\x00" + salt + self.peer.encode() + count.to_bytes(8, "big") + hash_).digest()
        place = 0
        for letter in self.peer:
            place = 26 * place + ord(letter) - ord("A")
        for one in beside:
            hash_ = hashlib.sha256(b"\x01" + (one + hash_ if place & 1 else hash_ + one)).digest()
            place >>= 1
        if ending["kind"] != "pair.heads" or ending["seq"] != self.head.size - 1:
            self.fault("tail", "the last entry of the tree does not say where pairs stand", ending["seq"])
        elif ending["public"]["root"] != hash_:
            self.fault("tail", f"the log has other entries with {self.peer} after this one", last + 1, exact=False)

    def details(self) -> dict[str, str]:
        return {
            **super().details(),
            "root": f"{self.count} entries are in the signed tree",
            "sequence": f"1 to {self.count} with {self.peer} without a gap",
            "tail": f"the log has {self.count} entries with {self.peer}",
        }

    def proved(self) -> list[str]:
        if self.faults:
            return []
        said = [
            f"These {self.count} entries are all that {self.head.origin} has about {self.peer} in the {self.head.size} "
            "entries it has signed; none was left out, changed, inserted or reordered.",
            f"Each of {self.outcomes} outcomes was preceded by its intent.",
        ]
        if self.with_payloads:
            said.append(f"{self.payloads} sealed payloads are the ones that were logged.")
        return said

    def not_proved(self) -> list[str]:
        said = [
            "That everything that happened was logged: reconcile with the other state's log.",
            "That what an entry says is true.",
            "Who may sign, on what a disclosure rests, and that the log extends what was seen before: a copy of the "
            "whole log says that.",
            "What the sealed fields say: no reader's key was given.",
        ]
        if self.unchained:
            said.append(
                f"That none of the first {self.unchained} entries stands for another: they are of a form without a "
                "chain."
            )
        if not self.cosigned:
            said.append("That the operator shows everybody the same log: no witness has cosigned.")
        if self.unsaid:
            said.append(
                f"That {self.unsaid} payloads that are not here were erased lawfully: their term was over, and a copy "
                "of the whole log says how they went."
            )
        return said


def with_proof(data: bytes, parts: int) -> list[Any]:
    """Parts in turn bytes and lists of bytes. Raises Refused."""
    value = cbor(data)
    if type(value) is not list or len(value) != parts:
        raise Refused("not an entry with its proof")
    for n, part in enumerate(value):
        whole = part if n % 2 else [part]
        if type(whole) is not list or any(type(one) is not bytes for one in whole):
            raise Refused("not an entry with its proof")
    return value


def audit_of(export: Export, card: Card, witnessed: list[bytes], progress: Callable[[int, int], None]) -> Audit:
    """The verification that the folder's form asks for."""
    is_pair = (export.read("format") or b"").startswith(b"limen.pair/1\n")
    return (PairAudit if is_pair else Audit)(export, card, witnessed, progress)


def is_disclosure(public: dict[str, Any]) -> bool:
    """True for a `case.sent` that gives the other side fields of a record."""
    return public["message"] == "decision" and public["state"] in ("GRANTED", "PARTLY_GRANTED", "CORRECTED")


def thumb(public_key: Any) -> bytes:
    """How the log and the card name a person's key."""
    return hashlib.sha256(some_bytes(public_key)).digest()


def some_bytes(value: Any) -> bytes:
    """The value, where it is bytes. Raises TypeError."""
    if type(value) is not bytes:
        raise TypeError("bytes are wanted")
    return value


# -- The command line --------------------------------------------------------------------------------------------------


class Bar:
    """How far it is, on a terminal."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.last = 0.0

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if self.shown and now - self.last > 0.1 and of:
            self.last = now
            full = 40 * done // of
            sys.stderr.write(f"\r[{'#' * full}{'.' * (40 - full)}] {done} of {of} entries")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave the line as it was."""
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def lines(document: dict[str, Any]) -> Iterator[str]:
    """The report for people."""
    yield f"{document['origin']}: {document['size']} entries, root {document['root']}"
    for one in document["cosignatures"]:
        yield "  cosigned by {} at {}".format(one["name"], moment(one["time"] * 10**9))
    for number, step in enumerate(document["steps"], 1):
        where = f" [entry {step['position']}]" if "position" in step else ""
        mark = "ok   " if step["ok"] else "FAULT"
        yield f"{number:3d}. {mark} {step['step']:<12} {step['detail']}{where}"
    for entry in document.get("entries", ()):
        about = {**entry["public"], **{f"[{name}]": one for name, one in entry["opened"].items()}}
        said = ", ".join(f"{name}={one}" for name, one in about.items())
        what = " ".join((entry["kind"], entry["phase"], entry["peer"])).strip()
        yield f"entry {entry['seq']} {moment(entry['time_ns'])} {what}: {said}"
    yield "Proved:"
    yield from ("  " + sentence for sentence in document["proved"] or ["Nothing, for a step does not hold."])
    yield "Not proved:"
    yield from ("  " + sentence for sentence in document["not_proved"])


def moment(time_ns: int) -> str:
    """A time for people; whatever is in a file, it is some text."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time_ns // 10**9))
    except (ValueError, OverflowError, OSError):
        return f"nanosecond {time_ns}"


def words(text: bytes) -> str:
    """A card's fingerprint for the telephone: eight words of two syllables, 11 bits each, from PBKDF2-HMAC-SHA-512."""
    digest = hashlib.pbkdf2_hmac("sha512", text, b"limen/words/1\ntrust card", 100_000)
    number = int.from_bytes(digest, "big") >> 512 - 88
    said = []
    for place in range(77, -1, -11):
        first, second = divmod(number >> place & 2047, 32)
        onsets = ("b", "br", "d", "dr", "f", "fl", "g", "gl", "k", "l", "n", "p", "pl", "r", "s", "t")
        middles = "bdflmnrs"
        said.append(onsets[first // 4] + "aiou"[first % 4] + middles[second // 4] + "aiou"[second % 4])
    return " ".join(said)


def bare(card: bytes) -> bytes:
    """A card's lines without remarks and with single spaces: what its words are made from."""
    rows = ([word for word in line.split(" ") if word] for line in card.decode("utf-8").replace("\t", " ").split("\n"))
    return b"".join(" ".join(row).encode() + b"\n" for row in rows if row and not row[0].startswith("#"))


def shown(text: str) -> str:
    """Text of an unknown hand, harmless on a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def fail(sentence: str, code: int) -> int:
    """Say one sentence on standard error."""
    print("limen-verify: " + shown(" ".join(sentence.split())), file=sys.stderr)
    return code


def read(path: str, most: int) -> bytes:
    """A file that the user named. Raises Refused."""
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as why:
        raise Refused(f"{path}: cannot be read ({why.strerror})") from None
    if len(data) > most:
        raise Refused(f"{path} is too long")
    return data


def main(argv: list[str] | None = None) -> int:
    """Verify as the command line says; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="limen-verify", description="Verify an access log, or entries of one, offline."
    )
    parser.add_argument("path", metavar="EXPORT", help="a folder of `limen audit export`, a bundle or a proof")
    parser.add_argument(
        "--trust", required=True, metavar="CARD", help="the trust card: public keys, had from elsewhere"
    )
    parser.add_argument("--witnessed", action="append", default=[], metavar="NOTE", help="a witness's copy of a head")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--version", action="version", version=f"limen-verify {VERSION}")
    args = parser.parse_args(argv)
    bar = Bar(sys.stderr.isatty() and not args.quiet and not args.json)
    try:
        carded = read(args.trust, CARD_MAX)
        try:
            card = Card(carded)
        except Refused as why:
            return fail(f"trust card: {why}", 8)
        whole = os.path.isdir(args.path)
        if not whole and args.witnessed:
            return fail("--witnessed goes with an export: a bundle or a proof has one checkpoint, no history", 2)
        held = b"" if whole else read(args.path, BUNDLE_MAX)
        witnessed = [read(path, NOTE_MAX) for path in args.witnessed]
        for path, data in zip(args.witnessed, witnessed):
            try:
                note(data)
            except Refused:
                # A wrong file is the reader's mistake and accuses no log.
                return fail(f"{path}: is not a note of a log's head, as a witness keeps it", 8)
        try:
            audit = audit_of(Export(args.path), card, witnessed, bar) if whole else Evidence(held, card)
            audit.run()
        except Refused as why:
            form = "an export of a log" if whole else "a bundle or a proof"
            return fail(f"{args.path}: is not {form} ({why})", 8)
        finally:
            bar.clear()
    except KeyboardInterrupt:
        return fail("interrupted", 130)
    except Refused as why:
        return fail(str(why), 8)
    except OSError as why:
        return fail(f"{why.filename}: {why.strerror}", 1)
    document = audit.document()
    if args.json:
        print(json.dumps(document, indent=2))
    else:
        print(f"trust card: {words(bare(carded))} (compare with whoever gave it to you, by telephone)")
        for line in lines(document):
            print(shown(line))
    verdict = audit.verdict()
    if verdict is None:
        return 0
    step, fault = verdict
    at = "" if fault.position is None else f" at entry {fault.position}"
    return fail(f"{step}{at}: {fault.why}", 6)


if __name__ == "__main__":
    sys.exit(main())
