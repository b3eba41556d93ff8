"""`limen policy`: the rules, in words and in files."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway import config
from gateway.app import activation, bundles, engines, parts
from gateway.cli import advice, languages, node, passphrase
from gateway.cli.inputs import about, bytes_of, data_of, signatures
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, table
from gateway.cli.report import matrix
from gateway.clock import SystemClock
from gateway.config import Config
from gateway.errors import ConfigRefused, InputRefused, Malformed, PolicyDenied
from gateway.federation import certificates, statement
from gateway.federation.officers import Register
from gateway.keyring import files
from gateway.opa import bundle, operated
from gateway.opa.bundle import Bundle
from gateway.opa.engine import Explanation
from gateway.policy import catalogue, wording
from gateway.policy.decision import Deny
from gateway.policy.purposes import PurposeRow
from gateway.policy.question import Question, Stage, document, parse
from gateway.policy.reasons import REASONS
from gateway.primitives import strict_json
from gateway.store.reader import Reader
from gateway.terms import BATCH_CLASSES, AgencyId, PeerId, Purpose, Role, peer_id

QUESTIONS_BYTES_MAX = 16 << 20
"""A question has some five hundred bytes."""


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    verbs = {
        "list": _list,
        "matrix": _matrix,
        "ask": _ask,
        "explain": _explain,
        "decide": _decide,
        "diff": _diff,
        "verify": _verify,
        "activate": _activate,
        "opa-config": _opa_config,
    }
    return verbs[args.verb](args)


def _explain(args: argparse.Namespace) -> int:
    language = args.language or languages.chosen()
    known = [*REASONS, *advice.MORE]
    for code in args.codes:
        if code not in known:
            raise Refused(f"CODE: none of ours; `limen policy explain` says them all: {', '.join(sorted(known))}")
    rows = [
        {"code": code, "cause": advice.sentence(code, language), "what_to_do": advice.step(code, language)}
        for code in args.codes or known
    ]
    lines = []
    for row in rows:
        lines += [f"{row['code']}: {row['cause']}", f"  {row['what_to_do']}"]
    emit(args, {"language": language, "reasons": rows}, lines)
    return OK


def _list(args: argparse.Namespace) -> int:
    if args.activities:
        return _activities(args)
    if args.activity is not None:
        rows = wording.serving(args.activity)
        if not rows:
            meant = " or ".join(f'"{name}"' for name in wording.near(args.activity))
            hint = f"did you mean {meant}?" if meant else "`limen policy list --activities` names them all"
            raise Refused(f"--activity: none of the catalogue's; {hint}")
        return _told(args, rows)
    if args.purpose is not None:
        row = catalogue.CATALOGUE.get(args.purpose)
        if row is None:
            raise Refused("--purpose: none of the catalogue's; `limen policy list` names them all")
        return _told(args, (row,))
    agreed = _agreed(args)
    table_rows = [
        {
            "purpose": row.code,
            "offered": "yes" if wording.is_offered(row) else "no",
            "group": row.group,
            **({} if agreed is None else {"with": " ".join(agreed.get(row.code, [])) or "-"}),
            "title": row.title,
        }
        for _, row in sorted(catalogue.CATALOGUE.items())
    ]
    columns = ("purpose", "offered", "group", *(() if agreed is None else ("with",)), "title")
    emit(args, table_rows, table(table_rows, columns))
    return OK


def _agreed(args: argparse.Namespace) -> dict[str, list[str]] | None:
    """With whom each purpose is agreed in the rules in force at the node that was named; None where none was."""
    if args.config is None:
        return None
    settings = node.load(args)
    now = node.clock_of(settings).now_ns()
    signed, _ = matrix.sources(_in_force(settings, now))
    found: dict[str, list[str]] = {}
    for one in signed:
        for purpose in one.purposes:
            found.setdefault(purpose, []).extend(party for party in one.parties if party != settings.state)
    return found


def _activities(args: argparse.Namespace) -> int:
    found = {name: [row.code for row in wording.serving(name)] for name in wording.activities()}
    emit(args, found, [f"{name}: {', '.join(codes)}" for name, codes in found.items()])
    return OK


def _told(args: argparse.Namespace, rows: Sequence[PurposeRow]) -> int:
    """Purposes in words."""
    documents = []
    lines: list[str] = []
    for row in rows:
        roles, later_roles = wording.askers(row)
        made, later_keys = wording.keys(row)
        binding, models = wording.bases(row)
        documents.append(
            {
                "purpose": row.code,
                "title": row.title,
                "offered": wording.is_offered(row),
                "group": row.group,
                "activities": list(row.activities),
                "priorities": list(row.priorities),
                "operations": {name: row.operations.get(name, "deny") for name in wording.OPERATIONS},
                "roles": list(roles),
                "roles_not_built": list(later_roles),
                "key_types": list(made),
                "match_keys_not_built": list(later_keys),
                "bases": list(binding),
                "models": list(models),
                "safeguards": list(row.safeguards),
            }
        )
        lines += [f"{row.code}: {row.title}"]
        if not wording.is_offered(row):
            lines.append("  not offered by this release: every question under it is denied, `purpose_not_offered`")
        for name, question in wording.OPERATIONS.items():
            lines.append(f"  {name:<10} {wording.decided(row, name):<25} {question}")
        lines.append(
            f"  who asks   {', '.join([*roles, *(f'{name} (not built)' for name in later_roles)]) or 'nobody'}"
        )
        lines.append(
            f"  found by   {', '.join([*made, *(f'{name} (not built)' for name in later_keys)]) or 'numbers only'}"
        )
        lines.append(f"  bases      what the two states' agreement names; of the instruments: {'; '.join(binding)}")
        lines += [f"             a model, never a basis: {text}" for text in models]
        lines += [f"  protects   {text}" for text in row.safeguards]
        lines.append("")
    emit(args, documents, lines[:-1])
    return OK


def _matrix(args: argparse.Namespace) -> int:
    held: list[Bundle] = []
    state = ""
    now = SystemClock().now_ns()
    if node.is_named(args):
        settings = node.load(args)
        state, now = str(settings.state), node.clock_of(settings).now_ns()
        held = _in_force(settings, now)
    files.replace(args.out, matrix.render(state, held, now).encode("utf-8"), mode=0o644)
    emit(args, {"file": str(args.out), "purposes": len(catalogue.CATALOGUE)}, [f"{args.out}: written"])
    return OK


def _ask(args: argparse.Namespace) -> int:
    settings = node.load(args)
    now = node.clock_of(settings).now_ns()
    rules = _in_force(settings, now)
    purpose = Purpose(args.purpose)
    try:
        role = Role(args.role)
        owner = peer_id(args.owner)
    except ValueError:
        raise Refused("--role and --owner: write a role of the register and a state's three letters") from None
    asked = _questions(args, settings, purpose, role, owner, now)
    results: list[dict[str, Any]] = []
    denied: set[str] = set()
    for question, explained in asyncio.run(_explained(settings, rules, asked, now)):
        results.append({"list": document(question)["list"], **_decided(explained), "question": document(question)})
        if isinstance(explained.decision, Deny):
            denied.update(explained.decision.reasons)
    lines = []
    for row in results:
        lines += _said(row["list"], row)
    emit(args, results, lines)
    if denied:
        raise PolicyDenied(tuple(sorted(denied)))
    return OK


def _decided(explained: Explanation) -> dict[str, Any]:
    """A decision for programs: what a yes is bounded by, or where a no comes from."""
    decision = explained.decision
    if isinstance(decision, Deny):
        return {
            "allowed": False,
            "reasons": list(decision.reasons),
            "baseline": list(explained.baseline),
            "national": list(explained.national),
            "floors": list(explained.floors),
        }
    return {
        "allowed": True,
        "agreement": decision.agreement,
        "key_types": list(decision.key_types),
        "kinds": list(decision.kinds),
        "slots_per_day": decision.slots_per_day,
        "retention": decision.retention,
        "obligations": list(decision.obligations),
    }


def _said(name: str, row: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    if row["allowed"]:
        by = f", by {', '.join(row['key_types'])}" if row["key_types"] else ""
        return [f"{name}: yes, under {row['agreement']}{by}"]
    found = [
        f"  {layer}: {code}: {REASONS[code]}" for layer in ("baseline", "national", "floors") for code in row[layer]
    ]
    # What no layer says by itself comes of putting the two together.
    return [f"{name}: no", *(found or [f"  together: {code}: {REASONS[code]}" for code in row["reasons"]])]


def _decide(args: argparse.Namespace) -> int:
    settings = node.load(args)
    now = node.clock_of(settings).now_ns()
    asked = _read_questions(args.file)
    rules = _in_force(settings, now)
    rows = [
        {"question": place, **_decided(explained)}
        for place, (_, explained) in enumerate(asyncio.run(_explained(settings, rules, asked, now)), 1)
    ]
    lines = []
    for row, question in zip(rows, asked, strict=True):
        lines += _said(f"{row['question']}: {_named(question)}", row)
    emit(args, rows, lines)
    denied = {code for row in rows if not row["allowed"] for code in row["reasons"]}
    if denied:
        raise PolicyDenied(tuple(sorted(denied)))
    return OK


def _named(question: Question) -> str:
    return f"{question.stage} {question.purpose} {question.operation}, {question.asker} to {question.owner}"


def _read_questions(name: str) -> list[Question]:
    """The questions in a file. Raises InputRefused naming the file, the question's place and the field."""
    data = data_of(name, QUESTIONS_BYTES_MAX)
    if len(data) > QUESTIONS_BYTES_MAX:
        raise InputRefused(f"{name}: is larger than {QUESTIONS_BYTES_MAX >> 20} MB", code="FILE")
    try:
        found = strict_json.loads(data.decode("utf-8"))
    except ValueError:
        raise InputRefused(f"{name}: is not JSON", code="FILE") from None
    asked = []
    for place, item in enumerate(found if isinstance(found, list) else [found], 1):
        try:
            asked.append(parse(item))
        except InputRefused as refusal:
            where = f"{name}: question {place}: {refusal.field + ': ' if refusal.field else ''}{refusal.why}"
            raise InputRefused(where, code=refusal.code) from None
    if not asked:
        raise InputRefused(f"{name}: holds no question", code="FILE")
    return asked


