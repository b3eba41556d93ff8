"""Leaves of a state's own anchor: named once, pinned by key, of three kinds of key only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed, VerificationFailed
from gateway.federation import certificates
from gateway.terms.ids import PeerId

PAN = PeerId("PAN")
NOW = 1_770_000_000 * 10**9
DAY = 86_400 * 10**9
ANCHOR = certificates.make_anchor(PAN, NOW)
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def certificate(key: Key, names: list[str], *, ca: bool = False) -> bytes:
    """A self-signed one, to hold what our own maker would never write."""
    name = x509.Name([])
    start = datetime.fromtimestamp(NOW // 10**9, UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name) for name in names])
        builder = builder.add_extension(san, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


def test_a_leaf_says_who_it_is_and_its_anchor_vouches() -> None:
    der = certificates.der_of(
        certificates.issue_leaf(ANCHOR, PAN, "workstation", NOW, name="SNM.booth-1", server=False).certificate_pem
    )
    found = certificates.identity(der)
    assert (found.uri, found.state, found.name) == ("limen://PAN/workstation/SNM.booth-1", "PAN", "SNM.booth-1")
    assert found.pin == certificates.spki_pin(der)
    assert found.thumbprint == sha256(der).digest()
    assert found.in_force(NOW - DAY) and found.in_force(NOW + 364 * DAY)
    assert not found.in_force(NOW - DAY - 1) and not found.in_force(NOW + 366 * DAY)
    certificates.verify_issued(der, ANCHOR.certificate_pem)


def test_a_server_is_named_by_address_too_and_a_client_is_not() -> None:
    server = x509.load_pem_x509_certificate(
        certificates.issue_leaf(ANCHOR, PAN, "gateway", NOW, hosts=("127.0.0.1", "gw.example")).certificate_pem
    )
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert names.get_values_for_type(x509.DNSName) == ["gw.example"]
    usage = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    client = x509.load_pem_x509_certificate(
        certificates.issue_leaf(ANCHOR, PAN, "auditor", NOW, server=False).certificate_pem
    )
    assert list(client.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]


def test_a_leaf_never_outlives_its_anchor() -> None:
    short = certificates.make_anchor(PAN, NOW, days=30)
    der = certificates.der_of(certificates.issue_leaf(short, PAN, "gateway", NOW).certificate_pem)
    assert certificates.identity(der).not_after_ns == NOW + 30 * DAY


def test_another_anchor_of_the_same_name_did_not_issue_it() -> None:
    der = certificates.der_of(certificates.issue_leaf(ANCHOR, PAN, "gateway", NOW).certificate_pem)
    with pytest.raises(VerificationFailed):
        certificates.verify_issued(der, certificates.make_anchor(PAN, NOW).certificate_pem)


@pytest.mark.parametrize(("role", "name"), [("anchor", ""), ("king", ""), ("gateway", "a/b"), ("gateway", "-x")])
def test_no_leaf_is_issued_under_a_name_we_would_not_read(role: str, name: str) -> None:
    with pytest.raises(Malformed):
        certificates.issue_leaf(ANCHOR, PAN, role, NOW, name=name)


@pytest.mark.parametrize(
    ("names", "ca"),
    [
        ([], False),
        (["limen://PAN/gateway", "limen://HND/gateway"], False),
        (["spiffe://PAN/gateway"], False),
        (["limen://pan/gateway"], False),
        (["limen://PAN/gateway/"], False),
        (["limen://PAN/gateway\n"], False),
        (["limen://PAN/anchor"], False),
        (["limen://PAN/gateway"], True),
    ],
)
def test_a_certificate_of_another_form_is_no_identity(names: list[str], ca: bool) -> None:
    with pytest.raises(Malformed):
        certificates.identity(certificate(ec.generate_private_key(ec.SECP256R1()), names, ca=ca))


def test_p256_p384_and_ed25519_have_pins_and_nothing_else_has() -> None:
    for key in (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ):
        assert len(certificates.spki_pin(certificate(key, ["limen://PAN/gateway"]))) == 32
    for refused in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP521R1())):
        with pytest.raises(Malformed, match="neither P-256, P-384 nor Ed25519"):
            certificates.spki_pin(certificate(refused, ["limen://PAN/gateway"]))


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=10**6))
def test_any_bytes_are_an_identity_or_malformed(noise: bytes, position: int) -> None:
    der = bytearray(LEAF)
    position %= len(der)
    der[position : position + len(noise)] = noise
    for candidate in (noise, bytes(der)):
        try:
            certificates.identity(candidate)
        except Malformed:
            continue


LEAF = certificates.der_of(certificates.issue_leaf(ANCHOR, PAN, "gateway", NOW).certificate_pem)


def test_a_key_is_known_by_either_half() -> None:
    private, public = certificates.draw_key()
    assert certificates.public_pin(private) == certificates.public_pin(public)
    assert certificates.public_pin(ANCHOR.key_pem) == certificates.spki_pin(certificates.der_of(ANCHOR.certificate_pem))
    for bad in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ANCHOR.certificate_pem):
        with pytest.raises(Malformed):
            certificates.public_pin(bad)


def test_text_that_is_no_certificate_is_malformed() -> None:
    with pytest.raises(Malformed):
        certificates.der_of(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
