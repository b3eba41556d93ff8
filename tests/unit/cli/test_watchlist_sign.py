"""`limen watchlist sign`: nobody signs unseen, and what is no list is not signed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.main import run

HEADER = "entry_id,category,surname,given,dob,nationality,document_no,document_issuer,valid_until\n"
ROWS = HEADER + (
    "W1,WANTED_ARREST,DRENNOVAR,UTHELON,1990-12-17,UTO,X73000004,UTO,2099-12-31\n"
    "W2,REFUSE_ENTRY,KANTARVIL,FENDIMARO,1968-10-14,UTO,,,2099-12-31\n"
    "W3,NO_SUCH,BELUMARO,TISANDELA,1984-06-19,UTO,,,2099-12-31\n"
)
RECORD = json.dumps({"entry_id": "W9", "category": "MISSING_CHILD", "surname": "ZOLDENIR", "dob": "2019"})


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node with one list officer, in the folder where the test runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIMEN_CONFIG", raising=False)
    assert run(["init", "--state", "PAN", "--agency", "SNM", "pan", "-q"]) == 0
    Path("passphrase").write_text("correct horse battery staple\n")
    person = ["--key", "one.key", "--passphrase-file", "passphrase"]
    enrol = ["officer", "enrol", "--config", "pan", "--officer", "4711", "--role", "list.officer", *person, "-q"]
    assert run(enrol) == 0
    return tmp_path


def sign(file: str, *more: str) -> int:
    words = [
        "--decision",
        "D-17",
        "--basis",
        "national immigration act",
        "--originator",
        "PAN",
        "--provenance",
        "NATIONAL",
    ]
    person = ["--key", "one.key", "--passphrase-file", "passphrase", "-o", "one.sig"]
    command = ["watchlist", "sign", file, "--list", "PERSONS", "--config", "pan", *words, *person, *more]
    return run([word for word in command if word])


def test_who_signs_is_told_what(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("list.csv").write_text(ROWS)
    assert sign("list.csv") == 0
    found = capsys.readouterr()
    assert "you sign: list.csv, for PERSONS: 1 REFUSE_ENTRY, 1 WANTED_ARREST" in found.err
    assert "1 row would be refused" in found.err and "decision D-17, on national immigration act" in found.err
    assert "DRENNOVAR" not in found.err + found.out and Path("one.sig").is_file()
    Path("one.sig").unlink()
    assert sign("list.csv", "--mode", "snapshot") == 0
    assert "the rest of the list is withdrawn" in capsys.readouterr().err


def test_a_program_gets_the_same(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("list.csv").write_text(ROWS)
    capsys.readouterr()
    assert sign("list.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["refused"], found["kinds"]) == (2, 1, {"REFUSE_ENTRY": 1, "WANTED_ARREST": 1})


def test_one_record_is_read_as_one(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("record.json").write_text(RECORD)
    assert sign("record.json", "--valid-until", "2099-12-31") == 0
    assert "1 MISSING_CHILD" in capsys.readouterr().err


def test_a_withdrawal_is_told_too(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sign("", "--withdraw", "W1") == 0
    assert "one entry is withdrawn from PERSONS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "wrong: "),
        (b"\x00\xff" * 40, "wrong: "),
        (b"surname,given\nMercedes,Ruiz\n", "wrong: line 1: entry_id: "),
        (HEADER.encode(), "wrong: holds no row that can be taken"),
        (
            ROWS.replace("WANTED_ARREST", "NO").replace("REFUSE_ENTRY", "NO").encode(),
            "line 2: category: no such category",
        ),
        (b"[]", "wrong: holds no row that can be taken"),
    ],
)
def test_what_is_no_list_is_not_signed(node: Path, data: bytes, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("wrong").write_bytes(data)
    assert sign("wrong") == 8
    found = capsys.readouterr()
    assert words in found.err and "Mercedes" not in found.err and "you sign" not in found.err
    assert not Path("one.sig").exists()


def test_what_is_no_signature_is_named(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("list.csv").write_text(ROWS)
    command = ["watchlist", "load", "list.csv", "--list", "PERSONS", "--config", "pan", "--basis", "x"]
    assert (
        run([*command, "--originator", "PAN", "--provenance", "N", "--decision", "D", "--signature", "list.csv"]) == 8
    )
    assert "list.csv: is no personal signature" in capsys.readouterr().err
