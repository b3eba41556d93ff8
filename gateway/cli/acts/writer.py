"""What commands enter into the log of a running node. A node that does not run enters it at its next start."""

from __future__ import annotations

import socket

from gateway.app import parts
from gateway.audit.entry import Entry
from gateway.config import Config
from gateway.federation.document import SignedDocument
from gateway.federation.officers import Register
from gateway.flows import enrol
from gateway.store import db as database
from gateway.store.client import WriterClient
from gateway.store.reader import Reader
from gateway.terms.ids import OfficerId
from gateway.terms.realm import Realm


def is_running(settings: Config) -> bool:
    """True when the node's writer answers its socket; a socket left behind by a crash does not."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(settings.socket("writer")))
        except OSError:
            return False
    return True


def listed(settings: Config) -> tuple[int, bytes] | None:
    """Version and file of the list of members that the node's log has in force; None before the first."""
    if not database.is_there(settings.paths.store):
        return None
    reader = Reader(settings.paths.store)
    try:
        return reader.federation()
    finally:
        reader.close()


async def log_register(settings: Config, register: Register) -> bool:
    """Enter new acts of the register into a running node's log. False when the node does not run.

    Raises:
        AuditUnavailable: it runs and did not answer; the acts enter at its next start.
        VerificationFailed: the register lacks acts that the log holds.
    """
    if not is_running(settings):
        return False
    reader = Reader(settings.paths.store)
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
    try:
        held = {OfficerId(row.officer): row.body for row in reader.officers()}
        await enrol.log_register(register, held, uow)
    finally:
        reader.close()
        await uow.close()
    return True


async def log(settings: Config, entry: Entry) -> bool:
    """Enter one act into a running node's log. False when the node does not run. Raises AuditUnavailable."""
    if not is_running(settings):
        return False
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
    try:
        await uow.commit([entry])
    finally:
        await uow.close()
    return True


async def adopt(settings: Config, signed: SignedDocument, now_ns: int) -> bool:
    """Put a list of members in force in a running node's log. False when the node does not run. Raises as above."""
    if not is_running(settings):
        return False
    reader = Reader(settings.paths.store)
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
    try:
        await enrol.adopt(signed, reader.federation(), now_ns, uow, Realm(settings.realm), seen=reader.witness)
    finally:
        reader.close()
        await uow.close()
    return True
