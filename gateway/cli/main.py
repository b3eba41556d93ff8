"""`limen NOUN ...`: find the noun, import its module, run it, and turn what it raises into one sentence and a code."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn, Protocol

from gateway import __version__
from gateway.errors import GatewayError

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
DENIED: Final = 3

EXIT_CODES: Final = {
    0: "ok",
    1: "error",
    2: "usage",
    3: "denied",
    4: "not found",
    5: "incomplete: a peer unreachable",
    6: "verification failed",
    7: "budget exhausted",
    8: "input refused",
}
"""What a command ends with; docs/surface.md says when."""

INTERRUPTED: Final = 130
"""As shells report a program that SIGINT ended."""


class Noun(Protocol):
    """What a noun's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare verbs and flags. `--json`, `-q` and `-h` are there already, on every parser below too."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it and return the exit code. `args.json` and `args.quiet` are always set."""


NOUNS: dict[str, tuple[str, str]] = {
    "init": ("gateway.cli.init", "make a node: own anchor, keys, settings, empty store"),
    "serve": ("gateway.cli.serve", "run a node: policy, log, keys and listeners"),
    "status": ("gateway.cli.status", "is the node up, what is in force, which peers, which tables"),
    "check": ("gateway.cli.check", "ask other states about a traveller, many, or a flight"),
    "document": ("gateway.cli.document", "the machine readable zone of a document, as fields"),
    "passengers": ("gateway.cli.passengers", "a carrier's list (PAXLST), as a flight and its travellers"),
    "case": ("gateway.cli.case", "the follow-up of a hit: inbox, confirm, request, approve, refuse"),
    "alert": ("gateway.cli.alert", "what a supervisor should look at: list, show, assign, close"),
    "watchlist": ("gateway.cli.watchlist", "this state's own lists: sign, load, add, withdraw, count"),
    "protection": ("gateway.cli.protection", "who must be shielded: sign, set, clear, show with the history"),
    "events": ("gateway.cli.events", "this state's events for statistics: sign, load, list"),
    "release": ("gateway.cli.release", "private statistics: plan, request, get, list, budget, export"),
    "map": ("gateway.cli.map", "which column of a file of events is what: suggest, check"),
    "policy": ("gateway.cli.policy", "the rules, in words and in files"),
    "agreement": ("gateway.cli.agreement", "what two states sign: draft, check"),
    "peer": ("gateway.cli.peer", "other states: invite, accept, test, list, copies, suspend"),
    "audit": ("gateway.cli.audit", "the access log: export, verify offline, show"),
    "officer": ("gateway.cli.officer", "persons, their keys and roles; log in"),
    "federation": ("gateway.cli.federation", "the signed list of members: show, make, sign, verify, accept"),
    "node": ("gateway.cli.day_two", "back a node up, bring one back, begin a new log"),
    "config": ("gateway.cli.config", "every setting and where its value came from"),
    "demo": ("gateway.cli.demo", "five states on this machine, every step narrated and checked"),
    "sandbox": ("gateway.cli.sandbox", "a state of published test travellers, each with a fixed outcome"),
    "epoch": ("gateway.cli.epoch", "keys that peers' tables are made under: list, rotate by two persons"),
    "doctor": ("gateway.cli.doctor", "clock, certificates, store, policy, peers, memory, each with the fix"),
}
"""Noun -> module and one line of help, in the order of `limen --help`."""

START: Final = (
    ("officer", "limen officer login", "log in, then `limen check --help`"),
    ("operator", "limen init --state AAA DIR", "make a node, then `limen peer invite` and `limen doctor`"),
    ("auditor", "limen audit verify PATH", "check an export offline, with public keys only"),
    ("developer", "limen demo", "five states on this machine, every step narrated"),
    ("lawyer", "limen policy --help", "the rules in words and in files"),
)
"""What `limen` alone says: one line a role."""


class Refused(Exception):
    """The command line cannot be understood; the text says what to write instead. Exit code 2."""


