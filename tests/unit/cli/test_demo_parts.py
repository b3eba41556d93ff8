"""The demonstration's own instruments: the line that keeps what passes, and what is shown of it."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from examples.region import events
from gateway.cli.acts.demo import vantage
from gateway.cli.acts.demo.checks import passenger_list
from gateway.cli.acts.demo.line import LOOPBACK, Line
from gateway.cli.acts.demo.statistics import MONTH, persons_of
from tests.region import wait_for


def answering(server: socket.socket) -> None:
    """Answer each caller with what it sent, turned to capitals, and hang up after a full stop."""
    while True:
        try:
            caller, _ = server.accept()
        except OSError:
            return
        with caller:
            while piece := caller.recv(4096):
                caller.sendall(piece.upper())
                if piece.endswith(b"."):
                    break


def test_a_line_hands_on_both_ways_and_keeps_every_byte() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        threading.Thread(target=answering, args=(server,), daemon=True).start()
        line = Line()
        line.listen(server.getsockname()[1])
        with socket.create_connection((LOOPBACK, line.port), timeout=5) as caller:
            for words in (b"one", b"two."):
                caller.sendall(words)
                assert caller.recv(16) == words.upper()
            # The gateway hung up: so does the line.
            assert caller.recv(16) == b""
        wait_for(lambda: line.passed() == (7, 7), what="all of it is kept")
        assert (bytes(line.up), bytes(line.down)) == (b"onetwo.", b"ONETWO.")
        line.close()


def test_a_gateway_that_is_down_is_down_through_the_line_too() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    line = Line()
    line.listen(port)
    with (
        socket.create_connection((LOOPBACK, line.port), timeout=5) as caller,
        contextlib.suppress(ConnectionResetError),
    ):
        assert caller.recv(16) == b""
    assert line.passed() == (0, 0)
    line.close()


def test_what_is_shown_is_cut_where_it_is_long_and_left_out_where_there_is_nothing() -> None:
    shown = vantage.words({"b": b"\xff" * 32, "a": 7, "none": None, "empty": "", "flag": False})
    assert shown == "a 7, b ffffffffffff... (64), flag False"
    assert vantage.dump(b"\x17\x03\x03") == "170303" and vantage.dump(bytes(49)).endswith(" ...")


def test_the_truth_counts_each_person_once_a_nationality() -> None:
    text = (
        "event_id,person_ref,event_date,route,nationality,protection\n"
        f"1,A,{MONTH}-01,RIVER,VEN,\n2,A,{MONTH}-09,COAST,VEN,\n3,B,{MONTH}-02,RIVER,VEN,\n4,C,2025-01-01,RIVER,COL,\n"
    )
    assert dict(persons_of(text)) == {"VEN": 2} and persons_of(text)["COL"] == 0
    assert sum(persons_of(events.make("PAN", persons=500).events_csv).values()) > 0


@pytest.mark.parametrize("rows", [[{"surname": "A", "given_names": "B, C"}, {"surname": "D", "sex": "F"}]])
def test_a_flight_s_list_has_every_column(rows: list[dict[str, str]]) -> None:
    assert passenger_list(rows).decode() == 'surname,given_names,sex\nA,"B, C",\nD,,F\n'
