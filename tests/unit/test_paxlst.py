"""The reader of carriers' lists: what is sound is kept, what is not is told by segment, no value is repeated."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from gateway_adapters import paxlst
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.acts.nodes import limen
from gateway.errors import InputRefused
from gateway.terms import Hidden

ON = date(2024, 5, 1)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "passenger_messages" / "synthetic"
COUNTS = {"06": 9, "09": 3}

SMALL = (
    "UNA:+.? 'UNB+UNOA:4+A:ZZ+B:ZZ+240501:1215+1'UNH+1+PAXLST:D:12B:UN:IATA'BGM+745'NAD+MS+++FREE TEXT PHONE'"
    "TDT+20+XQ704+++XQ'LOC+125+TUN'DTM+189:2405011300:201'LOC+87+MRS'DTM+232:2405011500:201'"
    "NAD+FL+++O?'TESTER:ANNA MARIA'ATT+2++F'DTM+329:740812'NAT+2+UTO'RFF+AVF:QX0000'DOC+P:110:111+L898902C3'"
    "DTM+36:280415'LOC+91+UTO'FTX+ZZZ+++NO FREE TEXT IS KEPT'CNT+42:1'UNT+9+1'UNZ+1+1'"
)


def people(message: paxlst.Message) -> list[dict[str, Any]]:
    return [one.fields.open() for one in message.listed]


def test_a_message_is_a_flight_its_legs_and_its_travellers() -> None:
    message = paxlst.read(SMALL.encode(), ON)
    assert (message.flight, message.carrier, message.crew, message.warnings) == ("XQ704", "XQ", False, ())
    assert message.legs == (paxlst.Leg("TUN", "MRS", "2024-05-01T13:00", "2024-05-01T15:00"),)
    (one,) = people(message)
    assert one == {
        "surname": "O'TESTER", "given_names": "ANNA MARIA", "birth_date": {"value": "1974-08-12", "precision": "day"},
        "sex": "F", "nationality": "UTO", "document_code": "P", "document_number": "L898902C3", "issuer": "UTO",
        "expiry_date": "2028-04-15",
    }  # fmt: skip
    ((_, seen),) = message.travellers()
    assert seen.person is not None and seen.documents[0].issuer == "UTO"


def test_no_free_text_and_no_booking_reference_is_kept() -> None:
    shown = limen("--json", "passengers", "read", "-", "--on", "2024-05-01", stdin=SMALL.encode()).out
    for text in ("FREE TEXT", "QX0000", "PHONE"):
        assert text not in shown
    assert set(json.loads(shown)) == {"flight", "legs", "travellers", "warnings"}


@pytest.mark.parametrize("ends", ["\n", "\r\n", " \n"])
def test_newlines_between_segments_and_within_them_are_not_the_messages(ends: str) -> None:
    plain = people(paxlst.read(SMALL.encode(), ON))
    assert people(paxlst.read(SMALL.replace("'", "'" + ends).replace("?'" + ends, "?'").encode(), ON)) == plain
    wrapped = "\n".join(SMALL[at : at + 64] for at in range(0, len(SMALL), 64))
    assert people(paxlst.read(f"QD XXXAPXS\n.SYNHQXQ 011215\n{wrapped}\n\nNotice: a's footer".encode(), ON)) == plain


def test_what_is_damaged_keeps_its_sound_parts_and_warns() -> None:
    for raw, value, precision in (
        ("810230", "1981-02", "month"),
        ("800000", "1980", "year"),
        ("xx0101", None, "unknown"),
    ):
        message = paxlst.read(SMALL.replace("329:740812", f"329:{raw}").encode(), ON)
        assert people(message)[0]["birth_date"] == {"value": value, "precision": precision}
        assert [one.code for one in message.warnings] == ["DATE"]
    assert [one.code for one in paxlst.read(SMALL.replace("42:1'", "42:47'").encode(), ON).warnings] == ["COUNT"]
    cut = paxlst.read(SMALL[: SMALL.index("LOC+91")].encode(), ON)
    assert [one.code for one in cut.warnings] == ["CUT"] and people(cut)[0]["issuer"] == ""


def test_a_birth_is_never_in_the_future() -> None:
    for raw, value in (("240501", "2024-05-01"), ("240502", "1924-05-02"), ("550101", "1955-01-01")):
        message = paxlst.read(SMALL.replace("329:740812", f"329:{raw}").encode(), ON)
        assert people(message)[0]["birth_date"]["value"] == value


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"surname,given_names\nA,B\n",
        SMALL.replace("BGM+745", "BGM+266").encode(),
        b"UNA:+.? 'UNB+1'UNZ+1'",
        b"UNA:+",
    ],
)
def test_what_is_no_list_is_refused_without_a_value(bad: bytes) -> None:
    with pytest.raises(InputRefused):
        paxlst.read(bad, ON)
    ran = limen("passengers", "read", "-", stdin=bad)
    assert (ran.code, ran.out) == (8, "")


def test_a_crew_is_told_from_passengers_and_a_list_from_csv() -> None:
    crew = SMALL.replace("BGM+745", "BGM+250").replace("NAD+FL", "NAD+FM")
    assert paxlst.read(crew.encode(), ON).crew is True
    assert paxlst.is_message(SMALL.encode()) and not paxlst.is_message(b"surname,given_names\nPAXLST,A\n")


def test_what_was_read_does_not_show_itself() -> None:
    message = paxlst.read(SMALL.encode(), ON)
    assert "TESTER" not in repr(message) and isinstance(message.listed[0].fields, Hidden)


@given(st.text(max_size=400), st.integers(0, len(SMALL)))
def test_any_bytes_are_read_or_refused(text: str, at: int) -> None:
    try:
        message = paxlst.read((SMALL[:at] + text + SMALL[at:]).encode("utf-8", "surrogatepass"), ON)
        list(message.travellers())
    except InputRefused as refusal:
        assert len(text) < 12 or text not in str(refusal)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared messages are not beside this checkout")
@pytest.mark.parametrize("file", sorted(SHARED.glob("*.edi")), ids=lambda file: file.stem)
def test_the_synthetic_messages_give_their_truth(file: Path) -> None:
    truth = json.loads((SHARED / "truth.json").read_text())
    message = paxlst.read(file.read_bytes(), ON)
    found = people(message)
    number = file.name[:2]
    if number == "11":
        assert 0 < len(found) <= 10 and "CUT" in {one.code for one in message.warnings}
    else:
        assert len(found) == COUNTS.get(number, 10)
    assert message.crew is (number == "09")
    by_number = {one["doc_no"]: one for one in truth}
    for one in found:
        want = by_number[one["document_number"]]
        assert one["surname"] == want["surname"] and one["given_names"] == want["given"]
        assert one["nationality"] == want["nationality"]
        value = one["birth_date"]["value"] or ""
        assert value.replace("-", "")[2:] == want["dob_yymmdd"][: max(0, len(value.replace("-", "")) - 2)]
