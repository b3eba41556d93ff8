"""The client for an OPA server, against slow, wrong, huge and hostile ones: never a yes, never an exception."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigRefused, PolicyUnavailable
from gateway.opa.remote import OpaEngine
from gateway.opa.server import ANSWER_BYTES_MAX, Endpoint, OpaServer, _answer
from gateway.policy.decision import Deny, Permit
from tests.policies import world

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
DEADLINE_S = 3.0


def reply(body: bytes, *, status: str = "200 OK", more: str = "", kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


@asynccontextmanager
async def serving(path: Path, serve: Serve) -> AsyncIterator[None]:
    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(each, path)
    try:
        yield
    finally:
        server.close()


async def request(reader: asyncio.StreamReader) -> tuple[str, Any]:
    """The path and the input of one request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    size = next(int(line.partition(":")[2]) for line in head.split("\r\n") if line.startswith("Content-Length"))
    body = await reader.readexactly(size)
    return head.split(" ")[1], json.loads(body)["input"] if body else None


class Honest:
    """Answers as OPA would from the two shipped bundles' engines; `bend` may spoil an answer."""

    def __init__(self, bend: Callable[[str, dict[str, Any]], bytes | None] = lambda _path, _document: None) -> None:
        self.bend = bend
        self.calls: list[str] = []
        self.engine = world.engine()
        self.bundles = world.shipped()

    def document(self, path: str, asked: Any) -> dict[str, Any]:
        layers = self.engine._layers
        assert layers is not None
        layer = layers[0 if "/baseline/" in path else 1]
        text = json.dumps(asked)
        value = layer.answer(text) if "/decision" in path else sorted(layer.reasons(text))
        held = {bundle.layer: {"revision": bundle.revision} for bundle in self.bundles}
        return {"result": value, "provenance": {"version": "1.20.2", "bundles": held}}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path, asked = await request(reader)
            self.calls.append(path)
            document: dict[str, Any] = {} if path.startswith("/health") else self.document(path, asked)
            bent = self.bend(path, document)
            writer.write(reply(json.dumps(document).encode()) if bent is None else bent)
            await writer.drain()


def engine(path: Path) -> OpaEngine:
    return OpaEngine(OpaServer(Endpoint.of(f"unix://{path}", None, None, None)), DEADLINE_S)


async def ready(path: Path) -> OpaEngine:
    """An engine with both bundles in force, proved by an honest server that is gone afterwards."""
    made = engine(path)
    async with serving(path, Honest()):
        (await made.prepare(*world.shipped(), now_ns=world.NOW))()
    await made.close()
    path.unlink(missing_ok=True)
    return made


async def decided(path: Path, serve: Serve) -> Permit | Deny:
    made = await ready(path)
    async with serving(path, serve):
        decision = await made.decide(world.good())
    await made.close()
    return decision


def test_an_honest_server_is_heard(tmp_path: Path) -> None:
    async def go() -> None:
        path = tmp_path / "o.sock"
        made = await ready(path)
        honest = Honest()
        async with serving(path, honest):
            embedded = world.engine()
            for stage, purpose in world.GOOD:
                for changes in ({}, {"legal_basis": "another"}, {"time_ns": world.NOW + 2 * world.YEAR}):
                    asked = world.good(stage, purpose, **changes)
                    assert await made.decide(asked) == embedded.decide_now(asked)
            assert made.versions() == embedded.versions()
        assert made.faults == 0
        assert all(path.endswith("?strict-builtin-errors=true&provenance=true") for path in honest.calls)
        await made.close()

    asyncio.run(go())


def test_without_bundles_in_force_the_server_is_not_asked(tmp_path: Path) -> None:
    async def go() -> None:
        made = engine(tmp_path / "none.sock")
        assert await made.decide(world.good()) == Deny(("policy_unavailable",))
        with pytest.raises(PolicyUnavailable):
            made.versions()

    asyncio.run(go())


def instead(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer)
        await writer.drain()

    return serve


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await asyncio.sleep(DEADLINE_S * 3)


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request(reader)
    for byte in reply(b"{}" * 500):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: more\r\n" * 100)
        await writer.drain()


GOOD_BODY = json.dumps(
    {"result": {"schema": "limen.decision/1", "allow": True}, "provenance": {"bundles": {}}}
).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

