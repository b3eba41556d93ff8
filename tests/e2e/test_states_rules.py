"""Rules are put in force by two persons who have seen what changes; what an operator puts there by himself is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli.acts.nodes import Ran, limen, must
from gateway.primitives import cbor
from gateway.terms import Role
from tests.support.states import States, running

AGENCIES = {"PAN": "SNM", "HND": "INM"}


@dataclass
class Rules:
    """PAN with two policy officers, and bundles to put in force there."""

    states: States
    place: Path
    keys: list[Path]
    made: int = 0

    @property
    def node(self) -> Path:
        return self.states.folder("PAN")

    @property
    def config(self) -> tuple[str, str]:
        return "--config", str(self.node)

    def bundle(self) -> Path:
        """The rules in force once more under the next number, with a later end."""
        self.made += 1
        out = self.place / f"national-{self.made}.tar.gz"
        key = next((self.node / "policy-authority").glob("national-*.pem"))
        must("policy", "build", "--in-force", *self.config, "--key", str(key), "-o", str(out))
        return out

    def report(self, bundle: Path) -> Path:
        out = bundle.with_suffix(".impact")
        must("policy", "diff", str(bundle), "-o", str(out), *self.config)
        return out

    def sign(self, bundle: Path, report: Path, number: int) -> Path:
        out = self.place / f"{bundle.name}-{number}.sig"
        phrase = str(self.states.nodes.passphrase_file)
        must("policy", "activate", str(bundle), "--impact", str(report), "--sign", str(out), "--key",
             str(self.keys[number]), "--passphrase-file", phrase, *self.config)  # fmt: skip
        return out

    def activate(self, bundle: Path, *more: str) -> Ran:
        return limen("policy", "activate", str(bundle), *self.config, *more)

    def activated(self) -> list[bytes]:
        found = self.states.leaves("PAN", kind="policy.activated")
        return [bytes(leaf.public["digest"]) for leaf in found]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rules]:
    with running(AGENCIES, entries=20) as states:
        keys = [states.nodes.enrol("PAN", f"policy-{n}", [Role.POLICY_OFFICER]) for n in (1, 2)]
        states.until(lambda: len(states.leaves("PAN", kind="officer.enrolled")) >= 3, "the officers are in the log")
        yield Rules(states, tmp_path_factory.mktemp("rules"), keys)


def digest(bundle: Path) -> bytes:
    return hashlib.sha256(bundle.read_bytes()).digest()


def test_without_two_signatures_nothing_is_handed_over(rules: Rules) -> None:
    bundle = rules.bundle()
    report = rules.report(bundle)
    none = rules.activate(bundle)
    assert none.code == 3 and "signers" in none.err
    one = rules.sign(bundle, report, 0)
    alone = rules.activate(bundle, "--impact", str(report), "--signature", str(one))
    assert alone.code == 3 and "signers" in alone.err
    twice = rules.activate(bundle, "--impact", str(report), "--signature", str(one), "--signature", str(one))
    assert twice.code == 6 and "one person signed twice" in twice.err
    assert digest(bundle) not in rules.activated()


def test_two_persons_put_rules_in_force_and_the_log_says_who_and_over_what(rules: Rules, tmp_path: Path) -> None:
    bundle = rules.bundle()
    report = rules.report(bundle)
    signed = [word for n in (0, 1) for word in ("--signature", str(rules.sign(bundle, report, n)))]
    assert rules.activate(bundle, "--impact", str(report), *signed).code == 0
    rules.states.until(lambda: digest(bundle) in rules.activated(), "the bundle is in force")
    leaf = rules.states.leaves("PAN", kind="policy.activated")[-1]
    assert leaf.public["impact"] == hashlib.sha256(report.read_bytes()).digest()
    persons = cbor.decode(bytes(leaf.public["persons"]))  # type: ignore[arg-type]
    assert len({key for _, key, _, _ in persons}) == 2
    held = json.loads(report.read_text())
    assert (held["layer"], held["digest"], held["opened"], held["closed"]) == ("national", digest(bundle).hex(), 0, 0)
    archive = rules.node / "policy" / "archive"
    assert (archive / f"{digest(bundle).hex()}.tar.gz").read_bytes() == bundle.read_bytes()
    assert (archive / f"{digest(bundle).hex()}.signed").exists()
    rules.states.whole("PAN")
    # Both verifiers hold the signatures.
    rules.states.settled()
    export = rules.states.export("PAN", tmp_path / "export")
    assert rules.states.verify(export, rules.states.card("PAN", tmp_path / "card")).code == 0


def test_a_report_over_other_rules_than_those_in_force_is_stale(rules: Rules) -> None:
    first, second = rules.bundle(), rules.bundle()
    reports = [rules.report(one) for one in (first, second)]
    signed = [
        [word for n in (0, 1) for word in ("--signature", str(rules.sign(bundle, report, n)))]
        for bundle, report in zip((first, second), reports, strict=True)
    ]
    wrong = rules.activate(first, "--impact", str(reports[1]), *signed[1])
    assert wrong.code == 6 and "about another bundle" in wrong.err
    assert rules.activate(second, "--impact", str(reports[1]), *signed[1]).code == 0
    rules.states.until(lambda: digest(second) in rules.activated(), "the second is in force")
    third = rules.bundle()
    report = rules.report(third)
    stale = rules.place / "stale"
    stale.write_bytes(report.read_bytes().replace(digest(second).hex().encode(), digest(first).hex().encode()))
    phrase, out = str(rules.states.nodes.passphrase_file), str(rules.place / "x.sig")
    ran = limen("policy", "activate", str(third), "--impact", str(stale), "--sign", out, "--key",
                str(rules.keys[0]), "--passphrase-file", phrase, *rules.config)  # fmt: skip
    assert ran.code == 6 and "make it anew" in ran.err


def test_what_an_operator_puts_there_by_himself_is_not_put_in_force(rules: Rules) -> None:
    bundle = rules.bundle()
    node = rules.states.nodes["PAN"]
    rules.node.joinpath("policy", "national.signed").unlink(missing_ok=True)
    before = rules.node.joinpath("policy", "national.tar.gz").read_bytes()
    part = rules.node / "policy" / ".new"
    part.write_bytes(bundle.read_bytes())
    part.replace(rules.node / "policy" / "national.tar.gz")
    try:
        rules.states.until(
            lambda: "two policy officers have not signed for it" in node.log_file.read_text(errors="replace"),
            "the node says so",
        )
        assert digest(bundle) not in rules.activated()
        assert rules.states.ask("miss").code == 0, "the rules before go on"
    finally:
        part.write_bytes(before)
        part.replace(rules.node / "policy" / "national.tar.gz")
    rules.states.whole("PAN")
