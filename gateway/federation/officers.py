"""The agencies' register of officers: who may act, in which roles, until when, and with which key (T7).

The register is a file of lines that only grows. Each line is one act (a person enrolled or retired) as canonical JSON,
names the SHA-256 of the line before it and is signed by the register's key, which the node does not hold. So a gateway
can read the register and cannot write itself an officer; a line taken out of the middle breaks the chain; a cut tail is
found by comparing with the log, where every act is an entry (`unlogged`).

One key for each personnel number, and no key for two numbers, ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from gateway.errors import InputRefused, Malformed, NotIdentified, VerificationFailed
from gateway.primitives import ed25519
from gateway.terms.ids import AgencyId, OfficerId
from gateway.terms.words import Role

DOMAIN: Final = b"limen/register/1\n"
"""Stands before a line in what is signed."""

FIRST: Final = bytes(32)
"""What the first line names as the line before it."""

FILE_NAME: Final = "register.jsonl"
"""In the node's folder `officers`."""

LINE_BYTES_MAX: Final = 4096
REGISTER_BYTES_MAX: Final = 64 << 20

_OFFICER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_AGENCY = re.compile(r"[A-Z][A-Z0-9]{1,11}\Z")
_FIELDS = frozenset(
    {
        "seq",
        "previous",
        "act",
        "officer",
        "agency",
        "roles",
        "public_key",
        "valid_from_ns",
        "valid_until_ns",
        "at_ns",
        "signature",
    }
)


class Act(StrEnum):
    """What a line says about a person."""

    ENROLLED = "enrolled"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One person as the register holds them. Times are UTC ns; the end is not included."""

    officer: OfficerId
    agency: AgencyId
    roles: tuple[Role, ...]
    public_key: bytes = field(repr=False)
    valid_from_ns: int
    valid_until_ns: int

    @property
    def thumbprint(self) -> bytes:
        """SHA-256 of the public key: all that others see of the person."""
        return sha256(self.public_key).digest()

    def in_force(self, at_ns: int) -> bool:
        """True within the validity."""
        return self.valid_from_ns <= at_ns < self.valid_until_ns


@dataclass(frozen=True, slots=True)
class Line:
    """One act. `digest` is the SHA-256 of the exact line; entries of the log and the store name lines by it."""

    seq: int
    act: Act
    person: Enrolled
    at_ns: int
    digest: bytes = field(repr=False)
    raw: bytes = field(repr=False)


class Register:
    """The register as its lines leave it. Replaced whole when the file has grown."""

    def __init__(self, lines: Sequence[Line] = ()) -> None:
        self.lines = tuple(lines)
        self._people: dict[OfficerId, Enrolled] = {}
        self._last: dict[OfficerId, Line] = {}
        for line in lines:
            self._people[line.person.officer] = line.person
            self._last[line.person.officer] = line
        self._by_key = {person.thumbprint: person for person in self._people.values()}

    @property
    def head(self) -> bytes:
        """SHA-256 of the last line."""
        return self.lines[-1].digest if self.lines else FIRST

    def last_line(self, officer: OfficerId) -> Line | None:
        """The last act about a person, or None."""
        return self._last.get(officer)

    def people(self) -> list[Enrolled]:
        """Everyone ever enrolled as they stand now, by personnel number."""
        return [self._people[officer] for officer in sorted(self._people)]

    def officer(self, officer: OfficerId, at_ns: int) -> Enrolled:
        """The person of this personnel number, when in force.

        Raises:
            NotIdentified: not enrolled, retired, not yet or no longer valid.
        """
        return _in_force(self._people.get(officer), at_ns)

    def holder(self, thumbprint: bytes, at_ns: int) -> Enrolled:
        """The person whose key has this SHA-256. Raises NotIdentified."""
        return _in_force(self._by_key.get(thumbprint), at_ns)


def _in_force(person: Enrolled | None, at_ns: int) -> Enrolled:
    if person is None or not person.in_force(at_ns):
        raise NotIdentified("no officer of that number or key is in force")
    return person


def read(data: bytes, register_key: bytes) -> Register:
    """Read a register and verify every line.

    Raises:
        Malformed: a line has the wrong shape.
        VerificationFailed: step `register`, `position` the line from 0: its signature, the chain, or a rule.
    """
    if len(data) > REGISTER_BYTES_MAX:
        raise Malformed("register", f"has more than {REGISTER_BYTES_MAX} bytes")
    raws = data.split(b"\n")
    if raws.pop() != b"":
        raise Malformed("register", "does not end with a newline")
    lines: list[Line] = []
    judge = _Rules()
    previous = FIRST
    for number, raw in enumerate(raws):
        line, signed, signature, named = _line(raw, number)
        if line.seq != number or named != previous:
            raise VerificationFailed("register", "the line does not follow the one before it", position=number)
        try:
            ed25519.verify(register_key, DOMAIN + signed, signature)
        except VerificationFailed:
            raise VerificationFailed("register", "not signed by the register's key", position=number) from None
        problem = judge.problem(line)
        if problem:
            raise VerificationFailed("register", problem, position=number)
        judge.take(line)
        lines.append(line)
        previous = line.digest
    return Register(lines)


def enrol(register: Register, person: Enrolled, at_ns: int, seed: bytes) -> Line:
    """The line that enrols a person; the file plus this line is the new register. `seed` is the register's own.

    Raises:
        InputRefused: the number is enrolled and not retired, or the key was ever someone's, or the validity is empty.
    """
    return _append(register, Act.ENROLLED, person, at_ns, seed)


def retire(register: Register, officer: OfficerId, at_ns: int, seed: bytes) -> Line:
    """The line that ends a person's validity at `at_ns`. Raises InputRefused when nobody of that number is in force."""
    held = {person.officer: person for person in register.people()}.get(officer)
    if held is None or held.valid_until_ns <= at_ns:
        raise InputRefused("no officer of that number to retire", field="officer")
    ended = Enrolled(held.officer, held.agency, held.roles, held.public_key, min(held.valid_from_ns, at_ns), at_ns)
    return _append(register, Act.RETIRED, ended, at_ns, seed)


