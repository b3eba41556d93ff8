"""`limen node upgrade --check`: what an older release left that this one has more to say of. Reads only."""

from __future__ import annotations

import argparse
import contextlib
from typing import Final

from gateway.app import bundles
from gateway.cli import node
from gateway.cli.main import ERROR, OK
from gateway.cli.output import emit
from gateway.config import Config
from gateway.policy.agreement import STATISTICS
from gateway.store import db as database
from gateway.store.reader import Reader

WITHOUT: Final = {STATISTICS: "no events are loaded and no private statistic is made of them"}
"""What does not work without a mandate; for a list: nobody may change it."""

BUILD: Final = (
    "limen policy build --in-force --key policy-authority/national-*.pem -o national.tar.gz, then "
    "limen policy activate national.tar.gz"
)


def run(args: argparse.Namespace) -> int:
    """Print what there is to do. Exit 1 where there is something."""
    settings = node.load(args)
    held, newest = _form(settings), database.migrations()[-1][0]
    missing = _missing(settings, node.clock_of(settings).now_ns())
    lines = []
    if held is not None and held < newest:
        lines.append(
            f"store: form {held} becomes {newest} when this release starts the node, and an older one cannot open it "
            "then: run `limen node backup` first"
        )
    lines += [
        f"national rules: no mandate for {name}, so {WITHOUT.get(name, 'nobody may change this list')}: {BUILD}"
        for name in missing
    ]
    document = {"store_form": held, "newest_form": newest, "mandates_missing": list(missing), "to_do": len(lines)}
    emit(args, document, lines or ["nothing to do: what this release needs is there"])
    return ERROR if lines else OK


def _form(settings: Config) -> int | None:
    """The number of the store's last migration; None before the first start."""
    folder = settings.paths.store
    if not database.is_there(folder):
        return None
    with contextlib.closing(database.reader_of(folder)) as db:
        return database.form_of(db)


def _missing(settings: Config, now_ns: int) -> tuple[str, ...]:
    """Mandates that the national bundle lacks. Raises ConfigRefused, VerificationFailed."""
    with contextlib.closing(Reader(settings.paths.store)) as reader:
        return bundles.mandates_missing(bundles.open_bundle(settings, "national", reader, now_ns))
