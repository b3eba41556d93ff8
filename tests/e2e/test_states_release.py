"""Private statistics between real nodes: made once, paid once, read in the same bytes by all who may; and refused."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from gateway_adapters import dataset_yaml

from examples.region import events
from examples.region.generate import DEFAULT_CLOCK
from gateway.cli.acts.nodes import LISTING_BASIS, Nodes, Ran, limen
from gateway.federation import envelope
from gateway.keyring.files import read_public
from gateway.people import codes
from gateway.store.reader import Reader
from gateway.terms import PeerId, Role
from tests.e2e.test_states_case import done
from tests.region import wait_for
from tests.support import events as synthetic
from tests.support.states import watched

AGENCIES = {"PAN": "SNM", "HND": "INM", "UTO": "UBG"}
PAN, MONTH = "PAN-crossings", "2026-03"
COST = 520_000
FAR = 60
"""Noise of scale 2 is this far away once in 10^13 draws."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Three states; PAN has loaded its events, HND a share of two releases and UTO one of none."""
    root = Path(tempfile.mkdtemp(prefix="limen-", dir="/tmp"))
    shift_ns = int(DEFAULT_CLOCK.timestamp() * 1e9) - time.time_ns()
    with ExitStack() as stack:
        stack.enter_context(watched(root))
        made = Nodes(root, AGENCIES, shift_ns=shift_ns)
        made.make()
        stack.callback(made.stop)
        made.start()
        made.statisticians()
        made.enrol("UTO", "booth-2", (Role.BORDER_FRONTLINE,))
        yield made


@pytest.fixture(scope="module")
def truth(nodes: Nodes) -> dict[str, Any]:
    """PAN's events are loaded; what is in them, known to the test alone."""
    made = events.make("PAN", persons=2_000)
    folder = nodes.root / "events-PAN"
    folder.mkdir()
    for name, text in (("events.csv", made.events_csv), ("map.yaml", made.map_yaml),
                       ("dataset.yaml", events.declaration("PAN", shares={"HND": 2 * COST, "UTO": COST}))):  # fmt: skip
        (folder / name).write_text(text)
    ran = load(nodes, "PAN", folder)
    assert (ran.code, ran.json["changed"], ran.json["refused"]) == (0, True, 0), ran.err
    return dict(json.loads(made.truth_json))


def load(nodes: Nodes, state: str, folder: Path) -> Ran:
    return nodes.load_events(state, folder / "events.csv", folder / "map.yaml", folder / "dataset.yaml")


def question(dataset: str = PAN, period: str = MONTH, **more: str) -> list[str]:
    return [
        "--dataset",
        dataset,
        "--period",
        period,
        *(part for key, value in more.items() for part in (f"--{key}", value)),
    ]


def made(nodes: Nodes, state: str, *asked: str, source: str = "") -> tuple[str, dict[str, Any]]:
    """(reference, document) of a release that an analyst asks for and waits for."""
    standing = done(nodes.release(state, "analyst-1", "request", *asked, source=source))
    reference = standing["reference"]
    return reference, done(nodes.release(state, "analyst-1", "get", reference, "--wait", source=source))


def spent(nodes: Nodes, period: str, dataset: str = PAN) -> int:
    (line,) = [
        line
        for line in done(nodes.release("PAN", "analyst-1", "budget"))
        if (line["dataset"], line["period"]) == (dataset, period)
    ]
    return int(line["spent_micro_rho"])


# -- At home ----------------------------------------------------------------------------------------------------------


def test_events_are_kept_without_names_for_the_node_s_user_alone(nodes: Nodes, truth: dict[str, Any]) -> None:
    folder = nodes["PAN"].settings.paths.events
    (file,) = folder.glob("*.csv")
    lines = file.read_text().splitlines()
    assert len(lines) == truth["events"] + 1 and "PAN-P" not in file.read_text()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    again = load(nodes, "PAN", nodes.root / "events-PAN")
    assert (again.code, again.json["changed"]) == (0, False)
    assert list(folder.glob("*.csv")) == [file]
    (held,) = done(limen("--json", "events", "list", "--config", str(nodes["PAN"].folder)))
    assert (held["dataset"], held["snapshot"], held["unit"]) == (PAN, file.stem, "person")


