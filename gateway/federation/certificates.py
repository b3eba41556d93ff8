"""Certificates of a state's own anchor: a leaf for each listener and client, named by URI, pinned by key.

Python's gRPC shows the leaf only, so anchors issue leaves directly and nothing stands between; what binds a connection
to a state is the SHA-256 of the leaf's public key, which the federation document lists (decision 10). The name in a
certificate alone proves nothing: any state's anchor can write any name.

Keys are ECDSA P-256, P-384 or Ed25519 (RFC 5480, RFC 8410); everything else is refused. Drawing keys and signing use
OpenSSL's own randomness; times are arguments.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.errors import Malformed, VerificationFailed
from gateway.terms.ids import PeerId
from gateway.terms.realm import Realm

DAY_NS = 86_400 * 10**9

ANCHOR_DAYS = 3650
LEAF_DAYS = 365

EARLY = timedelta(days=1)
"""How long before its making a certificate is valid: other machines' clocks may run behind."""

CERTIFICATE_BYTES_MAX = 16_384
"""Largest certificate read, bytes DER."""

SCHEMES = {Realm.LIVE: "limen", Realm.SANDBOX: "limen-sandbox"}
"""A sandbox's certificates have names of their own, so that none is ever taken for a live node's."""

_URI = re.compile(
    r"(?P<scheme>limen|limen-sandbox)://(?P<state>[A-Z]{3})/(?P<role>[a-z]+)(?:/(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,63}))?\Z"
)
_REALMS = {scheme: realm for realm, scheme in SCHEMES.items()}

_ROLES = frozenset({"gateway", "home", "workstation", "auditor", "auditors"})
"""`gateway`: the listener for peers and the client towards them; `home` and `auditors`: the listeners for agencies and
for auditors; `workstation` (with the agency and the machine as name) and `auditor`: their clients."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key (PKCS #8) with its certificate, both PEM."""

    key_pem: bytes = field(repr=False)
    certificate_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a leaf says, all of it to be compared with the federation document before it counts.

    `pin` is the SHA-256 of the SubjectPublicKeyInfo, `thumbprint` that of the whole DER (RFC 8705, x5t#S256).
    """

    state: PeerId
    role: str
    name: str
    not_before_ns: int
    not_after_ns: int
    pin: bytes = field(repr=False)
    thumbprint: bytes = field(repr=False)
    realm: Realm = Realm.LIVE

    @property
    def uri(self) -> str:
        """The name as it stands in the certificate."""
        return uri(self.state, self.role, self.name, self.realm)

    def in_force(self, now_ns: int) -> bool:
        """True from the first to the last instant of the validity, both included."""
        return self.not_before_ns <= now_ns <= self.not_after_ns


def uri(state: PeerId, role: str, name: str = "", realm: Realm = Realm.LIVE) -> str:
    """`limen://PAN/gateway`, or with a name `limen://PAN/workstation/SNM.booth-1`; in a sandbox `limen-sandbox://`."""
    return f"{SCHEMES[realm]}://{state}/{role}" + (f"/{name}" if name else "")


def make_anchor(state: PeerId, now_ns: int, *, days: int = ANCHOR_DAYS, realm: Realm = Realm.LIVE) -> KeyPair:
    """Draw a P-256 key and certify it as the state's own anchor: it may issue leaves and no other authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(state, "anchor")
    now = _time(now_ns)
    certificate = (
        _builder(name, name, now, days)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(issue=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri(state, "anchor", realm=realm))]), False
        )
        .sign(key, hashes.SHA256())
    )
    return _pair(key, certificate)


def issue_leaf(
    anchor: KeyPair,
    state: PeerId,
    role: str,
    now_ns: int,
    *,
    name: str = "",
    hosts: Sequence[str] = ("127.0.0.1",),
    server: bool = True,
    client: bool = True,
    days: int = LEAF_DAYS,
    realm: Realm = Realm.LIVE,
) -> KeyPair:
    """Draw a P-256 key and have the anchor certify it as `limen://<state>/<role>[/<name>]`.

    `hosts` (addresses or DNS names) are for servers only. The validity starts a day before `now_ns` and ends with the
    anchor's at the latest.

    Raises:
        Malformed: the role or name cannot stand in our URI.
    """
    if role not in _ROLES or not _URI.match(uri(state, role, name)):
        raise Malformed("certificate", "the role or name cannot stand in a limen:// name")
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri(state, role, name, realm))]
    if server:
        names += [_host(host) for host in hosts]
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
    subject = _name(state, f"{role} {name}".strip())
    certificate = _certified(
        anchor,
        key.public_key(),
        subject,
        x509.SubjectAlternativeName(names),
        x509.ExtendedKeyUsage(purposes),
        _time(now_ns),
        days,
    )
    return _pair(key, certificate)


