"""The federation document in force, as the node's processes see it."""

from __future__ import annotations

from gateway import ports
from gateway.config import Config
from gateway.errors import ConfigRefused
from gateway.federation import document
from gateway.federation.members import FederationView
from gateway.flows import enrol
from gateway.store.reader import Reader
from gateway.terms.realm import Realm


async def adopt(settings: Config, reader: Reader, now_ns: int, uow: ports.UnitOfWork) -> FederationView:
    """Bring the file's list into the log where it is newer, and return it.

    Raises:
        ConfigRefused: there is no list, or it does not name us.
        Malformed, VerificationFailed: the list cannot be trusted.
    """
    path = settings.paths.federation / document.FILE_NAME
    try:
        signed = document.parse(path.read_bytes())
    except OSError as cause:
        raise ConfigRefused(
            f"{path}: no list of members ({cause.strerror}); `limen federation accept` puts one in place"
        ) from None
    adopted = await enrol.adopt(signed, reader.federation(), now_ns, uow, Realm(settings.realm), seen=reader.witness)
    if settings.state not in {member.state for member in adopted.members}:
        raise ConfigRefused(f"{path}: does not list {settings.state}")
    return FederationView(adopted)


def in_force(settings: Config, reader: Reader, now_ns: int) -> FederationView:
    """The list that the log holds. Raises ConfigRefused before the first, NotIdentified when it has expired,
    VerificationFailed when it is of the other realm."""
    held = reader.federation()
    if held is None:
        raise ConfigRefused("no list of members is in force; start the node with `limen serve` first")
    view = FederationView(document.parse(held[1]).document)
    document.require_realm(view.document.realm, Realm(settings.realm))
    view.require_current(now_ns)
    return view
