"""What a state's own systems and its gateway say to each other: bytes to terms and back.

Personal data goes into `Hidden` here and is in no error. `gateway.people` judges names, dates and documents; its
refusals are `InputRefused` with the traveller's number, from 1, as the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from gateway.errors import InputRefused, Malformed
from gateway.federation.statement import PersonalSignature
from gateway.flows.check import CheckAnswer, Hit, Inquiry, Traveller
from gateway.people import dates, mrz
from gateway.people.dates import PartialDate, Precision
from gateway.people.names import Name
from gateway.people.person import Document, Person, Sex, document_number
from gateway.ports import PolicyVersions
from gateway.rpc.convert import shape, words
from gateway.rpc.doors import ListFile, LoadReport, NodeStatus, Origin, PeerState, RowReport
from gateway.terms import Hidden, Outcome, PeerId, Purpose, RequestId
from gateway.terms.ids import OfficerId
from gateway.wire.v1 import home_pb2, vocabulary_pb2

CHECK_BYTES_MAX: Final = 2 << 20
FILE_BYTES_MAX: Final = 15 << 20
LOAD_BYTES_MAX: Final = 16 << 20
SMALL_BYTES_MAX: Final = 1_024
ANSWER_BYTES_MAX: Final = 16 << 20
TRAVELLERS_MAX: Final = 1_000
TOKEN_CHARACTERS_MAX: Final = 8_192

GET_LOGIN_CHALLENGE: Final = "/gateway.wire.v1.HomeService/GetLoginChallenge"
LOGIN: Final = "/gateway.wire.v1.HomeService/Login"
CHECK_TRAVELLERS: Final = "/gateway.wire.v1.HomeService/CheckTravellers"
LOAD_LIST: Final = "/gateway.wire.v1.HomeService/LoadList"
GET_STATUS: Final = "/gateway.wire.v1.HomeService/GetStatus"

_PRECISION_OUT = {
    Precision.DAY: vocabulary_pb2.DATE_PRECISION_DAY,
    Precision.MONTH: vocabulary_pb2.DATE_PRECISION_MONTH,
    Precision.YEAR: vocabulary_pb2.DATE_PRECISION_YEAR,
    Precision.RANGE: vocabulary_pb2.DATE_PRECISION_RANGE,
}
_PRECISION_IN = {int(number): word for word, number in _PRECISION_OUT.items()}
_DECLARED = {
    int(vocabulary_pb2.PROTECTION_DECLARATION_NONE): False,
    int(vocabulary_pb2.PROTECTION_DECLARATION_DECLARED): True,
}


# -- Logging in -------------------------------------------------------------------------------------------------------


def encode_challenge_request(officer: OfficerId) -> bytes:
    """The exact body."""
    return home_pb2.GetLoginChallengeRequest(officer=officer).SerializeToString()


def challenge_request(body: bytes) -> OfficerId:
    """Raises Malformed."""
    return _officer(shape.parse(home_pb2.GetLoginChallengeRequest, body, SMALL_BYTES_MAX).officer)


def encode_challenge(challenge: bytes, expires_ns: int) -> bytes:
    """A reply's body."""
    return home_pb2.GetLoginChallengeResponse(challenge=challenge, expires_ns=expires_ns).SerializeToString()


def challenge(body: bytes) -> tuple[bytes, int]:
    """(challenge, its end in UTC ns). Raises Malformed."""
    wire = shape.parse(home_pb2.GetLoginChallengeResponse, body, SMALL_BYTES_MAX)
    return shape.fixed("challenge", wire.challenge, 32), shape.time_ns("expires_ns", wire.expires_ns)


def encode_login(officer: OfficerId, challenge: bytes, signature: bytes) -> bytes:
    """The exact body."""
    return home_pb2.LoginRequest(officer=officer, challenge=challenge, signature=signature).SerializeToString()


def login(body: bytes) -> tuple[OfficerId, bytes, bytes]:
    """(officer, challenge, signature). Raises Malformed."""
    wire = shape.parse(home_pb2.LoginRequest, body, SMALL_BYTES_MAX)
    return (
        _officer(wire.officer),
        shape.fixed("challenge", wire.challenge, 32),
        shape.fixed("signature", wire.signature, 64),
    )


def encode_token(token: str, expires_ns: int) -> bytes:
    """A reply's body."""
    return home_pb2.LoginResponse(token=token, expires_ns=expires_ns).SerializeToString()


