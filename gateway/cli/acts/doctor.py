"""`limen doctor`: what is wrong with this node, and what to do about it.

Every check says ok, warn or fail, one sentence of what was found and one of what to do. `--ports` prints the form for
those who run the firewall instead. What belongs to the machine and not to the node is read through `Machine`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.app import bundles, engines, parts
from gateway.cli import node
from gateway.cli.acts import federation, probing, writer
from gateway.cli.inputs import bytes_of
from gateway.cli.main import ERROR, OK
from gateway.cli.output import emit, table
from gateway.clock import SystemClock
from gateway.config import Config, Listeners, is_loopback
from gateway.errors import ConfigRefused, GatewayError, KeysUnavailable, NotIdentified
from gateway.federation import certificates, document
from gateway.federation.document import SignedDocument
from gateway.federation.members import FederationView, MemberKeys
from gateway.flows import nightly
from gateway.keyring import files
from gateway.keyring.client import KeysClient
from gateway.opa import bundle
from gateway.primitives import group, secret, sodium
from gateway.primitives.group import GROUP
from gateway.store import db as database
from gateway.store import lock, postgres
from gateway.store.reader import Reader
from gateway.terms.exchange import Description
from gateway.terms.ids import PeerId

DAY_NS: Final = 86_400 * 10**9
SOON_DAYS: Final = 30
"""How long before its end something is told."""

FREE_BYTES_MIN: Final = 1 << 30
FULL_BYTES: Final = 8 << 20
"""Less than this is a full disk: entries of a minute may not find room."""

TIGHT_BYTES: Final = 64 << 20
"""The write-ahead log alone may grow so far before it is copied back."""

GLIBC_MIN: Final = (2, 34)
"""The policy engine's wheel needs it."""

PEER_TIMEOUT_S: Final = 2.0

TIME_SERVICES: Final = tuple(
    Path(name)
    for name in (
        "/run/systemd/timesync/synchronized",
        "/run/chrony/chronyd.pid",
        "/run/chronyd.pid",
        "/run/chrony/chronyd.sock",
        "/run/ntpd.pid",
    )
)
"""What a running time service leaves, by the services that Debian packages."""


