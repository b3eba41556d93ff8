"""`limen federation`: from members' cards to a signed list in force.

A state hands out its card. Someone makes a document of the cards, each member reads it (`show`) and signs it with its
authority's key, kept off the node; any node verifies and accepts it.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.audit.note import LOG_KEY, WITNESS_KEY, Verifier
from gateway.cli import node
from gateway.cli.acts import writer
from gateway.cli.inputs import about, bytes_of
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, note, table
from gateway.clock import SystemClock
from gateway.config import Address, Config
from gateway.errors import ConfigRefused, InputRefused, Malformed
from gateway.federation import certificates, document, names
from gateway.federation.document import Document, Member, MessageKey, SignedDocument, Status
from gateway.keyring import files
from gateway.terms.ids import PeerId, peer_id
from gateway.terms.realm import Realm

DAY_NS = 86_400 * 10**9
MESSAGE_KEY_DAYS = 730

EVERYWHERE = ("0.0.0.0", "::")
"""Where a listener binds to every address of its machine."""


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return {"show": _show, "card": _card, "make": _make, "sign": _sign, "verify": _verify, "accept": _accept}[
        args.verb
    ](args)


def _show(args: argparse.Namespace) -> int:
    if args.file is not None:
        signed = read(args.file)
    else:
        settings = node.load(args)
        signed = read(settings.paths.federation / document.FILE_NAME)
    listed = signed.document
    rows = [
        {
            "state": str(member.state),
            "status": member.status.value,
            "agencies": ",".join(member.agencies),
            "endpoint": ",".join(member.endpoints),
            "authority": document.key_id(member.authority),
            "signed": "yes" if member.state in document.signed_by(signed, listed) else "no",
        }
        for member in listed.members
    ]
    head = [
        f"realm      {listed.realm.value}",
        f"version    {listed.version}",
        f"expires    {_day(listed.expires_ns)}",
        f"threshold  {listed.threshold} of {len(listed.signers())}",
        f"baseline   {listed.baseline.hex()}",
        f"digest     {signed.digest.hex()}",
        "",
    ]
    emit(args, _told(signed), head + table(rows, tuple(rows[0])))
    return OK


def _card(args: argparse.Namespace) -> int:
    text = document.encode_card(card(node.load(args), endpoints=args.endpoint, next_certificate=args.next_certificate))
    if args.out is None:
        # A card is JSON already: with and without --json the same bytes.
        print(text.decode("utf-8"), end="")
        return OK
    files.write_new(args.out, text, mode=0o644)
    fingerprint = sha256(text).hexdigest()
    emit(args, {"file": str(args.out), "sha256": fingerprint}, [f"{args.out}: compare by another way: {fingerprint}"])
    return OK


def card(settings: Config, *, endpoints: list[str] | None = None, next_certificate: Path | None = None) -> Member:
    """The node's own card from its public halves, its certificates and its settings.

    Raises:
        ConfigRefused: a file is missing, or the peers' port is not known yet.
    """
    public = files.read_public(settings.paths.keys)
    pems = [bytes_of(settings.paths.tls / "gateway.crt")]
    if next_certificate is not None:
        with about(next_certificate):
            pems.append(bytes_of(next_certificate))
            certificates.der_of(pems[-1])
    log = vkey(names.log_origin(settings.state, settings.store.log_number), public.log, witness=False)
    witness = vkey(names.witness_name(settings.state), public.witness, witness=True)
    made = Member(
        state=settings.state,
        status=Status.ACTIVE,
        agencies=settings.agencies,
        endpoints=tuple(endpoints or _reached(settings, pems[0])),
        tls_pins=tuple(certificates.spki_pin(certificates.der_of(pem)) for pem in pems),
        anchor_pem=bytes_of(settings.paths.tls / "anchor.crt").decode("ascii"),
        authority=public.authority,
        message_keys=(
            MessageKey(
                document.key_id(public.message),
                public.message,
                public.made_ns - DAY_NS,
                public.made_ns + MESSAGE_KEY_DAYS * DAY_NS,
            ),
        ),
        log_vkey=log,
        witness_vkey=witness,
        case_key=public.case,
        realm=Realm(settings.realm),
    )
    _judge_realm(settings, pems)
    try:
        return document.decode_card(document.encode_card(made))
    except Malformed as cause:
        raise ConfigRefused(f"the card cannot be made: {cause}") from None


def _judge_realm(settings: Config, pems: list[bytes]) -> None:
    """The certificates say what the settings say: a sandbox's node does not become a live one by a line of text."""
    for pem in pems:
        if certificates.identity(certificates.der_of(pem)).realm.value != settings.realm:
            raise ConfigRefused(
                f"the settings say realm {settings.realm} and the gateway's certificate another; what was made for a "
                "sandbox stays in it: make a node with `limen init`"
            )


def _reached(settings: Config, pem: bytes) -> list[str]:
    """Where peers reach us: the listener's address, or where it binds to every address the certificate's names."""
    bound = settings.bound("peers")
    if bound.host not in EVERYWHERE:
        return [str(bound)]
    hosts = [host for host in certificates.hosts(certificates.der_of(pem)) if not host.startswith("127.")]
    return [str(Address(host, bound.port)) for host in hosts] or [str(bound)]


def vkey(name: str, public: bytes, *, witness: bool) -> str:
    """A C2SP verifier key."""
    return Verifier(name, WITNESS_KEY if witness else LOG_KEY, public).vkey


