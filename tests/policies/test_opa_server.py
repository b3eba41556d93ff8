"""The engine over a real OPA server with the same signed bundles: the same decisions, and no decision when in doubt."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.app.engines import patiently
from gateway.errors import PolicyUnavailable
from gateway.federation import certificates
from gateway.opa import golden, operated, sources
from gateway.opa.content import PACKAGE_OF
from gateway.opa.operated import Held
from gateway.opa.remote import OpaEngine
from gateway.opa.server import Endpoint, OpaServer
from gateway.policy import agreement
from gateway.policy.decision import Deny, Permit
from gateway.terms.ids import PeerId
from tests.policies import opa_server, world
from tests.policies.test_opa import opa, random_questions

pytestmark = pytest.mark.extra("opa")

DEADLINE_S = 5.0
"""Patience for a busy machine; what a deadline does is tested in test_opa_client."""


def held(folder: Path, national: bytes | None = None) -> list[Held]:
    """The two bundles as files, with the keys that signed them."""
    made = []
    for layer, raw, scope, key_id, key in (
        ("baseline", world.baseline_raw(), "baseline", "region-1", world.REGION_PUBLIC),
        ("national", national or world.national_raw(), "national/PAN", "pan-1", world.STATE_PUBLIC),
    ):
        path = folder / f"{layer}.tar.gz"
        path.write_bytes(raw)
        made.append(Held(layer, path, scope, key_id, key))
    return made


def engine(socket_path: Path) -> OpaEngine:
    return OpaEngine(OpaServer(Endpoint.of(f"unix://{socket_path}", None, None, None)), DEADLINE_S)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a server over the shipped bundles."""
    folder = tmp_path_factory.mktemp("opa")
    opa_server.write(folder, held(folder))
    with opa_server.running(folder, f"unix://{folder / 'o.sock'}"):
        yield folder / "o.sock"


async def prepared(made: OpaEngine, national: bytes | None = None) -> None:
    bundles = world.shipped()[0], world.open_national(national or world.national_raw())

    async def prepare() -> None:
        (await made.prepare(*bundles, now_ns=world.NOW))()

    await patiently(prepare)


def run(socket_path: Path, story: Callable[[OpaEngine], Awaitable[None]]) -> None:
    async def go() -> None:
        made = engine(socket_path)
        try:
            await prepared(made)
            await story(made)
        finally:
            await made.close()

    asyncio.run(go())


def test_the_access_rules_are_strictly_valid_and_formatted(tmp_path: Path) -> None:
    path = tmp_path / "authz.rego"
    path.write_text(operated.RULES)
    assert opa("check", "--strict", str(path)).returncode == 0
    assert opa("fmt", "--list", "--fail", str(path)).stdout == ""


def test_every_golden_decision_and_every_combined_one_comes_out_alike(server: Path) -> None:
    async def story(made: OpaEngine) -> None:
        embedded = world.engine()
        layers = embedded._layers
        assert layers is not None
        revisions = {layer.bundle.layer: layer.bundle.revision for layer in layers}
        differences, golden_cases = [], 0
        for layer in layers:
            for case in layer.bundle.golden:
                answer, _ = await made._ask_case(layer.bundle.layer, case, revisions)
                golden_cases += 1
                if golden.plain(answer) != golden.plain(layer.answer(json.dumps(case["question"]))):
                    differences.append(case["name"])
        permitted = 0
        for question in random_questions(11):
            mine, theirs = embedded.decide_now(question), await made.decide(question)
            permitted += isinstance(mine, Permit)
            if mine != theirs:
                differences.append(question)
        assert differences == [] and golden_cases > 100 and permitted > 20
        assert made.faults == 0

    run(server, story)


def test_thirty_states_agreements_fit_and_agree(tmp_path: Path) -> None:
    others = [f"X{a}{b}" for a in "ABCDE" for b in "ABCDEF"]
    end = 2 * golden.TIME_NS
    signed = [
        agreement.starter("PAN", other, agencies={"PAN": ["SNM"], other: ["AG"]}, valid_from_ns=1, valid_until_ns=end)
        for other in others
    ]
    raw = world.national_raw(sources.starter_national("PAN", signed))
    opa_server.write(tmp_path, held(tmp_path, raw))

    async def go() -> None:
        made = engine(tmp_path / "o.sock")
        await prepared(made, raw)
        asked = golden.question(*world.GOOD[0], "PAN", "XEF")
        assert isinstance(await made.decide(asked), Permit | Deny)
        await made.close()

    with opa_server.running(tmp_path, f"unix://{tmp_path / 'o.sock'}"):
        asyncio.run(go())


def test_nothing_but_the_two_rules_and_health_is_answered(server: Path) -> None:
    async def status(method: str, path: str, body: bytes = b"{}") -> int:
        reader, writer = await asyncio.open_unix_connection(server)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        line = await reader.readline()
        writer.close()
        return int(line.split()[1])

    async def go() -> None:
        for layer in ("baseline", "national"):
            package = PACKAGE_OF[layer].replace(".", "/")
            assert await status("POST", f"/v1/data/{package}/decision") == 200
            assert await status("GET", f"/v1/data/{package}/decision") == 401
            assert await status("POST", f"/v1/data/{package}") == 401
        assert await status("GET", "/health?bundle=true") == 200
        for method, path in (
            ("POST", "/v1/data"), ("GET", "/v1/data/limen/national/agreements"), ("POST", "/v1/query"),
            ("PUT", "/v1/policies/x"), ("PATCH", "/v1/data/limen"), ("PUT", "/v1/data/limen/national/state"),
            ("DELETE", "/v1/policies/x"), ("GET", "/v1/policies"), ("GET", "/v1/config"), ("GET", "/metrics"),
            ("POST", "/v1/compile"), ("POST", "/"), ("GET", "/v1/status"),
        ):  # fmt: skip
            assert await status(method, path) == 401, path

    asyncio.run(go())


