"""`limen node backup` and `restore` without running nodes: places, refusals, and files that nobody of ours made."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from gateway import config
from gateway.audit import note
from gateway.cli.main import run
from gateway.clock import SystemClock
from gateway.keyring.vault import Sealer
from gateway.store import lock
from gateway.store.writer import Log, WriterConfig
from gateway.terms.hidden import Hidden
from tests.unit.audit.log import LOG, LOG_KEY

PASSPHRASE = "correct horse battery"
Told = Callable[..., Any]


@pytest.fixture
def passphrase(tmp_path: Path) -> list[object]:
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    return ["--passphrase-file", file]


@pytest.fixture
def pan(tmp_path: Path) -> Path:
    """A node of PAN whose log was signed once and which does not run."""
    folder = tmp_path / "pan"
    assert run(["init", "--state", "PAN", str(folder), "-q"]) == 0
    sign_once(folder)
    return folder


def sign_once(folder: Path) -> None:
    paths = config.load(folder, environ={}).paths
    log = Log(WriterConfig(paths.store, paths.lock, paths.periods, paths.run, "limen/PAN/log"), SystemClock())
    head = log.agree()
    log.publish(head, note.sign(head.encode(), LOG_KEY, LOG.sign))
    log.close()


def test_a_stopped_node_comes_back_with_everything_but_its_seeds(
    told: Told, pan: Path, tmp_path: Path, passphrase: list[object]
) -> None:
    done = told("node", "backup", tmp_path, "--config", pan, *passphrase)
    assert Path(done["file"]).name.startswith("PAN-20") and not done["logged"]
    again = tmp_path / "again"
    back = told("node", "restore", done["file"], again, *passphrase)
    assert (back["state"], back["files"]) == ("PAN", done["files"])
    for name in ("limen.toml", "keys/message.key", "keys/public.json", "tls/gateway.key", "policy/national.tar.gz",
                 "officers/register.jsonl"):  # fmt: skip
        assert (again / name).read_bytes() == (pan / name).read_bytes(), name
    for path in (again, *again.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    assert lock.restored(again / "lock") == done["sha256"]
    assert not (again / "anchor").exists() and not list((again / "keys/seeds").iterdir())
    # Nothing is left of the snapshot that was made on the way.
    assert sorted(path.name for path in (pan / "store").iterdir() if path.name.startswith(".")) == []


def test_what_the_settings_keep_elsewhere_goes_back_there(
    told: Told, pan: Path, tmp_path: Path, passphrase: list[object]
) -> None:
    done = told("node", "backup", tmp_path / "b", "--config", pan, *passphrase)
    assert done["files"]
    moved = tmp_path / "moved"
    for name in ("store", "lock"):
        (moved / name).parent.mkdir(exist_ok=True)
        (pan / name).rename(moved / name)
    toml = pan / "limen.toml"
    toml.write_text(toml.read_text() + f'\n[paths]\nstore = "{moved / "store"}"\nlock = "{moved / "lock"}"\n')
    told("node", "backup", tmp_path / "b2", "--config", pan, *passphrase)
    assert "there is something already" in told("node", "restore", tmp_path / "b2", tmp_path / "x", *passphrase, code=8)
    assert not (tmp_path / "x").exists()
    for name in ("store", "lock"):
        (moved / name).rename(moved / f"{name}.lost")
    told("node", "restore", tmp_path / "b2", tmp_path / "x", *passphrase)
    assert (moved / "store" / "node.db").exists() and lock.is_restored(moved / "lock")
    assert not (tmp_path / "x" / "store").exists()


def test_a_lock_record_of_a_log_that_went_on_is_never_replaced(
    told: Told, pan: Path, tmp_path: Path, passphrase: list[object]
) -> None:
    (tmp_path / "other").mkdir()
    (pan / "lock").rename(tmp_path / "other" / "lock")
    toml = pan / "limen.toml"
    toml.write_text(toml.read_text() + f'\n[paths]\nlock = "{tmp_path / "other" / "lock"}"\n')
    told("node", "backup", tmp_path / "b", "--config", pan, *passphrase)
    head = (tmp_path / "other" / "lock" / "head").read_bytes()
    said = told("node", "restore", tmp_path / "b", tmp_path / "x", *passphrase, code=8)
    assert "a log goes on there" in said and not (tmp_path / "x").exists()
    assert (tmp_path / "other" / "lock" / "head").read_bytes() == head


def test_what_cannot_be_backed_up_is_said_and_leaves_nothing(
    told: Told, tmp_path: Path, passphrase: list[object]
) -> None:
    folder = tmp_path / "new"
    told("init", "--state", "PAN", folder)
    out = tmp_path / "out"
    out.mkdir()
    assert "no checkpoint yet" in told("node", "backup", out / "b", "--config", folder, *passphrase, code=8)
    short = tmp_path / "short"
    short.write_text("short\n")
    sign_once(folder)
    said = told("node", "backup", out / "b", "--config", folder, "--passphrase-file", short, code=8)
    assert "at least 12" in said
    assert list(out.iterdir()) == []


def forged(path: Path, files: list[tuple[tarfile.TarInfo, bytes]], manifest: object = None) -> Path:
    """A file under the right passphrase that our program did not make."""
    tar_bytes = io.BytesIO()
    listed = {info.name: {"sha256": sha256(data).hexdigest(), "bytes": len(data)} for info, data in files}
    first = (
        {"schema": "limen/backup/1", "state": "PAN", "made_ns": 1, "files": listed} if manifest is None else manifest
    )
    with tarfile.open(fileobj=tar_bytes, mode="w") as tar:
        for info, data in [plain("manifest.json", json.dumps(first).encode()), *files]:
            info.size = len(data) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(data))
    with path.open("wb") as out:
        sealer = Sealer(cast(BinaryIO, out), {"schema": "limen/backup/1"}, Hidden(PASSPHRASE))
        sealer.write(tar_bytes.getvalue())
        sealer.close()
    return path


def plain(name: str, data: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), data


def link(name: str, to: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, to
    return info, b""


@pytest.mark.parametrize(
    ("files", "told_of", "code"),
    [
        ([plain("../evil")], "a file that no backup has", 8),
        ([plain("keys/../../evil")], "a file that no backup has", 8),
        ([plain("/tmp/evil")], "a file that no backup has", 8),
        ([plain("anchor/federation.key")], "a file that no backup has", 8),
        ([plain("keys/seeds/HND/20260101-00000000.key")], "an epoch seed", 8),
        ([link("keys/message.key", "/etc/passwd")], "something that is no file", 8),
        ([plain("limen.toml"), plain("limen.toml", b"y")], "", 6),
    ],
    ids=["above", "above again", "absolute", "not ours", "a seed", "a link", "twice"],
)
def test_a_file_that_nobody_of_ours_made_is_refused_and_leaves_nothing(
    told: Told, tmp_path: Path, passphrase: list[object], files: Any, told_of: str, code: int
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    said = told("node", "restore", forged(tmp_path / "forged", files), out / "pan", *passphrase, code=code)
    assert told_of in said
    assert list(out.iterdir()) == [] and not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "manifest",
    [{"files": {"limen.toml": {"sha256": "00", "bytes": 1}}}, {"files": {"keys/log.key": {}}}, {}, [], "text", 7],
)
def test_a_manifest_that_does_not_fit_is_refused(
    told: Told, tmp_path: Path, passphrase: list[object], manifest: object
) -> None:
    forgery = forged(tmp_path / "forged", [plain("limen.toml")], manifest)
    assert run(["node", "restore", str(forgery), str(tmp_path / "pan"), *map(str, passphrase)]) in (6, 8)
    assert not (tmp_path / "pan").exists()
