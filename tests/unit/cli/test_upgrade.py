"""`limen node upgrade --check` and the bundle that it asks for: a mandate that an older release did not know of."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import config
from gateway.app import bundles
from gateway.cli.main import run
from gateway.clock import SystemClock
from gateway.opa import bundle, sources
from gateway.opa.bundle import Bundle
from gateway.policy import agreement
from gateway.store import db as database
from gateway.store.reader import Reader
from gateway.terms import ListId, PeerId

Told = Callable[..., Any]
DAY_NS = 86_400 * 10**9


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """PAN as `init` leaves it."""
    folder = tmp_path / "pan"
    assert run(["init", "--state", "PAN", "--agency", "SNM", str(folder), "-q"]) == 0
    return folder


def national(node: Path) -> Bundle:
    """The national bundle in force."""
    settings = config.load(node, environ={})
    with contextlib.closing(Reader(settings.paths.store)) as reader:
        return bundles.open_bundle(settings, "national", reader, SystemClock().now_ns())


def home_question(node: Path) -> Any:
    """What PAN's own analyst asks PAN's own node, as the bundle's own golden case of a yes has it."""
    for case in national(node).golden:
        question = case["question"]
        if question["stage"] == "answer" and question["asker"] == question["owner"] == "PAN" and not case["reasons"]:
            return {**question, "time_ns": SystemClock().now_ns()}
    raise AssertionError("the starter bundle has no case of a home statistic")


def older(node: Path, tmp_path: Path, told: Told) -> None:
    """In the place of the national bundle one with an agreement, made before there were private statistics."""
    now = SystemClock().now_ns()
    signed = tmp_path / "PAN-HND.json"
    assert run(["agreement", "new", "HND", "PAN", "--agency", "PAN:SNM", "--agency", "HND:INM", "--config",
                str(node), "-o", str(signed), "-q"]) == 0  # fmt: skip
    span: dict[str, Any] = {"agencies": ["SNM"], "valid_from_ns": now - DAY_NS, "valid_until_ns": now + 90 * DAY_NS}
    mandates = [agreement.starter_mandate("PAN", list_id, **span) for list_id in ListId]
    (key,) = (node / "policy-authority").glob("national-*.pem")
    raw = bundle.build(
        sources.starter_national("PAN", [agreement.parse(json.loads(signed.read_text()))], mandates=mandates),
        scope=bundle.national_scope(PeerId("PAN")),
        sequence=2,
        not_after_ns=now + 90 * DAY_NS,
        signing_key_pem=key.read_bytes(),
        key_id=key.stem,
    )
    (node / "policy" / "national.tar.gz").write_bytes(raw)


def test_a_node_of_this_release_has_nothing_to_do(node: Path, told: Told) -> None:
    done = told("node", "upgrade", "--check", "--config", node)
    assert (done["mandates_missing"], done["to_do"]) == ([], 0)
    assert done["store_form"] in (None, done["newest_form"])


def test_a_bundle_without_the_mandate_for_statistics_is_named_with_the_command_that_adds_it(
    node: Path, told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question = tmp_path / "home.json"
    question.write_text(json.dumps(home_question(node)))
    assert told("policy", "decide", question, "--config", node)[0]["allowed"]
    older(node, tmp_path, told)
    capsys.readouterr()
    assert run(["policy", "decide", str(question), "--config", str(node), "--json"]) == 3
    (denied,) = json.loads(capsys.readouterr().out)
    assert "no_agreement" in denied["reasons"]
    found = told("node", "upgrade", "--check", "--config", node, code=1)
    assert found["mandates_missing"] == ["STATISTICS"]
    assert run(["node", "upgrade", "--check", "--config", str(node)]) == 1
    said = capsys.readouterr().out
    assert "no mandate for STATISTICS" in said and "limen policy build --in-force" in said

    # The command that it names: the agreement stays, the mandate is there.
    (key,) = (node / "policy-authority").glob("national-*.pem")
    out = tmp_path / "national.tar.gz"
    made = told("policy", "build", "--in-force", "--config", node, "--key", key, "-o", out)
    assert made["agreements"] == 1
    (node / "policy" / "national.tar.gz").write_bytes(out.read_bytes())
    assert told("node", "upgrade", "--check", "--config", node)["to_do"] == 0
    assert told("policy", "decide", question, "--config", node)[0]["allowed"]
    assert [set(one.parties) for one in bundles.agreements_of(national(node))] == [{"PAN", "HND"}]


def test_a_store_of_an_older_form_says_that_a_backup_comes_first(
    node: Path, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config.load(node, environ={}).paths.store / database.FILE
    if not path.exists():
        database.open_writer(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 3")
    db.commit()
    db.close()
    found = told("node", "upgrade", "--check", "--config", node, code=1)
    assert (found["store_form"], found["to_do"]) == (3, 1)
    capsys.readouterr()
    assert run(["node", "upgrade", "--check", "--config", str(node)]) == 1
    assert "limen node backup" in capsys.readouterr().out