def _make(args: argparse.Namespace) -> int:
    now_ns = _now(args)
    suspended = {_state(code) for code in args.suspend}
    members = []
    for path in args.cards:
        try:
            member = document.decode_card(bytes_of(path))
        except Malformed as cause:
            raise InputRefused(f"{path}: {cause}") from None
        members.append(dataclasses.replace(member, status=Status.SUSPENDED) if member.state in suspended else member)
    unknown = suspended - {member.state for member in members}
    if unknown:
        raise Refused(f"--suspend {', '.join(sorted(unknown))}: no card of that state was given")
    if not 1 <= args.days <= 366:
        raise Refused("--days: write 1 to 366")
    made = Document(
        version=args.version,
        expires_ns=now_ns + args.days * DAY_NS,
        threshold=args.threshold,
        baseline=_baseline(args.baseline),
        members=tuple(sorted(members, key=lambda member: member.state)),
        realm=members[0].realm,
    )
    try:
        signed = document.unsigned(made)
    except Malformed as cause:
        raise InputRefused(f"the cards make no list: {cause}") from None
    files.write_new(args.out, document.render(signed), mode=0o644)
    emit(args, _told(signed), [f"{args.out}: version {made.version}, unsigned, digest {signed.digest.hex()}"])
    return OK


def _sign(args: argparse.Namespace) -> int:
    signed = read(args.file)
    state = _state(args.state)
    held = files.read_secret(args.key, "federation")
    made = document.sign(signed, state, held.copy())
    held.free()
    files.replace(args.file, document.render(made), mode=0o644)
    have = document.signed_by(made, made.document)
    if state not in have:
        note(args, f"{state} signs with a key this list does not name: it counts for the list before it only")
    need = made.document.threshold
    emit(args, _told(made), [f"{args.file}: signed by {', '.join(have) or 'none'}; {len(have)} of {need} needed"])
    return OK


def _verify(args: argparse.Namespace) -> int:
    signed = read(args.file)
    if args.previous is not None:
        previous: Document | None = read(args.previous).document
    elif args.config is not None:
        held = in_force(node.load(args))
        previous = held.document if held is not None else None
    else:
        previous = None
    same = previous is not None and document.encode(previous) == signed.text
    document.verify(signed, None if same else previous, _now(args))
    have = document.signed_by(signed, signed.document)
    emit(
        args,
        _told(signed),
        [
            f"{args.file}: version {signed.document.version} holds until {_day(signed.document.expires_ns)}, "
            f"signed by {', '.join(have)}",
            *([] if previous else [f"no list before it to compare with: compare the digest {signed.digest.hex()}"]),
        ],
    )
    return OK


def _accept(args: argparse.Namespace) -> int:
    settings = node.load(args)
    signed = read(args.file)
    document.require_realm(signed.document.realm, Realm(settings.realm))
    place = settings.paths.federation / document.FILE_NAME
    now_ns = node.clock_of(settings).now_ns()
    previous = in_force(settings)
    if previous is None or previous.text != signed.text:
        document.verify(signed, previous.document if previous is not None else None, now_ns)
    if settings.state not in {member.state for member in signed.document.members}:
        raise ConfigRefused(f"{args.file}: does not list {settings.state}")
    # The file first: what is in the file and not in the log enters it at the next start.
    files.replace(place, document.render(signed))
    logged = asyncio.run(writer.adopt(settings, signed, now_ns))
    told = "in the log" if logged else "enters the log when the node starts"
    emit(args, {**_told(signed), "logged": logged}, [f"version {signed.document.version} is in force; it {told}"])
    return OK


def in_force(settings: Config) -> SignedDocument | None:
    """The newer of the lists in the node's file and in its log; None before the first."""
    place = settings.paths.federation / document.FILE_NAME
    found = [read(place)] if place.exists() else []
    logged = writer.listed(settings)
    if logged is not None:
        found.append(document.parse(logged[1]))
    return max(found, key=lambda signed: signed.document.version, default=None)


def read(path: Path) -> SignedDocument:
    """A list from its file. Raises InputRefused or ConfigRefused."""
    try:
        return document.parse(bytes_of(path))
    except Malformed as cause:
        raise InputRefused(f"{path}: {cause}") from None


def _baseline(given: str) -> bytes:
    if re.fullmatch(r"[0-9a-f]{64}", given):
        return bytes.fromhex(given)
    return sha256(bytes_of(Path(given))).digest()


def _state(code: str) -> PeerId:
    try:
        return peer_id(code)
    except ValueError:
        raise Refused("write a state as three capital letters, such as PAN") from None


def _now(args: argparse.Namespace) -> int:
    """The node's clock where a node was named, else this machine's."""
    return (node.clock_of(node.load(args)) if args.config is not None else SystemClock()).now_ns()


def _day(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _told(signed: SignedDocument) -> dict[str, Any]:
    listed = signed.document
    return {
        "realm": listed.realm.value,
        "version": listed.version,
        "digest": signed.digest.hex(),
        "expires_ns": listed.expires_ns,
        "threshold": listed.threshold,
        "baseline": listed.baseline.hex(),
        "signed_by": list(document.signed_by(signed, listed)),
        "members": [
            {
                "state": member.state,
                "status": member.status.value,
                "agencies": list(member.agencies),
                "endpoints": list(member.endpoints),
                "authority": member.authority.hex(),
            }
            for member in listed.members
        ],
    }
