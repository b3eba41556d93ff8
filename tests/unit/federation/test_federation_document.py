"""The signed list of members: one canonical text, a threshold of signatures, versions that only rise."""

from __future__ import annotations

import dataclasses
import functools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import (
    Malformed,
    NotFoundOrNotPermitted,
    NotIdentified,
    PeerSuspended,
    VerificationFailed,
)
from gateway.federation import certificates, document
from gateway.federation.certificates import KeyPair
from gateway.federation.document import Document, Member, MessageKey, SignedDocument, Status
from gateway.federation.members import FederationView
from gateway.primitives import ed25519
from gateway.terms.ids import AgencyId, PeerId
from gateway.terms.realm import Realm

NOW = 1_770_000_000 * 10**9
DAY = 86_400 * 10**9


def seed(state: str, use: str) -> bytes:
    return f"{state}{use}".encode().ljust(32, b".")


@functools.cache
def anchor(state: str) -> KeyPair:
    return certificates.make_anchor(PeerId(state), NOW)


@functools.cache
def leaf(state: str, by: str = "", role: str = "gateway") -> bytes:
    issued = certificates.issue_leaf(anchor(by or state), PeerId(state), role, NOW)
    return certificates.der_of(issued.certificate_pem)


def member(state: str, status: Status = Status.ACTIVE) -> Member:
    public = ed25519.public(seed(state, "message"))
    number = sum(state.encode())
    return Member(
        state=PeerId(state),
        status=status,
        agencies=(AgencyId("SNM"),),
        endpoints=(f"127.0.0.1:{10_000 + number}",),
        tls_pins=(certificates.spki_pin(leaf(state)),),
        anchor_pem=anchor(state).certificate_pem.decode("ascii"),
        authority=ed25519.public(seed(state, "authority")),
        message_keys=(MessageKey(document.key_id(public), public, NOW - DAY, NOW + 90 * DAY),),
        log_vkey=f"limen/{state}/log+{number:08x}+AAAA",
        witness_vkey=f"limen/{state}/witness+{number:08x}+BBBB",
        case_key=seed(state, "case"),
    )


def listing(*states: str, version: int = 1, threshold: int = 2, expires_ns: int = NOW + 30 * DAY) -> Document:
    return Document(version, expires_ns, threshold, bytes(32), tuple(member(state) for state in sorted(states)))


def signed(listed: Document, *states: str) -> SignedDocument:
    out = document.unsigned(listed)
    for state in states:
        out = document.sign(out, PeerId(state), seed(state, "authority"))
    return out


THREE = listing("HND", "PAN", "UTO")


def test_a_document_and_its_file_read_back_the_same() -> None:
    made = signed(THREE, "PAN", "HND")
    again = document.parse(document.render(made))
    assert again == made
    assert again.document == THREE
    assert [found.state for found in again.signatures] == ["HND", "PAN"]


def test_a_card_reads_back_the_same() -> None:
    assert document.decode_card(document.encode_card(member("PAN"))) == member("PAN")


def test_the_threshold_of_the_members_decides() -> None:
    assert document.verify(signed(THREE, "PAN", "HND"), None, NOW) == THREE
    with pytest.raises(VerificationFailed, match="signed by 1 of 2 members \\(PAN\\)") as caught:
        document.verify(signed(THREE, "PAN"), None, NOW)
    assert caught.value.step == "quorum"


def test_a_signature_by_no_member_or_by_another_key_does_not_count() -> None:
    made = signed(THREE, "PAN")
    made = document.sign(made, PeerId("HND"), seed("HND", "message"))
    made = document.sign(made, PeerId("ZZZ"), seed("ZZZ", "authority"))
    assert document.signed_by(made, THREE) == ("PAN",)


def test_the_same_state_signing_twice_counts_once() -> None:
    once = signed(THREE, "PAN")
    assert document.sign(once, PeerId("PAN"), seed("PAN", "authority")) == once


def test_every_changed_byte_of_the_file_is_refused() -> None:
    data = document.render(signed(listing("HND", "PAN"), "PAN", "HND"))
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises((Malformed, VerificationFailed)):
            document.verify(document.parse(bytes(changed)), None, NOW)


def test_an_expired_or_an_endless_document_is_refused() -> None:
    for expires_ns in (NOW, NOW + 367 * DAY):
        with pytest.raises(VerificationFailed) as caught:
            document.verify(signed(listing("HND", "PAN", expires_ns=expires_ns), "HND", "PAN"), None, NOW)
        assert caught.value.step == "expiry"


@pytest.mark.parametrize("version", [6, 7])
def test_a_version_that_does_not_rise_is_refused(version: int) -> None:
    in_force = listing("HND", "PAN", version=7)
    with pytest.raises(VerificationFailed) as caught:
        document.verify(signed(listing("HND", "PAN", version=version), "HND", "PAN"), in_force, NOW)
    assert caught.value.step == "version"


