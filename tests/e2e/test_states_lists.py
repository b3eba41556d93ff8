"""Lists by command and at the home door: previews, reports of every row, one record at a time."""

from __future__ import annotations

import asyncio
import csv
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from examples.region.travellers import Passport
from gateway.cli.acts import booth
from gateway.cli.acts.nodes import LISTING_BASIS, Ran, limen
from gateway.disclosure.case import decode
from gateway.errors import GatewayError, InputRefused, Malformed, NotIdentified, PolicyDenied, VerificationFailed
from gateway.federation.statement import PersonalSignature
from gateway.rpc.doors import Became, ListFile, LoadReport, Origin
from gateway.rpc.home import HomeClient
from gateway.terms import Hidden, ListId, PeerId, RequestId
from gateway.watchlist import entry as entries
from tests.support.states import States

AT = "PAN"
DENIED, NOT_FOUND, VERIFICATION, REFUSED = 3, 4, 6, 8
SECRET = "GEHEIMNISS"

DOCUMENT = {
    "entry_id": "DNEW1", "category": "LOST_STOLEN_DOC", "document_no": "PA7300123", "document_issuer": AT,
    "valid_until": "2029-12-31", "originator": AT, "provenance": "NATIONAL", "decision_ref": "J-2026-71",
    "legal_basis": LISTING_BASIS,
}  # fmt: skip
CHILD = {
    "entry_id": "MNEW1", "category": "MISSING_CHILD", "surname": "SOLARI", "given": "INES", "dob": "2015-04-02",
    "sex": "F", "nationality": AT, "valid_until": "2029-12-31", "originator": AT, "provenance": "NATIONAL",
    "decision_ref": "J-2026-72", "legal_basis": LISTING_BASIS,
}  # fmt: skip


def rows(*records: dict[str, str]) -> bytes:
    columns = sorted({name for record in records for name in record})
    lines = [",".join(columns), *(",".join(record.get(name, "") for name in columns) for record in records)]
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture(autouse=True)
def as_before(states: States) -> Iterator[None]:
    before = held(states)
    yield
    for list_id in ListId:
        for entry_id in sorted(held(states)[list_id].keys() - before[list_id].keys()):
            assert states.nodes.withdraw(AT, list_id, entry_id, "J-2026-99").code == 0
    assert held(states) == before


def held(states: States) -> dict[ListId, dict[str, bytes]]:
    """Live entries."""
    with states.reading(AT) as reader:
        return {list_id: {entries.decode(body).entry_id: body for body in reader.all(list_id)} for list_id in ListId}


def acts(states: States, start: int) -> list[tuple[object, object]]:
    return [(leaf.public["act"], leaf.public["basis"]) for leaf in states.leaves(AT, start, "list.entry")]


def load(states: States, file: Path, *more: str) -> Ran:
    signatures = states.nodes.signed(AT, ListId.DOCUMENTS, file.read_bytes(), "delta")
    return limen("--json", "watchlist", "load", str(file), "--list", "DOCUMENTS", "--basis", LISTING_BASIS,
                 "--config", str(states.folder(AT)), *signatures, *more)  # fmt: skip


