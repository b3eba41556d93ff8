"""A private statistic as SDMX-CSV 2.0 (SDMX 3.0, section 7): what statistical offices read into their own tables.

The structure is the same for every release of a statistic: a dimension that the question did not break down by stands
as the total, `_T`. What holds for the whole release (unit of privacy, bound, mechanism, epsilon, the half width of the
95 % interval) is an attribute of the data set: one row at the top without dimensions and value, so that it is said once
and no sum meets it. Codes of `OBS_STATUS` and `CONF_STATUS` are those of the SDMX cross-domain code lists.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

from gateway.errors import InputRefused
from gateway.statistics.catalogue import STATISTICS
from gateway.statistics.release import CellStatus, Release

AGENCY: Final = "LIMEN"
VERSION: Final = "1.0"
TOTAL: Final = "_T"

DIMENSIONS: Final[Mapping[str, str]] = {
    "route": "ROUTE",
    "nationality": "CITIZENSHIP",
    "protection": "PROTECTION",
    "month": "TIME_PERIOD",
}
"""A statistic's dimension -> its concept, in the order of the columns; the time comes last."""

STATUS: Final[Mapping[CellStatus, tuple[str, str]]] = {
    CellStatus.RELEASED: ("A", "F"),
    CellStatus.BELOW_THRESHOLD: ("Q", "C"),
    CellStatus.NOT_COLLECTED: ("L", ""),
    CellStatus.WITHHELD: ("Q", "C"),
}
"""(OBS_STATUS, CONF_STATUS): normal and free; suppressed and confidential; exists but was not collected."""

_CODE: Final = re.compile(r"[^A-Za-z0-9_@$-]")
"""What a code's identifier in SDMX may not hold."""


def to_sdmx_csv(release: Release) -> str:
    """The data set's row, then one row a cell. A cell without a number has an empty value, never a zero.

    Raises:
        InputRefused: two values of a dimension would be one code in SDMX.
    """
    names = STATISTICS[release.query.statistic].dimensions
    columns = [name for name in DIMENSIONS if name in names]
    attributes = _attributes(release)
    structure = ("dataflow", f"{AGENCY}:{_CODE.sub('_', release.query.statistic).replace('-', '_')}({VERSION})", "I")
    fixed = ("M", release.facts["owner"], release.query.measure.upper())
    header = ("FREQ", "REF_AREA", "INDICATOR", *(DIMENSIONS[name] for name in columns))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(
        ("STRUCTURE", "STRUCTURE_ID", "ACTION", *header, "OBS_VALUE", "OBS_STATUS", "CONF_STATUS", *attributes)
    )
    writer.writerow((*structure, *("" for _ in header), "", "", "", *attributes.values()))
    none = ("",) * len(attributes)
    coded = _codes(release)
    for cell in release.cells():
        key = dict(zip(release.domain.names, cell.key, strict=True))
        where = (coded[name, key[name]] if name in key else TOTAL for name in columns)
        value = "" if cell.noisy is None else str(cell.noisy)
        writer.writerow((*structure, *fixed, *where, value, *STATUS[cell.status], *none))
    return out.getvalue()


def _codes(release: Release) -> dict[tuple[str, str], str]:
    """Each value of each dimension as a code. A month is a time, and stays as it is."""
    found: dict[tuple[str, str], str] = {}
    for dimension in release.domain.dimensions:
        codes = {value: _CODE.sub("_", value) for value in dimension.values}
        if len(set(codes.values())) != len(codes) or TOTAL in codes.values():
            raise InputRefused("two values would be one code in SDMX", field=dimension.name, code="SDMX_CODE")
        found |= {(dimension.name, value): code for value, code in codes.items()}
    return found


def _attributes(release: Release) -> dict[str, str]:
    """What holds for every cell, by concept."""
    facts = release.facts
    unit, bound, loss, bias = facts["unit"], facts["bound"], facts["loss"], facts["bias"]
    made = datetime.fromtimestamp(facts["released_ns"] // 10**9, UTC)
    return {
        "RELEASE_ID": facts["id"],
        "RELEASED_AT": f"{made:%Y-%m-%dT%H:%M:%SZ}",
        "PRIVACY_UNIT": f"{unit['name']} {unit['period']}, {unit['scope']}",
        "CONTRIBUTION_BOUND": f"{bound['l1']} in all, {bound['linf']} in a cell",
        "DP_MECHANISM": facts["mechanism"]["name"],
        "DP_SCALE": _ratio(facts["mechanism"]["scale"]),
        "DP_EPSILON": _decimal(loss["epsilon_micro"]),
        "DP_DELTA": _ratio(loss["delta"]),
        "DP_MICRO_RHO": str(loss["micro_rho"]),
        "CI95_HALF_WIDTH": str(facts["error"]["half_width_95"]),
        "CI95_COVERS": facts["error"]["covers"],
        "LEFT_OUT": str(bias["lost"]),
        "LEFT_OUT_CI95_HALF_WIDTH": str(bias["lost_half_width_95"]),
        "THRESHOLD": str(facts["suppression"]["threshold"]),
        "OMISSIONS": "; ".join(facts["omissions"]),
        "QUERY_DIGEST": facts["query_digest"].hex(),
        "DATASET": f"{release.query.dataset} {facts['snapshot'].hex()}",
    }


def _decimal(micro: int) -> str:
    """Millionths as a decimal number without trailing zeros."""
    whole, part = divmod(micro, 10**6)
    return f"{whole}.{part:06}".rstrip("0").rstrip(".")


def _ratio(pair: Any) -> str:
    """A fraction exactly, as `1` or `1/3`."""
    return str(Fraction(*pair))
