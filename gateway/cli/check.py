"""`limen check`: ask other states about a traveller, many, or a flight. Identifiers enter by standard input or file."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node

FIELDS = "birth_country, birth_date, document_number, given_names, issuer, nationality, residence_country, sex, surname"
"""What a traveller may be given as; a test holds it to the reader's own list."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The question's words; the traveller comes by standard input or a file."""
    parser.epilog = (
        "One traveller: the document's lines, or `field: value` lines, or one JSON object, on standard input. "
        f"Fields: {FIELDS}."
    )
    parser.add_argument("--purpose", required=True, metavar="CODE", help="such as SEC.WATCH or DOC.STATUS")
    parser.add_argument("--basis", required=True, metavar="ACT", help="the legal basis, as the agreement names it")
    parser.add_argument("--case", required=True, metavar="REF", help="the case or shift this belongs to")
    parser.add_argument(
        "--protection", action="store_true", help="the person asks for protection: nothing reaches a state of origin"
    )
    parser.add_argument(
        "--origin", action="append", default=[], metavar="AAA", help="a state the person says to have fled from"
    )
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--stream", action="store_true", help="one JSON object a line in, one answer a line out")
    many.add_argument("--passengers", type=Path, metavar="FILE", help="a flight in one question, CSV or PAXLST")
    parser.add_argument("--flight-ends", default="", metavar="TIME", help="when the flight ends, UTC (API.PRESCREEN)")
    parser.add_argument("--crew", action="store_true", help="the list is a crew's: a question of its own")
    back = parser.add_argument_group("for a return (READ.IDENT): two persons sign the question")
    back.add_argument(
        "--asylum",
        choices=("unknown", "none", "open", "granted", "finally-refused"),
        default="unknown",
        help="what is known of a claim; unless none or finally-refused, nothing leaves and nothing is reported",
    )
    back.add_argument("--best-interest", default="", metavar="REF", help="for a child: the decision on its interest")
    back.add_argument("--signature", action="append", default=[], type=Path, metavar="FILE", help="a person's, twice")
    back.add_argument("--sign", type=Path, metavar="OUT", help="sign the question and ask nothing")
    back.add_argument("--key", type=Path, metavar="FILE", help="with --sign: the person's key file")
    back.add_argument("--passphrase-file", type=Path, metavar="FILE", help="its first line is the passphrase")
    parser.add_argument("--on", default="", metavar="YYYY-MM-DD", help="the day documents are read on (default: today)")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="S", help="how long to wait for the gateway")
    node.add_booth(parser)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import check

    return check.run(args)
