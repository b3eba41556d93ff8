"""Signed notes and their keys (C2SP signed-note): text, a blank line, signature lines.

Two signature types are known here: 0x01, Ed25519 over the text (a log), and 0x04, a timestamped Ed25519 cosignature
(a witness; `audit.cosign`). Lines of other keys are kept and ignored, as the specification demands; a line of a known
key that does not verify spoils the whole note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import Malformed, VerificationFailed
from gateway.primitives import ed25519

NOTE_BYTES_MAX: Final = 1 << 17
"""Longest note taken, bytes: sixteen post-quantum signatures and room."""

SIGNATURES_MAX: Final = 64
"""Most signature lines taken; the specification asks for at least 16."""

LOG_KEY: Final = 0x01
"""Ed25519 over the note's text."""

WITNESS_KEY: Final = 0x04
"""Ed25519 over `cosignature/v1`, a time and the note's text (C2SP tlog-cosignature)."""

_DASH: Final = "— "
_TIME_BYTES: Final = 8


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """The 4-byte id that, with the name, tells which key made a line. Not a commitment: it can be collided at will."""
    return hashlib.sha256(name.encode() + b"\n" + bytes((kind,)) + public).digest()[:4]


def cosigned_message(text: bytes, time_s: int) -> bytes:
    """What a witness signs: header line, time line, the whole note text (C2SP tlog-cosignature)."""
    return b"cosignature/v1\ntime %d\n" % time_s + text


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line. `raw` is what follows the key id; its meaning is the key's."""

    name: str
    key_id: bytes
    raw: bytes = field(repr=False)

    @property
    def line(self) -> bytes:
        """The line as it stands in a note, newline included."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.raw).decode()}\n".encode()


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key that may sign notes, with the name it signs under. `public` has 32 bytes."""

    name: str
    kind: int
    public: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _judge_name(self.name)
        if self.kind not in (LOG_KEY, WITNESS_KEY):
            raise Malformed("vkey", "a signature type that is not known here")
        if len(self.public) != ed25519.PUBLIC_BYTES:
            raise Malformed("vkey", "a public key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """4 bytes."""
        return key_id(self.name, self.kind, self.public)

    @property
    def vkey(self) -> str:
        """The text form: `name+hex key id+base64(type, public key)`."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes((self.kind,)) + self.public).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """Read the text form. Raises Malformed, also when the key id is not the key's."""
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise Malformed("vkey", "a verifier key is name+id+key")
        name, id_text, key_text = parts
        material = _base64("vkey", key_text)
        if not material:
            raise Malformed("vkey", "no key")
        verifier = cls(name, material[0], material[1:])
        if id_text != verifier.key_id.hex():
            raise Malformed("vkey", "the key id is not this key's")
        return verifier

    def made(self, signature: Signature) -> bool:
        """True where the line claims this key, by name and id."""
        return signature.name == self.name and signature.key_id == self.key_id

    def verify(self, text: bytes, raw: bytes) -> int:
        """Check one signature over a note's text. Returns a cosignature's time in seconds, 0 for a log's signature.

        Raises:
            VerificationFailed: it does not hold.
        """
        if self.kind == LOG_KEY:
            ed25519.verify(self.public, text, raw)
            return 0
        time_s = int.from_bytes(raw[:_TIME_BYTES], "big")
        if time_s >= 1 << 63:
            raise VerificationFailed("cosignature", "the time is out of range")
        ed25519.verify(self.public, cosigned_message(text, time_s), raw[_TIME_BYTES:])
        return time_s

    def signature(self, text: bytes, sign: Callable[[bytes], bytes], *, time_s: int = 0) -> Signature:
        """Make a line. `sign` is the private half's Ed25519; `time_s` is used by a witness key only."""
        if self.kind == LOG_KEY:
            return Signature(self.name, self.key_id, sign(text))
        stamp = time_s.to_bytes(_TIME_BYTES, "big")
        return Signature(self.name, self.key_id, stamp + sign(cosigned_message(text, time_s)))


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart; nothing is verified yet. `text` ends in a newline."""

    text: bytes
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """The bytes again."""
        return self.text + b"\n" + b"".join(signature.line for signature in self.signatures)


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that holds. `time_s` is a cosignature's time, 0 for a log's."""

    verifier: Verifier
    time_s: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A note with at least one good signature of a known key and no bad one."""

    text: bytes
    verified: tuple[Verified, ...]
    note: Note


def parse(noted: bytes) -> Note:
    """Take a note apart, strictly. Raises Malformed."""
    if len(noted) > NOTE_BYTES_MAX:
        raise Malformed("note", "too long")
    try:
        whole = noted.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("note", "not UTF-8") from None
    if any(char < " " and char != "\n" for char in whole):
        raise Malformed("note", "a control character")
    # The last empty line divides; the text before it may have empty lines of its own.
    cut = whole.rfind("\n\n")
    if cut < 0:
        raise Malformed("note", "no blank line before the signatures")
    text, tail = whole[: cut + 1], whole[cut + 2 :]
    if not tail.endswith("\n"):
        raise Malformed("note", "no signature line, or the last one is cut")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise Malformed("note", "too many signatures")
    return Note(text.encode(), tuple(parse_line(line) for line in lines))


def parse_line(line: str) -> Signature:
    """Read one signature line without its newline. Raises Malformed."""
    if not line.startswith(_DASH):
        raise Malformed("note", "a signature line starts with a dash and a space")
    name, space, encoded = line[len(_DASH) :].partition(" ")
    if not space:
        raise Malformed("note", "a signature line has a name and a signature")
    _judge_name(name)
    raw = _base64("note", encoded)
    if len(raw) < 5:
        raise Malformed("note", "a signature has more than its key id")
    return Signature(name, raw[:4], raw[4:])


def parse_lines(data: bytes) -> tuple[Signature, ...]:
    """Read signature lines alone, as a witness returns them. Raises Malformed."""
    if len(data) > NOTE_BYTES_MAX:
        raise Malformed("note", "too long")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("note", "not UTF-8") from None
    if not text.endswith("\n"):
        raise Malformed("note", "no signature line, or the last one is cut")
    return tuple(parse_line(line) for line in text[:-1].split("\n"))


def verify(note: Note, verifiers: Iterable[Verifier]) -> tuple[Verified, ...]:
    """Check every line that a known key claims; other lines are ignored. A key counts once.

    Raises:
        VerificationFailed: a known key's line does not hold. No line of a known key is an empty answer, not an error.
    """
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    good: dict[tuple[str, bytes], Verified] = {}
    for signature in note.signatures:
        place = (signature.name, signature.key_id)
        verifier = known.get(place)
        if verifier is None or place in good:
            continue
        try:
            good[place] = Verified(verifier, verifier.verify(note.text, signature.raw))
        except VerificationFailed:
            raise VerificationFailed("note", f"the signature of {signature.name} does not hold") from None
    return tuple(good.values())


def open_note(noted: bytes, verifiers: Sequence[Verifier]) -> Opened:
    """Parse and verify. The text may be used only after this.

    Raises:
        Malformed: not a note.
        VerificationFailed: no known key signed it, or a known key's line does not hold.
    """
    note = parse(noted)
    good = verify(note, verifiers)
    if not good:
        raise VerificationFailed("note", "no known key has signed it")
    return Opened(note.text, good, note)


def sign(text: bytes, verifier: Verifier, sign: Callable[[bytes], bytes]) -> bytes:
    """A whole note with one signature. Raises Malformed when the text cannot be a note's."""
    noted = Note(text, (verifier.signature(text, sign),)).encode()
    if parse(noted).text != text:
        raise Malformed("note", "the text does not survive")
    return noted


def verify_cosignature(text: bytes, lines: bytes, cosigner: Verifier) -> int:
    """Find the cosigner's line among those a witness returned, and check it. Returns its time in seconds.

    Raises:
        Malformed: not signature lines.
        VerificationFailed: the cosigner's line is not there or does not hold.
    """
    for signature in parse_lines(lines):
        if cosigner.made(signature):
            return cosigner.verify(text, signature.raw)
    raise VerificationFailed("cosignature", f"no cosignature by {cosigner.name}")


def _judge_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise Malformed("note", "a key name is not empty and has neither spaces nor plus signs")


def _base64(field_name: str, text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(field_name, "not base64") from None
    # Two texts for one value would let a line be changed without breaking it.
    if base64.b64encode(raw).decode() != text:
        raise Malformed(field_name, "not the canonical base64")
    return raw
