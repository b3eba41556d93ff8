"""`limen init --state AAA DIR`: a node's own anchor, keys, settings and empty folders, whole or not at all.

Everything is made in a folder beside DIR and moved into place at the end, so that a failure leaves nothing behind. What
does not belong on the node lies in folders of its own, to be moved away: `anchor` (issues certificates, signs for the
federation), `policy-authority` (signs policies), `handover` (the readers of the log, the register of officers).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from gateway import clock
from gateway.cli.acts import booth, starter
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit
from gateway.config import FILE_NAME, Address, Listeners, is_loopback, load
from gateway.errors import ConfigRefused
from gateway.federation import certificates, names
from gateway.federation.certificates import KeyPair
from gateway.keyring import files
from gateway.people import codes
from gateway.primitives import ed25519
from gateway.store.writer import WriterConfig
from gateway.store.writer import create as create_log
from gateway.terms.ids import AgencyId, PeerId, peer_id
from gateway.terms.realm import SANDBOX_STATES, Realm

READERS: Final = ("supervisor", "auditor", "protection")
"""Whom the log is sealed to."""

FOLDERS: Final = (
    "keys",
    "anchor",
    "tls",
    "policy",
    "officers",
    "store",
    "lock",
    "policy-authority",
    "handover",
    "booth",
    "auditor",
)

LISTENERS: Final = {field.name: field.default for field in fields(Listeners)}
"""Where listeners bind unless told otherwise."""

EMPTY_FOLDERS: Final = ("federation", "periods", "tables", "copies", "events", "run")

MOVE_AWAY: Final = {
    "anchor": "issues this state's certificates and signs for the federation: keep it offline, with a copy",
    "policy-authority": "signs this state's policy bundles: keep it with those who answer for the rules",
    "handover": "the log's readers and the register of officers: give each key to its holder, keep none here",
    "booth": "what a workstation needs to reach the node: copy it there",
    "auditor": "what an auditor's machine needs to read the log at the node: give it to the auditors, keep none here",
}

BACK_UP: Final = ("limen.toml", "tls", "policy", "federation", "officers", "store", "keys without keys/seeds")
"""What `limen node backup` puts into its file."""

_AGENCY = re.compile(r"[A-Z][A-Z0-9]{1,11}\Z")
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}\Z")


@dataclass(frozen=True, slots=True)
class Plan:
    """What `init` was asked to make."""

    state: PeerId
    agencies: tuple[AgencyId, ...]
    hosts: tuple[str, ...]
    listeners: dict[str, str]
    clock_file: Path | None
    region: starter.Region | None
    realm: Realm = Realm.LIVE


@dataclass(frozen=True, slots=True)
class Made:
    """What there is afterwards: fingerprints only, no secret."""

    anchor_fingerprint: str
    gateway_pin: str
    policies: tuple[str, ...]


def run(args: argparse.Namespace) -> int:
    """Make the node, and say what to move away and what to back up."""
    plan = _plan(args)
    made = make(plan, args.folder)
    document = {
        "state": plan.state,
        "folder": str(args.folder),
        "anchor_fingerprint": made.anchor_fingerprint,
        "gateway_pin": made.gateway_pin,
        "policies": list(made.policies),
        "move_away": MOVE_AWAY,
        "back_up": list(BACK_UP),
    }
    emit(args, document, _told(plan, args.folder, made))
    return OK


def make(plan: Plan, folder: Path) -> Made:
    """Make the whole node beside `folder` and move it into place.

    Raises:
        ConfigRefused: the folder holds something, or the settings cannot be used; nothing was left behind.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigRefused(f"{folder}: there is something already; choose a new folder, nothing is overwritten")
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = os.umask(0o077)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        draft.mkdir()
        made = _fill(plan, draft)
        # The folder that counts: socket paths and the clock's file are judged as they will be.
        draft.rename(folder)
    except BaseException as cause:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(cause, OSError) and cause.filename is None:
            # A write that finds no room names no file by itself.
            raise ConfigRefused(f"{folder}: {cause.strerror or cause}; nothing was made") from None
        raise
    finally:
        os.umask(old)
    try:
        load(folder, environ={})
    except ConfigRefused:
        shutil.rmtree(folder)
        raise
    return made


