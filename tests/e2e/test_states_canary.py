"""Planted names, numbers and dates, and everywhere they must not be found (R3, first form)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from gateway_adapters.traveller import from_zone

from examples.region import events
from examples.region.generate import COLUMNS
from examples.region.travellers import Entry, Passport
from gateway.audit import seal
from gateway.cli.acts.nodes import Ran, limen
from gateway.disclosure.case import decode
from gateway.errors import Malformed, VerificationFailed
from gateway.keyring import process
from gateway.keyring.process import KeyringConfig
from gateway.primitives.group import scalar_of
from gateway.pseudonym import matchkeys, oprf, schedule
from gateway.rpc.convert import peers as convert
from gateway.store.tables import TableFiles
from gateway.terms import KeyType, ListId, PeerId, Role
from gateway.terms.ids import PurposeGroup
from tests.support import written
from tests.support.states import States, replaced

EXPIRY = "2031-05-06"

LISTED = Passport("QVARNESTHILDE", "OBRUMIANA", "XQ7K4M9Z2", "VEN", "VEN", "1969-02-11", "F", EXPIRY)
"""On Panama's list, and asked about by Honduras."""
ALIAS = "JORVENTILDA ZWENDROFIA"
STOLEN = Passport("WYRMAKULIEN", "TADRESSIMO", "XQ3W8N5T1", "PAN", "PAN", "1972-10-23", "M", EXPIRY)
"""With a document that Panama reported stolen."""
MISSED = Passport("TREVOLKINDA", "USMERALDE", "XB6R2Y8H4", "COL", "COL", "1971-09-04", "F", EXPIRY)
"""On nobody's list."""
GUARDED = Passport("HOLVERGANTE", "IXTAMURELIA", "XD5P1V6C9", "UTO", "UTO", "1974-12-17", "F", EXPIRY)
"""Guarded towards Utopia, on nobody's list."""
BROKEN = Passport("KLEVUNDSTARI", "YPHERMADOL", "XF8J3G7L5", "COL", "COL", "1966-07-28", "M", EXPIRY)
"""In inputs that are refused."""

DECISION, ENTRY = "PAN-2026-774499", "WPAN774499"

ASKED_BECAUSE = "zulquhmer saw the wrenkorbid scar"
"""Reasons of Honduras's officer, for Panama's desk alone."""
REFUSED_BECAUSE = "our vexilmordan source would be known"
"""Reasons of Panama's officer, for nobody abroad."""
REASONS = ("zulquhmer", "wrenkorbid", "vexilmordan")

COUNTED = ("ZYLKOMVANDER7", "QEVNTHARDUL88", "HALVERSKINDIG")
"""One person's reference, an event's number and a note, in the events that Panama's statistics are made from."""

Words = Sequence[str]


def words(passport: Passport) -> Words:
    """What stands for the person: names, number, birth."""
    given = passport.given_names
    return (passport.surname, given, passport.document_number, passport.birth, passport.birth.replace("-", ""))


def folded(word: str) -> set[bytes]:
    """The ways a word could lie in bytes, for a search in bytes that were brought to lower case."""
    raw = word.lower().encode()
    wide = {word.lower().encode("utf-16-le"), word.lower().encode("utf-16-be")}
    return {raw, *wide, raw.hex().encode(), word.upper().encode().hex().encode(), word.title().encode().hex().encode()}


def exact(word: str) -> set[bytes]:
    """As base64, where case counts: what does not depend on the neighbours, at each of three places."""
    found = set()
    for spelled in {word.upper(), word.lower(), word.title()}:
        raw = spelled.encode()
        for shift in range(3):
            text = base64.b64encode(bytes(shift) + raw)
            inner = text[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]
            found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


@dataclass
class Haystack:
    """Bytes by where they were found."""

    places: dict[str, bytes] = field(default_factory=dict)

    def add(self, place: str, data: bytes) -> None:
        """One more."""
        self.places[place] = data

    def files(self, folder: Path, *, apart_from: Iterable[str] = ()) -> None:
        """Every file below a folder, but for those under some names."""
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and not {*name.parts} & {*apart_from}:
                self.places[f"{folder.name}/{name}"] = path.read_bytes()

    def find(self, *all_words: str) -> list[tuple[str, str]]:
        """(place, word) for everything that stands where it must not."""
        found = []
        for place, data in self.places.items():
            low = data.lower()
            for word in all_words:
                if any(form in low for form in folded(word)) or any(form in data for form in exact(word)):
                    found.append((place, word))
        return found


