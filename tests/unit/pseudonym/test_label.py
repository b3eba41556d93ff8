"""A label names nobody, has one form, and opens only where it was sealed for."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed, VerificationFailed
from gateway.primitives import aead
from gateway.pseudonym import label as labels
from gateway.pseudonym.label import Label
from gateway.terms import Action, Handling, RecordKind

Y = bytes(range(64))
TABLE = b"t" * 16
LABEL = Label(
    kind=RecordKind.WANTED_ARREST,
    action=Action.WAIT_FOR_OWNER,
    urgency=2,
    handling=Handling.FOUR_EYES,
    expiry_day=20_818,
    contact=3,
    handle=b"handle_8",
)

anything = st.builds(
    Label,
    kind=st.sampled_from(RecordKind),
    action=st.sampled_from(Action),
    urgency=st.integers(1, 3),
    handling=st.sampled_from(Handling),
    expiry_day=st.integers(0, 65_535),
    contact=st.integers(0, 65_535),
    handle=st.binary(min_size=8, max_size=8),
    flags=st.integers(0, 65_535),
)


@given(anything)
def test_every_label_has_32_bytes_and_comes_back(label: Label) -> None:
    assert len(label.encode()) == 32
    assert labels.decode(label.encode()) == label


@given(st.one_of(st.binary(max_size=40), st.binary(min_size=32, max_size=32)))
def test_any_bytes_are_a_label_or_malformed(data: bytes) -> None:
    try:
        label = labels.decode(data)
    except Malformed:
        return
    assert label.encode() == data


@pytest.mark.parametrize("at", [*range(10, 16), *range(24, 32)])
def test_a_reserved_byte_that_is_not_zero_is_refused(at: int) -> None:
    data = bytearray(LABEL.encode())
    data[at] = 1
    with pytest.raises(Malformed, match="reserved"):
        labels.decode(bytes(data))


@pytest.mark.parametrize(("at", "value"), [(0, 0), (0, 200), (1, 0), (1, 99), (2, 0), (2, 4), (3, 0), (3, 3)])
def test_a_code_outside_the_vocabulary_is_refused(at: int, value: int) -> None:
    data = bytearray(LABEL.encode())
    data[at] = value
    with pytest.raises(Malformed, match="vocabulary"):
        labels.decode(bytes(data))


@pytest.mark.parametrize(
    "wrong",
    [{"urgency": 0}, {"urgency": 4}, {"expiry_day": 65_536}, {"expiry_day": -1}, {"contact": 65_536}, {"flags": -1},
     {"handle": b"short"}, {"handle": b"nine byte"}],
)  # fmt: skip
def test_a_label_out_of_range_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        dataclasses.replace(LABEL, **wrong)  # type: ignore[arg-type]


def test_the_first_byte_is_the_kind_and_an_unknown_flag_is_no_obstacle() -> None:
    assert LABEL.encode()[0] == RecordKind.WANTED_ARREST
    assert labels.decode(dataclasses.replace(LABEL, flags=0x8001).encode()).flags == 0x8001


def test_a_sealed_label_has_48_bytes_and_opens() -> None:
    sealed = labels.seal_label(Y, TABLE, 7, LABEL)
    assert len(sealed) == labels.SEALED_BYTES == 48
    assert labels.open_label(Y, TABLE, 7, sealed) == LABEL


def test_it_opens_for_no_other_output_table_or_version_and_not_when_changed() -> None:
    sealed = labels.seal_label(Y, TABLE, 7, LABEL)
    other = bytes([Y[0] ^ 1]) + Y[1:]
    for y, table, version in ((other, TABLE, 7), (Y, b"u" * 16, 7), (Y, TABLE, 8)):
        with pytest.raises(VerificationFailed):
            labels.open_label(y, table, version, sealed)
    # The last 4 bytes of a table id are in the additional data only, not in the nonce.
    with pytest.raises(VerificationFailed):
        labels.open_label(Y, TABLE[:12] + b"uuuu", 7, sealed)
    for bit in range(8 * len(sealed)):
        bad = bytearray(sealed)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationFailed):
            labels.open_label(Y, TABLE, 7, bytes(bad))


def test_an_update_never_meets_the_key_and_nonce_of_another_plaintext(monkeypatch: pytest.MonkeyPatch) -> None:
    """psi.md section 9, test 21; also where a version number comes again after a table was lost."""
    used: dict[tuple[bytes, bytes], bytes] = {}

    def seal(key: bytes, nonce: bytes, aad: bytes, plain: bytes) -> bytes:
        assert used.setdefault((key, nonce), plain) == plain
        return bytes(48)

    monkeypatch.setattr(aead, "seal", seal)
    updated = dataclasses.replace(LABEL, urgency=3)
    labels.seal_label(Y, TABLE, 7, LABEL)
    labels.seal_label(Y, TABLE, 8, updated)
    labels.seal_label(Y, b"another table id", 7, updated)
    labels.seal_label(Y[::-1], TABLE, 7, updated)
    assert len(used) == 4


def test_an_owner_that_seals_nonsense_is_malformed_not_unverified() -> None:
    key, nonce, aad = labels._binding(Y, TABLE, 7)
    sealed = aead.seal(key, nonce, aad, bytes(32))
    with pytest.raises(Malformed):
        labels.open_label(Y, TABLE, 7, sealed)


def test_labels_that_differ_only_in_protection_cannot_differ_but_in_the_handle() -> None:
    """T12: there is no field in which protection could stand."""
    assert {field.name for field in dataclasses.fields(Label)} == {
        "kind", "action", "urgency", "handling", "expiry_day", "contact", "flags", "handle",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("y", "table", "version"), [(Y[:63], TABLE, 1), (Y, TABLE[:15], 1), (Y, TABLE, 0), (Y, TABLE, 1 << 64)]
)
def test_wrong_sizes_are_mistakes(y: bytes, table: bytes, version: int) -> None:
    with pytest.raises(ValueError):
        labels.seal_label(y, table, version, LABEL)


def test_the_handle_is_not_shown() -> None:
    assert "handle_8" not in repr(LABEL)
