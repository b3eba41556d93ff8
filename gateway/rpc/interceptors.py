"""The steps every call takes before a flow sees it, in this order, each a small judge that raises or lets pass:

    limits of the node -> identity -> limits of the caller -> deadline -> signature -> shape -> flow

They are steps of our own generic handler rather than gRPC's interceptor objects: one coroutine a call, and a method
that is not in the table goes through the same first steps as one that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import grpc

from gateway.errors import DeadlineMissing, GatewayError, Malformed, NotIdentified, VerificationFailed
from gateway.federation import certificates, envelope
from gateway.federation.certificates import Identity
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import PeerId

Context = grpc.aio.ServicerContext[Any, Any]

_LEAVES_MAX: Final = 1_024


class Leaves:
    """The client certificates of open connections, read once each. Whether one still counts is asked on every call."""

    def __init__(self) -> None:
        self._ders: dict[bytes, bytes] = {}
        self._identities: dict[bytes, Identity] = {}

    def der(self, pem: bytes) -> bytes:
        """The DER of a leaf. Raises NotIdentified."""
        der = self._ders.get(pem)
        if der is None:
            try:
                der = certificates.der_of(pem)
            except Malformed as cause:
                raise NotIdentified(str(cause)) from None
            if len(self._ders) >= _LEAVES_MAX:
                self._ders.clear()
            self._ders[pem] = der
        return der

    def identity(self, context: Context, now_ns: int, state: PeerId, roles: frozenset[str]) -> Identity:
        """The caller as a client of this state's own, in force now and in one of these roles.

        Raises:
            NotIdentified: it is not.
        """
        der = self.der(leaf_pem(context))
        found = self._identities.get(der)
        if found is None:
            try:
                found = certificates.identity(der)
            except Malformed as cause:
                raise NotIdentified(str(cause)) from None
            if len(self._identities) >= _LEAVES_MAX:
                self._identities.clear()
            self._identities[der] = found
        if found.state != state or found.role not in roles:
            raise NotIdentified("the certificate is not for this door")
        if not found.in_force(now_ns):
            raise NotIdentified("the certificate is not in force")
        return found


def leaf_pem(context: Context) -> bytes:
    """The certificate that the caller's connection has proved the key of.

    Raises:
        NotIdentified: no TLS 1.3, or no certificate.
    """
    proved = context.auth_context()
    tls_13(proved)
    pem = _one(proved, "x509_pem_cert")
    if pem is None:
        raise NotIdentified("no client certificate")
    return pem


def tls_13(proved: Mapping[str, Iterable[bytes]]) -> None:
    """Raises NotIdentified on a connection of another version than TLS 1.3."""
    if _one(proved, "ssl_tls_version") != b"TLSv1.3":
        raise NotIdentified("not TLS 1.3")


def _one(proved: Mapping[str, Iterable[bytes]], name: str) -> bytes | None:
    values = proved.get(name)
    return values[0] if isinstance(values, list) and len(values) == 1 else None


def deadline_s(context: Context, most_s: float) -> float:
    """Seconds this call may still take, the caller's deadline or ours.

    Raises:
        DeadlineMissing: the caller set none, or it has passed.
    """
    # None where the caller set none; the stub does not say so.
    left = cast("float | None", context.time_remaining())
    if left is None or left <= 0:
        raise DeadlineMissing("no deadline" if left is None else "the deadline has passed")
    return min(left, most_s)


def metadata_once(context: Context, *names: str) -> tuple[Any, ...]:
    """The values of metadata entries; None for one that is missing.

    Raises:
        NotIdentified: one stands twice.
    """
    found: dict[str, Any] = {}
    for key, value in context.invocation_metadata() or ():
        if key in names:
            if key in found:
                raise NotIdentified(f"metadata {key} stands twice")
            found[key] = value
    return tuple(found.get(name) for name in names)


def signed(
    context: Context,
    body: bytes,
    *,
    method: str,
    sender: PeerId,
    receiver: PeerId,
    keys: Iterable[bytes],
    now_ns: int,
) -> tuple[SignedMessage, envelope.Header]:
    """The call's message, verified (docs/protocol/envelope.md, verifying).

    Raises:
        NotIdentified: header or signature missing, or one of rules 2 to 6.
        Malformed, CapabilityMissing: rule 1.
    """
    header, signature = metadata_once(context, envelope.HEADER_KEY, envelope.SIGNATURE_KEY)
    if not isinstance(header, bytes) or not isinstance(signature, bytes):
        raise NotIdentified("no signed header")
    message = SignedMessage(body, header, signature)
    try:
        return message, envelope.verify(
            message, method=method, sender=sender, receiver=receiver, keys=keys, now_ns=now_ns
        )
    except VerificationFailed as cause:
        raise NotIdentified(f"{sender}: {cause}") from None


def bearer(context: Context) -> str | None:
    """The token of `authorization: Bearer <token>`, not yet judged; None when there is none.

    Raises:
        NotIdentified: two of them, or another scheme.
    """
    (value,) = metadata_once(context, "authorization")
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith("Bearer "):
        raise NotIdentified("authorization is not a bearer token")
    return value[len("Bearer ") :]


def refused_by_caller(error: GatewayError) -> bool:
    """True for refusals that count against the caller's budget."""
    return error.row.fault in ("caller", "peer")
