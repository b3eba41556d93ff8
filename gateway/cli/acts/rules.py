"""`limen policy rules`, `test` and `build`: what authors of rules do, from the first copy to a signed bundle."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.app import bundles
from gateway.cli import node
from gateway.cli.acts.agreement import judged
from gateway.cli.inputs import about, bytes_of
from gateway.cli.main import ERROR, OK
from gateway.cli.output import emit, note
from gateway.config import Config
from gateway.errors import ConfigRefused, InputRefused
from gateway.keyring import files
from gateway.opa import bundle, narrowing, rule_tests, sources
from gateway.opa.bundle import Bundle
from gateway.primitives import strict_json
from gateway.store.reader import Reader

DAY_NS = 86_400 * 10**9


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return {"rules": _rules, "test": _test, "build": _build}[args.verb](args)


def _test(args: argparse.Namespace) -> int:
    outcome = rule_tests.run(*_rules_in(args.folder))
    if not outcome.tests:
        raise InputRefused(f"{args.folder}: no rule there is named test_*", code="POLICY")
    enough = args.threshold is None or outcome.per_cent >= args.threshold
    missed = [(file.file, line) for file in outcome.coverage for line in file.missed]
    emit(
        args,
        {
            "passed": len(outcome.tests) - len(outcome.failed),
            "failed": [{"package": t.package, "name": t.name, "fault": t.fault} for t in outcome.failed],
            "coverage": round(outcome.per_cent, 2),
            "not_reached": [{"file": file, "line": line} for file, line in missed],
        },
        [
            *(f"failed: {t.package}.{t.name}{f' ({t.fault})' if t.fault else ''}" for t in outcome.failed),
            *(f"{file}:{line}: no test reaches this line" for file, line in missed),
            f"{len(outcome.tests) - len(outcome.failed)} passed, {len(outcome.failed)} failed; "
            f"{outcome.per_cent:.1f} % of the rules' lines reached",
        ],
    )
    return OK if enough and not outcome.failed else ERROR


def _rules_in(folder: Path | None) -> tuple[dict[str, str], dict[str, Any]]:
    """Modules by name and the data beside them, in a folder or as they ship. Raises InputRefused naming the file."""
    if folder is not None and not folder.is_dir():
        raise InputRefused(f"{folder}: is no folder", code="FILE")
    modules: dict[str, str] = {}
    data: dict[str, Any] = {}
    for path, content in sources.tree(folder if folder is not None else sources.root()):
        name = "/".join(path)
        try:
            text = content.decode("utf-8")
            if name.endswith(".rego"):
                modules[name] = text
                continue
            value = strict_json.loads(text)
        except ValueError:
            raise InputRefused(f"{name}: is not {'text in UTF-8' if name.endswith('.rego') else 'JSON'}") from None
        for part in reversed(path[:-1]):
            value = {part: value}
        _merge(data, value, name)
    return modules, data


def _merge(data: dict[str, Any], value: object, name: str) -> None:
    """Put a file's document beside the others, as OPA does. Raises InputRefused where two say the same."""
    if not isinstance(value, dict):
        raise InputRefused(f"{name}: must be an object", code="POLICY")
    for key, inner in value.items():
        if isinstance(data.get(key), dict) and isinstance(inner, dict):
            _merge(data[key], inner, name)
        elif key in data:
            raise InputRefused(f"{name}: {key} stands in another file too", code="POLICY")
        else:
            data[key] = inner


def _build(args: argparse.Namespace) -> int:
    settings = node.load(args)
    now = node.clock_of(settings).now_ns()
    sequence = args.sequence if args.sequence is not None else _next_sequence(args)
    signed = [judged(path) for path in args.agreement]
    if args.in_force:
        given = {one.id for one in signed}
        signed += [one for one in bundles.agreements_of(_national(settings, now)) if one.id not in given]
    content = sources.starter_national(
        settings.state,
        signed,
        agencies=list(settings.agencies),
        valid_from_ns=now - DAY_NS,
        valid_until_ns=now + args.days * DAY_NS,
    )
    form: dict[str, Any] = {
        "scope": bundle.national_scope(settings.state),
        "sequence": sequence,
        "not_after_ns": now + args.days * DAY_NS,
    }
    if args.rules is not None:
        content = _with_own_rules(args, content, form)
    with about(args.key):
        raw = bundle.build(content, **form, signing_key_pem=bytes_of(args.key), key_id=args.key.stem)
    files.replace(args.out, raw, mode=0o644)
    emit(
        args,
        {"file": str(args.out), "sequence": sequence, "agreements": len(signed)},
        [
            f"{args.out}: sequence {sequence}, {len(signed)} agreement{'s' * (len(signed) != 1)}; "
            "`limen policy activate` puts it in force"
        ],
    )
    return OK


def _national(settings: Config, now: int) -> Bundle:
    """The national bundle in force. Raises what `bundles.open_bundle` raises."""
    with contextlib.closing(Reader(settings.paths.store)) as reader:
        return bundles.open_bundle(settings, "national", reader, now)


def _with_own_rules(args: argparse.Namespace, content: dict[str, bytes], form: Mapping[str, Any]) -> dict[str, bytes]:
    """The bundle's files with the state's own rules, once their tests pass and nothing becomes wider.

    Raises:
        InputRefused: a test fails, or a golden decision changes and was not accepted.
        VerificationFailed: the rules are not of the form that a bundle may hold.
    """
    outcome = rule_tests.run(*_rules_in(args.rules))
    if not outcome.tests or outcome.failed:
        names = ", ".join(f"{test.package}.{test.name}" for test in outcome.failed) or "there is none"
        raise InputRefused(f"{args.rules}: its tests do not pass: {names}", code="POLICY")
    own = sources.own_rules(args.rules)
    content = {name: body for name, body in content.items() if not name.endswith(".rego")} | own
    made = bundle.unsigned(content, **form)
    changed = narrowing.changes(made)
    for change in changed:
        wider = f"; wider than agreed: {change.wider}" if change.wider else ""
        note(args, f"changes: {change.name}: {change.before} becomes {change.after}{wider}")
    if any(change.wider for change in changed):
        raise InputRefused(f"{args.rules}: rules may refuse more than is agreed, never permit more", code="POLICY")
    if changed and not args.accept:
        what = f"{len(changed)} golden decision{'s become' if len(changed) > 1 else ' becomes'} narrower"
        raise InputRefused(f"{args.rules}: {what}; read them, then sign with --accept", code="POLICY")
    content["limen/national/golden.json"] = sources.dump(narrowing.accepted(made, changed))
    return content


def _rules(args: argparse.Namespace) -> int:
    if args.folder.exists():
        raise InputRefused(f"{args.folder}: is there already; write a new folder", code="FILE")
    names = []
    for name, body in sources.rules():
        names.append(name)
        (args.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (args.folder / name).write_bytes(body)
    emit(
        args,
        {"folder": str(args.folder), "files": names},
        [
            f"{args.folder}: {len(names)} files; edit limen/national/sharing/sharing.rego and its tests, then",
            f"  limen policy test {args.folder}",
            f"  limen policy build --rules {args.folder} ...",
        ],
    )
    return OK


def _next_sequence(args: argparse.Namespace) -> int:
    """One above what is in force, or above the file's in a node that has not started."""
    settings = node.load(args)
    try:
        reader = Reader(settings.paths.store)
    except ConfigRefused:
        return 2
    try:
        held = reader.policy_sequence("national")
    finally:
        reader.close()
    return held[0] + 1 if held else 2
