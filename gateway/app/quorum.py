"""Whether enough witnesses have seen our log lately. Where they have not, nothing is disclosed; nothing else waits.

A log that no witness sees can be rewritten by whoever runs the node. A disclosure cannot be taken back, so it is the
one thing that is held until a quorum has answered again (T13).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway import ports
from gateway.audit import cosign
from gateway.audit.entry import Entry, Phase
from gateway.audit.leaf import Leaf
from gateway.config import Witnesses
from gateway.errors import WitnessesSilent
from gateway.terms.ids import PeerId

SIZES_LOOKED_AT: Final = 256
"""How many checkpoints back a policy's quorum is looked for."""


class SeenLog(Protocol):
    """What is asked of the store."""

    def quorum_time(self, quorum: int) -> tuple[int, int] | None:
        """(size, UTC seconds) of the newest checkpoint with so many cosignatures."""

    def cosigned(self, sizes: int) -> Sequence[tuple[int, Sequence[tuple[str, int]]]]:
        """The newest cosigned checkpoints, newest first: size, and (key name, UTC seconds) of each cosignature."""

    def leaves(self, start: int, stop: int) -> Sequence[bytes]:
        """Leaves in order."""


@dataclass(slots=True)
class Quorum:
    """`others` are the members that are asked to witness us. One without others needs no witness."""

    witnesses: Witnesses
    log: SeenLog
    clock: ports.Clock
    others: Callable[[], Sequence[PeerId]]
    policy: cosign.Quorum | None = None
    """The node's tlog-policy, which then says who must agree, and not a number."""
    _began_ns: int = 0
    _silent: bool = False
    """What the log says."""

    @property
    def needed(self) -> int:
        """How many must agree; with a policy, how many at the fewest."""
        if self.policy is not None:
            return self.policy.least
        others = len(self.others())
        return min(others, self.witnesses.quorum) if self.witnesses.quorum else (others // 2 + 1 if others else 0)

    def reached(self) -> tuple[int, int]:
        """(size, UTC ns) of the newest checkpoint that so many had seen, and when; before that ever was, 0 and when
        the log began."""
        found = self.log.quorum_time(self.needed) if self.policy is None else self._by_policy(self.policy)
        if found is not None:
            return found[0], found[1] * 10**9
        if not self._began_ns:
            first = self.log.leaves(0, 1)
            self._began_ns = Leaf.parse(first[0]).time_ns if first else self.clock.now_ns()
        return 0, self._began_ns

    def _by_policy(self, policy: cosign.Quorum) -> tuple[int, int] | None:
        for size, lines in self.log.cosigned(SIZES_LOOKED_AT):
            time_s = policy.reached(lines)
            if time_s is not None:
                return size, time_s
        return None

    def is_silent(self) -> bool:
        """True where nothing may be disclosed."""
        return bool(self.needed) and self._is_past(self.reached()[1])

    def _is_past(self, reached_ns: int) -> bool:
        return self.clock.now_ns() - reached_ns > self.witnesses.silence_s * 10**9

    def judge(self) -> None:
        """Raises WitnessesSilent."""
        if self.is_silent():
            raise WitnessesSilent(
                f"{self.needed} witnesses have not seen our log for {self.witnesses.silence_s} s; see `limen status`"
            )

    async def watch(self, uow: ports.UnitOfWork) -> bool | None:
        """Write down when they fall silent and when they are back. Returns what is new, None where nothing is."""
        needed = self.needed
        size, reached_ns = self.reached() if needed else (0, 0)
        silent = bool(needed) and self._is_past(reached_ns)
        if silent == self._silent:
            return None
        await uow.commit(
            [
                Entry(
                    "witnesses.silent",
                    Phase.EVENT,
                    public={
                        "silent": silent,
                        "quorum": needed,
                        "size": size,
                        "reached_ns": reached_ns,
                    },
                )
            ]
        )
        self._silent = silent
        return silent
