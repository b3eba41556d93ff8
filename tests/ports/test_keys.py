"""The promise of ports.Keys, held by the in-memory port and by the key process behind its socket."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway import ports
from gateway.audit import checkpoint, note
from gateway.errors import EpochRefused, KeysUnavailable, Malformed, VerificationFailed
from gateway.federation import envelope, names, token
from gateway.federation.document import key_id
from gateway.keyring import files, process
from gateway.keyring.client import KeysClient
from gateway.keyring.memory import MemoryKeys
from gateway.keyring.process import KeyringConfig
from gateway.ports import ReplyFrame
from gateway.pseudonym import oprf, schedule
from gateway.terms.exchange import KeyScope
from gateway.terms.ids import AgencyId, EpochId, OfficerId, PeerId, PurposeGroup
from gateway.terms.words import ListId, Role

HND, PAN, UTO = PeerId("HND"), PeerId("PAN"), PeerId("UTO")
EPOCH = EpochId("20260302-0a0b0c0d")
SCOPE = KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), EPOCH, HND)
NOW = 1_770_000_000 * 10**9
INPUTS = [b"input %d" % number for number in range(8)]
BLINDS = [(number + 2).to_bytes(32, "little") for number in range(8)]

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(params=["memory", "process"])
async def keys(request: pytest.FixtureRequest) -> AsyncIterator[ports.Keys]:
    """PAN's keys."""
    if request.param == "memory":
        yield MemoryKeys(PAN)
        return
    with tempfile.TemporaryDirectory(prefix="limen") as name:
        folder = Path(name) / "keys"
        folder.mkdir(mode=0o700)
        files.create(folder, bytes(32), 1)
        stop, ready = asyncio.Event(), asyncio.Event()
        config = KeyringConfig(PAN, folder, Path(name) / "keys.sock")
        serving = asyncio.create_task(process.serve(config, ready=ready.set, stop=stop))
        await asyncio.wait_for(ready.wait(), 5)
        client = KeysClient(config.socket)
        yield client
        await client.close()
        stop.set()
        await asyncio.wait_for(serving, 5)


async def frame(keys: ports.Keys) -> ReplyFrame:
    public = (await keys.public_keys())["message"]
    fields = envelope.reply_fields(
        "/gateway.wire.v1.WatchlistService/Check", PAN, HND, public, NOW, bytes(32), bytes(64)
    )
    return ReplyFrame(b"before", b"<evaluated>", b"<proof>", fields)


def blinded() -> bytes:
    return b"".join(oprf.blind(INPUTS, BLINDS))


async def test_a_batch_is_evaluated_proven_and_signed_in_one_request(keys: ports.Keys) -> None:
    await keys.open_epoch(HND, EPOCH)
    message = await keys.evaluate_and_sign(SCOPE, blinded(), await frame(keys))

    assert message.body.startswith(b"before<evaluated>")
    rest = message.body.removeprefix(b"before<evaluated>")
    evaluated, proof = oprf.split(rest[: 32 * 8]), rest[32 * 8 :].removeprefix(b"<proof>")
    public = await keys.public_key(SCOPE)
    oprf.verify_proof(public, oprf.split(blinded()), evaluated, proof)
    assert oprf.finalize_batch(INPUTS, BLINDS, evaluated) == await keys.derive(SCOPE, INPUTS)

    header = envelope.verify(
        message,
        method="/gateway.wire.v1.WatchlistService/Check",
        sender=PAN,
        receiver=HND,
        keys=[(await keys.public_keys())["message"]],
        now_ns=NOW,
        request_hash=bytes(64),
    )
    assert header.body_hash == envelope.body_hash(message.body)


async def test_two_proofs_of_one_batch_differ(keys: ports.Keys) -> None:
    await keys.open_epoch(HND, EPOCH)
    one, two = [await keys.evaluate_and_sign(SCOPE, blinded(), await frame(keys)) for _ in range(2)]
    assert one.body[:-64] == two.body[:-64] and one.body != two.body


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        bytes(31),
        bytes(32),
        b"\xff" * 32,
        (1).to_bytes(32, "little"),
        bytes([0xE2]) + bytes(30) + bytes([0x80]),
    ],
)
async def test_an_element_that_is_none_is_refused(keys: ports.Keys, bad: bytes) -> None:
    await keys.open_epoch(HND, EPOCH)
    for batch in (bad, blinded() + bad) if bad else (bad,):
        with pytest.raises(Malformed):
            await keys.evaluate_and_sign(SCOPE, batch, await frame(keys))


