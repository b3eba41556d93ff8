"""docs/protocol/release.md against its vectors: queries, documents and signatures are these bytes and no others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import InputRefused, Malformed
from gateway.federation import envelope
from gateway.primitives import cbor
from gateway.statistics import catalogue, release
from gateway.statistics.release import CellStatus
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import PeerId

DATA: dict[str, Any] = json.loads(Path(__file__).with_name("release1.json").read_text("utf-8"))
PAGE = (Path(__file__).parents[2] / "docs" / "protocol" / "release.md").read_text("utf-8")


@pytest.mark.parametrize("name", DATA["queries"])
def test_a_query_is_its_canonical_bytes_and_named_by_them(name: str) -> None:
    row = DATA["queries"][name]
    canonical = bytes.fromhex(row["canonical"])
    query = catalogue.decode(canonical)
    assert query.facts() == row["facts"]
    assert hashlib.sha256(b"limen/statistic-query/1\n" + canonical).hexdigest() == row["reference"]
    assert all(f"| {key} |" in PAGE for key in row["facts"])


@pytest.mark.parametrize(
    "change", [{"statistic": "S-ALL"}, {"where": "1=1"}, {"epsilon_micro": 1}, {"period": "2026-8"}]
)
def test_what_is_not_in_the_table_cannot_be_asked(change: dict[str, Any]) -> None:
    facts = cbor.decode(bytes.fromhex(DATA["queries"]["persons of a month"]["canonical"]))
    with pytest.raises((InputRefused, Malformed)):
        catalogue.decode(cbor.encode({**facts, **change}))


@pytest.mark.parametrize("row", DATA["releases"], ids=lambda row: row["query"])
def test_a_release_is_its_owner_s_for_one_recipient(row: dict[str, Any]) -> None:
    body = bytes.fromhex(row["for_hnd"])
    held = release.decode(body)
    assert held.facts["query_digest"].hex() == DATA["queries"][row["query"]]["reference"]
    assert held.facts["domain_digest"].hex() == row["domain_digest"]
    assert (held.facts["owner"], held.facts["recipient"]) == ("PAN", "HND")
    assert (held.facts["statuses"].hex(), held.facts["values"]["noisy"]) == (row["statuses"], row["noisy"])
    message = SignedMessage(body, bytes.fromhex(row["header"]), bytes.fromhex(row["signature"]))
    envelope.verify(
        message,
        method="gateway.wire.v1.ReleaseDocument",
        sender=PeerId("PAN"),
        receiver=PeerId("HND"),
        keys=[bytes.fromhex(DATA["public_key"])],
        now_ns=None,
    )
    # Its own bytes again for the same recipient, and every field stands in the page.
    assert release.for_recipient(body, "HND") == body or "protection" in row["query"]
    assert all(key in PAGE for key in held.facts)


def test_a_state_gets_no_cell_of_its_own_nationals_protection() -> None:
    (row,) = [row for row in DATA["releases"] if row["query"] == "protection"]
    held = release.decode(bytes.fromhex(row["for_hnd"]))
    withheld = {cell.key[1] for cell in held.cells() if cell.status is CellStatus.WITHHELD}
    assert withheld == {"HND", "XXA", "_U"} and held.facts["omissions"]