def token(body: bytes) -> tuple[str, int]:
    """(token, its end in UTC ns). Raises Malformed."""
    wire = shape.parse(home_pb2.LoginResponse, body, 2 * TOKEN_CHARACTERS_MAX)
    return (
        shape.text("token", wire.token, 1, TOKEN_CHARACTERS_MAX),
        shape.time_ns("expires_ns", wire.expires_ns),
    )


def _officer(text: str) -> OfficerId:
    return OfficerId(shape.text("officer", text, 1, 64))


# -- A check ----------------------------------------------------------------------------------------------------------


def encode_inquiry(inquiry: Inquiry) -> bytes:
    """The exact body; `inquiry.digest` is not in it but made from it."""
    declared = (
        vocabulary_pb2.PROTECTION_DECLARATION_DECLARED
        if inquiry.protection_declared
        else vocabulary_pb2.PROTECTION_DECLARATION_NONE
    )
    return shape.padded(
        home_pb2.CheckTravellersRequest(
            request_id=inquiry.request_id.value,
            purpose=inquiry.purpose,
            legal_basis=inquiry.legal_basis,
            case_reference=inquiry.case_ref,
            justification=inquiry.justification.open(),
            protection=declared,
            candidate_origins=sorted(inquiry.declared_origins),
            reply_key=inquiry.reply_key.open(),
            travellers=[_traveller_out(traveller) for traveller in inquiry.travellers],
            asylum=words.ASYLUM_OUT[inquiry.asylum],
            best_interest_reference=inquiry.best_interest,
            signatures=[signature_out(one) for one in inquiry.signatures],
            flight_ends_ns=inquiry.flight_ends_ns,
            crew=inquiry.crew,
        )
    )


def inquiry(body: bytes, digest: bytes, on: date) -> Inquiry:
    """`digest` is the SHA-512 of the body; `on` the day that decides the century of a zone's birth date.

    Raises:
        Malformed: not a message of this contract.
        InputRefused: a traveller nobody can ask about; the traveller's number, from 1, as the line.
    """
    wire = shape.parse(home_pb2.CheckTravellersRequest, body, CHECK_BYTES_MAX)
    protection = _DECLARED.get(wire.protection)
    if protection is None:
        raise Malformed("protection", "not a word of this contract")
    shape.count("candidate_origins", wire.candidate_origins, 0, 16)
    shape.count("signatures", wire.signatures, 0, 4)
    shape.count("travellers", wire.travellers, 1, TRAVELLERS_MAX)
    return Inquiry(
        request_id=shape.request_id(wire.request_id),
        purpose=Purpose(shape.pattern("purpose", wire.purpose, shape.PURPOSE)),
        legal_basis=shape.text("legal_basis", wire.legal_basis, 1, shape.BASIS_CHARACTERS_MAX),
        case_ref=shape.text("case_reference", wire.case_reference, 1, 128),
        justification=Hidden(_words("justification", wire.justification, 1_024)),
        protection_declared=protection,
        declared_origins=frozenset(_country("candidate_origins", code) for code in wire.candidate_origins),
        reply_key=Hidden(shape.fixed("reply_key", wire.reply_key, 32)),
        travellers=tuple(_traveller(one, number, on) for number, one in enumerate(wire.travellers, 1)),
        digest=shape.fixed("digest", digest, 64),
        asylum=shape.word("asylum", wire.asylum, words.ASYLUM_IN),
        best_interest=_words("best_interest_reference", wire.best_interest_reference, 128),
        signatures=tuple(signature(one) for one in wire.signatures),
        flight_ends_ns=shape.time_ns("flight_ends_ns", wire.flight_ends_ns) if wire.flight_ends_ns else 0,
        crew=wire.crew,
    )


def encode_answer(answer: CheckAnswer) -> bytes:
    """A reply's body."""
    kinds = home_pb2.CheckTravellersResponse
    return shape.padded(
        kinds(
            request_id=answer.request_id.value,
            outcome=words.OUTCOME_OUT[answer.outcome],
            complete=answer.complete,
            unreachable=answer.unreachable,
            refused=[kinds.Refusal(owner=owner, reasons=reasons) for owner, reasons in answer.refused],
            hits=[
                kinds.Hit(
                    reference=hit.reference,
                    owner=hit.owner,
                    match=words.MATCH_OUT[hit.match],
                    kind=words.KIND_OUT[hit.kind],
                    action=words.ACTION_OUT[hit.action],
                    contact=hit.contact,
                    traveller=hit.traveller,
                    screening_required=hit.screening_required,
                    case_id=hit.case_id,
                )
                for hit in answer.hits
            ],
        )
    )