def test_a_change_of_members_needs_the_old_members_too() -> None:
    in_force = listing("HND", "PAN", "UTO", version=1)
    usurped = listing("AAA", "BBB", "PAN", version=2)
    with pytest.raises(VerificationFailed, match="signed by 1 of 2 members of the version in force") as caught:
        document.verify(signed(usurped, "AAA", "BBB", "PAN"), in_force, NOW)
    assert caught.value.step == "old_quorum"
    # A member that leaves may sign its own leaving.
    assert document.verify(signed(usurped, "AAA", "BBB", "PAN", "HND"), in_force, NOW) == usurped


def test_a_lower_threshold_and_a_suspension_need_the_old_quorum() -> None:
    four = listing("CCC", "HND", "PAN", "UTO", version=1, threshold=4)
    lowered = dataclasses.replace(four, version=2, threshold=3)
    suspended = dataclasses.replace(lowered, members=(*four.members[:-1], member("UTO", Status.SUSPENDED)), threshold=2)
    for changed in (lowered, suspended):
        with pytest.raises(VerificationFailed) as caught:
            document.verify(signed(changed, "CCC", "HND", "PAN"), four, NOW)
        assert caught.value.step == "old_quorum"
    assert document.verify(signed(suspended, "CCC", "HND", "PAN", "UTO"), four, NOW) == suspended


def test_other_changes_need_the_members_only() -> None:
    moved = dataclasses.replace(THREE, version=2, baseline=bytes([1]) * 32)
    assert document.verify(signed(moved, "HND", "UTO"), THREE, NOW) == moved


@pytest.mark.parametrize("threshold", [1, 4])
def test_a_threshold_of_half_or_beyond_all_is_no_document(threshold: int) -> None:
    with pytest.raises(Malformed, match="more than half"):
        document.unsigned(listing("HND", "PAN", "UTO", threshold=threshold))