class Parser(argparse.ArgumentParser):
    """argparse with our manners: errors are one sentence, and every parser below takes `--json` and `-q` too."""

    def __init__(self, **given: object) -> None:
        given.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **given)  # type: ignore[arg-type]  # argparse's own keywords
        common = self.add_argument_group("for every command")
        common.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document on standard output"
        )
        common.add_argument(
            "-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="say only what was asked for"
        )

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but what is unknown is told with the help of the command that does not know it."""
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._named(known).error(f"unrecognized arguments: {' '.join(unknown)}")
        return known

    def _named(self, known: argparse.Namespace) -> argparse.ArgumentParser:
        """The parser of the verb that was typed; this one where there are no verbs."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                found = action.choices.get(str(getattr(known, action.dest, "")))
                if isinstance(found, Parser):
                    return found._named(known)
        return self

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage: the sentence names the command whose `-h` says more.

        What is not an option is never repeated: it may be a name or a number that somebody typed there (T15).
        """
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            options = " ".join(word.partition("=")[0] for word in unknown.split() if word.startswith("--"))
            message = f"unrecognized arguments: {options or 'something that is no option'}"
        raise Refused(f"{message}; see `{self.prog} -h`")


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code. Nothing but the answer goes to standard output."""
    given = argparse.Namespace(json=False, emitted=False)
    try:
        return _run(list(argv), given)
    except Refused as refusal:
        return fail(str(refusal), USAGE)
    except GatewayError as error:
        if error.row.exit_code == DENIED and given.json and not given.emitted:
            import json  # here, because most commands end otherwise

            print(json.dumps({"error": error.row.reason, "reasons": list(getattr(error, "reasons", ()))}, indent=2))
        from gateway.cli import advice  # here, because most commands end otherwise

        told = advice.told(error)
        return fail(told if not error.file or error.file in told else f"{error.file}: {told}", error.row.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`| head`). Standard output must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return fail("interrupted", INTERRUPTED)
    except OSError as error:
        what = f"{error.filename}: " if error.filename is not None else ""
        return fail(f"{what}{error.strerror or error}", ERROR)


def fail(sentence: str, code: int) -> int:
    """Say one sentence on standard error and return the code."""
    line = " ".join(sentence.split())
    print(f"limen: {line}", file=sys.stderr)
    return code


def _run(argv: list[str], typed: argparse.Namespace) -> int:
    noun, place = next(((word, n) for n, word in enumerate(argv) if not word.startswith("-")), ("", len(argv)))
    before, rest = argv[:place], argv[place + 1 :]
    top = _top()
    if not noun:
        args = top.parse_args(before)
        if args.version:
            print(f"limen {__version__}")
            return OK
        _start()
        return OK
    if noun not in NOUNS:
        near = difflib.get_close_matches(noun, NOUNS, n=1, cutoff=0.6)
        raise Refused(f"{noun} is not a command" + (f"; did you mean {near[0]}?" if near else "; see `limen -h`"))
    top.parse_args(before)
    module: Noun = importlib.import_module(NOUNS[noun][0])
    parser = Parser(prog=f"limen {noun}", description=NOUNS[noun][1])
    module.add_arguments(parser)
    # What stands before the noun (`limen --json officer list`) counts as if it stood behind it.
    args = parser.parse_args([*before, *rest], typed)
    args.quiet = getattr(args, "quiet", False)
    return module.run(args)


def _top() -> Parser:
    width = max(map(len, NOUNS))
    commands = "\n".join(f"  {noun:<{width}}  {line}" for noun, (_, line) in NOUNS.items())
    codes = " · ".join(f"{code} {told}" for code, told in EXIT_CODES.items())
    parser = Parser(
        prog="limen",
        usage="limen [-h] [--json] [-q] COMMAND ...",
        description="Ask another state about a traveller without telling it whom you asked about.",
        epilog=f"commands:\n{commands}\n\nEach command has its own help: `limen COMMAND -h`.\nExit codes: {codes}.",
    )
    parser.add_argument("--version", action="store_true", help="print the release")
    return parser


def _start() -> None:
    width = max(len(command) for _, command, _ in START)
    for role, command, then in START:
        print(f"{role + ':':<11}{command:<{width}}   {then}")