def unlogged(register: Register, logged: Mapping[OfficerId, bytes]) -> tuple[Line, ...]:
    """The lines that the log does not hold yet, oldest first. `logged` is the last line it holds of each officer.

    Raises:
        VerificationFailed: the log holds a line that the register does not: its tail was cut or replaced.
    """
    place = {line.raw: line.seq for line in register.lines}
    missing = [raw for raw in logged.values() if raw not in place]
    if missing:
        raise VerificationFailed("register", f"{len(missing)} acts of the log are missing from the register")
    last = {officer: place[raw] for officer, raw in logged.items()}
    return tuple(line for line in register.lines if line.seq > last.get(line.person.officer, -1))


class _Rules:
    """What one line may say after those before it."""

    def __init__(self) -> None:
        self._people: dict[OfficerId, Enrolled] = {}
        self._keys: dict[bytes, OfficerId] = {}

    def problem(self, line: Line) -> str:
        """Why the line may not stand here, or nothing."""
        person, held = line.person, self._people.get(line.person.officer)
        if line.act is Act.RETIRED:
            if held is None or held.public_key != person.public_key or person.valid_until_ns > line.at_ns:
                return "retires nobody"
            return ""
        if person.valid_until_ns <= person.valid_from_ns:
            return "the validity ends before it begins"
        if held is not None and held.valid_until_ns > line.at_ns:
            return "this personnel number has a key in force; retire it first"
        if person.public_key in self._keys:
            return "this key was enrolled before"
        return ""

    def take(self, line: Line) -> None:
        """Remember it."""
        self._people[line.person.officer] = line.person
        self._keys[line.person.public_key] = line.person.officer