def answer(body: bytes, request_id: RequestId) -> CheckAnswer:
    """The answer to `request_id`.

    Raises:
        Malformed: not one; also where outcome and hits, or completeness and unreachable states, say different things.
    """
    wire = shape.parse(home_pb2.CheckTravellersResponse, body, ANSWER_BYTES_MAX)
    if shape.request_id(wire.request_id) != request_id:
        raise Malformed("request_id", "of another question")
    found = CheckAnswer(
        request_id=request_id,
        hits=tuple(
            Hit(
                reference=shape.text("hits.reference", hit.reference, 1, 64),
                owner=shape.state("hits.owner", hit.owner),
                match=shape.word("hits.match", hit.match, words.MATCH_IN),
                kind=shape.word("hits.kind", hit.kind, words.KIND_IN),
                action=shape.word("hits.action", hit.action, words.ACTION_IN),
                contact=shape.whole("hits.contact", hit.contact, 0, 65_535),
                traveller=shape.whole("hits.traveller", hit.traveller, 0, TRAVELLERS_MAX - 1),
                screening_required=hit.screening_required,
                case_id=shape.fixed("hits.case_id", hit.case_id, 16) if hit.case_id else b"",
            )
            for hit in wire.hits
        ),
        unreachable=shape.states("unreachable", wire.unreachable, 300),
        refused=tuple(
            (
                shape.state("refused.owner", one.owner),
                tuple(shape.pattern("refused.reasons", code, shape.REASON) for code in one.reasons),
            )
            for one in wire.refused
        ),
    )
    said: Outcome = shape.word("outcome", wire.outcome, words.OUTCOME_IN)
    if (said, wire.complete) != (found.outcome, found.complete):
        raise Malformed("outcome", "disagrees with the rest")
    return found


def _traveller_out(traveller: Traveller) -> home_pb2.Traveller:
    wire = home_pb2.Traveller()
    person = traveller.person
    if person is not None:
        wire.names.extend(
            home_pb2.PersonName(surname=name.surname, given_names=name.given_names) for name in person.names.open()
        )
        birth = person.birth.open()
        if birth.precision is not Precision.UNKNOWN:
            wire.birth_date.value = birth.iso or ""
            wire.birth_date.precision = _PRECISION_OUT[birth.precision]
            wire.birth_date.circa = birth.circa
        wire.sex = person.sex.value
        wire.nationalities.extend(person.nationalities)
        wire.birth_country = person.birth_country
        wire.residence_countries.extend(person.residence_countries)
        wire.protection_tags.extend(sorted(words.TAG_OUT[tag] for tag in person.tags))
    wire.documents.extend(
        home_pb2.TravelDocument(
            code=document.code,
            issuer=document.issuer,
            number=document.number.open(),
            expiry=document.expiry,
            nationality=document.nationality,
        )
        for document in traveller.documents
    )
    return wire


def _traveller(wire: home_pb2.Traveller, number: int, on: date) -> Traveller:
    try:
        return _judged(wire, on)
    except InputRefused as refusal:
        raise InputRefused(refusal.why, line=number, field=refusal.field, code=refusal.code) from None


def _judged(wire: home_pb2.Traveller, on: date) -> Traveller:
    for name, values in (
        ("names", wire.names),
        ("nationalities", wire.nationalities),
        ("residence_countries", wire.residence_countries),
        ("documents", wire.documents),
        ("protection_tags", wire.protection_tags),
    ):
        shape.count(name, values, 0, 16 if name == "names" else 8)
    names = [
        Name(_words("names.surname", name.surname, 120), _words("names.given_names", name.given_names, 120))
        for name in wire.names
    ]
    birth = _birth(wire.birth_date) if wire.HasField("birth_date") else dates.UNKNOWN
    nationalities = [_country("nationalities", code) for code in wire.nationalities]
    tags = set(shape.words("protection_tags", wire.protection_tags, words.TAG_IN))
    documents = [_document(document) for document in wire.documents]
    sex = _sex(wire.sex)
    if wire.mrz:
        read = _zone(wire.mrz, on)
        holder = read.person()
        names = [*holder.names.open(), *names]
        birth = holder.birth.open() if birth.precision is Precision.UNKNOWN else birth
        sex = holder.sex if sex is Sex.UNSPECIFIED else sex
        nationalities = [*holder.nationalities, *nationalities]
        tags |= holder.tags
        documents = [read.document(), *documents]
    if not names and not documents:
        raise InputRefused("give a name or a document", code="NO_TRAVELLER")
    about = Person(
        names=Hidden(tuple(names)),
        birth=Hidden(birth),
        sex=sex,
        nationalities=tuple(dict.fromkeys(nationalities)),
        birth_country=_country("birth_country", wire.birth_country) if wire.birth_country else "",
        residence_countries=tuple(_country("residence_countries", code) for code in wire.residence_countries),
        tags=frozenset(tags),
    )
    # Facts about a person count for the guards even where the person has no name to ask with.
    known = names or birth.years or nationalities or about.birth_country or about.residence_countries or tags
    return Traveller(about if known else None, tuple(documents))


