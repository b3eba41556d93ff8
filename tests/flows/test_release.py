"""Private statistics from question to document: decided, logged, charged, made, and the same bytes ever after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import (
    AuditUnavailable,
    BaselineOutdated,
    BudgetExhausted,
    CapabilityMissing,
    GatewayError,
    InputRefused,
    Malformed,
    NotFoundOrNotPermitted,
    PeerSuspended,
    PolicyDenied,
    QuotaExhausted,
    RequestReused,
    VerificationFailed,
    VersionMoved,
    WitnessesSilent,
)
from gateway.federation import envelope
from gateway.flows import ask_release, load_events, make_release, release
from gateway.policy.decision import Deny
from gateway.ports import Change
from gateway.primitives import cbor
from gateway.statistics import release as documents
from gateway.statistics.release import CellStatus
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import AgencyId, Purpose
from gateway.terms.release import ReleaseState
from gateway.terms.words import Role
from tests.flows.releases import (
    COST,
    ROWS,
    SNAPSHOT,
    TICK_NS,
    Line,
    Party,
    ask_of,
    asked,
    asking,
    declared,
    loading,
    no_noise,
    owner,
    party,
    question,
    signers,
)
from tests.flows.world import HND, PAN, UTO, Rules, everything, shipped
from tests.support.entries import NOW_NS

pytestmark = pytest.mark.asyncio


async def released(pan: Party, number: int = 1, **query: Any) -> bytes:
    """HND's document."""
    ask = ask_of(asked(**query), number)
    await release.request(ask, HND, pan.world())
    await make_release.run(pan.job())
    pan.clock.pass_ns(TICK_NS)
    standing = await release.get(ask, HND, pan.world())
    assert standing.state is ReleaseState.READY
    return standing.document


# -- Planning ---------------------------------------------------------------------------------------------------------


async def test_a_plan_tells_the_cost_and_charges_nothing() -> None:
    pan = await owner()
    told = await release.plan_for(ask_of(asked()), HND, pan.world())
    assert (told.cost_micro_rho, told.charge_micro_rho, told.left_micro_rho) == (COST, COST, 2 * COST)
    assert (told.unit, told.l0, told.linf, told.half_width_95, told.state) == ("person-month", 1, 1, 3, "")
    assert (told.reference, told.snapshot) == (asked().digest, SNAPSHOT)
    assert told.cells == 1 * 2 * 3
    assert pan.spent() == 0
    assert pan.logged()[-1] == "release.requested.event"
    assert not pan.store.has_waiting_releases()


async def test_a_plan_says_what_was_charged_already_and_what_is_left() -> None:
    pan = await owner()
    await release.request(ask_of(asked()), HND, pan.world())
    again = await release.plan_for(ask_of(asked(), 2), HND, pan.world())
    assert (again.charge_micro_rho, again.left_micro_rho, again.state) == (0, COST, "waiting")
    home = await release.plan_for(ask_of(asked(), 3, at_home=True), PAN, pan.world(), officer=pan.officer)
    assert home.left_micro_rho == 2 * COST, "the whole account but what HND has caused"


# -- Asking -----------------------------------------------------------------------------------------------------------


async def test_a_release_is_decided_logged_charged_made_and_given() -> None:
    pan = await owner()
    ask = ask_of(asked())
    first = await release.request(ask, HND, pan.world())
    assert (first.state, first.cost_micro_rho, first.document) == (ReleaseState.WAITING, COST, b"")
    assert pan.spent() == COST
    assert await make_release.run(pan.job()) == 1
    assert (await release.get(ask, HND, pan.world())).state is ReleaseState.WAITING, "before the tick"
    pan.clock.pass_ns(TICK_NS)
    given = await release.get(ask, HND, pan.world())
    assert (given.state, given.cost_micro_rho) == (ReleaseState.READY, 0)
    found = documents.decode(given.document)
    assert (found.facts["owner"], found.facts["recipient"]) == (PAN, HND)
    counted = {cell.key[1:]: cell.noisy for cell in found.cells()}
    assert counted == {
        ("EAST", "HND"): 1, ("EAST", "VEN"): 1, ("EAST", "_U"): 0, ("WEST", "HND"): 0, ("WEST", "VEN"): 1,
        ("WEST", "_U"): 0,
    }  # fmt: skip
    assert found.facts["bias"]["lost"] == 1
    assert found.facts["balance"]["spent_micro_rho"] == COST
    assert found.facts["released_ns"] % TICK_NS == 0
    header = envelope.verify(
        SignedMessage(given.document, given.header, given.signature),
        method=envelope.RELEASE, sender=PAN, receiver=HND, keys=[pan.public], now_ns=None,
    )  # fmt: skip
    assert header.receiver == HND
    assert pan.logged() == [
        "release.dataset.event",
        "release.requested.event",
        "release.charged.event",
        "release.made.intent",
        "release.made.outcome",
        "release.requested.event",
        "release.sent.event",
    ]
    intent = pan.store.entries.index(next(one for one in pan.store.entries if one.phase.value == "intent"))
    assert found.facts["audit_index"] == intent