def test_events_are_not_loaded_by_one_person(nodes: Nodes, truth: dict[str, Any]) -> None:
    folder = nodes.root / "events-PAN"
    ran = limen("--json", "events", "load", str(folder / "events.csv"), "--map", str(folder / "map.yaml"), "--dataset",
                str(folder / "dataset.yaml"), "--basis", LISTING_BASIS, "--decision", "STAT-1", "--config",
                str(nodes["PAN"].folder), "--signature", str(nodes.root / f"PAN.{PAN}.analyst-1.sig"))  # fmt: skip
    assert ran.code == 3
    preview = limen("--json", "events", "load", str(folder / "events.csv"), "--map", str(folder / "map.yaml"),
                    "--dataset", str(folder / "dataset.yaml"), "--preview", "--config",
                    str(nodes["PAN"].folder))  # fmt: skip
    assert (preview.code, preview.json["rows"]) == (0, truth["events"])


def test_a_load_that_is_denied_leaves_nothing(nodes: Nodes, truth: dict[str, Any]) -> None:
    folder, kept = nodes.root / "events-PAN", nodes["PAN"].folder / "events"
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    declared = folder / "another.yaml"
    declared.write_text((folder / "dataset.yaml").read_text("utf-8").replace(PAN, "PAN-another"))
    files = [str(folder / "events.csv"), "--map", str(folder / "map.yaml"), "--dataset", str(declared), "--basis",
             LISTING_BASIS, "--decision", "STAT-1", "--config", str(nodes["PAN"].folder)]  # fmt: skip
    signature = folder / "one.sig"
    signed = limen("events", "sign", *files, "--key", str(nodes["PAN"].officers["analyst-1"]), "--passphrase-file",
                   str(nodes.passphrase_file), "--role", "analyst.national", "-o", str(signature))  # fmt: skip
    assert signed.code == 0, signed.err
    ran = limen("events", "load", *files, "--signature", str(signature))
    assert ran.code == 3
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_a_plan_costs_nothing_and_a_release_is_near_the_truth(nodes: Nodes, truth: dict[str, Any]) -> None:
    asked = question(measure="detections")
    plan = done(nodes.release("PAN", "analyst-1", "plan", *asked))
    assert (plan["cost_micro_rho"], plan["charge_micro_rho"], plan["half_width_95"]) == (COST, COST, 6)
    assert plan["cells"] == len(events.ROUTES) * (len(events.NATIONALITIES) + 1)
    assert spent(nodes, MONTH) == 0
    reference, document = made(nodes, "PAN", *asked)
    assert (reference, spent(nodes, MONTH)) == (plan["reference"], COST)
    off = [
        cell["noisy"]
        - truth["cells"].get(f"{cell['month']}/{cell['route']}/{cell['nationality']}", {}).get("detections", 0)
        for cell in document["cells"]
    ]
    # The bound of two leaves a few out; the noise is within its half-width in 95 of 100.
    assert all(-FAR - 30 <= one <= FAR for one in off)
    assert sum(abs(one) <= document["error"]["half_width_95"] + 3 for one in off) >= 0.8 * len(off)
    assert document["bias"]["lost_half_width_95"] == plan["loss_half_width_95"]
    assert document["balance"]["left_micro_rho"] == events.MONTH_CAP - COST


def test_the_same_question_is_the_same_bytes_and_costs_nothing(nodes: Nodes, truth: dict[str, Any]) -> None:
    asked = question(measure="detections")
    reference, first = made(nodes, "PAN", *asked)
    before = spent(nodes, MONTH)
    again = done(nodes.release("PAN", "analyst-1", "request", *asked))
    assert (again["state"], again["cost_micro_rho"], again["reference"]) == ("ready", 0, reference)
    assert nodes.release("PAN", "analyst-1", "get", reference).json == first
    assert spent(nodes, MONTH) == before


