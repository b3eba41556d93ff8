"""A bundle is taken whole and as signed, or not at all."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigRefused, VerificationFailed
from gateway.opa import bundle, content, sources
from tests.policies import world


def refused(raw: bytes, step: str, why: str = "") -> None:
    with pytest.raises(VerificationFailed) as fault:
        world.open_national(raw)
    assert fault.value.step == step
    assert why in fault.value.why


def test_a_built_bundle_opens_with_what_was_put_in() -> None:
    raw = world.national_raw(sequence=7)
    opened = world.open_national(raw, min_sequence=7)
    assert (opened.layer, opened.sequence, opened.not_after_ns) == ("national", 7, world.NOW + world.YEAR)
    assert opened.key_id == "pan-1"
    assert set(opened.data["limen"]["national"]) == {"agreements", "mandates", "prepared", "state"}


def test_equal_sources_give_equal_bytes() -> None:
    assert world.national_raw() == world.national_raw()
    assert world.baseline_raw() == world.baseline_raw()


def test_members_carry_no_time_and_no_owner() -> None:
    with tarfile.open(fileobj=io.BytesIO(world.baseline_raw()), mode="r:gz") as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in tar} == {(0, 0, 0, "", "")}


CHANGES: dict[str, Callable[[dict[str, bytes]], dict[str, bytes]]] = {
    "a byte of a rule": lambda f: f | {RULES: f[RULES].replace(b"<= input.time_ns", b">= input.time_ns")},
    "a value of the data": lambda f: f | {AGREEMENTS: f[AGREEMENTS].replace(b"200000", b"900000")},
    "a file more": lambda f: f | {"limen/national/more.rego": b"package limen.national.more\n"},
    "a file less": lambda f: {name: body for name, body in f.items() if name != "limen/national/mandates/data.json"},
    "the manifest's sequence": lambda f: f | {".manifest": f[".manifest"].replace(b'"sequence":1', b'"sequence":9')},
    "the manifest's end": lambda f: (
        f | {".manifest": f[".manifest"].replace(b'"not_after_ns":18', b'"not_after_ns":19')}
    ),
    "a golden decision": lambda f: f | {GOLDEN: f[GOLDEN].replace(b"legal_basis", b"legal_bases", 1)},
    "two signatures": lambda f: f | {SIGNATURES: twice(f[SIGNATURES])},
    "no algorithm": lambda f: f | {SIGNATURES: resigned(f[SIGNATURES], "none", "")},
    "a shared secret": lambda f: f | {SIGNATURES: resigned(f[SIGNATURES], "HS256", "s" * 64)},
    "no signature": lambda f: {name: body for name, body in f.items() if name != SIGNATURES},
}
RULES = "limen/national/sharing/sharing.rego"
AGREEMENTS = "limen/national/agreements/data.json"
GOLDEN = "limen/national/golden.json"
SIGNATURES = ".signatures.json"


def twice(body: bytes) -> bytes:
    (token,) = json.loads(body)["signatures"]
    return json.dumps({"signatures": [token, token]}).encode()


def resigned(body: bytes, algorithm: str, key: str) -> bytes:
    (token,) = json.loads(body)["signatures"]
    payload = jwt.decode(token, options={"verify_signature": False})
    return json.dumps(
        {"signatures": [jwt.encode(payload, key, algorithm=algorithm, headers={"kid": "pan-1"})]}
    ).encode()


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_not_signed_is_refused(change: str) -> None:
    files = world.members(world.national_raw())
    changed = CHANGES[change](files)
    assert changed != files
    refused(world.packed(changed), "bundle signature")


def test_data_may_be_laid_out_otherwise() -> None:
    files = world.members(world.national_raw())
    files[AGREEMENTS] = json.dumps(json.loads(files[AGREEMENTS]), indent=3).encode()
    assert world.open_national(world.packed(files)).sequence == 1


def test_another_authority_signs_nothing() -> None:
    raw = bundle.build(
        sources.starter_national("PAN", [world.agreed()]),
        scope="national/PAN",
        sequence=1,
        not_after_ns=world.NOW + world.YEAR,
        signing_key_pem=world.STRANGER,
        key_id="pan-1",
    )
    refused(raw, "bundle signature", "does not hold")
    with pytest.raises(VerificationFailed, match="not the policy authority"):
        bundle.open_(world.national_raw(), world.REGION_KEYS, "national/PAN", 1, world.NOW)


def test_one_layer_does_not_stand_in_for_the_other() -> None:
    with pytest.raises(VerificationFailed) as fault:
        bundle.open_(world.national_raw(), world.STATE_KEYS, bundle.BASELINE, 1, world.NOW)
    assert fault.value.step == "bundle scope"
    with pytest.raises(VerificationFailed) as fault:
        bundle.open_(world.national_raw(), world.STATE_KEYS, "national/HND", 1, world.NOW)
    assert fault.value.step == "bundle scope"


def test_an_older_bundle_is_a_roll_back() -> None:
    raw = world.national_raw(sequence=4)
    assert world.open_national(raw, min_sequence=4).sequence == 4
    with pytest.raises(VerificationFailed) as fault:
        world.open_national(raw, min_sequence=5)
    assert fault.value.step == "bundle sequence"


def test_one_number_names_one_bundle() -> None:
    first = world.open_national(world.national_raw(sequence=4))
    second = world.national_raw(sequence=4, not_after_ns=world.NOW + world.DAY)
    assert world.open_national(world.national_raw(sequence=4), min_sequence=4, anchored_digest=first.digest) == first
    with pytest.raises(VerificationFailed) as fault:
        world.open_national(second, min_sequence=4, anchored_digest=first.digest)
    assert fault.value.step == "bundle sequence"


def test_an_expired_bundle_is_refused() -> None:
    raw = world.national_raw(not_after_ns=world.NOW)
    assert world.open_national(raw, now_ns=world.NOW - 1)
    refused(raw, "bundle expiry")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"limen/national/sharing/data.json": b'{"decision": {"allow": true}}'}, "data stands at the package"),
        ({"limen/national/data.json": b'{"sharing": {"x": 1}}'}, "data stands at the package"),
        ({"limen/national/data.json": b'{"sharing": 1}'}, "data stands at the package"),
        ({"limen/national/data.json": b'{"agreements": {}}'}, "a second time"),
        ({"limen/national/prepared/data.json": b"{}", "limen/national/x/data.json": b"[]"}, "is not an object"),
        ({"data.json": b'{"limen": {"national": {"sharing": {"decision": 1}}}}'}, "does not belong"),
        ({"limen/baseline/x.rego": b"package limen.national.x\n"}, "does not belong"),
        ({"limen/national/x_test.rego": b"package limen.national.x\n"}, "does not belong"),
        ({"limen/national/x.rego": b"package limen.baseline.x\n"}, "is not below limen.national"),
        ({"limen/national/x.rego": b"package limen.national\n"}, "is not below limen.national"),
        ({"limen/national/x.rego": b"package limen.national.agreements\n"}, "data stands at the package"),
        ({"limen/national/x.rego": b"package limen.national.agreements.more.deep\nx := 1\n"}, None),
        (
            {"limen/national/x.rego": b"package limen.national.state.code.y\nx := 1\n"},
            "data stands above the package",
        ),
        (
            {"limen/national/x.rego": b"package limen.national.sharing\ndefault allow := true\n"},
            "stands in",
        ),
        ({"limen/national/x.rego": b"package limen.national.x\np if { q( }\n"}, "does not parse"),
        ({"limen/national/x.rego": "package limen.national.x\n# caf\u00e9\n".encode()}, "not ASCII"),
        ({"limen/national/x.rego": b'package limen.national.x\np if { not http.send({"url": "x"}) }\n'}, "http.send"),
        ({"limen/national/x.rego": b"package limen.national.x\np if { opa.runtime() }\n"}, "opa.runtime"),
        ({"limen/national/x.rego": b"package limen.national.x\np if { time.now_ns() > 1 }\n"}, "time.now_ns"),
        ({"limen/national/x.rego": b"package limen.national.x\np if { typo.fn(1) }\n"}, "typo.fn"),
        ({"limen/national/x.rego": b"package limen.national.x\np if { typo(1) }\n"}, "typo"),
        ({"limen/national/x.rego": b"package limen.national.x\nimport data.y as z\n"}, "another name"),
        ({"limen/national/x.rego": b"package limen.national.x\nimport future.keywords\n"}, "an import"),
        ({"limen/national/x.rego": b"package limen.national.x\np if { q with input as {} }\nq := 1\n"}, "with stands"),
        (
            {
                "limen/national/x.rego": b"package limen.national.x\nlookup(x) := opa.runtime() if x\n"
                b"p if { lookup(1) with lookup as opa.runtime }\n"
            },
            "with stands",
        ),
        ({"limen/national/x.rego": b"package limen.national.x\nhttp.send(x) := x\n"}, "has dots"),
        ({"limen/national/x.rego": b"package limen.national.x\np if { [y | y := http.send({})] }\n"}, "http.send"),
        ({"limen/national/x.rego": b"package limen.national.x\np[http.send({})] := 1\n"}, "http.send"),
        ({"limen/national/x.rego": b"package limen.national.x\nf(x) := x + 1\np := f(2)\n"}, None),
        (
            {
                "limen/national/x.rego": b"package limen.national.x\nf(x) := x\n",
                "limen/national/y.rego": b"package limen.national.y\nimport data.limen.national.x\np := x.f(2)\n",
            },
            None,
        ),
        (
            {
                "limen/national/x.rego": b"package limen.national.x\nf(x) := x\n",
                "limen/national/y.rego": b"package limen.national.y\np := data.limen.national.x.f(count([1]))\n",
            },
            None,
        ),
        ({"limen/national/x/data.json": b'{"a": 1, "a": 2}'}, "not strict JSON"),
        ({"limen/national/x/data.json": b'{"a": 1.5}'}, "not strict JSON"),
        ({"limen/national/x/data.json": b'{"a": NaN}'}, "not strict JSON"),
        ({"limen/national/x/data.json": b'{"a": 99999999999999999999}'}, "not strict JSON"),
        ({"limen/national/x/data.json": b'{"a": "\\u0000"}'}, "not strict JSON"),
        ({"limen/national/x/data.json": b'{"a": "\\ud800"}'}, "not strict JSON"),
        ({"limen/national/x/data.json": b"[" * 100_000}, "not strict JSON"),
        ({"limen/national/x/data.json": b'{"a": "\xff"}'}, "not strict JSON"),
        ({"limen/national/golden.json": b"[]"}, "golden.json has no decisions"),
        ({"limen/national/golden.json": b"{}"}, "golden.json has no decisions"),
        ({"limen/national/state/data.json": b'{"code": "HND"}'}, "another state's"),
        ({"limen/national/state/data.json": b'{"code": "GTM"}'}, "is not an agreement of GTM"),
        ({"limen/national/state/data.json": b"{}"}, "sources lack"),
        ({"limen/national/agreements/data.json": b'{"x": {}}'}, "is missing"),
        ({"limen/national/sharing/sharing.rego": b"package limen.national.sharing\ndecision := 1\n"}, "rule reasons"),
        ({"limen/national/sharing/sharing.rego": b"package limen.national.other\ndecision := 1\n"}, "is missing"),
        ({"../x.rego": b"package limen.national.x\n"}, "does not belong"),
        ({"limen/national/X.rego": b"package limen.national.x\n"}, "does not belong"),
        ({"limen/national/x.txt": b""}, "does not belong"),
    ],
)
def test_what_a_bundle_may_not_contain_is_not_even_signed(files: dict[str, bytes], why: str | None) -> None:
    whole = sources.starter_national("PAN", [world.agreed()]) | files
    if why is None:
        assert world.open_national(world.national_raw(whole))
        return
    with pytest.raises(VerificationFailed) as fault:
        world.national_raw(whole)
    assert fault.value.step == "bundle content"
    assert why in fault.value.why


def test_what_was_signed_by_other_means_is_judged_when_it_is_opened() -> None:
    files = world.members(world.national_raw())
    del files[SIGNATURES]
    files["limen/national/sharing/data.json"] = b'{"decision":{"allow":true}}'
    files[SIGNATURES] = bundle._sign(files, "national/PAN", world.STATE, "pan-1")
    refused(world.packed(files), "bundle content", "data stands at the package")


def test_prepared_data_are_those_of_the_agreements() -> None:
    files = world.members(world.national_raw())
    del files[SIGNATURES]
    name = "limen/national/prepared/data.json"
    files[name] = files[name].replace(b'"slots_per_day":200000', b'"slots_per_day":900000')
    files[SIGNATURES] = bundle._sign(files, "national/PAN", world.STATE, "pan-1")
    refused(world.packed(files), "bundle content", "prepared data")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"rego_version":1', b'"rego_version":0'),
        (b'"roots":["limen/national"]', b'"roots":["limen"]'),
        (b'"roots":["limen/national"]', b'"roots":[""]'),
        (b'"sequence":1', b'"sequence":true'),
        (b'"sequence":1', b'"sequence":0'),
        (b'"sequence":1', b'"sequence":"1"'),
        (b'"sequence":1', b'"sequence":1,"more":1'),
        (b'"scope":"national/PAN"', b'"scope":"national/HND"'),
        (b'"revision":"1.', b'"revision":"2.'),
        (b'"revision":', b'"wasm":'),
    ],
)
def test_a_manifest_says_what_it_must_and_no_more(old: bytes, new: bytes) -> None:
    files = world.members(world.national_raw())
    del files[SIGNATURES]
    assert old in files[".manifest"]
    files[".manifest"] = files[".manifest"].replace(old, new)
    files[SIGNATURES] = bundle._sign(files, "national/PAN", world.STATE, "pan-1")
    refused(world.packed(files), "bundle manifest")


def test_members_that_point_elsewhere_are_refused() -> None:
    for kind, name in ((tarfile.SYMTYPE, "limen/national/x.rego"), (tarfile.LNKTYPE, "limen/national/x.rego")):
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w:gz") as tar:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = "/etc/passwd"
            tar.addfile(member)
        refused(plain.getvalue(), "bundle archive")
    for name in ("../limen/national/x.rego", "/limen/national/x.rego", "limen/../x.rego"):
        refused(world.packed({name: b""}), "bundle archive")


def test_a_member_that_comes_twice_is_refused() -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("limen/national/x.rego"), io.BytesIO(b""))
    refused(plain.getvalue(), "bundle archive")


def test_a_bomb_does_not_unfold() -> None:
    refused(world.packed({"limen/national/x.rego": bytes(bundle.BYTES_MAX)}), "bundle archive")
    refused(bytes(bundle.RAW_BYTES_MAX + 1), "bundle archive", "larger")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_bundle_or_refused(raw: bytes) -> None:
    with pytest.raises(VerificationFailed):
        world.open_national(raw)


@given(st.data())
def test_any_flipped_byte_is_refused(data: st.DataObject) -> None:
    raw = bytearray(NATIONAL)
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    try:
        opened = world.open_national(bytes(raw))
    except VerificationFailed:
        return
    # A few bits of a gzip header (its time, its system) say nothing about the files.
    assert position < 10
    assert opened.modules == world.open_national(NATIONAL).modules


NATIONAL = world.national_raw()


@given(
    st.dictionaries(
        st.sampled_from([".manifest", ".signatures.json", "limen/national/x.rego", "limen/national/y/data.json"]),
        st.one_of(st.binary(max_size=60), st.from_regex(rb'\{"[a-z]+":(\{\}|\[\]|1|null|"x")\}')),
    )
)
def test_any_files_are_a_bundle_or_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(VerificationFailed):
        world.open_national(world.packed(files))


def test_a_key_of_another_kind_is_named() -> None:
    with pytest.raises(ConfigRefused, match="P-256"):
        bundle.build(
            sources.baseline(), scope="baseline", sequence=1, not_after_ns=2, signing_key_pem=b"no key", key_id="k"
        )
    with pytest.raises(ConfigRefused, match="P-256"):
        bundle.open_(world.national_raw(), {"pan-1": b"no key"}, "national/PAN", 1, world.NOW)
    with pytest.raises(ConfigRefused, match="scope"):
        bundle.open_(world.national_raw(), world.STATE_KEYS, "national/pan", 1, world.NOW)


def test_the_allow_list_is_the_one_given_to_opa() -> None:
    names = {entry["name"] for entry in json.loads((sources.root() / "capabilities.json").read_bytes())["builtins"]}
    operators = {"assign", "eq", "equal", "gt", "gte", "lt", "lte", "neq", "plus", "minus", "and", "or"}
    assert names == content.BUILTINS | operators | {"internal.member_2", "internal.member_3"}
