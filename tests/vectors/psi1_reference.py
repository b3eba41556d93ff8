"""psi/1 written a second time, from docs/protocol/matching.md and the RFCs, with the standard library only.

Slow and not constant-time: it exists so that the vectors do not come from the code they test.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence

# ristretto255, RFC 9496 section 4

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235
INVSQRT_A_MINUS_D = 54469307008909316920995813868745141605393597292927456921205312896311721017578
ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P

Point = tuple[int, int, int, int]
IDENTITY: Point = (0, 1, 1, 0)


def is_negative(x: int) -> bool:
    return x % P & 1 == 1


def absolute(x: int) -> int:
    return -x % P if is_negative(x) else x % P


def sqrt_ratio_m1(u: int, v: int) -> tuple[bool, int]:
    """Section 4.2."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    u %= P
    correct, flipped, flipped_i = check == u, check == -u % P, check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return correct or flipped, absolute(r)


def decode(data: bytes) -> Point | None:
    """Section 4.3.1; None for what is refused."""
    s = int.from_bytes(data, "little")
    if len(data) != 32 or s >= P or is_negative(s):
        return None
    ss = s * s % P
    u1, u2 = (1 - ss) % P, (1 + ss) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    square, invsqrt = sqrt_ratio_m1(1, v * u2 * u2)
    den_x = invsqrt * u2 % P
    den_y = invsqrt * den_x * v % P
    x = absolute(2 * s * den_x)
    y = u1 * den_y % P
    t = x * y % P
    if not square or is_negative(t) or y == 0:
        return None
    return x, y, 1, t


def encode(point: Point) -> bytes:
    """Section 4.3.2."""
    x0, y0, z0, t0 = point
    u1 = (z0 + y0) * (z0 - y0) % P
    u2 = x0 * y0 % P
    _, invsqrt = sqrt_ratio_m1(1, u1 * u2 * u2)
    den1, den2 = invsqrt * u1 % P, invsqrt * u2 % P
    z_inv = den1 * den2 * t0 % P
    if is_negative(t0 * z_inv):
        x, y, den_inv = y0 * SQRT_M1 % P, x0 * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    else:
        x, y, den_inv = x0, y0, den2
    if is_negative(x * z_inv):
        y = -y % P
    return absolute(den_inv * (z0 - y)).to_bytes(32, "little")


def add(a: Point, b: Point) -> Point:
    """The complete addition of RFC 8032 section 5.1.4, every factor 2 left out."""
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e = ((x1 + y1) * (x2 + y2) - x1 * x2 - y1 * y2) % P
    c, d = D * t1 * t2 % P, z1 * z2 % P
    f, g, h = (d - c) % P, (d + c) % P, (y1 * y2 + x1 * x2) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(k: int, point: Point) -> Point:
    total = IDENTITY
    for bit in bin(k % L)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def one_way_map(uniform: bytes) -> Point:
    """Section 4.3.4."""

    def elligator(half: bytes) -> Point:
        t = int.from_bytes(half, "little") % 2**255 % P
        r = SQRT_M1 * t * t % P
        u = (r + 1) * ONE_MINUS_D_SQ % P
        v = (-1 - r * D) * (r + D) % P
        square, s = sqrt_ratio_m1(u, v)
        c = -1
        if not square:
            s, c = -absolute(s * t) % P, r
        n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
        w0, w1 = 2 * s * v % P, n * SQRT_AD_MINUS_ONE % P
        w2, w3 = (1 - s * s) % P, (1 + s * s) % P
        return w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P

    return add(elligator(uniform[:32]), elligator(uniform[32:]))


BASE = decode(bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")) or IDENTITY


# VOPRF, RFC 9497, mode 1

CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"


def lp(*parts: bytes | str) -> bytes:
    raw = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(struct.pack(">H", len(part)) + part for part in raw)


def expand_message_xmd(message: bytes, dst: bytes) -> bytes:
    """RFC 9380 section 5.3.1, SHA-512, 64 bytes."""
    dst_prime = dst + bytes([len(dst)])
    b0 = hashlib.sha512(bytes(128) + message + struct.pack(">H", 64) + b"\0" + dst_prime).digest()
    return hashlib.sha512(b0 + b"\1" + dst_prime).digest()


def hash_to_group(message: bytes) -> Point:
    return one_way_map(expand_message_xmd(message, b"HashToGroup-" + CONTEXT))


def hash_to_scalar(message: bytes, dst: bytes = b"HashToScalar-") -> int:
    return int.from_bytes(expand_message_xmd(message, dst + CONTEXT), "little") % L


def derive_key_pair(seed: bytes, info: bytes) -> tuple[int, bytes]:
    for counter in range(256):
        k = hash_to_scalar(seed + lp(info) + bytes([counter]), b"DeriveKeyPair")
        if k:
            return k, encode(multiply(k, BASE))
    raise AssertionError("unreachable")


def evaluate(k: int, one: bytes) -> bytes:
    element = encode(multiply(k, hash_to_group(one)))
    return hashlib.sha512(lp(one, element) + b"Finalize").digest()


def prove(k: int, public: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], nonce: int) -> bytes:
    """GenerateProof with ComputeCompositesFast, section 2.2.1."""
    seed = hashlib.sha512(lp(public, b"Seed-" + CONTEXT)).digest()
    m = IDENTITY
    for i, (c, d) in enumerate(zip(blinded, evaluated, strict=True)):
        weight = hash_to_scalar(lp(seed) + struct.pack(">H", i) + lp(c, d) + b"Composite")
        m = add(m, multiply(weight, decode(c) or IDENTITY))
    parts = [m, multiply(k, m), multiply(nonce, BASE), multiply(nonce, m)]
    challenge = hash_to_scalar(lp(public, *map(encode, parts)) + b"Challenge")
    response = (nonce - challenge * k) % L
    return challenge.to_bytes(32, "little") + response.to_bytes(32, "little")


