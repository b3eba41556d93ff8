"""`limen policy list` and `limen policy matrix`: the rules for those who read them."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.cli.acts.agreement import read
from gateway.cli.main import run
from gateway.policy.purposes import PURPOSES
from tests.unit.cli.test_report import Outline


def told(capsys: pytest.CaptureFixture[str], *command: str, code: int = 0) -> str:
    capsys.readouterr()
    assert run(["policy", *command]) == code
    found = capsys.readouterr()
    return found.out if code == 0 else found.err


def test_an_activity_says_who_may_ask_what_and_what_protects(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "list", "--activity", "readmission")
    for words in (
        "READ.IDENT: ", "verify     two persons  ", "hit        no", "aggregate  yes (not built)",
        "who asks   return.unit",
        "found by   doc/1, name_year/1",
        "a model, never a basis: Eurodac", "protects   refused while an asylum claim or appeal is open",
    ):  # fmt: skip
        assert words in out


def test_what_is_not_built_is_never_told_as_if_it_were(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "list", "--purpose", "MAR.VESSEL")
    assert "not offered by this release" in out and "vessel (not built)" in out and "coast.guard (not built)" in out


def test_a_program_reads_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = json.loads(told(capsys, "list", "--purpose", "SEC.WATCH", "--json"))
    assert row["operations"]["hit"] == "allow" and row["offered"] is True
    assert row["operations"].keys() == {"status", "hit", "verify", "disclose", "notify", "aggregate"}
    found = json.loads(told(capsys, "list", "--activities", "--json"))
    assert len(found) == 25 and {code for codes in found.values() for code in codes} == {row.code for row in PURPOSES}


@pytest.mark.parametrize(
    ("flags", "words"),
    [(["--activity", "readmision"], '"Readmission"'), (["--activity", "zzzz"], "--activities"),
     (["--purpose", "SEC.NO"], "limen policy list")],
)  # fmt: skip
def test_a_slip_is_met_with_what_was_meant(flags: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in told(capsys, "list", *flags, code=2)


@pytest.fixture(params=["catalogue", "node"])
def page(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIMEN_CONFIG", raising=False)
    node: list[str] = []
    if request.param == "node":
        assert run(["init", "--state", "PAN", "pan", "-q"]) == 0
        node = ["--config", "pan"]
    assert run(["policy", "matrix", "-o", "matrix.html", *node, "-q"]) == 0
    return Path("matrix.html").read_text("utf-8")


def test_the_page_is_whole_and_marked_up(page: str) -> None:
    outline = Outline(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form"} & set(outline.tags)
    assert "default-src 'none'" in page and re.findall(r"[a-z]+://[^\"]+", page) == []
    levels = [int(tag[1]) for tag in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    assert outline.tags.count("caption") == outline.tags.count("table") >= 4
    anchors = [value for name, value in outline.attributes if name == "id"]
    assert len(anchors) == len(set(anchors))
    assert {value[1:] for name, value in outline.attributes if name == "href" and value} <= set(anchors)


def test_every_row_stands_on_it_with_every_safeguard(page: str) -> None:
    words = " ".join(" ".join(Outline(page).words).split())
    for row in PURPOSES:
        for part in (row.title, *row.safeguards, *row.legal_basis, *row.activities, *row.requester_roles):
            assert " ".join(part.split()) in words


def test_a_nodes_page_names_its_bundles_and_mandates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "--state", "PAN", "pan", "-q"]) == 0
    assert (
        run(["agreement", "new", "PAN", "HND", "--agency", "PAN:BORDER", "--agency", "HND:INM", "-o", "a", "-q"]) == 0
    )
    assert read(Path("a"))[1]
    key = next(Path("pan/policy-authority").glob("national-*.pem"))
    assert run(["policy", "build", "--config", "pan", "--key", str(key), "--agreement", "a", "-o", "b", "-q"]) == 0
    assert run(["policy", "activate", "b", "--config", "pan", "-q"]) == 0
    assert run(["policy", "matrix", "-o", "m.html", "--config", "pan", "-q"]) == 0
    words = " ".join(Outline(Path("m.html").read_text("utf-8")).words)
    for part in (
        "gateway of PAN",
        "AGR-HND-PAN, version 1",
        "HND (INM) and PAN (BORDER)",
        "MANDATE-PAN-DOCUMENTS",
        "SHA-256",
    ):
        assert part in words
