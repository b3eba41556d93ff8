"""A person who is protected is asked about in no way that shows (T2, T4, T12, T21; docs/threat-model.md).

UTO is the state that some travellers fled from. It has everything a peer has: a list, keys, a log, an ally.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from gateway.errors import InputRefused, PolicyDenied, QuotaExhausted
from gateway.federation import envelope
from gateway.flows.check import CheckAnswer, Traveller
from gateway.pseudonym import batch, oprf
from gateway.pseudonym import table as tables
from gateway.terms import Hidden, ListId, Outcome, PeerId, ProtectionTag, RequestId
from gateway.terms.exchange import CheckRequest
from gateway.watchlist.entry import TagChange
from tests.flows import world as w
from tests.flows.world import GTM, HND, PAN, STATUS, UTO, WATCH, WATCH_GROUP, World
from tests.support.entries import DAY_NS, entry, lost

pytestmark = pytest.mark.asyncio

ROSA = w.person("MALDONADO PAZ", "ROSA", "1984-08-12", "UTO")
PAPERS = w.passport("UTO", "T55637667", "UTO")
NOBODY = w.person("NOBODY HERE", "ANNA", "1984-08-12", "UTO")
OTHER_PAPERS = w.passport("UTO", "T00000000", "UTO")

BAIT = entry(entry_id="U1", originator=UTO, person=ROSA, documents=(PAPERS,))
HONDURAN = entry(entry_id="W1", originator=HND, person=ROSA)
LOST = lost("UTO", entry_id="D1", originator=UTO, documents=(PAPERS,))


async def region(**rest: Any) -> World:
    """PAN asks; UTO lists a person who fled from it, and HND lists her too."""
    return await World.exchanging(PAN, HND, UTO, listed={HND: [HONDURAN], UTO: [BAIT, LOST]}, **rest)


def guarded(world: World) -> dict[PeerId, bool]:
    """Of the last question: which owners' legs were guarded, as the home auditor reads it."""
    intents = [one for one in world[PAN].leaves("check.ask") if one.phase.value == "intent"]
    latest = {one.peer: one for one in intents}
    return {PeerId(peer): world[PAN].opened(one)["guarded"] for peer, one in latest.items()}


def keys_sent(world: World, owner: PeerId) -> int:
    """Declared keys of the last leg, shown to be the only ones: the batch is made again from what the log holds."""
    intent = [one for one in world[PAN].leaves("check.ask") if (one.peer, one.phase.value) == (owner, "intent")][-1]
    told = world[PAN].opened(intent)
    request = world.checks(owner)[-1].request()
    (seed,) = told["seeds"]
    assert batch.recompute(seed, told["keys"], request.class_size, request.seed_commitment) == request.blinded
    return len(told["keys"])


# -- Nothing about the person goes there -----------------------------------------------------------------------------


async def test_protection_declared_at_the_booth_sends_dummies_to_the_origin_and_shows_nothing_of_its_list() -> None:
    world = await region()
    plain = await world[PAN].ask(w.traveller(ROSA, PAPERS))
    assert [hit.owner for hit in plain.hits] == [HND, UTO]
    assert (keys_sent(world, UTO), keys_sent(world, HND)) == (5, 5)
    answer = await world[PAN].ask(w.traveller(ROSA, PAPERS), protection_declared=True)
    assert [hit.owner for hit in answer.hits] == [HND]
    assert (keys_sent(world, UTO), keys_sent(world, HND)) == (0, 5)
    assert (answer.unreachable, answer.refused) == ((), ())


async def test_a_mixed_question_sends_the_others_keys_and_dummies_in_the_protected_ones_slots() -> None:
    world = await region()
    tagged = replace(ROSA, tags=frozenset({ProtectionTag.ASYLUM_SEEKER}))
    answer = await world[PAN].ask(w.traveller(NOBODY), w.traveller(tagged, PAPERS))
    assert keys_sent(world, UTO) == 4
    assert world.checks(UTO)[-1].request().class_size == world.checks(HND)[-1].request().class_size == 32
    assert [(hit.owner, hit.traveller) for hit in answer.hits] == [(HND, 1)]


