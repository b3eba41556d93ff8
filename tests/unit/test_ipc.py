"""The wire between a node's processes: real unix sockets, hostile bytes, lost connections."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM
from socket import socket as unix
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import errors
from gateway.errors import CATALOGUE, GatewayError
from gateway.ipc import FRAME_BYTES_MAX, Channel, Gone, Server, serve
from gateway.ipc.frames import SIZE_BYTES, Frames, frame
from gateway.ipc.server import PATH_BYTES_MAX

Handler = Callable[[str, Any], Awaitable[Any]]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def socket() -> Iterator[Path]:
    """A socket path that is short wherever pytest keeps its own folders."""
    folder = tempfile.mkdtemp(prefix="limen")
    yield Path(folder) / "s"
    shutil.rmtree(folder)


async def echo(operation: str, argument: Any) -> Any:
    return [operation, argument]


@contextlib.asynccontextmanager
async def serving(path: Path, handler: Handler = echo, *, uid: int | None = None) -> AsyncIterator[Server]:
    async with await serve(path, handler, uid=uid) as server:
        yield server
    await asyncio.sleep(0.01)  # the connections see their end


@contextlib.asynccontextmanager
async def calling(path: Path, *, wait_s: float = 0.2) -> AsyncIterator[Channel]:
    channel = Channel(path, wait_s=wait_s)
    try:
        yield channel
    finally:
        await channel.close()
        await asyncio.sleep(0.01)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, Any, Any]:
    """For processes played by a test."""
    size = await reader.readexactly(SIZE_BYTES)
    (message,) = Frames().feed(size + await reader.readexactly(int.from_bytes(size, "big")))
    return message


def read(data: bytes) -> tuple[int, Any, Any] | None:
    """The one frame that the bytes begin with, None where it is not whole."""
    return next(Frames().feed(data), None)


# --- frames -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**63), st.text(max_size=20) | st.none(), VALUES)
def test_a_frame_reads_back(call_id: int, operation: str | None, argument: Any) -> None:
    assert read(frame([call_id, operation, argument])) == (call_id, operation, argument)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    try:
        message = read(data)
    except ValueError:
        return
    assert message is None or isinstance(message[0], int)


@given(st.lists(st.tuples(st.integers(0, 2**63), VALUES), max_size=4), st.lists(st.integers(1, 30), min_size=1))
def test_frames_are_the_same_however_the_bytes_arrive(calls: list[tuple[int, Any]], cuts: list[int]) -> None:
    data = b"".join(frame([call_id, "op", value]) for call_id, value in calls)
    frames, sizes = Frames(), itertools.cycle(cuts)
    found: list[tuple[int, Any, Any]] = []
    while data:
        size = next(sizes)
        found += frames.feed(data[:size])
        data = data[size:]
    assert found == [(call_id, "op", value) for call_id, value in calls]


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_any_body_is_a_frame_or_refused(body: bytes) -> None:
    try:
        message = read(len(body).to_bytes(4, "big") + body)
    except ValueError:
        return
    assert message is not None and isinstance(message[0], int)


def test_a_frame_that_claims_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="frame too large"):
        read((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))


def test_a_frame_that_would_be_too_large_is_not_made() -> None:
    with pytest.raises(ValueError, match="frame too large"):
        frame([1, "op", bytes(FRAME_BYTES_MAX)])


@pytest.mark.parametrize("body", [[], [1, "op"], [1, "op", 2, 3], ["1", "op", 2], {"a": 1}, 7, None])
def test_a_body_of_another_shape_is_refused(body: Any) -> None:
    with pytest.raises(ValueError, match="wrong shape"):
        read(frame(body))


# --- calls ------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_call_comes_back_with_its_result(socket: Path) -> None:
    async with serving(socket), calling(socket) as channel:
        assert await channel.call("commit", {"a": [1, b"\x00", None]}) == ["commit", {"a": [1, b"\x00", None]}]


@pytest.mark.asyncio
async def test_calls_are_pipelined_and_each_gets_its_own_answer(socket: Path) -> None:
    async def slow_when_even(_: str, number: int) -> int:
        await asyncio.sleep(0.02 if number % 2 == 0 else 0)
        return number

    async with serving(socket, slow_when_even), calling(socket) as channel:
        started = time.monotonic()
        assert await asyncio.gather(*(channel.call("n", n) for n in range(200))) == list(range(200))
        assert time.monotonic() - started < 1.5, "one after the other they would take two seconds"


@pytest.mark.asyncio
async def test_a_late_answer_is_dropped_and_confuses_nobody(socket: Path) -> None:
    async def late(_: str, delay: float) -> float:
        await asyncio.sleep(delay)
        return delay

    async with serving(socket, late), calling(socket) as channel:
        with pytest.raises(Gone):
            await channel.call("wait", 0.1, timeout_s=0.01)
        await asyncio.sleep(0.12)
        assert await channel.call("wait", 0.0) == 0.0


@pytest.mark.asyncio
async def test_every_error_of_the_catalogue_arrives_as_itself(socket: Path) -> None:
    samples: list[GatewayError] = [
        errors.Malformed("blinded", "has 31 bytes"),
        errors.InputRefused("is no date", line=4, field="birth_date"),
        errors.InputRefused("the file is empty"),
        errors.PolicyDenied(("purpose", "role")),
        errors.VerificationFailed("inclusion", "the root differs", position=7),
        errors.VerificationFailed("signature", "no known key"),
        errors.BudgetExhausted("account", 520_000, 480_000, 4_321_000),
    ]
    special = {type(sample) for sample in samples}
    samples += [kind("what happened") for kind in CATALOGUE if kind not in special]

    async def refuse(_: str, number: int) -> None:
        raise samples[number]

    async with serving(socket, refuse), calling(socket) as channel:
        for number, sample in enumerate(samples):
            with pytest.raises(GatewayError) as caught:
                await channel.call("refuse", number)
            assert type(caught.value) is type(sample)
            assert str(caught.value) == str(sample)


@pytest.mark.asyncio
async def test_an_unforeseen_failure_says_its_kind_and_nothing_else(socket: Path) -> None:
    seen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))

    async def fail(_: str, argument: str) -> None:
        raise KeyError(argument)

    async with serving(socket, fail), calling(socket) as channel:
        with pytest.raises(GatewayError) as caught:
            await channel.call("find", "GARCIA<<MARIA")
    assert type(caught.value) is GatewayError
    assert "GARCIA" not in str(caught.value)
    assert isinstance(seen[0]["exception"], KeyError), "the process itself must hear of it"


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [object(), bytes(FRAME_BYTES_MAX)], ids=["no CBOR", "too large"])
async def test_an_answer_that_cannot_travel_is_an_unforeseen_failure(socket: Path, answer: Any) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: None)

    async def give(_: str, __: Any) -> Any:
        return answer

    async with serving(socket, give), calling(socket) as channel:
        with pytest.raises(GatewayError):
            await channel.call("n", None, timeout_s=1.0)


# --- lost processes ---------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_without_a_process_a_call_waits_its_time_and_is_gone(socket: Path) -> None:
    async with calling(socket, wait_s=0.1) as channel:
        started = time.monotonic()
        with pytest.raises(Gone):
            await channel.call("commit", None)
        assert 0.1 <= time.monotonic() - started < 1.0


@pytest.mark.asyncio
async def test_a_call_queues_for_a_process_that_is_starting(socket: Path) -> None:
    async with calling(socket, wait_s=2.0) as channel:
        call = asyncio.create_task(channel.call("commit", 1))
        await asyncio.sleep(0.05)
        async with serving(socket):
            assert await call == ["commit", 1]


@pytest.mark.asyncio
async def test_a_process_that_restarts_is_found_again(socket: Path) -> None:
    async with calling(socket, wait_s=2.0) as channel:
        connections: list[asyncio.StreamWriter] = []

        async def first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            call_id, _, argument = await read_frame(reader)
            writer.write(frame([call_id, None, argument]))

        server = await asyncio.start_unix_server(first, path=str(socket))
        assert await channel.call("commit", 1) == 1
        server.close()
        connections[0].close()
        await asyncio.sleep(0.02)
        async with serving(socket):
            assert await channel.call("commit", 2) == ["commit", 2]


@pytest.mark.asyncio
async def test_a_call_whose_connection_is_lost_is_gone_at_once_and_never_sent_again(socket: Path) -> None:
    received: list[Any] = []

    async def die_under_the_call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await read_frame(reader))
        writer.close()

    server = await asyncio.start_unix_server(die_under_the_call, path=str(socket))
    async with calling(socket, wait_s=2.0) as channel:
        started = time.monotonic()
        with pytest.raises(Gone):
            await channel.call("commit", 1)
        assert time.monotonic() - started < 1.0
        await asyncio.sleep(0.05)
        assert [operation for _, operation, _ in received] == ["commit"]
    server.close()


@pytest.mark.asyncio
async def test_all_waiting_calls_of_a_lost_connection_are_gone(socket: Path) -> None:
    async def read_three_and_die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            await read_frame(reader)
        writer.close()

    server = await asyncio.start_unix_server(read_three_and_die, path=str(socket))
    async with calling(socket) as channel:
        outcomes = await asyncio.gather(*(channel.call("n", n) for n in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Gone] * 3
    server.close()


@pytest.mark.asyncio
async def test_closing_the_channel_ends_waiting_calls(socket: Path) -> None:
    async def never(_: str, __: Any) -> None:
        await asyncio.sleep(60)

    async with serving(socket, never), calling(socket) as channel:
        call = asyncio.create_task(channel.call("wait", None, timeout_s=30))
        await asyncio.sleep(0.05)
        await channel.close()
        with pytest.raises(Gone):
            await asyncio.wait_for(call, 1.0)


@pytest.mark.asyncio
@pytest.mark.parametrize("garbage", [b"\xff" * 64, b"\x00\x00\x00\x01\xff", frame(["x"]), b"\x00" * 8])
async def test_a_process_that_answers_garbage_is_gone(socket: Path, garbage: bytes) -> None:
    async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_frame(reader)
        writer.write(garbage)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(talk_nonsense, path=str(socket))
    async with calling(socket) as channel:
        with pytest.raises(Gone):
            await channel.call("commit", 1, timeout_s=5.0)
    server.close()


# --- who may call -----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_another_users_process_is_cut_before_it_is_heard(socket: Path) -> None:
    heard: list[str] = []

    async def hear(operation: str, _: Any) -> None:
        heard.append(operation)

    async with serving(socket, hear, uid=os.getuid() + 1), calling(socket) as channel:
        with pytest.raises(Gone):
            await channel.call("sign", b"", timeout_s=1.0)
    assert heard == []


@pytest.mark.asyncio
async def test_the_socket_is_its_owners_alone(socket: Path) -> None:
    before = os.umask(0)
    try:
        async with serving(socket):
            assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert os.umask(0) == 0, "and the process's mask is as it was"
    finally:
        os.umask(before)


@pytest.mark.asyncio
async def test_a_path_too_long_for_a_socket_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter run directory"):
        await serve(tmp_path / ("x" * PATH_BYTES_MAX), echo)


@pytest.mark.asyncio
async def test_the_longest_path_serves(socket: Path) -> None:
    longest = socket.with_name("s" * (PATH_BYTES_MAX - len(os.fsencode(socket.parent)) - 1))
    assert len(os.fsencode(longest)) == PATH_BYTES_MAX
    async with serving(longest), calling(longest) as channel:
        assert await channel.call("n", 1) == ["n", 1]


@pytest.mark.asyncio
async def test_a_socket_left_by_a_dead_process_is_replaced(socket: Path) -> None:
    with unix(AF_UNIX, SOCK_STREAM) as dead:
        dead.bind(str(socket))
    assert socket.exists()
    async with serving(socket), calling(socket) as channel:
        assert await channel.call("n", 1) == ["n", 1]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4))
def test_hostile_bytes_end_their_own_connection_and_no_other(socket: Path, chunks: list[bytes]) -> None:
    async def attack() -> None:
        async with serving(socket), calling(socket) as channel:
            assert await channel.call("n", 1) == ["n", 1]
            _, writer = await asyncio.open_unix_connection(str(socket))
            for chunk in chunks:
                writer.write(len(chunk).to_bytes(4, "big") + chunk)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()
            assert await channel.call("n", 2) == ["n", 2]

    asyncio.run(attack())
