"""What a policy bundle may contain. Judged before it is signed and again before it is used.

The embedded engine is lazy: it finds an unknown function when the rule is reached, lets data stand in for a rule, and
gives `undefined` for `http.send`, so that `not http.send(...)` is true. So all of that is refused here, from the syntax
tree, before anything is evaluated (rego.md sections 1.3, 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.errors import VerificationFailed
from gateway.opa.rego import Rego, is_engine_fault

BUILTINS: Final = frozenset(
    {
        "array.concat",
        "contains",
        "count",
        "endswith",
        "intersection",
        "is_array",
        "is_boolean",
        "is_null",
        "is_number",
        "is_object",
        "is_set",
        "is_string",
        "max",
        "min",
        "object.get",
        "object.keys",
        "startswith",
        "sum",
        "union",
    }
)
"""The functions a policy may call: total, pure, and equal in the embedded engine and in OPA. No time, no chance, no
network, no text from values. `policies/capabilities.json` gives the same list to OPA."""

LAYERS: Final = ("baseline", "national")

PACKAGE_OF: Final = {layer: f"limen.{layer}.sharing" for layer in LAYERS}
"""The decision package of each layer: defined by one file, with `decision` and `reasons`."""

_RULES: Final = frozenset({"decision", "reasons"})
_IMPORTS: Final = frozenset({"rego.v1", "input"})


def judge(layer: str, modules: Mapping[str, str], data: Mapping[str, Any]) -> None:
    """Raise VerificationFailed unless the modules are pure rules under the layer's root and no datum stands in for one.

    1. Every file parses, and its package lies below `limen.<layer>`.
    2. One file a package; the decision package is there, with its two rules.
    3. No `with`, no alias, no import from elsewhere, no call but to the allow-list or the bundle's own functions.
    4. No data at, above or under a package's path.
    """
    root = f"limen.{layer}."
    trees = {name: _parsed(name, text) for name, text in sorted(modules.items())}
    packages: dict[str, str] = {}
    functions: dict[str, set[str]] = {}
    heads: dict[str, set[str]] = {}
    for name, tree in trees.items():
        package = ".".join(_path(tree["package"]["refr"]) or ("?",))
        if not package.startswith(root) or "?" in package:
            raise _refused(name, f"the package {package} is not below limen.{layer}")
        if package in packages:
            raise _refused(name, f"the package {package} stands in {packages[package]} already")
        packages[package] = name
        functions[package], heads[package] = _heads(name, tree)
    decision = PACKAGE_OF[layer]
    if decision not in packages:
        raise VerificationFailed("bundle content", f"the decision package {decision} is missing")
    for rule in sorted(_RULES - heads[decision]):
        raise _refused(packages[decision], f"the rule {rule} is missing")
    for package, name in packages.items():
        _judge_module(name, trees[name], package, functions)
    for package, name in packages.items():
        _judge_overlap(name, package, data)


def _judge_module(name: str, tree: Mapping[str, Any], package: str, functions: Mapping[str, set[str]]) -> None:
    imported: dict[str, str] = {}
    for item in tree["imports"]:
        path = _path(item["refr"])
        if path is None or (".".join(path) not in _IMPORTS and path[0] not in ("data", "input")):
            raise _refused(name, "an import is not of data, input or rego.v1")
        if item.get("as") is not None:
            raise _refused(name, f"import {'.'.join(path)} without another name")
        imported[path[-1]] = ".".join(path)
    own = {f"data.{place}.{function}" for place, names in functions.items() for function in names}
    for node in _nodes(tree):
        if node.get("with_mods"):
            raise _refused(name, "with stands outside a test")
        call = node.get("Call")
        if not isinstance(call, dict):
            continue
        path = _path(call["fcn"])
        called = ".".join(path) if path else "?"
        if called in BUILTINS or called in functions[package]:
            continue
        head, _, rest = called.partition(".")
        if called in own or (head in imported and f"{imported[head]}.{rest}" in own) or imported.get(called, "") in own:
            continue
        raise _refused(name, f"the function {called} may not be called")


def _judge_overlap(name: str, package: str, data: Mapping[str, Any]) -> None:
    """A document at a rule's path wins over the rule without a word, so none may be near it."""
    place: Any = data
    for part in package.split("."):
        if not isinstance(place, Mapping):
            raise _refused(name, f"data stands above the package {package}")
        if part not in place:
            return
        place = place[part]
    raise _refused(name, f"data stands at the package {package}")


def _parsed(name: str, text: str) -> Mapping[str, Any]:
    if not text.isascii():
        raise _refused(name, "rules are written in ASCII")
    rego = Rego()
    try:
        rego.add_module(name, text)
        (tree,) = rego.trees()
    except BaseException as fault:
        if not is_engine_fault(fault):
            raise
        raise _refused(name, "does not parse as Rego v1") from None
    return tree


def _heads(name: str, tree: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Names of the functions and of the other rules that a module defines."""
    functions: set[str] = set()
    rules: set[str] = set()
    for rule in tree["rules"]:
        if "Default" in rule:
            path = _path(rule["Default"]["refr"])
            kind = "Default"
        else:
            ((kind, head),) = rule["Spec"]["head"].items()
            path = _path(head["refr"])
        if path is None:
            # `name[key]` and `name contains value` in the bracket form: the name is what the bracket stands on.
            continue
        if kind == "Func":
            if len(path) != 1:
                raise _refused(name, f"the function {'.'.join(path)} has dots in its name")
            functions.add(path[0])
        else:
            rules.add(path[0])
    return functions, rules


def _path(node: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of a reference such as `data.limen.x` or `http.send`; None where one is not a constant."""
    if "Var" in node:
        return (str(node["Var"]["value"]),)
    if "RefDot" in node:
        before = _path(node["RefDot"]["refr"])
        return None if before is None else (*before, str(node["RefDot"]["field"][1]))
    if "RefBrack" in node and "String" in node["RefBrack"]["index"]:
        before = _path(node["RefBrack"]["refr"])
        return None if before is None else (*before, str(node["RefBrack"]["index"]["String"]["value"]))
    return None


def _nodes(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every object of the syntax tree."""
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _refused(name: str, why: str) -> VerificationFailed:
    return VerificationFailed("bundle content", f"{name}: {why}")


def tests_of(name: str, text: str) -> tuple[str, tuple[str, ...]]:
    """A module's package with dots, and its tests in order: rules without arguments whose name begins with `test_`.

    Raises:
        VerificationFailed: the module does not parse.
    """
    tree = _parsed(name, text)
    package = _path(tree["package"]["refr"]) or ()
    names: dict[str, None] = {}
    for rule in tree["rules"]:
        if "Spec" in rule:
            ((kind, head),) = rule["Spec"]["head"].items()
            path = _path(head["refr"])
            if kind != "Func" and path is not None and len(path) == 1 and path[0].startswith("test_"):
                names[path[0]] = None
    return ".".join(package), tuple(names)


def heads_at(name: str, text: str) -> tuple[tuple[str, int], ...]:
    """The first name of each rule's head in a module and the line it begins on, in order; defaults are left out.

    Raises:
        VerificationFailed: the module does not parse.
    """
    found = []
    for rule in _parsed(name, text)["rules"]:
        if "Spec" in rule:
            ((_, head),) = rule["Spec"]["head"].items()
            found.append((_root(head["refr"]), int(rule["Spec"]["span"]["line"])))
    return tuple(found)


def _root(node: Mapping[str, Any]) -> str:
    """The name that a reference begins with, whatever stands in its brackets."""
    while "Var" not in node:
        node = next(iter(node.values()))["refr"]
    return str(node["Var"]["value"])
