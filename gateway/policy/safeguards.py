"""Every safeguard of every row of the purpose catalogue as data: what must be known, and be so, for a yes.

The rules (`policies/limen/baseline/purposes`) read this table. A condition is about one fact of the question; a fact
that is missing or of another type is a no. That a safeguard has its rule does not say that the product gives
the rule its facts: no flow asks these rules yet, and the purposes that are offered (`catalogue.OFFERED`) hold their
safeguards in flows and floors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.policy.purposes import PURPOSES

TIME_NS: Final = 1_700_000_000 * 10**9
"""The time of the samples, and of the golden decisions."""

NUMBER_MAX: Final = 2**63 - 1
"""The upper bound of every number: in Rego's order a text is more than all of them."""

OPERATIONS: Final = ("status", "hit", "disclose", "verify", "notify", "aggregate")

ROLE_ONLY: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {"DOC.STATUS": {"carrier.iapi": ("status",)}}
"""Roles that a row lists for some of its operations only."""


class Form(StrEnum):
    """How a fact is held against a value. Lists of texts, texts, whole numbers, true and false; nothing else."""

    IS = "is"
    AT_MOST = "at_most"
    AT_LEAST = "at_least"
    ONE_OF = "one_of"
    NOT_ONE_OF = "not_one_of"
    ALL_IN = "all_in"
    NONE_IN = "none_in"
    TEXT = "text"
    AFTER_NOW = "after_now"
    OPERATION_IN = "operation_in"


class DependsOn(StrEnum):
    """Whether a no is by the request, and spoken, or by the person or the record, and withheld (T4)."""

    REQUEST = "request"
    PERSON = "person"


Value = bool | int | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One fact, how it is judged, and against what. `fact` is empty where the question itself is judged."""

    fact: str
    form: Form
    value: Value = ""

    def good(self) -> Value:
        """A value of the fact that meets the condition."""
        match self.form:
            case Form.IS | Form.AT_MOST | Form.AT_LEAST:
                return self.value
            case Form.ONE_OF | Form.OPERATION_IN:
                return self._words()[0]
            case Form.ALL_IN:
                return self._words()[:1]
            case Form.NONE_IN:
                return ("other",)
            case Form.NOT_ONE_OF | Form.TEXT:
                return "other"
            case Form.AFTER_NOW:
                return TIME_NS + 1

    def bad(self) -> Value:
        """A value of the same type that does not."""
        match self.form:
            case Form.IS:
                if isinstance(self.value, bool):
                    return not self.value
                return self.value + 1 if isinstance(self.value, int) else "other"
            case Form.AT_MOST:
                return self._number() + 1
            case Form.AT_LEAST:
                return self._number() - 1
            case Form.ONE_OF:
                return "other"
            case Form.OPERATION_IN:
                return next(word for word in OPERATIONS if word not in self._words())
            case Form.ALL_IN:
                return (*self._words()[:1], "other")
            case Form.NONE_IN:
                return ("other", self._words()[0])
            case Form.NOT_ONE_OF:
                return self._words()[0]
            case Form.TEXT:
                return ""
            case Form.AFTER_NOW:
                return TIME_NS

    def _words(self) -> tuple[str, ...]:
        assert isinstance(self.value, tuple)
        return self.value

    def _number(self) -> int:
        assert isinstance(self.value, int)
        return self.value


@dataclass(frozen=True, slots=True)
class Safeguard:
    """One safeguard of one row: its code (`purpose/name`), the catalogue's words, when it is due, what must hold."""

    purpose: str
    name: str
    words: str
    operations: tuple[str, ...]
    depends_on: DependsOn
    conditions: tuple[Condition, ...]

    @property
    def code(self) -> str:
        """The reason's code."""
        return f"{self.purpose}/{self.name}"


_ENFORCING: Final = tuple(row.code for row in PURPOSES if row.code.startswith(("SEC.", "SMUG.", "READ.")))
_ENFORCING_FAMILY: Final = tuple(
    row.code for row in PURPOSES if row.code.startswith(("SEC.", "SMUG.", "READ.", "PNR.", "RISK."))
)
_HOLDER: Final = ("surname", "given_names", "date_of_birth", "sex", "photo")
_REQUEST, _PERSON = DependsOn.REQUEST, DependsOn.PERSON
_ROWS: Final = {row.code: row for row in PURPOSES}


