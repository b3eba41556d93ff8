"""Policy bundles: a plain OPA bundle, signed, that says how new it is and until when it holds.

The form is OPA's (its documentation on bundles; `v1/bundle/{sign,verify,hash}.go`): a gzipped tar of `.manifest`,
`*.rego`, `data.json` and `.signatures.json` with one ES256 token over the digest of every file. OPA's signature has no
protection against an old bundle, so `.manifest` carries `metadata.sequence`, which only rises, and
`metadata.not_after_ns`; both are under the signature. `golden.json` holds decisions that must come out as written
before the bundle is used.

A bundle that is refused changes nothing: the one in force stays until its own end.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.algorithms import ECAlgorithm

from gateway.errors import ConfigRefused, VerificationFailed
from gateway.opa import content, prepare
from gateway.policy.agreement import NS_MAX
from gateway.primitives import strict_json

RAW_BYTES_MAX: Final = 16 << 20
"""Largest bundle as it lies on disk."""

BYTES_MAX: Final = 64 << 20
"""Largest bundle unpacked: a state's agreements take a few hundred kilobytes."""

FILES_MAX: Final = 1000
MODULE_BYTES_MAX: Final = 256 << 10

MANIFEST: Final = ".manifest"
SIGNATURES: Final = ".signatures.json"

BASELINE: Final = "baseline"
"""The scope of the regional baseline's bundle."""

_NAME: Final = re.compile(r"(?:[a-z0-9_]+/)*(?:[a-z0-9_]+\.rego|data\.json|golden\.json)\Z")
_BLANK: Final = {ord(blank): None for blank in "\n\r\t"}
_ITEM: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")