def _append(register: Register, act: Act, person: Enrolled, at_ns: int, seed: bytes) -> Line:
    body = {
        "seq": len(register.lines),
        "previous": register.head.hex(),
        "act": act.value,
        "officer": person.officer,
        "agency": person.agency,
        "roles": [role.value for role in person.roles],
        "public_key": person.public_key.hex(),
        "valid_from_ns": person.valid_from_ns,
        "valid_until_ns": person.valid_until_ns,
        "at_ns": at_ns,
    }
    signature = ed25519.sign(seed, DOMAIN + _canonical(body))
    raw = _canonical({**body, "signature": signature.hex()})
    line, *_ = _line(raw, len(register.lines))
    rules = _Rules()
    for before in register.lines:
        rules.take(before)
    problem = rules.problem(line)
    if problem:
        raise InputRefused(problem, field="officer")
    return line


def _line(raw: bytes, number: int) -> tuple[Line, bytes, bytes, bytes]:
    """The line, what was signed of it, its signature, and the digest it names as the line before it."""
    at = f"register[{number}]"
    table = _table(raw, at)
    roles = table["roles"]
    if not isinstance(roles, list) or not roles or not all(isinstance(role, str) for role in roles):
        raise Malformed(f"{at}.roles", "are not a list of roles")
    if len(set(roles)) != len(roles) or not set(roles) <= _ROLES:
        raise Malformed(f"{at}.roles", "name an unknown role, or one twice")
    person = Enrolled(
        officer=OfficerId(_text(table, at, "officer", _OFFICER)),
        agency=AgencyId(_text(table, at, "agency", _AGENCY)),
        roles=tuple(Role(role) for role in roles),
        public_key=_hex(table, at, "public_key", 32),
        valid_from_ns=_whole(table, at, "valid_from_ns"),
        valid_until_ns=_whole(table, at, "valid_until_ns"),
    )
    if not isinstance(table["act"], str) or table["act"] not in _ACTS:
        raise Malformed(f"{at}.act", "is unknown")
    line = Line(
        seq=_whole(table, at, "seq"),
        act=Act(table["act"]),
        person=person,
        at_ns=_whole(table, at, "at_ns"),
        digest=sha256(raw).digest(),
        raw=raw,
    )
    signature, previous = _hex(table, at, "signature", 64), _hex(table, at, "previous", 32)
    signed = _canonical({name: value for name, value in table.items() if name != "signature"})
    return line, signed, signature, previous


_ROLES: Final = frozenset(role.value for role in Role)
_ACTS: Final = frozenset(act.value for act in Act)


def _canonical(table: Mapping[str, Any]) -> bytes:
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _table(raw: bytes, at: str) -> dict[str, Any]:
    if len(raw) > LINE_BYTES_MAX:
        raise Malformed(at, f"has more than {LINE_BYTES_MAX} bytes")
    try:
        table = json.loads(raw.decode("ascii"))
        again = _canonical(table) if isinstance(table, dict) else b""
    except (ValueError, RecursionError):
        raise Malformed(at, "is not JSON") from None
    # The canonical form also excludes a key that stands twice.
    if again != raw or table.keys() != _FIELDS:
        raise Malformed(at, "is not a line of a register in canonical form")
    return dict(table)


def _text(table: Mapping[str, Any], at: str, name: str, shape: re.Pattern[str]) -> str:
    value = table[name]
    if not isinstance(value, str) or not shape.match(value):
        raise Malformed(f"{at}.{name}", "has the wrong form")
    return value


def _hex(table: Mapping[str, Any], at: str, name: str, size: int) -> bytes:
    return bytes.fromhex(_text(table, at, name, re.compile(rf"[0-9a-f]{{{2 * size}}}\Z")))


def _whole(table: Mapping[str, Any], at: str, name: str) -> int:
    value = table[name]
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise Malformed(f"{at}.{name}", "is not a whole number")
    return value