def _in_force(settings: Config, now: int) -> list[Bundle]:
    """The node's two bundles, baseline first."""
    reader = Reader(settings.paths.store)
    try:
        return [bundles.open_bundle(settings, layer, reader, now) for layer in ("baseline", "national")]
    finally:
        reader.close()


def _diff(args: argparse.Namespace) -> int:
    settings = node.load(args)
    now = node.clock_of(settings).now_ns()
    before = _in_force(settings, now)
    other = _open(args)
    after = [other if held.layer == other.layer else held for held in before]
    asked: dict[Question, str] = {}
    for held in (*before, other):
        for case in held.golden:
            asked.setdefault(_at(parse(case["question"]), now), str(case["name"]))
    for place, question in enumerate(_read_questions(args.questions) if args.questions else (), 1):
        asked.setdefault(question, f"question {place}: {_named(question)}")
    was = asyncio.run(_explained(settings, before, list(asked), now))
    becomes = asyncio.run(_explained(settings, after, list(asked), now))
    rows: list[dict[str, Any]] = [
        {"name": asked[question], "before": _decided(old), "after": _decided(new)}
        for (question, old), (_, new) in zip(was, becomes, strict=True)
        if _decided(old) != _decided(new)
    ]
    opened = sum(row["after"]["allowed"] and not row["before"]["allowed"] for row in rows)
    closed = sum(row["before"]["allowed"] and not row["after"]["allowed"] for row in rows)
    lines = []
    for row in rows:
        lines.append(f"{row['name']}")
        lines += [f"  {when}: {_short(row[when])}" for when in ("before", "after")]
    lines.append(
        f"{len(asked)} questions: {opened} permitted that were denied, {closed} denied that were permitted, "
        f"{len(rows) - opened - closed} with other bounds or reasons"
    )
    told = {
        "questions": len(asked), "opened": opened, "closed": closed, "other": len(rows) - opened - closed,
        "changes": rows,
    }  # fmt: skip
    if args.out is not None:
        files.replace(args.out, activation.report(other, settings.state, _digests(settings), told), mode=0o644)
        lines.append(f"{args.out}: the report, for two policy officers to read and to sign for")
    emit(args, told, lines)
    return OK


