"""Enough witnesses must have seen our log lately, or nothing is disclosed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway import ports
from gateway.app.quorum import Quorum
from gateway.audit import kinds
from gateway.audit.entry import Entry, Phase
from gateway.audit.leaf import Prepared, encode
from gateway.config import Witnesses
from gateway.errors import WitnessesSilent
from gateway.terms.ids import PeerId

S = 10**9
BEGAN_S = 1_000_000
FIRST = encode(Prepared("node.started", "event", "", "3y", {"release": ""}, b"\xa0", b""), 0, BEGAN_S * S, 0, b"")


@dataclass
class Seen:
    """A log whose witnesses last signed at these times, s."""

    times: list[int] = field(default_factory=list)
    now_s: int = BEGAN_S

    def quorum_time(self, quorum: int) -> tuple[int, int] | None:
        return (16, sorted(self.times)[quorum - 1]) if len(self.times) >= quorum else None

    def cosigned(self, sizes: int) -> list[tuple[int, list[tuple[str, int]]]]:
        raise AssertionError("without a policy numbers are counted")

    def leaves(self, start: int, stop: int) -> Sequence[bytes]:
        return [FIRST][start:stop]

    def now_ns(self) -> int:
        return self.now_s * S

    def monotonic_ns(self) -> int:
        return 0

    async def sleep_until(self, monotonic_ns: int) -> None:
        return None


@dataclass
class Log:
    """Takes what the catalogue takes."""

    entries: list[Entry] = field(default_factory=list)

    async def commit(self, entries: Sequence[Entry], changes: Sequence[ports.Change] = ()) -> Any:
        for entry in entries:
            kinds.judge(entry)
        self.entries += entries


def made(seen: Seen, others: str = "HND UTO MEX", quorum: int = 0, silence_s: int = 100) -> Quorum:
    return Quorum(Witnesses(quorum, silence_s), seen, seen, lambda: [PeerId(one) for one in others.split()])


@pytest.mark.parametrize(("others", "set_", "needed"), [
    ("", 0, 0), ("HND", 0, 1), ("HND UTO", 0, 2), ("HND UTO MEX", 0, 2), ("HND UTO MEX GTM", 0, 3),
    ("HND UTO MEX", 1, 1), ("HND", 2, 1), ("", 1, 0),
])  # fmt: skip
def test_more_than_half_must_agree_unless_it_is_set(others: str, set_: int, needed: int) -> None:
    assert made(Seen(), others, set_).needed == needed


def test_silence_is_counted_from_the_last_of_a_quorum() -> None:
    seen = Seen([BEGAN_S + 10, BEGAN_S + 50])
    quorum = made(seen)
    for now, silent in ((60, False), (150, False), (151, True)):
        seen.now_s = BEGAN_S + now
        assert quorum.is_silent() is silent
    with pytest.raises(WitnessesSilent):
        quorum.judge()
    seen.times.append(BEGAN_S + 151)
    seen.times.append(BEGAN_S + 152)
    # One is not enough: the second newest counts where two must agree on one checkpoint.
    seen.times = [BEGAN_S + 151, BEGAN_S + 152]
    quorum.judge()


def test_a_log_that_nobody_ever_saw_is_silent_after_the_same_time() -> None:
    seen = Seen()
    quorum = made(seen, "HND")
    seen.now_s = BEGAN_S + 100
    quorum.judge()
    seen.now_s += 1
    assert quorum.is_silent()


def test_a_node_without_peers_waits_for_nobody() -> None:
    seen = Seen(now_s=BEGAN_S + 10**6)
    made(seen, "").judge()


def test_falling_silent_and_coming_back_are_entries_once_each() -> None:
    seen, log = Seen([BEGAN_S]), Log()
    quorum = made(seen, "HND")
    said = []
    for now, times in ((50, [0]), (101, [0]), (150, [0]), (200, [190]), (210, [190])):
        seen.now_s, seen.times = BEGAN_S + now, [BEGAN_S + one for one in times]
        said.append(asyncio.run(quorum.watch(log)))
    assert said == [None, True, None, False, None]
    assert [(one.kind, one.phase, one.public["silent"]) for one in log.entries] == [
        ("witnesses.silent", Phase.EVENT, True), ("witnesses.silent", Phase.EVENT, False),
    ]  # fmt: skip
