"""`python -m gateway.app PROCESS --config FILE`: one process of a node, started by the supervisor.

Each process imports only what it is made of: the key process has no gRPC, the gateway no key, the supervisor nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
from pathlib import Path

from gateway import config
from gateway.errors import GatewayError
from gateway.primitives.follow import follow

PROCESSES = {
    "keys": "gateway.app.keys",
    "writer": "gateway.app.writer",
    "gateway": "gateway.app.node",
    "jobs": "gateway.app.jobs",
    "first": "gateway.app.first",
    "statistics": "gateway.app.statistics",
}
"""Name -> module with `async def run(settings, ready)`, which may return an exit code."""


def main(argv: list[str] | None = None) -> int:
    """Run one process until SIGTERM. A refusal at start is one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m gateway.app")
    parser.add_argument("process", choices=PROCESSES)
    parser.add_argument("--name", help="its name among the node's processes (default: the process)")
    parser.add_argument("--config", required=True, type=Path)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--parent", type=int, help="end when this process, the supervisor, ends")
    args = parser.parse_args(argv)
    os.umask(0o077)
    if args.parent is not None:
        follow(args.parent)
    try:
        flags = dict(item.split("=", 1) for item in args.set)
        settings = config.load(args.config, flags=flags)
        module = importlib.import_module(PROCESSES[args.process])
        ready = settings.paths.run / f"{args.name or args.process}.ready"

        def say_ready() -> None:
            ready.write_text(f"{os.getpid()}\n", "ascii")

        with asyncio.Runner(loop_factory=_loop_factory(args.process)) as runner:
            code: int | None = runner.run(module.run(settings, say_ready))
        return code or 0
    except GatewayError as error:
        print(f"limen {args.process}: {error}", file=sys.stderr)
        return 1


def _loop_factory(process: str) -> type[asyncio.AbstractEventLoop] | None:
    """uvloop where calls are served; the key process keeps the standard loop, it answers one caller at a time."""
    if process in {"gateway", "writer", "keys"}:
        import uvloop

        return uvloop.Loop
    return None


if __name__ == "__main__":
    sys.exit(main())
