"""A state that asks as no honest gateway would, with its own true keys: bytes in, bytes or a refusal out."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from gateway.app import federation, parts
from gateway.federation import envelope
from gateway.federation.certificates import KeyPair
from gateway.keyring import files
from gateway.primitives import ed25519
from gateway.pseudonym import batch as batches
from gateway.pseudonym import schedule
from gateway.rpc import status, tls
from gateway.rpc.convert import peers as convert
from gateway.store.reader import Reader
from gateway.store.tables import TableFiles
from gateway.terms import AgencyId, KeyType, ListId, PeerId, Purpose, RequestId, Role
from gateway.terms.exchange import CheckRequest, SignedMessage
from gateway.terms.ids import PurposeGroup
from tests.region import LOOPBACK
from tests.support.states import States

MINUTE_NS = 60 * 10**9
PURPOSES = {"SEC.WATCH": (ListId.PERSONS, "WATCH"), "DOC.STATUS": (ListId.DOCUMENTS, "DOCUMENT")}


@dataclass(frozen=True, slots=True)
class Said:
    """How a call ended: `reason` is the catalogue's where the gateway told one, else the status."""

    reason: str
    message: SignedMessage
    words: str = ""

    @property
    def ok(self) -> bool:
        """An answer came."""
        return self.reason == "OK"


@dataclass
class Asker:
    """`state`, as it asks `owner`."""

    states: States
    state: PeerId
    owner: PeerId
    _seed: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        settings = self.states.nodes[self.state].settings
        self._paths = settings.paths
        self._seed = files.read_secret(files.key_path(settings.paths.keys, "message"), "message").copy()
        self.clock = parts.clock_of(settings)
        reader = Reader(settings.paths.store)
        try:
            self.view = federation.in_force(settings, reader, self.clock.now_ns())
            held = {layer: reader.policy_sequence(layer) for layer in ("baseline", "national")}
        finally:
            reader.close()
        self._digests = {layer: row[1] for layer, row in held.items() if row is not None}

    # -- Making -------------------------------------------------------------------------------------------------------

    def request(self, purpose: str = "SEC.WATCH", *, size: int = 8, batches_: int = 1, **changed: Any) -> CheckRequest:
        """A good question of dummies alone, with what the test changes."""
        list_id, group = PURPOSES.get(purpose, PURPOSES["SEC.WATCH"])
        copies = TableFiles(self._paths.copies, lambda message: convert.manifest(message.body))
        signed = copies.current(self.owner, list_id, PurposeGroup(group))
        assert signed is not None, "the tables have arrived"
        seed = os.urandom(32)
        given: dict[str, Any] = {
            "leg_id": RequestId(os.urandom(16)),
            "batch": 0,
            "batches": batches_,
            "asker": self.state,
            "owner": self.owner,
            "agency": AgencyId(self.states.nodes[self.state].agency),
            "role": Role.BORDER_FRONTLINE,
            "purpose": Purpose(purpose),
            "legal_basis": "bilateral agreement",
            "list_id": list_id,
            "group": PurposeGroup(group),
            "epoch": signed.manifest.scope.epoch,
            "key_types": (KeyType.DOC_1,),
            "known_version": signed.manifest.version,
            "blinded": batches.blinded_elements([], seed, size),
            "seed_commitment": schedule.seed_commitment(seed),
            "pair_seq": 1,
            "baseline_digest": self._digests["baseline"],
            "national_digest": self._digests["national"],
            "permit_expires_ns": self.clock.now_ns() + 10 * MINUTE_NS,
        }
        return CheckRequest(**(given | changed))

    def body(self, purpose: str = "SEC.WATCH", **changed: Any) -> bytes:
        """The wire form of `request`."""
        return convert.encode_check_request(self.request(purpose, **changed))

    def sign(self, body: bytes, *, seed: bytes = b"", method: str = convert.CHECK, **changed: Any) -> SignedMessage:
        """The message as our gateway would sign it, with header values changed before."""
        public = ed25519.public(self._seed)
        fields = envelope.request_fields(
            method, self.state, self.owner, public, self.clock.now_ns(), envelope.NO_CHECKPOINT
        )
        return envelope.seal(fields | changed, body, lambda data: ed25519.sign(seed or self._seed, data))

    # -- Sending ------------------------------------------------------------------------------------------------------

    def ask(self, purpose: str = "SEC.WATCH", **changed: Any) -> Said:
        """Make, sign, send."""
        return self.send(self.sign(self.body(purpose, **changed)))

    def send(self, message: SignedMessage, **how: Any) -> Said:
        """One call over a connection of its own."""
        return self.send_all([message], **how)[0]

    def send_all(
        self,
        messages: Sequence[SignedMessage],
        *,
        method: str = convert.CHECK,
        timeout_s: float | None = 10.0,
        metadata: tuple[tuple[str, bytes], ...] | None = None,
        leaf_of: str = "",
    ) -> list[Said]:
        """All at once over one connection. `leaf_of` is whose certificate is shown, `metadata` what stands instead of
        header and signature."""

        async def run() -> list[Said]:
            folder = self.states.folder(leaf_of or self.state) / "tls"
            leaf = KeyPair((folder / "gateway.key").read_bytes(), (folder / "gateway.crt").read_bytes())
            credentials = tls.channel_credentials(leaf, self.view.member(self.owner).anchor_pem)
            address = f"{LOOPBACK}:{self.states.nodes[self.owner].ports['peers']}"
            options = tls.channel_options(convert.REPLY_BYTES_MAX)
            async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
                call: Any = channel.unary_unary(method)
                return list(await asyncio.gather(*(self._one(call, one, timeout_s, metadata) for one in messages)))

        return asyncio.run(run())

    async def _one(
        self, call: Any, message: SignedMessage, timeout_s: float | None, metadata: tuple[tuple[str, bytes], ...] | None
    ) -> Said:
        if metadata is None:
            metadata = ((envelope.HEADER_KEY, message.header), (envelope.SIGNATURE_KEY, message.signature))
        running = call(message.body, timeout=timeout_s, metadata=metadata)
        try:
            body = await running
            trailing = dict(await running.trailing_metadata())
        except grpc.aio.AioRpcError as ended:
            told = status.read(ended.code(), status.details_of(ended.trailing_metadata()))
            reason = told.row.reason if told is not None else ended.code().name
            return Said(reason, SignedMessage(b"", b"", b""), ended.details() or "")
        return Said("OK", SignedMessage(body, trailing[envelope.HEADER_KEY], trailing[envelope.SIGNATURE_KEY]))

    # -- What the owner holds -----------------------------------------------------------------------------------------

    def used(self, purpose: str = "SEC.WATCH") -> int:
        """Slots that the owner has charged us today."""
        list_id, group = PURPOSES[purpose]
        with self.states.reading(self.owner) as reader:
            return reader.quota_used(self.state, list_id, group, self.clock.now_ns() // (24 * 60 * MINUTE_NS))


def again(request: CheckRequest, **changed: Any) -> bytes:
    """The wire form of a question with something changed."""
    return convert.encode_check_request(dataclasses.replace(request, **changed))
