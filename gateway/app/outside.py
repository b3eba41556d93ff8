"""The node's own tlog-policy (C2SP): which witnesses, outside the federation too, must have seen the log."""

from __future__ import annotations

from gateway.audit.trust import Card
from gateway.config import Config
from gateway.errors import ConfigRefused, InputRefused
from gateway.federation import names
from gateway.web.witness import HttpsWitness


def policy_of(settings: Config) -> Card | None:
    """The policy that the settings name, None where they name none.

    Raises:
        ConfigRefused: the file cannot be read, is no policy, or is about other logs than ours.
    """
    path = settings.witnesses.policy
    if path is None:
        return None
    try:
        card = Card.parse(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigRefused(f"witnesses.policy: {path} cannot be read ({type(cause).__name__})") from None
    except InputRefused as cause:
        raise ConfigRefused(f"witnesses.policy: {path}: {cause}") from None
    origin = names.log_origin(settings.state, settings.store.log_number)
    if card.logs and card.log(origin) is None:
        raise ConfigRefused(f"witnesses.policy: {path} is about other logs than {origin}")
    return card


def outside(settings: Config, card: Card | None) -> tuple[HttpsWitness, ...]:
    """The witnesses with an address: those that are asked over HTTPS. Raises ConfigRefused."""
    if card is None:
        return ()
    return tuple(
        HttpsWitness.of(card.quorum.witnesses[name], url, settings.witnesses.ca) for name, url in card.urls.items()
    )


__all__ = ["outside", "policy_of"]
