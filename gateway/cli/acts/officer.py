"""`limen officer`: persons, their keys and roles; a token of ten minutes for checks.

The register is signed by a key that is kept off the node (`--register-key`), a person's key by its passphrase: the node
can make neither an officer nor an officer's signature.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from gateway.alerts import declared
from gateway.app import parts
from gateway.audit.entry import Entry, Phase
from gateway.cli import node, passphrase
from gateway.cli.acts import booth, writer
from gateway.cli.inputs import bytes_of
from gateway.cli.main import ERROR, OK, Refused, fail
from gateway.cli.output import emit, table
from gateway.config import Config
from gateway.errors import AuditUnavailable, ConfigRefused, InputRefused
from gateway.federation import officers
from gateway.federation.officers import Enrolled, Line, Register
from gateway.keyring import files, personal
from gateway.primitives import ed25519
from gateway.terms.ids import AgencyId, OfficerId
from gateway.terms.words import Role

DAY_NS = 86_400 * 10**9
CIRCLE_BYTES_MAX = 1 << 20


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return {"enrol": _enrol, "login": _login, "list": _list, "retire": _retire, "declare": _declare}[args.verb](args)


def _enrol(args: argparse.Namespace) -> int:
    settings = node.load(args)
    now_ns = node.clock_of(settings).now_ns()
    if not 1 <= args.days <= 3660:
        raise Refused("--days: write 1 to 3660")
    number = OfficerId(args.officer)
    agency = _agency(args.agency, settings)
    roles = _roles(args.role)
    with _locked(settings):
        register = parts.register_of(settings)
        new_file: bytes | None = None
        if args.key.exists():
            named, public = personal.officer_of(bytes_of(args.key))
            if named != number:
                raise InputRefused(f"{args.key} is the key of another personnel number", field="officer")
        else:
            new_file, public = personal.create(number, passphrase.ask(args, twice=True))
        person = Enrolled(number, agency, roles, public, now_ns, now_ns + args.days * DAY_NS)
        line = officers.enrol(register, person, now_ns, _register_seed(args, settings))
        if new_file is not None:
            files.write_new(args.key, new_file)
        try:
            grown = _append(settings, register, line)
        except BaseException:
            if new_file is not None:
                args.key.unlink()
            raise
    document = {**_row(person, now_ns), "key_file": str(args.key), "key_made": new_file is not None}
    return _logged(args, settings, grown, document, f"{number} is enrolled until {_day(person.valid_until_ns)}")


def _retire(args: argparse.Namespace) -> int:
    settings = node.load(args)
    now_ns = node.clock_of(settings).now_ns()
    with _locked(settings):
        register = parts.register_of(settings)
        line = officers.retire(register, OfficerId(args.officer), now_ns, _register_seed(args, settings))
        grown = _append(settings, register, line)
    return _logged(args, settings, grown, _row(line.person, now_ns), f"{args.officer} is retired")


def _list(args: argparse.Namespace) -> int:
    settings = node.load(args)
    now_ns = node.clock_of(settings).now_ns()
    rows = [_row(person, now_ns) for person in parts.register_of(settings).people()]
    lines = table(rows, ("officer", "agency", "roles", "valid_until", "in_force", "key")) or ["nobody is enrolled"]
    emit(args, rows, lines)
    return OK


def _login(args: argparse.Namespace) -> int:
    key = passphrase.unlock(args)
    place = booth.load(args)
    token, expires_ns = asyncio.run(booth.login(place, key))
    files.replace(place.token_file, token.encode("ascii"))
    emit(
        args,
        {"officer": key.officer, "token_file": str(place.token_file), "expires_ns": expires_ns},
        [f"{key.officer} is logged in until {datetime.fromtimestamp(expires_ns // 10**9, UTC):%H:%M:%S} UTC"],
    )
    return OK


def _declare(args: argparse.Namespace) -> int:
    settings = node.load(args)
    now_ns = node.clock_of(settings).now_ns()
    number = OfficerId(args.officer)
    person = parts.register_of(settings).officer(number, now_ns)
    inputs = [] if args.nobody else sorted(_circle(now_ns))
    if not inputs and not args.nobody:
        raise Refused("standard input has nobody; write --nobody to forget what was declared")
    folder = settings.paths.officers
    with _locked(settings):
        key_file, file = folder / declared.KEY_NAME, folder / declared.FILE_NAME
        if not key_file.exists():
            files.write_new(key_file, secrets.token_bytes(declared.KEY_BYTES))
        key = key_file.read_bytes()
        held = declared.decode(file.read_bytes()) if file.exists() else {}
        hashes = frozenset(declared.keyed(key, one) for one in inputs)
        if len(hashes) > declared.HASHES_MAX:
            raise InputRefused(f"more than {declared.HASHES_MAX} keys for one officer", field="officer", code="COUNT")
        after = {one: kept for one, kept in held.items() if one != number} | ({number: hashes} if hashes else {})
        files.replace(file, declared.encode(after))
    entry = Entry(
        "officer.declared",
        Phase.EVENT,
        public={"agency": person.agency},
        secret={"officer": number, "hashes": len(hashes)},
    )
    logged = asyncio.run(writer.log(settings, entry))
    document = {"officer": str(number), "hashes": len(hashes), "logged": logged}
    emit(args, document, [f"{number}: {len(hashes)} keys are watched; nobody is named"])
    return OK


def _circle(now_ns: int) -> Iterator[bytes]:
    """Every key of everybody on standard input. What it needs is imported only here: other verbs are quick."""
    from gateway_adapters import traveller

    from gateway.flows import alerting
    from gateway.flows.check import Traveller

    on = datetime.fromtimestamp(now_ns // 10**9, UTC).date()
    data = sys.stdin.buffer.read(CIRCLE_BYTES_MAX + 1)
    if len(data) > CIRCLE_BYTES_MAX:
        raise InputRefused("too long", field="officer", code="LONG")
    for _, seen in traveller.read_stream(data, on):
        yield from alerting.subject_keys(Traveller(seen.person, seen.documents))


def _file(settings: Config) -> Path:
    return settings.paths.officers / officers.FILE_NAME


def _append(settings: Config, register: Register, line: Line) -> Register:
    """Write the register with one more line, and read it back as the gateway will."""
    data = b"".join(one.raw + b"\n" for one in (*register.lines, line))
    grown = officers.read(data, bytes.fromhex(settings.register.public_key))
    files.replace(_file(settings), data)
    return grown


def _logged(
    args: argparse.Namespace, settings: Config, register: Register, document: Mapping[str, object], told: str
) -> int:
    """Enter the act into the log, now or at the next start: it does not count before."""
    try:
        logged = asyncio.run(writer.log_register(settings, register))
    except AuditUnavailable:
        return fail(f"{told}, but the log did not answer: it counts after the node's next start", ERROR)
    when = "it is in the log" if logged else "it counts when the node has started and logged it"
    emit(args, {**document, "logged": logged}, [f"{told}; {when}"])
    return OK


def _register_seed(args: argparse.Namespace, settings: Config) -> bytes:
    path = args.register_key or settings.root / "handover" / "register.key"
    held = files.read_secret(path, "register")
    seed = held.copy()
    held.free()
    if ed25519.public(seed).hex() != settings.register.public_key:
        raise ConfigRefused(f"{path}: is not the key that register.public_key names")
    return seed


@contextlib.contextmanager
def _locked(settings: Config) -> Iterator[None]:
    """One change of the register at a time."""
    descriptor = os.open(settings.paths.officers, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _agency(given: str | None, settings: Config) -> AgencyId:
    if given is None and len(settings.agencies) == 1:
        return settings.agencies[0]
    if given is None or given not in settings.agencies:
        raise Refused(f"--agency: write one of {', '.join(settings.agencies)}")
    return AgencyId(given)


def _roles(given: list[str]) -> tuple[Role, ...]:
    known = {role.value: role for role in Role}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise Refused(f"--role {unknown[0]}: write one of {', '.join(known)}")
    return tuple(dict.fromkeys(known[name] for name in given))


def _row(person: Enrolled, now_ns: int) -> dict[str, str]:
    return {
        "officer": str(person.officer),
        "agency": str(person.agency),
        "roles": ",".join(role.value for role in person.roles),
        "valid_until": _day(person.valid_until_ns),
        "in_force": "yes" if person.in_force(now_ns) else "no",
        "key": person.thumbprint.hex()[:16],
    }


def _day(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d")