# ChaCha20-Poly1305, RFC 8439


def chacha20_block(key: bytes, counter: int, nonce: bytes) -> bytes:
    state = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), counter]
    state += struct.unpack("<3I", nonce)
    x = list(state)

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for one, two, three, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[one] = x[one] + x[two] & 0xFFFFFFFF
            turned = x[three] ^ x[one]
            x[three] = (turned << shift | turned >> 32 - shift) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            quarter(column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return struct.pack("<16I", *(a + b & 0xFFFFFFFF for a, b in zip(x, state, strict=True)))


def aead_seal(key: bytes, nonce: bytes, aad: bytes, plain: bytes) -> bytes:
    stream = b"".join(chacha20_block(key, 1 + i, nonce) for i in range(-(-len(plain) // 64)))
    cipher = bytes(a ^ b for a, b in zip(plain, stream, strict=False))
    one_time = chacha20_block(key, 0, nonce)[:32]
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(one_time[16:], "little")
    message = aad + bytes(-len(aad) % 16) + cipher + bytes(-len(cipher) % 16)
    message += struct.pack("<QQ", len(aad), len(cipher))
    total = 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return cipher + ((total + s) % 2**128).to_bytes(16, "little")


# psi/1


def hkdf_expand(key: bytes, info: bytes, size: int = 32) -> bytes:
    """At most 64 bytes: the first block cut."""
    return hmac.digest(key, info + b"\1", "sha512")[:size]


def row(y: bytes, use: bytes, number: int) -> tuple[bytes, bytes]:
    """Tag and key of a table's label (`number` is its version) or of a delta's row."""
    made = hkdf_expand(y, use + struct.pack(">Q", number), 48)
    return made[:16], made[16:]


def delta_row(y: bytes, delta_id: bytes, number: int, label: bytes) -> bytes:
    """`label` is 32 zero bytes where the entry was withdrawn."""
    tag, key = row(y, b"psi/1 delta", number)
    return tag + aead_seal(key, delta_id[:12], delta_id + struct.pack(">Q", number) + tag, label)


def seal_label(y: bytes, table_id: bytes, version: int, label: bytes) -> bytes:
    tag, key = row(y, b"psi/1 label", version)
    return aead_seal(key, table_id[:12], table_id + struct.pack(">Q", version) + tag, label)


def batch(keys: Sequence[bytes], seed: bytes, size: int) -> tuple[list[bytes], list[int], list[int]]:
    """Inputs by slot, blinds by slot, and the slot of each key."""
    dummies = hashlib.shake_256(lp("psi/1 dummy", seed)).digest(32 * size)
    items = list(keys) + [lp("psi/1 dummy", dummies[32 * i : 32 * i + 32]) for i in range(len(keys), size)]
    draws = hashlib.shake_256(lp("psi/1 shuffle", seed)).digest(16 * (size - 1))
    order = list(range(size))
    for step in range(size - 1):
        last = size - 1 - step
        other = int.from_bytes(draws[16 * step : 16 * step + 16], "big") % (last + 1)
        order[last], order[other] = order[other], order[last]
    stream = hashlib.shake_256(lp("psi/1 blind", seed)).digest(64 * size)
    blinds = [int.from_bytes(stream[64 * slot : 64 * slot + 64], "little") % L for slot in range(size)]
    return [items[item] for item in order], blinds, [order.index(i) for i in range(len(keys))]


def table(entries: Sequence[tuple[bytes, bytes]], table_id: bytes, version: int, count: int, seed: bytes) -> bytes:
    noise = hashlib.shake_256(lp("psi/1 filler", seed)).digest(64 * (count - len(entries)))
    rows = [tag + sealed for tag, sealed in entries] + [noise[at : at + 64] for at in range(0, len(noise), 64)]
    header = b"limen table 1\n\0\0" + struct.pack(">QQ", version, count) + table_id + bytes(16)
    return header + b"".join(sorted(rows))