async def test_the_same_again_is_the_same_bytes_and_costs_nothing_whoever_asks() -> None:
    pan = await owner()
    document = await released(pan)
    again = ask_of(asked(), 2)
    standing = await release.request(again, HND, pan.world())
    assert (standing.state, standing.cost_micro_rho) == (ReleaseState.READY, 0)
    for _ in range(3):
        pan.clock.pass_ns(10**9)
        given = await release.get(again, HND, pan.world())
        assert given.document == document
        assert given == await release.get(again, HND, pan.world()), "header and signature too"
    home = ask_of(asked(), 3, at_home=True)
    await release.request(home, PAN, pan.world(), officer=pan.officer)
    ours = await release.get(home, PAN, pan.world(), officer=pan.officer)
    facts = documents.decode(ours.document).facts
    assert facts["recipient"] == PAN
    assert facts["values"] == documents.decode(document).facts["values"]
    assert pan.spent() == COST
    assert await make_release.run(pan.job()) == 0


async def test_noise_is_drawn_once() -> None:
    pan = await owner()
    draws: list[int] = []

    def count(plan: Any, bounded: Any) -> Any:
        draws.append(len(draws))
        made = no_noise(plan, bounded)
        return replace(made, values=tuple(value + len(draws) for value in made.values))

    pan.draw = count
    document = await released(pan)
    assert await released(pan, 2) == document
    assert draws == [0]


async def test_a_request_id_stands_for_one_question() -> None:
    pan = await owner()
    await release.request(ask_of(asked()), HND, pan.world())
    same = await release.request(ask_of(asked()), HND, pan.world())
    assert (same.state, same.cost_micro_rho) == (ReleaseState.WAITING, 0)
    with pytest.raises(RequestReused):
        await release.request(ask_of(asked("detections")), HND, pan.world())
    assert pan.spent() == COST
    assert pan.logged()[-1] == "release.denied.event"


async def test_new_events_are_another_release_and_the_old_one_stays() -> None:
    pan = await owner()
    document = await released(pan)
    assert await load_events.load_dataset(loading(snapshot=b"T" * 32), pan.world())
    assert (await release.get(ask_of(asked()), HND, pan.world())).document == document
    second = await release.request(ask_of(asked(), 2), HND, pan.world())
    assert (second.snapshot, second.cost_micro_rho) == (b"T" * 32, COST)
    assert pan.spent() == 2 * COST
    pan.kept = {b"T" * 32}
    await make_release.run(pan.job())
    pan.clock.pass_ns(TICK_NS)
    assert documents.decode((await release.get(ask_of(asked(), 2), HND, pan.world())).document).facts["snapshot"] == (
        b"T" * 32
    )


async def test_a_release_that_waits_is_made_from_the_events_it_was_charged_for() -> None:
    pan = await owner()
    await release.request(ask_of(asked()), HND, pan.world())
    await load_events.load_dataset(loading(declared(shares={}), snapshot=b"T" * 32), pan.world())
    assert pan.store.snapshots_needed() == {SNAPSHOT, b"T" * 32}
    assert await make_release.run(pan.job()) == 1
    (made,) = pan.store.releases()
    assert made.snapshot == SNAPSHOT


# -- No ---------------------------------------------------------------------------------------------------------------


