"""The sandbox's published travellers: what is read at the desk, how it is asked, and what must come out.

All persons are invented; the two first documents are the specimens of ICAO Doc 9303 (Utopia, UTO). docs/sandbox.md has
the same table, and a test asks for every row of it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final

from gateway.terms import ListId

OWNER: Final = "SBX"
"""Holds the lists."""

DESK: Final = "SBY"
"""Asks: a home system is pointed at this node."""

ABSENT: Final = "SBZ"
"""Is a member and never runs."""

ANSWERED: Final = "bilateral agreement"
REFUSED: Final = "sandbox: the owner refuses"
DOWN: Final = "sandbox: an owner is down"

BASES: Final = {
    ANSWERED: f"{OWNER} is asked and answers",
    REFUSED: f"{OWNER} is asked and refuses: it has not signed this basis",
    DOWN: f"{OWNER} answers; {ABSENT} is asked too and cannot be reached",
}
"""Legal bases and what they do: by them a question chooses how the owners behave."""

LISTING_BASIS: Final = "national immigration act"


@dataclass(frozen=True, slots=True)
class Shown:
    """A hit as `limen check --json` shows it, as far as it is fixed."""

    kind: str
    match: str
    action: str
    screening_required: bool = False
    owner: str = OWNER


@dataclass(frozen=True, slots=True)
class Published:
    """One test traveller. `zone` is what a reader sends; `options` stand on the command line beside it."""

    name: str
    story: str
    zone: tuple[str, ...]
    purpose: str
    exit_code: int
    outcome: str
    hits: tuple[Shown, ...] = ()
    basis: str = ANSWERED
    options: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The whole as JSON values."""
        return asdict(self)


TRAVELLERS: Final = (
    Published(
        "specimen",
        "The specimen passport of Doc 9303 part 4, wanted by SBX.",
        ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"),
        "SEC.WATCH",
        0,
        "HIT",
        (Shown("WANTED_ARREST", "DOCUMENT", "WAIT_FOR_OWNER"),),
    ),
    Published(
        "specimen-card",
        "The specimen card of Doc 9303 part 5: the same name and birth, another document. A possible hit.",
        ("I<UTOD231458907<<<<<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<"),
        "SEC.WATCH",
        0,
        "HIT",
        (Shown("WANTED_ARREST", "NAME_AND_YEAR", "WAIT_FOR_OWNER"),),
    ),
    Published(
        "sounds-alike",
        "Listed without a document and in another spelling. A possible hit: the name differs.",
        ("P<UTOCANTARVIL<<PHENDIMARO<<<<<<<<<<<<<<<<<<", "X730000027UTO6810144M3506307<<<<<<<<<<<<<<02"),
        "SEC.WATCH",
        0,
        "HIT",
        (Shown("REFUSE_ENTRY", "NAME_SOUND_AND_DATE", "SECOND_LINE"),),
    ),
    Published(
        "nobody",
        "On nobody's list. Nothing to report, which is never a clearance.",
        ("P<UTOBELUMARO<<TISANDELA<<<<<<<<<<<<<<<<<<<<", "X730000016UTO8406192F3506307<<<<<<<<<<<<<<06"),
        "SEC.WATCH",
        0,
        "NOTHING_TO_REPORT",
    ),
    Published(
        "stolen-passport",
        "A passport that SBX issued and reported stolen. The answer says nothing of its holder.",
        ("P<SBXGOLVESTAR<<ELIMANDO<<<<<<<<<<<<<<<<<<<<", "X730000038SBX7911233M3506307<<<<<<<<<<<<<<08"),
        "DOC.STATUS",
        0,
        "HIT",
        (Shown("LOST_STOLEN", "DOCUMENT", "HOLD_DOCUMENT_SECOND_LINE", True),),
    ),
    Published(
        "own-national",
        "A national of SBX, wanted by SBX, who asks for nothing. A protection officer speaks first.",
        ("P<SBXDRENNOVAR<<UTHELON<<<<<<<<<<<<<<<<<<<<<", "X730000049SBX9012178M3506307<<<<<<<<<<<<<<08"),
        "SEC.WATCH",
        0,
        "HIT",
        (Shown("WANTED_ARREST", "DOCUMENT", "WAIT_FOR_OWNER", True),),
    ),
    Published(
        "protected",
        "The same person asks for protection: nothing goes to the state fled from, and the screen shows a miss.",
        ("P<SBXDRENNOVAR<<UTHELON<<<<<<<<<<<<<<<<<<<<<", "X730000049SBX9012178M3506307<<<<<<<<<<<<<<08"),
        "SEC.WATCH",
        0,
        "NOTHING_TO_REPORT",
        options=("--protection",),
    ),
    Published(
        "missing-child",
        "A missing child of SBX's list. Do not detain; call, and the desk answers within an hour.",
        ("P<UTOZOLDENIR<<PALDINETTA<<<<<<<<<<<<<<<<<<<", "X730000050UTO1905065F3506307<<<<<<<<<<<<<<06"),
        "MISS.CHILD",
        0,
        "HIT",
        (Shown("MISSING_CHILD", "DOCUMENT", "DO_NOT_DETAIN_CALL_OWNER"),),
    ),
    Published(
        "child",
        "The same child asked about under another purpose: nothing about a child leaves.",
        ("P<UTOZOLDENIR<<PALDINETTA<<<<<<<<<<<<<<<<<<<", "X730000050UTO1905065F3506307<<<<<<<<<<<<<<06"),
        "SEC.WATCH",
        0,
        "NOTHING_TO_REPORT",
    ),
    Published(
        "not-offered",
        "A purpose that no agreement offers: refused aloud, before any message.",
        ("P<UTOBELUMARO<<TISANDELA<<<<<<<<<<<<<<<<<<<<", "X730000016UTO8406192F3506307<<<<<<<<<<<<<<06"),
        "VISA.CONSULT",
        3,
        "",
    ),
    Published(
        "peer-refuses",
        "The owner's own rules refuse what ours permit.",
        ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"),
        "SEC.WATCH",
        3,
        "",
        basis=REFUSED,
    ),
    Published(
        "peer-down",
        "An owner cannot be reached: incomplete, and nothing may be read into that.",
        ("P<UTOBELUMARO<<TISANDELA<<<<<<<<<<<<<<<<<<<<", "X730000016UTO8406192F3506307<<<<<<<<<<<<<<06"),
        "SEC.WATCH",
        5,
        "NOTHING_TO_REPORT",
        basis=DOWN,
        unreachable=(ABSENT,),
    ),
    Published(
        "hit-and-peer-down",
        "A hit, while another owner cannot be reached: the hit counts, and the answer is incomplete.",
        ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"),
        "SEC.WATCH",
        5,
        "HIT",
        (Shown("WANTED_ARREST", "DOCUMENT", "WAIT_FOR_OWNER"),),
        basis=DOWN,
        unreachable=(ABSENT,),
    ),
)


