"""The rules that ship, found in a checkout and in an installed wheel, and the files of a state's first bundle.

In a checkout they lie in `policies/` at the top; a wheel carries the same folder as `gateway/opa/policies`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from gateway.errors import ConfigRefused, InputRefused
from gateway.opa import catalogued, depends, golden, prepare
from gateway.policy import agreement as agreements
from gateway.policy import catalogue
from gateway.policy.agreement import Agreement, Mandate
from gateway.policy.purposes import PRIORITIES, PURPOSES
from gateway.policy.reasons import REASONS
from gateway.terms.words import ListId

FOLDER: Final = "policies"


def root() -> Traversable:
    """The folder of the rules. Raises ConfigRefused where the installation lacks it."""
    package = resources.files("gateway")
    for place in (package / "opa" / FOLDER, package.joinpath("..") / FOLDER):
        if (place / "reasons.json").is_file():
            return place
    raise ConfigRefused("the rules are missing from this installation; install the gateway again")


def tree(place: Traversable, names: Sequence[str] = ()) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Every file of rules (`*.rego`) and of data (`data.json`) below a folder, with its path from there, sorted."""
    for item in sorted(place.iterdir(), key=lambda entry: entry.name):
        path = (*names, item.name)
        if item.is_dir():
            yield from tree(item, path)
        elif item.name.endswith(".rego") or item.name == "data.json":
            yield path, item.read_bytes()


def baseline() -> dict[str, bytes]:
    """The files of the regional baseline's bundle, for `bundle.build`."""
    names = ("sharing/sharing.rego", "catalogue/data.json", "limits/data.json", "golden.json")
    return {f"limen/baseline/{name}": _read("limen", "baseline", *name.split("/")) for name in names}


def rules() -> Iterator[tuple[str, bytes]]:
    """The rules that ship with their tests, examples and data, by their path below `policies/`: for authors to edit."""
    for path, body in tree(root()):
        yield "/".join(path), body


def own_rules(folder: Traversable) -> dict[str, bytes]:
    """A state's own national rules, by their name in a bundle: every module below `limen/national` but the tests.

    Raises:
        InputRefused: there is none, or a rule that gives a reason does not say what it depends on.
        VerificationFailed: a module does not parse.
    """
    found = {
        "/".join(path): body
        for path, body in tree(folder)
        if path[:2] == ("limen", "national") and path[-1].endswith(".rego") and not path[-1].endswith("_test.rego")
    }
    if not found:
        raise InputRefused(f"{folder}: holds no rules below limen/national", code="POLICY")
    for name, body in found.items():
        depends.judge(name, body.decode("utf-8", "replace"))
    return found


def national(state: str, signed: Sequence[Agreement], mandates: Sequence[Mandate]) -> dict[str, bytes]:
    """The files of a state's national bundle over its agreements and mandates, for `bundle.build`.

    Raises VerificationFailed where they contradict each other or are another state's.
    """
    here = "limen/national"
    return {
        f"{here}/sharing/sharing.rego": _read("limen", "national", "sharing", "sharing.rego"),
        f"{here}/state/data.json": dump({"code": state}),
        f"{here}/agreements/data.json": dump({agreement.id: agreement.document() for agreement in signed}),
        f"{here}/mandates/data.json": dump({mandate.id: mandate.document() for mandate in mandates}),
        f"{here}/golden.json": dump(golden.national(state, signed, mandates)),
    }


