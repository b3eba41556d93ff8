"""Makes tests/vectors/release1.json (docs/protocol/release.md). `--check` compares instead of writing.

Everything in it is fixed: queries, cells, values, seeds and times. No key here is used anywhere else.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.federation import envelope
from gateway.primitives import ed25519
from gateway.statistics import plan as plans
from gateway.statistics import release
from gateway.statistics.budget import Account, AccountKey
from gateway.statistics.catalogue import Query
from gateway.statistics.domain import Dimension
from gateway.terms.ids import PeerId

FILE = Path(__file__).with_name("release1.json")

SEED = sha256(b"limen release1 vector PAN").digest()
SNAPSHOT, SALT = sha256(b"limen release1 events").digest(), sha256(b"limen release1 salt").digest()
TIME_NS = 1_760_000_000_000_000_000
PAN, HND = PeerId("PAN"), PeerId("HND")

DECLARED = {
    "month": Dimension("month", ("2026-08",)),
    "route": Dimension("route", ("RIVER", "COAST"), frozenset({"COAST"})),
    "nationality": Dimension("nationality", ("HND", "VEN", "XXA", "_U")),
    "protection": Dimension("protection", ("NONE", "REFUGEE")),
}
QUERIES = {
    "persons of a month": Query("S-IBC", "persons", "crossings", "2026-08"),
    "detections of a year": Query("S-IBC", "detections", "crossings", "2026", ("month",), 250_000),
    "protection, small cells marked": Query(
        "S-IBC", "persons", "crossings", "2026-08", ("month", "route", "nationality", "protection"), suppress=True
    ),
    "protection": Query("S-IBC", "persons", "crossings", "2026-08", ("month", "nationality", "protection")),
}
RELEASED = ("persons of a month", "protection, small cells marked", "protection")


def document(query: Query) -> bytes:
    """The owner's whole document of values that nobody drew."""
    plan = plans.plan(query, query.domain(DECLARED))
    account = Account(AccountKey("crossings", plan.spec.unit, query.period), 2_000_000, plan.micro_rho)
    return release.document(
        plan,
        tuple(5 * cell - 4 for cell in range(plan.domain.size)),
        12,
        release_id="rel_" + sha256(query.digest + SNAPSHOT).hexdigest()[:32],
        owner=PAN,
        snapshot=SNAPSHOT,
        salt=SALT,
        account=account,
        audit_index=41,
        released_ns=TIME_NS,
        software={"limen": "0"},
    )


def make() -> dict[str, Any]:
    """The whole file."""
    public = ed25519.public(SEED)
    rows = []
    for name in RELEASED:
        query = QUERIES[name]
        theirs = release.for_recipient(document(query), HND)
        fields = envelope.request_fields(envelope.RELEASE, PAN, HND, public, TIME_NS, envelope.NO_CHECKPOINT)
        message = envelope.seal(fields, theirs, lambda data: ed25519.sign(SEED, data))
        rows.append(
            {
                "query": name,
                "domain_digest": query.domain(DECLARED).digest.hex(),
                "document_sha256": sha256(document(query)).hexdigest(),
                "for_hnd": theirs.hex(),
                "header": message.header.hex(),
                "signature": message.signature.hex(),
                "statuses": release.decode(theirs).facts["statuses"].hex(),
                "noisy": release.decode(theirs).facts["values"]["noisy"],
            }
        )
    return {
        "protocol": "release/1",
        "owner": PAN,
        "public_key": public.hex(),
        "snapshot": SNAPSHOT.hex(),
        "queries": {
            name: {"facts": query.facts(), "canonical": query.encode().hex(), "reference": query.digest.hex()}
            for name, query in QUERIES.items()
        },
        "releases": rows,
    }


def main() -> int:
    """Write the file, or compare it with `--check`; 1 where it differs."""
    text = json.dumps(make(), indent=1) + "\n"
    if "--check" in sys.argv[1:]:
        same = FILE.read_text("utf-8") == text
        if not same:
            print(f"{FILE.name} is not what this script makes")
        return 0 if same else 1
    FILE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
