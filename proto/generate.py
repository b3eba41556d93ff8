"""Makes the committed code of the contract and its descriptor image. `--check` makes them elsewhere and compares.

Run from the repository's root. There are no service stubs: the gateway's handlers take and give exact bytes.
"""

from __future__ import annotations

import filecmp
import os
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
PROTO = ROOT / "proto"
IMAGE = PROTO / "image.binpb"


def generate(out: Path, image: Path) -> None:
    """Write `gateway/wire/v1/*_pb2.py` and `.pyi` below `out`, and the image."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("gateway/wire/v1/*.proto"))
    # protoc finds its plugin for the type stubs beside the interpreter that runs us.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    failed = protoc.main(
        [
            "protoc",
            f"-I{PROTO}",
            f"--python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--descriptor_set_out={image}",
            "--include_imports",
            "--include_source_info",
            *sources,
        ]
    )
    if failed:
        raise SystemExit(failed)


def drift() -> list[str]:
    """Committed files that differ from what the contract makes, and files too many or missing."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        generate(made, made / "image.binpb")
        pairs = {path.relative_to(made): path for path in made.rglob("*_pb2.py*")}
        committed = {path.relative_to(ROOT) for path in (ROOT / "gateway/wire/v1").glob("*_pb2.py*")}
        wrong = sorted(str(name) for name in committed ^ pairs.keys())
        wrong += sorted(
            str(name)
            for name in committed & pairs.keys()
            if not filecmp.cmp(ROOT / name, pairs[name], shallow=False)
        )
        if not IMAGE.is_file() or not filecmp.cmp(IMAGE, made / "image.binpb", shallow=False):
            wrong.append(str(IMAGE.relative_to(ROOT)))
        return wrong


def main(arguments: list[str]) -> int:
    """0 when all is as it should be, or was written."""
    if arguments == ["--check"]:
        wrong = drift()
        print("\n".join(f"{name}: differs from the contract; run proto/generate.py" for name in wrong) or "no drift")
        return 1 if wrong else 0
    generate(ROOT, IMAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