def test_another_bundle_under_the_same_number_is_no_answer(tmp_path: Path) -> None:
    """The server holds a bundle that the same authority signed under the same sequence, with another end."""
    opa_server.write(tmp_path, held(tmp_path, world.national_raw(not_after_ns=world.NOW + 2 * world.YEAR)))

    async def go() -> None:
        made = engine(tmp_path / "o.sock")
        server_of = made._server
        while True:
            try:
                await server_of.health()
                break
            except PolicyUnavailable:
                await asyncio.sleep(0.05)
        with pytest.raises(PolicyUnavailable, match="holds other bundles"):
            await made.prepare(*world.shipped(), now_ns=world.NOW)
        await made.close()

    with opa_server.running(tmp_path, f"unix://{tmp_path / 'o.sock'}"):
        asyncio.run(go())


def test_a_bundle_of_a_stranger_is_never_ready(tmp_path: Path) -> None:
    bundles = held(tmp_path)
    files = world.members(bundles[1].file.read_bytes())
    name = "limen/national/sharing/sharing.rego"
    bundles[1].file.write_bytes(world.packed(files | {name: files[name] + b"\n"}))
    opa_server.write(tmp_path, bundles)

    async def go() -> None:
        made = engine(tmp_path / "o.sock")
        with pytest.raises(PolicyUnavailable):
            for _ in range(10):
                await asyncio.sleep(0.1)
                try:
                    await made._server.health()
                except PolicyUnavailable as fault:
                    if "500" in str(fault):  # it serves, and says that a bundle is missing
                        raise
        await made.close()

    with opa_server.running(tmp_path, f"unix://{tmp_path / 'o.sock'}"):
        asyncio.run(go())


def test_a_killed_server_is_a_no_and_its_successor_is_heard(tmp_path: Path) -> None:
    opa_server.write(tmp_path, held(tmp_path))
    url = f"unix://{tmp_path / 'o.sock'}"

    async def go() -> None:
        made = engine(tmp_path / "o.sock")
        processes: list[subprocess.Popen[bytes]] = [opa_server.start(tmp_path, url)]
        try:
            await prepared(made)
            assert isinstance(await made.decide(world.good()), Permit)
            processes[0].kill()
            processes[0].wait()
            for _ in range(3):
                gone = await made.decide(world.good())
                assert isinstance(gone, Deny) and gone.reasons == ("policy_unavailable",)
            processes.append(opa_server.start(tmp_path, url))
            for _ in range(200):
                again = await made.decide(world.good())
                if isinstance(again, Permit):
                    break
                # While its bundles load it answers undefined with 200, or does not answer.
                assert set(again.reasons) <= {"policy_unavailable", "policy_answer"}
                await asyncio.sleep(0.05)
            assert again == world.engine().decide_now(world.good())
        finally:
            for process in processes:
                process.kill()
                process.wait()
            await made.close()

    asyncio.run(go())


def test_over_tls_both_sides_show_a_certificate(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    clock = time.time_ns()
    anchor = certificates.make_anchor(PeerId("PAN"), clock)
    stranger = certificates.make_anchor(PeerId("PAN"), clock)
    opa_server.write(tmp_path, held(tmp_path))
    leaf = certificates.issue_leaf(anchor, PeerId("PAN"), "gateway", clock, hosts=("127.0.0.1",))
    (tmp_path / "server.crt").write_bytes(leaf.certificate_pem)
    (tmp_path / "server.key").write_bytes(leaf.key_pem)
    (tmp_path / "ca.crt").write_bytes(anchor.certificate_pem)
    for name, by in (("good", anchor), ("bad", stranger)):
        client = certificates.issue_leaf(by, PeerId("PAN"), "gateway", clock, hosts=("127.0.0.1",))
        (tmp_path / f"{name}.crt").write_bytes(client.certificate_pem)
        (tmp_path / f"{name}.key").write_bytes(client.key_pem)
    (tmp_path / "stranger.crt").write_bytes(stranger.certificate_pem)

    def over(ca: str, who: str) -> OpaEngine:
        place = Endpoint.of(
            f"https://127.0.0.1:{port}", tmp_path / ca, tmp_path / f"{who}.crt", tmp_path / f"{who}.key"
        )
        return OpaEngine(OpaServer(place), DEADLINE_S)

    async def go() -> None:
        made = over("ca.crt", "good")
        await prepared(made)
        assert await made.decide(world.good()) == world.engine().decide_now(world.good())
        await made.close()
        for ca, who in (("stranger.crt", "good"), ("ca.crt", "bad")):
            other = over(ca, who)
            with pytest.raises(PolicyUnavailable):
                await other._server.health()
            await other.close()

    with opa_server.running(tmp_path, f"https://127.0.0.1:{port}"):
        asyncio.run(go())
