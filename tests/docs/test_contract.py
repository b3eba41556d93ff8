"""The contract in proto/: generated code is what it says, all is described, nothing broke since the release."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests import extras

CONTRACT = extras.ROOT / "proto" / "gateway" / "wire" / "v1"
IMAGE = extras.ROOT / "proto" / "image.binpb"


def run(*command: str, home: Path | None = None) -> None:
    """Run from the root; a failing program's own words are the test's message."""
    env = os.environ | ({"HOME": str(home), "XDG_CACHE_HOME": str(home)} if home else {})
    done = subprocess.run(command, cwd=extras.ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command[1:])}\n{done.stdout}{done.stderr}"


def test_generated_code_is_what_the_contract_says() -> None:
    run("sh", "proto/generate.sh", "--check")


def test_the_kept_image_is_of_this_contract() -> None:
    kept = FileDescriptorSet.FromString(IMAGE.read_bytes())
    names = {file.name for file in kept.file}
    assert {f"gateway/wire/v1/{path.name}" for path in CONTRACT.glob("*.proto")} <= names
    assert all(file.HasField("source_code_info") for file in kept.file if file.name.startswith("gateway/"))


@pytest.mark.extra("buf")
def test_every_message_field_and_method_is_named_and_described_as_agreed(tmp_path: Path) -> None:
    run(extras.path("buf"), "lint", home=tmp_path)


@pytest.mark.extra("buf")
def test_nothing_broke_since_the_release(tmp_path: Path) -> None:
    run(extras.path("buf"), "breaking", "--against", str(IMAGE), home=tmp_path)
