"""`limen policy`: the rules, in words and in files."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import languages, node

LIFE_DAYS = 180
"""How long a bundle holds unless said otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    listed = verbs.add_parser(
        "list",
        help="the purposes there are",
        description="The purposes of the catalogue; with --purpose or --activity in words: who may ask what, on which\n"
        "bases, by what a person is found, and what protects whom. With --config also\n"
        "with whom a purpose is agreed there.",
    )
    listed.add_argument("--purpose", metavar="CODE", help="this one, in words")
    listed.add_argument("--activity", metavar="NAME", help='those that serve it, in words, such as "Readmission"')
    listed.add_argument("--activities", action="store_true", help="the activities there are, with their purposes")
    node.add_config(listed)

    matrix = verbs.add_parser(
        "matrix",
        help="purposes, operations, roles, guards and agreements as a page",
        description="Write a page (HTML, for screen and paper) of the whole catalogue: what each purpose permits, who\n"
        "asks, the guards that no rule opens; with a node, the agreements and mandates in force there.",
    )
    matrix.add_argument("-o", dest="out", type=Path, required=True, metavar="FILE")
    node.add_config(matrix)

    ask = verbs.add_parser(
        "ask", help="may this question be put?", description="Put a question to the rules in force; asks nobody else."
    )
    ask.add_argument("--purpose", required=True, metavar="CODE")
    ask.add_argument("--basis", required=True, metavar="ACT", help="the legal basis")
    ask.add_argument("--owner", required=True, metavar="AAA", help="the state that would be asked")
    ask.add_argument("--agency", metavar="CODE", help="default: the node's first")
    ask.add_argument("--role", required=True, metavar="ROLE")
    ask.add_argument("--no-case", action="store_true", help="as if no case reference was given")
    node.add_config(ask)

    explain = verbs.add_parser(
        "explain",
        help="what a reason's code means and what to do, in five languages",
        description="Say in a sentence what the code of a no means and what can be done about it; without a code, say\n"
        "it of every one. Codes depend on what was asked and by whom, never on the person asked about.",
    )
    explain.add_argument("codes", nargs="*", metavar="CODE", help="such as legal_basis")
    explain.add_argument(
        "--language", choices=tuple(languages.LANGUAGES), help="default: LIMEN_LANGUAGE in the environment, else en"
    )

    decide = verbs.add_parser(
        "decide",
        help="what the rules say to questions in a file",
        description="Put questions to the rules in force: one, or a list of them, in the form that the rules read\n"
        "(`limen policy ask --json` shows one). No other state is asked, nothing is done, nothing is logged.",
    )
    decide.add_argument("file", metavar="FILE", help="JSON; - for standard input")
    node.add_config(decide)

    diff = verbs.add_parser(
        "diff",
        help="what another bundle would decide otherwise",
        description="Put every golden question of both bundles, and those of --questions, to the rules in force and\n"
        "to those with the other bundle in its place; say each decision that changes.",
    )
    diff.add_argument("file", type=Path, metavar="FILE", help="the other bundle")
    diff.add_argument("--layer", choices=("baseline", "national"), default="national")
    diff.add_argument("--questions", metavar="FILE", help="more questions, as `limen policy decide` takes them")
    diff.add_argument("-o", dest="out", type=Path, metavar="FILE", help="also as the report that two persons sign for")
    node.add_config(diff)

    rules = verbs.add_parser(
        "rules",
        help="the rules that ship, as files to edit",
        description="Write the rules that ship, with their tests and examples, to a new folder, for a state that\n"
        "wants conditions of its own. docs/policy-authors.md leads through it.",
    )
    rules.add_argument("folder", type=Path, metavar="DIR", help="a new folder")

    test = verbs.add_parser(
        "test",
        help="run the tests that stand beside rules",
        description="Run the rules named `test_*` below a folder as `opa test` does, without OPA, and say which lines\n"
        "of the rules no test reached. Data is read from each `data.json`, under the path of its folder.",
    )
    test.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="default: the rules that ship")
    test.add_argument("--threshold", type=float, metavar="N", help="fail where less than N % of the lines are reached")

    build = verbs.add_parser(
        "build", help="build and sign a bundle", description="Build this state's bundle and sign it."
    )
    build.add_argument("--agreement", type=Path, action="append", default=[], metavar="FILE", help="an agreement, JSON")
    build.add_argument(
        "--in-force", action="store_true", help="with the agreements of the bundle in force, but for those given anew"
    )
    build.add_argument("--rules", type=Path, metavar="DIR", help="own rules instead of those that ship")
    build.add_argument(
        "--accept", action="store_true", help="with --rules: sign although golden decisions become narrower; say which"
    )
    build.add_argument("--key", type=Path, required=True, metavar="FILE", help="the policy authority's key, PEM")
    build.add_argument("--sequence", type=int, metavar="N", help="above the one in force (default: one above)")
    build.add_argument("--days", type=int, default=LIFE_DAYS, metavar="N", help="how long it holds")
    build.add_argument("-o", dest="out", type=Path, required=True, metavar="FILE")
    node.add_config(build)

    check = verbs.add_parser(
        "verify",
        help="check a bundle",
        description="Check a bundle's signature and content: by a node's keys and what it had in force, or with --key "
        "by files alone.",
    )
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--layer", choices=("baseline", "national"), default="national")
    check.add_argument(
        "--key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="who may sign it, public PEM; no node needed",
    )
    check.add_argument("--state", metavar="AAA", help="with --key: whose national bundle it should be")
    node.add_config(check)

    activate = verbs.add_parser(
        "activate",
        help="put a bundle in force, by two persons",
        description="Verify a bundle and hand it to the running node. From the day that two policy officers are\n"
        "enrolled, two of them sign first, over the bundle and the report of `limen policy diff -o`.",
    )
    activate.add_argument("file", type=Path, metavar="FILE")
    activate.add_argument("--layer", choices=("baseline", "national"), default="national")
    activate.add_argument("--impact", type=Path, metavar="FILE", help="the report of what changes")
    activate.add_argument("--sign", type=Path, metavar="OUT", help="sign for it and hand nothing over yet")
    activate.add_argument("--key", type=Path, metavar="FILE", help="your key file, with --sign")
    activate.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="its first line is the passphrase (default: a prompt)"
    )
    activate.add_argument(
        "--signature", type=Path, action="append", default=[], metavar="FILE", help="two, of two persons"
    )
    node.add_config(activate)

    opa = verbs.add_parser(
        "opa-config",
        help="files to run an OPA server with",
        description="Write the configuration and the access rules of an OPA server for this node, and how to start it.",
    )
    opa.add_argument("-o", dest="out", type=Path, required=True, metavar="DIR", help="a folder of the server's own")
    node.add_config(opa)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    if args.verb in ("rules", "test", "build"):
        from gateway.cli.acts import rules

        return rules.run(args)
    from gateway.cli.acts import policy

    return policy.run(args)