@cache
def everybody() -> World:
    """Three empty lists, for questions that change nothing."""
    return w.now(World.exchanging(PAN, HND, UTO, GTM, listed={}))


ADULT = w.person("MALDONADO", "ROSA", "1984-08-12", "VEN")


@pytest.mark.parametrize(
    ("who", "declared", "real"),
    [
        # Plain travellers, and protected ones with an origin nobody here is.
        (w.traveller(ADULT), {}, {HND, UTO, GTM}),
        (w.traveller(ADULT), {"protection_declared": True}, {HND, UTO, GTM}),
        # Every origin counts: nationality, birth country, residence, issuer, what the booth declared.
        (w.traveller(replace(ADULT, nationalities=("VEN", "UTO"))), {"protection_declared": True}, {HND, GTM}),
        (w.traveller(replace(ADULT, birth_country="UTO")), {"protection_declared": True}, {HND, GTM}),
        (w.traveller(replace(ADULT, residence_countries=("UTO", "HND"))), {"protection_declared": True}, {GTM}),
        (w.traveller(ADULT, w.passport("UTO", "T1")), {"protection_declared": True}, {HND, GTM}),
        (w.traveller(ADULT), {"protection_declared": True, "declared_origins": frozenset({"HND"})}, {UTO, GTM}),
        # A refugee's document is a protection of its own; its issuer is the state of refuge.
        (w.traveller(ADULT, w.passport("PAN", "R1", "XXB")), {}, set()),
        (w.traveller(None, w.passport("HND", "R1", "XXB")), {}, {HND}),
        (w.traveller(None, w.passport("HND", "R1", "XXC")), {}, {HND}),
        (w.traveller(replace(ADULT, nationalities=("XXB",))), {}, set()),
        # Stateless, unspecified, unknown, misspelt: everybody may be the one.
        (w.traveller(replace(ADULT, nationalities=("XXA",))), {"protection_declared": True}, set()),
        (w.traveller(replace(ADULT, nationalities=("XXX",))), {"protection_declared": True}, set()),
        (w.traveller(replace(ADULT, nationalities=())), {"protection_declared": True}, set()),
        (w.traveller(replace(ADULT, nationalities=("VNE",))), {"protection_declared": True}, set()),
        (w.traveller(None, w.passport("GTM", "S1", "XXA")), {"protection_declared": True}, {GTM}),
        # A tag protects from the origins, whatever tag it is; a record kept for care is left out everywhere.
        (w.traveller(replace(ADULT, nationalities=("UTO",), tags=frozenset({ProtectionTag.WITNESS}))), {}, {HND, GTM}),
        (w.traveller(replace(ADULT, tags=frozenset({ProtectionTag.FAMILY_REUNIFICATION}))), {}, set()),
        (w.traveller(replace(ADULT, tags=frozenset({ProtectionTag.REGULARISATION}))), {}, set()),
        (w.traveller(replace(ADULT, tags=frozenset({ProtectionTag.UNACCOMPANIED_CHILD}))), {}, set()),
        # Who is or could be a child is asked about nowhere.
        (w.traveller(w.person("PAZ", "ANA", "2010-05-05", "VEN")), {}, set()),
        (w.traveller(w.person("PAZ", "ANA", "2008", "VEN")), {}, set()),
        (w.traveller(w.person("PAZ", "ANA", "", "VEN"), w.passport("VEN", "C1")), {}, set()),
        (w.traveller(w.person("PAZ", "ANA", "2008-11-25", "VEN")), {}, {HND, UTO, GTM}),
    ],
)
async def test_who_is_asked_about_where(who: Traveller, declared: dict[str, Any], real: set[PeerId]) -> None:
    world = everybody()
    await world[PAN].ask(who, **declared)
    assert {owner for owner, is_guarded in guarded(world).items() if not is_guarded} == real
    for owner in (HND, UTO, GTM):
        assert (keys_sent(world, owner) > 0) == (owner in real)