def _digests(settings: Config) -> dict[str, bytes]:
    """The digest of each layer's bundle that the log has in force."""
    with contextlib.closing(Reader(settings.paths.store)) as reader:
        held = {layer: reader.policy_sequence(layer) for layer in ("baseline", "national")}
    return {layer: known[1] for layer, known in held.items() if known is not None}


def _at(question: Question, now: int) -> Question:
    """The question as if it were put now: a bundle's own cases are asked at times of their own."""
    return replace(question, time_ns=now)


def _short(row: Mapping[str, Any]) -> str:
    if not row["allowed"]:
        return f"no ({', '.join(row['reasons'])})"
    words = [row["agreement"], *row["key_types"], *row["kinds"], f"{row['slots_per_day']} a day", row["retention"]]
    return f"yes ({', '.join(words)})"


def _questions(
    args: argparse.Namespace, settings: Config, purpose: Purpose, role: Role, owner: PeerId, now: int
) -> list[Question]:
    """One question for each list of the purpose; one without a list where it has none."""
    aggregate = catalogue.is_aggregate(purpose)
    return [
        Question(
            stage=Stage.ASK,
            purpose=purpose,
            operation=catalogue.check_operation(purpose),
            legal_basis=args.basis,
            list_id=list_id,
            key_types=catalogue.key_types_of(purpose),
            class_size=0 if aggregate else BATCH_CLASSES[0],
            asker=settings.state,
            owner=owner,
            agency=AgencyId(args.agency or settings.agencies[0]),
            role=role,
            has_case=not args.no_case and not aggregate,
            signers=catalogue.signers_of(purpose, Stage.ASK),
            time_ns=now,
        )
        for list_id in catalogue.lists_of(purpose) or (None,)
    ]