def _safeguard(
    purpose: str,
    name: str,
    words: str,
    *conditions: Condition,
    on: tuple[str, ...] = (),
    depends_on: DependsOn = _REQUEST,
) -> Safeguard:
    """Due at `on`, or at every operation that the row permits."""
    permitted = tuple(op for op in OPERATIONS if _ROWS[purpose].operations.get(op, "deny") != "deny")
    return Safeguard(purpose, name, words, on or permitted, depends_on, conditions)


SAFEGUARDS: Final[tuple[Safeguard, ...]] = (
    _safeguard(
        "DOC.STATUS", "issuer", "only the issuing state may enter or change a record",
        Condition("entered_by_issuer", Form.IS, True), on=("status", "disclose"), depends_on=_PERSON,
    ),
    _safeguard(
        "DOC.STATUS", "holder", "answer never contains holder data",
        Condition("fields", Form.NONE_IN, _HOLDER), on=("status", "disclose"),
    ),
    _safeguard(
        "DOC.STATUS", "rate", "rate limit against number guessing",
        Condition("asked_today", Form.AT_MOST, 500_000), on=("status",),
    ),
    _safeguard(
        "DOC.STATUS", "unknown", "UNKNOWN is not NO-HIT",
        Condition("unknown_shown_as", Form.IS, "UNKNOWN"), on=("status",),
    ),
    _safeguard(
        "DOC.NOTICE", "handling", "handling code of the owner shown to second line only",
        Condition("handling_code_shown_to", Form.ALL_IN, ("border.secondline",)), on=("hit", "disclose"),
    ),
    _safeguard(
        "SEC.WATCH", "human", "human confirmation before any consequence",
        Condition("human_confirmation", Form.IS, True), on=("hit", "disclose", "notify"),
    ),
    _safeguard(
        "SEC.WATCH", "asylum", "asylum request at the border is recorded before the check and never shared",
        Condition("protection_recorded_before", Form.IS, True), Condition("fields", Form.NONE_IN, ("asylum",)),
        on=("hit", "disclose", "notify"),
    ),
    _safeguard(
        "SEC.WATCH", "valid", "alert older than valid_until never answers",
        Condition("valid_until_ns", Form.AFTER_NOW), on=("hit", "disclose", "notify"), depends_on=_PERSON,
    ),
    _safeguard(
        "SEC.WATCH", "access", "right of access through the owner",
        Condition("access_through", Form.IS, "owner"), on=("hit", "disclose"),
    ),
    _safeguard(
        "SEC.DISCREET", "frontline", "frontline gets the same answer and the same timing as for no-hit",
        Condition("frontline_sees", Form.IS, "no_hit"), Condition("answer_padded", Form.IS, True),
    ),
    _safeguard(
        "SEC.DISCREET", "auditor", "every query and approval reported to the auditor within 24 h",
        Condition("auditor_told_within_hours", Form.AT_MOST, 24),
    ),
    _safeguard(
        "API.PRESCREEN", "flight", "batch of one flight per request id",
        Condition("flights", Form.IS, 1), on=("hit", "status"),
    ),
    _safeguard(
        "API.PRESCREEN", "deleted", "no-hit records deleted at the end of the flight plus 24 h",
        Condition("kept_hours_after_flight", Form.AT_MOST, 24), on=("hit", "status"),
    ),
    _safeguard(
        "API.PRESCREEN", "crew", "crew handled apart (BGM 250)",
        Condition("crew_among_passengers", Form.IS, False), on=("hit", "status"),
    ),
    _safeguard(
        "PNR.CASE", "free_text", "sensitive free text (SSR meal/medical, IFT) dropped in the adapter",
        Condition("fields", Form.NONE_IN, ("meal", "medical", "free_text")),
    ),
    _safeguard(
        "PNR.CASE", "end", "no use for immigration control",
        Condition("end", Form.ONE_OF, ("serious_crime", "terrorism")),
    ),
    _safeguard(
        "PNR.CASE", "clock", "retention clock and depersonalisation date in the record",
        Condition("retention_until_ns", Form.AFTER_NOW), Condition("depersonalise_on_ns", Form.AFTER_NOW),
        on=("hit", "disclose"), depends_on=_PERSON,
    ),
    _safeguard(
        "MIDAS.FLOW", "small_points", "border points below 200 crossings a month merged",
        Condition("crossings_a_month_min", Form.AT_LEAST, 200),
    ),
    _safeguard("MIDAS.FLOW", "commuters", "commuter bound", Condition("commuter_bound", Form.AT_LEAST, 1)),
    _safeguard(
        "ASSESS.PERF", "officers", "no officer identifiers leave the state",
        Condition("fields", Form.NONE_IN, ("officer_id", "officer_name")),
    ),
    _safeguard(
        "TRADE.FACIL", "words", "answer is valid/invalid/unknown only",
        Condition("answer_words", Form.ALL_IN, ("valid", "invalid", "unknown")), on=("verify",),
    ),
    _safeguard("TRADE.FACIL", "tax", "no use for tax control", Condition("end", Form.NOT_ONE_OF, ("tax_control",))),
    _safeguard(
        "IBM.REFER", "reason", "referral carries the reason code, never the alert text",
        Condition("refusal_reason", Form.ONE_OF, tuple("ABCDEFGHI")),
        Condition("fields", Form.NONE_IN, ("alert_text",)), on=("hit", "disclose"),
    ),
    _safeguard(
        "POLICY.TABLES", "budget", "no new budget is spent: post-processing only",
        Condition("epsilon_micro", Form.AT_MOST, 0),
    ),
    _safeguard(
        "MAR.SAR", "grid", "position rounded to 0.5 degree before any release",
        Condition("grid_tenths_of_degree", Form.AT_LEAST, 5),
    ),
    _safeguard(
        "MAR.SAR", "survivors", "survivor data never a watchlist query",
        Condition("matched_against", Form.NONE_IN, ("watchlist",)),
    ),
    _safeguard(
        "MAR.VESSEL", "owner", "owner name only after approval",
        Condition("fields", Form.NONE_IN, ("owner_name",)), on=("verify",),
    ),
    _safeguard(
        "SMUG.SUSPECT", "migrants", "smuggled migrants may never be entered as suspects (rule on category and role)",
        Condition("category", Form.ONE_OF, ("suspect", "convicted")),
        Condition("part_in_offence", Form.NOT_ONE_OF, ("smuggled_migrant",)),
        on=("hit", "disclose"), depends_on=_PERSON,
    ),
    _safeguard(
        "SMUG.SUSPECT", "restrictions", "restrictions of the sender travel with the data",
        Condition("restrictions_attached", Form.IS, True), on=("hit", "disclose"),
    ),
    _safeguard(
        "SMUG.STATS", "children", "children shown as one band under 18 below quarter level",
        Condition("child_bands_below_quarter", Form.AT_MOST, 1),
    ),
    _safeguard(
        "TIP.VICTIM", "no_person", "no person-level operation exists for this code",
        Condition("", Form.OPERATION_IN, ("aggregate",)), on=OPERATIONS,
    ),
    _safeguard(
        "TIP.VICTIM", "coarse", "regions not countries, year bands, as CTDC does",
        Condition("area_level", Form.IS, "region"), Condition("period_level", Form.IS, "year"),
    ),
    _safeguard(
        "COMM.POLICE", "reporters", "reporter data never leaves the police system",
        Condition("fields", Form.NONE_IN, ("reporter",)),
    ),
    _safeguard(
        "ID.RESOLVE", "question", "result is a question for a human (yellow), never a finding",
        Condition("result_is", Form.IS, "question"), on=("hit", "disclose"),
    ),
    _safeguard(
        "ID.RESOLVE", "told", "person is told when a link is confirmed",
        Condition("person_told", Form.IS, True), on=("hit", "disclose"),
    ),
    _safeguard(
        "HBM.CRISIS", "no_watchlist", "watchlist purposes are switched off for these records",
        Condition("matched_against", Form.NONE_IN, ("watchlist",)),
    ),
    _safeguard(
        "HBM.CRISIS", "window", "retention ends with the crisis window", Condition("crisis_until_ns", Form.AFTER_NOW)
    ),
    _safeguard(
        "MISS.CHILD", "recipient", "recipient of the disclosure must hold the child protection role",
        Condition("recipient_role", Form.IS, "child.protection"), on=("disclose",),
    ),
    _safeguard(
        "MISS.CHILD", "hour", "answer within 1 h or escalation",
        Condition("answer_within_minutes", Form.AT_MOST, 60),
    ),
    _safeguard(
        "MISS.CHILD", "never_detain", "never a ground for refusal or detention",
        Condition("consequences", Form.NONE_IN, ("refusal", "detention")),
    ),
    _safeguard(
        "GENDER.SADD", "violence", "gender-based violence referrals only yearly and region level",
        Condition("period_level", Form.IS, "year"), Condition("area_level", Form.IS, "region"),
    ),
    _safeguard(
        "DET.MONITOR", "facilities", "no facility named below 50 persons",
        Condition("facility_persons_min", Form.AT_LEAST, 50),
    ),
    _safeguard(
        "DET.MONITOR", "children", "children always a separate row, also when suppressed",
        Condition("children_in_a_row_of_their_own", Form.IS, True),
    ),
    _safeguard(
        "RISK.IBC", "no_prediction", "no prediction about a single person", Condition("result_is", Form.IS, "group")
    ),
    _safeguard(
        "REG.STATS", "firewall", "applicant data may not be queried under any SEC, SMUG or READ purpose",
        Condition("queried_under", Form.NONE_IN, _ENFORCING),
    ),
    _safeguard(
        "READ.IDENT", "claim", "refused while an asylum claim or appeal is open",
        Condition("asylum", Form.ONE_OF, ("none", "finally_refused")),
        on=("verify", "disclose"), depends_on=_PERSON,
    ),
    _safeguard(
        "READ.IDENT", "silent", "request must not reveal that asylum was asked",
        Condition("fields", Form.NONE_IN, ("asylum", "protection")), on=("verify", "disclose"),
    ),
    _safeguard(
        "READ.IDENT", "children", "no children without best-interest decision reference",
        Condition("child_without_decision", Form.IS, False), on=("verify", "disclose"), depends_on=_PERSON,
    ),
    _safeguard(
        "READ.IDENT", "purpose_change", "purpose change refused",
        Condition("purpose_changed", Form.IS, False), on=("verify", "disclose"),
    ),
    _safeguard(
        "FAM.LINK", "firewall",
        "hard firewall: records tagged FAM are excluded before matching for all SEC, SMUG, READ, PNR, RISK purposes",
        Condition("queried_under", Form.NONE_IN, _ENFORCING_FAMILY),
    ),
    _safeguard(
        "FAM.LINK", "laboratory", "laboratory results are never carried",
        Condition("fields", Form.NONE_IN, ("laboratory_result",)),
    ),
    _safeguard(
        "VISA.CONSULT", "words", "answer NO_OBJECTION/OBJECTION after deadline; silence rule set by agreement",
        Condition("answer_words", Form.ALL_IN, ("NO_OBJECTION", "OBJECTION")), Condition("silence_rule", Form.TEXT),
        on=("hit", "disclose"),
    ),
    _safeguard(
        "VISA.CONSULT", "reason", "reason stays with the owner",
        Condition("fields", Form.NONE_IN, ("reason",)), on=("hit", "disclose"),
    ),
    _safeguard(
        "VAC.INTAKE", "staff", "centre staff hold no query role", Condition("asked_by_centre_staff", Form.IS, False)
    ),
    _safeguard(
        "VERIF.DOC", "consent", "consent reference is mandatory",
        Condition("consent_reference", Form.TEXT), on=("verify",),
    ),
    _safeguard(
        "VERIF.DOC", "second_look", "INVALID needs a second look before use",
        Condition("second_look_at_invalid", Form.IS, True), on=("verify",),
    ),
    _safeguard(
        "CONS.SERVICE", "protected", "denied for asylum seekers and refugees (XXB, XXC or protection tag)",
        Condition("tags", Form.NONE_IN, ("ASYLUM_SEEKER", "REFUGEE")),
        Condition("nationality", Form.NOT_ONE_OF, ("XXB", "XXC")),
        on=("notify", "verify"), depends_on=_PERSON,
    ),
    _safeguard(
        "CONS.SERVICE", "lost_passport", "lost-passport report becomes a DOC.STATUS record",
        Condition("lost_report_becomes", Form.IS, "DOC.STATUS"), on=("notify", "verify"),
    ),
)  # fmt: skip
"""In the order of the catalogue. A test holds it against every row's words."""
