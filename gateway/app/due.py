"""Whether there is work for a node's jobs. The supervisor asks on each tick, so this imports next to nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.primitives.lp import lp
from gateway.store.lock import is_restored
from gateway.store.reader import Reader
from gateway.terms.exchange import Epoch
from gateway.terms.words import EpochState, ListId

DAY_NS = 24 * 3600 * 10**9


def made_from(settings: Config) -> Path:
    """Where the last run left the digest of what it made tables from."""
    return settings.paths.tables / "made-from"


def is_due(settings: Config, now_ns: int) -> bool:
    """True where tables are due: asked by the supervisor on each publish tick."""
    with _reading(settings) as reader:
        if reader is None or reader.federation() is None or reader.policy_sequence("national") is None:
            return False
        path = made_from(settings)
        return not path.exists() or path.read_text("ascii").strip() != stamp(settings, reader, now_ns)


def met_file(settings: Config) -> Path:
    """Where the last run left the digest of the members and rules that it knew."""
    return settings.paths.tables / "met"


def is_first_due(settings: Config) -> bool:
    """True where peers may have come that have no table yet: asked by the supervisor every few seconds.

    Members and rules alone decide it, never a list: when first tables are made says nothing of what stands in them.
    """
    with _reading(settings) as reader:
        if reader is None or reader.federation() is None or reader.policy_sequence("national") is None:
            return False
        path = met_file(settings)
        return not path.exists() or path.read_text("ascii").strip() != met(reader)


def releases_wait(settings: Config) -> bool:
    """True where a release was charged and is not made: asked on each tick of statistics."""
    with _reading(settings) as reader:
        return reader is not None and reader.has_waiting_releases()


@contextmanager
def _reading(settings: Config) -> Iterator[Reader | None]:
    """The node's database; None where no job may run: it cannot be opened, or was restored and not confirmed."""
    if is_restored(settings.paths.lock):
        yield None
        return
    try:
        reader = Reader(settings.paths.store)
    except GatewayError:
        yield None
        return
    with closing(reader):
        yield reader


def _is_due(one: Epoch, settings: Config, now_ns: int) -> bool:
    """Whether an epoch's tables are to be made, its next one opened, or its key destroyed."""
    is_ending = one.is_ending(now_ns, settings.epochs.days * DAY_NS)
    return one.state is EpochState.PENDING or is_ending or one.expires_ns <= now_ns


def met(reader: Reader) -> str:
    """A digest of the members and rules in force, and of the epochs whose tables are in the making."""
    pending = (f"{one.peer}/{one.epoch}" for one in reader.epochs() if one.state is EpochState.PENDING)
    return hashlib.sha256(lp("limen/met/1", *_rules(reader), *pending)).hexdigest()


def _rules(reader: Reader) -> tuple[str, ...]:
    federated = reader.federation()
    return (
        str(federated[0] if federated else 0),
        *(repr(reader.policy_sequence(layer)) for layer in ("baseline", "national")),
        ",".join(reader.suspended()),
    )


def stamp(settings: Config, reader: Reader, now_ns: int) -> str:
    """A digest of everything tables are made from; another one than the last run's means that tables are due."""
    digest = hashlib.sha256(
        lp(
            "limen/tables due/1",
            *_rules(reader),
            *(f"{one.peer}/{one.epoch}" for one in reader.epochs() if _is_due(one, settings, now_ns)),
            # An entry's last day ends at midnight, and its row leaves the tables then.
            str(now_ns // DAY_NS),
        )
    )
    for list_id in ListId:
        for body in reader.all(list_id):
            digest.update(hashlib.sha256(body).digest())
    return digest.hexdigest()