CLOCK_FIX: Final = "set it right and run a time service (chrony): messages more than 30 s off are refused"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. `state` is `ok`, `warn` or `fail`; `fix` is empty where nothing is to be done."""

    check: str
    state: str
    detail: str
    fix: str = ""


def _glibc() -> str:
    return os.confstr("CS_GNU_LIBC_VERSION") or ""


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Machine:
    """What is read of the machine: the C library ("glibc 2.36"), free bytes of a folder's disk, whether the libsodium
    in use calls an encoding a point, and the name of the libsodium."""

    glibc: Callable[[], str] = _glibc
    free_bytes: Callable[[Path], int] = _free
    is_point: Callable[[bytes], bool] = group.carrier_accepts
    carrier: Callable[[], str] = GROUP.load


MACHINE: Final = Machine()


@dataclass(frozen=True, slots=True)
class Patient:
    """The node as the checks see it. Certificates are judged by the system's clock, all else by the node's."""

    settings: Config
    now_ns: int
    wall_ns: int
    listed: SignedDocument | None
    machine: Machine


def run(args: argparse.Namespace) -> int:
    """Print the findings; 0 when none of them is a failure."""
    settings = node.load(args)
    if args.ports:
        rows = ports(settings)
        emit(args, rows, _form(settings, rows))
        return OK
    findings = list(examine(settings, offline=args.offline))
    ok = not any(finding.state == "fail" for finding in findings)
    rows = [{place.name: getattr(found, place.name) for place in fields(Finding)} for found in findings]
    emit(args, {"ok": ok, "checks": rows}, _told(findings))
    return OK if ok else ERROR


def examine(settings: Config, *, offline: bool, machine: Machine = MACHINE) -> Iterator[Finding]:
    """Every check, in the order in which a node needs things."""
    try:
        now_ns = node.clock_of(settings).now_ns()
    except ConfigRefused as cause:
        yield Finding("clock", "fail", str(cause), "write the file, or set clock.kind to system")
        return
    listed, problem = None, None
    try:
        listed = federation.in_force(settings)
    except GatewayError as cause:
        problem = str(cause)
    patient = Patient(settings, now_ns, SystemClock().now_ns(), listed, machine)
    checks: tuple[tuple[str, Callable[[Patient], Iterator[Finding]]], ...] = (
        ("clock", _clock),
        ("certificates", _certificates),
        ("keys", _keys),
        ("off the node", _left_behind),
        ("memory", _memory),
        ("C library", _libc),
        ("group arithmetic", _carrier),
        ("store", _store),
        ("folders", _folders),
        ("policy", _policy),
        ("policy engine", _engine),
        ("officers", _officers),
        ("peers' logs", _compared),
    )
    for name, check in checks:
        try:
            yield from check(patient)
        except (GatewayError, OSError) as cause:
            yield Finding(name, "fail", str(cause), "see docs/operating.md")
    if problem is not None:
        yield Finding("federation", "fail", problem, "run `limen federation accept` with a good list")
    else:
        yield from _federation(patient)
    if not offline:
        yield from _peers(patient)


def ports(settings: Config) -> list[dict[str, str]]:
    """The firewall form: what comes in and what goes out, who and why, and from where it can be reached."""
    told = {
        "peers": ("the other states' gateways", "questions, tables and cosignatures between states"),
        "home": ("the agencies' own systems", "officers' questions, within this site"),
        "auditors": ("the home auditors", "reading the log, within this site"),
        "metrics": ("the monitoring system of this site", "numbers without persons, within this site"),
    }
    rows = []
    for place in fields(Listeners):
        address = getattr(settings.listeners, place.name)
        who, why = told[place.name]
        rows.append(
            {
                "direction": "in",
                "address": str(address),
                "port": str(address.port),
                "protocol": "TCP, HTTP" if place.name == "metrics" else "TCP, mutual TLS 1.3",
                "reach": "this machine" if is_loopback(address.host) else "outside",
                "who": who,
                "why": why,
            }
        )
    listed = federation.in_force(settings)
    for member in listed.document.members if listed is not None else ():
        if member.state != settings.state:
            rows += [
                {
                    "direction": "out",
                    "address": endpoint,
                    "port": endpoint.rpartition(":")[2],
                    "protocol": "TCP, mutual TLS 1.3",
                    "reach": "outside",
                    "who": str(member.state),
                    "why": "our questions to this state, its tables, its cosignatures",
                }
                for endpoint in member.endpoints
            ]
    return rows


def _form(settings: Config, rows: list[dict[str, str]]) -> list[str]:
    open_ = [row for row in rows if row["direction"] == "in" and row["reach"] == "outside"]
    many = "port is" if len(open_) == 1 else "ports are"
    named = f": {', '.join(row['port'] for row in open_)}" if open_ else ""
    lines = [
        f"Firewall form of the gateway of {settings.state}",
        "",
        *table(rows, ("direction", "address", "port", "protocol", "reach", "who", "why")),
        "",
        f"{len(open_)} {many} open to the outside{named}. TLS must pass untouched: a proxy that ends it is refused.",
    ]
    if len(open_) > 1:
        lines.append("Only listeners.peers has to be: bind the others to addresses within the site.")
    elif not open_:
        lines.append("No other state can reach this node: bind listeners.peers to an outside address.")
    return lines


def _told(findings: list[Finding]) -> Iterator[str]:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        yield f"{finding.state:<4}  {finding.check:<{width}}  {finding.detail}"
        if finding.fix:
            yield f"{'':<4}  {'':<{width}}  -> {finding.fix}"


def _clock(patient: Patient) -> Iterator[Finding]:
    if patient.settings.clock.kind == "virtual":
        shift_days = (patient.now_ns - patient.wall_ns) / DAY_NS
        yield Finding("clock", "warn", f"a virtual clock, {shift_days:+.1f} days from this machine's", "")
        return
    written_ns = _last_written(patient.settings.paths.store)
    if written_ns > patient.wall_ns:
        behind_s = (written_ns - patient.wall_ns) // 10**9
        yield Finding("clock", "fail", f"stands {behind_s} s before the store's last change", CLOCK_FIX)
    elif any(path.exists() for path in TIME_SERVICES):
        yield Finding("clock", "ok", "a time service keeps it")
    else:
        yield Finding("clock", "warn", "no time service was found", CLOCK_FIX)


def _last_written(folder: Path) -> int:
    return max((path.stat().st_mtime_ns for path in folder.glob("*")), default=0)


def _certificates(patient: Patient) -> Iterator[Finding]:
    folder = patient.settings.paths.tls
    anchor = bytes_of(folder / "anchor.crt")
    for role in ("gateway", "home", "auditors"):
        name = f"certificate {role}"
        fix = "issue it anew for the same key: `limen node renew --anchor DIR`"
        try:
            der = certificates.der_of(bytes_of(folder / f"{role}.crt"))
            leaf = certificates.identity(der)
            certificates.verify_issued(der, anchor)
            _matches(folder / f"{role}.key", der)
        except GatewayError as cause:
            yield Finding(name, "fail", str(cause), fix)
            continue
        days = (leaf.not_after_ns - patient.wall_ns) // DAY_NS
        if (leaf.state, leaf.role, leaf.realm) != (patient.settings.state, role, patient.settings.realm):
            yield Finding(name, "fail", f"is {leaf.uri}", fix)
        elif leaf.not_before_ns > patient.wall_ns:
            yield Finding(name, "fail", "is not in force yet: this machine's clock is wrong", CLOCK_FIX)
        elif not leaf.in_force(patient.wall_ns):
            yield Finding(name, "fail", f"is not in force: it ended {_ago(patient.wall_ns, leaf.not_after_ns)}", fix)
        elif days < SOON_DAYS:
            yield Finding(name, "warn", f"ends in {days} days", fix)
        else:
            yield Finding(name, "ok", f"{leaf.uri}, {days} days left")


def _ago(now_ns: int, then_ns: int) -> str:
    days = (now_ns - then_ns) // DAY_NS
    return f"{days} days ago" if days != 1 else "a day ago"


def _matches(path: Path, der: bytes) -> None:
    if certificates.public_pin(bytes_of(path)) != certificates.spki_pin(der):
        raise ConfigRefused(f"{path}: is not the key of the certificate beside it")


def _keys(patient: Patient) -> Iterator[Finding]:
    folder = patient.settings.paths.keys
    try:
        files.read_public(folder)
        for purpose in files.PURPOSES:
            files.read_secret(files.key_path(folder, purpose), purpose).free()
        for place in sorted([*folder.glob("seeds/*/*.key"), *patient.settings.paths.tls.glob("*.key")]):
            files.judge_mode(place, place.stat().st_mode)
    except ConfigRefused as cause:
        told, _, order = str(cause).partition("; run `")
        if order:
            fix = f"`{order}, and take the key for known if anybody else has been on this machine"
        else:
            fix = "put the folder keys back from the backup (limen node restore)"
        yield Finding("keys", "fail", told, fix)
        return
    seeds = sum(1 for _ in files.SeedFiles(folder / "seeds"))
    yield Finding("keys", "ok", f"every purpose has its key; {seeds} epoch seeds")


def _left_behind(patient: Patient) -> Iterator[Finding]:
    left = [
        name
        for name in ("anchor", "policy-authority", "handover")
        if any((patient.settings.root / name).glob("*.key")) or any((patient.settings.root / name).glob("*.pem"))
    ]
    if left:
        yield Finding(
            "off the node",
            "warn",
            f"private keys still lie in {', '.join(left)}",
            "move these folders off this machine",
        )
    else:
        yield Finding("off the node", "ok", "no key that belongs elsewhere lies here")


def _memory(patient: Patient) -> Iterator[Finding]:
    try:
        report = asyncio.run(_key_process(patient.settings))
    except KeysUnavailable:
        try:
            probe = secret.Locked(bytes(32))
        except MemoryError as cause:
            yield Finding("memory", "fail", str(cause), "raise the limit on locked memory (LimitMEMLOCK=infinity)")
            return
        locked = probe.is_locked
        probe.free()
        report = {"all_locked": locked, "buffers_locked": locked, "dumpable": False}
        where = "the key process does not run; a key buffer here"
    else:
        where = "the key process's memory"
    if report["dumpable"]:
        yield Finding("memory", "fail", "the key process could leave a core file", "restart the node")
    elif not report["buffers_locked"]:
        yield Finding(
            "memory", "warn", f"{where} may be swapped out", "raise the limit on locked memory, or run without swap"
        )
    elif not report["all_locked"]:
        yield Finding("memory", "ok", f"{where}: keys are locked; other memory may be swapped (LimitMEMLOCK=infinity)")
    else:
        yield Finding("memory", "ok", f"{where} is locked")


async def _key_process(settings: Config) -> dict[str, bool]:
    keys = KeysClient(settings.socket("keys"), wait_s=0.0)
    try:
        return dict(await keys.status())
    finally:
        await keys.close()


def _libc(patient: Patient) -> Iterator[Finding]:
    name, _, version = patient.machine.glibc().partition(" ")
    parts_ = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    least = ".".join(map(str, GLIBC_MIN))
    if name != "glibc" or len(parts_) != 2:
        yield Finding(
            "C library", "fail", "is not glibc", f"run the gateway on a Linux with glibc {least} or newer (Debian 12)"
        )
    elif parts_ < GLIBC_MIN:
        yield Finding(
            "C library",
            "fail",
            f"is {name} {version}, and the policy engine needs {least}",
            "update the operating system (Debian 12 or newer), or use the OPA server as policy engine",
        )
    else:
        yield Finding("C library", "ok", f"{name} {version}")


def _carrier(patient: Patient) -> Iterator[Finding]:
    source = patient.machine.carrier()
    lenient = [name for name, encoding in group.NO_POINTS.items() if patient.machine.is_point(encoding)]
    told = f"ristretto255 by {source}, self-test passed"
    if not lenient:
        yield Finding("group arithmetic", "ok", told)
        return
    # Our own judgement stands before the library's in every operation, so a lenient one opens nothing by itself.
    yield Finding(
        "group arithmetic",
        "ok" if lenient == [group.COMMON_LENIENCE] else "warn",
        f"{told}; it takes for points what is none ({', '.join(lenient)}), which this gateway refuses itself",
        f"install libsodium 1.0.19 or newer when you can, or set {sodium.LIBRARY_VARIABLE} to its path",
    )


def _store(patient: Patient) -> Iterator[Finding]:
    folder = patient.settings.paths.store
    if not database.is_there(folder):
        yield Finding(
            "store", "fail", f"there is no store in {folder}", "`limen init` makes one, a backup restores one"
        )
        return
    reader = Reader(folder)
    try:
        held = reader.last_checkpoint()
        origin = reader.origin()
    finally:
        reader.close()
    if (folder / postgres.FILE).exists():
        place = postgres.read(folder / postgres.FILE)
        where = f"{place.host}, over TLS" if place.host else f"the socket in {place.socket}"
        yield Finding("database", "ok", f"PostgreSQL, schema {place.schema}, at {where}")
    told = "no checkpoint yet" if held is None else f"last checkpoint {held[1].hex()[:16]}..."
    yield Finding("store", "ok", f"{origin}, {told}")
    mark = lock.restored(patient.settings.paths.lock)
    if mark.startswith(lock.ENDED):
        yield Finding("log", "fail", mark.removeprefix(lock.ENDED), "the node does not start with this log")
    elif mark:
        yield Finding(
            "log",
            "warn",
            "was restored: nothing is signed before a peer has said what it has seen of it",
            "start the node where a peer can be reached; it goes on by itself",
        )
    free = patient.machine.free_bytes(folder)
    if free < FULL_BYTES:
        yield Finding(
            "disk",
            "fail",
            f"the store's disk is full ({free >> 20} MiB free): no entry can be written and no answer leaves",
            "make room; the node goes on by itself, nothing was half done",
        )
    elif free < TIGHT_BYTES:
        yield Finding(
            "disk",
            "fail",
            f"{free >> 20} MiB free on the store's disk, and the log may need {TIGHT_BYTES >> 20} at once",
            "make room: a full disk stops every answer",
        )
    elif free < FREE_BYTES_MIN:
        yield Finding("disk", "warn", f"{free >> 20} MiB free", "make room: a full disk stops every answer")
    if patient.settings.production and os.stat(folder).st_dev == os.stat(patient.settings.paths.lock).st_dev:
        yield Finding("lock", "warn", "the lock record lies on the store's own disk", "set paths.lock to another disk")


def _compared(patient: Patient) -> Iterator[Finding]:
    """How holding each peer's log against its messages ended last."""
    if patient.listed is None or not database.is_there(patient.settings.paths.store):
        return
    reader = Reader(patient.settings.paths.store)
    try:
        held = {
            member.state: reader.compared(member.state)
            for member in patient.listed.document.members
            if member.state != patient.settings.state
        }
    finally:
        reader.close()
    for state, said in held.items():
        if said is None:
            continue
        last = nightly.Compared.decode(said)
        name = f"log of {state}"
        when = f"on {datetime.fromtimestamp(last.time_ns // 10**9, UTC):%Y-%m-%d %H:%M} UTC"
        if last.fault:
            yield Finding(
                name,
                "fail",
                f"does not agree with what it signed ({last.fault}), found {when}",
                "hold both logs against each other: `limen audit reconcile`, docs/flows/nightly.md",
            )
        elif last.reason:
            yield Finding(name, "warn", f"cannot be held against its messages: {last.reason}", "ask it to update")
        else:
            yield Finding(name, "ok", f"agreed with its messages {when}")