def renew_leaf(anchor: KeyPair, certificate_pem: bytes, now_ns: int, *, days: int = LEAF_DAYS) -> bytes:
    """A leaf's certificate anew, for the same key, names and purposes (PEM): its pin stays, so no member's card and no
    list of members changes.

    Raises:
        Malformed: no certificate, or one that is no leaf of ours.
        VerificationFailed: another anchor issued it.
    """
    der = der_of(certificate_pem)
    identity(der)
    verify_issued(der, anchor.certificate_pem)
    old = x509.load_der_x509_certificate(der)
    key = old.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Malformed("certificate", "its key is not P-256")
    made = _certified(
        anchor,
        key,
        old.subject,
        old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value,
        old.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value,
        _time(now_ns),
        days,
    )
    return made.public_bytes(serialization.Encoding.PEM)


def _certified(
    anchor: KeyPair,
    key: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    names: x509.SubjectAlternativeName,
    purposes: x509.ExtendedKeyUsage,
    now: datetime,
    days: int,
) -> x509.Certificate:
    signer = serialization.load_pem_private_key(anchor.key_pem, None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise Malformed("anchor", "its key is neither P-256, P-384 nor Ed25519")
    issuer = x509.load_pem_x509_certificate(anchor.certificate_pem)
    return (
        _builder(subject, issuer.subject, now, days, issuer.not_valid_after_utc)
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(issue=False), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(names, critical=False)
        .sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )


def draw_key() -> tuple[bytes, bytes]:
    """A fresh P-256 key with no certificate, as PKCS 8 and as public PEM (for a policy authority, ES256)."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public


def public_pin(pem: bytes) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo of a public or a private key in PEM. Raises Malformed."""
    try:
        if b"PRIVATE KEY" in pem:
            key = serialization.load_pem_private_key(pem, None).public_key()
        else:
            key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Malformed("key", "is not a key in PEM") from None
    return sha256(
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def der_of(pem: bytes) -> bytes:
    """The DER of the first certificate in a PEM text. Raises Malformed."""
    try:
        return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    except (ValueError, TypeError):
        raise Malformed("certificate", "is not a PEM certificate") from None


def spki_pin(der: bytes) -> bytes:
    """SHA-256 of the certificate's SubjectPublicKeyInfo, 32 bytes.

    Raises:
        Malformed: not a certificate, or its key is neither P-256, P-384 nor Ed25519.
    """
    return _pin(_load(der))


def identity(der: bytes) -> Identity:
    """Read a leaf strictly: exactly one `limen://` name, not an authority, a key we allow.

    The signature is not judged here: TLS did that, and the pin decides (see the module's first lines).

    Raises:
        Malformed: anything else.
    """
    certificate = _load(der)
    try:
        extensions = certificate.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        basic = extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise Malformed("certificate", "lacks a name or its basic constraints") from None
    if basic.ca:
        raise Malformed("certificate", "is an authority's, not a leaf")
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    found = _URI.match(uris[0]) if len(uris) == 1 else None
    if found is None or found["role"] not in _ROLES:
        raise Malformed("certificate", "does not hold exactly one limen:// name")
    return Identity(
        state=PeerId(found["state"]),
        role=found["role"],
        name=found["name"] or "",
        not_before_ns=_ns(certificate.not_valid_before_utc),
        not_after_ns=_ns(certificate.not_valid_after_utc),
        pin=_pin(certificate),
        thumbprint=sha256(der).digest(),
        realm=_REALMS[found["scheme"]],
    )


def hosts(der: bytes) -> list[str]:
    """The names and addresses that a server's certificate is for, in its own order. Raises Malformed."""
    try:
        names = _load(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise Malformed("certificate", "has no names") from None
    return [str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]


def verify_issued(der: bytes, anchor_pem: bytes) -> None:
    """Check that the anchor signed the leaf directly.

    Raises:
        Malformed: one of the two is not a certificate with a key we allow.
        VerificationFailed: step "certificate".
    """
    leaf, anchor = _load(der), _load(der_of(anchor_pem))
    _pin(anchor)
    try:
        leaf.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature):
        raise VerificationFailed("certificate", "was not issued by the state's anchor") from None


def _load(der: bytes) -> x509.Certificate:
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise Malformed("certificate", f"has more than {CERTIFICATE_BYTES_MAX} bytes")
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError):
        raise Malformed("certificate", "is not a DER certificate") from None


def _pin(certificate: x509.Certificate) -> bytes:
    try:
        key = certificate.public_key()
        spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Malformed("certificate", "holds a key that cannot be read") from None
    curve_ok = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
    if not curve_ok and not isinstance(key, ed25519.Ed25519PublicKey):
        raise Malformed("certificate", "its key is neither P-256, P-384 nor Ed25519")
    return sha256(spki).digest()


def _builder(
    subject: x509.Name, issuer: x509.Name, now: datetime, days: int, not_after: datetime | None = None
) -> x509.CertificateBuilder:
    last = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(min(last, not_after) if not_after is not None else last)
    )


def _usage(*, issue: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not issue,
        key_cert_sign=issue,
        crl_sign=issue,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(state: PeerId, what: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"Limen {state}"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{state} {what}"[:64]),
        ]
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pair(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> KeyPair:
    return KeyPair(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


def _time(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 10**9, UTC)


def _ns(time: datetime) -> int:
    return int((time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 10**9
