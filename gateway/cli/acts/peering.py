"""`limen peer invite` and `limen peer accept`: two states become peers by three files and one telephone call.

    PAN: limen init ...     limen peer invite HND     -> PAN-HND.invitation, and words to read out
    HND: limen init ...     limen peer accept PAN-HND.invitation     (types PAN's words)  -> HND-PAN.answer, other words
    PAN: limen peer accept HND-PAN.answer             (types HND's words)  -> members-1.list, in force at PAN
    HND: limen peer accept members-1.list             -> in force at HND

The third file needs no words: HND signed that very list, and kept it. Where there was a list before, its members sign
the next one too: `accept` adds a signature and says who is missing. The long way with a file for each step is
`limen federation card`, `make`, `sign`, `verify`, `accept`; lists of both ways are the same.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway.app import bundles
from gateway.cli import node
from gateway.cli.acts import federation, writer
from gateway.cli.inputs import bytes_of
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit
from gateway.config import Config
from gateway.errors import ConfigRefused, InputRefused, Malformed, VerificationFailed
from gateway.federation import certificates, document, fingerprint, invitation
from gateway.federation.document import Document, Member, SignedDocument
from gateway.federation.invitation import Baseline, Invitation
from gateway.keyring import files
from gateway.opa import bundle
from gateway.people import codes
from gateway.terms.ids import PeerId, peer_id
from gateway.terms.realm import SANDBOX_STATES, Realm

FOLDER: Final = "invitations"
"""Within the node's folder `federation`: invitations made and answered here, by digest."""

_TOP = re.compile(rb'^  "schema": "(limen/[a-z]+/1)"', re.MULTILINE)

NOWHERE: Final = ("0.0.0.0", "[::]")
"""Where a listener may bind and nobody can connect to."""


def invite(args: argparse.Namespace) -> int:
    """Make the invitation and say its words."""
    settings = node.load(args)
    invited = _state(args.state)
    if settings.realm == Realm.LIVE and invited in SANDBOX_STATES:
        raise Refused(f"{invited} is a state of sandboxes, and this node is live: the two never meet")
    if invited == settings.state:
        raise Refused(f"{invited} is this node's own state; write the one you invite")
    if not 1 <= args.days <= invitation.LIFE_DAYS_MAX:
        raise Refused(f"--days: write 1 to {invitation.LIFE_DAYS_MAX}")
    now_ns = node.clock_of(settings).now_ns()
    listed = federation.in_force(settings)
    offered = Invitation(
        inviter=settings.state,
        invited=invited,
        made_ns=now_ns,
        expires_ns=now_ns + args.days * invitation.DAY_NS,
        nonce=secrets.token_bytes(16),
        card=_own_card(settings, args.endpoint, listed),
        listed=listed,
        baseline=_baseline(settings, listed, now_ns),
    )
    data = _with_authority(settings, args, lambda seed: invitation.make(offered, seed))
    signed = invitation.parse(data)
    out = args.out or Path(f"{settings.state}-{invited}.invitation")
    files.write_new(out, data, mode=0o644)
    files.write_new(_kept(settings, signed.digest, "invitation"), data)
    words = fingerprint.words("invitation", signed.text)
    emit(
        args,
        {
            "file": str(out),
            "invited": invited,
            "words": " ".join(words),
            "expires_ns": offered.expires_ns,
            "digest": signed.digest.hex(),
        },
        [
            f"{out}: send it to {invited}; it holds until {_day(offered.expires_ns)} and has no secret in it.",
            *_read_out(invited, words),
            f"Next: when {invited}'s answer is here, `limen peer accept` with that file.",
        ],
    )
    return OK


