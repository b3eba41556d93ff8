"""Cosignatures and the quorum (C2SP tlog-cosignature, Ed25519 form; tlog-policy).

A cosignature says: at this time, the largest tree of this log that I have seen has this root, and it extends every one
I saw before. The Ed25519 form does not bind the cosigner's name, so every cosigner has a key of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gateway.audit.note import WITNESS_KEY, Verifier
from gateway.errors import Malformed


def line(text: bytes, time_s: int, cosigner: Verifier, sign: Callable[[bytes], bytes]) -> bytes:
    """One cosignature line over a checkpoint's text. `sign` is the Ed25519 of the cosigner's private half."""
    if cosigner.kind != WITNESS_KEY:
        raise Malformed("vkey", "not a witness key")
    return cosigner.signature(text, sign, time_s=time_s).line


@dataclass(frozen=True, slots=True)
class Group:
    """`k` of the named members, each a witness or a group defined before."""

    k: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quorum:
    """The rule that says when a checkpoint is cosigned well enough. `name` is a witness, a group, or `none`."""

    name: str
    witnesses: Mapping[str, Verifier]
    groups: Mapping[str, Group]

    @property
    def least(self) -> int:
        """How many witnesses are enough at the fewest."""

        def fewest(name: str) -> int:
            group = self.groups.get(name)
            return 1 if group is None else sum(sorted(map(fewest, group.members))[: group.k])

        return 0 if self.name == "none" else fewest(self.name)

    def reached(self, cosigned: Iterable[tuple[str, int]]) -> int | None:
        """When the rule was met, of `(key name, time)` of verified cosignatures; None where it is not.

        That is the time of the last one that is needed, the newest taken first.
        """
        names = {key.name: name for name, key in self.witnesses.items()}
        known = sorted(((time, names[key]) for key, time in cosigned if key in names), reverse=True)
        for count, (time, _) in enumerate(known, 1):
            if self.holds(name for _, name in known[:count]):
                return time
        return None

    def holds(self, cosigned: Iterable[str]) -> bool:
        """True when the witnesses of these policy names are enough."""
        present = set(cosigned)

        def counts(name: str) -> bool:
            group = self.groups.get(name)
            if group is None:
                return name in present
            return sum(counts(member) for member in group.members) >= group.k

        return self.name == "none" or counts(self.name)