@dataclass
class Run:
    """What was left behind by everything that the canaries went through."""

    states: States
    answers: list[Ran]
    refused: list[Ran]
    wire: list[bytes]


def rows(*entries: Entry) -> bytes:
    """A list's file."""
    table = [",".join(COLUMNS), *(",".join(getattr(entry, column) for column in COLUMNS) for entry in entries)]
    return ("\n".join(table) + "\n").encode()


def entry(category: str, of: Passport, entry_id: str, **more: str) -> Entry:
    """An entry of Panama's."""
    return Entry(
        entry_id=entry_id,
        owner="PAN",
        category=category,
        document_no=of.document_number,
        document_issuer=of.issuer,
        valid_until="2028-03-31",
        originator="PAN",
        provenance="PAN-NATIONAL",
        decision_ref=DECISION,
        legal_basis="national immigration act",
        **more,
    )


@pytest.fixture(scope="module")
def run(states: States, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Load, publish, ask at every kind of end, refuse, and record all of it."""
    wanted = entry("WANTED_ARREST", LISTED, ENTRY, surname=LISTED.surname, given=LISTED.given_names, aliases=ALIAS,
                   dob=LISTED.birth, sex="F", nationality="VEN")  # fmt: skip
    assert states.load("PAN", ListId.PERSONS, rows(wanted)).json["added"] == 1
    assert states.load("PAN", ListId.DOCUMENTS, rows(entry("LOST_STOLEN_DOC", STOLEN, "DPAN774499"))).json["added"] == 1
    states.settled()
    answers = [
        states.scan("HND", LISTED),
        states.scan("HND", STOLEN, purpose="DOC.STATUS"),
        states.scan("HND", MISSED),
        states.scan("HND", GUARDED, "--protection"),
    ]
    assert [len(ran.json["hits"]) for ran in answers] == [1, 1, 0, 0], [ran.out for ran in answers]
    with states.unreachable("PAN"):
        down = states.scan("HND", LISTED)
        assert down.code == 5
    states.whole("HND")
    answers.append(down)
    answers += _followed(states, str(answers[0].json["hits"][0]["case"]))
    answers += _released(states, tmp_path_factory.mktemp("events"))
    refused = list(_refused(states, tmp_path_factory.mktemp("refused")))
    assert all(ran.code != 0 for ran in refused)
    with replaced(states, "PAN", asked_by="HND") as glass:
        for passport, flags in ((LISTED, ()), (MISSED, ()), (GUARDED, ("--protection",))):
            before = len(glass.seen())
            assert states.scan("HND", passport, *flags).code == 0
            assert len(glass.seen()) > before
        wire = [bytes.fromhex(one[part]) for one in glass.seen() for part in ("body", "header", "signature")]
    return Run(states, answers, refused, wire)


def _followed(states: States, number: str) -> list[Ran]:
    """One case of the listed one to its disclosure and outcome, a second to its refusal; what everybody but the reader
    of the disclosure was told."""
    nodes = states.nodes
    nodes.staff("PAN", "HND")
    told: list[Ran] = []

    def did(state: str, name: str, verb: str, case: str, *more: str, said: str = "") -> None:
        told.append(nodes.case(state, name, verb, case, *more, words=said))
        assert told[-1].code == 0, told[-1].err

    again = str(states.scan("HND", LISTED).json["hits"][0]["case"])
    for case in (number, again):
        did("HND", "desk-1", "confirm", case, "--measure", "M1", said=ASKED_BECAUSE)
        did("HND", "desk-1", "request", case, said=ASKED_BECAUSE)
        states.until(lambda case=case: bool(case_at(states, "PAN", case)), f"{case} is open at PAN")  # type: ignore[misc]
        # The reasons are shown to Panama's desk: so they did cross.
        assert ASKED_BECAUSE in nodes.case("PAN", "desk-1", "show", case).out
    did("PAN", "desk-1", "prepare", number)
    told.append(nodes.case("PAN", "desk-1", "approve", number))
    assert told[-1].code == 3
    did("PAN", "approver-1", "approve", number)
    did("PAN", "desk-1", "refuse", again, "--code", "R02", said=REFUSED_BECAUSE)
    for case, wanted in ((number, "GRANTED"), (again, "REFUSED")):
        states.until(lambda c=case, w=wanted: case_at(states, "HND", c) == w, f"{case} is {wanted}")  # type: ignore[misc]
    read = nodes.case("HND", "desk-1", "show", number)
    assert LISTED.surname in read.out and LISTED.document_number in read.out
    told.append(nodes.case("HND", "desk-2", "show", number))
    did("HND", "desk-1", "outcome", number, "--code", "SAME_PERSON")
    return told


def _released(states: States, folder: Path) -> list[Ran]:
    """Events of the counted one, and a table and a refusal made from them, read by Honduras and at home."""
    nodes = states.nodes
    nodes.statisticians("PAN")
    nodes.enrol("HND", "analyst-1", (Role.ANALYST_NATIONAL,))
    person, event, noted = COUNTED
    lines = ["event_id,person_ref,event_date,route,nationality,protection,note",
             *(f"{event}-{number},{person},2026-03-{number + 1:02},RIVER,VEN,ASYLUM_SEEKER,{noted}"
               for number in range(3)),
             *(f"E{number},P{number},2026-03-04,COAST,COL,," for number in range(40))]  # fmt: skip
    for name, text in (
        ("events.csv", "\n".join(lines) + "\n"),
        ("events.yaml", events.MAP),
        ("dataset.yaml", events.declaration("PAN", shares={"HND": 520_000})),
    ):
        (folder / name).write_text(text)
    loaded = nodes.load_events("PAN", folder / "events.csv", folder / "events.yaml", folder / "dataset.yaml")
    assert (loaded.code, loaded.json["refused"]) == (0, 0), loaded.err
    query = ("--dataset", "PAN-crossings", "--period", "2026-03", "--by")
    told = [loaded, nodes.release("HND", "analyst-1", "plan", *query, "route,nationality", source="PAN")]
    asked = nodes.release("HND", "analyst-1", "request", *query, "route,nationality", source="PAN")
    told.append(asked)
    assert asked.code == 0, asked.err
    reference = asked.json["reference"]
    for state, source in (("HND", "PAN"), ("PAN", "")):
        if not source:
            told.append(nodes.release(state, "analyst-1", "request", *query, "route,nationality"))
        told.append(nodes.release(state, "analyst-1", "get", reference, "--wait", "60", source=source))
        assert told[-1].code == 0 and len(told[-1].json["cells"]) == 30, told[-1].err
    told.append(nodes.release("HND", "analyst-1", "request", *query, "route", source="PAN"))
    assert told[-1].code == 7, told[-1].err
    told += [nodes.release("PAN", "analyst-1", verb) for verb in ("list", "budget")]
    return told


def case_at(states: States, state: str, number: str) -> str:
    """Where a case stands, by the state's own store."""
    with states.reading(state) as reader:
        body = reader.case(bytes.fromhex(number.removeprefix("case_")))
    return "" if body is None else decode(body).state.value


def _refused(states: States, folder: Path) -> Iterator[Ran]:
    """Inputs about the broken one that are refused, each in its own way."""
    good, bad = BROKEN.mrz()
    check = ("--purpose", "SEC.WATCH")
    booth = str(states.nodes["HND"].booth)
    for lines in (
        f"{good}\n{bad[:-1]}7",
        f"{good}\n{bad[:20]}",
        f"{good}\n{bad[:13]}99{bad[15:]}",
        f'{{"surname": "{BROKEN.surname}", "birth_date": "{BROKEN.birth}x"}}',
        f'{{"surname": "{BROKEN.surname}", "{BROKEN.given_names}": "{BROKEN.document_number}"}}',
        f"surname: {BROKEN.surname}\n{BROKEN.document_number}\n",
    ):
        yield states.nodes.check("HND", check[1], lines.encode())
    yield limen("check", "--booth", booth, "--purpose", "READ.IDENT", "--basis", "bilateral agreement", "--case", "S-1",
                stdin=f"{good}\n{bad}".encode())  # fmt: skip
    row = entry(
        "WANTED_ARREST", BROKEN, "WPAN774400", surname=BROKEN.surname, given=BROKEN.given_names, dob="1966-13-41"
    )
    file = folder / "rows.csv"
    file.write_bytes(rows(row))
    yield limen("watchlist", "load", str(file), "--list", "PERSONS", "--basis", "national immigration act", "--config",
                str(states.folder("PAN")))  # fmt: skip


def test_the_search_finds_what_is_there(run: Run) -> None:
    """Panama's own list holds the entry: the needles are right."""
    own = Haystack()
    own.files(run.states.folder("PAN") / "store")
    for word in (LISTED.surname, LISTED.document_number, STOLEN.document_number):
        assert own.find(word), word
    sample = Haystack({"a": b"..", "b": base64.b64encode(b"xy" + LISTED.surname.lower().encode() + b"z")})
    assert sample.find(LISTED.surname) == [("b", LISTED.surname)]
    assert Haystack({"c": LISTED.birth.encode("utf-16-le").hex().encode()}).find(LISTED.birth) == []
    assert Haystack({"d": LISTED.birth.encode().hex().encode()}).find(LISTED.birth) != []
    assert Haystack({"e": LISTED.surname.title().encode("utf-16-le")}).find(LISTED.surname) != []
    assert Haystack({"f": LISTED.surname.encode().hex().upper().encode()}).find(LISTED.surname) != []


def test_whom_honduras_asked_about_is_nowhere(run: Run) -> None:
    """Neither abroad nor at home: what the home log holds is sealed."""
    everywhere = Haystack()
    for state in ("HND", "UTO"):
        everywhere.files(run.states.folder(state))
    # Panama's database holds its own entries; but not these.
    everywhere.files(run.states.folder("PAN"))
    assert len(everywhere.places) > 60
    assert everywhere.find(*words(MISSED), *words(GUARDED)) == []


def test_what_people_wrote_is_nowhere_in_clear(run: Run) -> None:
    """Nor where it was written: in the log it is sealed, in a case it is sealed to its readers."""
    everywhere = Haystack()
    for state in run.states.nodes.nodes:
        everywhere.files(run.states.folder(state))
    assert everywhere.find(*REASONS) == []


def test_whom_a_statistic_counts_is_nowhere(run: Run) -> None:
    """Of an event stay month, route, nationality, protection status and a keyed hash, at home as abroad."""
    everywhere = Haystack()
    for state in run.states.nodes.nodes:
        everywhere.files(run.states.folder(state))
    assert any(place.startswith("PAN/events/") and b"VEN" in data for place, data in everywhere.places.items())
    assert everywhere.find(*COUNTED) == []
    abroad = {place: data for place, data in everywhere.places.items() if not place.startswith("PAN/")}
    kept = next(data for place, data in everywhere.places.items() if place.startswith("PAN/events/") and b"VEN" in data)
    hashes = {row.split(b",")[0] for row in kept.splitlines()[1:]}
    assert len(hashes) == 41
    assert [place for place, data in abroad.items() if any(one in data for one in hashes if len(one) > 8)] == []


def derived(states: States, passport: Passport) -> set[bytes]:
    """What can be made from a traveller with every key of the owners': match keys, hashes, points, outputs, tags."""
    seen = from_zone(list(passport.mrz()), date(2026, 11, 2), 1)
    inputs = [key.input.open() for key in matchkeys.for_asking(seen.person, seen.documents, frozenset(KeyType))]
    assert len(inputs) >= 3
    made = {*inputs, *oprf.blind(inputs, [scalar_of(1)] * len(inputs))}
    for one in inputs:
        made |= {hashlib.sha256(one).digest(), hashlib.sha512(one).digest()}
    for owner in ("PAN", "UTO"):
        settings = states.nodes[owner].settings
        files = TableFiles(settings.paths.tables, lambda message: convert.manifest(message.body))
        signed = files.current(PeerId("HND"), ListId.PERSONS, PurposeGroup("WATCH"))
        assert signed is not None
        operations = process.load(KeyringConfig(settings.state, settings.paths.keys, Path("/nowhere")))
        for y in operations.derive(signed.manifest.scope, inputs):
            made |= {y, schedule.tag(y), schedule.label_row(y, signed.manifest.version)[0]}
    return made


def test_whether_honduras_asked_cannot_be_told_from_its_disk(run: Run) -> None:
    """Not even by somebody who guesses the traveller and has the owners' help (T11)."""
    disk = Haystack()
    disk.files(run.states.folder("HND"))

    def found(passport: Passport) -> list[str]:
        made = derived(run.states, passport)
        return [place for place, data in disk.places.items() if any(one in data for one in made)]

    assert found(MISSED) == []
    # The search is right: of somebody whom Panama lists the tags stand in the table that it gave to Honduras.
    listed = found(LISTED)
    assert listed and all(place.startswith("HND/copies/PAN/") for place in listed)


def _secrets(states: States, state: str) -> list[bytes]:
    """Every secret in the node's own folder of keys: its own, and the seeds of epochs."""
    root = states.nodes[state].settings.paths.keys
    return [bytes.fromhex(path.read_text().split("secret: ")[1].strip()) for path in sorted(root.rglob("*.key"))]


def test_nor_with_every_key_that_is_on_the_node(run: Run) -> None:
    """A stolen node whole: no keyed hash of a guessed traveller, whatever key it was made with (T11)."""
    guessed = derived(run.states, MISSED)
    for state in ("HND", "PAN"):
        folder, secrets = run.states.folder(state), _secrets(run.states, state)
        assert len(secrets) > 6
        keyed: set[bytes] = set()
        for one in guessed:
            for secret in secrets:
                for digest in (hmac.digest(secret, one, "sha256"), hmac.digest(secret, one, "sha512"),
                               hashlib.blake2b(one, key=secret, digest_size=32).digest()):  # fmt: skip
                    # As long as a token or a handle, and as text.
                    keyed |= {digest[:8], digest[:8].hex().encode()}

        def found(folder: Path = folder, keyed: set[bytes] = keyed) -> list[str]:
            disk = Haystack()
            disk.files(folder, apart_from=("handover", "booth", "anchor"))
            return [place for place, data in disk.places.items() if any(one in data for one in keyed)]

        assert found() == []
        # And would be found: somewhere among other bytes, in one file of them all.
        planted = folder / "store" / "planted"
        planted.write_bytes(bytes(1000) + sorted(keyed)[0] + bytes(1000))
        assert found() == [f"{state}/store/planted"]
        planted.unlink()


def test_what_is_sealed_opens_for_its_readers_and_for_no_key_of_the_node(run: Run) -> None:
    states = run.states
    asked = [leaf for leaf in states.leaves("HND", kind="check.ask") if leaf.sealed]
    payloads = {leaf.seq: states.payload("HND", leaf.seq) for leaf in asked}
    seen = from_zone(list(MISSED.mrz()), date(2026, 11, 2), 1)
    wanted = {key.input.open() for key in matchkeys.for_asking(seen.person, seen.documents, frozenset(KeyType))}

    def told(secret: bytes) -> bool:
        reader = seal.Opener(secret)
        for leaf in asked:
            try:
                opened = reader.open(payloads[leaf.seq])
            except (VerificationFailed, Malformed):
                continue
            if any(one in opened.secret for one in wanted):
                return True
        return False

    for state in ("HND", "PAN"):
        assert not any(told(secret) for secret in _secrets(states, state))
    # The auditor's key, which is not on the node, says who was asked about: so it was there to be found.
    handed = (states.folder("HND") / "handover" / "auditor.key").read_text()
    assert told(bytes.fromhex(handed.split("secret: ")[1].strip()))


def test_what_was_called_in_all_this_is_in_the_logs(run: Run) -> None:
    """The closed table of what is written where, against the logs of a real run: of each call at least one kind."""
    called = {
        "PAN": [
            *(f"WatchlistService/{name}" for name in ("Check",)),
            *(f"CaseService/{name}" for name in ("OpenCase", "CloseCase")),
            *(f"StatisticsService/{name}" for name in ("PlanRelease", "RequestRelease", "GetRelease")),
            *(f"HomeCaseService/{name}" for name in ("GetCase", "ActOnCase")),
            *(f"HomeStatisticsService/{name}" for name in ("RequestOwnRelease", "GetOwnRelease", "GetBudget")),
        ],
        "HND": [
            *(f"HomeService/{name}" for name in ("Login", "CheckTravellers")),
            *(f"HomeStatisticsService/{name}" for name in ("PlanOwnRelease", "RequestOwnRelease", "GetOwnRelease")),
            "CaseService/DeliverDecision",
        ],
    }
    for state, methods in called.items():
        logged = {leaf.kind for leaf in run.states.leaves(state)}
        for method in methods:
            row = {**written.PEERS, **written.HOME}[method]
            assert logged & set(row), (state, method)
        for timer in ("writer._checkpoints", "node._watch"):
            assert logged & set(written.TIMERS[timer]), (state, timer)
        for name in ("writer", "jobs"):
            assert logged & set(written.PROCESSES[name]), (state, name)


def test_whom_panama_lists_is_nowhere_abroad(run: Run) -> None:
    abroad = Haystack()
    for state in ("HND", "UTO"):
        abroad.files(run.states.folder(state))
    # At home it stands in the database of the list and nowhere else.
    abroad.files(run.states.folder("PAN"), apart_from=("store",))
    listed = (*words(LISTED), *ALIAS.split(), STOLEN.document_number, DECISION, ENTRY)
    assert abroad.find(*listed) == []


def test_nothing_passes_between_gateways(run: Run) -> None:
    passed = Haystack()
    for state, proxy in run.states.proxies.items():
        for number, capture in enumerate(proxy.captures):
            passed.add(f"{state} {number} up", bytes(capture.up))
            passed.add(f"{state} {number} down", bytes(capture.down))
    assert sum(map(len, passed.places.values())) > 100_000
    # And beneath the encryption: the exact bytes of bodies and headers as the owner reads them.
    for number, data in enumerate(run.wire):
        passed.add(f"wire {number}", data)
    assert len(run.wire) >= 9
    everyone = [word for who in (LISTED, STOLEN, MISSED, GUARDED, BROKEN) for word in words(who)]
    assert passed.find(*everyone, *ALIAS.split(), *REASONS, *COUNTED, DECISION, ENTRY) == []


def test_metrics_answers_and_errors_name_nobody(run: Run) -> None:
    said = Haystack()
    for state in run.states.nodes.nodes:
        said.add(f"{state} metrics", run.states.metrics(state))
    for number, ran in enumerate(run.answers):
        said.add(f"answer {number}", (ran.out + ran.err).encode())
    for number, ran in enumerate(run.refused):
        assert len(ran.err.splitlines()) <= 1, ran.err
        said.add(f"refusal {number}", (ran.out + ran.err).encode())
    everyone = [word for who in (LISTED, STOLEN, MISSED, GUARDED, BROKEN) for word in words(who)]
    assert said.find(*everyone, *ALIAS.split(), *REASONS, *COUNTED, DECISION, ENTRY) == []


def test_exports_hold_nobody(run: Run, tmp_path: Path) -> None:
    exported = Haystack()
    for state in run.states.nodes.nodes:
        exported.files(run.states.export(state, tmp_path / state))
    assert any("payloads" in place for place in exported.places)
    everyone = [word for who in (LISTED, STOLEN, MISSED, GUARDED, BROKEN) for word in words(who)]
    assert exported.find(*everyone, *ALIAS.split(), *REASONS, *COUNTED, DECISION, ENTRY) == []


def test_the_refused_left_nothing_behind(run: Run) -> None:
    left = Haystack()
    for state in run.states.nodes.nodes:
        left.files(run.states.folder(state))
    assert left.find(*words(BROKEN)) == []
