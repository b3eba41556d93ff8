"""The trust card: all that an auditor must know beforehand (C2SP tlog-policy, with two lines of our own).

    log pan.example/log+c9a6e7b1+AdE0...
    witness HND hnd.example/witness+b1d4...+BK...
    witness UTO uto.example/witness+77aa...+BB...
    group peers 1 HND UTO
    quorum peers
    seen pan.example/log 4096 3ZpT0dYv...=
    person 9f2c...

`seen` is ours: a head that this auditor, or somebody it trusts, has seen before. A copy that is shorter or says
otherwise was cut or rewritten. `person` is ours too: the SHA-256 of the public key of somebody whom the agency's
register has enrolled. Whoever runs a node can log an enrolment of his own; he cannot write on the card. The card
travels apart from the log; public keys only.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.audit.checkpoint import Checkpoint
from gateway.audit.cosign import Group, Quorum
from gateway.audit.note import LOG_KEY, WITNESS_KEY, Verifier
from gateway.errors import InputRefused, Malformed

_THUMBPRINT = re.compile(r"[0-9a-f]{64}\Z")

CARD_BYTES_MAX = 1 << 20
"""Longest card, bytes."""


@dataclass(frozen=True, slots=True)
class Card:
    """Whose logs are believed, which witnesses are enough, and what was seen before."""

    logs: tuple[Verifier, ...]
    quorum: Quorum
    seen: tuple[Checkpoint, ...] = ()
    persons: frozenset[bytes] = frozenset()
    """Key thumbprints of the register; where there are any, nobody else's signature counts."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Where a witness outside is asked, by its name on the card; as it stands there, not judged."""

    def log(self, origin: str) -> Verifier | None:
        """The key of the log with this origin."""
        return next((log for log in self.logs if log.name == origin), None)

    @classmethod
    def parse(cls, text: str) -> Card:
        """Read a card. Raises InputRefused with the line that is wrong."""
        if len(text) > CARD_BYTES_MAX:
            raise InputRefused("a trust card has at most 1 MiB", field="trust card")
        logs: list[Verifier] = []
        witnesses: dict[str, Verifier] = {}
        groups: dict[str, Group] = {}
        members: set[str] = set()
        seen: list[Checkpoint] = []
        persons: set[bytes] = set()
        urls: dict[str, str] = {}
        quorum = ""
        for number, line in enumerate(text.split("\n"), 1):
            words = line.replace("\t", " ").split(" ")
            words = [word for word in words if word]
            if not words or words[0].startswith("#"):
                continue
            try:
                match words:
                    case ["log", vkey] | ["log", vkey, _]:
                        logs.append(_key(vkey, LOG_KEY, logs))
                    case ["witness", name, vkey, *url] if len(url) <= 1:
                        _fresh(name, witnesses, groups)
                        witnesses[name] = _key(vkey, WITNESS_KEY, witnesses.values())
                        urls.update((name, one) for one in url)
                    case ["group", name, how, *names] if names:
                        _fresh(name, witnesses, groups)
                        groups[name] = _group(how, names, witnesses, groups, members)
                    case ["quorum", name] if not quorum:
                        if name != "none" and name not in witnesses and name not in groups:
                            raise Malformed("quorum", "the name is not defined above")
                        quorum = name
                    case ["seen", origin, size, root] if size.isascii() and size.isdecimal():
                        seen.append(Checkpoint(origin, int(size), base64.b64decode(root, validate=True)))
                    case ["person", thumbprint] | ["person", thumbprint, _] if _THUMBPRINT.match(thumbprint):
                        persons.add(bytes.fromhex(thumbprint))
                    case _:
                        raise Malformed("word 1", "not a line of a trust card")
            except (Malformed, ValueError, binascii.Error) as why:
                raise InputRefused(str(why), line=number, field="trust card", code="TRUST_CARD") from None
        if not quorum:
            raise InputRefused("the quorum line is missing; `quorum none` says that no witness is needed",
                               field="trust card", code="TRUST_CARD")  # fmt: skip
        return cls(tuple(logs), Quorum(quorum, witnesses, groups), tuple(seen), frozenset(persons), urls)

    def encode(self) -> str:
        """The card as text."""
        lines = [f"log {log.vkey}" for log in self.logs]
        lines += [
            " ".join(["witness", name, key.vkey, *([self.urls[name]] if name in self.urls else [])])
            for name, key in self.quorum.witnesses.items()
        ]
        lines += [f"group {name} {g.k} {' '.join(g.members)}" for name, g in self.quorum.groups.items()]
        lines.append(f"quorum {self.quorum.name}")
        lines += [f"seen {head.origin} {head.size} {base64.b64encode(head.root).decode()}" for head in self.seen]
        lines += [f"person {thumbprint.hex()}" for thumbprint in sorted(self.persons)]
        return "\n".join(lines) + "\n"


def bare(text: str) -> bytes:
    """What a card's fingerprint in words is made from: its lines without remarks, with single spaces."""
    rows = ([word for word in line.split(" ") if word] for line in text.replace("\t", " ").split("\n"))
    return "".join(" ".join(row) + "\n" for row in rows if row and not row[0].startswith("#")).encode()


def card(log: Verifier, witnesses: dict[str, Verifier], k: int) -> Card:
    """A card of one log, its witnesses and `k` of them as the quorum; 0 for none."""
    if k == 0:
        return Card((log,), Quorum("none", witnesses, {}))
    return Card((log,), Quorum("peers", witnesses, {"peers": Group(k, tuple(witnesses))}))


def _key(vkey: str, kind: int, held: Iterable[Verifier]) -> Verifier:
    key = Verifier.parse(vkey)
    if key.kind != kind:
        raise Malformed("vkey", "a key of another kind")
    if any(key.public == other.public for other in held):
        raise Malformed("vkey", "the same key twice")
    return key


def _fresh(name: str, witnesses: dict[str, Verifier], groups: dict[str, Group]) -> None:
    if name == "none" or name in witnesses or name in groups:
        raise Malformed("name", "the name is taken")


def _group(
    how: str, names: list[str], witnesses: dict[str, Verifier], groups: dict[str, Group], members: set[str]
) -> Group:
    for name in names:
        if name not in witnesses and name not in groups:
            raise Malformed("group", "a member is not defined above")
        # Each witness counts in one way only.
        if name in members:
            raise Malformed("group", "a member is in two groups or twice in one")
        members.add(name)
    k = {"all": len(names), "any": 1}.get(how)
    if k is None:
        if not (how.isascii() and how.isdecimal()):
            raise Malformed("group", "a group has all, any or a number")
        k = int(how)
    if not 1 <= k <= len(names):
        raise Malformed("group", "the number is not 1 to the count of members")
    return Group(k, tuple(names))
