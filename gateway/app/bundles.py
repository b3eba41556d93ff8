"""The policy bundles as a node's files hold them."""

from __future__ import annotations

from pathlib import Path

from gateway.config import Config
from gateway.errors import ConfigRefused
from gateway.opa import bundle
from gateway.opa.bundle import Bundle
from gateway.policy import agreement as agreements
from gateway.policy.agreement import STATISTICS, Agreement
from gateway.store.reader import Reader
from gateway.terms.words import ListId


def policy_keys(folder: Path, layer: str) -> dict[str, bytes]:
    """Public keys of a layer's authority by key id (`policy/keys/<layer>-<8 hex>.pem`)."""
    return {path.stem: path.read_bytes() for path in sorted((folder / "keys").glob(f"{layer}-*.pem"))}


def agreements_of(held: Bundle) -> list[Agreement]:
    """The agreements of a national bundle, by id."""
    found = held.data["limen"]["national"]["agreements"]
    return [agreements.parse(found[name]) for name in sorted(found)]


def mandates_missing(held: Bundle) -> tuple[str, ...]:
    """What this release can do at home and a national bundle has no mandate for: lists, and `STATISTICS`. Bundles that
    were made by a release before it knew of one lack it, and go on as they are."""
    found = held.data["limen"]["national"].get("mandates", {})
    named = {agreements.parse_mandate(one).list for one in found.values()}
    return tuple(name for name in (*(list_id.value for list_id in ListId), STATISTICS) if name not in named)


def open_bundle(settings: Config, layer: str, reader: Reader, now_ns: int) -> Bundle:
    """The layer's bundle file, verified against the sequence that the log anchors (T6).

    Raises:
        ConfigRefused: there is no bundle.
        VerificationFailed: it is not to be trusted; the step says why.
    """
    path = settings.paths.policy / f"{layer}.tar.gz"
    try:
        raw = path.read_bytes()
    except OSError as cause:
        raise ConfigRefused(f"{path}: the {layer} bundle cannot be read ({cause.strerror})") from None
    scope = bundle.BASELINE if layer == "baseline" else bundle.national_scope(settings.state)
    held = reader.policy_sequence(layer)
    sequence, digest = held if held is not None else (0, b"")
    return bundle.open_(raw, policy_keys(settings.paths.policy, layer), scope, sequence, now_ns, anchored_digest=digest)
