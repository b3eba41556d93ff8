"""Key files: one purpose each, one owner, written whole or not at all."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from gateway.errors import ConfigRefused
from gateway.keyring import files
from gateway.keyring.operations import LockedSigner
from gateway.primitives import ed25519
from gateway.primitives.secret import Locked
from gateway.terms.ids import EpochId, PeerId

HND, UTO = PeerId("HND"), PeerId("UTO")
EPOCH = EpochId("20260302-0a0b0c0d")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    return folder


def test_a_new_node_has_a_key_for_each_purpose_and_their_public_halves(folder: Path) -> None:
    public = files.create(folder, bytes(32), 1)
    secrets = {name: files.read_secret(files.key_path(folder, name), name).copy() for name in files.PURPOSES}
    assert len(set(secrets.values())) == len(files.PURPOSES) == 6
    assert files.read_public(folder) == public
    assert all(getattr(public, name) == ed25519.public(secrets[name]) for name in files.SIGNING)
    assert public.case == files.x25519_public(secrets["case"])
    assert [path.name for path in folder.iterdir() if path.is_file() and path.stat().st_mode & 0o077] == []


def test_no_key_is_ever_written_over(folder: Path) -> None:
    files.create(folder, bytes(32), 1)
    before = files.key_path(folder, "log").read_bytes()
    with pytest.raises(FileExistsError):
        files.write_secret(files.key_path(folder, "log"), "log", bytes(32))
    assert files.key_path(folder, "log").read_bytes() == before
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_key_in_anothers_place_is_refused(folder: Path) -> None:
    files.create(folder, bytes(32), 1)
    files.key_path(folder, "log").replace(files.key_path(folder, "message"))
    with pytest.raises(ConfigRefused, match="another purpose than message"):
        files.read_secret(files.key_path(folder, "message"), "message")


@pytest.mark.parametrize(
    "data", [b"", b"limen key 1\n", b"\x00" * 64, b"limen key 2\npurpose: log\nsecret: " + b"0" * 64 + b"\n"]
)
def test_a_file_that_is_no_key_is_refused(folder: Path, data: bytes) -> None:
    path = files.key_path(folder, "log")
    files.write_new(path, data)
    with pytest.raises(ConfigRefused, match="is not a key file"):
        files.read_secret(path, "log")


def test_a_key_that_others_may_read_is_refused_with_the_fix(folder: Path) -> None:
    files.create(folder, bytes(32), 1)
    path = files.key_path(folder, "log")
    path.chmod(0o640)
    with pytest.raises(ConfigRefused, match="chmod 600"):
        files.read_secret(path, "log")


def test_a_missing_key_says_which(folder: Path) -> None:
    with pytest.raises(ConfigRefused, match=r"log\.key: the log key cannot be read"):
        files.read_secret(files.key_path(folder, "log"), "log")


def test_public_halves_that_are_not_a_nodes_are_refused(folder: Path) -> None:
    for text in ("", "[]", '{"log": 7}', '{"log": "00"}', '{"log": "%s"}' % ("00" * 32)):
        (folder / "public.json").write_text(text)
        with pytest.raises(ConfigRefused):
            files.read_public(folder)


def test_replacing_a_file_leaves_the_old_one_until_the_new_one_is_whole(folder: Path) -> None:
    path = folder / "document"
    files.write_new(path, b"one")
    files.replace(path, b"two", mode=0o644)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(FileNotFoundError):
        files.replace(folder / "none" / "document", b"x")
    assert os.listdir(folder) == ["document"]


def test_seeds_are_kept_by_peer_and_epoch_and_destroyed_by_peer(folder: Path) -> None:
    seeds = files.SeedFiles(folder / "seeds")
    other = EpochId("20260401-00000000")
    for peer, epoch in ((HND, EPOCH), (HND, other), (UTO, EPOCH)):
        seeds.draw(peer, epoch)
    held = {place: seed.copy() for place in seeds if (seed := seeds.seed(*place))}
    assert len(set(held.values())) == 3
    seeds.draw(HND, EPOCH)
    again = seeds.seed(HND, EPOCH)
    assert again is not None and again.copy() == held[HND, EPOCH]

    assert (seeds.destroy(HND, other), seeds.destroy(HND, other)) == (1, 0)
    assert list(seeds) == [(HND, EPOCH), (UTO, EPOCH)]
    seeds.draw(HND, other)

    file = folder / "seeds" / "HND" / f"{EPOCH}.key"
    with file.open("rb") as still_open:
        assert seeds.destroy(HND) == 2
        assert not any(still_open.read())
    assert list(seeds) == [(UTO, EPOCH)]
    assert seeds.seed(HND, EPOCH) is None


def test_a_seed_moved_to_another_peer_is_refused(folder: Path) -> None:
    seeds = files.SeedFiles(folder)
    seeds.draw(HND, EPOCH)
    (folder / "HND").rename(folder / "UTO")
    with pytest.raises(ConfigRefused, match="another purpose"):
        seeds.seed(UTO, EPOCH)


def test_the_locked_signer_signs_as_rfc_8032() -> None:
    # RFC 8032 section 7.1, test 2.
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    signer = LockedSigner(Locked(seed))
    assert signer.public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert signer.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    with pytest.raises(TypeError):
        pickle.dumps(signer)
    assert seed.hex() not in repr(signer)
