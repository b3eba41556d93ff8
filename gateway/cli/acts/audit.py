"""`limen audit`: what an auditor does. `verify` and `show` need no node, no network and no configuration."""

from __future__ import annotations

import argparse
import asyncio
import base64
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway.app import parts
from gateway.audit import bundle, checkpoint, export, note, pairs, seal, trust, verify
from gateway.audit.copy import Copy
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.audit.kinds import CATALOGUE
from gateway.audit.leaf import open_fields, opened_pairs
from gateway.cli import inputs, node
from gateway.cli.main import OK, Refused
from gateway.cli.output import Bar, emit, harmless, table, utc
from gateway.cli.output import note as note_line
from gateway.errors import ConfigRefused, InputRefused, Malformed, NotFoundOrNotPermitted
from gateway.federation import document, fingerprint, officers
from gateway.keyring import files
from gateway.primitives import ed25519
from gateway.store.client import WriterClient
from gateway.store.folder import DirectoryFolder, write_export
from gateway.store.reader import Reader

READERS: Final = ("supervisor", "auditor", "protection")
"""Whose keys open something of the log: all but what the protection desk sees is for the first two."""


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    verbs = {
        "head": _head, "export": _export, "card": _card, "verify": _verify, "show": _show, "bundle": _bundle,
    }  # fmt: skip
    return verbs[args.verb](args)


def _head(args: argparse.Namespace) -> int:
    reader = Reader(node.load(args).paths.store)
    try:
        held = reader.last_checkpoint()
    finally:
        reader.close()
    if held is None:
        raise NotFoundOrNotPermitted("no checkpoint was published yet; the first comes one tick after the start")
    parsed = note.parse(held[0])
    point = checkpoint.parse(parsed.text)
    names = [signature.name for signature in parsed.signatures[1:]]
    emit(
        args,
        {
            "origin": point.origin,
            "size": point.size,
            "root": base64.b64encode(point.root).decode(),
            "cosignatures": names,
            "note": held[0].decode("utf-8"),
        },
        held[0].decode("utf-8").rstrip("\n").split("\n"),
    )
    return OK


def _export(args: argparse.Namespace) -> int:
    settings = node.load(args)
    reader = Reader(settings.paths.store, settings.paths.periods)
    try:
        wanted = 1 if args.cosignatures is None else args.cosignatures
        held = reader.last_checkpoint(wanted)
        if held is None and args.cosignatures is None:
            note_line(args, "no witness has cosigned yet: the newest checkpoint is taken without a cosignature")
            wanted, held = 0, reader.last_checkpoint()
        if held is None:
            raise NotFoundOrNotPermitted("no checkpoint with so many cosignatures was published yet; wait a tick")
        point = checkpoint.parse(note.parse(held[0]).text)
        if args.pair is not None:
            pairs.place(args.pair)
        # Reading the log is an act of its own: logged before anything leaves.
        asyncio.run(_logged(args, point))
        pair = args.pair or ""
        count = write_export(reader, args.path, cosignatures=wanted, payloads=not args.no_payloads, pair=pair)
    finally:
        reader.close()
    emit(
        args,
        {"path": str(args.path), "size": point.size, "files": count},
        [
            f"{args.path}: {f'the entries about {args.pair} of ' if args.pair else ''}{point.size} entries "
            f"in {count} files",
            f"verify with `limen audit verify {args.path} --trust CARD`",
        ],
    )
    return OK


async def _logged(args: argparse.Namespace, point: checkpoint.Checkpoint) -> None:
    settings = node.load(args)
    public: dict[str, Scalar] = {"size": point.size, "root": point.root, "payloads": not args.no_payloads}
    if args.pair:
        public["about"] = args.pair
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
    try:
        await uow.commit(
            [
                Entry(
                    "audit.exported",
                    Phase.EVENT,
                    public=public,
                    secret={"officer": "operator"},
                )
            ]
        )
    finally:
        await uow.close()