async def _explained(
    settings: Config, rules: Sequence[Bundle], asked: Sequence[Question], now: int
) -> list[tuple[Question, Explanation]]:
    """What the engine that the settings name says, and no other: a node decides by that one too."""
    baseline, national = rules
    async with engines.ready(settings, baseline, national, now_ns=now) as engine:
        return [(question, await engine.explain(question)) for question in asked]


def _verify(args: argparse.Namespace) -> int:
    if not args.key and not node.is_named(args):
        raise Refused("there is no node here: give --key FILE, who may sign the bundle, or a node with --config")
    opened = _open(args) if not args.key else _open_alone(args)
    emit(
        args,
        {
            "layer": opened.layer,
            "scope": opened.scope,
            "sequence": opened.sequence,
            "digest": opened.digest.hex(),
            "signer": opened.key_id,
            "golden_decisions": len(opened.golden),
        },
        [f"{args.file}: {opened.scope}, sequence {opened.sequence}, signed by {opened.key_id}, {opened.digest.hex()}"],
    )
    return OK


def _activate(args: argparse.Namespace) -> int:
    opened = _open(args)
    settings = node.load(args)
    if args.sign is not None:
        return _sign(args, settings, opened)
    _hand_over(args, settings, opened)
    files.replace(settings.paths.policy / f"{opened.layer}.tar.gz", bytes_of(args.file))
    emit(
        args,
        {"layer": opened.layer, "sequence": opened.sequence, "digest": opened.digest.hex()},
        [f"sequence {opened.sequence} is handed over; a running node logs it and follows within a second or two"],
    )
    return OK


def _sign(args: argparse.Namespace, settings: Config, opened: Bundle) -> int:
    if args.key is None or args.impact is None:
        raise Refused("--sign: name your key file with --key and the report that you have read with --impact")
    data = _impact(args.impact)
    with about(args.impact):
        activation.judge_report(data, opened, settings.state, _digests(settings))
    now_ns = node.clock_of(settings).now_ns()
    signed_facts = activation.facts(opened, settings.state, data)
    passphrase.sign(args, args.sign, statement.ACTIVATION, signed_facts, role=Role.POLICY_OFFICER, signed_ns=now_ns)
    emit(args, {"file": str(args.sign)}, [f"{args.sign}: signed; the second person signs the same report"])
    return OK