def national_scope(state: str) -> str:
    """The scope of a state's national bundle, `national/<AAA>`: no other state's bundle can stand in for it."""
    return f"national/{state}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose signature, scope, sequence, validity and content hold.

    `layer` is `baseline` or `national`; `digest` the SHA-256 of the file's bytes; `golden` decisions that must hold.
    `revision` is what an OPA server says it answers from: the sequence and a digest of the content.
    """

    scope: str
    layer: str
    sequence: int
    not_after_ns: int
    digest: bytes
    key_id: str
    revision: str
    modules: Mapping[str, str] = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)
    golden: tuple[Mapping[str, Any], ...] = field(repr=False)


def build(
    files: Mapping[str, bytes],
    *,
    scope: str,
    sequence: int,
    not_after_ns: int,
    signing_key_pem: bytes,
    key_id: str,
) -> bytes:
    """Pack and sign a bundle: equal arguments give equal bytes.

    `files` are rules and sources by their name in the bundle (`opa.sources` has the ones that ship); the manifest, the
    prepared data and the signature are made here. `signing_key_pem` is the policy authority's P-256 key, PKCS 8.

    Raises:
        VerificationFailed: the bundle would be refused; says where.
        ConfigRefused: the key is not a P-256 private key.
    """
    whole = _whole(files, scope, sequence, not_after_ns)
    _judge(whole, scope)
    whole[SIGNATURES] = _sign(whole, scope, signing_key_pem, key_id)
    return _pack(whole)


def unsigned(files: Mapping[str, bytes], *, scope: str, sequence: int, not_after_ns: int) -> Bundle:
    """What `build` would sign, to be looked at before: its digest and key id are empty, and no node takes it.

    Raises:
        VerificationFailed: as `build`.
    """
    whole = _whole(files, scope, sequence, not_after_ns)
    modules, data, golden, metadata = _judge(whole, scope)
    revision = _revision(whole, metadata)
    return Bundle(scope, _layer(scope), sequence, not_after_ns, b"", "", revision, modules, data, golden)


def _whole(files: Mapping[str, bytes], scope: str, sequence: int, not_after_ns: int) -> dict[str, bytes]:
    """The files with prepared data and manifest."""
    layer = _layer(scope)
    whole = {name: bytes(body) for name, body in files.items() if not name.endswith("/prepared/data.json")}
    made = prepare.prepared(layer, _below(layer, _data(whole)))
    if made is not None:
        whole[f"limen/{layer}/prepared/data.json"] = _json(made)
    metadata = {"scope": scope, "sequence": sequence, "not_after_ns": not_after_ns}
    whole[MANIFEST] = _json(
        {
            "revision": _revision(whole, metadata),
            "roots": [f"limen/{layer}"],
            "rego_version": 1,
            "metadata": metadata,
        }
    )
    return whole


def open_(
    raw: bytes,
    keys: Mapping[str, bytes],
    scope: str,
    min_sequence: int,
    now_ns: int,
    *,
    anchored_digest: bytes = b"",
) -> Bundle:
    """Verify a bundle and return it. Any bytes at all come out as a bundle or as VerificationFailed.

    `keys` are the policy authority's public keys (PEM) by key id; `scope` what the bundle must be for. `min_sequence`
    is the highest sequence anchored in the log (T6): one below it is a roll-back; one equal to it must have
    `anchored_digest`, where that is given, or a second bundle was signed under one number.

    Raises:
        VerificationFailed: with the first step that does not hold.
        ConfigRefused: the scope or the authority's key is not of the form it should have.
    """
    layer = _layer(scope)
    # 1. A gzipped tar of plain files with plain names, within the limits.
    files = _unpack(raw)
    # 2. One ES256 signature by a known key, over exactly these files, for this scope.
    key_id = _verify(files, keys, scope)
    del files[SIGNATURES]
    # 3. What it says of itself, and what it contains.
    modules, data, golden, metadata = _judge(files, scope)
    revision = _revision(files, metadata)
    # 4. Not older than what was in force, and not past its end.
    sequence, not_after_ns = metadata["sequence"], metadata["not_after_ns"]
    digest = hashlib.sha256(raw).digest()
    if sequence < min_sequence:
        raise VerificationFailed("bundle sequence", f"{sequence} is older than {min_sequence}, which was in force")
    if sequence == min_sequence and anchored_digest and digest != anchored_digest:
        raise VerificationFailed("bundle sequence", f"another bundle was in force under the number {sequence}")
    if now_ns >= not_after_ns:
        raise VerificationFailed("bundle expiry", "the bundle has expired")
    return Bundle(scope, layer, sequence, not_after_ns, digest, key_id, revision, modules, data, golden)


def _layer(scope: str) -> str:
    layer, _, state = scope.partition("/")
    if (layer == "baseline" and not state) or (layer == "national" and re.fullmatch(r"[A-Z]{3}", state)):
        return layer
    raise ConfigRefused(f"{scope!r} is not a bundle's scope; write baseline or national/<AAA>")


def _judge(
    files: Mapping[str, bytes], scope: str
) -> tuple[dict[str, str], dict[str, Any], tuple[Mapping[str, Any], ...], Mapping[str, Any]]:
    """Modules, data, golden decisions and the manifest's metadata, all judged."""
    layer = _layer(scope)
    root = f"limen/{layer}/"
    if MANIFEST not in files:
        raise VerificationFailed("bundle manifest", "there is none")
    manifest = _loads(MANIFEST, files[MANIFEST])
    metadata = manifest.get("metadata") if isinstance(manifest, dict) else None
    if not isinstance(metadata, dict) or metadata.keys() != {"scope", "sequence", "not_after_ns"}:
        raise VerificationFailed("bundle manifest", "metadata has scope, sequence and not_after_ns")
    if manifest.keys() != {"revision", "roots", "rego_version", "metadata"}:
        raise VerificationFailed("bundle manifest", "has revision, roots, rego_version and metadata")
    if manifest["roots"] != [root.rstrip("/")] or manifest["rego_version"] != 1 or metadata["scope"] != scope:
        raise VerificationFailed("bundle manifest", f"roots, rego_version or scope are not those of {scope}")
    for name in ("sequence", "not_after_ns"):
        if type(metadata[name]) is not int or not 1 <= metadata[name] <= NS_MAX:
            raise VerificationFailed("bundle manifest", f"{name} is a whole number from 1")
    for name in files:
        if name == MANIFEST:
            continue
        if not _NAME.match(name) or not name.startswith(root) or name.endswith("_test.rego"):
            raise VerificationFailed("bundle content", f"the file {name} does not belong in a {layer} bundle")
    modules = {name: _text(name, body) for name, body in files.items() if name.endswith(".rego")}
    data = _data(files)
    content.judge(layer, modules, data)
    below = _below(layer, data)
    if below.get("prepared") != prepare.prepared(layer, below):
        raise VerificationFailed("bundle content", "the prepared data are not those of the sources")
    if layer == "national" and "state" in below and below["state"] != {"code": scope.partition("/")[2]}:
        raise VerificationFailed("bundle content", "the agreements are another state's")
    golden = _loads("golden.json", files.get(f"{root}golden.json", b"null"))
    if not isinstance(golden, list) or not golden or not all(isinstance(case, dict) for case in golden):
        raise VerificationFailed("bundle content", "golden.json has no decisions")
    if manifest["revision"] != _revision(files, metadata):
        raise VerificationFailed("bundle manifest", "the revision is not that of the content")
    return modules, data, tuple(golden), metadata


