"""`limen status`: is the node up, what is in force, which peers, which tables. Asked at the workstation's door."""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import UTC, datetime

from gateway.cli import node
from gateway.cli.acts import booth
from gateway.cli.main import ERROR, OK
from gateway.cli.output import emit
from gateway.rpc.doors import NodeStatus
from gateway.rpc.home import HomeClient

WATCH_S = 2.0


def run(args: argparse.Namespace) -> int:
    """Print once, or again and again. Exit 1 while the node is not ready."""
    if args.booth is None and args.config is not None:
        args.booth = node.load(args).root / "booth"
    place = booth.load(args)
    while True:
        said = asyncio.run(_ask(place))
        document = {
            "state": said.state,
            "release": said.release,
            "ready": said.ready,
            "time_ns": said.time_ns,
            "policy": None
            if said.policy is None
            else {"baseline": said.policy.baseline.hex(), "national": said.policy.national.hex()},
            "log_size": said.log_size,
            "quorum": said.quorum,
            "witnessed_ns": said.witnessed_ns,
            "disclosing": said.disclosing,
            "peers": [
                {
                    "state": peer.state,
                    "active": peer.active,
                    "tables": dict(peer.tables),
                    "compared_ns": peer.compared_ns,
                    "compared": peer.compared,
                }
                for peer in said.peers
            ],
        }
        lines = [
            f"{said.state} {'ready' if said.ready else 'NOT READY'}, release {said.release}, "
            f"{datetime.fromtimestamp(said.time_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC",
            "no policy is in force: everything is refused"
            if said.policy is None
            else f"policy     baseline {said.policy.baseline.hex()[:16]}, national {said.policy.national.hex()[:16]}",
            f"log        {said.log_size} entries published",
        ]
        if said.quorum:
            seen = max(0, said.time_ns - said.witnessed_ns) // 10**9
            lines.append(
                f"witnesses  {said.quorum} have seen the log {seen} s ago"
                + ("" if said.disclosing else "; too long: NOTHING IS DISCLOSED until they see it again")
            )
        for peer in said.peers:
            tables = ", ".join(f"{name} version {version}" for name, version in sorted(peer.tables.items()))
            lines.append(f"{peer.state:<10} {'' if peer.active else 'suspended; '}{tables or 'no table received'}")
            if peer.compared:
                lines.append(f"{'':<10} {_compared(peer.compared, peer.compared_ns)}")
        emit(args, document, lines)
        if not args.watch:
            return OK if said.ready else ERROR
        time.sleep(WATCH_S)


def _compared(outcome: str, at_ns: int) -> str:
    """How holding the peer's log against its messages ended."""
    when = f"{datetime.fromtimestamp(at_ns // 10**9, UTC):%Y-%m-%d %H:%M} UTC"
    if outcome == "same":
        return f"its log agreed with its messages at {when}"
    if outcome == "CAPABILITY_MISSING":
        return f"its log cannot be held against its messages: CAPABILITY_MISSING, {when}"
    return f"ITS LOG DOES NOT AGREE with what it signed: {outcome}, {when}; see docs/flows/nightly.md"


async def _ask(place: booth.Booth) -> NodeStatus:
    async with HomeClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem) as client:
        return await client.status()
