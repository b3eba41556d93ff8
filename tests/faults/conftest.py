"""What the faults of the log share: an empty log, and a disk that fails when it is told to."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store import writer
from tests.faults.log_folder import ROOT
from tests.faults.writer_child import config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer.create(config(tmp_path))
    (tmp_path / "acked").touch()
    return tmp_path


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the failing disk cannot be made")
    library = tmp_path_factory.mktemp("shim") / "fsync_shim.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", library, ROOT / "bench" / "fsync_shim.c", "-ldl"], check=True
    )
    yield library