def _birth(wire: home_pb2.PartialDate) -> PartialDate:
    precision = shape.word("birth_date.precision", wire.precision, _PRECISION_IN)
    read = dates.parse(_words("birth_date.value", wire.value, 16), circa=wire.circa)
    if read.precision is not precision:
        raise InputRefused("the precision is not the date's", field="birth_date", code="DATE_PRECISION")
    return read


def _document(wire: home_pb2.TravelDocument) -> Document:
    return Document(
        issuer=_words("documents.issuer", wire.issuer, 3),
        number=document_number(_words("documents.number", wire.number, 64)),
        nationality=_country("documents.nationality", wire.nationality) if wire.nationality else "",
        code=shape.pattern("documents.code", wire.code, shape.DOCUMENT_CODE) if wire.code else "",
        expiry=dates.parse(_words("documents.expiry", wire.expiry, 16)).iso or "",
    )


def _zone(text: str, on: date) -> mrz.Reading:
    if len(text) > 256:
        raise Malformed("mrz", "longer than 256 characters")
    zones = mrz.split(text)
    if len(zones) != 1:
        raise InputRefused("more than one machine readable zone", field="mrz", code="ONE")
    read = mrz.parse(zones[0], on)
    if read.faults:
        fault = read.faults[0]
        raise InputRefused(
            f"the zone is misread in its line {fault.line}, column {fault.column}", field="mrz", code=fault.code
        )
    return read


def _sex(text: str) -> Sex:
    try:
        return Sex(text or "X")
    except ValueError:
        raise Malformed("sex", "not F, M or X") from None


def _country(field: str, code: str) -> str:
    return shape.pattern(field, code, shape.COUNTRY)


def _words(field: str, value: str, most: int) -> str:
    return shape.text(field, value, 0, most)


# -- Lists ------------------------------------------------------------------------------------------------------------


def encode_load(load: ListFile) -> bytes:
    """The exact body."""
    return home_pb2.LoadListRequest(
        request_id=load.request_id.value,
        list=words.LIST_OUT[load.list_id],
        format=load.format,
        snapshot=load.snapshot,
        default_origin=vocabulary_pb2.EntryOrigin(
            originator=load.origin.originator,
            provenance=load.origin.provenance,
            decision_reference=load.origin.decision,
            legal_basis=load.origin.legal_basis,
        ),
        file=load.file.open(),
        signatures=[signature_out(one) for one in load.signatures],
        preview=load.preview,
    ).SerializeToString()


def load(body: bytes) -> ListFile:
    """Raises Malformed."""
    wire = shape.parse(home_pb2.LoadListRequest, body, LOAD_BYTES_MAX)
    shape.count("signatures", wire.signatures, *((0, 0) if wire.preview else (1, 4)))
    origin = wire.default_origin
    shape.count("default_origin.provenance", origin.provenance, 0, 8)
    return ListFile(
        request_id=shape.request_id(wire.request_id),
        list_id=shape.word("list", wire.list, words.LIST_IN),
        format=shape.pattern("format", wire.format, shape.FORMAT),
        snapshot=wire.snapshot,
        origin=Origin(
            originator=shape.pattern("default_origin.originator", origin.originator, shape.ORIGINATOR),
            provenance=tuple(shape.text("default_origin.provenance", one, 1, 32) for one in origin.provenance),
            decision=_words("default_origin.decision_reference", origin.decision_reference, 128),
            legal_basis=_words("default_origin.legal_basis", origin.legal_basis, 128),
        ),
        file=Hidden(shape.sized("file", wire.file, 1, FILE_BYTES_MAX)),
        signatures=tuple(signature(one) for one in wire.signatures),
        preview=wire.preview,
    )


def encode_report(report: LoadReport) -> bytes:
    """A reply's body."""
    return home_pb2.LoadListResponse(
        added=report.added,
        withdrawn=report.withdrawn,
        changed=report.changed,
        unchanged=report.unchanged,
        immediate=report.immediate,
        preview=report.preview,
        rows=[
            home_pb2.LoadListResponse.RowReport(
                line=row.line,
                refused=row.refused,
                code=row.code,
                column=row.column,
                became=words.BECAME_OUT[row.became],
            )
            for row in report.rows
        ],
    ).SerializeToString()


