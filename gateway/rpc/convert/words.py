"""The contract's enumerations and our words, both ways. What is not in a table is refused."""

from __future__ import annotations

from gateway.rpc.doors import Became
from gateway.terms.words import (
    Action,
    AsylumState,
    KeyType,
    ListId,
    MatchClass,
    Outcome,
    ProtectionTag,
    RecordKind,
    Role,
)
from gateway.wire.v1 import home_pb2 as home
from gateway.wire.v1 import vocabulary_pb2 as wire

LIST_OUT = {
    ListId.PERSONS: wire.LIST_ID_PERSONS,
    ListId.DOCUMENTS: wire.LIST_ID_DOCUMENTS,
}

BECAME_OUT = {
    Became.ADDED: home.LoadListResponse.BECAME_ADDED,
    Became.CHANGED: home.LoadListResponse.BECAME_CHANGED,
    Became.UNCHANGED: home.LoadListResponse.BECAME_UNCHANGED,
    Became.REFUSED: home.LoadListResponse.BECAME_REFUSED,
}

KEY_TYPE_OUT = {
    KeyType.DOC_1: wire.KEY_TYPE_DOC_1,
    KeyType.NAME_YEAR_1: wire.KEY_TYPE_NAME_YEAR_1,
    KeyType.MET2_DOB_1: wire.KEY_TYPE_MET2_DOB_1,
    KeyType.MET2_YEAR_1: wire.KEY_TYPE_MET2_YEAR_1,
}

ROLE_OUT = {
    Role.BORDER_FRONTLINE: wire.ROLE_BORDER_FRONTLINE,
    Role.BORDER_SECONDLINE: wire.ROLE_BORDER_SECONDLINE,
    Role.VISA_OFFICER: wire.ROLE_VISA_OFFICER,
    Role.DESK_NATIONAL: wire.ROLE_DESK_NATIONAL,
    Role.TARGETING_CENTRE: wire.ROLE_TARGETING_CENTRE,
    Role.CHILD_PROTECTION: wire.ROLE_CHILD_PROTECTION,
    Role.PROTECTION_OFFICER: wire.ROLE_PROTECTION_OFFICER,
    Role.LIST_OFFICER: wire.ROLE_LIST_OFFICER,
    Role.SUPERVISOR: wire.ROLE_SUPERVISOR,
    Role.POLICY_OFFICER: wire.ROLE_POLICY_OFFICER,
    Role.OPERATOR: wire.ROLE_OPERATOR,
    Role.AUDITOR: wire.ROLE_AUDITOR,
    Role.RETURN_UNIT: wire.ROLE_RETURN_UNIT,
    Role.ANALYST_NATIONAL: wire.ROLE_ANALYST_NATIONAL,
    Role.ANALYST_REGIONAL: wire.ROLE_ANALYST_REGIONAL,
}

MATCH_OUT = {
    MatchClass.DOCUMENT: wire.MATCH_CLASS_DOCUMENT,
    MatchClass.NAME_AND_YEAR: wire.MATCH_CLASS_NAME_AND_YEAR,
    MatchClass.NAME_SOUND_AND_DATE: wire.MATCH_CLASS_NAME_SOUND_AND_DATE,
    MatchClass.NAME_SOUND_AND_YEAR: wire.MATCH_CLASS_NAME_SOUND_AND_YEAR,
}

KIND_OUT = {
    RecordKind.WANTED_ARREST: wire.RECORD_KIND_WANTED_ARREST,
    RecordKind.REFUSE_ENTRY: wire.RECORD_KIND_REFUSE_ENTRY,
    RecordKind.SMUGGLER_SUSPECT: wire.RECORD_KIND_SMUGGLER_SUSPECT,
    RecordKind.MISSING_CHILD: wire.RECORD_KIND_MISSING_CHILD,
    RecordKind.LOST_STOLEN: wire.RECORD_KIND_LOST_STOLEN,
    RecordKind.REVOKED: wire.RECORD_KIND_REVOKED,
    RecordKind.NATIONAL: wire.RECORD_KIND_NATIONAL,
}

ACTION_OUT = {
    Action.WAIT_FOR_OWNER: wire.ACTION_WAIT_FOR_OWNER,
    Action.DO_NOT_DETAIN_CALL_OWNER: wire.ACTION_DO_NOT_DETAIN_CALL_OWNER,
    Action.HOLD_DOCUMENT_SECOND_LINE: wire.ACTION_HOLD_DOCUMENT_SECOND_LINE,
    Action.SECOND_LINE: wire.ACTION_SECOND_LINE,
    Action.ASK_OWNER_TO_CONFIRM: wire.ACTION_ASK_OWNER_TO_CONFIRM,
}

TAG_OUT = {
    ProtectionTag.ASYLUM_SEEKER: wire.PROTECTION_TAG_ASYLUM_SEEKER,
    ProtectionTag.REFUGEE: wire.PROTECTION_TAG_REFUGEE,
    ProtectionTag.TRAFFICKING_VICTIM: wire.PROTECTION_TAG_TRAFFICKING_VICTIM,
    ProtectionTag.UNACCOMPANIED_CHILD: wire.PROTECTION_TAG_UNACCOMPANIED_CHILD,
    ProtectionTag.FAMILY_REUNIFICATION: wire.PROTECTION_TAG_FAMILY_REUNIFICATION,
    ProtectionTag.REGULARISATION: wire.PROTECTION_TAG_REGULARISATION,
    ProtectionTag.WITNESS: wire.PROTECTION_TAG_WITNESS,
}

ASYLUM_OUT = {
    AsylumState.UNKNOWN: wire.ASYLUM_STATE_UNSPECIFIED,
    AsylumState.NONE: wire.ASYLUM_STATE_NONE,
    AsylumState.OPEN: wire.ASYLUM_STATE_OPEN,
    AsylumState.GRANTED: wire.ASYLUM_STATE_GRANTED,
    AsylumState.FINALLY_REFUSED: wire.ASYLUM_STATE_FINALLY_REFUSED,
}

OUTCOME_OUT = {
    Outcome.HIT: home.CheckTravellersResponse.OUTCOME_HIT,
    Outcome.NOTHING_TO_REPORT: home.CheckTravellersResponse.OUTCOME_NOTHING_TO_REPORT,
}

LIST_IN = {int(number): word for word, number in LIST_OUT.items()}
BECAME_IN = {int(number): word for word, number in BECAME_OUT.items()}
KEY_TYPE_IN = {int(number): word for word, number in KEY_TYPE_OUT.items()}
ROLE_IN = {int(number): word for word, number in ROLE_OUT.items()}
MATCH_IN = {int(number): word for word, number in MATCH_OUT.items()}
KIND_IN = {int(number): word for word, number in KIND_OUT.items()}
ACTION_IN = {int(number): word for word, number in ACTION_OUT.items()}
ASYLUM_IN = {int(number): word for word, number in ASYLUM_OUT.items()}
TAG_IN = {int(number): word for word, number in TAG_OUT.items()}
OUTCOME_IN = {int(number): word for word, number in OUTCOME_OUT.items()}
