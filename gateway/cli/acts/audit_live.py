"""`limen audit fetch` and `limen audit reveal`: reading a running node's log at its door for auditors.

Every reading names a purpose and is an entry of the log. What is sealed of an entry comes only with two persons'
signatures for it, and is opened here, under the reader's private key.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from gateway.audit import checkpoint, note
from gateway.audit import copy as copies
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.copy import Copy
from gateway.audit.seal import Opener
from gateway.cli import inputs, passphrase
from gateway.cli.acts import booth
from gateway.cli.acts.audit import plain, reader_key
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit
from gateway.errors import InputRefused, Malformed, VerificationFailed
from gateway.federation import statement
from gateway.federation.statement import PersonalSignature
from gateway.flows.auditing import ENTRIES_MAX, SIGNING, Reading
from gateway.store.folder import DirectoryFolder, GrowingCopy
from gateway.terms.words import AuditPurpose


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return _reveal(args) if args.verb == "reveal" else _fetch(args)


def _fetch(args: argparse.Namespace) -> int:
    purpose = purpose_of(args.purpose)
    size, head = fetch(args, args.path, purpose, ())
    emit(
        args,
        {"path": str(args.path), "size": head.size, "new": head.size - size},
        [f"{args.path}: {head.size} entries, {head.size - size} of them new; nothing of what is sealed"],
    )
    return OK


def purpose_of(text: str, option: str = "--purpose") -> AuditPurpose:
    """What the log is read for. Raises Refused."""
    try:
        return AuditPurpose(text)
    except ValueError:
        raise Refused(f"{option}: write what the log is read for: {', '.join(AuditPurpose)}") from None


def fetch(
    args: argparse.Namespace, path: Path, purpose: AuditPurpose, filters: Sequence[str]
) -> tuple[int, Checkpoint]:
    """Bring a copy up to date at the node's door. Returns the size before, and the head now."""
    place = booth.load(args)
    copy = GrowingCopy(path)
    before = copy.size
    return before, asyncio.run(_fetched(place, copy, purpose, tuple(filters)))


async def _fetched(
    place: booth.Booth, copy: GrowingCopy, purpose: AuditPurpose, filters: tuple[str, ...]
) -> Checkpoint:
    from gateway.rpc.home import AuditClient  # here, because making a folder needs no gRPC

    async with AuditClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem) as client:
        noted = await client.checkpoint()
        size = checkpoint.parse(note.parse(noted).text).size
        if size < copy.size:
            raise VerificationFailed(
                "history", f"the node shows {size} entries and this copy has {copy.size}: it was rolled back"
            )
        # The last entry is read again where nothing is new: a search that reads nothing would not be in the log.
        if size == copy.size and copy.size:
            await client.entries(Reading(size - 1, 1, purpose.value, filters))
        while copy.size < size:
            copy.add(
                await client.entries(Reading(copy.size, min(ENTRIES_MAX, size - copy.size), purpose.value, filters))
            )
    return copy.finish(noted)


def _reveal(args: argparse.Namespace) -> int:
    purpose = purpose_of(args.purpose)
    copy = Copy(DirectoryFolder(args.path), str(args.path))
    if not 0 <= args.entry < copy.head.size:
        raise Refused(f"ENTRY: the copy has entries 0 to {copy.head.size - 1}")
    place = booth.load(args)
    data = copy.leaf_bytes(args.entry)
    if args.sign is not None:
        return _sign(args, place, data, purpose)
    if len(args.signature) != 2 or args.reader_key is None:
        raise Refused(
            "two persons sign first (--sign OUT --key FILE, each), then: --signature A --signature B --reader-key FILE"
        )
    key = reader_key(args.reader_key)
    signatures = [_signature(path) for path in args.signature]
    leaf, payload = asyncio.run(_revealed(place, args.entry, purpose, signatures))
    if leaf != data or sha256(payload).digest() != copy.leaf(args.entry).sealed:
        raise VerificationFailed("payloads", "the node gave another entry than the copy has", position=args.entry)
    opened = copies.opened(copy.leaf(args.entry), payload, Opener(key) if key is not None else None)
    if not opened:
        raise InputRefused(f"{args.reader_key}: what is sealed of this entry is not sealed to this key")
    emit(
        args,
        {"entry": args.entry, "opened": {name: plain(value) for name, value in opened.items()}},
        [f"entry {args.entry}, {copy.leaf(args.entry).kind}:", *(f"  {n} = {plain(v)}" for n, v in opened.items())],
    )
    return OK


async def _revealed(
    place: booth.Booth, entry: int, purpose: AuditPurpose, signatures: Sequence[PersonalSignature]
) -> tuple[bytes, bytes]:
    from gateway.rpc.home import AuditClient  # here, because signing needs no gRPC

    async with AuditClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem) as client:
        return await client.reveal(entry, purpose.value, signatures)


def _sign(args: argparse.Namespace, place: booth.Booth, leaf: bytes, purpose: AuditPurpose) -> int:
    if args.key is None:
        raise Refused("--sign: name your key file with --key")
    facts = statement.reveal(state=place.state, entry=args.entry, leaf=sha256(leaf).digest(), purpose=purpose.value)
    role = inputs.role(args.role, sorted(SIGNING))
    if role not in SIGNING:
        raise Refused(f"--role: write one of {', '.join(sorted(SIGNING))}")
    passphrase.sign(args, args.sign, statement.REVEAL, facts, role=role, signed_ns=place.now_ns())
    emit(args, {"file": str(args.sign)}, [f"{args.sign}: signed for entry {args.entry}; another person signs too"])
    return OK


def _signature(path: Path) -> PersonalSignature:
    try:
        return PersonalSignature.decode(inputs.bytes_of(path))
    except Malformed:
        raise InputRefused(f"{path}: is not a person's signature, as --sign writes it") from None