def _folders(patient: Patient) -> Iterator[Finding]:
    """What a node writes to must be writable by who runs it."""
    paths = patient.settings.paths
    for name in ("run", "store", "lock", "tables", "events"):
        folder = getattr(paths, name)
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            yield Finding(name, "fail", f"{folder} cannot be written by this user", f"chown or chmod u+rwx {folder}")


def _engine(patient: Patient) -> Iterator[Finding]:
    """Whether the engine that the settings name has this node's bundles in force and decides their golden questions."""
    settings = patient.settings
    if settings.policy.engine == "embedded":
        return

    async def asked(reader: Reader) -> None:
        async with engines.of_node(settings, reader, now_ns=patient.now_ns, pinned_baseline=b""):
            pass

    reader = Reader(settings.paths.store)
    try:
        asyncio.run(asked(reader))
    except GatewayError as cause:
        yield Finding(
            "policy engine",
            "fail",
            f"{settings.policy.server}: {cause}: everything is denied",
            "start the OPA server (`limen policy opa-config` writes its files and says how), with this node's bundles",
        )
    else:
        yield Finding("policy engine", "ok", f"{settings.policy.server} holds both bundles and decides as they say")
    finally:
        reader.close()


def _policy(patient: Patient) -> Iterator[Finding]:
    folder = patient.settings.paths.policy
    baseline = patient.listed.document.baseline if patient.listed is not None else None
    for layer, scope in (
        ("baseline", bundle.BASELINE),
        ("national", bundle.national_scope(patient.settings.state)),
    ):
        name = f"policy {layer}"
        if not (folder / f"{layer}.tar.gz").exists():
            yield Finding(
                name,
                "fail",
                f"there is no {layer} bundle: everything is denied",
                "get a signed bundle and put it in force with `limen policy activate`",
            )
            continue
        keys = bundles.policy_keys(folder, layer)
        try:
            opened = bundle.open_(bytes_of(folder / f"{layer}.tar.gz"), keys, scope, 0, patient.now_ns)
        except GatewayError as cause:
            yield Finding(
                name, "fail", str(cause), "get a signed bundle and put it in force with `limen policy activate`"
            )
            continue
        days = (opened.not_after_ns - patient.now_ns) // DAY_NS
        if layer == "baseline" and baseline is not None and opened.digest != baseline:
            yield Finding(
                name, "fail", "is not the one the federation names: peers refuse this node", "get the region's bundle"
            )
        elif days < SOON_DAYS:
            yield Finding(name, "warn", f"ends in {days} days; then nothing is permitted", "get the next bundle")
        else:
            yield Finding(name, "ok", f"number {opened.sequence}, {days} days left")