def test_a_preview_changes_nothing_and_the_same_file_twice_changes_nothing(states: States, tmp_path: Path) -> None:
    file, told = tmp_path / "rows.csv", tmp_path / "report.csv"
    file.write_bytes(
        rows(
            DOCUMENT,
            {**DOCUMENT, "entry_id": "DNEW2", "contact": SECRET},
            {**DOCUMENT, "entry_id": "DNEW3", "document_no": "PA7300125", "valid_until": "2020-01-01"},
            {**DOCUMENT, "entry_id": "DNEW4", "document_no": "PA7300126", "document_issuer": "HND"},
        )
    )
    want = [
        {"line": 2, "refused": False, "code": "", "column": "", "became": "added"},
        {"line": 3, "refused": True, "code": "CONTACT", "column": "contact", "became": "refused"},
        {"line": 4, "refused": False, "code": "EXPIRED", "column": "valid_until", "became": "added"},
        {"line": 5, "refused": True, "code": "NOT_ISSUER", "column": "document_issuer", "became": "refused"},
    ]
    before, size = held(states), states.size(AT)
    preview = load(states, file, "--preview", "--report", str(told))
    assert preview.code == 0 and preview.json["preview"] and preview.json["added"] == 2
    assert preview.json["rows"] == want
    assert held(states) == before and states.leaves(AT, size, "list.loaded") == []

    first = load(states, file, "--report", str(told))
    assert (first.json["added"], first.json["nothing_changed"]) == (2, False)
    assert first.json["rows"] == want
    with told.open(newline="") as lines:
        assert [row["became"] for row in csv.DictReader(lines)] == ["added", "refused", "added", "refused"]
    assert acts(states, size) == [("enter", LISTING_BASIS)] * 2

    after = states.size(AT)
    again = load(states, file)
    assert again.json["nothing_changed"] and again.json["unchanged"] == 2
    assert [row["became"] for row in again.json["rows"]] == ["unchanged", "refused", "unchanged", "refused"]
    assert states.leaves(AT, after, "list.loaded") == []
    for ran in (preview, first, again):
        assert SECRET not in ran.out + ran.err and "PA73" not in ran.out + ran.err
    assert SECRET not in told.read_text()


