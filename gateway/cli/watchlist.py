"""`limen watchlist`: this state's own lists. A change is an act of two persons, with a decision behind it (T9)."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node, passphrase
from gateway.terms import ListId, Role

FORMATS = ("csv", "json")
"""File formats there is a reader for."""

LISTS = [item.value for item in ListId]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`sign`, `load`, `add`, `withdraw`, `impact`, `list`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    sign = verbs.add_parser(
        "sign",
        help="sign a change before it is made",
        description="Sign a change of a list: each of two persons for themselves. A file for `load` or `add`, or the "
        "withdrawal of one entry.",
    )
    sign.add_argument("file", type=Path, nargs="?", metavar="FILE", help="of rows, or of one record")
    sign.add_argument("--withdraw", default="", metavar="ENTRY_ID", help="instead of a file: this entry is withdrawn")
    sign.add_argument("--list", dest="list_id", choices=LISTS, required=True)
    _add_mode(sign)
    _add_words(sign)
    passphrase.add_key(sign, told="the person's key file")
    sign.add_argument("--role", default=Role.LIST_OFFICER.value, metavar="ROLE", help="in which role")
    sign.add_argument(
        "-o", dest="out", type=Path, required=True, metavar="FILE", help="where the signature goes: a new file"
    )

    load = verbs.add_parser(
        "load",
        help="enter a file into a list",
        description="Enter a file into a list. Rows that are refused are left out and named; the others are taken in "
        "one step or, where that fails, none of them. With --mode snapshot a single refused row refuses the file. The "
        "same file again changes nothing.",
    )
    load.add_argument("file", type=Path, metavar="FILE")
    load.add_argument("--list", dest="list_id", choices=LISTS, required=True)
    load.add_argument("--format", choices=FORMATS, default="csv")
    _add_mode(load)
    _add_words(load)
    _add_signatures(load)
    load.add_argument("--preview", action="store_true", help="say what would change, change nothing")
    load.add_argument("--report", type=Path, metavar="FILE", help="what became of every row, as CSV")

    add = verbs.add_parser(
        "add",
        help="enter one record",
        description="Enter one record. Its fields come by file or standard input, never as arguments: a JSON object "
        "of the CSV's columns, or the CSV's header and one row.",
    )
    add.add_argument("list_id", choices=LISTS, metavar="LIST", help=" or ".join(LISTS))
    add.add_argument("--file", default="-", metavar="FILE", help="the record (default: standard input)")
    add.add_argument("--format", choices=FORMATS, default="json")
    _add_words(add)
    _add_signatures(add)
    add.add_argument("--preview", action="store_true", help="say what would change, change nothing")

    withdraw = verbs.add_parser(
        "withdraw",
        help="take one record off",
        description="Take one record off a list. It answers no more once peers hold the next table.",
    )
    withdraw.add_argument("list_id", choices=LISTS, metavar="LIST", help=" or ".join(LISTS))
    withdraw.add_argument("entry_id", metavar="ENTRY_ID")
    withdraw.add_argument("--decision", required=True, metavar="REF", help="the reference of the act")
    withdraw.add_argument("--basis", required=True, metavar="ACT", help="the legal basis of the withdrawal")
    _add_signatures(withdraw)
    node.add_config(withdraw)

    evaluate = verbs.add_parser(
        "evaluate",
        help="what the match keys find and miss, on files whose truth is known",
        description="Meet every traveller with every entry by the keys of a purpose, at home and in clear, and say\n"
        "recall, precision and false hits with their intervals. For files that may be read: a list, travellers (CSV\n"
        "of `id` and the fields of `limen check`) and which of them are the same person (CSV of traveller, entry).",
    )
    evaluate.add_argument("list", type=Path, metavar="LIST", help="a file as `limen watchlist load` takes it")
    evaluate.add_argument("travellers", type=Path, metavar="TRAVELLERS")
    evaluate.add_argument("--truth", type=Path, required=True, metavar="FILE")
    evaluate.add_argument("--owner", required=True, metavar="AAA", help="whose list it is")
    evaluate.add_argument("--purpose", default="SEC.WATCH", metavar="CODE", help="whose keys are measured (SEC.WATCH)")
    evaluate.add_argument("--format", choices=FORMATS, default="csv")

    impact = verbs.add_parser(
        "impact",
        help="what a file's entries would have found among past travellers",
        description="What a file's entries would have found among past travellers, before they are entered. The agency "
        "brings\nthe travellers, since a gateway keeps none. The answer is a band, 0 to 9 is one; each consultation is "
        "signed,\nlogged with its case, and counted: 20 a person and day.",
    )
    impact.add_argument("file", type=Path, metavar="FILE", help="of rows, as `load` takes it")
    impact.add_argument("--list", dest="list_id", choices=LISTS, required=True)
    impact.add_argument("--format", choices=FORMATS, default="csv")
    impact.add_argument("--traffic", type=Path, required=True, metavar="FILE", help="past travellers: CSV or PAXLST")
    impact.add_argument("--case", required=True, metavar="REF", help="the case that the question is for")
    _add_words(impact)
    passphrase.add_key(impact, told="the person's key file")
    impact.add_argument("--role", default=Role.LIST_OFFICER.value, metavar="ROLE", help="in which role")

    show = verbs.add_parser("list", help="count what is on the lists", description="Count what is on the lists.")
    node.add_config(show)


def _add_mode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mode", choices=("snapshot", "delta"), default="delta", help="snapshot withdraws the rest")


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--originator", default="", metavar="AAA", help="for rows that name none: whose information")
    parser.add_argument("--provenance", default="", metavar="LABEL", help="for rows that name none: the source system")
    parser.add_argument("--decision", default="", metavar="REF", help="for rows that name none: the act's reference")
    parser.add_argument("--basis", default="", metavar="ACT", help="the legal basis of the listing")
    parser.add_argument("--valid-until", default="", metavar="DATE", help="for rows that name none: the last day")
    node.add_config(parser)


def _add_signatures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--signature", type=Path, action="append", default=[], metavar="FILE", help="two, of two persons"
    )


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    if args.verb == "evaluate":
        from gateway.cli.acts import evaluate

        return evaluate.run(args)
    from gateway.cli.acts import watchlist

    return watchlist.run(args)
