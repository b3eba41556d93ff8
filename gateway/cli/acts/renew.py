"""`limen node renew`: the node's certificates anew, for the keys that it has."""

from __future__ import annotations

import argparse

from gateway.cli import node
from gateway.cli.inputs import about, bytes_of
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, utc
from gateway.errors import ConfigRefused
from gateway.federation import certificates
from gateway.federation.certificates import KeyPair
from gateway.keyring import files

ROLES = ("gateway", "home", "auditors")


def run(args: argparse.Namespace) -> int:
    """Make all of them, then put them in place: one that cannot be made leaves every old one where it is."""
    if not 1 <= args.days <= certificates.LEAF_DAYS:
        raise Refused(f"--days: write 1 to {certificates.LEAF_DAYS}")
    settings = node.load(args)
    folder, now_ns = settings.paths.tls, node.clock_of(settings).now_ns()
    anchor = KeyPair(bytes_of(args.anchor / "anchor.key"), bytes_of(args.anchor / "anchor.crt"))
    if certificates.der_of(anchor.certificate_pem) != certificates.der_of(bytes_of(folder / "anchor.crt")):
        raise ConfigRefused(f"{args.anchor}: is not the anchor that this node's certificates come from")
    made = {}
    for role in ROLES:
        path = folder / f"{role}.crt"
        if path.exists():
            with about(path):
                made[role] = certificates.renew_leaf(anchor, bytes_of(path), now_ns, days=args.days)
    rows = []
    for role, pem in made.items():
        path = folder / f"{role}.crt"
        files.replace(path, pem, mode=path.stat().st_mode & 0o777)
        ends_ns = certificates.identity(certificates.der_of(pem)).not_after_ns
        rows.append({"certificate": role, "file": str(path), "until": utc(ends_ns)})
    emit(args, rows, [f"{row['file']}: until {row['until']}, for the same key" for row in rows])
    return OK
