"""Input that is wrong: one clear sentence, the exit code of the promise, and nothing half done."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.region.generate import COLUMNS
from gateway.cli.acts.nodes import BASIS, LISTING_BASIS, Ran, limen
from gateway.config import FILE_NAME
from gateway.federation import certificates
from gateway.federation.certificates import KeyPair
from gateway.terms import ListId
from tests.support.states import ROOT, States, mrz

USAGE, DENIED, VERIFICATION, REFUSED = 2, 3, 6, 8

LIVE = {"periods", "store", "lock", "run", "node.log"}
"""What a running node writes by itself. Its log is looked at besides."""

DAY_NS = 24 * 3600 * 10**9


def listing(folder: Path) -> dict[str, bytes]:
    """Every file that only people's acts change, by its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).digest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in LIVE
    }


def acts(states: States, state: str, start: int) -> list[str]:
    """Kinds of entries since then that are somebody's act, not the node's own ticking."""
    own = {"filler", "pair.heads", "table.received", "table.published", "call.refused", "check.answer"}
    return [leaf.kind for leaf in states.leaves(state, start) if leaf.kind not in own]


def held(states: States) -> list[bytes]:
    """Every live entry of HND's lists."""
    with states.reading("HND") as reader:
        return [body for list_id in ListId for body in reader.all(list_id)]


@dataclass
class Watched:
    """HND's node, whose files and log must be the same afterwards."""

    states: States
    folder: Path
    place: Path

    def file(self, name: str, data: bytes | str) -> str:
        """An input of the test's own."""
        path = self.place / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)


@pytest.fixture
def node(states: States, tmp_path: Path) -> Iterator[Watched]:
    folder = states.folder("HND")
    states.login("HND")
    before, start, lists = listing(folder), states.size("HND"), held(states)
    yield Watched(states, folder, tmp_path)
    assert listing(folder) == before and held(states) == lists
    # A refusal by the rules is an entry of its own; nothing else was entered.
    assert set(acts(states, "HND", start)) <= {"check.denied", "list.denied"}


def refused(ran: Ran, code: int, *words: str) -> None:
    """One sentence that says what is wrong, no traceback; on standard output a denial alone, as a document."""
    assert ran.code == code, (ran.code, ran.err, ran.out)
    assert ran.out == "" or (code == DENIED and ran.json.keys() == {"error", "reasons"})
    assert len(ran.err.splitlines()) == 1 and ran.err.startswith("limen: ")
    assert "Traceback" not in ran.err and "Error(" not in ran.err
    for word in words:
        assert word in ran.err


def check(node: Watched, lines: bytes, *more: str, purpose: str = "SEC.WATCH") -> Ran:
    return node.states.nodes.check("HND", purpose, lines, *more)


ZONES: dict[str, Callable[[str, str], bytes]] = {
    "nothing at all": lambda one, two: b"",
    "one line": lambda one, two: one.encode(),
    "a wrong check digit": lambda one, two: f"{one}\n{two[:9]}{(int(two[9]) + 1) % 10}{two[10:]}".encode(),
    "a line too short": lambda one, two: f"{one}\n{two[:-3]}".encode(),
    "letters where digits belong": lambda one, two: f"{one}\n{two[:13]}ABCDEF{two[19:]}".encode(),
    "letters that no document has": lambda one, two: f"{one[:10]}é{one[11:]}\n{two}".encode(),
    "bytes that are no text": lambda one, two: b"\xff\xfe\x00" * 40,
    "JSON that breaks off": lambda one, two: b'{"surname": "A"',
    "a field that is none": lambda one, two: b'{"surnames": "A"}',
    "a date that is none": lambda one, two: b'{"surname": "A", "given_names": "B", "birth_date": "1970-02-31"}',
    "a state that is none": lambda one, two: (
        b'{"surname": "A", "given_names": "B", "birth_date": "1970-02-03", "nationality": "Q1"}'
    ),
    "nobody who can be asked about": lambda one, two: b'{"sex": "F", "nationality": "COL"}',
    "four megabytes": lambda one, two: b"<" * (4 << 20) + b"<",
}


@pytest.mark.parametrize("what", ZONES)
def test_a_zone_or_fields_that_cannot_be_read_are_never_asked_about(node: Watched, what: str) -> None:
    one, two = node.states.data.traveller("miss").passport.mrz()
    abroad = node.states.size("PAN")
    ran = check(node, ZONES[what](one, two))
    refused(ran, REFUSED)
    assert "BELUMARO" not in ran.err and "X20418365" not in ran.err
    assert [leaf for leaf in node.states.leaves("PAN", abroad, "check.answer") if leaf.peer == "HND"] == []


@pytest.mark.parametrize("purpose", ["SEC.OTHER", "READ.IDENT", "sec.watch", "", "X" * 200])
def test_a_purpose_that_is_none_or_not_agreed_is_denied_with_its_reason(node: Watched, purpose: str) -> None:
    ran = check(node, mrz(node.states.data.traveller("miss").passport), purpose=purpose)
    assert ran.code in (DENIED, REFUSED)
    refused(ran, ran.code)