def _persons(args: argparse.Namespace) -> frozenset[bytes]:
    """Everybody whom the agency's register has ever enrolled: what they signed while they were in force stands."""
    try:
        key = bytes.fromhex(args.register_key or "")
    except ValueError:
        key = b""
    if len(key) != ed25519.PUBLIC_BYTES:
        raise Refused("--register-key: write the register's public key, 64 hex digits, with --register")
    lines = officers.read(_read(args.register), key).lines
    return frozenset(line.person.thumbprint for line in lines)


def _card(args: argparse.Namespace) -> int:
    try:
        listed = document.parse(_read(args.federation)).document
    except Malformed as cause:
        raise InputRefused(f"{args.federation}: {cause}") from None
    members = {str(member.state): member for member in listed.members}
    if args.state not in members:
        raise Refused(f"--state {args.state}: is not in the list; write one of {', '.join(members)}")
    log = note.Verifier.parse(members[args.state].log_vkey)
    witnesses = {
        state: note.Verifier.parse(member.witness_vkey) for state, member in members.items() if state != args.state
    }
    if args.witnesses is not None:
        made = _by_policy(args.witnesses, log, witnesses)
        enough = f"witnesses by {args.witnesses}: {', '.join(made.quorum.witnesses) or 'none'}"
    else:
        quorum = args.quorum if args.quorum is not None else len(witnesses) // 2 + 1
        if not 0 <= quorum <= len(witnesses):
            raise Refused(f"--quorum: write 0 to {len(witnesses)}")
        made = trust.card(log, witnesses, quorum)
        enough = f"{quorum} of {len(witnesses)} witnesses"
    if args.seen is not None:
        point = checkpoint.parse(note.parse(_read(args.seen / "checkpoint")).text)
        made = replace(made, seen=(point,))
    if args.register is not None:
        made = replace(made, persons=_persons(args))
    text, words = _page(made, args.state)
    if args.out is None:
        print(text, end="")
        return OK
    files.replace(args.out, text.encode("utf-8"), mode=0o644)
    emit(
        args,
        {"file": str(args.out), "words": words},
        [f"{args.out}: {args.state}'s log, {enough}", f"its words: {words}"],
    )
    return OK


def _by_policy(path: Path, log: note.Verifier, members: Mapping[str, note.Verifier]) -> trust.Card:
    """A card of the log with the witnesses and the quorum of a tlog-policy.

    Raises:
        InputRefused: no policy, one of other logs, or one that has another key for a member than the list of members.
    """
    with inputs.about(path):
        policy = trust.Card.parse(_read(path).decode("utf-8", "replace"))
        if policy.logs and policy.log(log.name) != log:
            raise InputRefused(f"is about other logs than {log.name}")
        held = {key.name: key for key in members.values()}
        for name, key in policy.quorum.witnesses.items():
            if held.get(key.name, key) != key:
                raise InputRefused(f"has another key for {name} than the list of members")
    return trust.Card((log,), policy.quorum, urls=policy.urls)


def _words(text: str) -> str:
    """A card's fingerprint for the telephone: the same whatever its remarks say."""
    return " ".join(fingerprint.words("trust card", trust.bare(text)))


def _page(made: trust.Card, state: str) -> tuple[str, str]:
    """(the card as the page that an auditor takes along, its words): every key and the whole with eight words."""
    words = _words(made.encode())
    keys = [("the log", made.logs[0]), *(made.quorum.witnesses.items())]
    remarks = [
        f"Trust card for the log of {state}. Do not believe it because it came with the log: have these words read to",
        "you by somebody who got the card another way. `limen audit verify` and limen-verify print them too.",
        "",
        f"the whole card: {words}",
        *(f"key of {name}: {' '.join(fingerprint.words('key', key.vkey.encode()))}" for name, key in keys),
        "",
        "log, witness: public keys. group, quorum: how many witnesses are enough. seen: a head known before.",
        "person: whose signature counts (the SHA-256 of a public key in the agency's register).",
    ]
    return "".join(f"# {line}".rstrip() + "\n" for line in remarks) + made.encode(), words


