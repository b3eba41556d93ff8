"""`limen audit`: what an auditor does. `verify`, `show` and `search` need no node, no network and no configuration."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verbs of `limen audit`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    head = verbs.add_parser("head", help="the newest checkpoint", description="Print the newest checkpoint.")
    node.add_config(head)

    exporting = verbs.add_parser(
        "export", help="write the log to a folder", description="Write the log to a new folder."
    )
    exporting.add_argument("path", type=Path, metavar="DIR", help="a new folder")
    exporting.add_argument(
        "--cosignatures", type=int, metavar="K", help="up to a checkpoint with so many (default: at least one)"
    )
    exporting.add_argument("--pair", metavar="AAA", help="only the entries about this peer, provably all of them")
    exporting.add_argument("--no-payloads", action="store_true", help="leaves only, without the sealed payloads")
    node.add_config(exporting)

    card = verbs.add_parser("card", help="make a trust card", description="Make an auditor's card of public keys.")
    card.add_argument("--federation", type=Path, required=True, metavar="FILE", help="the signed list of members")
    card.add_argument("--state", required=True, metavar="AAA", help="whose log the card is for")
    who = card.add_mutually_exclusive_group()
    who.add_argument("--quorum", type=int, metavar="K", help="peers needed as witnesses (default: more than half)")
    who.add_argument(
        "--witnesses",
        type=Path,
        metavar="FILE",
        help="a tlog-policy, with witnesses outside the federation too, instead of the peers alone",
    )
    card.add_argument("--seen", type=Path, metavar="DIR", help="an export verified before: the log must extend it")
    card.add_argument("--register", type=Path, metavar="FILE", help="the agency's register: only its persons count")
    card.add_argument("--register-key", metavar="HEX", help="the public key that the register is signed with")
    card.add_argument("-o", dest="out", type=Path, metavar="FILE", help="where to (default: standard output)")

    check = verbs.add_parser(
        "verify",
        help="verify an export, a bundle or a proof offline",
        description="Verify an export, or entries of one, offline.",
    )
    check.add_argument("path", type=Path, metavar="PATH", help="a folder of `limen audit export`, a bundle or a proof")
    check.add_argument("--trust", type=Path, required=True, metavar="CARD", help="the card of public keys")
    check.add_argument("--witnessed", type=Path, action="append", default=[], metavar="NOTE", help="a witness's copy")
    check.add_argument("--reader-key", type=Path, metavar="FILE", help="supervisor's or auditor's key: opens payloads")

    show = verbs.add_parser("show", help="read an export's entries", description="Print entries of an export.")
    show.add_argument("path", type=Path, metavar="DIR", help="what `limen audit export` wrote")
    show.add_argument("--reader-key", type=Path, metavar="FILE", help="opens what is sealed to this reader")
    show.add_argument("--kind", metavar="KIND", help="only entries of this kind")
    show.add_argument("--seq", type=int, metavar="N", help="only the entry of this number")
    show.add_argument("--peer", metavar="AAA", help="only entries about this peer")
    show.add_argument("--proof", type=Path, metavar="FILE", help="write that one entry as a C2SP tlog-proof")

    both = verbs.add_parser(
        "reconcile",
        help="hold two states' exports against each other",
        description="Find what one of two states' logs withholds, adds, changes or moves, and whose doing it is. Each "
        "folder is a whole export or one made with --pair.",
    )
    both.add_argument("one", type=Path, metavar="A", help="an export of the one side")
    both.add_argument("other", type=Path, metavar="B", help="an export of the other side")
    both.add_argument("--trust", type=Path, action="append", required=True, metavar="CARD", help="a card of each log")
    both.add_argument(
        "--federation", type=Path, action="append", required=True, metavar="FILE",
        help="the signed list of members, for their message keys; older lists too, where keys have changed",
    )  # fmt: skip

    announcing = verbs.add_parser(
        "announce",
        help="announce a sample of questions",
        description="Enter into the log that a sample will be taken, before anybody can know which.",
    )
    announcing.add_argument("--about", required=True, metavar="AAA", help="the owner that was asked")
    announcing.add_argument("--count", type=int, default=20, metavar="N", help="how many questions (default: 20)")
    node.add_config(announcing)

    sampling = verbs.add_parser(
        "sample",
        help="make questions again and look for them in the owner's log",
        description="Make questions of the asker's log again to the byte and compare them with what the owner was "
        "asked: a slot that is neither a declared traveller's key nor a dummy is found.",
    )
    sampling.add_argument("one", type=Path, metavar="ASKER", help="the asker's export, with payloads")
    sampling.add_argument("other", type=Path, metavar="OWNER", help="the owner's export")
    sampling.add_argument(
        "--trust", type=Path, action="append", required=True, metavar="CARD", help="a card of each log"
    )
    sampling.add_argument(
        "--federation", type=Path, action="append", required=True, metavar="FILE", help="the signed list of members"
    )
    sampling.add_argument(
        "--reader-key", type=Path, required=True, metavar="FILE", help="opens the asker's seeds and keys"
    )
    sampling.add_argument(
        "--announced", type=int, metavar="SEQ", help="draw what this entry announced (default: every question)"
    )

    forking = verbs.add_parser(
        "fork",
        help="judge two signed checkpoints of one log",
        description="Say whether two signed checkpoints prove that a log was forked: two notes, or those that an "
        "export's entries have kept of peers.",
    )
    forking.add_argument("one", type=Path, metavar="NOTE_OR_EXPORT", help="a signed note, or an export")
    forking.add_argument("other", type=Path, nargs="?", metavar="NOTE", help="the other note")
    forking.add_argument("--trust", type=Path, action="append", required=True, metavar="CARD", help="the log's card")
    forking.add_argument("-o", dest="out", type=Path, metavar="DIR", help="write the notes of each proof here")

    bundling = verbs.add_parser(
        "bundle",
        help="some entries with their proofs, as one file",
        description="Verify an export and write some of its entries with their proofs.",
    )
    bundling.add_argument("path", type=Path, metavar="DIR", help="what `limen audit export` wrote")
    bundling.add_argument("--trust", type=Path, required=True, metavar="CARD", help="the card of public keys")
    bundling.add_argument(
        "--entry", type=int, nargs="+", required=True, metavar="N", help="the entries, by their numbers"
    )
    bundling.add_argument(
        "--open", nargs="+", default=[], metavar="FIELD", help="sealed fields that stand in the file in clear"
    )
    bundling.add_argument("--reader-key", type=Path, metavar="FILE", help="opens them: supervisor's or auditor's key")
    bundling.add_argument("-o", dest="out", type=Path, required=True, metavar="FILE", help="the file to write")

    _add_search(verbs)
    _add_live(verbs)

    reads = verbs.add_parser(
        "reads",
        help="who read the log, and what for",
        description="Who read the log, for which purpose: what another body reviews.",
    )
    reads.add_argument("path", type=Path, metavar="DIR", help="what `limen audit export` wrote")
    reads.add_argument("--reader-key", type=Path, metavar="FILE", help="the supervisor's key: says who it was")
    reads.add_argument("--since", metavar="TIME", help="from this time on")


def _add_search(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    search = verbs.add_parser(
        "search",
        help="find, count and export entries",
        description="Find entries of an export: all filters must hold, of one given more than once either is enough.",
        epilog="Times are YYYY-MM-DD, YYYY-MM-DDTHH:MM (UTC), or so far before the newest entry: 24h, 30d, 2w. What "
        "names a person, `-`, comes on standard input and is compared as a keyed tag; tags may be typed.",
    )
    search.add_argument("path", type=Path, metavar="DIR", help="what `limen audit export` or `fetch` wrote")
    search.add_argument("--reader-key", type=Path, metavar="FILE", help="finds what is sealed to this reader, by tags")
    search.add_argument("--index", type=Path, metavar="FILE", help="keep an index here, and go on with it next time")
    search.add_argument("--trust", type=Path, metavar="CARD", help="the card: judges the checkpoint of what is found")

    live = search.add_argument_group("at a running node, with a copy that `limen audit fetch` made")
    live.add_argument("--live", metavar="PURPOSE", help="first fetch what is new, for this purpose; it is logged")
    live.add_argument("--booth", type=Path, metavar="DIR", help="the auditor's folder")

    words = search.add_argument_group("what an entry says")
    for name, shown, told in (
        ("kind", "KIND", "the kind, as in the catalogue"),
        ("outcome", "WORD", "begun, done, denied or failed"),
        ("state", "AAA", "the other state"),
        ("agency", "CODE", "the agency that asked or acted"),
        ("role", "ROLE", "the role it was done in"),
        ("purpose", "CODE", "the purpose"),
        ("basis", "ACT", "the legal basis"),
        ("recipient", "WHO", "who was given something"),
        ("field", "NAME", "a field of a record that was named"),
        ("policy", "DIGEST", "the version of the rules: the beginning of a digest, or an agreement"),
        ("decision", "WORD", "a case's state, a leg's reply or an act"),
        ("reason", "CODE", "a reason of a refusal"),
        ("retention", "CLASS", "how long the sealed part is kept"),
    ):
        words.add_argument(f"--{name}", metavar=shown, action="append", default=[], help=told)
    words.add_argument("--since", metavar="TIME", help="from this time on")
    words.add_argument("--until", metavar="TIME", help="before this time")
    words.add_argument("--denied", action="store_true", help="only what was denied")
    words.add_argument("--unpaired", action="store_true", help="only intents without an outcome")

    sealed = search.add_argument_group("what is sealed: a tag, or - for standard input")
    sealed.add_argument("--officer", metavar="TAG", help="who asked or acted")
    sealed.add_argument("--case", metavar="TAG", help="the office's reference; a case's number (case_...) needs no key")
    sealed.add_argument("--record", metavar="TAG", help="the entry of our own list")
    sealed.add_argument("--subject", metavar="TAG", help="about whom something was found or disclosed")

    shown_ = search.add_argument_group("what is shown")
    shown_.add_argument("--by", metavar="GROUPS", help="count instead, by purpose, agency, month, outcome, ...")
    shown_.add_argument("--limit", type=int, metavar="N", help="at most so many (default: 50; files: all)")
    shown_.add_argument("--oldest", action="store_true", help="oldest first")
    shown_.add_argument("--after", type=int, metavar="SEQ", help="the next page: what comes after this entry")
    shown_.add_argument("--format", choices=("table", "jsonl", "csv", "ocsf"), default="table", help="for programs")
    shown_.add_argument("-o", dest="out", type=Path, metavar="FILE", help="where to (default: standard output)")

    saved = search.add_argument_group("saved queries")
    saved.add_argument("--query", metavar="NAME", help="a saved one, or denied-this-month, unfinished, disclosures")
    saved.add_argument("--queries", type=Path, metavar="FILE", help="your own saved queries")
    saved.add_argument("--save", metavar="NAME", help="save this query there under a name")

    _add_retention(verbs)

    telling = verbs.add_parser(
        "subject",
        help="tell a person who asked about them",
        description="Tell a person, given on standard input, who asked about them, for what, and what was told.",
    )
    telling.add_argument("path", type=Path, metavar="DIR", help="what `limen audit export` wrote, with payloads")
    telling.add_argument("--trust", type=Path, required=True, metavar="CARD", help="the card of public keys")
    telling.add_argument("--reader-key", type=Path, required=True, metavar="FILE", help="supervisor's or auditor's key")
    telling.add_argument(
        "--proofing",
        required=True,
        choices=("in-person", "remote-document", "representative"),
        help="how the person was identified",
    )
    telling.add_argument("--via", metavar="AAA", help="the state through whose office or portal it was asked")
    telling.add_argument("--withhold", type=Path, metavar="FILE", help="cases kept back, a number (case_...) a line")
    telling.add_argument("--index", type=Path, metavar="FILE", help="the index of `limen audit search`")
    telling.add_argument("--tick", type=int, default=10, metavar="S", help="it ends at a multiple of so many seconds")
    telling.add_argument("--record", action="store_true", help="enter in the node's log that somebody was answered")
    telling.add_argument("-o", dest="out", type=Path, required=True, metavar="DIR", help="a new folder for the answer")
    node.add_config(telling)


def _add_retention(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = verbs.add_parser(
        "retention",
        help="what should have gone and did not",
        description="Print what is kept of each class, holds, and what should have gone and did not (then exit 6).",
    )
    hold = verbs.add_parser(
        "hold",
        help="keep payloads beyond their term: two persons sign",
        description="Keep the payloads of entries for an authority until two persons lift the hold.",
    )
    lift = verbs.add_parser(
        "lift", help="lift a hold: two persons sign", description="Lift a hold; terms decide again."
    )
    lift.add_argument("hold", metavar="HOLD", help="its number, as `limen audit retention` shows it")
    erase = verbs.add_parser(
        "erase",
        help="destroy payloads before their term: two persons sign",
        description="Destroy payloads of one class before their term, with the keys of every copy. Never before the\n"
        "class's minimum (its whole term, at most a year), and never what is held.",
    )
    erase.add_argument("--class", dest="retention", choices=("24h", "30d", "1y", "3y", "10y"), required=True,
                       help="of which class")  # fmt: skip
    erase.add_argument("--ground", choices=("court", "unlawful", "data-subject", "law"), required=True,
                       help="on what ground")  # fmt: skip
    hold.add_argument("--review", required=True, metavar="DAY", help="when it must be looked at again")
    for verb in (hold, erase):
        verb.add_argument("--first", type=int, required=True, metavar="N", help="the first entry")
        verb.add_argument("--last", type=int, required=True, metavar="N", help="the last entry")
    for verb in (hold, lift, erase):
        verb.add_argument("--authority", required=True, metavar="NAME", help="who wants it; an office, no person")
        verb.add_argument("--decision", required=True, metavar="REF", help="the act's reference; names no person")
        verb.add_argument("--sign", type=Path, metavar="OUT", help="sign for it and do nothing yet")
        verb.add_argument("--key", type=Path, metavar="FILE", help="with --sign: your own key file")
        verb.add_argument("--role", default="supervisor", metavar="ROLE", help="with --sign: supervisor or auditor")
        verb.add_argument("--passphrase-file", type=Path, metavar="FILE", help="its first line is the passphrase")
        verb.add_argument("--signature", action="append", default=[], type=Path, metavar="FILE", help="of two persons")
    for verb in (report, hold, lift, erase):
        node.add_config(verb)


def _add_live(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fetch = verbs.add_parser(
        "fetch",
        help="read a running node's log, as an auditor",
        description="Bring a copy of the leaves up to date at the node's door for auditors. The reading is logged.",
    )
    fetch.add_argument("path", type=Path, metavar="DIR", help="a new folder, or one that this command made")
    _add_purpose(fetch)

    reveal = verbs.add_parser(
        "reveal",
        help="open what is sealed of one entry: two persons sign",
        description="Two persons sign for an entry, an auditor among them; then the node gives what is sealed of it.",
    )
    reveal.add_argument("path", type=Path, metavar="DIR", help="the copy that `limen audit fetch` made")
    reveal.add_argument("entry", type=int, metavar="ENTRY", help="the entry's number")
    _add_purpose(reveal)
    reveal.add_argument("--sign", type=Path, metavar="OUT", help="sign for it and ask for nothing yet")
    reveal.add_argument("--key", type=Path, metavar="FILE", help="with --sign: your own key file")
    reveal.add_argument("--role", default="auditor", metavar="ROLE", help="with --sign: your role (default: auditor)")
    reveal.add_argument("--passphrase-file", type=Path, metavar="FILE", help="its first line is the passphrase")
    reveal.add_argument("--signature", action="append", default=[], type=Path, metavar="FILE", help="a person's, twice")
    reveal.add_argument("--reader-key", type=Path, metavar="FILE", help="opens it here; the node never has this key")

    packing = verbs.add_parser(
        "pack",
        help="everything that a yearly audit needs, in one folder",
        description="Write an export, its verification, months in plain words, the rules and a replay to one folder.",
    )
    packing.add_argument("path", type=Path, metavar="EXPORT", help="what `limen audit export` wrote")
    packing.add_argument("--trust", type=Path, required=True, metavar="CARD", help="the card of public keys")
    packing.add_argument("--state", required=True, metavar="AAA", help="whose log it is")
    packing.add_argument(
        "--reader-key", type=Path, metavar="FILE", help="counts what is sealed; nothing of it is shown"
    )
    packing.add_argument(
        "--bundle", type=Path, nargs="+", default=[], metavar="FILE", help="rules that were in force, for the replay"
    )
    packing.add_argument(
        "--policy-keys", type=Path, metavar="DIR", help="public keys of the rules' authorities (*.pem)"
    )
    packing.add_argument("--sample", type=int, default=100, metavar="N", help="decisions that are made again")
    packing.add_argument("-o", dest="out", type=Path, required=True, metavar="DIR", help="a new folder")


def _add_purpose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--purpose",
        required=True,
        metavar="WHY",
        help="lawfulness, self-monitoring, integrity, proceedings or subject-access",
    )
    node.add_booth(parser)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    if args.verb in ("search", "reads"):
        from gateway.cli.acts import audit_search

        return audit_search.run(args)
    if args.verb in ("announce", "sample"):
        from gateway.cli.acts import audit_sample

        return audit_sample.run(args)
    if args.verb == "fork":
        from gateway.cli.acts import audit_fork

        return audit_fork.run(args)
    if args.verb == "reconcile":
        from gateway.cli.acts import reconcile

        return reconcile.run(args)
    if args.verb in ("fetch", "reveal"):
        from gateway.cli.acts import audit_live

        return audit_live.run(args)
    if args.verb in ("hold", "lift", "erase", "retention"):
        from gateway.cli.acts import audit_retention

        return audit_retention.run(args)
    if args.verb == "subject":
        from gateway.cli.acts import audit_subject

        return audit_subject.run(args)
    if args.verb == "pack":
        from gateway.cli.acts import audit_pack

        return audit_pack.run(args)
    from gateway.cli.acts import audit

    return audit.run(args)