async def test_each_part_of_a_scope_makes_another_key(keys: ports.Keys) -> None:
    other = EpochId("20260401-00000000")
    for peer, epoch in ((HND, EPOCH), (HND, other), (UTO, EPOCH)):
        await keys.open_epoch(peer, epoch)
    scopes = [
        SCOPE,
        KeyScope(PAN, ListId.DOCUMENTS, PurposeGroup("WATCH"), EPOCH, HND),
        KeyScope(PAN, ListId.PERSONS, PurposeGroup("CHILD"), EPOCH, HND),
        KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), other, HND),
        KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), EPOCH, UTO),
    ]
    public = [await keys.public_key(scope) for scope in scopes]
    assert len(set(public)) == 5
    assert public == [await keys.public_key(scope) for scope in scopes]
    derived = [(await keys.derive(scope, INPUTS[:1]))[0] for scope in scopes]
    assert len(set(derived)) == 5 and {len(y) for y in derived} == {schedule.OUTPUT_BYTES}


async def test_opening_an_epoch_again_changes_nothing(keys: ports.Keys) -> None:
    await keys.open_epoch(HND, EPOCH)
    public = await keys.public_key(SCOPE)
    await keys.open_epoch(HND, EPOCH)
    assert await keys.public_key(SCOPE) == public


@pytest.mark.parametrize(
    "scope",
    [
        KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), EpochId("20260401-00000000"), HND),
        KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), EPOCH, UTO),
        KeyScope(UTO, ListId.PERSONS, PurposeGroup("WATCH"), EPOCH, HND),
        KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), EpochId("../../log"), HND),
        KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), EPOCH, PeerId("../keys")),
    ],
)
async def test_without_a_seed_for_the_scope_there_is_no_key(keys: ports.Keys, scope: KeyScope) -> None:
    await keys.open_epoch(HND, EPOCH)
    with pytest.raises(EpochRefused):
        await keys.public_key(scope)
    with pytest.raises(EpochRefused):
        await keys.evaluate_and_sign(scope, blinded(), await frame(keys))


async def test_a_destroyed_peer_is_gone_at_the_next_call_and_the_others_stay(keys: ports.Keys) -> None:
    other = EpochId("20260401-00000000")
    for peer, epoch in ((HND, EPOCH), (HND, other), (UTO, EPOCH)):
        await keys.open_epoch(peer, epoch)
    before = await keys.public_key(SCOPE)
    beside = KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), other, HND)
    await keys.public_key(beside)
    assert (await keys.destroy(HND, other), await keys.destroy(HND, other)) == (1, 0)
    with pytest.raises(EpochRefused):
        await keys.public_key(beside)
    assert await keys.public_key(SCOPE) == before
    await keys.open_epoch(HND, other)
    assert await keys.destroy(HND) == 2
    assert await keys.destroy(HND) == 0
    with pytest.raises(EpochRefused):
        await keys.evaluate_and_sign(SCOPE, blinded(), await frame(keys))
    await keys.public_key(KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), EPOCH, UTO))
    # The same epoch opened again is another key: there is no way back.
    await keys.open_epoch(HND, EPOCH)
    assert await keys.public_key(SCOPE) != before


async def test_handles_tell_entries_apart_and_nothing_to_another_peer_or_epoch(keys: ports.Keys) -> None:
    mine = await keys.handles(SCOPE, ["e1", "e2", "e1"])
    assert [len(handle) for handle in mine] == [8, 8, 8]
    assert mine[0] == mine[2] != mine[1]
    for scope in (
        KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), EPOCH, UTO),
        KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), EpochId("20260401-00000000"), HND),
    ):
        assert not set(mine) & set(await keys.handles(scope, ["e1", "e2"]))
    # Two keys of one entry lie in two lists of one peer and show as one hit.
    assert mine == await keys.handles(
        KeyScope(PAN, ListId.DOCUMENTS, PurposeGroup("DOCUMENT"), EPOCH, HND), ["e1", "e2", "e1"]
    )


async def test_a_message_is_signed_in_our_own_name_only(keys: ports.Keys) -> None:
    public = (await keys.public_keys())["message"]
    fields = envelope.request_fields("/a.B/C", PAN, HND, public, NOW, bytes(32))
    message = await keys.sign(fields, b"body")
    envelope.verify(message, method="/a.B/C", sender=PAN, receiver=HND, keys=[public], now_ns=NOW)
    for bent in ({**fields, "sender": UTO}, {**fields, "key_id": bytes(8)}, {**fields, "more": 1}, {}):
        with pytest.raises(Malformed):
            await keys.sign(bent, b"body")