def test_files_for_readers_are_made_from_the_document(nodes: Nodes, truth: dict[str, Any], tmp_path: Path) -> None:
    reference, document = made(nodes, "PAN", *question(measure="detections"))
    out = tmp_path / "release.csv"
    done(nodes.release("PAN", "analyst-1", "export", reference, "--format", "csv", "-o", str(out)))
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [int(row["noisy"]) for row in rows] == [cell["noisy"] for cell in document["cells"]]
    sdmx = tmp_path / "release.sdmx.csv"
    done(nodes.release("PAN", "analyst-1", "export", reference, "--format", "sdmx-csv", "-o", str(sdmx)))
    head, *cells = list(csv.DictReader(io.StringIO(sdmx.read_text())))
    assert [int(row["OBS_VALUE"]) for row in cells] == [cell["noisy"] for cell in document["cells"]]
    assert (head["RELEASE_ID"], head["PRIVACY_UNIT"][:12]) == (document["id"], "person-month")
    page = tmp_path / "release.html"
    done(nodes.release("PAN", "analyst-1", "export", reference, "--format", "html", "-o", str(page)))
    assert page.read_text().count('class="c-whisker"') == len(rows)
    shown = limen("release", "get", reference, "--basis", LISTING_BASIS, "--booth", str(nodes.desk("PAN", "analyst-1")))
    assert "95 % interval" in shown.out.replace("INTERVAL", "interval") and "bias: cells are too low" in shown.out


# -- Between states ---------------------------------------------------------------------------------------------------


def test_a_peer_reads_the_same_release_and_pays_nothing_for_it(nodes: Nodes, truth: dict[str, Any]) -> None:
    asked = question(measure="detections")
    _, ours = made(nodes, "PAN", *asked)
    before = spent(nodes, MONTH)
    plan = done(nodes.release("HND", "analyst-1", "plan", *asked, source="PAN"))
    assert (plan["charge_micro_rho"], plan["cost_micro_rho"]) == (0, COST)
    reference, theirs = made(nodes, "HND", *asked, source="PAN")
    assert spent(nodes, MONTH) == before
    assert (theirs["recipient"], theirs["owner"]) == ("HND", "PAN")
    assert {**theirs, "recipient": ours["recipient"]} == ours
    assert nodes.release("HND", "analyst-1", "get", reference, source="PAN").json == theirs
    lines = done(nodes.release("HND", "analyst-1", "list"))
    assert [(line["owner"], line["state"]) for line in lines if line["reference"] == reference] == [("PAN", "ready")]
    assert {line["recipient"] for line in done(nodes.release("PAN", "analyst-1", "list"))} == {"PAN", "HND"}


def test_a_peer_s_request_is_charged_to_its_share_and_ends_with_it(nodes: Nodes, truth: dict[str, Any]) -> None:
    asked = question(period="2026-05")
    made(nodes, "UTO", *asked, source="PAN")
    (line,) = [line for line in done(nodes.release("PAN", "analyst-1", "budget")) if line["period"] == "2026-05"]
    assert {share["peer"]: share["spent_micro_rho"] for share in line["shares"]} == {"HND": 0, "UTO": COST}
    over = nodes.release("UTO", "analyst-1", "request", *question(period="2026-05", measure="detections"), source="PAN")
    assert over.code == 7 and "in the share 0.000000 rho" in over.err
    assert spent(nodes, "2026-05") == COST
    # What was made before is still theirs to read.
    assert done(nodes.release("UTO", "analyst-1", "request", *asked, source="PAN"))["cost_micro_rho"] == 0


def test_an_exhausted_account_refuses_everybody_and_says_what_is_left(nodes: Nodes, truth: dict[str, Any]) -> None:
    for measure in ("persons", "detections"):
        made(nodes, "PAN", *question(period="2026-06", measure=measure))
    for state, source in (("PAN", ""), ("HND", "PAN")):
        ran = nodes.release(state, "analyst-1", "request", *question(period="2026-06", by="route"), source=source)
        assert ran.code == 7 and "0.520000 rho" in ran.err and "in the account 0.000000 rho" in ran.err, ran.err
    plan = done(nodes.release("PAN", "analyst-1", "plan", *question(period="2026-06", by="route")))
    assert (plan["charge_micro_rho"], plan["left_micro_rho"]) == (COST, 0)


