"""The demonstration's events: repeatable, readable by their map, counted as their truth says."""

from __future__ import annotations

import io
import json
from pathlib import Path

from gateway_adapters import dataset_yaml, event_csv

from examples.region import events
from gateway.cli.acts.event_map import declaration_of
from gateway.engines.duckdb import DuckDbEngine
from gateway.statistics.bounding import BoundingSpec, Source, Unit
from gateway.statistics.catalogue import Query
from gateway.statistics.domain import Dimension


def test_the_events_are_those_of_their_truth(tmp_path: Path) -> None:
    made = events.make("PAN", persons=500)
    assert made == events.make("PAN", persons=500)
    truth = json.loads(made.truth_json)
    path = tmp_path / "snapshot.csv"
    with path.open("wb") as file:
        report = event_csv.normalise(
            io.BytesIO(made.events_csv.encode()), event_csv.read_map(made.map_yaml.encode()), bytes(32), file.write
        )
    assert (report.rows, report.refused) == (truth["events"], 0)
    declared = json.loads(made.domain_json)
    loaded = declaration_of(dataset_yaml.read(made.dataset_yaml.encode()))
    assert loaded.name == declared["dataset"]
    assert {one.name: list(one.values) for one in loaded.dimensions} == {
        name: values for name, values in declared.items() if name != "dataset"
    }
    query = Query("S-IBC", "persons", declared.pop("dataset"), "2026")
    domain = query.domain({name: Dimension(name, tuple(values)) for name, values in declared.items()})
    engine = DuckDbEngine(tmp_path / "spill")
    for measure, spec in (
        ("persons", BoundingSpec(Unit.PERSON_PERIOD, 100)),
        ("detections", BoundingSpec(Unit.PERSON_PERIOD, 100, 100)),
    ):
        found = engine.bounded_counts(spec, domain, Source(str(path)), bytes(32))
        assert found.lost == 0
        counts = {"/".join(domain.key(cell)): count for cell, count in enumerate(found.counts) if count}
        assert counts == {cell: both[measure] for cell, both in truth["cells"].items()}
