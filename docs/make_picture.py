"""Draws docs/picture.svg: one traveller's check between two states of the invented region, in its real sizes.

The sizes are those of the signed messages of this release with example values, and of a table over the region's list;
nothing is drawn that the code does not make.

python docs/make_picture.py           write the picture
python docs/make_picture.py --check   exit 1 when the picture is not what would be drawn
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway_adapters import watchlist_csv

from examples.region.generate import DEFAULT_CLOCK, make_region
from gateway.cli.report.picture import Crossing, draw
from gateway.federation import envelope
from gateway.pseudonym import matchkeys, table
from gateway.rpc.convert import peers as convert
from gateway.terms import BATCH_CLASSES, AgencyId, EpochId, KeyType, ListId, PeerId, Purpose, RequestId, Role
from gateway.terms.exchange import CheckReply, CheckRequest
from gateway.terms.ids import PurposeGroup

PICTURE = Path(__file__).with_name("picture.svg")

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


if __name__ == "__main__":
    drawn = draw(crossing())
    if "--check" in sys.argv[1:]:
        if not PICTURE.exists() or PICTURE.read_text("utf-8") != drawn:
            sys.exit("docs/picture.svg is not what the code draws: run python docs/make_picture.py")
    else:
        PICTURE.write_text(drawn, "utf-8")