def _hand_over(args: argparse.Namespace, settings: Config, opened: Bundle) -> None:
    """Put the report and its signatures beside the bundle, or see that nobody has to sign.

    Raises:
        PolicyDenied: `signers`: two persons sign first.
        VerificationFailed, NotIdentified: a report or a signature that does not hold.
    """
    now_ns = node.clock_of(settings).now_ns()
    try:
        before = _digests(settings)
    except ConfigRefused:
        before = {}  # A node that was never started: its first rules are part of founding it.
    register = parts.register_of(settings) if before else Register()
    is_asked = activation.is_asked(register, before, opened.layer, now_ns)
    if args.impact is None and not args.signature:
        if is_asked:
            raise PolicyDenied(("signers",))
        activation.place(settings, opened.layer).unlink(missing_ok=True)
        return
    if args.impact is None or not args.signature:
        raise Refused("--impact and --signature go together: the report, and who has signed for it")
    data, signed = _impact(args.impact), signatures(args.signature)
    with about(args.impact):
        activation.judge(data, signed, opened, settings.state, before, register, now_ns)
    files.replace(activation.place(settings, opened.layer), activation.encode(data, signed))


def _impact(path: Path) -> bytes:
    return bytes_of(path, activation.REPORT_BYTES_MAX, InputRefused)


def _opa_config(args: argparse.Namespace) -> int:
    settings = node.load(args)
    server = settings.policy.server or f"unix://{settings.paths.run / 'opa.sock'}"
    now = node.clock_of(settings).now_ns()
    held = []
    for layer in ("baseline", "national"):
        path = settings.paths.policy / f"{layer}.tar.gz"
        keys = bundles.policy_keys(settings.paths.policy, layer)
        scope = bundle.BASELINE if layer == "baseline" else bundle.national_scope(settings.state)
        opened = bundle.open_(bytes_of(path), keys, scope, 0, now)
        held.append(operated.Held(layer, path, scope, opened.key_id, keys[opened.key_id]))
    args.out.mkdir(parents=True, exist_ok=True)
    files.replace(args.out / operated.CONFIG, operated.configuration(held), mode=0o644)
    files.replace(args.out / operated.AUTHZ, operated.RULES.encode("utf-8"), mode=0o644)
    command = operated.command(server, args.out.resolve())
    emit(
        args,
        {"files": [str(args.out / name) for name in (operated.CONFIG, operated.AUTHZ)], "command": command},
        [
            f"{args.out / operated.CONFIG} and {args.out / operated.AUTHZ} are written. Run the server with",
            "",
            f"  {shlex.join(command)}",
            "",
            f'and in {config.FILE_NAME}: [policy] engine = "opa", server = "{server}".',
        ],
    )
    return OK


def _open(args: argparse.Namespace) -> bundle.Bundle:
    settings = node.load(args)
    now = node.clock_of(settings).now_ns()
    scope = bundle.BASELINE if args.layer == "baseline" else bundle.national_scope(settings.state)
    held: tuple[int, bytes] | None = None
    try:
        reader = Reader(settings.paths.store)
    except ConfigRefused:
        pass
    else:
        held = reader.policy_sequence(args.layer)
        reader.close()
    sequence, digest = held if held is not None else (0, b"")
    keys = bundles.policy_keys(settings.paths.policy, args.layer)
    with about(args.file):
        return bundle.open_(bytes_of(args.file), keys, scope, sequence, now, anchored_digest=digest)


def _open_alone(args: argparse.Namespace) -> bundle.Bundle:
    """The bundle by the keys that were given, with no node: whether a newer one was in force is not known here."""
    if args.layer == "baseline":
        scope = bundle.BASELINE
    elif args.state:
        scope = bundle.national_scope(args.state)
    else:
        raise Refused("--state: write whose national bundle it should be, such as PAN; or --layer baseline")
    keys = {}
    for path in args.key:
        pem = bytes_of(path)
        try:
            keys[f"{args.layer}-{certificates.public_pin(pem).hex()[:8]}"] = pem
        except Malformed as cause:
            raise InputRefused(f"{path}: {cause}") from None
    with about(args.file):
        return bundle.open_(bytes_of(args.file), keys, scope, 0, SystemClock().now_ns())
