"""docs/sandbox.md has the travellers, the bases and the states as the sandbox has them."""

from __future__ import annotations

import re
from datetime import date

from gateway.cli.acts.sandbox import page_rows
from gateway.cli.acts.travellers import BASES, TRAVELLERS
from gateway.people import mrz
from tests.extras import ROOT

ON = date(2026, 12, 1)
PAGE = (ROOT / "docs" / "sandbox.md").read_text("utf-8")


def test_the_table_is_the_sandboxs_own() -> None:
    block = re.search(r"<!-- travellers:begin -->\n(.*?)\n<!-- travellers:end -->", PAGE, re.DOTALL)
    assert block is not None
    assert block[1].splitlines() == page_rows()


def test_every_basis_is_explained() -> None:
    for basis, told in BASES.items():
        assert f"| `{basis}` | {told} |" in PAGE


def test_every_zone_is_a_documents_own_with_right_check_digits() -> None:
    assert len({one.name for one in TRAVELLERS}) == len(TRAVELLERS)
    for one in TRAVELLERS:
        (lines,) = mrz.split("\n".join(one.zone))
        assert mrz.parse(lines, ON).valid, one.name