def _revision(files: Mapping[str, bytes], metadata: Mapping[str, Any]) -> str:
    """`<sequence>.<32 hex>`: two bundles signed under one number differ here too.

    An OPA server tells the revision it answered from and no digest of the file, so the revision carries one: the first
    16 bytes of a SHA-256 over the manifest's metadata and every other file's digest.
    """
    listed = [[name, _digest(name, body)] for name, body in sorted(files.items()) if name not in (MANIFEST, SIGNATURES)]
    return f"{metadata['sequence']}.{hashlib.sha256(_json([dict(metadata), listed])).hexdigest()[:32]}"


def _data(files: Mapping[str, bytes]) -> dict[str, Any]:
    """All `data.json` files, each merged at its folder's path, as OPA does."""
    whole: dict[str, Any] = {}
    for name, body in sorted(files.items()):
        folder, _, last = name.rpartition("/")
        if last != "data.json":
            continue
        document = _loads(name, body)
        if not isinstance(document, dict):
            raise VerificationFailed("bundle content", f"{name} is not an object")
        place = whole
        for part in folder.split("/"):
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise VerificationFailed("bundle content", f"{name} stands below another file's value")
        for key, value in document.items():
            if key in place:
                raise VerificationFailed("bundle content", f"{name} gives {key} a second time")
            place[key] = value
    return whole