async def test_the_peers_share_and_the_account_are_limits() -> None:
    pan = await owner()
    await release.request(ask_of(asked()), HND, pan.world())
    await release.request(ask_of(asked("detections"), 2), HND, pan.world())
    with pytest.raises(BudgetExhausted) as share:
        await release.request(ask_of(asked(dimensions=("month", "route")), 3), HND, pan.world())
    assert (share.value.of, share.value.left_micro_rho, share.value.cost_micro_rho) == ("share", 0, COST)
    home = ask_of(asked(dimensions=("month", "route")), 4, at_home=True)
    await release.request(home, PAN, pan.world(), officer=pan.officer)
    with pytest.raises(BudgetExhausted) as account:
        last = ask_of(asked(dimensions=("month",)), 5, at_home=True)
        await release.request(last, PAN, pan.world(), officer=pan.officer)
    assert account.value.of == "account"
    assert pan.spent() == 3 * COST
    denied = [one for one in pan.store.entries if one.kind == "release.denied"]
    assert [one.public["reason"] for one in denied] == ["BUDGET_EXHAUSTED"] * 2
    assert [one.public["reasons"] for one in denied] == ["share", "account"]
    assert (await release.request(ask_of(asked(), 6), HND, pan.world())).cost_micro_rho == 0, "what is made stays free"


async def test_months_have_accounts_of_their_own() -> None:
    pan = await owner(caps={"month": COST, "year": COST})
    for number, period in enumerate(("2023-07", "2023-08"), 1):
        await release.request(ask_of(asked(period=period), number), HND, pan.world())
    assert (pan.spent("2023-07"), pan.spent("2023-08")) == (COST, COST)


async def test_a_peer_without_a_share_gets_what_was_made_and_makes_nothing_itself() -> None:
    pan = await owner(shares={})
    with pytest.raises(BudgetExhausted) as caught:
        await release.request(ask_of(asked()), HND, pan.world())
    assert caught.value.left_micro_rho == 0
    home = ask_of(asked(), 2, at_home=True)
    await release.request(home, PAN, pan.world(), officer=pan.officer)
    assert (await release.request(ask_of(asked(), 3), HND, pan.world())).cost_micro_rho == 0


@pytest.mark.parametrize("call", [release.plan_for, release.request, release.get])
async def test_a_no_is_in_the_log_with_its_reasons(call: Any) -> None:
    pan = await owner()
    ask = ask_of(asked())
    await pan.store.commit([], [Change("peer.suspend", {"peer": UTO, "suspended": True})])
    bends: list[tuple[Any, Any, type[GatewayError], str]] = [
        (ask, UTO, PeerSuspended, ""),
        (replace(ask, role=Role.BORDER_FRONTLINE), HND, PolicyDenied, "role"),
        (replace(ask, legal_basis="no such act"), HND, PolicyDenied, "legal_basis"),
        (replace(ask, purpose=Purpose("SEC.WATCH")), HND, PolicyDenied, "operation"),
        (replace(ask, baseline=b"B" * 32), HND, BaselineOutdated, ""),
        (replace(ask, query=b"\xa0"), HND, Malformed, ""),
    ]
    for bent, recipient, error, reason in bends:
        with pytest.raises(error):
            await call(bent, recipient, pan.world())
        last = pan.store.entries[-1]
        assert (last.kind, last.peer) == ("release.denied", recipient)
        assert reason in str(last.public["reasons"])
        assert last.public["reason"] == error.row.reason
    assert pan.spent() == 0


async def test_what_the_data_set_does_not_declare_is_refused_unread() -> None:
    pan = await owner(caps={"month": COST})
    for query, code in (
        (asked(dataset="other"), "DATASET_UNKNOWN"),
        (asked(period="2023-09"), "DOMAIN_UNKNOWN"),
        (asked(period="2023"), "DOMAIN_UNKNOWN"),
    ):
        with pytest.raises(InputRefused) as caught:
            await release.request(ask_of(query), HND, pan.world())
        assert caught.value.code == code
        assert pan.logged()[-1] == "release.denied.event"


async def test_our_own_people_need_their_own_role_and_agency() -> None:
    pan = await owner()
    ask = ask_of(asked(), at_home=True)
    for officer in (
        None,
        replace(pan.officer, roles=(Role.SUPERVISOR,)),
        replace(pan.officer, agency=AgencyId("INM")),
    ):
        with pytest.raises(PolicyDenied) as caught:
            await release.request(ask, PAN, pan.world(), officer=officer)
        assert caught.value.reasons == ("role",)
    with pytest.raises(PolicyDenied):
        regional = replace(pan.officer, roles=(Role.ANALYST_REGIONAL,))
        await release.request(replace(ask, role=Role.ANALYST_REGIONAL), PAN, pan.world(), officer=regional)


