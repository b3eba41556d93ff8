"""`limen peer test`: one step after another towards a peer, each with its time, and the first that fails with its fix.

Nothing of a traveller is sent. The peer learns what any connection of ours tells it, and which purpose the dry run
named; both logs have an entry of that.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from gateway.app import engines, federation, parts
from gateway.cli import inputs, node
from gateway.cli.acts import writer
from gateway.cli.main import OK, Refused, fail
from gateway.cli.output import emit, table
from gateway.config import Config
from gateway.errors import ConfigRefused, GatewayError, NotIdentified, PeerUnreachable
from gateway.federation.certificates import KeyPair
from gateway.federation.members import FederationView, MemberKeys
from gateway.flows import trial
from gateway.keyring.client import KeysClient
from gateway.keyring.files import read_public
from gateway.policy import catalogue
from gateway.rpc.convert.peers import SUITE, Sender
from gateway.rpc.peers import PeersClient
from gateway.store.client import WriterClient
from gateway.store.reader import Reader
from gateway.terms import AgencyId, Purpose
from gateway.terms.exchange import Description, DryRun, DryRunDecision
from gateway.terms.ids import PeerId

TIMEOUT_S: Final = 5.0
SKEW_NS_MAX: Final = 30 * 10**9
"""As messages are judged (ARCHITECTURE, decision 16)."""

MAJORS: Final = (1,)

GROUPS: Final = {0x11EC: "X25519MLKEM768", 0x001D: "X25519", 0x0017: "P-256", 0x0018: "P-384"}
"""Key exchange groups of TLS (IANA registry), in the order in which our gateway offers the first three."""

OFFERED: Final = (0x11EC, 0x001D, 0x0017)

ALGORITHMS: Final = (0x0403, 0x0503, 0x0804, 0x0805, 0x0807)
"""ECDSA with P-256 and P-384, RSA-PSS, Ed25519."""

UNREACHABLE: Final = 5
NOT_PROVED: Final = 6
DENIED: Final = 3

FIRST_TABLE: Final = (
    "it comes within seconds once both sides' rules permit a purpose; until then a check says that the other could not "
    "be reached"
)

STEPS: Final = (
    "own node", "name", "port", "TLS", "identity", "message", "clock", "versions", "baseline", "policy here",
    "policy there",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `state` is ok, warn or fail; `fix` is empty where nothing is to be done; `exit_code` of a failure."""

    step: str
    state: str
    ms: float
    detail: str
    fix: str = ""
    exit_code: int = field(default=UNREACHABLE, repr=False)


class Failed(Exception):
    """The step does not hold: what was found, what to do, and how the command ends."""

    def __init__(self, detail: str, fix: str, exit_code: int = UNREACHABLE) -> None:
        super().__init__(detail)
        self.detail, self.fix, self.exit_code = detail, fix, exit_code


def run(args: argparse.Namespace) -> int:
    """Print every step; 0 when all hold. A no of the rules counts as a failure only where a purpose was named."""
    settings = node.load(args)
    asked = _asked(args, settings)
    steps = list(_Probe(settings, args.state, asked, insist=args.purpose is not None).steps())
    failed = next((step for step in steps if step.state == "fail"), None)
    rows = [{**asdict(step), "ms": step.ms} for step in steps]
    for row in rows:
        del row["exit_code"]
    tables = len(list((settings.paths.copies / args.state).glob("*/*.table")))
    document = {
        "peer": args.state,
        "ok": failed is None,
        "failed": failed.step if failed is not None else None,
        "purpose": asked.purpose,
        "tables": tables,
        "steps": rows,
    }
    shown = [{"step": one.step, "": one.state, "ms": f"{one.ms:.1f}", "found": one.detail} for one in steps]
    lines = table(shown, ("step", "", "ms", "found"))
    lines += [f"-> {step.step}: {step.fix}" for step in steps if step.fix]
    if failed is None:
        if not tables:
            lines.append(f"{args.state}'s first table is not here yet: {FIRST_TABLE}")
        lines.append(f"{args.state} and {settings.state} are connected.")
    emit(args, document, lines)
    if failed is None:
        return OK
    return fail(f"{failed.step}: {failed.detail}; {failed.fix}", failed.exit_code)


