"""The policies a new node starts with: signed bundles that permit nothing abroad until agreements are added.

The national bundle is signed by the state's own policy authority. The regional baseline is the same file at every
member, named by its digest in the federation document: a node is given the region's (`--baseline`), or, where this
state drafts it, makes the starter one with a key of its own.

    policy/national.tar.gz   policy/baseline.tar.gz      the bundles to activate at the first start
    policy/keys/<layer>-<8 hex>.pem                      public keys by key id, which is the file's name
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.cli.inputs import bytes_of
from gateway.errors import ConfigRefused, Malformed
from gateway.federation import certificates
from gateway.keyring import files
from gateway.opa import bundle, sources
from gateway.terms.ids import AgencyId, PeerId

STARTER_DAYS: Final = 180
"""How long the starter bundles and the mandates in them hold."""

DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Region:
    """The baseline of the region: its bundle, and the public key of who signs it (PEM), as files."""

    bundle: Path
    key: Path


def write(
    state: PeerId, agencies: Sequence[AgencyId], root: Path, now_ns: int, region: Region | None
) -> tuple[str, ...]:
    """Make the authority's key and the bundles below a new node's `root`; returns the layers.

    Raises:
        ConfigRefused: the region's bundle or key cannot be read, or the installation lacks the rules.
        VerificationFailed: the region's bundle is not signed by that key, or has expired.
    """
    (root / "policy" / "keys").mkdir()
    until_ns = now_ns + STARTER_DAYS * DAY_NS
    rules = sources.starter_national(
        state, [], agencies=list(agencies), valid_from_ns=now_ns - DAY_NS, valid_until_ns=until_ns
    )
    _put(root, "national", _signed(root, "national", rules, bundle.national_scope(state), until_ns))
    if region is None:
        _put(root, "baseline", _signed(root, "baseline", sources.baseline(), bundle.BASELINE, until_ns))
        return ("baseline", "national")
    raw, public_pem = bytes_of(region.bundle), bytes_of(region.key)
    key_id = _key_id("baseline", public_pem, region.key)
    bundle.open_(raw, {key_id: public_pem}, bundle.BASELINE, 0, now_ns)
    files.write_new(_public_path(root, key_id), public_pem)
    _put(root, "baseline", raw)
    return ("baseline", "national")


def _signed(root: Path, layer: str, rules: Mapping[str, bytes], scope: str, until_ns: int) -> bytes:
    """A first bundle under a fresh key, which is kept in `policy-authority`."""
    private_pem, public_pem = certificates.draw_key()
    key_id = _key_id(layer, public_pem, root)
    files.write_new(root / "policy-authority" / f"{key_id}.pem", private_pem)
    files.write_new(_public_path(root, key_id), public_pem)
    return bundle.build(
        rules, scope=scope, sequence=1, not_after_ns=until_ns, signing_key_pem=private_pem, key_id=key_id
    )


def _put(root: Path, layer: str, raw: bytes) -> None:
    files.write_new(root / "policy" / f"{layer}.tar.gz", raw)


def _public_path(root: Path, key_id: str) -> Path:
    return root / "policy" / "keys" / f"{key_id}.pem"


def _key_id(layer: str, public_pem: bytes, where: Path) -> str:
    try:
        return f"{layer}-{certificates.public_pin(public_pem).hex()[:8]}"
    except Malformed as cause:
        raise ConfigRefused(f"{where}: {cause}") from None