def _officers(patient: Patient) -> Iterator[Finding]:
    people = parts.register_of(patient.settings).people()
    active = sum(person.in_force(patient.now_ns) for person in people)
    if active:
        yield Finding("officers", "ok", f"{active} in force of {len(people)} ever enrolled")
    else:
        yield Finding("officers", "warn", "nobody is enrolled", "run `limen officer enrol`")


def _federation(patient: Patient) -> Iterator[Finding]:
    if patient.listed is None:
        yield Finding(
            "federation", "warn", "no list of members yet", "become peers: `limen peer invite`, `limen peer accept`"
        )
        return
    listed = patient.listed.document
    days = (listed.expires_ns - patient.now_ns) // DAY_NS
    name = f"federation version {listed.version}"
    signers = document.signed_by(patient.listed, listed)
    if len(signers) < listed.threshold:
        yield Finding(name, "fail", f"signed by {len(signers)} of {listed.threshold}", "accept a list signed by enough")
    elif days < 0:
        yield Finding(
            name,
            "fail",
            f"expired {_ago(patient.now_ns, listed.expires_ns)}: no peer is spoken to and none is let in",
            "get the list that the members signed since, and `limen federation accept` it",
        )
    elif days < SOON_DAYS:
        yield Finding(name, "warn", f"ends in {days} days", "sign and accept the next version")
    else:
        yield Finding(name, "ok", f"{len(listed.members)} members, {days} days left")
    own = next((member for member in listed.members if member.state == patient.settings.state), None)
    pin = certificates.spki_pin(certificates.der_of(bytes_of(patient.settings.paths.tls / "gateway.crt")))
    public = files.read_public(patient.settings.paths.keys)
    if own is None:
        yield Finding("own card", "fail", "this state is not listed", "have the others list `limen federation card`")
    elif pin not in own.tls_pins:
        yield Finding(
            "own card",
            "fail",
            "the gateway's certificate is not pinned in the list: every peer will refuse this node",
            "put the listed certificate back into tls/, or have the others list a new card (limen federation card)",
        )
    elif public.message not in {key.public for key in own.message_keys}:
        yield Finding("own card", "fail", "the message key is not listed", "have the others list a new card")
    else:
        yield Finding("own card", "ok", "this node's keys are the listed ones")