def head(size: int, root: int = 0, origin: str = names.log_origin(PAN)) -> bytes:
    return checkpoint.Checkpoint(origin, size, bytes([root]) * 32).encode()


async def test_a_checkpoint_is_signed_and_the_log_only_grows(keys: ports.Keys) -> None:
    verifier = note.Verifier(names.log_origin(PAN), note.LOG_KEY, (await keys.public_keys())["log"])
    assert note.open_note(await keys.sign_note(head(5)), [verifier]).text == head(5)
    await keys.sign_note(head(5))
    await keys.sign_note(head(7))
    for bad in (head(6), head(7, root=1)):
        with pytest.raises(VerificationFailed) as caught:
            await keys.sign_note(bad)
        assert caught.value.position == 7
    await keys.sign_note(head(8))


@pytest.mark.parametrize("text", [b"", b"anything\n", head(1, origin=names.log_origin(HND)), b"limen-header"])
async def test_the_log_key_signs_own_checkpoints_only(keys: ports.Keys, text: bytes) -> None:
    with pytest.raises(Malformed):
        await keys.sign_note(text)


async def test_a_peers_checkpoint_is_cosigned_and_our_own_is_not(keys: ports.Keys) -> None:
    theirs = head(5, origin=names.log_origin(HND))
    line = await keys.cosign(theirs, 1_770_000_000)
    verifier = note.Verifier(names.witness_name(PAN), note.WITNESS_KEY, (await keys.public_keys())["witness"])
    assert note.verify_cosignature(theirs, line, verifier) == 1_770_000_000
    for bad in (head(5), b"anything\n"):
        with pytest.raises(Malformed):
            await keys.cosign(bad, 1)


async def test_a_token_is_signed_for_this_state_and_read_by_it(keys: ports.Keys) -> None:
    claims = token.claims(
        state=PAN,
        officer=OfficerId("4711"),
        agency=AgencyId("SNM"),
        roles=(Role.BORDER_FRONTLINE,),
        now_ns=NOW,
        certificate=b"c" * 32,
        token_id=b"j" * 16,
    )
    public = (await keys.public_keys())["token"]
    text = await keys.sign_token(claims)
    read = token.verify(text, keys={key_id(public): public}, state=PAN, now_ns=NOW, certificate=b"c" * 32)
    assert read.officer == "4711"
    for bent in ({**claims, "exp": claims["iat"] + 3600}, {**claims, "iss": "limen://HND"}, {**claims, "aud": "x"}, {}):
        with pytest.raises(Malformed):
            await keys.sign_token(bent)


async def test_every_purpose_has_a_key_of_its_own(keys: ports.Keys) -> None:
    public = await keys.public_keys()
    assert sorted(public) == ["log", "message", "token", "witness"]
    assert len(set(public.values())) == 4 and {len(key) for key in public.values()} == {32}


async def test_a_large_table_is_derived_in_the_order_of_its_inputs(keys: ports.Keys) -> None:
    await keys.open_epoch(HND, EPOCH)
    inputs = [b"input %d" % number for number in range(600)]
    derived, handles = await keys.derive(SCOPE, inputs), await keys.handles(SCOPE, [str(n) for n in range(600)])
    assert len(set(derived)) == len(set(handles)) == 600
    for number in (0, 255, 256, 599):
        assert await keys.derive(SCOPE, [inputs[number]]) == [derived[number]]
        assert await keys.handles(SCOPE, [str(number)]) == [handles[number]]


async def test_nothing_derived_of_no_inputs(keys: ports.Keys) -> None:
    await keys.open_epoch(HND, EPOCH)
    assert await keys.derive(SCOPE, []) == [] == await keys.handles(SCOPE, [])


async def test_a_name_that_is_no_peer_or_epoch_opens_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="limen") as name:
        seeds = files.SeedFiles(Path(name))
        for peer, epoch in ((PeerId("../x"), EPOCH), (HND, EpochId("../../log")), (HND, EpochId("20260302-0A0B0C0D"))):
            with pytest.raises(ValueError, match="not a peer and an epoch"):
                seeds.draw(peer, epoch)
        assert list(seeds) == []


async def test_without_the_process_no_answer_leaves(tmp_path: Path) -> None:
    client = KeysClient(tmp_path / "none.sock", wait_s=0.05)
    with pytest.raises(KeysUnavailable):
        await client.public_keys()