def _asked(args: argparse.Namespace, settings: Config) -> DryRun:
    purpose = Purpose(args.purpose or catalogue.OFFERED[0])
    if purpose not in catalogue.CATALOGUE:
        raise Refused(f"--purpose: write one of {', '.join(map(str, catalogue.OFFERED))}")
    role = inputs.role(args.role) if args.role else min(catalogue.roles_of(purpose))
    return DryRun(purpose, args.basis, AgencyId(args.agency or settings.agencies[0]), role)


@dataclass
class _Probe:
    """What is learned on the way."""

    settings: Config
    peer: str
    asked: DryRun | None
    insist: bool
    view: FederationView | None = None
    member: MemberKeys | None = None
    host: str = ""
    port: int = 0
    said: Description | None = None
    skew_ns: int = 0
    ours: DryRunDecision | None = None

    def steps(self) -> Iterator[Step]:
        """In order, until one fails."""
        acts: tuple[Callable[[], tuple[str, str]], ...] = (
            self._own_node, self._name, self._reach, self._tls, self._identity, self._message, self._clock,
            self._versions, self._baseline, self._policy_here, self._policy_there,
        )  # fmt: skip
        for name, act in zip(STEPS, acts, strict=True):
            started = time.monotonic()
            try:
                detail, fix = act()
            except Failed as failed:
                yield Step(name, "fail", _ms(started), failed.detail, failed.fix, failed.exit_code)
                return
            yield Step(name, "warn" if fix else "ok", _ms(started), detail, fix)

    # -- Here ---------------------------------------------------------------------------------------------------------

    def _own_node(self) -> tuple[str, str]:
        settings = self.settings
        if not writer.is_running(settings):
            raise Failed("does not run", f"start it: limen serve --config {settings.root}", 1)
        reader = Reader(settings.paths.store)
        try:
            self.view = federation.in_force(settings, reader, node.clock_of(settings).now_ns())
            self.member = self.view.member(PeerId(self.peer))
        except ConfigRefused as cause:
            raise Failed(str(cause), "become peers first: limen peer invite, limen peer accept", 1) from None
        except GatewayError as cause:
            raise Failed(str(cause), "`limen peer list` shows the members; `limen peer invite` adds one", 4) from None
        finally:
            reader.close()
        if self.peer == settings.state:
            raise Refused(f"{self.peer} is this node's own state; write a peer's")
        return f"runs, list {self.view.version} in force, {len(self.view.states())} members", ""

    # -- The way there ------------------------------------------------------------------------------------------------

    def _name(self) -> tuple[str, str]:
        unknown = []
        for endpoint in self._known().endpoints:
            host, _, port = endpoint.rpartition(":")
            self.host, self.port = host.strip("[]"), int(port)
            try:
                found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            except OSError:
                unknown.append(self.host)
                continue
            return f"{self.host} is {found[0][4][0]}", ""
        raise Failed(
            f"no name server knows {', '.join(unknown)}",
            f"ask for the name in this site's DNS, or {self.peer} for a card with another address",
        )

    def _reach(self) -> tuple[str, str]:
        try:
            socket.create_connection((self.host, self.port), TIMEOUT_S).close()
        except TimeoutError:
            raise Failed(
                f"nothing comes back from {self._where()}",
                f"open TCP {self.port} from here to {self.host} in both firewalls: limen doctor --ports",
            ) from None
        except OSError as cause:
            raise Failed(
                f"{self._where()}: {(cause.strerror or str(cause)).lower()}",
                f"ask {self.peer} whether its gateway runs and listens there: limen doctor --ports",
            ) from None
        return f"{self._where()} is open", ""

    def _tls(self) -> tuple[str, str]:
        try:
            group = negotiated_group(self.host, self.port)
        except (OSError, ValueError):
            raise Failed(
                f"{self._where()} is no gateway: it does not speak TLS 1.3",
                "something else listens there, or a proxy ends the connection: let TLS through untouched",
            ) from None
        name = GROUPS.get(group, f"group {group:#06x}")
        if group not in OFFERED:
            raise Failed(f"chose {name}, which our gateway does not offer", f"{self.peer} must update its gateway")
        return f"TLS 1.3 with {name}" + (" (post-quantum hybrid)" if group == OFFERED[0] else ""), ""

    def _identity(self) -> tuple[str, str]:
        member, folder = self._known(), self.settings.paths.tls
        try:
            der = presented(member, folder, self.host, self.port, TIMEOUT_S)
            now_ns = node.clock_of(self.settings).now_ns()
            identity = member.bind(der, now_ns)
        except ssl.SSLCertVerificationError as cause:
            raise Failed(
                f"the certificate at {self._where()} is not {self.peer}'s: {cause.verify_message}",
                f"call {self.peer}; if its certificate is new, it needs a new card in the list. Do not go on before",
                NOT_PROVED,
            ) from None
        except NotIdentified as cause:
            raise Failed(
                str(cause), f"call {self.peer}: the key in its card is another one. Do not go on before", NOT_PROVED
            ) from None
        except (OSError, GatewayError) as cause:
            raise Failed(f"the handshake failed: {cause}", f"ask {self.peer} what its log says of us") from None
        days = (identity.not_after_ns - now_ns) // (86_400 * 10**9)
        return f"{identity.uri}, its pinned key, {days} days left", ""

    def _message(self) -> tuple[str, str]:
        try:
            self.said = asyncio.run(self.describe())
        except PeerUnreachable as cause:
            raise Failed(str(cause), self._why_not_taken(str(cause))) from None
        except GatewayError as cause:
            raise Failed(str(cause), "see `limen doctor`", cause.row.exit_code) from None
        return "our request was taken and its reply is signed with the listed key", ""

    def _why_not_taken(self, told: str) -> str:
        """What to do about a message that was not taken, by the reason that came back."""
        # A peer says no more to a caller it does not take: the two reasons there are look alike from outside.
        if "NOT_IDENTIFIED" in told or "VERIFICATION_FAILED" in told:
            return (
                "compare the clocks first (date -u on both machines, at most 30 s apart), then the lists of members "
                "(limen federation show on both sides)"
            )
        if "AUDIT_UNAVAILABLE" in told or "KEYS_UNAVAILABLE" in told:
            return f"{self.peer}'s gateway runs and cannot answer: its operator runs limen doctor"
        return f"ask {self.peer} what its log says of us, and run limen doctor on both sides"

    async def describe(self) -> Description:
        """The peer's description; the skew of its clock and our own rules' decision are kept on the way."""
        settings, view = self.settings, self._listed()
        clock = node.clock_of(settings)
        reader = Reader(settings.paths.store)
        keys = KeysClient(settings.socket("keys"))
        uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
        folder = settings.paths.tls
        leaf = KeyPair((folder / "gateway.key").read_bytes(), (folder / "gateway.crt").read_bytes())
        client = PeersClient(
            sender=Sender(settings.state, read_public(settings.paths.keys).message, lambda: parts.last_digest(reader)),
            keys=keys,
            view=lambda: view,
            leaf=lambda: leaf,
            clock=clock,
            chance=parts.SystemChance(),
            observe=lambda seen: None,
        )
        try:
            before_ns = clock.now_ns()
            said = await client.describe(PeerId(self.peer), timeout_s=TIMEOUT_S, dry_run=self.asked)
            # The peer read its clock at some moment in between.
            self.skew_ns = said.time_ns - (before_ns + clock.now_ns()) // 2
            if self.asked is not None:
                self.ours = await self._rules(self.asked, reader, uow)
        finally:
            await client.close()
            await uow.close()
            await keys.close()
            reader.close()
        return said

    async def _rules(self, asked: DryRun, reader: Reader, uow: WriterClient) -> DryRunDecision | None:
        settings, now_ns = self.settings, node.clock_of(self.settings).now_ns()
        async with AsyncExitStack() as stack:
            try:
                engine = await stack.enter_async_context(
                    engines.of_node(settings, reader, now_ns=now_ns, pinned_baseline=self._listed().baseline)
                )
            except GatewayError:
                return None
            return await trial.ask(asked, settings.state, PeerId(self.peer), engine, uow, now_ns)

    # -- What it said -------------------------------------------------------------------------------------------------

    def _clock(self) -> tuple[str, str]:
        apart_s = abs(self.skew_ns) / 1e9
        told = f"{apart_s:.3f} s {'ahead of' if self.skew_ns > 0 else 'behind'} ours"
        if abs(self.skew_ns) > SKEW_NS_MAX:
            raise Failed(
                f"its clock is {told}", "run a time service on both machines: messages 30 s off are refused", 1
            )
        return told, ("run a time service on both machines (chrony)" if apart_s > 2 else "")

    def _versions(self) -> tuple[str, str]:
        said = self._spoken()
        missing = not_shared(said)
        if missing:
            raise Failed(f"release {said.release} and ours share no {missing}", "update the older of the two gateways")
        majors = ", ".join(str(one) for one in said.protocol_majors if one in MAJORS)
        return f"release {said.release}, protocol {majors}, {len(said.key_types)} kinds of key in common", ""

    def _baseline(self) -> tuple[str, str]:
        if self._spoken().baseline_digest != self._listed().baseline:
            raise Failed(
                "its regional baseline is not the one the list names",
                f"{self.peer} must put the region's bundle in force: limen policy activate --layer baseline",
                DENIED,
            )
        return f"the same, {self._listed().baseline.hex()[:16]}", ""

    def _policy_here(self) -> tuple[str, str]:
        if self.ours is None:
            raise Failed("no policy can be used here", "see `limen doctor`", DENIED)
        return self._ruled("ask", self.ours, "our policy permits no")

    def _policy_there(self) -> tuple[str, str]:
        said = self._spoken()
        if said.dry_run is None:
            return f"release {said.release} knows no dry run", "ask by telephone, or update it"
        return self._ruled("answer", said.dry_run, f"{self.peer}'s policy permits no")

    def _ruled(self, verb: str, decision: DryRunDecision, no: str) -> tuple[str, str]:
        purpose = self.asked.purpose if self.asked is not None else ""
        if decision.permitted:
            return f"would {verb} {purpose} under {decision.agreement}", ""
        detail = f"{no} {purpose}: {', '.join(decision.reasons)}"
        fix = "the rules decide, not the line: an agreement of both states goes into both policies (limen policy -h)"
        if "policy_unavailable" in decision.reasons or "policy_expired" in decision.reasons:
            there = "here" if verb == "ask" else f"in {self.peer}: call its operator"
            fix = f"no rules are in force {there}; `limen doctor` says why (its policy lines)"
        if self.insist:
            raise Failed(detail, fix, DENIED)
        return detail, fix

    # -- Known by now -------------------------------------------------------------------------------------------------

    def _where(self) -> str:
        return f"{self.host}:{self.port}"

    def _known(self) -> MemberKeys:
        if self.member is None:
            raise RuntimeError("asked before the list was read")
        return self.member

    def _listed(self) -> FederationView:
        if self.view is None:
            raise RuntimeError("asked before the list was read")
        return self.view

    def _spoken(self) -> Description:
        if self.said is None:
            raise RuntimeError("asked before the peer was")
        return self.said


