"""The key process: its own program, its own memory, one unix socket (ARCHITECTURE, processes).

It reads the keys once, forbids core files and debuggers, and answers operations until it is stopped. Callers are the
node's other processes, known by their uid. It knows no wire format, no policy and no person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from gateway import ipc
from gateway.errors import Malformed
from gateway.keyring import files, wire
from gateway.keyring.operations import LockedSigner, Operations, Secrets
from gateway.keyring.turns import Turns
from gateway.ports import ReplyFrame
from gateway.primitives import secret
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import EpochId, PeerId


class Points(Protocol):
    """Named places a test may stop the process at. The product passes `NO_POINTS`; nothing else switches it on."""

    def reach(self, name: str) -> None:
        """Called before (`before_sign`) and after (`after_sign`) a reply's points are evaluated and signed."""


class _NoPoints:
    def reach(self, name: str) -> None:
        """Nothing."""


NO_POINTS: Final[Points] = _NoPoints()


@dataclass(frozen=True, slots=True)
class KeyringConfig:
    """What the process is told. `folder` is the node's `keys`, `socket` its own end, `log_origin` the log whose
    checkpoints it signs; empty for the state's first one."""

    state: PeerId
    folder: Path
    socket: Path
    points: Points = NO_POINTS
    log_origin: str = ""


async def run(
    config: KeyringConfig, *, ready: Callable[[], None] = lambda: None, stop: asyncio.Event | None = None
) -> None:
    """Protect the process, load the keys, answer until `stop` is set (or for ever).

    `ready` is called once the socket answers.

    Raises:
        ConfigRefused: a key file is missing, foreign or readable by others.
        OSError: the kernel would not forbid a core file.
    """
    secret.protect_process()
    await serve(config, ready=ready, stop=stop)


async def serve(
    config: KeyringConfig, *, ready: Callable[[], None] = lambda: None, stop: asyncio.Event | None = None
) -> None:
    """As `run`, in a process that is protected already or needs no protection (tests)."""
    operations = load(config)

    turns = Turns()

    async def answer(operation: str, argument: Any) -> Any:
        return await turns.take(
            _who(operation, argument), lambda: _answer(operations, operation, argument, config.points)
        )

    server = await ipc.serve(config.socket, answer)
    async with server:
        ready()
        await (stop or asyncio.Event()).wait()
    config.socket.unlink(missing_ok=True)


def load(config: KeyringConfig) -> Operations:
    """Read the keys from their files. Raises ConfigRefused."""

    def signer(purpose: str) -> LockedSigner:
        seed = files.read_secret(files.key_path(config.folder, purpose), purpose)
        try:
            return LockedSigner(seed)
        finally:
            seed.free()

    keys = Secrets(
        message=signer("message"),
        log=signer("log"),
        token=signer("token"),
        witness=signer("witness"),
        handle=files.read_secret(files.key_path(config.folder, "handle"), "handle"),
        case=files.read_secret(files.key_path(config.folder, "case"), "case"),
    )
    return Operations(config.state, keys, files.SeedFiles(config.folder / "seeds"), log_origin=config.log_origin)


def _who(operation: str, argument: Any) -> str:
    """On whose behalf: a peer's batch is the peer's turn, a table being built one of its own, all else the node's."""
    match operation, argument:
        case "evaluate_and_sign", [[_, _, _, _, str(peer)], *_]:
            return peer
        case "derive" | "handles", _:
            return "table"
    return ""


def _answer(operations: Operations, operation: str, argument: Any, points: Points) -> Any:
    """One call of the internal wire; `keyring.client` is the other end. The work is arithmetic, done in one go."""
    match operation, argument:
        case "evaluate_and_sign", [list() as scope, bytes(blinded), list() as frame]:
            points.reach("before_sign")
            made = operations.evaluate_and_sign(wire.scope_in(scope), blinded, ReplyFrame(*frame))
            points.reach("after_sign")
            return _message(made)
        case "sign", [dict() as fields, bytes(body)]:
            return _message(operations.sign(fields, body))
        case "sign_note", bytes(text):
            return operations.sign_note(text)
        case "cosign", [bytes(text), int(time_s)]:
            return operations.cosign(text, time_s)
        case "derive", [list() as scope, list() as inputs]:
            return operations.derive(wire.scope_in(scope), inputs)
        case "handles", [list() as scope, list() as entry_ids]:
            return operations.handles(wire.scope_in(scope), entry_ids)
        case "public_key", list() as scope:
            return operations.public_key(wire.scope_in(scope))
        case "open_epoch", [str(peer), str(epoch)]:
            return operations.open_epoch(PeerId(peer), EpochId(epoch))
        case "destroy", str(peer):
            return operations.destroy(PeerId(peer))
        case "destroy", [str(peer), str(epoch)]:
            return operations.destroy(PeerId(peer), EpochId(epoch))
        case "sign_token", dict() as claims:
            return operations.sign_token(claims)
        case "open_case", list() as sealed:
            return operations.open_case(sealed)
        case "seal_case", [bytes(recipient), list() as plain]:
            return operations.seal_case(recipient, plain)
        case "public_keys", None:
            return operations.public_keys()
        case "status", None:
            report = secret.report()
            return {
                "all_locked": report.all_locked,
                "buffers_locked": report.buffers_locked,
                "dumpable": report.dumpable,
            }
    raise Malformed("operation", "is unknown, or has another argument")


def _message(message: SignedMessage) -> list[bytes]:
    return [message.body, message.header, message.signature]