def _peers(patient: Patient) -> Iterator[Finding]:
    if patient.listed is None:
        return
    view = FederationView(patient.listed.document)
    others = [state for state in view.states() if state != patient.settings.state]
    with ThreadPoolExecutor(8) as pool:
        yield from pool.map(lambda state: _peer(patient, view.member(state), state), others)


def _peer(patient: Patient, member: MemberKeys, state: PeerId) -> Finding:
    name = f"peer {state}"
    folder = patient.settings.paths.tls
    problem, fix = "has no endpoint", "ask the state for a card that says where it listens"
    for endpoint in member.endpoints:
        host, _, port = endpoint.rpartition(":")
        try:
            der = probing.presented(member, folder, host.strip("[]"), int(port), PEER_TIMEOUT_S)
            member.bind(der, patient.wall_ns)
        except NotIdentified as cause:
            return Finding(
                name, "fail", str(cause), "call the state and ask for its current card; do not connect before"
            )
        except GatewayError as cause:
            return Finding(name, "fail", str(cause), "see docs/operating.md")
        except socket.gaierror:
            problem, fix = (
                f"no name server knows {host}",
                f"have the name entered in this site's DNS, or ask {state} for another",
            )
        except TimeoutError:
            problem, fix = (
                f"nothing comes back from {endpoint}",
                f"open TCP {port} to {host} in both firewalls: `limen doctor --ports` prints the form",
            )
        except OSError as cause:
            problem, fix = (
                f"{endpoint}: {cause.strerror or cause}",
                "ask the state whether its gateway runs and listens there, or see `limen doctor --ports`",
            )
        else:
            said = probing.described(patient.settings, state) if writer.is_running(patient.settings) else None
            apart = None if said is None else unlike(said)
            if apart is not None:
                return Finding(
                    name, "fail", apart, "update the older of the two gateways: until then it is unreachable"
                )
            return Finding(name, "ok", f"{endpoint} shows its pinned key")
    return Finding(name, "warn", problem, fix)


def unlike(said: Description) -> str | None:
    """Why a peer that says this of itself and we cannot work together; None where we can."""
    missing = probing.not_shared(said)
    return f"release {said.release} and ours share no {missing}" if missing else None