def _verify(args: argparse.Namespace) -> int:
    text = _text(args.trust)
    card = trust.Card.parse(text)
    if args.path.is_file():
        return _evidence(args, card)
    witnessed = [_note_of(path) for path in args.witnessed]
    key = reader_key(args.reader_key)
    try:
        with Bar(args, "entries") as bar:
            report = verify.inspect(
                DirectoryFolder(args.path), card, witnessed=witnessed, reader_key=key, progress=bar.show
            )
    except Malformed as cause:
        raise InputRefused(f"{args.path}: is not an export of a log ({cause})") from None
    _tell(args, report, report.as_json(), [])
    return OK


def _evidence(args: argparse.Namespace, card: trust.Card) -> int:
    """A bundle or a proof: one file with some entries and the ways to the root."""
    if args.witnessed or args.reader_key:
        raise Refused("--witnessed and --reader-key go with an export; a bundle or a proof is judged as it is")
    if args.path.stat().st_size > bundle.BUNDLE_BYTES_MAX:
        raise InputRefused(f"{args.path}: is neither a bundle nor a proof (too long)")
    try:
        found = bundle.inspect(_read(args.path), card)
    except Malformed as cause:
        raise InputRefused(f"{args.path}: is neither a bundle nor a proof ({cause})") from None
    told = found.as_json()
    lines = []
    for entry in told["entries"]:
        about = {**entry["public"], **{f"[{name}]": value for name, value in entry["opened"].items()}}
        what = " ".join(filter(None, (entry["kind"], entry["phase"], entry["peer"])))
        said = ", ".join(f"{name}={value}" for name, value in about.items())
        lines.append(f"entry {entry['seq']} {utc(entry['time_ns'])} {what}: {said}")
    _tell(args, found.report, told, lines)
    return OK


def _tell(args: argparse.Namespace, report: verify.Report, told: dict[str, Any], entries: list[str]) -> None:
    """The report for people or scripts. Raises its fault, where it has one."""
    lines = [] if args.json else [f"trust card: {_words(_text(args.trust))}"]
    lines.append(f"{report.origin}: {report.size} entries, root {base64.b64encode(report.root).decode()}")
    for name, time_s in report.cosignatures:
        lines.append(f"  cosigned by {name} at {_moment(time_s)}")
    for step in report.steps:
        where = "" if step.position is None else f" [entry {step.position}]"
        lines.append(f"  {'ok   ' if step.ok else 'FAULT'} {step.step:<12} {step.detail}{where}")
    lines += entries
    lines += ["proved:", *(f"  {sentence}" for sentence in report.proved)]
    lines += ["not proved:", *(f"  {sentence}" for sentence in report.not_proved)]
    emit(args, told, map(harmless, lines))
    fault = report.fault()
    if fault is not None:
        raise fault


def _moment(time_s: int) -> str:
    """A cosignature's time; what a witness wrote need be no date."""
    try:
        return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"second {time_s}"


def _bundle(args: argparse.Namespace) -> int:
    """Evidence from an export that verifies: entries with their proofs, and the fields that are opened."""
    card = _text(args.trust)
    if args.open and args.reader_key is None:
        raise Refused("--open: opening a field takes --reader-key")
    folder = DirectoryFolder(args.path)
    try:
        verify.verify(folder, trust.Card.parse(card))
    except Malformed as cause:
        raise InputRefused(f"{args.path}: is not an export of a log ({cause})") from None
    opened = _pairs(folder, args) if args.open else {}
    made = bundle.make(folder, args.entry, opened=opened, card=card)
    files.replace(args.out, made.encode(), mode=0o600 if opened else 0o644)
    emit(
        args,
        {"file": str(args.out), "entries": [one.index for one in made.pieces]},
        [f"{args.out}: {len(made.pieces)} entries with their proofs", f"verify with `limen audit verify {args.out} "
         "--trust CARD`, or with limen_verify.py"],
    )  # fmt: skip
    return OK


def _pairs(folder: DirectoryFolder, args: argparse.Namespace) -> dict[int, dict[str, tuple[bytes, bytes]]]:
    """The fields to open, of each entry that has them. Raises NotFoundOrNotPermitted: nothing can be opened."""
    key = reader_key(args.reader_key)
    opener = seal.Opener(key) if key is not None else None
    wanted = frozenset(args.entry)
    found: dict[int, dict[str, tuple[bytes, bytes]]] = {}
    for leaf, payload in Copy(folder, str(args.path)).entries(0):
        if leaf.seq in wanted and opener is not None and payload is not None:
            parts = opener.open(payload)
            pairs = {**opened_pairs(leaf, parts.secret), **opened_pairs(leaf, parts.guard)}
            found[leaf.seq] = {name: pair for name, pair in pairs.items() if name in args.open}
    if not any(found.values()):
        raise NotFoundOrNotPermitted("none of these entries has such a field that is kept and sealed to this key")
    return found


