"""The demo's travellers, each with the entries they meet and what the gateway must say. All of them are invented.

A traveller is given as the fields that `limen check` takes and as the two lines of a passport's machine readable
zone (Doc 9303 part 4, TD3). What is expected holds for one asking state, and is the demo's and the tests' yardstick.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

STATES: Final = ("HND", "PAN", "UTO")
"""The members of the small region. UTO is the State of Utopia of Doc 9303's specimens; here, a state that some
travellers fled from."""

ALL_STATES: Final = (*STATES, "GTM", "MEX")
"""The members of the whole region."""

_TD3_COLUMNS: Final = 44
_NAMES_COLUMNS: Final = 39


def check_digit(text: str) -> str:
    """Doc 9303 part 3, 4.9: weights 7, 3, 1; A to Z count 10 to 35 and the filler 0."""
    return str(sum((7, 3, 1)[place % 3] * _worth(letter) for place, letter in enumerate(text)) % 10)


def _worth(letter: str) -> int:
    return 0 if letter == "<" else int(letter, 36)


@dataclass(frozen=True, slots=True)
class Passport:
    """What a booth reads. `birth` and `expiry` are ISO 8601 days; `birth` may be a year alone."""

    surname: str
    given_names: str
    document_number: str
    issuer: str
    nationality: str
    birth: str
    sex: str
    expiry: str
    code: str = "P"
    birth_country: str = ""

    def fields(self) -> dict[str, str]:
        """The fields as `limen check` takes them on stdin (`gateway_adapters.traveller`)."""
        shown = {
            "surname": self.surname,
            "given_names": self.given_names,
            "birth_date": self.birth,
            "sex": self.sex,
            "nationality": self.nationality,
            "document_number": self.document_number,
            "issuer": self.issuer,
        }
        return shown | ({"birth_country": self.birth_country} if self.birth_country else {})

    def mrz(self) -> tuple[str, str]:
        """The two lines, 44 columns each, with right check digits."""
        names = f"{self.surname}<<{self.given_names}".replace(" ", "<")
        first = f"{self.code:<<2}{self.issuer:<<3}{names[:_NAMES_COLUMNS]:<<39}"
        number = f"{self.document_number:<<9}"
        birth = f"{self.birth.replace('-', '')[2:]:<<6}"
        expiry = self.expiry.replace("-", "")[2:]
        optional = "<" * 14
        number, birth, expiry, optional = (part + check_digit(part) for part in (number, birth, expiry, optional))
        composite = check_digit(number + birth + expiry + optional)
        second = f"{number}{self.nationality:<<3}{birth}{self.sex or '<'}{expiry}{optional}{composite}"
        assert len(first) == len(second) == _TD3_COLUMNS
        return first, second


@dataclass(frozen=True, slots=True)
class ExpectedHit:
    """One hit the officer must be shown. `kind` is a `RecordKind` and `match` a `MatchClass`, by name."""

    owner: str
    entry_id: str
    kind: str
    match: str
    screening_required: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What `limen check` must say, as its JSON has it, and what must not show.

    `guarded` are the owners whose leg runs as a cover leg (T4): the home auditor's business, and nobody else's.
    `unreachable` holds when the demo has stopped those peers; `refused` are reason codes when all owners are refused.
    """

    outcome: str
    exit_code: int = 0
    complete: bool = True
    hits: tuple[ExpectedHit, ...] = ()
    guarded: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traveller:
    """One step of the demo: who stands at whose booth, what is asked, and what must come out.

    `recovered` is what the same question must say once the stopped peer is back.
    """

    name: str
    story: str
    asked_by: str
    purpose: str
    passport: Passport
    expected: Expected
    protection_declared: bool = False
    recovered: Expected | None = None

    def document(self) -> dict[str, Any]:
        """The whole as JSON values."""
        shown = {key: value for key, value in asdict(self).items() if key != "passport"}
        return {**shown, "fields": self.passport.fields(), "mrz": list(self.passport.mrz())}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a list, every value as it stands in the file. COLUMNS of `generate` is the order."""

    entry_id: str
    owner: str
    category: str
    surname: str = ""
    given: str = ""
    aliases: str = ""
    dob: str = ""
    sex: str = ""
    nationality: str = ""
    document_no: str = ""
    document_issuer: str = ""
    valid_until: str = ""
    handling: str = "APPROVAL"
    originator: str = ""
    provenance: str = ""
    decision_ref: str = ""
    legal_basis: str = ""
    protection: str = ""
    birth_country: str = ""


LEGAL_BASIS: Final = "national immigration act"
"""On what an entry rests; a starter mandate names it for both lists (`policy.agreement`)."""


@dataclass(frozen=True, slots=True)
class Planted:
    """The fixed travellers and the entries they meet, by owner; persons first, then documents."""

    travellers: tuple[Traveller, ...]
    persons: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    documents: dict[str, tuple[Entry, ...]] = field(default_factory=dict)


BIRTHS: Final = frozenset(
    {
        "1984-06-19",
        "1979-11-23",
        "1991-02-27",
        "1968-10-14",
        "1973-04-29",
        "1987-09-08",
        "1990-12-17",
        "1975-07-21",
        "1983-03-26",
        "1988-01-30",
        "1971-08-13",
        "1994-05-06",
        "1977-12-09",
        "1969-03-08",
        "1986-11-19",
    }
)
"""Birth dates of the fixed travellers. No other entry has one of them, so that no chance hit disturbs the demo."""

TOKENS: Final = frozenset(
    {
        "BELUMARO",
        "TISANDELA",
        "GOLVESTAR",
        "ELIMANDO",
        "OSTERVAL",
        "NERUNDA",
        "VARGULEN",
        "TAMORESTO",
        "KRUVELDAN",
        "FILOMARDO",
        "CRUVELDAN",
        "PHILOMARDO",
        "SOLMIRAND",
        "AVELUNDA",
        "VORTHESKIN",
        "NYSSARIMA",
        "DRENNOVAR",
        "UTHELON",
        "CASTUREL",
        "IRMELANDO",
        "LETHANDRAK",
        "SARNULA",
        "ZOLDENIR",
        "PALDINETTA",
        "QUERIMOND",
        "TOLVANDRO",
        "ILSABRENT",
        "MERODIANA",
        "CANTARVIL",
        "KANTARVIL",
        "OLSIMANDA",
        "KORVALESH",
        "CORVALESH",
        "FENDIMARO",
        "PHENDIMARO",
        "TALVENDRIS",
        "ORMILANDO",
    }
)
"""Tokens of their names, which no other entry bears either."""


def plant(now: datetime, *, whole: bool = False) -> Planted:
    """The fixed travellers and their entries, with dates that suit `now`; `whole` adds those who meet the lists of
    Guatemala and Mexico."""
    today = now.date()
    later = (today + timedelta(days=900)).isoformat()

    def passport(surname: str, given: str, number: str, issuer: str, birth: str, sex: str, **more: str) -> Passport:
        values: dict[str, str] = {"nationality": issuer, "expiry": later, **more}
        return Passport(
            surname=surname, given_names=given, document_number=number, issuer=issuer, birth=birth, sex=sex, **values
        )

    child_born = date(today.year - 9, 5, 6).isoformat()
    travellers = (
        Traveller(
            "miss",
            "A traveller on nobody's list. The owners learn that a padded question was asked, and nothing else.",
            "HND",
            "SEC.WATCH",
            passport("BELUMARO", "TISANDELA", "X20418365", "COL", "1984-06-19", "F"),
            Expected("NOTHING_TO_REPORT"),
        ),
        Traveller(
            "document_lost",
            "A passport that Panama, which issued it, reported stolen. The answer says nothing of its holder.",
            "HND",
            "DOC.STATUS",
            passport("GOLVESTAR", "ELIMANDO", "X73300528", "PAN", "1979-11-23", "M"),
            Expected("HIT", hits=(ExpectedHit("PAN", "DPAN000000", "LOST_STOLEN", "DOCUMENT", True),)),
        ),
        Traveller(
            "document_wanted",
            "Wanted in Panama under another name; the document is the same.",
            "HND",
            "SEC.WATCH",
            passport("OSTERVAL", "NERUNDA", "X51190742", "COL", "1991-02-27", "F"),
            Expected("HIT", hits=(ExpectedHit("PAN", "WPAN000000", "WANTED_ARREST", "DOCUMENT"),)),
        ),
        Traveller(
            "name_and_date",
            "No document in the entry and another spelling: two names that sound alike, and the full date of birth.",
            "PAN",
            "SEC.WATCH",
            passport("CRUVELDAN", "PHILOMARDO", "X68027714", "VEN", "1968-10-14", "M"),
            Expected("HIT", hits=(ExpectedHit("HND", "WHND000000", "REFUSE_ENTRY", "NAME_SOUND_AND_DATE"),)),
        ),
        Traveller(
            "name_and_year",
            "The entry knows a year of birth only; the name is spelled the same.",
            "HND",
            "SEC.WATCH",
            passport("SOLMIRAND", "AVELUNDA", "X44871203", "ECU", "1973-04-29", "F"),
            Expected("HIT", hits=(ExpectedHit("PAN", "WPAN000001", "REFUSE_ENTRY", "NAME_AND_YEAR"),)),
        ),
        Traveller(
            "protected",
            "A national of Utopia who asks for protection at the booth, and whom Utopia has on its list. Utopia is "
            "asked an ordinary question about nobody; the officer sees nothing to report.",
            "HND",
            "SEC.WATCH",
            passport("VORTHESKIN", "NYSSARIMA", "X90335176", "UTO", "1987-09-08", "F"),
            Expected("NOTHING_TO_REPORT", guarded=("UTO",)),
            protection_declared=True,
        ),
        Traveller(
            "undeclared",
            "A national of Utopia on Utopia's list who asks for nothing. The hit shows; no case opens before a "
            "protection officer has spoken with the person.",
            "HND",
            "SEC.WATCH",
            passport("DRENNOVAR", "UTHELON", "X33762081", "UTO", "1990-12-17", "M"),
            Expected("HIT", hits=(ExpectedHit("UTO", "WUTO000001", "WANTED_ARREST", "DOCUMENT", True),)),
        ),
        Traveller(
            "peer_down",
            "Wanted in Panama, asked while Panama's gateway is stopped: incomplete, never nothing.",
            "HND",
            "SEC.WATCH",
            passport("CASTUREL", "IRMELANDO", "X82946350", "NIC", "1975-07-21", "M"),
            Expected("NOTHING_TO_REPORT", exit_code=5, complete=False, unreachable=("PAN",)),
            recovered=Expected("HIT", hits=(ExpectedHit("PAN", "WPAN000002", "WANTED_ARREST", "DOCUMENT"),)),
        ),
        Traveller(
            "refugee",
            "A refugee with a travel document of Honduras (XXB), on the list of the state fled from. The document "
            "alone guards: nothing about the person goes to any state but the document's issuer.",
            "PAN",
            "SEC.WATCH",
            passport(
                "LETHANDRAK",
                "SARNULA",
                "X17083492",
                "HND",
                "1983-03-26",
                "F",
                nationality="XXB",
                code="PR",
                birth_country="UTO",
            ),
            Expected("NOTHING_TO_REPORT", guarded=("UTO",)),
        ),
        Traveller(
            "child",
            "A child of nine. Nothing about a child is asked under this purpose, wherever the entry stands.",
            "HND",
            "SEC.WATCH",
            passport("ZOLDENIR", "PALDINETTA", "X60219457", "VEN", child_born, "F"),
            Expected("NOTHING_TO_REPORT", guarded=("PAN", "UTO")),
        ),
        Traveller(
            "child_missing",
            "The same child, asked about as a missing one: Panama looks for her. Do not detain; call.",
            "HND",
            "MISS.CHILD",
            passport("ZOLDENIR", "PALDINETTA", "X60219457", "VEN", child_born, "F"),
            Expected("HIT", hits=(ExpectedHit("PAN", "WPAN000004", "MISSING_CHILD", "DOCUMENT"),)),
        ),
        Traveller(
            "expired",
            "On Panama's list until yesterday. An entry past its date never answers.",
            "HND",
            "SEC.WATCH",
            passport("QUERIMOND", "TOLVANDRO", "X29650818", "GTM", "1971-08-13", "M"),
            Expected("NOTHING_TO_REPORT"),
        ),
        Traveller(
            "refused",
            "An ordinary traveller, asked about for a visa: the rules refuse the purpose aloud, before any message.",
            "HND",
            "VISA.CONSULT",
            passport("ILSABRENT", "MERODIANA", "X55104927", "SLV", "1977-12-09", "F"),
            Expected("", exit_code=3, refused=("purpose_not_offered",)),
        ),
    )
    further = (
        Traveller(
            "missing_child",
            "A child of whom Mexico's list knows a year only, and a name written otherwise. For a missing child "
            "alone the sound of two names and a year are enough; the officer is told not to detain.",
            "HND",
            "MISS.CHILD",
            passport("CANTARVIL", "OLSIMANDA", "X47719036", "NIC", str(today.year - 11), "F"),
            Expected("HIT", hits=(ExpectedHit("MEX", "WMEX000000", "MISSING_CHILD", "NAME_SOUND_AND_YEAR"),)),
        ),
        Traveller(
            "sounds_alike",
            "On Mexico's list without a document and in another spelling: possible, the name differs, and two persons "
            "of Mexico's desk must agree before anything more is told.",
            "PAN",
            "SEC.WATCH",
            passport("KORVALESH", "FENDIMARO", "X58840217", "COL", "1969-03-08", "M"),
            Expected("HIT", hits=(ExpectedHit("MEX", "WMEX000001", "REFUSE_ENTRY", "NAME_SOUND_AND_DATE"),)),
        ),
        Traveller(
            "wanted_in_guatemala",
            "Wanted in Guatemala, with the listed document.",
            "PAN",
            "SEC.WATCH",
            passport("TALVENDRIS", "ORMILANDO", "X66102958", "SLV", "1986-11-19", "M"),
            Expected("HIT", hits=(ExpectedHit("GTM", "WGTM000000", "WANTED_ARREST", "DOCUMENT"),)),
        ),
    )
    at = {traveller.name: traveller.passport for traveller in (*travellers, *further)}
    yesterday = (today - timedelta(days=1)).isoformat()
    persons = {
        "PAN": (
            _entry(
                "WPAN000000",
                "WANTED_ARREST",
                at["document_wanted"],
                today,
                later,
                surname="VARGULEN",
                given="TAMORESTO",
                dob="1988-01-30",
            ),
            _entry(
                "WPAN000001",
                "REFUSE_ENTRY",
                at["name_and_year"],
                today,
                later,
                dob="1973",
                document_no="",
                document_issuer="",
            ),
            _entry("WPAN000002", "WANTED_ARREST", at["peer_down"], today, later, handling="FOUR_EYES"),
            _entry("WPAN000003", "WANTED_ARREST", at["expired"], today, yesterday),
            _entry("WPAN000004", "MISSING_CHILD", at["child"], today, later, handling="FOUR_EYES"),
        ),
        "HND": (
            _entry(
                "WHND000000",
                "REFUSE_ENTRY",
                at["name_and_date"],
                today,
                later,
                surname="KRUVELDAN",
                given="FILOMARDO",
                document_no="",
                document_issuer="",
            ),
        ),
        "MEX": (
            _entry(
                "WMEX000000",
                "MISSING_CHILD",
                at["missing_child"],
                today,
                later,
                surname="KANTARVIL",
                dob=f"{today.year - 11}-01-01",
                document_no="",
                document_issuer="",
                handling="FOUR_EYES",
            ),
            _entry(
                "WMEX000001",
                "REFUSE_ENTRY",
                at["sounds_alike"],
                today,
                later,
                surname="CORVALESH",
                given="PHENDIMARO",
                document_no="",
                document_issuer="",
                handling="FOUR_EYES",
            ),
        ),
        "GTM": (_entry("WGTM000000", "WANTED_ARREST", at["wanted_in_guatemala"], today, later),),
        "UTO": (
            _entry("WUTO000000", "WANTED_ARREST", at["protected"], today, later, aliases="NYSSARIMA VORTHESKIN"),
            _entry("WUTO000001", "WANTED_ARREST", at["undeclared"], today, later),
            _entry("WUTO000002", "WANTED_ARREST", at["refugee"], today, later, nationality="UTO", birth_country="UTO"),
        ),
    }
    documents = {
        "PAN": (_document("DPAN000000", at["document_lost"], today, later),),
        "HND": (),
        "GTM": (),
        "MEX": (),
        # A state takes the papers of those who leave it: the same guard holds for DOC.STATUS.
        "UTO": (_document("DUTO000000", at["protected"], today, later),),
    }
    return Planted((*travellers, *(further if whole else ())), persons, documents)


def decision_ref(owner: str, year: int, number: int) -> str:
    """The reference of the act by which an entry was made; invented."""
    return f"{owner}-{year}-{number:06d}"


def _entry(entry_id: str, category: str, of: Passport, today: date, valid_until: str, **other: str) -> Entry:
    owner = entry_id[1:4]
    values: dict[str, str] = {
        "surname": of.surname,
        "given": of.given_names,
        "dob": of.birth,
        "sex": of.sex,
        "nationality": of.nationality,
        "document_no": of.document_number,
        "document_issuer": of.issuer,
        "handling": "APPROVAL",
        **other,
    }
    return Entry(
        entry_id,
        owner,
        category,
        valid_until=valid_until,
        originator=owner,
        provenance=f"{owner}-NATIONAL",
        decision_ref=decision_ref(owner, today.year - 1, int(entry_id[4:])),
        legal_basis=LEGAL_BASIS,
        **values,
    )


def _document(entry_id: str, of: Passport, today: date, valid_until: str) -> Entry:
    owner = entry_id[1:4]
    return Entry(
        entry_id,
        owner,
        "LOST_STOLEN_DOC",
        document_no=of.document_number,
        document_issuer=owner,
        valid_until=valid_until,
        originator=owner,
        provenance=f"{owner}-NATIONAL",
        decision_ref=decision_ref(owner, today.year - 1, 900_000 + int(entry_id[4:])),
        legal_basis=LEGAL_BASIS,
    )
