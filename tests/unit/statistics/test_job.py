"""The process that makes releases: when it is due, what it loads, and what it does without its libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway import config
from gateway.app import due
from gateway.app.statistics import can_count, events_file
from gateway.config import Config
from gateway.store import db as database
from gateway.store import writer
from gateway.store.changes import CHANGES
from gateway.store.lock import RESTORED
from gateway.store.writer import WriterConfig

SNAPSHOT = b"S" * 32


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    (tmp_path / "limen.toml").write_text('state = "PAN"\nagencies = ["SNM"]\n[paths]\nrun = "/tmp/r"\n')
    made = config.load(tmp_path, environ={})
    writer.create(
        WriterConfig(made.paths.store, made.paths.lock, made.paths.periods, made.paths.run, "pan.example/log")
    )
    return made


def change(settings: Config, *names: str) -> None:
    args = {
        "name": "border", "snapshot": SNAPSHOT, "declaration": b"d", "by_person": True, "at_ns": 1,
        "reference": b"R" * 32, "query": b"q", "dataset": "border", "version": 1, "unit": "person-month",
        "period": "2023-08", "salt": bytes(32), "cost": 5, "cap": 9, "peer": "HND", "share_cap": None,
        "body": b"b", "header": b"h", "signature": b"s", "shown_ns": 2, "code": "EVENTS",
    }  # fmt: skip
    db = database.open_writer(settings.paths.store / database.FILE)
    for name in names:
        CHANGES[name](db, args)
    db.close()


def test_a_job_is_due_while_a_release_waits(settings: Config) -> None:
    assert not due.releases_wait(settings)
    change(settings, "dataset.put", "release.charge")
    assert due.releases_wait(settings)
    change(settings, "release.fail")
    assert not due.releases_wait(settings)
    change(settings, "release.put")
    assert not due.releases_wait(settings)


def test_a_node_that_came_back_from_a_backup_makes_nothing(settings: Config) -> None:
    change(settings, "dataset.put", "release.charge")
    (settings.paths.lock / RESTORED).touch()
    assert not due.releases_wait(settings)


def test_nothing_is_due_where_there_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "limen.toml").write_text('state = "PAN"\nagencies = ["SNM"]\n[paths]\nrun = "/tmp/r"\n')
    assert not due.releases_wait(config.load(tmp_path, environ={}))


def test_what_was_stored_or_charged_cannot_be_changed_in_the_database(settings: Config) -> None:
    change(settings, "dataset.put", "release.charge", "release.put")
    db = database.open_writer(settings.paths.store / database.FILE)
    for statement in (
        "DELETE FROM release",
        "UPDATE release SET body = x'00'",
        "UPDATE release SET salt = x'00'",
        "UPDATE release SET cost = 1",
        "UPDATE release_account SET spent = cap + 1",
        "UPDATE release_account SET spent = -1",
    ):
        with pytest.raises(Exception, match=r"never deleted|charged once|CHECK"):
            db.execute(statement)
    db.close()


def test_events_lie_under_the_name_of_their_digest(settings: Config) -> None:
    assert events_file(settings, SNAPSHOT) == settings.paths.events / f"{SNAPSHOT.hex()}.csv"


def ran(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module", ["gateway.app.statistics", "gateway.app.node", "gateway.app.jobs", "gateway.app.due"]
)
def test_no_other_process_loads_the_engine_or_the_noise(module: str) -> None:
    assert ran(f"import sys, {module}; print(*sorted({{'duckdb', 'opendp', 'yaml'}} & set(sys.modules)))") == ""


def test_the_supervisor_s_question_imports_next_to_nothing() -> None:
    heavy = "{'grpc', 'regorus', 'uvloop', 'nacl', 'cryptography'}"
    assert ran(f"import sys, gateway.app.due; print(*sorted({heavy} & set(sys.modules)))") == ""


def test_without_the_extra_nothing_can_be_counted_and_the_job_says_so() -> None:
    assert can_count()
    told = ran(
        "import asyncio, sys\n"
        "sys.modules['opendp'] = None\n"
        "from gateway.app import statistics\n"
        "from gateway.errors import CapabilityMissing\n"
        "assert not statistics.can_count()\n"
        "try:\n"
        "    asyncio.run(statistics.run(None, lambda: None))\n"
        "except CapabilityMissing as missing:\n"
        "    print(missing)\n"
    )
    assert "extra `statistics`" in told
