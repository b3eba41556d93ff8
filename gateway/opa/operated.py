"""How an OPA server is run beside a node: its configuration, who may ask what, and the command line.

OPA verifies the signatures itself: a key and a scope for each bundle. It loads a bundle from its file once, so it is
started anew when a bundle has been activated; until it has, the node goes on with the bundles that both hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.opa.content import PACKAGE_OF

CONFIG: Final = "opa.json"
AUTHZ: Final = "authz.rego"

RULES: Final = f"""# METADATA
# title: Who may ask this server what
# description: The gateway asks two rules of two packages and whether the server is ready. Nothing else is answered.
# scope: package
package system.authz

default allow := false

allow if {{
	input.method == "GET"
	input.path == ["health"]
}}

allow if {{
	input.method == "POST"
	input.path in asked
}}

asked := {{path |
	some package_path in {json.dumps([["v1", "data", *package.split(".")] for package in PACKAGE_OF.values()])}
	some rule in ["decision", "reasons"]
	path := array.concat(package_path, [rule])
}}
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A bundle's file, its scope, and the key that signed it (id, public PEM)."""

    layer: str
    file: Path
    scope: str
    key_id: str
    public_pem: bytes


def configuration(bundles: Sequence[Held]) -> bytes:
    """OPA's configuration file. It reports to nobody and logs no decision: the node's own log is the record."""
    document: Mapping[str, object] = {
        "keys": {held.key_id: {"algorithm": "ES256", "key": held.public_pem.decode("ascii")} for held in bundles},
        "bundles": {
            held.layer: {
                "resource": held.file.absolute().as_uri(),
                "signing": {"keyid": held.key_id, "scope": held.scope},
            }
            for held in bundles
        },
    }
    return (json.dumps(document, indent=2) + "\n").encode("ascii")


def command(server: str, folder: Path) -> list[str]:
    """The command line for a `policy.server`. With https the server's certificate, its key and the CA that signed the
    gateway's client certificate lie in the same folder as `server.crt`, `server.key` and `ca.crt`."""
    common = [
        "opa", "run", "--server", "--config-file", str(folder / CONFIG), "--authorization=basic", "--log-level=error",
        "--skip-version-check",
    ]  # fmt: skip
    if server.startswith("unix:"):
        # Whoever may open the socket may ask; who may is the socket's owner and group.
        return [*common, "--addr", server, "--unix-socket-perm=660", str(folder / AUTHZ)]
    return [
        *common, "--addr", server, "--authentication=tls", "--min-tls-version=1.3",
        "--tls-cert-file", str(folder / "server.crt"), "--tls-private-key-file", str(folder / "server.key"),
        "--tls-ca-cert-file", str(folder / "ca.crt"), str(folder / AUTHZ),
    ]  # fmt: skip