def _show(args: argparse.Namespace) -> int:
    kinds = sorted({kind.name for kind in CATALOGUE})
    if args.kind is not None and args.kind not in kinds:
        near = difflib.get_close_matches(args.kind, kinds, n=1)
        raise Refused(
            "--kind: is no kind of entry"
            + (f"; did you mean {near[0]}?" if near else "")
            + f" There are {', '.join(kinds)}"
        )
    folder = DirectoryFolder(args.path)
    is_pair = export.is_pair(folder)
    if is_pair and args.proof is not None:
        raise Refused("--proof: is made from the copy of a whole log; this folder has its proofs in itself")
    key = reader_key(args.reader_key)
    opener = seal.Opener(key) if key is not None else None
    rows: list[dict[str, Any]] = []
    for leaf, payload in export.read_pair(folder) if is_pair else Copy(folder, str(args.path)).entries(0):
        if (args.kind and leaf.kind != args.kind) or (args.peer and leaf.peer != args.peer):
            continue
        if args.seq is not None and leaf.seq != args.seq:
            continue
        row: dict[str, Any] = {
            "seq": leaf.seq,
            "time": utc(leaf.time_ns),
            "kind": leaf.kind,
            "phase": leaf.phase.value,
            "peer": leaf.peer,
            "pair_seq": leaf.pair_seq,
            "public": {name: plain(value) for name, value in leaf.public.items()},
            "sealed": sorted(leaf.commitments),
        }
        if opener is not None and payload is not None:
            opened = opener.open(payload)
            row["opened"] = {
                name: plain(value)
                for part in (opened.secret, opened.guard)
                if part
                for name, value in open_fields(leaf, part).items()
            }
        rows.append(row)
    shown = [
        {
            "seq": str(row["seq"]),
            "time": row["time"],
            "kind": f"{row['kind']} {row['phase']}",
            "peer": row["peer"],
            "says": ", ".join(f"{name}={_short(value)}" for name, value in row["public"].items())
            + ("".join(f", [{name}={_short(value)}]" for name, value in row.get("opened", {}).items())),
        }
        for row in rows
    ]
    if args.proof is not None:
        if len(rows) != 1:
            raise Refused(f"--proof: is of one entry, and {len(rows)} are shown; name it with --seq")
        files.replace(args.proof, bundle.make(folder, [rows[0]["seq"]]).as_proof(), mode=0o644)
    emit(args, rows, table(shown, ("seq", "time", "kind", "peer", "says")) or ["no such entry"])
    return OK


def plain(value: Any) -> Any:
    """A field as it is printed: bytes in hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:16] + "..."


def reader_key(path: Path | None, readers: Sequence[str] = READERS) -> bytes | None:
    """The private key of one of these readers of the log, None where no file was named. Raises ConfigRefused."""
    if path is None:
        return None
    for purpose in readers:
        try:
            held = files.read_secret(path, purpose)
        except ConfigRefused:
            continue
        seed = held.copy()
        held.free()
        return seed
    raise ConfigRefused(f"{path}: is not the key of a reader of the log ({', '.join(readers)})")


def _read(path: Path) -> bytes:
    return inputs.bytes_of(path, refusal=InputRefused)


def _note_of(path: Path) -> bytes:
    """A note as a witness holds it. Raises InputRefused: a wrong file is the reader's mistake and accuses no log."""
    data = _read(path)
    try:
        checkpoint.parse(note.parse(data).text)
    except Malformed:
        raise InputRefused(f"{path}: is not a note of a log's head, as a witness keeps it") from None
    return data


def _text(path: Path) -> str:
    try:
        return _read(path).decode("utf-8")
    except UnicodeDecodeError:
        raise InputRefused(f"{path}: is not a trust card") from None