def report(body: bytes) -> LoadReport:
    """Raises Malformed."""
    wire = shape.parse(home_pb2.LoadListResponse, body, ANSWER_BYTES_MAX)
    return LoadReport(
        added=wire.added,
        withdrawn=wire.withdrawn,
        changed=wire.changed,
        unchanged=wire.unchanged,
        immediate=wire.immediate,
        preview=wire.preview,
        rows=tuple(
            RowReport(
                line=row.line,
                refused=row.refused,
                code=shape.pattern("rows.code", row.code, shape.REASON) if row.code else "",
                column=_words("rows.column", row.column, 64),
                became=shape.word("rows.became", row.became, words.BECAME_IN),
            )
            for row in wire.rows
        ),
    )


def signature_out(signed: PersonalSignature) -> vocabulary_pb2.PersonalSignature:
    """A personal signature as it travels."""
    return vocabulary_pb2.PersonalSignature(
        key_thumbprint=signed.key_thumbprint,
        role=words.ROLE_OUT[signed.role],
        signed_ns=signed.signed_ns,
        statement=signed.statement,
        signature=signed.signature,
    )


def signature(wire: vocabulary_pb2.PersonalSignature) -> PersonalSignature:
    """Raises Malformed."""
    return PersonalSignature(
        key_thumbprint=shape.fixed("signatures.key_thumbprint", wire.key_thumbprint, 32),
        role=shape.word("signatures.role", wire.role, words.ROLE_IN),
        signed_ns=shape.time_ns("signatures.signed_ns", wire.signed_ns),
        statement=shape.sized("signatures.statement", wire.statement, 1, 4_096),
        signature=shape.fixed("signatures.signature", wire.signature, 64),
    )


# -- Status -----------------------------------------------------------------------------------------------------------


def status_request(body: bytes) -> None:
    """Raises Malformed."""
    shape.parse(home_pb2.GetStatusRequest, body, SMALL_BYTES_MAX)


def encode_status(status: NodeStatus) -> bytes:
    """A reply's body."""
    kinds = home_pb2.GetStatusResponse
    wire = kinds(
        state=status.state,
        release=status.release,
        ready=status.ready,
        time_ns=status.time_ns,
        log_size=status.log_size,
        quorum=status.quorum,
        witnessed_ns=status.witnessed_ns,
        disclosing=status.disclosing,
        peers=[
            kinds.PeerStatus(
                state=peer.state,
                active=peer.active,
                tables=dict(peer.tables),
                compared_ns=peer.compared_ns,
                compared=peer.compared,
            )
            for peer in status.peers
        ],
    )
    if status.policy is not None:
        wire.policy.baseline = status.policy.baseline
        wire.policy.national = status.policy.national
    return wire.SerializeToString()


def status(body: bytes) -> NodeStatus:
    """Raises Malformed."""
    wire = shape.parse(home_pb2.GetStatusResponse, body, 1 << 20)
    policy = None
    if wire.HasField("policy"):
        policy = PolicyVersions(
            baseline=shape.fixed("policy.baseline", wire.policy.baseline, 32),
            national=shape.fixed("policy.national", wire.policy.national, 32),
        )
    return NodeStatus(
        state=shape.state("state", wire.state),
        release=shape.pattern("release", wire.release, shape.RELEASE),
        ready=wire.ready,
        time_ns=shape.time_ns("time_ns", wire.time_ns),
        policy=policy,
        log_size=wire.log_size,
        quorum=wire.quorum,
        witnessed_ns=shape.time_ns("witnessed_ns", wire.witnessed_ns) if wire.quorum else 0,
        disclosing=wire.disclosing,
        peers=_peers(wire.peers),
    )


def _peers(wire: Sequence[home_pb2.GetStatusResponse.PeerStatus]) -> tuple[PeerState, ...]:
    return tuple(
        PeerState(
            state=PeerId(shape.state("peers.state", peer.state)),
            active=peer.active,
            tables={_words("peers.tables", name, 64): version for name, version in sorted(peer.tables.items())},
            compared_ns=shape.time_ns("peers.compared_ns", peer.compared_ns) if peer.compared else 0,
            compared=shape.pattern("peers.compared", peer.compared, shape.REASON) if peer.compared else "",
        )
        for peer in wire
    )