HOSTILE: dict[str, Serve] = {
    "silent": silent,
    "dripping": dripping,
    "headers without end": endless,
    "nothing": instead(b""),
    "garbage": instead(b"\x00\xff" * 300 + b"\r\n\r\n"),
    "another protocol": instead(b"SSH-2.0-x\r\n"),
    "HTTP/1.0": instead(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
    "500": instead(reply(GOOD_BODY, status="500 Internal Server Error")),
    "404": instead(reply(GOOD_BODY, status="404 Not Found")),
    "401": instead(reply(GOOD_BODY, status="401 Unauthorized")),
    "201": instead(reply(GOOD_BODY, status="201 Created")),
    "a redirect": instead(reply(b"{}", status="307 Temporary Redirect", more="Location: http://127.0.0.1:1/\r\n")),
    "100-continue": instead(b"HTTP/1.1 100 Continue\r\n\r\n" + reply(GOOD_BODY)),
    "huge": instead(reply(b"[" + b"1," * ANSWER_BYTES_MAX + b"1]")),
    "a huge size": instead(HEAD + b"Content-Length: 99999999\r\n\r\n{"),
    "a negative size": instead(HEAD + b"Content-Length: -1\r\n\r\n{"),
    "two sizes": instead(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "two framings": instead(HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    "no framing": instead(HEAD + b"\r\n{}"),
    "a folded header": instead(HEAD + b"X: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{}"),
    "cut off": instead(reply(GOOD_BODY)[:-5]),
    "gzip": instead(reply(GOOD_BODY, more="Content-Encoding: gzip\r\n")),
    "huge chunks": instead(HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + b"x" * 0xFFFFF),
    "a chunk with an extension": instead(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\n\r\n"),
    "text": instead(reply(GOOD_BODY, kind="text/plain")),
    "not JSON": instead(reply(b"allow")),
    "half a surrogate": instead(reply(b'{"result": "\xed\xa0\x80"}')),
    "deep": instead(reply(b"[" * 30000 + b"]" * 30000)),
    "a list": instead(reply(b"[]")),
    "NaN": instead(reply(b'{"result": NaN, "provenance": {"bundles": {}}}')),
    "a fraction": instead(reply(b'{"result": 1.5, "provenance": {"bundles": {}}}')),
    "a warning": instead(reply(b'{"result": {}, "warning": {}, "provenance": {"bundles": {}}}')),
    "no provenance": instead(reply(b'{"result": {}}')),
    "no bundles": instead(reply(GOOD_BODY)),
    "a revision that is no text": instead(
        reply(b'{"result": 1, "provenance": {"bundles": {"baseline": {"revision": 1}}}}')
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_is_not_an_answer_is_a_no(name: str, tmp_path: Path) -> None:
    decision = asyncio.run(decided(tmp_path / "o.sock", HOSTILE[name]))
    assert isinstance(decision, Deny) and decision.reasons == ("policy_unavailable",)


def bent(change: Callable[[str, dict[str, Any]], bytes | None]) -> Serve:
    return Honest(change)


def _set(document: dict[str, Any], value: object) -> None:
    document["result"] = value


def _other_revision(_path: str, document: dict[str, Any]) -> None:
    document["provenance"]["bundles"]["national"]["revision"] = "1." + "0" * 32


def _one_bundle_more(_path: str, document: dict[str, Any]) -> None:
    document["provenance"]["bundles"]["more"] = {"revision": "1"}


def _one_bundle_less(_path: str, document: dict[str, Any]) -> None:
    del document["provenance"]["bundles"]["national"]


BENT: dict[str, tuple[Callable[[str, dict[str, Any]], None], str]] = {
    "undefined": (lambda _path, document: document.pop("result"), "policy_answer"),
    "undefined at home": (lambda path, doc: doc.pop("result") if "national" in path else None, "policy_answer"),
    "null": (lambda _path, document: _set(document, None), "policy_answer"),
    "true": (lambda _path, document: _set(document, True), "policy_answer"),
    "1": (lambda _path, document: _set(document, 1), "policy_answer"),
    "allow as text": (lambda _path, document: document["result"].update(allow="true"), "policy_answer"),
    "an unknown key": (lambda _path, document: document["result"].update(more=1), "policy_answer"),
    "another revision": (_other_revision, "policy_unavailable"),
    "a bundle more": (_one_bundle_more, "policy_unavailable"),
    "a bundle less": (_one_bundle_less, "policy_unavailable"),
}


@pytest.mark.parametrize("name", BENT)
def test_an_answer_that_is_not_the_rules_is_a_no(name: str, tmp_path: Path) -> None:
    spoil, reason = BENT[name]

    def change(path: str, document: dict[str, Any]) -> None:
        spoil(path, document)

    decision = asyncio.run(decided(tmp_path / "o.sock", bent(change)))
    assert isinstance(decision, Deny) and decision.reasons == (reason,)


def test_one_attempt_and_then_the_next_question_is_asked_afresh(tmp_path: Path) -> None:
    async def go() -> None:
        path = tmp_path / "o.sock"
        made = await ready(path)
        calls = 0

        async def failing_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal calls
            calls += 1
            await (instead(reply(b"", status="503 Service Unavailable")) if calls == 1 else Honest())(reader, writer)

        async with serving(path, failing_once):
            assert isinstance(await made.decide(world.good()), Deny)
            assert calls == 1 and made.faults == 1
            assert isinstance(await made.decide(world.good()), Permit)
            assert calls == 2 and made.faults == 1
        await made.close()

    asyncio.run(go())


def test_a_server_that_does_not_pass_the_golden_decisions_changes_nothing(tmp_path: Path) -> None:
    async def go() -> None:
        path = tmp_path / "o.sock"
        made = await ready(path)
        newer = world.open_national(world.national_raw(sequence=2))

        async with serving(path, Honest()):
            with pytest.raises(PolicyUnavailable):
                await made.prepare(world.shipped()[0], newer, now_ns=world.NOW)
            assert isinstance(await made.decide(world.good()), Permit), "what both hold stays in force"
        await made.close()

        unready = Honest(lambda path, _: reply(b"{}", status="500 no") if path.startswith("/health") else None)
        path.unlink(missing_ok=True)
        async with serving(path, unready):
            with pytest.raises(PolicyUnavailable):
                await made.prepare(*world.shipped(), now_ns=world.NOW)
            assert unready.calls == ["/health?bundle=true"]
        await made.close()

    asyncio.run(go())


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["result", "provenance", "bundles", "revision", "x"]), inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_bytes_are_an_answer_or_refused(body: bytes) -> None:
    try:
        read = _answer(body)
    except PolicyUnavailable:
        return
    assert all(isinstance(revision, str) for revision in read.revisions.values())


@pytest.mark.parametrize(
    "url", ["", "http://127.0.0.1:1", "unix:o.sock", "https://h:70000", "https://h:1", "ftp://h:1"]
)
def test_addresses_without_protection_are_refused(url: str) -> None:
    with pytest.raises(ConfigRefused, match=r"policy\.server"):
        Endpoint.of(url, None, None, None)
