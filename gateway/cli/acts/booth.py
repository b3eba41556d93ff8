"""A workstation's folder: how officers' commands find and reach the node.

booth.toml                 the state, and where the home listener is
client.crt  client.key     the workstation's certificate, issued by the state's own anchor
anchor.crt                 what the node's certificate is judged by
token                      the token of whoever logged in last
"""

from __future__ import annotations

import argparse
import json
import os
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from gateway.cli.inputs import bytes_of
from gateway.clock import SystemClock, VirtualClock
from gateway.config import Address
from gateway.errors import ConfigRefused, Malformed, NotIdentified
from gateway.federation import certificates, statement
from gateway.federation.certificates import KeyPair
from gateway.keyring.personal import PersonalKey
from gateway.terms.ids import PeerId, peer_id
from gateway.terms.realm import Realm

FILE_NAME: Final = "booth.toml"
BOOTH_VARIABLE: Final = "LIMEN_BOOTH"


@dataclass(frozen=True, slots=True)
class Booth:
    """One workstation. `home` is where the node's home listener answers."""

    folder: Path
    state: PeerId
    home: Address
    client: KeyPair
    anchor_pem: bytes = field(repr=False)
    clock_file: Path | None = None
    """The virtual clock's file, where the node of a demonstration goes by one."""

    def now_ns(self) -> int:
        """The workstation's time, UTC ns: what a person's signature says of when it was made."""
        clock = SystemClock() if self.clock_file is None else VirtualClock(self.clock_file)
        return clock.now_ns()

    @property
    def token_file(self) -> Path:
        """Where a token lies between `limen officer login` and the checks it serves."""
        return self.folder / "token"

    @property
    def certificate(self) -> bytes:
        """SHA-256 of the client certificate's DER: what a token is bound to."""
        return sha256(certificates.der_of(self.client.certificate_pem)).digest()

    @property
    def is_sandbox(self) -> bool:
        """Whether it was made for a sandbox, as its certificate says. Raises Malformed."""
        return certificates.identity(certificates.der_of(self.client.certificate_pem)).realm is Realm.SANDBOX

    def token(self) -> str:
        """The token of whoever logged in last. Raises NotIdentified when nobody has."""
        try:
            return self.token_file.read_text("ascii")
        except (OSError, ValueError):
            raise NotIdentified(f"nobody is logged in here; run `limen officer login --booth {self.folder}`") from None


def load(args: argparse.Namespace) -> Booth:
    """Read the folder. Raises ConfigRefused."""
    booth = read(args.booth or Path(os.environ.get(BOOTH_VARIABLE) or "booth"))
    _judge_certificate(booth, SystemClock().now_ns())
    return booth


def _judge_certificate(booth: Booth, now_ns: int) -> None:
    """A certificate that TLS would refuse in silence is told by name."""
    file = booth.folder / "client.crt"
    try:
        found = certificates.identity(certificates.der_of(booth.client.certificate_pem))
    except Malformed as cause:
        raise ConfigRefused(f"{file}: {cause}") from None
    if not found.in_force(now_ns):
        until = datetime.fromtimestamp(found.not_after_ns / 1e9, tz=UTC).date()
        raise ConfigRefused(
            f"{file}: this workstation's certificate is not in force (it ends {until}); have a new one issued by "
            "your state's anchor"
        )


def read(folder: Path) -> Booth:
    """Read a workstation's folder.

    Raises:
        ConfigRefused: a file is missing or has the wrong form, or the node's port is not known because it does not run.
    """
    file = folder / FILE_NAME
    try:
        table = tomllib.loads(bytes_of(file).decode("utf-8"))
        state = peer_id(table.pop("state"))
        host, _, port = table.pop("home").rpartition(":")
        address = Address(host.strip("[]"), int(port))
        port_file = table.pop("port_file", "")
        clock_file = table.pop("clock_file", None)
        shifted = folder / clock_file if clock_file is not None else None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ConfigRefused(f'{file}: write state = "AAA" and home = "host:port"') from None
    if table:
        raise ConfigRefused(f"{file}: {next(iter(table))} is not a setting of a workstation")
    if address.port == 0:
        try:
            address = Address(address.host, int((folder / port_file).read_text("ascii")))
        except (OSError, ValueError):
            raise ConfigRefused(f"{file}: the node's port is any free one and the node does not run") from None
    client = KeyPair(bytes_of(folder / "client.key"), bytes_of(folder / "client.crt"))
    return Booth(folder, state, address, client, bytes_of(folder / "anchor.crt"), shifted)


async def login(booth: Booth, key: PersonalKey) -> tuple[str, int]:
    """Log a person in at this workstation; returns the token and when it ends, UTC ns.

    Raises:
        NotIdentified: the node did not take it; it does not say why.
        PeerUnreachable and others of `rpc.home`: the node did not answer.
    """
    from gateway.rpc.home import HomeClient  # here, because making a workstation's folder needs no gRPC

    async with HomeClient(str(booth.home), leaf=booth.client, anchor_pem=booth.anchor_pem) as client:
        challenge, _ = await client.challenge(key.officer)
        said = statement.login(
            state=booth.state, officer=key.officer, challenge=challenge, certificate=booth.certificate
        )
        return await client.login(key.officer, challenge, statement.sign_login(said, key.seed.open()))


def settings(state: PeerId, home: str, clock_file: Path | None = None, *, listener: str = "home") -> str:
    """The text of `booth.toml` for a node made here; `clock_file` where the node goes by a virtual clock, `listener`
    which of the node's doors `home` is: an auditor's folder has the auditors'."""
    lines = [
        "# How this workstation reaches its state's node.",
        f'state = "{state}"',
        f'home = "{home}"',
    ]
    if home.endswith(":0"):
        lines.append(f'port_file = "../run/{listener}.port"')
    if clock_file is not None:
        lines.append(f"clock_file = {json.dumps(str(clock_file))}")
    return "\n".join(lines) + "\n"
