"""Tables as files: one pair in use for each list, the one before for questions on their way, none after its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import NotFoundOrNotPermitted
from gateway.ports import Contradiction
from gateway.rpc.convert import peers as convert
from gateway.store.tables import PROOFS_MAX, TableFiles
from gateway.terms import ListId
from tests.flows.test_publish import made, owner, wanted
from tests.flows.world import HND, PAN, WATCH_GROUP

pytestmark = pytest.mark.asyncio


def files(folder: Path) -> TableFiles:
    return TableFiles(folder, lambda message: convert.manifest(message.body))


async def test_a_table_whose_epoch_has_ended_is_deleted_and_its_manifest_stays(tmp_path: Path) -> None:
    _, hnd = await owner(wanted(1))
    signed, table = made(hnd), hnd.table(PAN)
    writer, reader = files(tmp_path), files(tmp_path)
    writer.put(HND, signed, table)
    tag = table[64:80]
    assert reader.find(HND, signed.manifest, tag) is not None
    end_ns = signed.manifest.expires_ns
    assert (writer.end(end_ns - 1), len(reader.all())) == (0, 1)
    assert (writer.end(end_ns), writer.end(end_ns)) == (1, 0)
    assert list(tmp_path.rglob("*.table")) == [] and (writer.all(), reader.all()) == ([], [])
    for one in (writer, reader, files(tmp_path)):
        # By it an older one, or another under its version, is still refused.
        assert one.current(HND, ListId.PERSONS, WATCH_GROUP) == signed
        with pytest.raises(NotFoundOrNotPermitted):
            one.find(HND, signed.manifest, tag)
        with pytest.raises(NotFoundOrNotPermitted):
            one.chunk(HND, signed.manifest, 0)


async def test_the_table_after_it_is_read_as_any_other(tmp_path: Path) -> None:
    world, hnd = await owner(wanted(1))
    held = files(tmp_path)
    first, tag = made(hnd), hnd.table(PAN)[64:80]
    held.put(HND, first, hnd.table(PAN))
    held.end(first.manifest.expires_ns)
    world.clock.pass_ns(first.manifest.expires_ns - world.clock.now_ns())
    await hnd.publish(PAN)
    held.put(HND, made(hnd), hnd.table(PAN))
    assert held.all() == [made(hnd)]
    assert held.find(HND, made(hnd).manifest, hnd.table(PAN)[64:80]) is not None
    with pytest.raises(NotFoundOrNotPermitted):
        held.find(HND, first.manifest, tag)


async def test_a_question_on_its_way_is_looked_up_in_the_table_it_was_asked_under(tmp_path: Path) -> None:
    _, hnd = await owner(wanted(1))
    held = files(tmp_path)
    first, tag = made(hnd), hnd.table(PAN)[64:80]
    held.put(HND, first, hnd.table(PAN))
    assert held.find(HND, first.manifest, tag) is not None
    await hnd.enlist(wanted(2))
    await hnd.publish(PAN)
    held.put(HND, made(hnd), hnd.table(PAN))
    assert held.find(HND, made(hnd).manifest, hnd.table(PAN)[64:80]) is not None
    assert held.find(HND, first.manifest, tag) is not None


async def test_what_an_owner_signed_and_should_not_have_is_kept_once_and_outlives_its_tables(tmp_path: Path) -> None:
    _, hnd = await owner(wanted(1))
    held, first = files(tmp_path), made(hnd)
    held.put(HND, first, hnd.table(PAN))
    await hnd.enlist(wanted(2))
    await hnd.publish(PAN)
    proof = Contradiction("version", HND, made(hnd), first)
    for one in (proof, replace(proof, step="again")):
        held.prove(one)
    held.drop(HND)
    assert [kept for _, kept in files(tmp_path).proofs()] == [proof]
    assert held.all() == []


async def test_an_owner_that_signs_faults_without_end_fills_no_disk(tmp_path: Path) -> None:
    _, hnd = await owner(wanted(1))
    held, signed = files(tmp_path), made(hnd)
    for number in range(PROOFS_MAX + 3):
        message = replace(signed.message, header=bytes([number]), body=signed.message.body + bytes(number))
        held.prove(Contradiction("version", HND, replace(signed, message=message), None))
    assert len(list((tmp_path / "proofs").iterdir())) == PROOFS_MAX