def test_a_basis_that_is_not_agreed_is_denied(node: Watched) -> None:
    lines = mrz(node.states.data.traveller("miss").passport)
    refused(limen("check", "--booth", str(node.folder / "booth"), "--purpose", "SEC.WATCH", "--basis", "because",
                  "--case", "SHIFT-1", stdin=lines), DENIED, "basis")  # fmt: skip


def test_identifiers_have_no_place_among_the_arguments(node: Watched) -> None:
    refused(check(node, b"", "X20418365"), USAGE)


HEAD = ",".join(COLUMNS)
ROW = ("WHND900001,HND,WANTED_ARREST,ALBERTUNA,RESOLMIA,,1970-02-03,M,VEN,,,2028-01-31,APPROVAL,HND,HND-NATIONAL,"
       "HND-2026-1,national immigration act,,")  # fmt: skip

FILES: dict[str, tuple[str, int]] = {
    "nothing": ("", REFUSED),
    "no header": (ROW + "\n", REFUSED),
    "a column that is none": (HEAD + ",colour\n" + ROW + ",red\n", REFUSED),
    "a quote that never ends": (HEAD + '\n"' + ROW + "\n", REFUSED),
    "a row of the wrong length": (HEAD + "\n" + ROW + ",,,\n", REFUSED),
    "no originator": (HEAD + "\n" + ROW.replace(",HND,HND-NATIONAL", ",,HND-NATIONAL") + "\n", REFUSED),
    "no end of validity": (HEAD + "\n" + ROW.replace("2028-01-31", "") + "\n", REFUSED),
    "a category that is none": (HEAD + "\n" + ROW.replace("WANTED_ARREST", "DISLIKED") + "\n", REFUSED),
}


@pytest.mark.parametrize("what", FILES)
def test_a_list_that_cannot_be_read_changes_nothing(node: Watched, what: str) -> None:
    text, code = FILES[what]
    file = Path(node.file("rows.csv", text))
    with pytest.raises(RuntimeError) as caught:
        node.states.nodes.load("HND", ListId.PERSONS, file)
    said = str(caught.value)
    assert f"exit {code}:" in said and "ALBERTUNA" not in said and "RESOLMIA" not in said


@pytest.mark.parametrize("others", [0, 3])
def test_a_snapshot_with_a_refused_row_takes_nothing_off_the_list(node: Watched, others: int) -> None:
    """It would withdraw what it does not name, and a slip in a row is no act of withdrawal."""
    rows = [ROW.replace("WHND900001", f"WHND90010{number}") for number in range(others)]
    file = Path(node.file("rows.csv", "\n".join([HEAD, *rows, ROW.replace("2028-01-31", "2028-02-31"), ""])))
    with pytest.raises(RuntimeError) as caught:
        node.states.nodes.load("HND", ListId.PERSONS, file, mode="snapshot")
    said = str(caught.value)
    assert f"exit {REFUSED}:" in said and f"line {others + 2}" in said and "valid_until" in said


def test_a_list_that_nobody_or_one_person_signed_changes_nothing(node: Watched) -> None:
    file = node.file("rows.csv", f"{HEAD}\n{ROW}\n")
    load = ("watchlist", "load", file, "--list", "PERSONS", "--basis", LISTING_BASIS, "--config", str(node.folder))
    ran = limen(*load)
    assert ran.code in (DENIED, VERIFICATION)
    refused(ran, ran.code)
    signed = str(node.place / "one.sig")
    key = str(node.states.nodes["HND"].officers["list-1"])
    passphrase = str(node.states.nodes.passphrase_file)
    assert limen("-q", "watchlist", "sign", file, "--list", "PERSONS", "--basis", LISTING_BASIS, "--key", key,
                 "--passphrase-file", passphrase, "-o", signed, "--config", str(node.folder)).code == 0  # fmt: skip
    for signatures in ((signed,), (signed, signed)):
        ran = limen(*load, *(part for one in signatures for part in ("--signature", one)))
        assert ran.code in (DENIED, VERIFICATION)
        refused(ran, ran.code)


BUNDLES: dict[str, Callable[[bytes], bytes]] = {
    "not signed": lambda raw: _without_signature(raw),
    "one byte changed": lambda raw: raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1 :],
    "cut": lambda raw: raw[: len(raw) // 2],
    "no bundle": lambda raw: b"package limen\nallow := true\n",
}


