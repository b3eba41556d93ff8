"""The rules' data, reduced before it is needed: one row for each question that can be permitted (PROTOCOL, the spike).

A layer's sources (the catalogue and its limits; the agreements and mandates) are what people sign and read. What the
rules read is made of them here: `prepared[stage][...]` holds a row with the sets a question is compared with and the
whole grant, so that a decision is one look-up and a handful of comparisons. The prepared document travels in the
bundle, so that any OPA can evaluate it, and is made again and compared when a bundle is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.errors import GatewayError, VerificationFailed
from gateway.policy import agreement as agreements
from gateway.policy import catalogue, decision
from gateway.policy.agreement import Agreement, Mandate, Terms
from gateway.policy.question import Stage
from gateway.terms.ids import Purpose
from gateway.terms.words import BATCH_CLASSES, ListId, Role

SIGNERS_MAX: Final = 100
"""More signatures than any act has; the upper bound keeps every value that is no number out."""


NO_LIST: Final = ""
"""What a statistic's question says where others name a list."""


def prepared(layer: str, sources: Mapping[str, Any]) -> dict[str, Any] | None:
    """The prepared document of a layer, from the data below `limen.<layer>`. None where the layer has no such sources.

    Raises VerificationFailed where a source is not complete: an agreement that lacks a field is no agreement (T21).
    """
    try:
        if layer == "baseline" and "limits" in sources:
            return baseline(sources["limits"])
        if layer == "national" and "agreements" in sources:
            return national(
                sources["state"]["code"],
                [agreements.parse(document) for _, document in sorted(sources["agreements"].items())],
                [agreements.parse_mandate(document) for _, document in sorted(sources.get("mandates", {}).items())],
            )
    except GatewayError as refusal:
        raise VerificationFailed("bundle content", str(refusal)) from None
    except (KeyError, TypeError, AttributeError, ValueError) as fault:
        raise VerificationFailed("bundle content", f"the {layer} sources lack {fault}") from None
    return None


def baseline(limits: Mapping[str, Any]) -> dict[str, Any]:
    """`prepared[stage][purpose]`: the catalogue's row for each offered purpose, within the region's limits."""
    rows: dict[str, dict[str, Any]] = {stage.value: {} for stage in Stage}
    for purpose in catalogue.OFFERED:
        bounds = limits[purpose]
        key_types = [key_type.value for key_type in catalogue.key_types_of(purpose)]
        lists = [list_id.value for list_id in catalogue.lists_of(purpose)]
        kinds = [kind.name for kind in catalogue.kinds_of_group(catalogue.group_of(purpose))]
        aggregate = catalogue.is_aggregate(purpose)
        four_eyes = catalogue.decision_of(purpose, catalogue.check_operation(purpose)) == "four_eyes"
        for stage in catalogue.stages_of(purpose):
            listing = stage is Stage.LIST
            keyed = stage in (Stage.ASK, Stage.ANSWER) and not aggregate
            # Whose signatures count: those of the list's keepers, and of the two who put a question of four eyes.
            signed = listing or (four_eyes and stage is Stage.ASK)
            listed = [kind.name for name in lists for kind in catalogue.kinds_of_list(ListId(name))]
            rows[stage.value][purpose] = {
                "operations": _set(catalogue.LIST_OPERATIONS if listing else [catalogue.check_operation(purpose)]),
                "lists": _set(lists or [NO_LIST]),
                "roles": _set(_roles(stage, sorted(role.value for role in catalogue.roles_of(purpose)))),
                "key_types": _set([] if stage is Stage.PUBLISH else key_types),
                "key_types_min": 0 if stage is Stage.PUBLISH or aggregate else 1,
                "classes": list(BATCH_CLASSES) if keyed else [0],
                "has_case": stage is not Stage.PUBLISH and not aggregate,
                "has_basis": stage is not Stage.PUBLISH,
                "signers_min": bounds["signers_min"] if signed else 0,
                "signers_max": SIGNERS_MAX if signed else 0,
                "at_home": _places(stage, purpose),
                "issuers": "owner" if listing and ListId.DOCUMENTS.value in lists else "none",
                "grant": _grant(
                    key_types=key_types,
                    kinds=listed if listing else kinds,
                    slots_per_day=0 if listing else bounds["slots_per_day"],
                    retention=bounds["retention_listing" if listing else "retention"],
                    obligations=sorted(decision.MANDATORY[stage, purpose]),
                ),
            }
    return rows


def national(state: str, signed: Sequence[Agreement], mandates: Sequence[Mandate]) -> dict[str, Any]:
    """`prepared[stage][owner][asker][purpose]`: what this state's agreements in force and mandates permit.

    Only questions that are this state's to decide have a row: it asks as asker, answers and publishes as owner, lists
    as both. Two agreements in force for one pair and purpose are refused: which of them holds is not ours to say.
    """
    rows: dict[str, Any] = {stage.value: {} for stage in Stage}
    for agreement in signed:
        if state not in agreement.parties:
            raise VerificationFailed("bundle content", f"{agreement.id} is not an agreement of {state}")
        if agreement.status != "in_force":
            continue
        (other,) = set(agreement.parties) - {state}
        for purpose, terms in sorted(agreement.purposes.items()):
            for stage, owner, asker in (
                (Stage.ASK, other, state),
                (Stage.ANSWER, state, other),
                (Stage.PUBLISH, state, other),
            ):
                if stage not in catalogue.stages_of(Purpose(purpose)):
                    continue
                _put(rows, stage, owner, asker, purpose, _exchange(stage, owner, asker, purpose, terms, agreement))
    for mandate in mandates:
        if mandate.list == agreements.STATISTICS:
            for code in filter(catalogue.is_aggregate, catalogue.OFFERED):
                _put(rows, Stage.ANSWER, state, state, code, _home_statistic(code, mandate))
            continue
        purpose = catalogue.purpose_of_list(ListId(mandate.list))
        _put(rows, Stage.LIST, state, state, purpose, _listing(state, purpose, mandate))
    return rows