async def test_a_childs_document_is_asked_about_because_it_says_nothing_of_its_holder() -> None:
    world = await region()
    child = w.person("PAZ", "ANA", "2015-05-05", "VEN")
    answer = await world[PAN].ask(w.traveller(child, PAPERS), purpose=STATUS)
    assert [hit.owner for hit in answer.hits] == [UTO]
    answer = await world[PAN].ask(w.traveller(child, PAPERS), purpose=STATUS, protection_declared=True)
    assert answer.hits == ()


# -- It looks like a miss, from everywhere ---------------------------------------------------------------------------


def _size(value: object) -> int:
    assert isinstance(value, bytes)
    return len(value)


RANDOM = {"leg", "request_hash", "request_hashes", "reply_hash", "seed_commitment", "signed", "replies"}
"""Public fields that differ between any two questions."""


def seen(world: World, answer: CheckAnswer) -> dict[str, Any]:
    """All that an officer, either gateway, its operator or a line between them can see of one question, but for values
    that are random anyway."""
    return {
        "answer": (answer.outcome, answer.complete, answer.hits, answer.unreachable, answer.refused),
        "order": world.journal,
        "line": [
            (one.sender, one.receiver, one.method, len(one.message.body), len(one.message.header))
            for one in world.sent
        ],
        "logs": {
            state.code: [
                (
                    one.seq, one.time_ns, one.kind, one.phase, one.peer, one.pair_seq, one.retention,
                    {name: value for name, value in one.public.items() if name not in RANDOM},
                    {name: _size(one.public[name]) for name in RANDOM & set(one.public)},
                    sorted(one.commitments), len(one.commitments),
                    len(state.store.leaf(one.seq) or b""), len(state.store.payload(one.seq) or b""),
                )
                for one in (*state.leaves("check.ask"), *state.leaves("check.answer"))
            ]
            for state in world
        },
        "charged": [
            state.store.quota_used(PAN, ListId.PERSONS, WATCH_GROUP, world.clock.now_ns() // DAY_NS)
            for state in world
        ],
        "kept": len((world[PAN].store.home_reply(ASKED) or (b"", b""))[1]),
        "waited": world.clock.waited_until,
        "operations": (world[PAN].uow.commits, world[UTO].uow.commits),
    }  # fmt: skip


ASKED = RequestId(b"q" * 16)


async def of_one_question(
    who: Traveller, trouble: Callable[[World], object] = lambda world: None, **words: Any
) -> dict[str, Any]:
    """PAN and UTO alone, the same to the last bit before the question."""
    world = await World.exchanging(PAN, UTO, listed={UTO: [BAIT]})
    trouble(world)
    answer = await world[PAN].ask(who, request_id=ASKED, reply_key=Hidden(b"k" * 32), **words)
    return seen(world, answer)


async def test_a_guarded_leg_and_a_miss_are_alike_in_every_field_size_and_step() -> None:
    missed = await of_one_question(w.traveller(NOBODY, OTHER_PAPERS))
    protected = await of_one_question(w.traveller(ROSA, PAPERS), protection_declared=True)
    assert protected["answer"] == (Outcome.NOTHING_TO_REPORT, True, (), (), ())
    assert protected == missed


async def test_a_guarded_leg_differs_from_a_hit_in_the_answer_alone() -> None:
    hit = await of_one_question(w.traveller(ROSA, PAPERS))
    protected = await of_one_question(w.traveller(ROSA, PAPERS), protection_declared=True)
    assert hit.pop("answer") != protected.pop("answer")
    assert protected == hit


def _down(world: World) -> None:
    world.line(PAN, UTO).down = True


def _lies(world: World) -> None:
    world.line(PAN, UTO).reply = lambda reply: replace(reply, proof=bytes(64))


def _without_table(world: World) -> None:
    world[PAN].copies.drop(UTO)


@pytest.mark.parametrize("trouble", [_down, _lies, _without_table])
async def test_an_owner_that_cannot_answer_is_unreachable_for_a_guarded_leg_too(
    trouble: Callable[[World], object],
) -> None:
    missed = await of_one_question(w.traveller(NOBODY, OTHER_PAPERS), trouble)
    protected = await of_one_question(w.traveller(ROSA, PAPERS), trouble, protection_declared=True)
    assert protected["answer"] == (Outcome.NOTHING_TO_REPORT, False, (), (UTO,), ())
    assert protected == missed


@pytest.mark.parametrize("words", [{}, {"protection_declared": True}])
async def test_an_owner_that_refuses_has_refused_a_guarded_leg_too(words: dict[str, Any]) -> None:
    world = await region()
    world.line(PAN, UTO).refusal = QuotaExhausted("q")
    answer = await world[PAN].ask(w.traveller(ROSA, PAPERS), **words)
    assert answer.refused == ((UTO, ("quota_exhausted",)),)
    with pytest.raises(PolicyDenied):
        await world[PAN].ask(w.traveller(ROSA, PAPERS), owners=[UTO], **words)


@pytest.mark.parametrize("words", [{}, {"protection_declared": True}])
async def test_what_is_too_long_for_the_log_is_refused_for_a_guarded_leg_too(words: dict[str, Any]) -> None:
    # With its keys the question needs more room than there is; without them it would fit.
    world = await region()
    long = w.person("\u9f4b" * 110, "\u9f4b" * 9, "1980", "UTO")
    with pytest.raises(InputRefused):
        await world[PAN].ask(w.traveller(long, PAPERS), justification=Hidden("x" * 1900), owners=[UTO], **words)
    await world[PAN].ask(w.traveller(ROSA, PAPERS), justification=Hidden("x" * 1900), owners=[UTO], **words)


# -- Who may know --------------------------------------------------------------------------------------------------


async def test_the_home_auditor_reads_that_a_leg_was_guarded_and_why_and_the_desk_reads_no_more_than_that() -> None:
    world = await region()
    await world[PAN].ask(w.traveller(NOBODY), w.traveller(ROSA, PAPERS), protection_declared=True)
    (intent,) = [one for one in world[PAN].leaves("check.ask") if (one.peer, one.phase.value) == (UTO, "intent")]
    for role in ("auditor", "supervisor"):
        told = world[PAN].opened(intent, role)
        assert (told["guarded"], told["why"]) == (True, ["0:protected_origin", "1:protected_origin"])
        assert (told["officer"], told["case"], told["keys"]) == ("P-77", "shift 12", [])
    assert world[PAN].opened(intent, "desk") == {"guarded": True, "why": ["0:protected_origin", "1:protected_origin"]}


async def test_no_clear_byte_of_either_log_says_guard_name_number_or_hit() -> None:
    world = await region()
    answer = await world[PAN].ask(w.traveller(ROSA, PAPERS))
    await world[PAN].ask(w.traveller(ROSA, PAPERS), protection_declared=True)
    words = [b"MALDONADO", b"T55637667", b"protected_origin", b"P-77", b"shift 12", b":DOCUMENT"]
    words += [hit.reference.encode() for hit in answer.hits]
    for state in world:
        everything = b"".join(state.store.leaves(0, state.store.size()))
        everything += b"".join(payload for _, payload in state.store.payloads(0, state.store.size()))
        assert [word for word in words if word in everything] == []


# -- What the state of origin tries ---------------------------------------------------------------------------------


async def test_no_leg_is_missing() -> None:
    """Each owner gets one leg of each question, of one size, in whatever way the person is protected."""
    ways: list[tuple[Traveller, dict[str, Any]]] = [
        (w.traveller(ROSA, PAPERS), {}),
        (w.traveller(ROSA, PAPERS), {"protection_declared": True}),
        (w.traveller(ROSA, w.passport("PAN", "R1", "XXB")), {}),
        (w.traveller(w.person("PAZ", "ANA", "2015-05-05", "UTO")), {}),
        (w.traveller(replace(ROSA, tags=frozenset({ProtectionTag.REFUGEE}))), {}),
    ]
    views = []
    world = everybody()
    for who, words in ways:
        world.sent.clear()
        await world[PAN].ask(who, **words)
        views.append([(one.sender, one.receiver, one.method, len(one.message.body)) for one in world.sent])
    assert all(view == views[0] for view in views)
    assert {(sender, receiver) for sender, receiver, _, _ in views[0]} == {
        pair for owner in (HND, UTO, GTM) for pair in ((PAN, owner), (owner, PAN))
    }


async def test_a_claim_made_late_changes_nothing_at_the_state_of_origin() -> None:
    """First an ordinary question, then the traveller asks for protection and the officer asks again."""
    world = await region()
    before = await world[PAN].ask(w.traveller(ROSA, PAPERS))
    after = await world[PAN].ask(w.traveller(ROSA, PAPERS), protection_declared=True)
    assert [hit.owner for hit in before.hits] == [HND, UTO]
    assert [hit.owner for hit in after.hits] == [HND]
    first, second = (sent.request() for sent in world.checks(UTO))
    assert differing(first, second) == {"leg_id", "blinded", "seed_commitment", "pair_seq", "permit_expires_ns"}
    assert set(oprf.split(first.blinded)).isdisjoint(oprf.split(second.blinded))
    answers = [one for one in world[UTO].leaves("check.answer") if one.phase.value == "outcome"]
    assert len(answers) == 2
    assert {name for name in answers[0].public if answers[0].public[name] != answers[1].public[name]} == {
        "request_hash", "reply_hash", "seed_commitment", "peer_seq", "intent_seq",
    }  # fmt: skip


async def test_a_list_full_of_bait_learns_nothing_and_shows_the_officer_nothing() -> None:
    """UTO lists everything it knows of the person, under labels that open and labels that do not."""
    bait = [
        entry(entry_id=f"U{number}", originator=UTO, person=replace(ROSA, birth=birth), documents=papers)
        for number, (birth, papers) in enumerate(
            [
                (ROSA.birth, (PAPERS,)),
                (w.person("X", "Y", "1984").birth, ()),
                (w.person("X", "Y", "1983/1985").birth, ()),
            ]
        )
    ]
    for spoiled in (False, True):
        world = await World.exchanging(PAN, UTO, listed={UTO: bait})
        if spoiled:
            await world[UTO].bend_table(PAN, _spoil)
            await world[PAN].fetch(UTO, [WATCH])
            world.sent.clear()
        answer = await world[PAN].ask(w.traveller(ROSA, PAPERS), protection_declared=True)
        assert (answer.hits, answer.complete) == ((), True)
        assert [(one.sender, one.receiver) for one in world.sent] == [(PAN, UTO), (UTO, PAN)]
        assert keys_sent(world, UTO) == 0


def _spoil(table: bytes) -> bytes:
    rows = bytearray(table)
    for start in range(tables.HEADER_BYTES, len(rows), tables.ENTRY_BYTES):
        rows[start + tables.ENTRY_BYTES - 1] ^= 1
    return bytes(rows)


async def test_the_state_of_origin_asks_in_vain_about_a_person_another_state_lists_and_protects() -> None:
    protected = entry(
        entry_id="H1", originator=HND, person=ROSA, documents=(PAPERS,),
        history=(TagChange(ProtectionTag.ASYLUM_SEEKER, True, 1, "desk"),),
    )  # fmt: skip
    with_her = await World.exchanging(UTO, HND, listed={HND: [protected]})
    without = await World.exchanging(UTO, HND, listed={})
    ally = await World.exchanging(GTM, HND, listed={HND: [protected]})
    for world in (with_her, without):
        answer = await world[UTO].ask(w.traveller(ROSA, PAPERS))
        assert (answer.outcome, answer.complete) == (Outcome.NOTHING_TO_REPORT, True)
    assert len(with_her[HND].table(UTO)) == len(without[HND].table(UTO))
    assert len((await ally[GTM].ask(w.traveller(ROSA, PAPERS))).hits) == 1


# -- What two of them try together ----------------------------------------------------------------------------------


def differing(left: CheckRequest, right: CheckRequest) -> set[str]:
    return {one.name for one in dataclasses.fields(CheckRequest) if getattr(left, one.name) != getattr(right, one.name)}


@pytest.mark.parametrize("words", [{}, {"protection_declared": True}], ids=["plain", "guarded"])
async def test_two_owners_transcripts_of_one_person_join_no_better_than_those_of_two_persons(
    words: dict[str, Any],
) -> None:
    world = await region()
    # Each pair has a history of its own, or the numbers of both would run side by side from the first message on.
    for _ in range(3):
        await world[PAN].ask(w.traveller(NOBODY), owners=[HND])
    world.sent.clear()
    for who in (w.traveller(ROSA, PAPERS), w.traveller(NOBODY, OTHER_PAPERS)):
        await world[PAN].ask(who, **words)
    (rosa_hnd, anna_hnd), (rosa_uto, anna_uto) = (
        [sent.request() for sent in world.checks(owner)] for owner in (HND, UTO)
    )
    own = {"leg_id", "owner", "epoch", "blinded", "seed_commitment", "pair_seq", "permit_expires_ns"}
    assert differing(rosa_hnd, rosa_uto) == differing(rosa_hnd, anna_uto) == own
    assert differing(anna_hnd, anna_uto) == own
    points = [oprf.split(one.blinded) for one in (rosa_hnd, anna_hnd, rosa_uto, anna_uto)]
    assert len({point for batch_ in points for point in batch_}) == 4 * 8


async def test_nothing_of_the_envelope_joins_them_either() -> None:
    world = await region()
    await world[PAN].ask(w.traveller(NOBODY), owners=[HND])
    world.sent.clear()
    await world[PAN].ask(w.traveller(ROSA, PAPERS))
    headers = [envelope.decode(world.checks(owner)[0].message.header) for owner in (HND, UTO)]
    same = {
        one.name
        for one in dataclasses.fields(envelope.Header)
        if getattr(headers[0], one.name) == getattr(headers[1], one.name)
    }
    # The clock stands still here; the published checkpoint is the same towards everybody for as long as it is.
    assert same == {"version", "method", "sender", "key_id", "checkpoint", "time_ns", "request_hash"}


async def test_the_tables_two_peers_hold_of_one_list_share_no_row_and_the_permits_end_is_each_legs_own() -> None:
    world = await World.of(PAN, HND, UTO)
    await world[HND].enlist(HONDURAN)
    await world[HND].publish(PAN, UTO)
    rows = []
    for peer in (PAN, UTO):
        table = world[HND].table(peer)
        rows.append({table[at : at + 16] for at in range(tables.HEADER_BYTES, len(table), tables.ENTRY_BYTES)})
    assert rows[0].isdisjoint(rows[1])
    await world[PAN].fetch(HND)
    ends = set()
    for _ in range(20):
        await world[PAN].ask(w.traveller(ROSA), owners=[HND])
        ends.add(world.checks(HND)[-1].request().permit_expires_ns)
    now = world.clock.now_ns()
    assert len(ends) == 20
    assert all(now + 14 * 60 * 10**9 < end <= now + 15 * 60 * 10**9 for end in ends)
