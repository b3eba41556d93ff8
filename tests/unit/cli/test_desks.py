"""Whom to call: the telephones that people write into the workstation's folder (`gateway.cli.acts.desks`)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.acts import desks
from gateway.errors import InputRefused
from tests.extras import ROOT


def test_the_pages_example_is_read_and_shown(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "cases.md").read_text("utf-8")
    found = re.search(r"```text\n(state,desk,.*?)```", page, re.DOTALL)
    assert found is not None
    (tmp_path / desks.FILE_NAME).write_text(found[1], "utf-8")
    known = desks.read(tmp_path)
    assert desks.said("PAN", 1, known) == "PAN, desk 1 (Border police duty desk, +507 000 0000)"
    assert desks.said("PAN", 2, known).startswith("PAN, desk 2 (see the agreement's annex")
    assert desks.said("HND", 1, known).startswith("HND, desk 1 (see the agreement's annex")


def test_without_the_file_it_is_said_where_the_telephone_stands(tmp_path: Path) -> None:
    assert "see the agreement's annex" in desks.said("PAN", 1, desks.read(tmp_path))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("PAN,1,Duty desk", "line 2: desks.csv: write 4 cells"),
        ("pan,1,Duty desk,+507 1", "line 2: desks.csv: state: write three capital letters"),
        ("PAN,65536,Duty desk,+507 1", "line 2: desks.csv: desk: write a number up to 65535"),
        ("PAN,1,\x1b[31m,+507 1", "line 2: desks.csv: name: write up to 80 characters"),
        ("PAN,1,Duty desk,call SUAREZ", "line 2: desks.csv: telephone: write digits, spaces and + ( ) / -"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_not_repeated(line: str, told: str) -> None:
    with pytest.raises(InputRefused) as refused:
        desks.parse(f"{','.join(desks.HEADER)}\n{line}\n".encode())
    assert str(refused.value) == told


def test_a_file_without_header_or_too_long_is_refused() -> None:
    for data in (b"PAN,1,Duty desk,+507 000\n", b"\n" * (desks.BYTES_MAX + 1)):
        with pytest.raises(InputRefused):
            desks.parse(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for given_ in (data, f"{','.join(desks.HEADER)}\n".encode() + data):
        try:
            known = desks.parse(given_)
        except InputRefused:
            continue
        assert all(desks.said(state, desk, known).isprintable() for state, desk in known)