async def test_a_node_without_the_extra_makes_nothing_and_gives_what_was_made() -> None:
    pan = await owner()
    document = await released(pan)
    pan.can_count = False
    with pytest.raises(CapabilityMissing):
        await release.request(ask_of(asked("detections"), 2), HND, pan.world())
    assert pan.spent() == COST
    assert (await release.plan_for(ask_of(asked("detections"), 3), HND, pan.world())).charge_micro_rho == COST
    await release.request(ask_of(asked(), 4), HND, pan.world())
    assert (await release.get(ask_of(asked(), 4), HND, pan.world())).document == document


async def test_only_who_asked_gets_it() -> None:
    pan = await owner()
    await released(pan)
    with pytest.raises(NotFoundOrNotPermitted):
        await release.get(ask_of(asked("detections")), HND, pan.world())
    with pytest.raises(NotFoundOrNotPermitted):
        await release.get(ask_of(asked(), at_home=True), PAN, pan.world(), officer=pan.officer)


async def test_a_peer_has_so_many_requests_a_day() -> None:
    pan = await owner()
    rules = Rules(lambda one: replace(everything(one), slots_per_day=2), *_digests())
    pan.policy = rules
    for number in (1, 2):
        await release.plan_for(ask_of(asked(), number), HND, pan.world())
    with pytest.raises(QuotaExhausted):
        await release.request(ask_of(asked(), 3), HND, pan.world())
    assert pan.spent() == 0
    for number in range(4, 8):
        await release.plan_for(ask_of(asked(), number, at_home=True), PAN, pan.world(), officer=pan.officer)


def _digests() -> tuple[bytes, bytes]:
    versions = shipped(PAN).versions()
    return versions.baseline, versions.national


async def test_each_replay_is_the_recipients_own_decision() -> None:
    pan = await owner()
    await released(pan)
    pan.policy = Rules(lambda one: Deny(("no_agreement",)) if one.asker == HND else everything(one), *_digests())
    with pytest.raises(PolicyDenied):
        await release.get(ask_of(asked()), HND, pan.world())
    await pan.store.commit([], [Change("peer.suspend", {"peer": HND, "suspended": True})])
    with pytest.raises(PeerSuspended):
        await release.get(ask_of(asked()), HND, pan.world())


async def test_no_peer_is_given_anything_while_the_witnesses_are_silent() -> None:
    pan = await owner()
    await released(pan)
    home = ask_of(asked(), 2, at_home=True)
    await release.request(home, PAN, pan.world(), officer=pan.officer)

    def silent() -> None:
        raise WitnessesSilent("for four hours")

    pan.judge_witnesses = silent
    with pytest.raises(WitnessesSilent):
        await release.get(ask_of(asked()), HND, pan.world())
    assert pan.store.entries[-1].public["reason"] == "WITNESSES_SILENT"
    assert (await release.get(home, PAN, pan.world(), officer=pan.officer)).document


async def test_rules_that_move_in_between_charge_nothing() -> None:
    pan = await owner()
    pan.policy = Rules(everything, _digests()[0], b"X" * 32)
    with pytest.raises(VersionMoved):
        await release.request(ask_of(asked()), HND, pan.world())
    assert pan.spent() == 0
    assert not pan.store.releases()


# -- Protected persons ------------------------------------------------------------------------------------------------


async def test_a_state_of_origin_gets_no_cell_by_protection_about_its_own() -> None:
    pan = await owner()
    dimensions = ("month", "nationality", "protection")
    document = await released(pan, dimensions=dimensions)
    found = {cell.key[1:]: cell for cell in documents.decode(document).cells()}
    for nationality in ("HND", "_U"):
        for status in ("ASYLUM_SEEKER", "NONE"):
            cell = found[(nationality, status)]
            assert (cell.status, cell.noisy) == (CellStatus.WITHHELD, None)
    assert found[("VEN", "NONE")].noisy == 2
    (whole,) = pan.store.releases()
    assert whole.message is not None
    kept = {cell.key[1:]: cell.noisy for cell in documents.decode(whole.message.body).cells()}
    assert kept[("HND", "ASYLUM_SEEKER")] == 1, "the owner's own document is whole"
    assert whole.message.header[whole.message.header.index(b"sender") + 7 :][:3].decode() == PAN


# -- Making -----------------------------------------------------------------------------------------------------------


