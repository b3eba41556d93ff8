"""`limen watchlist evaluate`: recall, precision and false hits on files whose truth is known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.main import run
from gateway.pseudonym.evaluation import Share

LIST = """entry_id,owner,category,surname,given,dob,nationality,document_no,document_issuer
W1,PAN,WANTED_ARREST,DRENNOVAR,UTHELON,1990-12-17,UTO,X73000004,UTO
W2,PAN,WANTED_ARREST,KANTARVIL,FENDIMARO,1968-10-14,UTO,,
W3,PAN,REFUSE_ENTRY,BELUMARO,TISANDELA,1984-06-19,UTO,,
"""
TRAVELLERS = """id,surname,given_names,birth_date,document_number,issuer
T1,DRENNOVAR,UTHELON,1990-12-17,X73000004,UTO
T2,CANTARVIL,PHENDIMARO,1968-10-14,,
T3,BELUMARO,TISANDELA,1984-06-19,,
T4,OTHERWISE,NOBODY,1970-01-01,,
"""
TRUTH = "traveller,entry\nT1,W1\nT2,W2\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("list.csv", LIST), ("travellers.csv", TRAVELLERS), ("truth.csv", TRUTH)):
        Path(name).write_text(text)


def evaluate(*more: str) -> int:
    return run(["watchlist", "evaluate", "list.csv", "travellers.csv", "--truth", "truth.csv", "--owner", "PAN", *more])


def test_what_is_found_missed_and_found_wrongly_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["travellers"], found["entries"], found["true_pairs"]) == (4, 3, 2)
    rows = {"+".join(row["key_types"]): row for row in found["by_key_types"]}
    # T3 and W3 are equal and, by the truth of this file, two persons: a false hit by both keys of names.
    assert [rows[name]["recall"]["part"] for name in ("doc/1", "name_year/1", "met2_dob/1")] == [1, 1, 2]
    together = rows["doc/1+met2_dob/1+name_year/1"]
    assert (together["recall"]["value"], together["false_hits"]["part"], together["false_hits"]["whole"]) == (1, 1, 10)
    assert together["precision"]["part"] == 2 and together["precision"]["whole"] == 3
    assert together["false_hits_per_million_pairs"] == pytest.approx(1e5)


def test_people_read_it_with_intervals_and_what_a_hit_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate() == 0
    out = capsys.readouterr().out
    assert "4 travellers, 3 entries, 2 true pairs" in out
    assert "100.0% (34.2% to 100.0%)" in out and "never a finding" in out


def test_another_purposes_keys_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--purpose", "DOC.STATUS", "--json") == 0
    assert [row["key_types"] for row in json.loads(capsys.readouterr().out)["by_key_types"]] == [["doc/1"]]


@pytest.mark.parametrize(
    ("name", "text", "code", "words"),
    [
        ("truth.csv", "traveller,entry\nT1,W9\n", 8, "truth.csv: line 2: entry: stands in neither file"),
        ("truth.csv", "a,b\n", 8, "truth.csv: line 1: column 1 is none of entry, traveller"),
        ("truth.csv", "traveller\nT1\n", 8, "the column entry is missing"),
        ("travellers.csv", "surname\nX\n", 8, "travellers.csv: line 1: the column id is missing"),
        (
            "travellers.csv",
            "id,birth_date,surname\nT1,17/12/1990,DRENNOVAR\n",
            8,
            "travellers.csv: line 2: birth_date: ",
        ),
        ("travellers.csv", "id,surname\nT1\n", 8, "travellers.csv: line 2: 1 cells under 2 columns"),
        ("travellers.csv", "", 8, "travellers.csv: the file is empty"),
        ("list.csv", "id\n", 8, "list.csv: line 1: column 1"),
        ("list.csv", LIST.replace(",PAN,", ",HND,"), 8, "list.csv: holds no entry that can be taken; line 2: owner"),
    ],
)
def test_a_wrong_file_is_named_by_line_and_never_quoted(
    name: str, text: str, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_text(text)
    assert evaluate() == code
    err = capsys.readouterr().err
    assert words in err and "DRENNOVAR" not in err and "1990" not in err


@pytest.mark.parametrize("more", [["--purpose", "RISK.IBC"], ["--purpose", "NO.SUCH"], ["--owner", "Panama"]])
def test_a_word_that_is_none_is_said_so(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(*more) == 2
    assert more[0] in capsys.readouterr().err


def test_wilsons_interval_as_published() -> None:
    """Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for part, whole, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611),
                                   (1, 29, 0.0061, 0.1718)):  # fmt: skip
        assert Share(part, whole).interval == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_an_interval_holds_its_share(part: int, more: int) -> None:
    share = Share(part, part + more)
    low, high = share.interval
    assert 0 <= low <= high <= 1 and math.isfinite(low)
    if share.whole:
        assert low - 1e-12 <= share.value <= high + 1e-12
