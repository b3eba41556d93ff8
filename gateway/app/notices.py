"""When a case waits for our desk, somebody is told: number and due time, once for each due time, over restarts too.

Sent on a timer and never in a call's way. What is not taken is tried again, at longer and longer distances, for a day,
and then given up; the operational log says both without the case. The inbox (`limen case list --due`) is what counts, a
notice only points at it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.config import Config
from gateway.keyring.files import replace
from gateway.web.notices import Mail, Notice, NotTaken, Way, Webhook

GIVE_UP_S: Final = 24 * 3600
"""How long a notice is tried."""

PAUSE_S_MAX: Final = 3600
"""Longest time between two tries; the first is the timer's own distance, and each is twice the one before."""

TOLD: Final = "notices.told"
"""In the store's folder: what was taken, one line each, a digest of notice and way. Without it all is told again."""


def ways_of(settings: Config) -> tuple[Way, ...]:
    """The ways that the settings name; none is the default. Raises ConfigRefused."""
    timeout_s = settings.notices.timeout_ms / 1000
    ways: list[Way] = []
    if settings.notices.webhook:
        ways.append(Webhook.of(settings.notices.webhook, settings.notices.webhook_ca, timeout_s))
    if (server := settings.notices.mail_server) is not None:
        sender, to = settings.notices.mail_from, settings.notices.mail_to
        ways.append(Mail.of(server.host, server.port, sender, to, settings.notices.mail_ca, timeout_s))
    return tuple(ways)


NEVER_NS: Final = 2**63 - 1


@dataclass(slots=True)
class _Try:
    """A notice that was not taken: first and next try, UTC ns, and the pause after that."""

    first_ns: int
    next_ns: int
    pause_s: float


@dataclass(slots=True)
class Notices:
    """The notices of one gateway process. `waiting` gives the cases that wait for our own people now."""

    settings: Config
    ways: Sequence[Way]
    waiting: Callable[[], Sequence[Notice]]
    complain: Callable[[str], None]
    now_ns: Callable[[], int]
    _trying: dict[str, _Try] = field(default_factory=dict)
    """What was not taken yet, by digest."""

    @property
    def every_s(self) -> float:
        """How often `tick` is due."""
        return float(self.settings.notices.every_s)

    async def tick(self) -> None:
        """Tell what was not told yet. Where several processes serve, one of them does it."""
        with self._mine() as mine:
            if not mine:
                return
            now = list(dict.fromkeys(self.waiting()))
            before = self._told()
            due = {self._digest(notice, way): (notice, way) for way in self.ways for notice in now}
            told = before & due.keys()
            self._trying = {digest: tried for digest, tried in self._trying.items() if digest in due}
            for digest, (notice, way) in due.items():
                if digest not in told and await self._tell(digest, notice, way):
                    told.add(digest)
                    # After each, not at the end: a node that is killed here tells nothing twice.
                    self._keep(told)
            if told != before:
                self._keep(told)

    async def _tell(self, digest: str, notice: Notice, way: Way) -> bool:
        """One try, if it is time for one. True where it was taken."""
        now_ns = self.now_ns()
        tried = self._trying.setdefault(digest, _Try(now_ns, now_ns, self.every_s))
        if now_ns < tried.next_ns:
            return False
        try:
            await way.send(notice)
        except NotTaken as failed:
            if now_ns - tried.first_ns >= GIVE_UP_S * 10**9:
                tried.next_ns = NEVER_NS
                self.complain(f"notices: {failed}; given up after a day; the inbox shows what waits")
            else:
                tried.next_ns = now_ns + int(tried.pause_s * 10**9)
                self.complain(f"notices: {failed}; tried again in {tried.pause_s:.0f} s")
                tried.pause_s = min(2 * tried.pause_s, PAUSE_S_MAX)
            return False
        del self._trying[digest]
        return True

    def _digest(self, notice: Notice, way: Way) -> str:
        """One notice by one way: its kind is enough, there is one of each."""
        return hashlib.sha256(type(way).__name__.encode() + b"\0" + notice.document()).hexdigest()

    def _told(self) -> set[str]:
        try:
            return set((self.settings.paths.store / TOLD).read_text("ascii").split())
        except (OSError, ValueError):
            return set()

    def _keep(self, told: set[str]) -> None:
        """Remember. Where the disk does not take it, notices are told again after a restart."""
        with contextlib.suppress(OSError):
            replace(self.settings.paths.store / TOLD, "".join(f"{digest}\n" for digest in sorted(told)).encode("ascii"))

    @contextlib.contextmanager
    def _mine(self) -> Iterator[bool]:
        descriptor = os.open(self.settings.paths.run / "notices.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
        finally:
            os.close(descriptor)