def not_shared(said: Description) -> str:
    """What a peer that says this of itself and we have no version of in common; empty where all is well."""
    if not set(said.protocol_majors) & set(MAJORS):
        return "protocol"
    if SUITE not in said.suites:
        return "suite"
    return "" if said.key_types else "kind of key"


def described(settings: Config, peer: PeerId) -> Description | None:
    """What a peer says of itself, asked through the running node; None where it does not answer us."""
    probe = _Probe(settings, peer, None, insist=False)
    reader = Reader(settings.paths.store)
    try:
        probe.view = federation.in_force(settings, reader, node.clock_of(settings).now_ns())
        return asyncio.run(probe.describe())
    except GatewayError:
        return None
    finally:
        reader.close()


def presented(member: MemberKeys, folder: Path, host: str, port: int, timeout_s: float) -> bytes:
    """The certificate (DER) that a member's gateway shows, under its own anchor, to our gateway's leaf in `folder`.

    Raises:
        OSError: no connection, or a handshake that failed (ssl.SSLCertVerificationError: another's certificate).
    """
    context = ssl.create_default_context(cadata=member.anchor_pem.decode("ascii"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(folder / "gateway.crt", folder / "gateway.key")
    with (
        socket.create_connection((host, port), timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def negotiated_group(host: str, port: int, *, timeout_s: float = TIMEOUT_S) -> int:
    """The key exchange group that a TLS 1.3 server would use with our gateway.

    Asked by a greeting that offers our groups and a share of none: the server must then name the one it wants (RFC
    8446 section 4.1.4, HelloRetryRequest). Nothing is agreed, and the connection ends there.

    Raises:
        OSError: no connection, or it ended.
        ValueError: what came back is no such answer.
    """
    with socket.create_connection((host, port), timeout_s) as line:
        line.sendall(_client_hello())
        kind, body = _record(line)
    return group_in(kind, body)


def group_in(kind: int, body: bytes) -> int:
    """The key exchange group that a first record names. Raises ValueError for anything but a ServerHello with one."""
    if kind != 22 or body[:1] != b"\x02":
        raise ValueError("no ServerHello")
    try:
        # Handshake head (4), version (2), random (32), session id, cipher suite (2), compression (1), extensions.
        at = 4 + 2 + 32
        at += 1 + body[at] + 2 + 1
        end = at + 2 + int.from_bytes(body[at : at + 2], "big")
        at += 2
        while at + 4 <= min(end, len(body)):
            number, size = struct.unpack_from(">HH", body, at)
            if number == 51:
                (group,) = struct.unpack_from(">H", body, at + 4)
                return int(group)
            at += 4 + size
    except (IndexError, struct.error):
        raise ValueError("a ServerHello that ends too early") from None
    raise ValueError("no key exchange group")


def _client_hello() -> bytes:
    def extension(number: int, body: bytes) -> bytes:
        return struct.pack(">HH", number, len(body)) + body

    groups = b"".join(struct.pack(">H", group) for group in OFFERED)
    algorithms = b"".join(struct.pack(">H", one) for one in ALGORITHMS)
    extensions = b"".join(
        (
            extension(43, b"\x02\x03\x04"),
            extension(10, struct.pack(">H", len(groups)) + groups),
            extension(13, struct.pack(">H", len(algorithms)) + algorithms),
            extension(51, b"\x00\x00"),
            extension(16, b"\x00\x03\x02h2"),
        )
    )
    session = secrets.token_bytes(32)
    body = b"\x03\x03" + secrets.token_bytes(32) + bytes([len(session)]) + session
    body += b"\x00\x06\x13\x01\x13\x02\x13\x03" + b"\x01\x00" + struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def _record(line: socket.socket) -> tuple[int, bytes]:
    head = _exactly(line, 5)
    return head[0], _exactly(line, min(int.from_bytes(head[3:5], "big"), 1 << 14))


def _exactly(line: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = line.recv(size - len(found))
        if not part:
            raise OSError("the connection ended")
        found += part
    return found


def _ms(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)


__all__ = ["Failed", "Step", "described", "group_in", "negotiated_group", "not_shared", "run"]
