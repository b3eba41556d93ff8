"""One operation at a time, the peers in turn: whoever asks much waits for itself and not for the others (T19)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any


class Turns:
    """A queue for each peer, served one operation each in rotation.

    An operation is arithmetic and cannot be interrupted, so someone who asks once waits at most for the operation that
    runs and for one of each other peer's, however many those have waiting.
    """

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[tuple[Callable[[], Any], asyncio.Future[Any]]]] = OrderedDict()
        self._serving: asyncio.Task[None] | None = None

    async def take(self, who: str, work: Callable[[], Any]) -> Any:
        """`work()`, when it is the turn of `who`. Work whose caller has gone meanwhile is left out."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(who, deque()).append((work, done))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await done

    async def _serve(self) -> None:
        while self._queues:
            who, queue = next(iter(self._queues.items()))
            work, done = queue.popleft()
            # To the end of the rotation, or out of it.
            if queue:
                self._queues.move_to_end(who)
            else:
                del self._queues[who]
            if not done.cancelled():
                try:
                    done.set_result(work())
                except Exception as error:
                    done.set_exception(error)
            # Let what has arrived meanwhile queue up before the next turn is given.
            await asyncio.sleep(0)
        self._serving = None