def _below(layer: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    below = data.get("limen", {}).get(layer, {})
    return below if isinstance(below, dict) else {}


def _sign(files: Mapping[str, bytes], scope: str, signing_key_pem: bytes, key_id: str) -> bytes:
    payload = {
        "files": [
            {"name": name, "hash": _digest(name, body), "algorithm": "SHA-256"} for name, body in sorted(files.items())
        ],
        "scope": scope,
    }
    try:
        key = load_pem_private_key(signing_key_pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ConfigRefused("the policy authority's key is a P-256 private key in PEM, without a passphrase")
    jws = jwt.PyJWS(algorithms=[])
    jws.register_algorithm("ES256", _Deterministic())
    token = jws.encode(_json(payload), key, algorithm="ES256", headers={"kid": key_id})
    return _json({"signatures": [token]})


class _Deterministic(ECAlgorithm):
    """ES256 with the nonce of RFC 6979, so that a bundle can be built again and compared."""

    def __init__(self) -> None:
        super().__init__(ECAlgorithm.SHA256, ec.SECP256R1)

    def sign(self, msg: bytes, key: Any) -> bytes:
        r, s = decode_dss_signature(key.sign(msg, ec.ECDSA(SHA256(), deterministic_signing=True)))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _verify(files: Mapping[str, bytes], keys: Mapping[str, bytes], scope: str) -> str:
    """The id of the key that signed exactly these files for this scope."""
    if SIGNATURES not in files:
        raise VerificationFailed("bundle signature", "the bundle is not signed")
    document = _loads(SIGNATURES, files[SIGNATURES])
    tokens = document.get("signatures") if isinstance(document, dict) else None
    if not isinstance(tokens, list) or len(tokens) != 1 or not isinstance(tokens[0], str):
        raise VerificationFailed("bundle signature", "there is not exactly one")
    jws = jwt.PyJWS(algorithms=["ES256"])
    try:
        key_id = jws.get_unverified_header(tokens[0]).get("kid")
        pem = keys.get(key_id) if isinstance(key_id, str) else None
        if pem is None:
            raise VerificationFailed("bundle signature", "signed by a key that is not the policy authority's")
        public = _public(pem)
        # The algorithm is ours to say, never the token's: `none` and HS256 are not in the list.
        signed = jws.decode(tokens[0], public, algorithms=["ES256"])
    except jwt.PyJWTError:
        raise VerificationFailed("bundle signature", "the signature does not hold") from None
    payload = _loads("the signature", signed)
    if not isinstance(payload, dict) or payload.get("scope") != scope:
        raise VerificationFailed("bundle scope", f"the bundle was not signed for {scope}")
    listed = payload.get("files")
    if not isinstance(listed, list) or not all(
        isinstance(entry, dict) and entry.keys() == {"name", "hash", "algorithm"} for entry in listed
    ):
        raise VerificationFailed("bundle signature", "the list of files is malformed")
    hashes = {str(entry["name"]): entry for entry in listed}
    if len(hashes) != len(listed) or hashes.keys() != files.keys() - {SIGNATURES}:
        raise VerificationFailed("bundle signature", "signed for another set of files")
    for name, entry in hashes.items():
        if entry["algorithm"] != "SHA-256" or entry["hash"] != _digest(name, files[name]):
            raise VerificationFailed("bundle signature", f"{name} is not what was signed")
    return str(key_id)


def _public(pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        public = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise ConfigRefused("a policy authority's public key is a P-256 key in PEM")
    return public


def _digest(name: str, body: bytes) -> str:
    """OPA's digest: of the bytes, or for structured files of their canonical JSON (v1/bundle/hash.go)."""
    if name.rpartition("/")[2] in ("data.json", MANIFEST):
        body = _json(_loads(name, body))
    return hashlib.sha256(body).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _loads(name: str, body: bytes) -> Any:
    """Strict JSON: UTF-8, no key twice, whole numbers of 64 bits only, printable text.

    What is left out (fractions, control characters) is where Go's and Python's canonical forms differ.
    """

    def whole(digits: str) -> int:
        if not _ITEM.match(digits) or digits == "-0" or len(digits) > 20 or abs(int(digits)) > NS_MAX:
            raise ValueError
        return int(digits)

    try:
        text = body.decode("utf-8")
        value = strict_json.loads(text, parse_int=whole, parse_float=strict_json.refuse)
        if "\\" in text:
            _printable(value)
        elif not text.translate(_BLANK).isprintable():
            raise ValueError
    except ValueError:
        raise VerificationFailed("bundle content", f"{name} is not strict JSON") from None
    return value


def _printable(value: Any) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str) and item and not item.isprintable():
            raise ValueError


def _text(name: str, body: bytes) -> str:
    if len(body) > MODULE_BYTES_MAX:
        raise VerificationFailed("bundle content", f"{name} is longer than {MODULE_BYTES_MAX} bytes")
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise VerificationFailed("bundle content", f"{name} is not ASCII") from None


def _pack(files: Mapping[str, bytes]) -> bytes:
    """A tar without times or owners, in the order of the names, gzipped without a time."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0, filename="") as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, body in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return packed.getvalue()


def _unpack(raw: bytes) -> dict[str, bytes]:
    if len(raw) > RAW_BYTES_MAX:
        raise VerificationFailed("bundle archive", f"larger than {RAW_BYTES_MAX} bytes")
    files: dict[str, bytes] = {}
    try:
        inflate = zlib.decompressobj(wbits=31)
        plain = inflate.decompress(raw, BYTES_MAX + 1)
        if len(plain) > BYTES_MAX or not inflate.eof or inflate.unused_data:
            raise VerificationFailed("bundle archive", "cut short, too large or followed by something else")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                # Folders carry nothing; anything else that is not a plain file could point elsewhere.
                if member.type == tarfile.DIRTYPE:
                    continue
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or not _plain_name(name) or name in files:
                    raise VerificationFailed("bundle archive", "a member is not a plain file with a name of its own")
                if len(files) >= FILES_MAX:
                    raise VerificationFailed("bundle archive", f"more than {FILES_MAX} files")
                opened = tar.extractfile(member)
                body = opened.read() if opened is not None else b""
                if len(body) != member.size:
                    raise VerificationFailed("bundle archive", "cut short")
                files[name] = body
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError):
        raise VerificationFailed("bundle archive", "not a gzipped tar") from None
    return files


def _plain_name(name: str) -> bool:
    return name in (MANIFEST, SIGNATURES) or bool(_NAME.match(name))