def accept(args: argparse.Namespace) -> int:
    """Take an invitation, an answer or a list of members: the file says what it is."""
    data = bytes_of(args.file, invitation.INVITATION_BYTES_MAX)
    found = _TOP.search(data)
    kinds = {
        invitation.SCHEMA: _accept_invitation,
        invitation.ANSWER_SCHEMA: _accept_answer,
        document.SCHEMA: _accept_list,
    }
    act = kinds.get(found[1].decode("ascii")) if found else None
    if act is None:
        raise InputRefused(f"{args.file}: is no invitation, answer or list of members; ask for the file again")
    try:
        return act(args, node.load(args), data)
    except Malformed as cause:
        raise InputRefused(f"{args.file}: was damaged on its way ({cause}); ask for the file again") from None


def _accept_invitation(args: argparse.Namespace, settings: Config, data: bytes) -> int:
    now_ns = node.clock_of(settings).now_ns()
    signed = invitation.parse(data)
    offered = invitation.verify(signed, settings.state, now_ns)
    document.require_realm(offered.card.realm, Realm(settings.realm))
    held = federation.in_force(settings)
    if held is not None and (offered.listed is None or held.text != offered.listed.text):
        raise InputRefused(
            f"this node has list {held.document.version} in force, and the invitation starts from another one: "
            f"ask {offered.inviter} for a new invitation, or invite it instead",
            code="INVITATION",
        )
    _open_baseline(offered.baseline, now_ns)
    _hear(args, f"Words that {offered.inviter} reads to you: ", fingerprint.words("invitation", signed.text))
    card = _own_card(settings, args.endpoint, offered.listed)
    answer = _with_authority(settings, args, lambda seed: invitation.encode_answer(signed, card, seed))
    drafted = invitation.draft(offered, card)
    out = args.out or Path(f"{settings.state}-{offered.inviter}.answer")
    _put(out, answer, mode=0o644)
    _put(_kept(settings, signed.digest, "invitation"), data)
    _put(_kept(settings, drafted.digest, "draft"), signed.digest.hex().encode("ascii") + b"\n")
    words = fingerprint.words("list", drafted.text)
    emit(
        args,
        {
            "file": str(out),
            "inviter": offered.inviter,
            "words": " ".join(words),
            "version": drafted.document.version,
            "digest": drafted.digest.hex(),
        },
        [
            *(f"{line}." for line in invitation.changes(None, drafted.document)),
            f"{out}: send it to {offered.inviter}; it has no secret in it.",
            *_read_out(offered.inviter, words),
            f"Next: when the list from {offered.inviter} is here, `limen peer accept` with that file.",
        ],
    )
    return OK


def _accept_answer(args: argparse.Namespace, settings: Config, data: bytes) -> int:
    now_ns = node.clock_of(settings).now_ns()
    answer = invitation.decode_answer(data)
    document.require_realm(answer.card.realm, Realm(settings.realm))
    if _kept(settings, answer.invitation, "used").exists():
        raise InputRefused(
            f"{answer.card.state}'s answer was accepted before and an invitation counts once; nothing was changed",
            code="INVITATION_USED",
        )
    place = _kept(settings, answer.invitation, "invitation")
    if not place.exists():
        raise InputRefused("this answers no invitation of this node", code="INVITATION")
    signed = invitation.parse(bytes_of(place))
    offered = invitation.verify(signed, answer.card.state, now_ns)
    held = federation.in_force(settings)
    if (held.text if held is not None else None) != (offered.listed.text if offered.listed is not None else None):
        raise InputRefused(
            "the list of members has changed since the invitation was made; make a new one", code="INVITATION"
        )
    made = invitation.combine(signed, answer)
    _hear(args, f"Words that {answer.card.state} reads to you: ", fingerprint.words("list", made.text))
    made = _with_authority(settings, args, lambda seed: document.sign(made, settings.state, seed))
    told, lines = _settle(args, settings, made, held, now_ns)
    _put(_kept(settings, answer.invitation, "used"), b"")
    emit(args, told, lines)
    return OK


