"""Writes docs/surface.md: what people type, from the commands' own parsers.

python docs/make_surface.py           write the page
python docs/make_surface.py --check   exit 1 when the page is not what would be written
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from gateway.cli.main import EXIT_CODES, NOUNS, Parser
from gateway.errors import CATALOGUE

PAGE = Path(__file__).with_name("surface.md")

COMMON = frozenset({"--json", "--quiet", "--help", "--config", "--set", "--booth"})
"""Options of every command, or of every command about a node or at a workstation."""

WHEN = {
    0: "It was done. `limen check`: the answer is complete, whatever it says",
    1: "Something failed that none of the others names; `limen doctor` and `limen status` found something",
    2: "The command line cannot be understood, or a word in it is none of those it may be; nothing was done",
    3: "The rules refuse, the allowance of the day is used up, or you are not who may: no token, another passphrase. "
    "With `--json` the reasons are a document. `limen check`: every owner refused",
    4: "There is no such thing, or it may not be known that there is",
    5: "A peer could not be reached or has no version in common. `limen check`: what was answered is printed",
    6: "A signature, a digest, a log, an order of versions or words read by telephone do not hold",
    7: "A private statistic costs more than is left; nothing was charged",
    8: "A file, a zone, a setting or a request of yours is not what it must be; nothing was changed",
}

DOCUMENTS = {
    "limen document read": ("a list; each", "format document_code surname given_names document_number issuer "
        "nationality birth_date sex expiry_date optional checks valid errors truncated"),
    "limen passengers read": ("", "flight legs travellers warnings"),
    "limen check": ("", "request_id outcome complete unreachable refused hits"),
    "limen check, each of `hits`": ("", "reference owner class kind action contact traveller screening_required case "
        "possible message sentence match_text contact_text limit_s"),
    "limen check, each of `refused`": ("", "owner reasons"),
    "limen audit verify": ("", "ok origin size root cosignatures steps erased proved not_proved"),
    "a denial (exit code 3)": ("where no document was printed", "error reasons"),
}  # fmt: skip
"""What programs read: names are added, none goes or changes without a note in the changelog."""

HEAD = """\
# The surface

What people type and what scripts may rely on, made from the commands' own help by `docs/make_surface.py`. Names are
added freely; one that is renamed or goes is told in the changelog. A test holds this page, the help and the other pages
together.

Every command takes `--json` (one document on standard output, nothing else there), `-q` and `-h`; those about a node
take `--config FILE` and `--set KEY=VALUE`, those of an officer `--booth DIR`. Errors are one sentence on standard error
that says what to do. What names a person never enters by argument: standard input, a file or a prompt. `python -m
gateway` is the same program; `limen` alone prints one line a role to start with.

"""


def verbs(noun: str) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Command, its line of help and its parser: one for each verb, or the noun itself where it has none."""
    module, told = NOUNS[noun]
    parser = Parser(prog=f"limen {noun}", description=told)
    importlib.import_module(module).add_arguments(parser)
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield f"limen {noun}", told, parser
    for action in below:
        helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for verb, child in action.choices.items():
            yield f"limen {noun} {verb}", helps.get(verb, ""), child


def takes(parser: argparse.ArgumentParser) -> list[str]:
    """Positional words as the help shows them, then the options' long names (or only names), those of all left out."""
    found = []
    for action in parser._actions:
        names = action.option_strings
        if not names:
            shown = action.metavar or action.dest
            word = " ".join(shown) if isinstance(shown, tuple) else str(shown)
            if not isinstance(action, argparse._SubParsersAction):
                found.append(f"[{word}]" if action.nargs in ("?", "*") else word)
        elif not COMMON & set(names):
            name = next((one for one in names if one.startswith("--")), names[0])
            found.append(name if action.required else f"[{name}]")
    return sorted(found, key=lambda word: (word.lstrip("[").startswith("-"), word.startswith("[")))


def page() -> str:
    """The whole page."""
    rows = ["## Exit codes\n", "| code | is | when | refusals ([errors](errors.md)) |", "|---|---|---|---|"]
    for code, told in EXIT_CODES.items():
        kinds = ", ".join(f"`{kind.row.reason}`" for kind in CATALOGUE if kind.row.exit_code == code)
        rows.append(f"| {code} | {told} | {WHEN[code]} | {kinds or 'none'} |")
    rows += ["", "## Commands\n", "In brackets what may be left out.\n"]
    rows += ["| command | is for | takes |", "|---|---|---|"]
    for noun in NOUNS:
        for command, told, parser in verbs(noun):
            words = " ".join(f"`{word}`" for word in takes(parser)).replace("|", "\\|")
            rows.append(f"| `{command}` | {told} | {words or 'nothing'} |")
    rows += ["", "## Documents that programs read (`--json`)\n", "| document | has |", "|---|---|"]
    for name, (told, fields) in DOCUMENTS.items():
        shown = f"`{name}`" if name.startswith("limen") and "," not in name else name
        has = ", ".join(f"`{field}`" for field in fields.split())
        rows.append(f"| {shown} | {told + ': ' if told else ''}{has} |")
    rows += ["", "There is no miss of one state's: `outcome` is `HIT` or `NOTHING_TO_REPORT` over all that were asked.",
             "A release is the document of [private statistics](statistics.md)."]  # fmt: skip
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text("utf-8") != page():
            sys.exit("docs/surface.md is not what the commands' help says: run python docs/make_surface.py")
    else:
        PAGE.write_text(page(), "utf-8")