async def test_a_release_that_fails_says_so_and_holds_up_no_other() -> None:
    pan = await owner()
    await release.request(ask_of(asked()), HND, pan.world())
    await release.request(ask_of(asked("detections"), 2), HND, pan.world())
    seen: list[int] = []

    def broken() -> None:
        seen.append(1)
        if len(seen) == 1:
            raise InputRefused("the events cannot be read; load the file again", code="EVENTS")

    pan.engine.before = broken
    assert await make_release.run(pan.job()) == 1
    pan.clock.pass_ns(TICK_NS)
    states = {}
    for number, measure in ((1, "persons"), (2, "detections")):
        standing = await release.get(ask_of(asked(measure), number), HND, pan.world())
        states[standing.state] = standing
    failed = states[ReleaseState.FAILED]
    assert (failed.code, failed.document) == ("EVENTS", b"")
    assert states[ReleaseState.READY].document
    assert pan.spent() == 2 * COST
    assert "release.failed.event" in pan.logged()
    assert await make_release.run(pan.job()) == 0


async def test_what_failed_is_made_at_no_cost_when_it_is_asked_for_again() -> None:
    pan = await owner()
    await release.request(ask_of(asked()), HND, pan.world())
    pan.kept = set()
    assert await make_release.run(pan.job()) == 0
    pan.clock.pass_ns(TICK_NS)
    assert (await release.get(ask_of(asked()), HND, pan.world())).code == "EVENTS_GONE"
    pan.kept = {SNAPSHOT}
    again = await release.request(ask_of(asked(), 2), HND, pan.world())
    assert (again.state, again.cost_micro_rho) == (ReleaseState.WAITING, 0)
    assert await make_release.run(pan.job()) == 1
    assert pan.spent() == COST


@pytest.mark.parametrize("fault", [ZeroDivisionError("17 rows"), MemoryError(), VerificationFailed("noise", "differs")])
async def test_a_fault_of_ours_ends_as_a_code_without_its_words(fault: Exception) -> None:
    pan = await owner()
    await release.request(ask_of(asked()), HND, pan.world())

    def broken() -> None:
        raise fault

    pan.engine.before = broken
    assert await make_release.run(pan.job()) == 0
    (row,) = pan.store.releases()
    assert row.code in ("INTERNAL", "VERIFICATION_FAILED")
    assert "17" not in repr(pan.store.entries[-1])


async def test_a_log_that_is_away_leaves_what_waits_waiting() -> None:
    pan = await owner()
    await release.request(ask_of(asked()), HND, pan.world())

    def away() -> None:
        raise AuditUnavailable("the disk is full")

    pan.engine.before = away
    with pytest.raises(AuditUnavailable):
        await make_release.run(pan.job())
    assert pan.store.has_waiting_releases()


# -- The asker's side -------------------------------------------------------------------------------------------------


async def test_an_asker_decides_logs_asks_verifies_and_keeps() -> None:
    pan, hnd = await owner(), await party(HND, "INM")
    line = Line(pan)
    world = asking(hnd, line)
    told = await ask_release.plan(PAN, question(asked()), hnd.officer, world)
    assert told.charge_micro_rho == COST
    first = await ask_release.request(PAN, question(asked(), 2), hnd.officer, world)
    assert first.cost_micro_rho == COST
    assert hnd.store.release_asked(PAN, asked().digest) == asked().encode()
    assert (await ask_release.get(PAN, question(asked(), 3), hnd.officer, world)).state is ReleaseState.WAITING
    await make_release.run(pan.job())
    pan.clock.pass_ns(TICK_NS)
    given = await ask_release.get(PAN, question(asked(), 4), hnd.officer, world)
    (copy,) = hnd.store.release_copies()
    assert (copy.owner, copy.message.body, copy.query) == (PAN, given.document, asked().encode())
    await ask_release.get(PAN, question(asked(), 5), hnd.officer, world)
    assert len(hnd.store.release_copies()) == 1
    assert [ask.pair_seq for ask in line.seen] == [1, 2, 3, 4, 6], "our entries about PAN are numbered"
    assert all(ask.baseline == shipped(HND).versions().baseline for ask in line.seen)
    assert hnd.logged().count("release.received.event") == 2


