"""What an asker reads on a hit: 32 bytes that say what to do and whom to call, and name nobody."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import Malformed
from gateway.primitives import aead
from gateway.pseudonym import schedule
from gateway.terms.words import Action, Handling, RecordKind

LABEL_BYTES: Final = 32
SEALED_BYTES: Final = LABEL_BYTES + aead.OVERHEAD_BYTES

_FORM: Final = struct.Struct(">BBBBHHH6x8s8x")
"""kind, action, urgency, handling, expiry day, contact, flags, 6 zeros, handle, 8 zeros."""


@dataclass(frozen=True, slots=True)
class Label:
    """A hit's label. Two entries that differ only in protection have equal labels apart from the handle (T12).

    `urgency` is 1 routine, 2 urgent, 3 immediate. `expiry_day` is the last day of validity in days since 1970-01-01
    (UTC), to 2149. `contact` is the number of a desk in the owner's card of the federation document. `flags` is a bit
    field of 16; psi/1 defines none, so senders write 0 and readers ignore what they do not know. `handle` has 8 bytes.
    """

    kind: RecordKind
    action: Action
    urgency: int
    handling: Handling
    expiry_day: int
    contact: int
    handle: bytes = field(repr=False)
    flags: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.urgency <= 3:
            raise ValueError("urgency is 1, 2 or 3")
        for value in (self.expiry_day, self.contact, self.flags):
            if not 0 <= value < 1 << 16:
                raise ValueError("expiry day, contact and flags have 16 bits")
        if len(self.handle) != schedule.HANDLE_BYTES:
            raise ValueError("a handle has 8 bytes")

    def encode(self) -> bytes:
        """The 32 bytes."""
        return _FORM.pack(
            self.kind, self.action, self.urgency, self.handling, self.expiry_day, self.contact, self.flags, self.handle
        )


def decode(data: bytes) -> Label:
    """Read 32 bytes.

    Raises:
        Malformed: another size, a code outside the vocabulary, or a reserved byte that is not zero.
    """
    if len(data) != LABEL_BYTES:
        raise Malformed("label", "a label has 32 bytes")
    kind, action, urgency, handling, expiry_day, contact, flags, handle = _FORM.unpack(data)
    try:
        label = Label(
            kind=RecordKind(kind),
            action=Action(action),
            urgency=urgency,
            handling=Handling(handling),
            expiry_day=expiry_day,
            contact=contact,
            handle=handle,
            flags=flags,
        )
    except ValueError:
        raise Malformed("label", "a code is not in the vocabulary") from None
    # Reserved bytes carry no covert mark past the reader: what re-encodes differently had something in them.
    if label.encode() != data:
        raise Malformed("label", "a reserved byte is not zero")
    return label


def seal_label(y: bytes, table_id: bytes, version: int, label: Label) -> bytes:
    """The 48 bytes that stand beside the tag of `y` (`schedule.label_row`) in table `table_id`, version `version`.

    The key is this version's and the nonce is the table's: a label that changes is sealed in a new version of a table
    with a new random id, so no (key, nonce) meets a second plaintext, even where a version number was lost and reused.

    Raises:
        ValueError: `y` has not 64 bytes, the table id not 16, or the version does not fit.
    """
    key, nonce, aad = _binding(y, table_id, version)
    return aead.seal(key, nonce, aad, label.encode())


def open_label(y: bytes, table_id: bytes, version: int, sealed: bytes) -> Label:
    """The label.

    Raises:
        VerificationFailed: it was sealed for another output, table or version, or was changed.
        Malformed: it opens, but its owner wrote no valid label.
        ValueError: `y` has not 64 bytes, the table id not 16, or the version does not fit.
    """
    key, nonce, aad = _binding(y, table_id, version)
    return decode(aead.open_(key, nonce, aad, sealed))


def _binding(y: bytes, table_id: bytes, version: int) -> tuple[bytes, bytes, bytes]:
    if len(table_id) != 16:
        raise ValueError("a table id has 16 bytes")
    tag, key = schedule.label_row(y, version)
    return key, table_id[: aead.NONCE_BYTES], table_id + schedule.version_bytes(version) + tag
