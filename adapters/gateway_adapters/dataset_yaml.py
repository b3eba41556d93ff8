"""A data set's declaration as YAML, written by the owner's statistician before anybody looks at the events.

    dataset: limen/dataset/1
    name: PAN-crossings
    dimensions:
      month: {from: 2026-01, to: 2026-12}
      route: [RIVER, COAST, HIGHWAY]
      nationality: [VEN, COL, _U]                        # _U: a row that names none
      protection: {values: [NONE, REFUGEE], uncollected: [REFUGEE]}
    caps:                                                # what all recipients together may cause
      month: {epsilon: 10}                               # for each single month
      year: {micro_rho: 1040000}                         # for each single year; leave out what may not be asked
    shares:                                              # what one peer may cause of each cap
      HND: {micro_rho: 520000}
    planned_releases: 1                                  # of one period; may be left out

An epsilon is that of all releases together at delta 1e-8; micro-rho is what a release is charged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import InputRefused
from gateway.people import codes
from gateway.terms import ProtectionTag
from gateway_adapters import plain_yaml
from gateway_adapters.event_csv import UNPROTECTED

SCHEMA: Final = "limen/dataset/1"
MONTHS_MAX: Final = 1_200
UNKNOWN: Final = "_U"
"""A row that names none."""

NATIONALITIES: Final = (*sorted((codes.ISO_3166 | codes.NO_NATIONALITY | {"XKX", codes.UNK}) - {""}), UNKNOWN)
"""Every nationality that a document may state (ISO 3166-1, ICAO Doc 9303 part 3)."""

_FIELDS: Final = frozenset({"dataset", "name", "dimensions", "caps", "shares", "planned_releases"})
_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])\Z")
_WHOLE = re.compile(r"[0-9]{1,12}\Z")
_DECIMAL = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,6}))?\Z")


@dataclass(frozen=True, slots=True)
class Values:
    """One dimension as declared."""

    name: str
    values: tuple[str, ...]
    uncollected: frozenset[str]


@dataclass(frozen=True, slots=True)
class Amount:
    """A cap or a share: exactly one of the two is above 0."""

    micro_rho: int = 0
    epsilon_micro: int = 0


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """The file's content in plain values; what they may be is judged by whoever makes a declaration of it."""

    name: str
    dimensions: tuple[Values, ...]
    caps: Mapping[str, Amount]
    shares: Mapping[str, Amount]
    planned_releases: int


def read(data: bytes) -> DatasetFile:
    """Read a declaration.

    Raises:
        InputRefused: not YAML of the plain kind, an unknown or missing field, or a value of another shape.
    """
    found = plain_yaml.read(data, "the declaration")
    if not isinstance(found, dict) or found.get("dataset") != SCHEMA:
        raise InputRefused(f"the first field says dataset: {SCHEMA}", field="dataset", code="DATASET")
    for name in found:
        if name not in _FIELDS:
            raise InputRefused("a field is not one of the declaration's: " + ", ".join(sorted(_FIELDS)),
                               code="DATASET_FIELD")  # fmt: skip
    dimensions = found.get("dimensions")
    if not isinstance(dimensions, dict) or not dimensions:
        raise InputRefused("write each dimension with its values", field="dimensions", code="DATASET_FIELD")
    return DatasetFile(
        name=_text(found.get("name", ""), "name"),
        dimensions=tuple(_dimension(name, value) for name, value in dimensions.items()),
        caps=_amounts(found.get("caps", {}), "caps"),
        shares=_amounts(found.get("shares", {}), "shares"),
        planned_releases=_whole(found.get("planned_releases", "1"), "planned_releases"),
    )


def skeleton(name: str, first: str, last: str, *, by_route: bool, protection: bool) -> str:
    """A declaration to be finished by a person: values of public lists only, and none of any file's.

    Raises:
        InputRefused: the months are not months.
    """
    months(first, last)
    lines = [f"dataset: {SCHEMA}", f"name: {name}", "dimensions:", f"  month: {{from: {first}, to: {last}}}"]
    lines.append("  route: []  # the names of all your routes, also of those where nobody was seen" if by_route
                 else "  route: [ALL]")  # fmt: skip
    lines += ["  nationality:", *_folded(NATIONALITIES)]
    if protection:
        lines += ["  protection:", *_folded([UNPROTECTED, *(tag.value for tag in ProtectionTag)])]
    lines += [
        "caps:  # what all recipients together may cause, for each single month and each single year",
        "  month: {micro_rho: 520000}  # one release at epsilon 1",
        "shares: {}  # of each cap, what one peer may cause, such as HND: {micro_rho: 520000}",
        "planned_releases: 1",
    ]
    return "\n".join(lines) + "\n"


def months(first: str, last: str) -> tuple[str, ...]:
    """Every month from the first to the last.

    Raises:
        InputRefused: not months, or not in this order.
    """
    ends = [_MONTH.match(first), _MONTH.match(last)]
    if ends[0] is None or ends[1] is None:
        raise InputRefused("write months as 2026-01", field="month", code="PERIOD")
    low, high = (12 * int(end[1]) + int(end[2]) - 1 for end in ends if end is not None)
    if not low <= high < low + MONTHS_MAX:
        raise InputRefused("the last month comes before the first", field="month", code="PERIOD")
    return tuple(f"{place // 12:04}-{place % 12 + 1:02}" for place in range(low, high + 1))


def _dimension(name: str, value: Any) -> Values:
    uncollected: tuple[str, ...] = ()
    if isinstance(value, dict):
        if not value.keys() <= {"values", "uncollected", "from", "to"} or ("values" in value) == ("from" in value):
            raise InputRefused("write values, or from and to for months; and perhaps uncollected", field=name,
                               code="DATASET_FIELD")  # fmt: skip
        uncollected = _texts(value.get("uncollected", []), name)
        if "from" in value:
            if name != "month":
                raise InputRefused("only months are written from and to", field=name, code="DATASET_FIELD")
            return Values(name, months(_text(value["from"], name), _text(value.get("to", ""), name)),
                          frozenset(uncollected))  # fmt: skip
        value = value["values"]
    return Values(name, _texts(value, name), frozenset(uncollected))


def _amounts(value: Any, where: str) -> dict[str, Amount]:
    if not isinstance(value, dict):
        raise InputRefused("write a name and an amount in each line", field=where, code="DATASET_FIELD")
    return {name: _amount(one, where) for name, one in value.items()}


def _amount(value: Any, where: str) -> Amount:
    if isinstance(value, dict) and value.keys() == {"micro_rho"}:
        return Amount(micro_rho=_whole(value["micro_rho"], where))
    if isinstance(value, dict) and value.keys() == {"epsilon"} and isinstance(value["epsilon"], str):
        found = _DECIMAL.match(value["epsilon"])
        if found is not None:
            return Amount(epsilon_micro=int(found[1]) * 10**6 + int((found[2] or "").ljust(6, "0")))
    raise InputRefused("write {epsilon: 1.5} or {micro_rho: 520000}", field=where, code="CAP")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 200:
        raise InputRefused("write one value", field=where, code="DATASET_FIELD")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputRefused("write a list, as [A, B]", field=where, code="DATASET_FIELD")
    return tuple(value)


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, str) or not _WHOLE.match(value):
        raise InputRefused("write a whole number", field=where, code="DATASET_FIELD")
    return int(value)


def _folded(values: Iterable[str]) -> list[str]:
    """A list over several lines, twelve values each."""
    kept = list(values)
    lines = [", ".join(kept[place : place + 12]) for place in range(0, len(kept), 12)]
    return ["    [", *(f"      {line}," for line in lines), "    ]"]