async def test_an_asker_s_own_rules_come_first() -> None:
    pan, hnd = await owner(), await party(HND, "INM")
    line = Line(pan)
    for bent in (
        replace(question(asked()), role=Role.ANALYST_REGIONAL),
        replace(question(asked()), legal_basis="no such act"),
    ):
        with pytest.raises(PolicyDenied):
            await ask_release.request(PAN, bent, hnd.officer, asking(hnd, line))
    with pytest.raises(PolicyDenied) as caught:
        await ask_release.request(HND, question(asked()), hnd.officer, asking(hnd, line))
    assert "not_the_owner" in caught.value.reasons
    assert line.seen == []
    assert hnd.logged() == ["release.denied.event"] * 3


async def test_what_is_not_the_owners_release_for_us_is_refused_and_logged() -> None:
    pan, hnd = await owner(), await party(HND, "INM")
    await released(pan)
    line = Line(pan)
    world = asking(hnd, line)
    good = await ask_release.get(PAN, question(asked()), hnd.officer, world)
    (whole,) = pan.store.releases()
    assert whole.message is not None
    other = await pan.keys.sign(pan.sender.release(HND, NOW_NS), documents.for_recipient(whole.message.body, UTO))
    garbage = await pan.keys.sign(pan.sender.release(HND, NOW_NS), b"\xa0")
    again = documents.decode(good.document).facts
    second = await pan.keys.sign(
        pan.sender.release(HND, NOW_NS), cbor.encode({**again, "id": "rel_other", "released_ns": 1})
    )
    for bent, step in (
        (replace(good, document=whole.message.body), "envelope.body"),
        (replace(good, header=whole.message.header, signature=whole.message.signature), "envelope.receiver"),
        (replace(good, document=other.body, header=other.header, signature=other.signature), "release.recipient"),
        (replace(good, document=garbage.body, header=garbage.header, signature=garbage.signature), "release"),
        (replace(good, document=second.body, header=second.header, signature=second.signature), "release"),
        (replace(good, snapshot=b"Q" * 32), "release.snapshot"),
        (replace(good, reference=b"Q" * 32), "release.query"),
    ):
        line.instead = bent
        with pytest.raises(VerificationFailed) as caught:
            await ask_release.get(PAN, question(asked()), hnd.officer, world)
        assert caught.value.step == step
    (copy,) = hnd.store.release_copies()
    assert copy.message.body == good.document
    faults = [one.public["fault"] for one in hnd.store.entries if one.kind == "release.received"]
    assert faults[0] == "" and all(faults[1:])


# -- Loading ----------------------------------------------------------------------------------------------------------


async def test_two_persons_put_a_data_set_in_force() -> None:
    pan = await party(PAN, "SNM")
    assert await load_events.load_dataset(loading(), pan.world())
    assert not await load_events.load_dataset(loading(), pan.world())
    entry = pan.store.entries[-1]
    assert pan.logged() == ["release.dataset.event"]
    assert (entry.public["dataset"], entry.public["snapshot"], entry.public["declaration"]) == (
        "border", SNAPSHOT, declared().digest,
    )  # fmt: skip
    assert entry.public["signers"] == 2
    assert str(len(ROWS)) not in {str(value) for value in entry.public.values()}, "a row count is data"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"signers": signers(Role.ANALYST_NATIONAL)}, "signers"),
        ({"signers": signers(Role.ANALYST_NATIONAL) * 2}, "signers"),
        ({"signers": signers(Role.ANALYST_NATIONAL, Role.ANALYST_NATIONAL)}, "role"),
        ({"signers": signers(Role.SUPERVISOR, Role.SUPERVISOR)}, "role"),
        ({"signers": ()}, "signers"),
        ({"decision": ""}, "case_required"),
        ({"legal_basis": "bilateral agreement"}, "legal_basis"),
        ({"legal_basis": ""}, "legal_basis"),
    ],
)
async def test_a_data_set_is_denied_without_them(change: dict[str, Any], reason: str) -> None:
    pan = await party(PAN, "SNM")
    with pytest.raises(PolicyDenied) as caught:
        await load_events.load_dataset(loading(**change), pan.world())
    assert reason in caught.value.reasons
    assert pan.logged() == ["release.denied.event"]
    assert pan.store.dataset("border") is None


async def test_reading_what_was_asked_is_for_analysts_and_is_logged() -> None:
    pan = await owner()
    await release.read("budget", pan.officer, pan.world())
    assert pan.store.entries[-1].public["act"] == "budget"
    with pytest.raises(PolicyDenied):
        await release.read("list", replace(pan.officer, roles=(Role.BORDER_FRONTLINE,)), pan.world())
