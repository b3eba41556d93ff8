"""Closed vocabularies. A value outside them is refused, never passed on."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

BATCH_CLASSES: Final = (8, 32, 320, 1280)
"""Padded batch sizes, in blinded elements. Only these sizes cross a border (PROTOCOL, a check on the wire)."""


class ListId(StrEnum):
    """A state's list that peers may ask about."""

    PERSONS = "PERSONS"
    DOCUMENTS = "DOCUMENTS"


class KeyType(StrEnum):
    """A match key's type and version. Tables of the normal form are frozen per version."""

    DOC_1 = "doc/1"
    NAME_YEAR_1 = "name_year/1"
    MET2_DOB_1 = "met2_dob/1"
    MET2_YEAR_1 = "met2_year/1"


class MatchClass(StrEnum):
    """How a hit was made, strongest first."""

    DOCUMENT = "DOCUMENT"
    NAME_AND_YEAR = "NAME_AND_YEAR"
    NAME_SOUND_AND_DATE = "NAME_SOUND_AND_DATE"
    NAME_SOUND_AND_YEAR = "NAME_SOUND_AND_YEAR"

    @classmethod
    def of(cls, key_type: KeyType) -> MatchClass:
        """The class of a hit made by a key of this type."""
        return _CLASS_OF[key_type]

    @property
    def is_exact(self) -> bool:
        """False where the words shown must say "possible": a question for a human, never a finding."""
        return self is MatchClass.DOCUMENT


_CLASS_OF = {
    KeyType.DOC_1: MatchClass.DOCUMENT,
    KeyType.NAME_YEAR_1: MatchClass.NAME_AND_YEAR,
    KeyType.MET2_DOB_1: MatchClass.NAME_SOUND_AND_DATE,
    KeyType.MET2_YEAR_1: MatchClass.NAME_SOUND_AND_YEAR,
}


class RecordKind(IntEnum):
    """What a list entry is about. The number is the label's first byte and never changes."""

    WANTED_ARREST = 1
    REFUSE_ENTRY = 2
    SMUGGLER_SUSPECT = 3
    MISSING_CHILD = 4
    LOST_STOLEN = 5
    REVOKED = 6
    NATIONAL = 7


class Action(IntEnum):
    """What the officer is told to do. Message codes; texts are looked up at the edge."""

    WAIT_FOR_OWNER = 1
    DO_NOT_DETAIN_CALL_OWNER = 2
    HOLD_DOCUMENT_SECOND_LINE = 3
    SECOND_LINE = 4
    ASK_OWNER_TO_CONFIRM = 5


class Handling(IntEnum):
    """Who must approve before anything is disclosed."""

    APPROVAL = 1
    FOUR_EYES = 2


class AsylumState(StrEnum):
    """What the asking agency knows of a person's asylum claim (T10). Only NONE and FINALLY_REFUSED allow a return's
    question; the word never leaves the home state."""

    UNKNOWN = "unknown"
    NONE = "none"
    OPEN = "open"
    GRANTED = "granted"
    FINALLY_REFUSED = "finally_refused"


class ProtectionTag(StrEnum):
    """Why a person must be shielded. Tags never leave the home state."""

    ASYLUM_SEEKER = "ASYLUM_SEEKER"
    REFUGEE = "REFUGEE"
    TRAFFICKING_VICTIM = "TRAFFICKING_VICTIM"
    UNACCOMPANIED_CHILD = "UNACCOMPANIED_CHILD"
    FAMILY_REUNIFICATION = "FAMILY_REUNIFICATION"
    REGULARISATION = "REGULARISATION"
    WITNESS = "WITNESS"


class Outcome(StrEnum):
    """All that a check says as a whole. NOTHING_TO_REPORT means "nothing you may act on", never a clearance."""

    HIT = "HIT"
    NOTHING_TO_REPORT = "NOTHING_TO_REPORT"


class Role(StrEnum):
    """A person's role in the agency's register (purpose catalogue, who may ask; the desk's own; who reads the log)."""

    BORDER_FRONTLINE = "border.frontline"
    BORDER_SECONDLINE = "border.secondline"
    VISA_OFFICER = "visa.officer"
    DESK_NATIONAL = "desk.national"
    TARGETING_CENTRE = "targeting.centre"
    CHILD_PROTECTION = "child.protection"
    RETURN_UNIT = "return.unit"
    ANALYST_NATIONAL = "analyst.national"
    ANALYST_REGIONAL = "analyst.regional"
    PROTECTION_OFFICER = "protection.officer"
    LIST_OFFICER = "list.officer"
    SUPERVISOR = "supervisor"
    POLICY_OFFICER = "policy.officer"
    OPERATOR = "operator"
    AUDITOR = "auditor"


class EpochState(StrEnum):
    """Where an epoch of a peer's is in its life: its tables in the making, in force, or on its way out."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRED = "retired"


class AuditPurpose(StrEnum):
    """What a log may be read for, and for nothing else (Directive (EU) 2016/680 article 25(2); the last is a person's
    right to know)."""

    LAWFULNESS = "lawfulness"
    SELF_MONITORING = "self-monitoring"
    INTEGRITY = "integrity"
    PROCEEDINGS = "proceedings"
    SUBJECT_ACCESS = "subject-access"
