"""A monitor and a log outside the federation's own protocol: tiles and the witness over HTTP, as C2SP has them."""

from __future__ import annotations

import base64
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from urllib.request import ProxyHandler, build_opener

from gateway.audit import checkpoint, note, tiles
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.note import Verifier
from gateway.federation import document
from gateway.primitives import ed25519
from tests.support.states import States

# Never through a proxy of the machine's: the node is on this one.
OPENER = build_opener(ProxyHandler({}))


def fetch(states: States, state: str, path: str, body: bytes | None = None) -> tuple[int, str, bytes]:
    port = states.nodes[state].ports["metrics"]
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body)
    try:
        with OPENER.open(request, timeout=10) as page:
            return page.status, page.headers["Content-Type"], page.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers["Content-Type"], refused.read()


def member(states: States, state: str) -> document.Member:
    listed = document.parse(states.nodes.members.read_bytes()).document
    return next(one for one in listed.members if one.state == state)


class Served:
    """`tiles.Hashes` over the node's HTTP door."""

    def __init__(self, states: States, state: str) -> None:
        self.states, self.state = states, state

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        path = tiles.path(level, start // tiles.WIDTH, stop - start)
        status, kind, body = fetch(self.states, self.state, f"/{path}")
        assert (status, kind) == (200, "application/octet-stream"), path
        return tiles.split_tile(body)


def head_of(states: States, state: str) -> tuple[bytes, Checkpoint]:
    until = time.monotonic() + 30
    while True:
        status, _, noted = fetch(states, state, "/checkpoint")
        if status == 200 or time.monotonic() > until:
            break
        time.sleep(0.1)
    assert status == 200
    key = Verifier.parse(member(states, state).log_vkey)
    return noted, checkpoint.parse(note.open_note(noted, [key]).text)


def test_a_monitor_follows_the_log_by_tiles_alone(states: States) -> None:
    _, first = head_of(states, "PAN")
    until = time.monotonic() + 60
    while True:
        _, second = head_of(states, "PAN")
        if second.size > first.size:
            break
        assert time.monotonic() < until
        time.sleep(0.1)
    tree = tiles.Tree(Served(states, "PAN"), second.size)
    assert tree.root() == second.root and tree.root(first.size) == first.root
    assert fetch(states, "PAN", "/tile/entries/000")[0] == 404


def test_a_peers_gateway_witnesses_over_http(states: States) -> None:
    witness = Verifier.parse(member(states, "HND").witness_vkey)
    noted, head = head_of(states, "PAN")
    text = note.parse(noted).text

    def submit(old_size: int, proof: Sequence[bytes] = (), sent: bytes = noted) -> tuple[int, str, bytes]:
        lines = [b"old %d" % old_size, *(base64.b64encode(one) for one in proof)]
        return fetch(states, "HND", "/add-checkpoint", b"\n".join(lines) + b"\n\n" + sent)

    assert submit(head.size + 1)[0] == 400
    status, kind, body = submit(0)
    if status == 409:
        # Honduras's gateway has witnessed Panama before, by the gateways' own protocol.
        assert kind == "text/x.tlog.size"
        known = int(body)
        assert known > 0
        while known > head.size:
            noted, head = head_of(states, "PAN")
            text = note.parse(noted).text
        proof = tiles.Tree(Served(states, "PAN"), head.size).consistency(known) if known < head.size else []
        spoiled = [bytes(32), *proof[1:]] if proof else [bytes(32)]
        answered = submit(known, spoiled, noted)[0]
        assert answered in (422, 409)
        status, _, body = submit(known, proof, noted)
        if status == 409:
            # It was faster: the tick asked meanwhile.
            known = int(body)
            noted, head = head_of(states, "PAN")
            text = note.parse(noted).text
            proof = tiles.Tree(Served(states, "PAN"), head.size).consistency(known) if known < head.size else []
            status, _, body = submit(known, proof, noted)
    assert status == 200
    note.verify_cosignature(text, body, witness)


def test_a_log_that_no_member_has_and_a_forged_one_are_not_witnessed(states: States) -> None:
    _, head = head_of(states, "PAN")
    signer = ed25519.Signer(bytes(range(32)))

    def submit(origin: str) -> int:
        forged = Checkpoint(origin, head.size, bytes(32))
        noted = note.sign(forged.encode(), Verifier(origin, note.LOG_KEY, signer.public), signer.sign)
        return fetch(states, "HND", "/add-checkpoint", b"old 0\n\n" + noted)[0]

    assert submit("nobody.example/log") == 404
    assert submit(head.origin) == 403
