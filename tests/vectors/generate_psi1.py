"""Make tests/vectors/psi1.json out of the second implementation in psi1_reference.py.

    python tests/vectors/generate_psi1.py          write the file
    python tests/vectors/generate_psi1.py --check  exit 1 when the file is not what would be written

Every input is fixed, so the file is the same each time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path
from typing import Any

from tests.vectors import psi1_reference as ref

FILE = Path(__file__).with_name("psi1.json")


def fixed(name: str, size: int = 32) -> bytes:
    """Bytes that look random and that everybody can make."""
    return hashlib.shake_256(b"psi/1 vector " + name.encode()).digest(size)


SCOPE = {"owner": "HND", "list": "PERSONS", "group": "WATCH", "epoch": "20260101-0a1b2c3d", "peer": "PAN"}
KEYS = [
    ["doc/1", "VEN", "T55637667"],
    ["name_year/1", "KASOULIDIS MEWES WAKUSHIMA", "1991"],
    ["met2_dob/1", "KSLTS", "MWS", "19910522"],
]


def label_bytes(label: dict[str, Any]) -> bytes:
    return (
        bytes([label["kind"], label["action"], label["urgency"], label["handling"]])
        + struct.pack(">HHH", label["expiry_day"], label["contact"], label["flags"])
        + bytes(6)
        + bytes.fromhex(label["handle"])
        + bytes(8)
    )


def a_batch(name: str, keys: list[bytes], size: int, k: int, public: bytes) -> dict[str, Any]:
    seed = fixed(f"{name} seed")
    inputs, blinds, places = ref.batch(keys, seed, size)
    points = [ref.multiply(r, ref.hash_to_group(one)) for r, one in zip(blinds, inputs, strict=True)]
    blinded = [ref.encode(point) for point in points]
    evaluated = [ref.encode(ref.multiply(k, point)) for point in points]
    nonce = int.from_bytes(fixed(f"{name} nonce", 64), "little") % ref.L
    return {
        "name": name,
        "seed": seed.hex(),
        "seed_commitment": hashlib.new("sha512_256", seed).hexdigest(),
        "class": size,
        "keys": [key.hex() for key in keys],
        "slots": places,
        "first_blind": blinds[0].to_bytes(32, "little").hex(),
        "blinded": b"".join(blinded).hex(),
        "nonce": nonce.to_bytes(32, "little").hex(),
        "evaluated": b"".join(evaluated).hex(),
        "proof": ref.prove(k, public, blinded, evaluated, nonce).hex(),
        "outputs": [ref.evaluate(k, key).hex() for key in keys],
    }


def vectors() -> dict[str, Any]:
    info = ref.lp("psi/1", *SCOPE.values())
    seed = fixed("key seed")
    k, public = ref.derive_key_pair(seed, info)
    inputs = [ref.lp(*parts) for parts in KEYS]
    outputs = [ref.evaluate(k, one) for one in inputs]

    table_id, version = fixed("table id", 16), 7
    handle_key = fixed("handle key")
    handle = hmac.digest(handle_key, ref.lp("psi/1 handle", "PAN", SCOPE["epoch"], "WHND0001"), "sha256")[:8]
    label = {
        "kind": 1,
        "action": 1,
        "urgency": 2,
        "handling": 2,
        "expiry_day": 20818,
        "contact": 3,
        "flags": 0,
        "handle": handle.hex(),
    }
    entries = [
        (ref.row(y, b"psi/1 label", version)[0], ref.seal_label(y, table_id, version, label_bytes(label)))
        for y in outputs
    ]
    filler_seed = fixed("filler seed")
    file = ref.table(entries, table_id, version, 8, filler_seed)

    # The first two keys changed: one entry was entered again, one was withdrawn.
    delta_id, number, delta_seed = fixed("delta id", 16), 5, fixed("delta filler seed")
    rows = [
        ref.delta_row(outputs[0], delta_id, number, label_bytes(label)),
        ref.delta_row(outputs[1], delta_id, number, bytes(32)),
    ]
    noise = hashlib.shake_256(ref.lp("psi/1 filler", delta_seed)).digest(62 * 64)
    delta = b"".join(sorted([*rows, *(noise[at : at + 64] for at in range(0, len(noise), 64))]))

    request_id, request_hash = fixed("request id", 16), fixed("request hash", 64)
    token_key = ref.hkdf_expand(outputs[0], b"psi/1 case")
    token = hmac.digest(token_key, ref.lp("psi/1 token", "PAN", "HND", request_id, request_hash), "sha256")

    base = ref.encode(ref.BASE)
    return {
        "about": "psi/1, docs/protocol/matching.md; made by tests/vectors/generate_psi1.py; bytes in hexadecimal",
        "scope": SCOPE,
        "info": info.hex(),
        "key_seed": seed.hex(),
        "secret_key": k.to_bytes(32, "little").hex(),
        "public_key": public.hex(),
        "keys": [
            {
                "parts": parts,
                "input": one.hex(),
                "output": y.hex(),
                "tag": ref.row(y, b"psi/1 label", version)[0].hex(),
                "label_key": ref.row(y, b"psi/1 label", version)[1].hex(),
                "ticket_tag": y[:16].hex(),
                "token_key": ref.hkdf_expand(y, b"psi/1 case").hex(),
            }
            for parts, one, y in zip(KEYS, inputs, outputs, strict=True)
        ],
        "handle": {"key": handle_key.hex(), "peer": "PAN", "entry": "WHND0001", "handle": handle.hex()},
        "label": {**label, "encoded": label_bytes(label).hex()},
        "table": {
            "table_id": table_id.hex(),
            "version": version,
            "padded_count": 8,
            "filler_seed": filler_seed.hex(),
            "entries": [{"tag": tag.hex(), "sealed": sealed.hex()} for tag, sealed in entries],
            "file": file.hex(),
            "sha256": hashlib.sha256(file).hexdigest(),
            "chunk_bytes": 256,
            "chunk_hashes": [hashlib.sha256(file[at : at + 256]).hexdigest() for at in range(0, len(file), 256)],
        },
        "delta": {
            "delta_id": delta_id.hex(),
            "number": number,
            "filler_seed": delta_seed.hex(),
            "entered": {"output": outputs[0].hex(), "row": rows[0].hex()},
            "withdrawn": {"output": outputs[1].hex(), "row": rows[1].hex()},
            "rows_sha256": hashlib.sha256(delta).hexdigest(),
            "first_row": delta[:64].hex(),
        },
        "token": {
            "request_id": request_id.hex(),
            "request_hash": request_hash.hex(),
            "token": token.hex(),
        },
        "batches": [
            a_batch("one traveller", inputs, 8, k, public),
            a_batch("cover", [], 8, k, public),
            a_batch("family", [ref.lp("doc/1", "VEN", f"T{n:08d}") for n in range(9)], 32, k, public),
        ],
        "refused_elements": [
            {"why": "identity", "element": bytes(32).hex()},
            {"why": "bit 255 set on the generator", "element": (base[:31] + bytes([base[31] | 0x80])).hex()},
            {"why": "negative", "element": (ref.P - int.from_bytes(base, "little")).to_bytes(32, "little").hex()},
            {"why": "not reduced: p", "element": ref.P.to_bytes(32, "little").hex()},
            {"why": "not reduced: p + 2", "element": (ref.P + 2).to_bytes(32, "little").hex()},
            {"why": "all ones", "element": "ff" * 32},
            {"why": "no square root", "element": _first_refused().hex()},
            {"why": "31 bytes", "element": base[:31].hex()},
            {"why": "33 bytes", "element": (base + b"\0").hex()},
        ],
    }


def _first_refused() -> bytes:
    """The smallest even number that has the form of an encoding and is none."""
    return next(data for s in range(2, 1000, 2) if ref.decode(data := s.to_bytes(32, "little")) is None)


def main(arguments: list[str]) -> int:
    text = json.dumps(vectors(), indent=1, ensure_ascii=True) + "\n"
    if arguments == ["--check"]:
        if FILE.read_text("ascii") != text:
            print(f"{FILE.name} is not what {Path(__file__).name} makes; run it without --check", file=sys.stderr)
            return 1
        return 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    FILE.write_text(text, "ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