def _fill(plan: Plan, root: Path) -> Made:
    wall_ns = clock.SystemClock().now_ns()
    now_ns = clock.VirtualClock(plan.clock_file).now_ns() if plan.clock_file is not None else wall_ns
    for name in (
        "keys",
        "anchor",
        "tls",
        "policy",
        "officers",
        "policy-authority",
        "handover",
        "booth",
        "auditor",
        *EMPTY_FOLDERS,
    ):
        (root / name).mkdir()

    # TLS judges certificates by the system's clock, our own check by the node's: in force by both at once.
    wall_ns = min(wall_ns, now_ns)
    issue = partial(certificates.issue_leaf, realm=plan.realm)
    anchor = certificates.make_anchor(plan.state, wall_ns, realm=plan.realm)
    _keep(root / "anchor", "anchor", anchor)
    gateway = issue(anchor, plan.state, "gateway", wall_ns, hosts=plan.hosts)
    _keep(root / "tls", "gateway", gateway)
    for role in ("home", "auditors"):
        listener = issue(anchor, plan.state, role, wall_ns, hosts=plan.hosts, client=False)
        _keep(root / "tls", role, listener)
    workstation = issue(anchor, plan.state, "workstation", wall_ns, name=f"{plan.agencies[0]}.booth-1", server=False)
    _keep(root / "booth", "client", workstation)
    auditor = issue(anchor, plan.state, "auditor", wall_ns, server=False)
    _keep(root / "auditor", "client", auditor)
    home = plan.listeners.get("home") or str(LISTENERS["home"])
    shifted = plan.clock_file.resolve() if plan.clock_file is not None else None
    files.write_new(root / "booth" / booth.FILE_NAME, booth.settings(plan.state, home, shifted).encode("utf-8"))
    door = plan.listeners.get("auditors") or str(LISTENERS["auditors"])
    own = booth.settings(plan.state, door, shifted, listener="auditors")
    files.write_new(root / "auditor" / booth.FILE_NAME, own.encode("utf-8"))
    for place in ("tls", "booth", "auditor", "handover"):
        files.write_new(root / place / "anchor.crt", anchor.certificate_pem)

    authority = secrets.token_bytes(32)
    files.write_secret(root / "anchor" / "federation.key", "federation", authority)
    files.create(root / "keys", ed25519.public(authority), now_ns)

    readers: dict[str, str] = {}
    for reader in READERS:
        private = secrets.token_bytes(32)
        files.write_secret(root / "handover" / f"{reader}.key", reader, private)
        readers[reader] = files.x25519_public(private).hex()
    register = secrets.token_bytes(32)
    files.write_secret(root / "handover" / "register.key", "register", register)
    files.write_new(root / "officers" / "register.jsonl", b"")

    log = WriterConfig(root / "store", root / "lock", root / "periods", root / "run", names.log_origin(plan.state))
    create_log(log)

    policies = starter.write(plan.state, plan.agencies, root, now_ns, plan.region)
    files.write_new(root / FILE_NAME, _toml(plan, readers, ed25519.public(register).hex()).encode("utf-8"))
    return Made(
        anchor_fingerprint=sha256(certificates.der_of(anchor.certificate_pem)).hexdigest(),
        gateway_pin=certificates.spki_pin(certificates.der_of(gateway.certificate_pem)).hex(),
        policies=policies,
    )


def _keep(folder: Path, name: str, pair: KeyPair) -> None:
    files.write_new(folder / f"{name}.key", pair.key_pem)
    files.write_new(folder / f"{name}.crt", pair.certificate_pem)


