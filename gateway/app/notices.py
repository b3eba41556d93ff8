"""When a case waits for our desk, somebody is told: number and due time, once for each due time, with one retry.

Sent on a timer and never in a call's way. What cannot be sent is dropped after the second attempt and said in the
operational log without the case: the inbox (`limen case list --due`) is what counts, a notice only points at it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.config import Config
from gateway.web.notices import Mail, Notice, NotTaken, Way, Webhook

ATTEMPTS: Final = 2
REMEMBERED_MAX: Final = 100_000


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


@dataclass(slots=True)
class Notices:
    """The notices of one gateway process. `waiting` gives the cases that wait for our own people now."""

    settings: Config
    ways: Sequence[Way]
    waiting: Callable[[], Sequence[Notice]]
    complain: Callable[[str], None]
    _tried: dict[tuple[Notice, int], int] = field(default_factory=dict)
    """Attempts by notice and way. Forgotten at a restart: a case that still waits is told again then."""

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
            for place, way in enumerate(self.ways):
                for notice in now:
                    await self._tell(notice, place, way)
            keep = set(now)
            if len(self._tried) > REMEMBERED_MAX:
                self._tried = {key: count for key, count in self._tried.items() if key[0] in keep}

    async def _tell(self, notice: Notice, place: int, way: Way) -> None:
        tried = self._tried.get((notice, place), 0)
        if tried >= ATTEMPTS:
            return
        try:
            await way.send(notice)
            self._tried[notice, place] = ATTEMPTS
        except NotTaken as failed:
            self._tried[notice, place] = tried + 1
            then = "it is tried once more" if tried + 1 < ATTEMPTS else "it is dropped; the inbox shows the case"
            self.complain(f"notices: {failed}; {then}")

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
