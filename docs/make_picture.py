"""Puts what a run made on the first page: docs/picture.svg, and the six lines of the demonstration in README.md.

The picture's sizes are those of the run's own messages. Checked is that the code draws exactly this picture from them,
and that they are the sizes this release's messages have, made here with example values.

python docs/make_picture.py --run DIR   take both from `limen demo --out DIR`
python docs/make_picture.py --check     exit 1 when the picture is not what this release draws
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from gateway_adapters import watchlist_csv

from examples.region.generate import DEFAULT_CLOCK, make_region
from gateway.cli.report.block import filled
from gateway.cli.report.picture import Crossing, draw
from gateway.federation import envelope
from gateway.pseudonym import matchkeys, table
from gateway.rpc.convert import peers as convert
from gateway.terms import BATCH_CLASSES, AgencyId, EpochId, KeyType, ListId, PeerId, Purpose, RequestId, Role
from gateway.terms.exchange import CheckReply, CheckRequest
from gateway.terms.ids import PurposeGroup

PICTURE = Path(__file__).with_name("picture.svg")
README = Path(__file__).parents[1] / "README.md"
LINES = (
    "A miss",
    "A protected traveller on Utopia's list",
    "One person releases nothing",
    "A private monthly table beside the truth",
    "A peer is down",
    "A second signature forged in the log",
)
"""The steps that the first page shows, by title."""
SLACK_BYTES = 16

ASKER, OWNER = PeerId("HND"), PeerId("PAN")
NOW_NS = int(DEFAULT_CLOCK.timestamp()) * 10**9
KEYS = tuple(sorted(KeyType))


def signed_bytes(body: bytes, sender: PeerId, receiver: PeerId, request_hash: bytes | None) -> int:
    """Body, header and signature of one message."""
    told = (convert.CHECK, sender, receiver, bytes(32), NOW_NS, bytes(32))
    fields = envelope.request_fields(*told) if request_hash is None else envelope.reply_fields(*told, request_hash)
    message = envelope.seal(fields, body, lambda _: bytes(64))
    return len(message.body) + len(message.header) + len(message.signature)


def crossing() -> Crossing:
    """The check that is drawn."""
    size = BATCH_CLASSES[0]
    request = CheckRequest(
        leg_id=RequestId(bytes(16)),
        batch=0,
        batches=1,
        asker=ASKER,
        owner=OWNER,
        agency=AgencyId("BORDER"),
        role=Role.BORDER_FRONTLINE,
        purpose=Purpose("SEC.WATCH"),
        legal_basis="bilateral agreement",
        list_id=ListId.PERSONS,
        group=PurposeGroup("WATCH"),
        epoch=EpochId("20261102-00000000"),
        key_types=KEYS,
        known_version=1,
        blinded=bytes(32 * size),
        seed_commitment=bytes(32),
        pair_seq=1,
        baseline_digest=bytes(32),
        national_digest=bytes(32),
        permit_expires_ns=NOW_NS,
    )
    reply = CheckReply(
        request_hash=bytes(64),
        evaluated=bytes(32 * size),
        proof=bytes(64),
        epoch=request.epoch,
        table_version=1,
        quota_left=100_000,
        pair_seq=1,
    )
    rows = watchlist_csv.read(make_region().files()[f"{OWNER}/persons.csv"], watchlist_csv.Defaults(OWNER)).rows
    keys = sum(
        len(matchkeys.for_asking(row.person, row.documents, frozenset(KEYS))) for row in rows if row.person is not None
    )
    return Crossing(
        asker=ASKER,
        owner=OWNER,
        class_size=size,
        request_bytes=signed_bytes(convert.encode_check_request(request), ASKER, OWNER, None),
        reply_bytes=signed_bytes(convert.encode_check_reply(reply), OWNER, ASKER, reply.request_hash),
        table_entries=table.padded_count(keys),
    )


def shown(drawing: str) -> Crossing:
    """The sizes that a picture shows. Raises ValueError where they do not stand in it."""
    found = re.search(r"([\d,]+) B there, ([\d,]+) B back", drawing)
    points = re.search(r"([\d,]+) points of 32 bytes", drawing)
    table_size = re.search(r"table of ([\d,]+) entries", drawing)
    if found is None or points is None or table_size is None:
        raise ValueError("the picture lacks its sizes")
    there, back, size, entries = (int(text.replace(",", "")) for text in (*found.groups(), points[1], table_size[1]))
    return Crossing(ASKER, OWNER, size, there, back, entries)


def fault(drawing: str) -> str:
    """Why a picture is not one of this release's, or ""."""
    try:
        sizes = shown(drawing)
    except ValueError as cause:
        return str(cause)
    if draw(sizes) != drawing:
        return "the code draws it otherwise"
    made = crossing()
    if sizes.class_size != made.class_size:
        return "the smallest question has another size"
    # Agencies and versions are longer or shorter by a few bytes from one state to the next.
    if max(abs(sizes.request_bytes - made.request_bytes), abs(sizes.reply_bytes - made.reply_bytes)) > SLACK_BYTES:
        return f"its messages have other sizes: {made.request_bytes} B there, {made.reply_bytes} B back"
    return ""


def lines_of(run: Path) -> list[str]:
    """The six lines of a run: number, step and the first line of what came out. Raises KeyError: a step is missing."""
    steps = json.loads((run / "run.json").read_text("utf-8"))["steps"]
    by_title = {step["title"]: (number, step) for number, step in enumerate(steps, 1)}
    lines = []
    for title in LINES:
        number, step = by_title[title]
        first = step["got"].splitlines()[0]
        lines.append(f"{'ok  ' if step['ok'] else 'FAIL'} {number:>2}. {title}: {first}")
    return lines


def main(arguments: list[str]) -> str:
    """Do it; returns what is wrong, or ""."""
    if arguments == ["--check"]:
        return fault(PICTURE.read_text("utf-8")) if PICTURE.exists() else "there is no docs/picture.svg"
    if len(arguments) != 2 or arguments[0] != "--run":
        return "write --check, or --run and the folder of a run"
    run = Path(arguments[1])
    drawing = (run / "picture.svg").read_text("utf-8")
    wrong = fault(drawing)
    if not wrong:
        PICTURE.write_text(drawing, "utf-8")
        README.write_text(filled(README.read_text("utf-8"), "demo", lines_of(run)), "utf-8")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or 0)