def _accept_list(args: argparse.Namespace, settings: Config, data: bytes) -> int:
    now_ns = node.clock_of(settings).now_ns()
    made = document.parse(data)
    document.require_realm(made.document.realm, Realm(settings.realm))
    held = federation.in_force(settings)
    if held is not None and held.text == made.text:
        emit(
            args,
            {"version": made.document.version, "in_force": True, "changed": False},
            [f"version {made.document.version} is in force here already; nothing was changed"],
        )
        return OK
    if held is not None and made.document.version <= held.document.version:
        raise VerificationFailed(
            "version", f"this is version {made.document.version}, and {held.document.version} is in force already"
        )
    if settings.state not in made.document.signers():
        raise InputRefused(f"{args.file}: does not list {settings.state}", code="INVITATION")
    offered = _drafted(settings, made)
    before = held
    if offered is not None:
        before = before or offered.listed
    else:
        for line in invitation.changes(None if held is None else held.document, made.document):
            print(f"{line}.", file=sys.stderr)
        signers = [state for state in document.signed_by(made, made.document) if state != settings.state]
        whom = " or ".join(signers) or "a state that signed"
        _hear(args, f"Words that {whom} reads to you: ", fingerprint.words("list", made.text))
    if settings.state not in document.signed_by(made, made.document):
        made = _with_authority(settings, args, lambda seed: document.sign(made, settings.state, seed))
    told, lines = _settle(args, settings, made, before, now_ns, offered)
    emit(args, told, lines)
    return OK


