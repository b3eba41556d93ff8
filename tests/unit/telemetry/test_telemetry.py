"""What a node says of its calls: counted by closed labels, written as one line, and never a person's data."""

from __future__ import annotations

import asyncio
import io
import json

from gateway.telemetry.lines import Lines
from gateway.telemetry.observe import GATHER_S, Telemetry
from gateway.terms.call import CallSeen
from gateway.terms.ids import PeerId

CALL = CallSeen(
    listener="peers",
    method="WatchlistService/Check",
    caller="PAN",
    status="OK",
    reason="",
    private="",
    served=True,
    time_ns=1_777_885_951_123_456_789,
    duration_ns=3_200_000,
    request_bytes=612,
    reply_bytes=398,
)
REFUSED = CALL._replace(
    status="PERMISSION_DENIED", reason="POLICY_DENIED", private="denied: role", served=False, reply_bytes=0
)


class Clock:
    def now_ns(self) -> int:
        return CALL.time_ns

    def monotonic_ns(self) -> int:
        return 0

    async def sleep_until(self, monotonic_ns: int) -> None:
        return None


def told(*calls: CallSeen) -> tuple[list[dict[str, object]], str]:
    stream = io.StringIO()
    telemetry = Telemetry(PeerId("HND"), Clock(), stream)
    for call in calls:
        telemetry.seen(call)
    telemetry.complain("list of members: version 2 is in force")
    return [json.loads(line) for line in stream.getvalue().splitlines()], telemetry.exposition().decode()


def test_a_call_is_one_line() -> None:
    lines, _ = told(CALL, REFUSED)
    assert lines[0] == {
        "at": "2026-05-04T09:12:31.123Z",
        "door": "peers",
        "method": "WatchlistService/Check",
        "caller": "PAN",
        "status": "OK",
        "ms": 3.2,
        "in": 612,
        "out": 398,
    }
    assert (lines[1]["reason"], lines[1]["why"]) == ("POLICY_DENIED", "denied: role")
    assert lines[2]["event"] == "notice"
    assert len(lines) == 3


def test_whatever_a_caller_made_happen_is_still_one_line() -> None:
    lines, _ = told(REFUSED._replace(private='x\n{"at":"forged"}\r\u2028\x00' + "y" * 1000))
    assert len(lines) == 2
    assert len(str(lines[0]["why"])) == 300


def test_calls_are_counted_by_closed_labels() -> None:
    _, numbers = told(CALL, CALL, REFUSED, CALL._replace(listener="home", caller="workstation/SNM.booth-1"))
    ok = 'limen_calls_total{door="peers",method="WatchlistService/Check",peer="PAN",reason="",status="OK"} 2.0'
    assert ok in numbers
    assert 'reason="POLICY_DENIED",status="PERMISSION_DENIED"} 1.0' in numbers
    assert 'limen_call_bytes_total{direction="in",door="peers",method="WatchlistService/Check"} 1836.0' in numbers
    assert 'limen_call_seconds_bucket{door="peers",le="0.0025",method="WatchlistService/Check"} 0.0' in numbers
    assert 'limen_call_seconds_bucket{door="peers",le="0.005",method="WatchlistService/Check"} 3.0' in numbers
    assert 'limen_call_seconds_bucket{door="peers",le="+Inf",method="WatchlistService/Check"} 3.0' in numbers
    assert 'limen_call_seconds_sum{door="peers",method="WatchlistService/Check"} 0.0096' in numbers
    assert 'limen_call_seconds_count{door="peers",method="WatchlistService/Check"} 3.0' in numbers
    assert "booth-1" not in numbers


def test_a_log_that_cannot_be_written_does_not_fail_the_call() -> None:
    class Full(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError(28, "No space left on device")

    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        telemetry = Telemetry(PeerId("HND"), Clock(), stream)
        telemetry.seen(CALL)
        telemetry.complain("x")
        assert 'status="OK"} 1.0' in telemetry.exposition().decode()


def test_a_gauge_is_read_when_it_is_asked_for() -> None:
    telemetry = Telemetry(PeerId("HND"), Clock(), io.StringIO())
    size = [1.0]
    telemetry.metrics.gauge("log_size", "Entries in the log.", lambda: size[0])
    size[0] = 42.0
    assert "limen_log_size 42.0" in telemetry.exposition().decode()


def test_instants_are_utc_to_the_millisecond() -> None:
    lines = Lines(io.StringIO())
    assert lines.instant(0) == "1970-01-01T00:00:00.000Z"
    assert lines.instant(999_999_999) == "1970-01-01T00:00:00.999Z"
    assert lines.instant(1_000_000_000) == "1970-01-01T00:00:01.000Z"


def test_calls_of_a_running_loop_are_written_together_and_none_is_lost() -> None:
    class Counting(io.StringIO):
        writes = 0

        def write(self, text: str, /) -> int:
            self.writes += 1
            return super().write(text)

    stream = Counting()

    async def calls() -> None:
        telemetry = Telemetry(PeerId("HND"), Clock(), stream)
        for _ in range(100):
            telemetry.seen(CALL)
        assert 'status="OK"} 100.0' in telemetry.exposition().decode()
        telemetry.seen(CALL)
        await asyncio.sleep(3 * GATHER_S)
        telemetry.close()

    asyncio.run(calls())
    assert len(stream.getvalue().splitlines()) == 101
    assert stream.writes == 2