def test_a_state_learns_nothing_of_its_own_nationals_protection(nodes: Nodes, truth: dict[str, Any]) -> None:
    _, theirs = made(nodes, "HND", *question(period="2026-07", by="nationality,protection"), source="PAN")
    withheld = {cell["nationality"] for cell in theirs["cells"] if cell["status"] == "withheld"}
    assert withheld == {"HND", "XXA", "_U"}
    assert all(cell["noisy"] is None for cell in theirs["cells"] if cell["nationality"] == "HND")
    assert theirs["omissions"]
    _, ours = made(nodes, "PAN", *question(period="2026-07", by="nationality,protection"))
    assert {cell["nationality"] for cell in ours["cells"] if cell["status"] == "withheld"} == {"XXA", "_U"}


def test_what_a_peer_keeps_is_what_the_owner_signed_for_it(nodes: Nodes, truth: dict[str, Any]) -> None:
    reference, _ = made(nodes, "HND", *question(measure="detections"), source="PAN")
    number = bytes.fromhex(reference.removeprefix("ref_"))
    with contextlib.closing(Reader(nodes["HND"].folder / "store")) as theirs:
        (copy,) = [one for one in theirs.release_copies() if one.reference == number]
    with contextlib.closing(Reader(nodes["PAN"].folder / "store")) as ours:
        assert ours.release_delivery(copy.reference, copy.snapshot, PeerId("HND")) == copy.message
    header = envelope.verify(
        copy.message,
        method=envelope.RELEASE,
        sender=PeerId("PAN"),
        receiver=PeerId("HND"),
        keys=[read_public(nodes["PAN"].settings.paths.keys).message],
        now_ns=None,
    )
    assert header.request_hash is None


def test_an_owner_that_cannot_be_reached_is_exit_5(nodes: Nodes, truth: dict[str, Any]) -> None:
    nodes.stop("PAN")
    try:
        assert nodes.release("HND", "analyst-1", "plan", *question(), source="PAN").code == 5
    finally:
        nodes.start("PAN")
    wait_for(
        lambda: nodes.release("HND", "analyst-1", "plan", *question(), source="PAN").code == 0,
        what="HND reaches PAN again",
        timeout_s=60,
    )


# -- Events that change -----------------------------------------------------------------------------------------------


def second(nodes: Nodes, persons: int) -> Ran:
    """Load a data set of its own, of so many persons."""
    folder = nodes.root / "events-second"
    folder.mkdir(exist_ok=True)
    (folder / "events.csv").write_text(events.make("PAN", persons=persons).events_csv)
    (folder / "map.yaml").write_text(events.MAP)
    (folder / "dataset.yaml").write_text(events.declaration("PAN").replace(PAN, "PAN-second"))
    return load(nodes, "PAN", folder)


def test_events_loaded_again_are_another_release_and_the_old_one_stays(nodes: Nodes, truth: dict[str, Any]) -> None:
    folder = nodes["PAN"].settings.paths.events
    first = done(second(nodes, 100))["snapshot"]
    asked = question("PAN-second", by="route")
    reference, document = made(nodes, "PAN", *asked)
    later = done(second(nodes, 120))["snapshot"]
    assert first != later and (folder / f"{later}.csv").exists() and not (folder / f"{first}.csv").exists()
    assert nodes.release("PAN", "analyst-1", "get", reference).json == document
    assert done(nodes.release("PAN", "analyst-1", "request", *asked))["cost_micro_rho"] == COST
    again = done(nodes.release("PAN", "analyst-1", "get", reference, "--wait"))
    assert (again["snapshot"], again["balance"]["left_micro_rho"]) == (later, 0)
    assert nodes.release("PAN", "analyst-1", "request", *question("PAN-second", by="nationality")).code == 7