def _without_signature(raw: bytes) -> bytes:
    """The same archive with its signature file left out."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(raw)) as old, tarfile.open(fileobj=out, mode="w:gz") as new:
        kept = 0
        for member in old.getmembers():
            if "signature" not in member.name:
                kept += 1
                new.addfile(member, old.extractfile(member))
        assert kept < len(old.getmembers())
    return out.getvalue()


@pytest.mark.parametrize("what", BUNDLES)
def test_a_bundle_that_cannot_be_trusted_is_not_put_in_force(node: Watched, what: str) -> None:
    bend = BUNDLES[what]
    raw = (node.folder / "policy" / "national.tar.gz").read_bytes()
    file = node.file("bundle.tar.gz", bend(raw))
    ran = limen("policy", "activate", file, "--config", str(node.folder))
    assert ran.code in (VERIFICATION, REFUSED)
    refused(ran, ran.code)


def test_another_states_bundle_is_not_put_in_force(node: Watched) -> None:
    file = str(node.states.folder("PAN") / "policy" / "national.tar.gz")
    ran = limen("policy", "activate", file, "--config", str(node.folder))
    refused(ran, VERIFICATION)


def test_a_list_of_members_that_too_few_have_signed_is_not_accepted(node: Watched) -> None:
    unsigned = str(node.place / "members")
    cards = [str(node.states.root / f"{state}-1.card") for state in node.states.nodes.nodes]
    assert limen("-q", "federation", "make", *cards, "--version", "2", "--threshold", "2", "--baseline",
                 str(node.states.nodes.baseline), "-o", unsigned, "--config", str(node.folder)).code == 0  # fmt: skip
    refused(limen("federation", "accept", unsigned, "--config", str(node.folder)), VERIFICATION)


def test_an_older_list_of_members_is_not_accepted(node: Watched) -> None:
    raw = node.states.nodes.members.read_bytes()
    ran = limen("federation", "accept", node.file("members", raw[:-20]), "--config", str(node.folder))
    assert ran.code in (VERIFICATION, REFUSED)
    refused(ran, ran.code)


def test_a_booth_with_an_expired_certificate_is_told_so(node: Watched) -> None:
    booth = node.place / "booth"
    shutil.copytree(node.folder / "booth", booth)
    _expire(node.folder, booth / "client", "booth", "booth-1")
    ran = limen("check", "--booth", str(booth), "--purpose", "SEC.WATCH", "--basis", BASIS, "--case", "SHIFT-1",
                stdin=mrz(node.states.data.traveller("miss").passport))  # fmt: skip
    refused(ran, REFUSED, "client.crt", "not in force", "anchor")


def _expire(folder: Path, pair: Path, role: str, name: str) -> None:
    """The state's own anchor issues the same name again, to a key that is new, for a week that is over."""
    anchor = KeyPair((folder / "anchor" / "anchor.key").read_bytes(), (folder / "tls" / "anchor.crt").read_bytes())
    old = certificates.identity(certificates.der_of(pair.with_suffix(".crt").read_bytes()))
    made = certificates.issue_leaf(anchor, old.state, old.role, old.not_before_ns - 30 * DAY_NS, name=old.name, days=7)
    pair.with_suffix(".crt").write_bytes(made.certificate_pem)
    pair.with_suffix(".key").write_bytes(made.key_pem)


def test_after_all_that_the_node_answers_as_before(states: States) -> None:
    assert states.ask("miss").code == 0 and states.ask("document_wanted").json["outcome"] == "HIT"


SETTINGS = {
    "a key that is none": ("\n[ticks]\nanswer_tick = 10\n", "did you mean"),
    "a value out of range": ("\n[quotas]\nofficer_checks_per_day = 0\n", "officer_checks_per_day"),
    "text that is no TOML": ("\n[ticks\n", "TOML"),
    "a fault point that is none": ('\n[faults]\npoints = ["everything=kill"]\n', "faults.points"),
}


@pytest.fixture(scope="module")
def fresh(states: States) -> Iterator[Path]:
    """A node that was made and never started. Its sockets' paths have to be short."""
    folder = states.root / "fresh"
    assert limen("-q", "init", "--state", "XKX", str(folder), "--agency", "PK").code == 0
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("what", SETTINGS)
def test_a_node_with_settings_it_cannot_use_does_not_start(states: States, fresh: Path, what: str) -> None:
    text, word = SETTINGS[what]
    folder = states.root / "bad"
    shutil.copytree(fresh, folder)
    try:
        with (folder / FILE_NAME).open("a") as file:
            file.write(text)
        before = listing(folder)
        ran = subprocess.run(
            [sys.executable, "-m", "gateway", "serve", "--config", str(folder)],
            cwd=ROOT, capture_output=True, timeout=60, check=False, text=True,
        )  # fmt: skip
        assert ran.returncode != 0 and word in ran.stderr and "Traceback" not in ran.stderr
        assert ran.stdout == ""
        if what != "a fault point that is none":
            # That one is found by the processes; the others before any is started.
            assert ran.returncode == REFUSED and len(ran.stderr.splitlines()) == 1
        assert listing(folder) == before
    finally:
        shutil.rmtree(folder)