def _put(rows: dict[str, Any], stage: Stage, owner: str, asker: str, purpose: str, row: dict[str, Any]) -> None:
    place = rows[stage.value].setdefault(owner, {}).setdefault(asker, {})
    if purpose in place:
        raise VerificationFailed("bundle content", f"two agreements in force for {owner}, {asker} and {purpose}")
    place[purpose] = row


def _exchange(stage: Stage, owner: str, asker: str, purpose: str, terms: Terms, agreement: Agreement) -> dict[str, Any]:
    code = Purpose(purpose)
    catalogued = [key_type.value for key_type in catalogue.key_types_of(code)]
    # Asking, we name every key type we can make and are granted those of the agreement; answering, the peer may name
    # none that it was not granted.
    named: Mapping[Stage, Sequence[str]] = {Stage.ASK: catalogued, Stage.ANSWER: terms.key_types}
    # The table is made by the owner's own jobs, in the name of one of its agencies.
    agencies = agreement.agencies[owner if stage is Stage.PUBLISH else asker]
    return {
        "from_ns": agreement.valid_from_ns,
        "until_ns": agreement.valid_until_ns,
        "operations": _set([catalogue.check_operation(code)]),
        "legal_bases": _set([""] if stage is Stage.PUBLISH else terms.legal_bases),
        "agencies": _set(agencies),
        "roles": _set(_roles(stage, terms.roles)),
        "lists": _set(terms.lists or [NO_LIST]),
        "key_types": _set(named.get(stage, ())),
        "issuers": [],
        "grant": _grant(
            agreement=agreement.id,
            agreement_version=agreement.version,
            key_types=terms.key_types,
            kinds=terms.kinds,
            slots_per_day=agreement.slots_per_day[catalogue.group_of(code)],
            transfer_basis=agreement.transfer_tool,
            retention=agreement.retention,
            until_ns=agreement.valid_until_ns,
            obligations=["log"],
        ),
    }


def _listing(state: str, purpose: Purpose, mandate: Mandate) -> dict[str, Any]:
    key_types = [key_type.value for key_type in catalogue.key_types_of(purpose)]
    return {
        "from_ns": mandate.valid_from_ns,
        "until_ns": mandate.valid_until_ns,
        "operations": _set(catalogue.LIST_OPERATIONS),
        "legal_bases": _set(mandate.legal_bases),
        "agencies": _set(mandate.agencies),
        "roles": _set([Role.LIST_OFFICER.value]),
        "lists": _set([mandate.list]),
        "key_types": _set(key_types),
        "issuers": [state] if mandate.list == ListId.DOCUMENTS.value else [],
        "grant": _grant(
            agreement=mandate.id,
            agreement_version=1,
            key_types=key_types,
            kinds=mandate.kinds,
            retention=decision.RETENTION_CLASSES[-1],
            until_ns=mandate.valid_until_ns,
            obligations=["log"],
        ),
    }


def _home_statistic(purpose: Purpose, mandate: Mandate) -> dict[str, Any]:
    return {
        "from_ns": mandate.valid_from_ns,
        "until_ns": mandate.valid_until_ns,
        "operations": _set([catalogue.check_operation(purpose)]),
        "legal_bases": _set(mandate.legal_bases),
        "agencies": _set(mandate.agencies),
        "roles": _set(agreements.HOME_ROLES),
        "lists": _set([NO_LIST]),
        "key_types": _set([]),
        "issuers": [],
        "grant": _grant(
            agreement=mandate.id,
            agreement_version=1,
            key_types=[],
            kinds=[],
            slots_per_day=agreements.REQUESTS_PER_DAY,
            retention=decision.RETENTION_CLASSES[-1],
            until_ns=mandate.valid_until_ns,
            obligations=["log"],
        ),
    }


def _places(stage: Stage, purpose: Purpose) -> list[bool]:
    """Whether asker and owner are one state: always in listing, never in an exchange. A state may be asked by itself
    for its own statistics."""
    if stage is Stage.LIST:
        return [True]
    return [False, True] if stage is Stage.ANSWER and catalogue.is_aggregate(purpose) else [False]


def _roles(stage: Stage, asking: Iterable[str]) -> list[str]:
    if stage is Stage.LIST:
        return [Role.LIST_OFFICER.value]
    return [Role.OPERATOR.value] if stage is Stage.PUBLISH else list(asking)


def _grant(
    *,
    key_types: Iterable[str],
    kinds: Iterable[str],
    retention: str,
    obligations: Iterable[str],
    agreement: str = "",
    agreement_version: int = 0,
    slots_per_day: int = 0,
    transfer_basis: str = "",
    until_ns: int = agreements.NS_MAX,
) -> dict[str, Any]:
    """A layer's whole yes, of the form `policy.decision` reads. The baseline knows no agreement and no end of one."""
    return {
        "schema": decision.SCHEMA,
        "allow": True,
        "agreement": agreement,
        "agreement_version": agreement_version,
        "key_types": sorted(key_types),
        "kinds": sorted(kinds),
        "slots_per_day": slots_per_day,
        "transfer_basis": transfer_basis,
        "retention": retention,
        "until_ns": until_ns,
        "obligations": sorted(obligations),
    }


def _set(words: Iterable[str]) -> dict[str, bool]:
    """A set as the rules read it fastest: an object whose members are true."""
    return {word: True for word in sorted(words)}