def starter_national(
    state: str,
    signed: Sequence[Agreement | Mapping[str, Any]],
    *,
    mandates: Sequence[Mandate | Mapping[str, Any]] | None = None,
    agencies: Sequence[str] = (),
    valid_from_ns: int = 0,
    valid_until_ns: int = 0,
) -> dict[str, bytes]:
    """The files of a state's first national bundle.

    `signed` are agreements as values or as documents. Without `mandates`, each list and the state's own statistics get
    a starter mandate for `agencies` and for the state's agencies in the agreements, valid as given or as long as the
    agreements are; a state that names no agency anywhere may list and count nothing.

    Raises:
        InputRefused: an agreement or a mandate is not complete; names the field.
        VerificationFailed: they contradict each other or are another state's.
    """
    judged = [item if isinstance(item, Agreement) else agreements.parse(item) for item in signed]
    if mandates is not None:
        given = [item if isinstance(item, Mandate) else agreements.parse_mandate(item) for item in mandates]
        return national(state, judged, given)
    named = {name for agreement in judged for name in agreement.agencies.get(state, ())} | set(agencies)
    begins = valid_from_ns or min((agreement.valid_from_ns for agreement in judged), default=0)
    ends = valid_until_ns or max((agreement.valid_until_ns for agreement in judged), default=0)
    starters = [
        agreements.starter_mandate(state, list_id, agencies=sorted(named), valid_from_ns=begins, valid_until_ns=ends)
        for list_id in ListId
        if named and begins and ends
    ]
    if starters:
        starters.append(
            agreements.starter_statistics(state, agencies=sorted(named), valid_from_ns=begins, valid_until_ns=ends)
        )
    return national(state, judged, starters)


def generated() -> dict[str, bytes]:
    """The files of `policies/` that are made from the code's tables, by their path there. A test keeps them equal."""
    limits = json.loads(_read("limen", "baseline", "limits", "data.json"))
    example = _example()
    mandates = [
        agreements.starter_mandate("UTO", list_id, agencies=["UBG"], valid_from_ns=1, valid_until_ns=2 * golden.TIME_NS)
        for list_id in ListId
    ]
    mandates.append(
        agreements.starter_statistics("UTO", agencies=["UBG"], valid_from_ns=1, valid_until_ns=2 * golden.TIME_NS)
    )
    return {
        "reasons.json": _pretty(dict(REASONS)),
        "limen/baseline/catalogue/data.json": _pretty(_catalogue()),
        "limen/baseline/prepared/data.json": _pretty(prepare.baseline(limits)),
        "limen/baseline/golden.json": _pretty(golden.baseline(limits)),
        "limen/baseline/safeguards/data.json": _pretty(catalogued.data()),
        "limen/examples/purposes/data.json": _lines("cases", catalogued.cases()),
        "limen/examples/agreement/data.json": _pretty(example.document()),
        "limen/examples/mandates/data.json": _pretty({mandate.id: mandate.document() for mandate in mandates}),
        "limen/examples/prepared/data.json": _pretty(prepare.national("UTO", [example], mandates)),
        "limen/examples/golden.json": _pretty(golden.national("UTO", [example], mandates)),
    }


def _example() -> Agreement:
    """The agreement of two states that do not exist, for tests and for those who write their own."""
    return agreements.starter(
        "UTO", "XOM", agencies={"UTO": ["UBG"], "XOM": ["OMB"]}, valid_from_ns=1, valid_until_ns=2 * golden.TIME_NS
    )


def _catalogue() -> dict[str, Any]:
    """The purpose catalogue as the baseline's rules read it."""
    fields = [name for name in PURPOSES[0].__slots__ if name != "code"]
    return {
        "priorities": dict(PRIORITIES),
        "purposes": {row.code: {name: _plain(getattr(row, name)) for name in fields} for row in PURPOSES},
        "models": {text: True for row in PURPOSES for text in row.legal_basis if catalogue.is_model(text)},
    }


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def dump(value: object) -> bytes:
    """Canonical JSON, as files of a bundle are written."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _pretty(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2) + "\n").encode()


def _lines(name: str, values: Iterable[Mapping[str, Any]]) -> bytes:
    """A list by its name, one value to a line: for what is long."""
    return b"{" + dump(name) + b": [\n" + b",\n".join(dump(value) for value in values) + b"\n]}\n"


def _read(*path: str) -> bytes:
    place = root()
    for part in path:
        place = place / part
    return place.read_bytes()