def test_people_are_told_that_nothing_changed(states: States, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(rows(DOCUMENT))
    assert load(states, file).code == 0
    signatures = states.nodes.signed(AT, ListId.DOCUMENTS, file.read_bytes(), "delta")
    ran = limen("watchlist", "load", str(file), "--list", "DOCUMENTS", "--basis", LISTING_BASIS, "--config",
                str(states.folder(AT)), *signatures)  # fmt: skip
    assert ran.out.splitlines() == ["DOCUMENTS: nothing changed; 1 as before", "  line 2: unchanged"]


def test_a_file_that_is_no_signature_is_named_and_none_is_overwritten(states: States, tmp_path: Path) -> None:
    file, wrong, out = tmp_path / "rows.csv", tmp_path / "wrong.sig", tmp_path / "made.sig"
    file.write_bytes(rows(DOCUMENT))
    wrong.write_bytes(rows(CHILD))
    common = ("--list", "DOCUMENTS", "--basis", LISTING_BASIS, "--config", str(states.folder(AT)))
    ran = limen("watchlist", "load", str(file), *common, "--signature", str(wrong))
    assert ran.code == 8
    assert ran.err == f"limen: {wrong}: is no personal signature (`limen ... sign` or `--sign` writes one)\n"

    key = ("--key", str(states.nodes[AT].officers["list-1"]), "--passphrase-file", str(states.nodes.passphrase_file))
    assert limen("watchlist", "sign", str(file), *common, *key, "-o", str(out)).code == 0
    made = out.read_bytes()
    again = limen("watchlist", "sign", str(file), *common, *key, "-o", str(out))
    assert again.code == 2 and f"{out} is there already" in again.err and out.read_bytes() == made


def test_a_preview_says_what_would_be_taken(states: States, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(rows(DOCUMENT, {**CHILD, "entry_id": "MBAD1"}))
    ran = limen("watchlist", "load", str(file), "--list", "DOCUMENTS", "--basis", LISTING_BASIS, "--preview",
                "--config", str(states.folder(AT)))  # fmt: skip
    assert ran.code == 0 and ran.err.endswith("rows would be refused; the others would be taken\n"), ran.err


def test_one_record_is_entered_and_withdrawn_by_two_persons(states: States) -> None:
    size = states.size(AT)
    for list_id, record in ((ListId.DOCUMENTS, DOCUMENT), (ListId.PERSONS, CHILD)):
        ran = states.nodes.add(AT, list_id, json.dumps(record).encode())
        assert ran.code == 0, ran.err
        assert (ran.json["added"], ran.json["rows"][0]["became"]) == (1, "added")
        assert record["entry_id"] in held(states)[list_id]
        ran = states.nodes.withdraw(AT, list_id, record["entry_id"], "J-2026-73")
        assert (ran.code, ran.json) == (0, {"list": list_id.value, "withdrawn": 1, "immediate": True})
        assert record["entry_id"] not in held(states)[list_id]
        assert states.nodes.withdraw(AT, list_id, record["entry_id"], "J-2026-73").code == NOT_FOUND
    assert [act for act, _ in acts(states, size)] == ["enter", "withdraw"] * 2
    with states.reading(AT) as reader:
        leaves = b"".join(reader.leaves(size, reader.size()))
    assert [word for word in (b"DNEW1", b"MNEW1", b"SOLARI", b"PA7300123") if word in leaves] == []


def test_a_record_that_two_persons_did_not_sign_is_not_entered(states: States) -> None:
    before = held(states)
    record = json.dumps(DOCUMENT).encode()
    command = ("watchlist", "add", "DOCUMENTS", "--basis", LISTING_BASIS, "--config", str(states.folder(AT)))
    signatures = states.nodes.signed(AT, ListId.DOCUMENTS, record, "delta")
    assert limen(*command, stdin=record).code == DENIED
    assert limen(*command, *signatures[:2], stdin=record).code == DENIED
    assert limen(*command, *signatures[:2] * 2, stdin=record).code == VERIFICATION
    other = json.dumps({**DOCUMENT, "document_no": "PA7300129"}).encode()
    assert limen(*command, *signatures, stdin=other).code == VERIFICATION
    taken_off = ("watchlist", "withdraw", "DOCUMENTS", "DPAN0000", "--decision", "J-1", *command[3:])
    assert limen(*taken_off, *signatures).code == VERIFICATION
    two = json.dumps([DOCUMENT, {**DOCUMENT, "entry_id": "DNEW2"}]).encode()
    assert limen(*command, *signatures, stdin=two).code == REFUSED
    ran = limen(*command, *signatures, stdin=json.dumps({**DOCUMENT, "document_issuer": SECRET}).encode())
    assert ran.code == REFUSED and "document_issuer" in ran.err and SECRET not in ran.err
    assert held(states) == before


def versions(states: States, state: str) -> dict[str, int]:
    """The tables that a state holds of ours, by group."""
    with states.reading(state) as reader:
        return {copy.group: copy.version for copy in reader.copies() if copy.other == AT}


def asked(states: States, state: str, number: str) -> list[str]:
    """What a check of one of our documents finds there, by kind."""
    paper = Passport("SOLARI", "MARTA", number, AT, AT, "1984-02-03", "F", "2029-12-31")
    ran = states.scan(state, paper, purpose="DOC.STATUS")
    assert ran.code == 0 and ran.json["complete"], (ran.out, ran.err)
    return [hit["kind"] for hit in ran.json["hits"] if hit["owner"] == AT]


def test_a_document_reported_stolen_is_found_elsewhere_without_waiting_for_the_tick(states: States) -> None:
    for attempt in range(5):
        states.settled()
        number, entry_id = f"PA73002{attempt:02}", f"DNOW{attempt}"
        assert asked(states, "HND", number) == []
        before = versions(states, "HND")
        record = {**DOCUMENT, "entry_id": entry_id, "document_no": number}
        told = states.nodes.add(AT, ListId.DOCUMENTS, json.dumps(record).encode())
        assert told.code == 0 and told.json["immediate"], (told.out, told.err)
        first = asked(states, "HND", number)
        withdrawn = states.nodes.withdraw(AT, ListId.DOCUMENTS, entry_id, "J-2026-76")
        assert withdrawn.code == 0 and withdrawn.json["immediate"]
        second = asked(states, "HND", number)
        assert (first, second) == (["LOST_STOLEN"], [])
        # A tick that came between would prove nothing: then once more.
        if versions(states, "HND") == before:
            break
    else:
        raise AssertionError("a tick came between each time")
    with states.reading("HND") as reader:
        (held,) = [copy for copy in reader.copies() if (copy.other, copy.group) == (AT, "DOCUMENT")]
        received = reader.delta_copies(PeerId(AT), ListId.DOCUMENTS, "DOCUMENT", held.epoch, 0)
    assert len(received) >= 2 and len({len(message.body) for _, message in received}) == 1
    # The next tables have it in them, and what was found behind the old one is found in them no more and no less.
    states.settled()
    assert asked(states, "HND", number) == []


def test_the_hit_of_a_delta_opens_a_case(states: States) -> None:
    states.settled()
    states.nodes.staff("HND", AT)
    record = {**DOCUMENT, "entry_id": "DCASE", "document_no": "PA7300300"}
    assert states.nodes.add(AT, ListId.DOCUMENTS, json.dumps(record).encode()).code == 0
    states.login("HND")
    paper = Passport("SOLARI", "MARTA", "PA7300300", AT, AT, "1984-02-03", "F", "2029-12-31")
    (hit,) = states.scan("HND", paper, purpose="DOC.STATUS").json["hits"]
    assert states.nodes.case("HND", "protection-1", "screen", hit["case"], "--code", "CLEAR").code == 0
    assert states.nodes.case("HND", "desk-1", "confirm", hit["case"]).code == 0
    assert states.nodes.case("HND", "desk-1", "request", hit["case"]).code == 0
    states.until(lambda: bool(states.nodes.cases(AT, "desk-1")), "the owner has the case")
    assert states.nodes.case("HND", "desk-1", "withdraw", hit["case"]).code == 0


def test_a_field_that_was_disclosed_wrong_is_corrected_at_who_was_given_it(states: States, tmp_path: Path) -> None:
    states.settled()
    states.nodes.staff("HND", AT)
    record = {**DOCUMENT, "entry_id": "DWRONG", "document_no": "PA7300400", "contact": "1"}
    assert states.nodes.add(AT, ListId.DOCUMENTS, json.dumps(record).encode()).code == 0
    states.login("HND")
    paper = Passport("SOLARI", "MARTA", "PA7300400", AT, AT, "1984-02-03", "F", "2029-12-31")
    (hit,) = states.scan("HND", paper, purpose="DOC.STATUS").json["hits"]
    number = hit["case"]

    def act(state: str, who: str, verb: str, *more: str) -> None:
        ran = states.nodes.case(state, who, verb, number, *more)
        assert ran.code == 0, (verb, ran.out, ran.err)

    def state_of(state: str) -> str:
        with states.reading(state) as reader:
            body = reader.case(bytes.fromhex(number.removeprefix("case_")))
        return decode(body).state.value if body is not None else ""

    def wait(state: str, wanted: str) -> None:
        states.until(lambda: state_of(state) == wanted, f"{state} has the case {wanted}")

    act("HND", "protection-1", "screen", "--code", "CLEAR")
    act("HND", "desk-1", "confirm")
    act("HND", "desk-1", "request")
    wait(AT, "UNDER_REVIEW")
    act(AT, "desk-1", "prepare")
    act(AT, "approver-1", "approve")
    wait("HND", "GRANTED")
    assert states.nodes.case("HND", "desk-1", "show", number).json["disclosed"]["contact"] == ["1"]
    wait(AT, "DELIVERED")
    early = states.nodes.case(AT, "desk-1", "correct", number)
    assert early.code == REFUSED, (early.out, early.err)

    assert states.nodes.add(AT, ListId.DOCUMENTS, json.dumps({**record, "contact": "7"}).encode()).json["changed"] == 1
    assert "correct" in states.nodes.case(AT, "desk-1", "show", number).json["acts"]
    act(AT, "desk-1", "correct")
    alone = states.nodes.case(AT, "desk-1", "approve", number)
    assert alone.code == DENIED and "second_person" in alone.err
    act(AT, "approver-1", "approve")
    wait("HND", "CORRECTED")
    shown = states.nodes.case("HND", "desk-1", "show", number).json
    assert shown["disclosed"]["contact"] == ["7"] and shown["history"][-1]["event"] == "CORRECT"
    assert number in {one["case"] for one in states.nodes.cases("HND", "desk-1", "--due")}
    act("HND", "desk-1", "outcome", "--code", "DOCUMENT_ONLY")
    wait(AT, "CLOSED")
    assert states.audit(AT, tmp_path / "audit").code == 0


def test_a_wanted_person_leaves_on_the_tick(states: States) -> None:
    record = {**CHILD, "entry_id": "WNEW1", "category": "WANTED_ARREST", "dob": "1979-03-04"}
    ran = states.nodes.add(AT, ListId.PERSONS, json.dumps(record).encode())
    assert ran.code == 0 and not ran.json["immediate"]


def sent(
    states: States,
    file: bytes,
    *,
    signed: bytes | None = None,
    persons: int = 2,
    token: bool = True,
    form: str = "csv",
    list_id: ListId = ListId.DOCUMENTS,
    provenance: tuple[str, ...] = (),
    preview: str = "",
    mode: str = "delta",
) -> LoadReport:
    """A file at the home door; `preview` is who asks for one."""
    paths = states.nodes.signed(AT, list_id, file if signed is None else signed, mode)[1::2]
    signatures = tuple(PersonalSignature.decode(Path(path).read_bytes()) for path in paths[:persons])
    origin = Origin("", provenance, "", LISTING_BASIS)
    number, snapshot = RequestId(secrets.token_bytes(16)), mode == "snapshot"
    asked = ListFile(number, list_id, form, snapshot, origin, Hidden(file), signatures, bool(preview))

    async def ask() -> LoadReport:
        place = booth.read(states.nodes[AT].booth)
        async with HomeClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem) as client:
            return await client.load(asked, place.token() if token else None)

    if not preview:
        states.login(AT)
        return asyncio.run(ask())
    states.logged_in.pop(AT, None)
    assert states.nodes.login(AT, preview).code == 0
    return asyncio.run(ask())


def test_a_home_system_loads_a_list_over_the_home_door(states: States) -> None:
    file = rows(DOCUMENT, {**DOCUMENT, "entry_id": "DNEW2", "category": "WANTED_ARREST"})
    size = states.size(AT)
    report = sent(states, file)
    assert (report.added, report.unchanged, report.immediate) == (1, 0, True)
    assert [(row.line, row.became) for row in report.rows] == [(2, Became.ADDED), (3, Became.REFUSED)]
    assert "DNEW1" in held(states)[ListId.DOCUMENTS]
    assert len(states.leaves(AT, size, "list.entry")) == 1
    again = sent(states, file)
    assert (again.added, again.unchanged) == (0, 1)
    assert len(states.leaves(AT, size, "list.entry")) == 1


def test_a_preview_at_the_home_door_says_what_the_command_s_says_and_writes_nothing(states: States) -> None:
    assert load(states, write(states, rows(DOCUMENT))).code == 0
    before, size = held(states), states.size(AT)
    file = rows({**DOCUMENT, "contact": "3"}, {**DOCUMENT, "entry_id": "DNEW3", "document_no": "PA7300127"})
    for mode in ("delta", "snapshot"):
        signatures = states.nodes.signed(AT, ListId.DOCUMENTS, file, mode)
        command = limen("--json", "watchlist", "load", str(write(states, file)), "--list", "DOCUMENTS", "--basis",
                        LISTING_BASIS, "--mode", mode, "--preview", "--config", str(states.folder(AT)),
                        *signatures).json  # fmt: skip
        told = sent(states, file, persons=0, preview="list-1", mode=mode)
        assert told.preview and not told.immediate
        assert (told.added, told.changed) == (1, 1)
        assert {name: getattr(told, name) for name in ("added", "changed", "withdrawn", "unchanged")}.items() <= (
            command.items()
        )
        assert [{**asdict(row), "became": row.became.value} for row in told.rows] == command["rows"]
        assert told.withdrawn == (len(before[ListId.DOCUMENTS]) - 1 if mode == "snapshot" else 0)
    assert held(states) == before
    assert states.leaves(AT, size, "list.loaded") == states.leaves(AT, size, "list.entry") == []
    # Whoever may not sign a change is not told what is on the list, and a preview that somebody signed is no preview.
    with pytest.raises(PolicyDenied):
        sent(states, file, persons=0, preview="booth-1")
    with pytest.raises(Malformed):
        sent(states, file, persons=2, preview="list-1")


def write(states: States, data: bytes) -> Path:
    path = states.root / "rows.csv"
    path.write_bytes(data)
    return path


def test_what_a_file_would_have_found_is_told_as_a_band_to_who_signs_for_a_case(states: States, tmp_path: Path) -> None:
    file, traffic = tmp_path / "rows.csv", tmp_path / "past.csv"
    file.write_bytes(rows(DOCUMENT, {**DOCUMENT, "entry_id": "DNEW2", "contact": SECRET}))
    traffic.write_text("surname,given_names,document_number,issuer\nSOLARI,MARTA,PA7300123,PAN\nVERA,LUZ,X1,PAN\n")
    before, size = held(states), states.size(AT)
    key = ("--key", str(states.nodes[AT].officers["list-1"]), "--passphrase-file", str(states.nodes.passphrase_file))
    command = ("--json", "watchlist", "impact", str(file), "--list", "DOCUMENTS", "--traffic", str(traffic), "--basis",
               LISTING_BASIS, "--config", str(states.folder(AT)))  # fmt: skip
    ran = limen(*command, "--case", "CASE-9", *key)
    assert ran.code == 0, ran.err
    assert ran.json == {"list": "DOCUMENTS", "entries": 1, "refused_rows": 1, "travellers": 2, "low": 0, "high": 9}
    assert SECRET not in ran.out + ran.err and "PA73" not in ran.out + ran.err
    assert limen(*command, "--case", "", *key).code == DENIED
    assert limen(*command, "--case", "CASE-9", "--role", "supervisor", *key).code == DENIED
    booth_1 = ("--key", str(states.nodes[AT].officers["booth-1"]), *key[2:])
    assert limen(*command, "--case", "CASE-9", *booth_1).code == DENIED
    assert held(states) == before
    assert [leaf.kind for leaf in states.leaves(AT, size) if leaf.kind.startswith("list.")] == [
        "list.impact", "list.denied", "list.denied",
    ]  # fmt: skip


REFUSALS: dict[str, tuple[dict[str, object], type[GatewayError]]] = {
    "nobody is logged in": ({"token": False}, NotIdentified),
    "one person": ({"persons": 1}, PolicyDenied),
    "signatures over another file": ({"signed": b"x"}, VerificationFailed),
    "a format without a reader": ({"form": "xlsx"}, InputRefused),
    "two labels for one row's source": ({"provenance": ("NATIONAL", "SIS")}, InputRefused),
}


@pytest.mark.parametrize("how", REFUSALS)
def test_a_file_at_the_home_door_is_refused_when(how: str, states: States) -> None:
    before = held(states)
    changes, error = REFUSALS[how]
    with pytest.raises(error):
        sent(states, rows(DOCUMENT), **changes)  # type: ignore[arg-type]
    assert held(states) == before
