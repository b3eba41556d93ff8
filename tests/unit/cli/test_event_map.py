"""`limen map`: proposed from a header, tried on a file, and silent about what the file holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gateway_adapters import dataset_yaml, event_csv

from examples.region import events
from gateway.cli.acts.event_map import declaration_of
from gateway.cli.acts.nodes import limen
from tests.extras import ROOT

HEADER = "event_id,person_ref,event_date,route,nationality,protection\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = events.make("PAN", persons=50)
    (tmp_path / "events.csv").write_text(made.events_csv)
    (tmp_path / "events.yaml").write_text(made.map_yaml)
    return tmp_path


def test_what_is_suggested_is_what_the_readers_take(folder: Path) -> None:
    file, out = str(folder / "events.csv"), folder / "out"
    ran = limen(
        "map", "suggest", file, "--name", "PAN-crossings", "--from", "2026-01", "--to", "2026-12", "-o", str(out)
    )
    assert (ran.code, ran.err) == (0, "")
    columns = event_csv.read_map((out / "map.yaml").read_bytes())
    assert (columns.person_ref, columns.route, columns.protection) == ("person_ref", "route", "protection")
    text = (out / "dataset.yaml").read_text()
    assert "route: []" in text and "PAN-P0" not in text and "RIVER" not in text
    declared = declaration_of(dataset_yaml.read(text.replace("route: []", "route: [RIVER, COAST]").encode()))
    assert (declared.name, declared.caps) == ("PAN-crossings", {"month": 520_000})
    assert limen("map", "suggest", file, "--from", "2026-01", "--to", "2026-12", "-o", str(out)).code == 2
    printed = limen("map", "suggest", file, "--from", "2026-01", "--to", "2026-12", "--json")
    assert printed.json["map"].encode() == (out / "map.yaml").read_bytes()


def test_months_are_asked_of_the_user_and_never_read_from_the_file(folder: Path) -> None:
    ran = limen("map", "suggest", str(folder / "events.csv"))
    assert (ran.code, ran.out) == (2, "")
    assert "--from" in ran.err


def test_a_check_reports_lines_and_codes_and_no_content(folder: Path) -> None:
    clean = limen("map", "check", str(folder / "events.yaml"), str(folder / "events.csv"))
    assert clean.code == 0 and ", 0 refused" in clean.out
    bad = folder / "bad.csv"
    bad.write_text(HEADER + "1,CANARY-A,2026-01-02,RIVER,VEN,\n2,CANARY-B,soon,RIVER,VEN,\n3,,2026-01-02,RIVER,VEN,\n")
    ran = limen("map", "check", str(folder / "events.yaml"), str(bad), "--lines", "1")
    assert ran.code == 0
    assert "1 rows can be counted, 0 left out by `where`, 2 refused" in ran.out
    assert "line 3, column event_date: refused DATE" in ran.out and "and 1 more refused rows" in ran.out
    said = limen("map", "check", str(folder / "events.yaml"), str(bad), "--json")
    assert [(one["line"], one["column"], one["code"]) for one in said.json["remarks"]] == [
        (3, "event_date", "DATE"),
        (4, "person_ref", "PERSON"),
    ]
    for text in (ran.out, ran.err, json.dumps(said.json)):
        assert "CANARY" not in text and "VEN" not in text and "soon" not in text


def test_a_file_of_refused_rows_alone_is_exit_8(folder: Path) -> None:
    bad = folder / "bad.csv"
    bad.write_text(HEADER + "1,A,soon,RIVER,VEN,\n")
    assert limen("map", "check", str(folder / "events.yaml"), str(bad)).code == 8
    assert limen("map", "check", str(folder / "events.yaml"), str(folder / "none.csv")).code == 8
    assert limen("map", "check", str(folder / "events.csv"), str(folder / "events.csv")).code == 8


def test_without_the_extra_it_says_what_to_install_and_the_rest_goes_on(folder: Path, tmp_path: Path) -> None:
    without = tmp_path / "without"
    without.mkdir()
    (without / "sitecustomize.py").write_text("import sys\nsys.modules['yaml'] = None\n")
    environment = {**os.environ, "PYTHONPATH": str(without)}
    said = subprocess.run(
        [sys.executable, "-m", "gateway", "map", "check", str(folder / "events.yaml"), str(folder / "events.csv")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stdout) == (5, "")
    assert said.stderr.count("\n") == 1 and "statistics" in said.stderr
    # Nodes of a demonstration or a sandbox without statistics need no YAML.
    nodes = subprocess.run([sys.executable, "-c", "import gateway.cli.acts.nodes"], cwd=ROOT, env=environment)
    assert nodes.returncode == 0