def _plan(args: argparse.Namespace) -> Plan:
    try:
        state = peer_id(args.state)
        # XXB and its like are in documents of people who are protected from their state: no state may be called so.
        if not codes.names_a_state(state):
            raise ValueError
    except ValueError:
        raise Refused("--state: write the code of a state, three capital letters such as PAN") from None
    if state in SANDBOX_STATES and not args.sandbox:
        raise Refused(f"--state: {state} is a code of sandboxes; give --sandbox, or run `limen sandbox`")
    agencies = _each(args.agency or ["BORDER"], _AGENCY, "--agency: write 2 to 12 capital letters and digits")
    listeners = {name: given for name in LISTENERS if (given := getattr(args, name))}
    if any(not is_loopback(host) for host in args.host or ()) and "peers" not in listeners:
        # A node that knows the name by which others reach it: one listener faces outside, the others do not.
        listeners["peers"] = str(Address("0.0.0.0", Listeners().peers.port))
    bound = [given.rpartition(":")[0].strip("[]") for given in listeners.values()]
    named = [host for host in bound if host not in ("", "0.0.0.0", "::")]
    hosts = _each(args.host or ["127.0.0.1", *named], _HOST, "--host: write a name or an address")
    if (args.baseline is None) != (args.baseline_key is None):
        raise Refused("--baseline and --baseline-key are given together: the region's bundle and who signs it")
    return Plan(
        state=state,
        agencies=tuple(AgencyId(code) for code in agencies),
        hosts=hosts,
        listeners=listeners,
        clock_file=args.clock_file.resolve() if args.clock_file is not None else None,
        region=starter.Region(args.baseline, args.baseline_key) if args.baseline is not None else None,
        realm=Realm.SANDBOX if args.sandbox else Realm.LIVE,
    )


def _each(given: Sequence[str], shape: re.Pattern[str], told: str) -> tuple[str, ...]:
    if not all(shape.match(item) for item in given):
        raise Refused(told)
    return tuple(dict.fromkeys(given))


def _toml(plan: Plan, readers: dict[str, str], register: str) -> str:
    """The settings a new node starts with; everything else has its default (`limen config show`)."""
    quoted = partial(json.dumps, ensure_ascii=False)  # such a string is written alike in JSON and TOML
    lines = [
        "# Settings of a Limen node. All others have defaults: `limen config show --origin` lists them.",
        f"state = {quoted(plan.state)}",
        f"agencies = [{', '.join(quoted(agency) for agency in plan.agencies)}]",
        *([f"realm = {quoted(plan.realm.value)}"] if plan.realm is not Realm.LIVE else []),
        "",
        "[listeners]",
    ]
    lines += [f"{name} = {quoted(plan.listeners.get(name) or str(bound))}" for name, bound in LISTENERS.items()]
    lines += [
        "",
        "# Whom the log is sealed to. The private halves were made in handover/ and are never on the node.",
        "[recipients]",
        *(f"{name} = {quoted(readers[name])}" for name in READERS),
        "",
        "# Who signs the register of officers.",
        "[register]",
        f"public_key = {quoted(register)}",
    ]
    if plan.clock_file is not None:
        lines += ["", "[clock]", 'kind = "virtual"', f"file = {quoted(str(plan.clock_file))}"]
    return "\n".join(lines) + "\n"


def _told(plan: Plan, folder: Path, made: Made) -> list[str]:
    width = max(map(len, MOVE_AWAY))
    return [
        f"{folder} holds a node of {plan.state}.",
        f"Anchor {made.anchor_fingerprint[:16]}..., gateway key {made.gateway_pin[:16]}... (SHA-256)",
        "",
        "Move these off this machine:",
        *(f"  {name:<{width}}  {why}" for name, why in MOVE_AWAY.items()),
        "",
        "Back up with `limen node backup`: " + ", ".join(BACK_UP) + ".",
        "Never back up keys/seeds, periods or lock: what is erased must not come back, nor an old log seem new.",
        "",
        f"Next: `limen peer invite AAA --config {folder}`, or `limen peer accept FILE` with the invitation that came.",
    ]