def test_a_release_that_cannot_be_made_says_so_and_is_not_paid_twice(nodes: Nodes, truth: dict[str, Any]) -> None:
    snapshot = done(second(nodes, 140))["snapshot"]
    file = nodes["PAN"].settings.paths.events / f"{snapshot}.csv"
    away = file.with_suffix(".away")
    file.rename(away)
    asked = question("PAN-second", "2026-09")
    reference = done(nodes.release("PAN", "analyst-1", "request", *asked))["reference"]
    failed = nodes.release("PAN", "analyst-1", "get", reference, "--wait")
    assert (failed.code, failed.json["state"], failed.json["code"]) == (1, "failed", "EVENTS_GONE")
    away.rename(file)
    assert made(nodes, "PAN", *asked)[0] == reference
    assert spent(nodes, "2026-09", "PAN-second") == COST


def test_a_node_without_the_extra_plans_and_says_that_it_cannot_count(
    nodes: Nodes, truth: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = nodes.root / "events-UTO"
    folder.mkdir()
    for name, text in (("events.csv", events.make("UTO", persons=50).events_csv), ("map.yaml", events.MAP),
                       ("dataset.yaml", events.declaration("UTO", shares={"PAN": COST}))):  # fmt: skip
        (folder / name).write_text(text)
    done(load(nodes, "UTO", folder))
    # To its processes the engine is not installed: a name that stands for no module is not found and not imported.
    (nodes.root / "without").mkdir()
    (nodes.root / "without" / "sitecustomize.py").write_text("import sys\nsys.modules['duckdb'] = None\n")
    nodes.stop("UTO")
    with monkeypatch.context() as without:
        without.setenv("PYTHONPATH", str(nodes.root / "without"))
        nodes.start("UTO")
    try:
        asked = question("UTO-crossings")
        wait_for(
            lambda: nodes.release("PAN", "analyst-1", "plan", *asked, source="UTO").code == 0,
            what="PAN reaches UTO again",
            timeout_s=60,
        )
        for state, source in (("UTO", ""), ("PAN", "UTO")):
            assert done(nodes.release(state, "analyst-1", "plan", *asked, source=source))["cost_micro_rho"] == COST
            refused = nodes.release(state, "analyst-1", "request", *asked, source=source)
            assert refused.code == 5 and "UTO makes no releases" in refused.err
        (line,) = [one for one in done(nodes.release("UTO", "analyst-1", "budget")) if one["period"] == MONTH]
        assert line["spent_micro_rho"] == 0
    finally:
        nodes.stop("UTO")
        nodes.start("UTO")
    made(nodes, "UTO", *asked)


# -- Refused ----------------------------------------------------------------------------------------------------------


def test_who_may_not_ask_gets_nothing(nodes: Nodes, truth: dict[str, Any]) -> None:
    for source, state in (("", "PAN"), ("PAN", "UTO")):
        name = "supervisor-1" if state == "PAN" else "booth-2"
        assert nodes.release(state, name, "request", *question(), source=source).code == 3
    assert nodes.release("UTO", "booth-2", "list").code == 3
    assert nodes.release("UTO", "booth-2", "budget").code == 3


def test_what_was_never_asked_for_is_not_found(nodes: Nodes, truth: dict[str, Any]) -> None:
    reference, _ = made(nodes, "PAN", *question(measure="detections"))
    assert nodes.release("UTO", "analyst-1", "get", reference, source="PAN").code == 4
    assert nodes.release("PAN", "analyst-1", "get", "ref_" + "00" * 32).code == 4
    assert nodes.release("PAN", "analyst-1", "get", reference[:-1]).code == 2


@pytest.mark.parametrize(
    "asked",
    [
        question("PAN-other"),
        question(period="2024-01"),
        question(period="2026-13"),
        question(measure="children"),
        question(by="sex"),
        question(epsilon="11"),
    ],
    ids=["dataset", "period", "month", "measure", "dimension", "epsilon"],
)
def test_what_was_not_declared_cannot_be_asked(nodes: Nodes, truth: dict[str, Any], asked: list[str]) -> None:
    assert nodes.release("PAN", "analyst-1", "request", *asked).code == 8
    assert nodes.release("HND", "analyst-1", "plan", *asked, source="PAN").code == 8


def test_no_reference_to_a_person_is_kept_anywhere(nodes: Nodes, truth: dict[str, Any]) -> None:
    made(nodes, "HND", *question(measure="detections"), source="PAN")
    files = [path for state in AGENCIES for path in nodes[state].folder.rglob("*") if path.is_file()]
    assert any(path.name == "node.log" for path in files) and len(files) > 100
    assert not [path for path in files if b"PAN-P0" in path.read_bytes()]


# -- The acceptance scenarios of the synthetic region -----------------------------------------------------------------


def declare(state: str, folder: Path, routes: str) -> Path:
    """A declaration of public codes only: every nationality that a document may state."""
    path = folder / f"{state}.dataset.yaml"
    path.write_text(
        f"dataset: limen/dataset/1\nname: {state}-2023\ndimensions:\n  month: {{from: 2023-01, to: 2023-12}}\n"
        f"  route: [{routes}]\n  nationality: [{', '.join(dataset_yaml.NATIONALITIES)}]\n"
        "caps:\n  month: {micro_rho: 1040000}\n  year: {micro_rho: 520000}\n"
    )
    return path


def test_scenario_13_a_month_of_one_nationality_is_within_its_interval(nodes: Nodes) -> None:
    source, columns = synthetic.raw("PAN", nodes.root)
    declaration = declare("PAN", nodes.root, "IRREGULAR_ENTRY")
    done(nodes.load_events("PAN", source, columns, declaration))
    for measure, half_width in (("persons", 3), ("detections", 6)):
        asked = question("PAN-2023", "2023-08", measure=measure, by="nationality")
        reference, document = made(nodes, "PAN", *asked)
        assert document["error"]["half_width_95"] == half_width
        (cell,) = [cell for cell in document["cells"] if cell["nationality"] == "VEN"]
        assert abs(cell["noisy"] - 2_469) <= FAR
        # Cells of nobody are noise alone, nineteen of twenty within the interval.
        empty = [abs(cell["noisy"]) <= half_width for cell in document["cells"] if cell["nationality"] in UNSEEN]
        assert len(empty) == len(UNSEEN) and sum(empty) >= 0.85 * len(empty)
        again = done(nodes.release("PAN", "analyst-1", "request", *asked))
        assert again["cost_micro_rho"] == 0
        assert nodes.release("PAN", "analyst-1", "get", reference).json == document


UNSEEN = [
    code
    for code in sorted(codes.ISO_3166)
    if code in {"ABW", "AIA", "ALA", "AND", "ASM", "ATA", "ATF", "ATG", "BES", "BLM", "BMU", "BVT", "CCK", "COK", "CXR"}
    or code in {"FJI", "FLK", "FRO", "FSM", "GGY", "GIB", "GLP", "GRL", "GUF", "GUM", "HMD", "IMN", "IOT", "JEY", "KIR"}
    or code in {"KNA", "LIE", "MCO", "MHL", "MNP", "MSR", "MTQ", "MYT", "NFK", "NIU", "NRU", "PCN", "PLW", "SJM", "SPM"}
]
"""Territories of which nobody was seen."""


def test_scenario_15_the_bound_and_its_loss_stand_in_the_release(nodes: Nodes) -> None:
    source, columns = synthetic.raw("MEX", nodes.root)
    declaration = declare("MEX", nodes.root, "IRREGULAR_ENTRY, RETURN")
    done(nodes.load_events("UTO", source, columns, declaration))
    _, document = made(nodes, "UTO", *question("MEX-2023", "2023", measure="detections", by="route"))
    with source.open(newline="") as file:
        counted = Counter(row["truth_person"] for row in csv.DictReader(file) if row["state"] == "MEX")
    assert (sum(counted.values()), len(counted), max(counted.values())) == (11_514, 8_566, 5)
    assert sum(min(2, count) for count in counted.values()) == 10_757
    # 24 cells of scale 2: the sum's noise is of scale 14.
    assert abs(sum(cell["noisy"] for cell in document["cells"]) - 10_757) <= 400
    assert (document["bound"]["l1"], document["unit"]["name"]) == (2, "person-period")
    assert abs(document["bias"]["lost"] - 757) <= 1_200
    assert 800 <= document["bias"]["kept_per_mille"] <= 1_000