def _settle(
    args: argparse.Namespace,
    settings: Config,
    made: SignedDocument,
    before: SignedDocument | None,
    now_ns: int,
    offered: Invitation | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Put a list in force where enough have signed, and write it to a file for the others in any case."""
    version = made.document.version
    out = args.out or Path(f"members-{version}.list")
    if out.exists() and (other := _list_in(out)) is not None and other.text == made.text:
        made = invitation.merged(other, made)
    missing = _missing(made, before.document if before is not None else None)
    logged = False
    if not missing:
        document.verify(made, before.document if before is not None else None, now_ns)
        if offered is not None:
            _adopt_baseline(settings, offered.baseline)
        files.replace(settings.paths.federation / document.FILE_NAME, document.render(made))
        logged = asyncio.run(writer.adopt(settings, made, now_ns))
    _put(out, document.render(made), mode=0o644)
    others = [str(member.state) for member in made.document.members if member.state != settings.state]
    signers = [str(state) for state in document.signed_by(made, made.document)]
    told = {
        "file": str(out),
        "version": version,
        "in_force": not missing,
        "changed": True,
        "signed_by": signers,
        "missing": missing,
        "members": [str(member.state) for member in made.document.members],
        "logged": logged,
    }
    if missing:
        return told, [
            f"version {version} is signed by {', '.join(signers)}, and not in force: {missing}.",
            f"{out}: send it to those who have not signed; each runs `limen peer accept` with it and sends it on.",
        ]
    running = "it is in the log" if logged else "start the node with `limen serve`"
    return told, [
        f"version {version} is in force here: {', '.join(others)} and {settings.state} are members; {running}.",
        f"{out}: send it to {', '.join(others)}, unless it came from there.",
        f"Next: `limen peer test {others[0]}`." if others else "",
    ]


def _missing(made: SignedDocument, before: Document | None) -> str:
    """Who has still to sign, in words; empty where enough have."""
    listed = made.document
    for counted, of_whom in ((listed, "members"), (before, "members of the list in force")):
        if counted is None or (
            counted is before and (counted.signers(), counted.threshold) == (listed.signers(), listed.threshold)
        ):
            continue
        have = document.signed_by(made, counted)
        if len(have) < counted.threshold:
            left = ", ".join(state for state in counted.signers() if state not in have)
            return f"{counted.threshold - len(have)} more of the {of_whom} must sign (of {left})"
    return ""


# -- Pieces -----------------------------------------------------------------------------------------------------------


def _own_card(settings: Config, endpoints: list[str] | None, listed: SignedDocument | None) -> Member:
    """The card that the list in force has of us, else a fresh one. Raises ConfigRefused."""
    if listed is not None and endpoints is None:
        for member in listed.document.members:
            if member.state == settings.state:
                return member
    card = federation.card(settings, endpoints=endpoints)
    for endpoint in card.endpoints:
        if endpoint.rpartition(":")[0] in NOWHERE:
            raise ConfigRefused(f"nobody can connect to {endpoint}: give --endpoint HOST:PORT, where peers reach us")
    return card


def _baseline(settings: Config, listed: SignedDocument | None, now_ns: int) -> Baseline:
    raw = bytes_of(settings.paths.policy / "baseline.tar.gz")
    keys = bundles.policy_keys(settings.paths.policy, "baseline")
    opened = bundle.open_(raw, keys, bundle.BASELINE, 0, now_ns)
    if listed is not None and listed.document.baseline != opened.digest:
        raise ConfigRefused("this node's baseline is not the one of the list in force; see `limen doctor`")
    return Baseline(raw, opened.key_id, keys[opened.key_id])


def _open_baseline(offered: Baseline, now_ns: int) -> None:
    """Judge a baseline from outside: a bundle whose key has the name it must have. Raises VerificationFailed."""
    if f"baseline-{certificates.public_pin(offered.key_pem).hex()[:8]}" != offered.key_id:
        raise VerificationFailed("baseline", "its key has another name than its own")
    bundle.open_(offered.bundle, {offered.key_id: offered.key_pem}, bundle.BASELINE, 0, now_ns)


def _adopt_baseline(settings: Config, offered: Baseline) -> None:
    """The region's rules in place of the ones this node was made with."""
    folder = settings.paths.policy
    key = folder / "keys" / f"{offered.key_id}.pem"
    if not key.exists():
        files.write_new(key, offered.key_pem)
    files.replace(folder / "baseline.tar.gz", offered.bundle)


def _drafted(settings: Config, made: SignedDocument) -> Invitation | None:
    """The invitation that a list follows from, where this node drafted and signed that very list."""
    place = _kept(settings, made.digest, "draft")
    if not place.exists():
        return None
    digest = bytes.fromhex(bytes_of(place).decode("ascii").strip())
    return invitation.parse(bytes_of(_kept(settings, digest, "invitation"))).invitation


def _with_authority(settings: Config, args: argparse.Namespace, use: Callable[[bytes], Any]) -> Any:
    """`use` with the seed of the state's authority, which the operator brings and takes away again."""
    place = args.key or settings.root / "anchor" / "federation.key"
    seed = files.read_secret(place, "federation")
    try:
        return use(seed.copy())
    finally:
        seed.free()


def _hear(args: argparse.Namespace, prompt: str, expected: tuple[str, ...]) -> None:
    """The words that the other side reads out; they are never shown here, so that nobody confirms what he sees."""
    typed = args.words
    if typed is None:
        if not sys.stdin.isatty():
            raise Refused("there is no terminal to type the words at; give --words")
        print(prompt, end="", file=sys.stderr, flush=True)
        typed = sys.stdin.readline()
    fingerprint.compare(typed, expected)


def _read_out(whom: PeerId, words: tuple[str, ...]) -> list[str]:
    half = len(words) // 2
    return [
        "",
        f"Call {whom} by a number you know, and read these words to the person you know there:",
        f"    {' '.join(words[:half])}",
        f"    {' '.join(words[half:])}",
        "",
    ]


def _list_in(path: Path) -> SignedDocument | None:
    try:
        return document.parse(path.read_bytes())
    except (Malformed, OSError):
        return None


def _kept(settings: Config, digest: bytes, what: str) -> Path:
    folder = settings.paths.federation / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{digest.hex()[:32]}.{what}"


def _put(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """A file of ours, again where it is there already: every step may be repeated."""
    files.replace(path, data, mode=mode)


def _state(code: str) -> PeerId:
    try:
        if codes.names_a_state(peer_id(code)):
            return peer_id(code)
    except ValueError:
        pass
    raise Refused("write a state as three capital letters, such as PAN")


def _day(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M UTC")


__all__ = ["accept", "invite"]