@dataclass(frozen=True, slots=True)
class Followed:
    """What SBX's desk does with a request about one of its entries, by itself and within seconds.

    `ends` is the case's state at the asker; `fields` are released, all that were asked for where there are none.
    """

    traveller: str
    ends: str
    code: str = ""
    fields: tuple[str, ...] = ()
    by: str = "desk-1"


CASES: Final = {
    "SBX-1": Followed("specimen", "GRANTED"),
    "SBX-2": Followed("sounds-alike", "REFUSED", code="R06"),
    "SBX-4": Followed("missing-child", "GRANTED", by="child-1"),
    "SBX-5": Followed("stolen-passport", "PARTLY_GRANTED", fields=("status",)),
}
"""By entry. About any other nobody answers."""


def lists(today: date) -> dict[ListId, bytes]:
    """SBX's two lists as files, good for as long as a sandbox is."""
    until = (today + timedelta(days=400)).isoformat()
    persons = [
        _row("SBX-1", "WANTED_ARREST", until, surname="ERIKSSON", given="ANNA MARIA", dob="1974-08-12", sex="F",
             nationality="UTO", document_no="L898902C3", document_issuer="UTO"),
        _row("SBX-2", "REFUSE_ENTRY", until, surname="KANTARVIL", given="FENDIMARO", dob="1968-10-14", sex="M",
             nationality="UTO"),
        _row("SBX-3", "WANTED_ARREST", until, surname="DRENNOVAR", given="UTHELON", dob="1990-12-17", sex="M",
             nationality="SBX", document_no="X73000004", document_issuer="SBX"),
        _row("SBX-4", "MISSING_CHILD", until, surname="ZOLDENIR", given="PALDINETTA", dob="2019-05-06", sex="F",
             nationality="UTO", document_no="X73000005", document_issuer="UTO"),
    ]  # fmt: skip
    documents = [_row("SBX-5", "LOST_STOLEN_DOC", until, document_no="X73000003", document_issuer="SBX")]
    return {ListId.PERSONS: _csv(persons), ListId.DOCUMENTS: _csv(documents)}


def _row(entry_id: str, category: str, until: str, **cells: str) -> dict[str, str]:
    return {
        "entry_id": entry_id,
        "owner": OWNER,
        "category": category,
        "valid_until": until,
        "handling": "APPROVAL",
        "originator": OWNER,
        "provenance": "SBX-NATIONAL",
        "decision_ref": f"SBX-2026-{entry_id[4:]:0>6}",
        "legal_basis": LISTING_BASIS,
        **cells,
    }


def _csv(rows: Sequence[Mapping[str, str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")