@pytest.mark.parametrize(
    "change",
    [
        {"endpoints": member("PAN").endpoints},
        {"tls_pins": member("PAN").tls_pins},
        {"authority": member("PAN").authority},
        {"message_keys": member("PAN").message_keys},
        {"log_vkey": member("PAN").log_vkey},
        {"witness_vkey": member("PAN").witness_vkey},
        {"case_key": member("PAN").case_key},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_member_lists_another_members_keys(change: dict[str, object]) -> None:
    copied = dataclasses.replace(member("UTO"), **change)  # type: ignore[arg-type]
    with pytest.raises(Malformed, match="listed twice"):
        document.unsigned(dataclasses.replace(THREE, members=(*THREE.members[:-1], copied)))


def test_members_are_sorted_and_stand_once() -> None:
    with pytest.raises(Malformed, match="sorted"):
        document.unsigned(dataclasses.replace(THREE, members=THREE.members[::-1]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"realm": "live"', '"realm": "test"'),
        ('"version": 1', '"version": 1.0'),
        ('"version": 1', '"version": true'),
        ('"version": 1', '"version": 1,\n  "version": 2'),
        ('"version": 1', '"version": NaN'),
        ('"threshold": 2', '"thresholds": 2'),
        ('"schema": "limen/federation/1"', '"schema": "limen/federation/2"'),
        ('"status": "active"', '"status": "retired"'),
        ('"SNM"', '"snm"'),
        ("127.0.0.1:", "127.0.0.1:9"),
        ('"PAN"', '"PaN"'),
    ],
)
def test_odd_json_is_refused(old: str, new: str) -> None:
    text = document.encode(THREE).decode()
    assert old in text
    with pytest.raises(Malformed):
        document.decode(text.replace(old, new).encode())


def test_live_members_and_a_sandboxs_are_never_on_one_list() -> None:
    sandbox = [dataclasses.replace(one, realm=Realm.SANDBOX) for one in THREE.members]
    made = dataclasses.replace(THREE, realm=Realm.SANDBOX, members=tuple(sandbox))
    assert document.decode(document.encode(made)) == made
    with pytest.raises(Malformed, match="two realms"):
        document.unsigned(dataclasses.replace(THREE, members=(*THREE.members[:2], sandbox[2])))
    with pytest.raises(Malformed, match="state of a sandbox"):
        document.unsigned(listing("PAN", "SBX"))
    with pytest.raises(VerificationFailed) as caught:
        document.verify(signed(dataclasses.replace(made, version=2), "PAN", "HND"), THREE, NOW)
    assert caught.value.step == "realm"


@pytest.mark.parametrize("ours", Realm)
def test_a_connection_of_the_other_realm_is_not_bound(ours: Realm) -> None:
    theirs = Realm.SANDBOX if ours is Realm.LIVE else Realm.LIVE
    made = certificates.issue_leaf(anchor("PAN"), PeerId("PAN"), "gateway", NOW, realm=theirs)
    der = certificates.der_of(made.certificate_pem)
    assert certificates.identity(der).uri == certificates.uri(PeerId("PAN"), "gateway", realm=theirs)
    # Even a list that pins the key does not help: the name in the certificate is of the other realm.
    bent = dataclasses.replace(member("PAN"), realm=ours, tls_pins=(certificates.spki_pin(der),))
    with pytest.raises(NotIdentified, match=f"of the {theirs.value} realm"):
        FederationView(Document(1, NOW + DAY, 1, bytes(32), (bent,), ours)).state_of(der, NOW)


def test_the_same_json_in_another_spelling_is_refused() -> None:
    with pytest.raises(Malformed, match="canonical"):
        document.decode(json.dumps(json.loads(document.encode(THREE))).encode())


def test_a_key_id_is_the_keys_own() -> None:
    text = document.encode(THREE)
    name = THREE.members[0].message_keys[0].key_id.encode()
    with pytest.raises(Malformed, match="not the key's own"):
        document.decode(text.replace(name, b"0" * 16))


@given(
    data=st.one_of(
        st.binary(max_size=300), st.binary(max_size=60).map(lambda tail: document.render(signed(THREE, "PAN")) + tail)
    )
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_document_or_malformed(data: bytes) -> None:
    try:
        found = document.parse(data)
    except Malformed:
        return
    assert document.render(found) == data


@given(
    text=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=8,
    ),
    field=st.sampled_from(
        sorted(json.loads(document.encode(THREE))) + sorted(json.loads(document.encode(THREE))["members"][0])
    ),
)
@settings(max_examples=200, deadline=None)
def test_any_value_in_any_field_is_judged(text: object, field: str) -> None:
    table = json.loads(document.encode(THREE))
    (table if field in table else table["members"][1])[field] = text
    data = (json.dumps(table, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
    try:
        found = document.decode(data)
    except Malformed:
        return
    assert document.encode(found) == data


def test_the_view_gives_active_members_and_refuses_the_others() -> None:
    members = (member("HND"), member("PAN"), member("QQQ", Status.PENDING), member("UTO", Status.SUSPENDED))
    view = FederationView(Document(3, NOW + DAY, 2, bytes(32), members))
    assert view.states() == ("HND", "PAN")
    assert view.member(PeerId("PAN")).endpoints == member("PAN").endpoints
    with pytest.raises(PeerSuspended):
        view.member(PeerId("UTO"))
    for state in ("QQQ", "ZZZ"):
        with pytest.raises(NotIdentified):
            view.member(PeerId(state))
    assert view.log_vkey(PeerId("UTO")) == member("UTO").log_vkey
    with pytest.raises(NotFoundOrNotPermitted):
        view.witness_vkey(PeerId("ZZZ"))
    view.require_current(NOW)
    with pytest.raises(NotIdentified, match="expired"):
        view.require_current(NOW + DAY)


def test_a_message_key_counts_in_its_time_only() -> None:
    keys = FederationView(THREE).member(PeerId("PAN"))
    name = member("PAN").message_keys[0].key_id
    signature = ed25519.sign(seed("PAN", "message"), b"bytes")
    keys.verify_message(name, NOW, b"bytes", signature)
    with pytest.raises(VerificationFailed):
        keys.verify_message(name, NOW, b"other", signature)
    for at, wrong in ((NOW - 2 * DAY, name), (NOW + 91 * DAY, name), (NOW, "0" * 16)):
        with pytest.raises(NotIdentified):
            keys.verify_message(wrong, at, b"bytes", signature)


def test_a_connection_is_bound_to_its_own_states_pin_and_anchor() -> None:
    view = FederationView(THREE)
    assert view.state_of(leaf("PAN"), NOW) == view.state_of(leaf("PAN"), NOW) == "PAN"
    # C's authority names B: the chain would hold with all anchors in one store, the pin and B's anchor do not.
    with pytest.raises(NotIdentified, match="not issued by the state's anchor"):
        view.state_of(leaf("PAN", by="UTO"), NOW)
    renewed = certificates.issue_leaf(anchor("PAN"), PeerId("PAN"), "gateway", NOW)
    with pytest.raises(NotIdentified, match="not pinned"):
        view.state_of(certificates.der_of(renewed.certificate_pem), NOW)
    with pytest.raises(NotIdentified, match="not its gateway's"):
        view.state_of(leaf("PAN", role="home"), NOW)
    for at in (NOW - 2 * DAY, NOW + 366 * DAY):
        with pytest.raises(NotIdentified, match="not in force"):
            view.state_of(leaf("PAN"), at)
    with pytest.raises(NotIdentified):
        view.state_of(b"not a certificate", NOW)
