"""Questions at booths: a miss, hits of every kind, a missing child, a flight, and one that the rules forbid."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.cli.acts.demo.run import SETTLE_S, Run
from gateway.cli.report.picture import Crossing
from gateway.cli.report.record import Learned, OnTheWire
from gateway.clock import SystemClock
from gateway.federation import envelope
from gateway.rpc.convert.peers import CHECK
from gateway.terms import PeerId

PASSENGERS: Final = 300
PLANTED: Final = 4


def miss(run: Run) -> None:
    """A question that nobody can answer, and what is left of it abroad."""
    before = len(run.checks_seen("PAN"))

    def act() -> tuple[str, bool]:
        ran, got, ok = run.ask("miss")
        until = time.monotonic() + SETTLE_S
        while not (calls := run.checks_seen("PAN")[before:]) and time.monotonic() < until:
            time.sleep(0.05)
        ok = ok and len(calls) == 1
        if calls:
            there, back = _signed(calls[0]["in"], reply=False), _signed(calls[0]["out"], reply=True)
            run.crossing = Crossing("HND", "PAN", 8, there, back, run.crossing.table_entries)
            run.wire.append(OnTheWire("one check of one traveller, HND to PAN, signed", there, back))
        return f"{got.get('outcome')} (exit {ran.code}, {ran.seconds * 1000:.0f} ms with everything)", ok

    run.step(
        "A miss",
        run.region.traveller("miss").story,
        run.command("miss"),
        "NOTHING_TO_REPORT: nothing you may act on, never a clearance",
        act,
        (
            Learned("officer in HND", "nothing to report"),
            Learned("the other states", "that HND's INM put one padded question of 8 points under SEC.WATCH"),
        ),
        between=("HND", "PAN"),
    )

    def shown() -> tuple[str, bool]:
        entries = run.entries("PAN", "check.answer")
        mine = [row for row in entries if row["phase"] == "intent" and row["peer"] == "HND"][-1:]
        words = ", ".join(
            f"{name} {value if len(str(value)) < 20 else str(value)[:12] + '...'}"
            for row in mine
            for name, value in sorted(row["public"].items())
        )
        passport = run.region.traveller("miss").passport
        planted = [passport.surname, passport.given_names, passport.document_number]
        whole = (run.nodes["PAN"].folder / "store" / "node.db").read_bytes() + run.raw_log("PAN")
        clean = not any(value.encode() in whole for value in planted)
        found = 0 if clean else "FOUND"
        size = run.wire[0] if run.wire else None
        traffic = (
            f"{size.sent_bytes} B in, {size.received_bytes} B out, as for every question of this class" if size else ""
        )
        told = (
            f"all that PAN's log says of it: {words}\n"
            f"its traffic: {traffic}\n"
            f"name and number in PAN's store and log: {found}"
        )
        return told, bool(mine) and clean

    run.step(
        "What PAN knows of it",
        "The owner's whole record of that question, and its whole traffic.",
        "limen audit export ...; limen audit show --kind check.answer",
        "agency, purpose, padded size, hashes; no name, no number, no result",
        shown,
    )


def hits(run: Run) -> None:
    """Hits by document, by name, by sound, and on a list of the state of origin."""
    further = (
        (("sounds_alike", "A possible hit: the name differs"), ("wanted_in_guatemala", "A hit in a fourth state"))
        if "MEX" in run.nodes.nodes
        else ()
    )
    for name, title in (
        ("document_lost", "A stolen passport"),
        ("document_wanted", "A document hit"),
        ("name_and_date", "A hit by name and date"),
        ("undeclared", "A hit on a list of the state of origin"),
        *further,
    ):
        traveller = run.region.traveller(name)

        def act(name: str = name) -> tuple[str, bool]:
            ran, got, ok = run.ask(name)
            lines = [
                f"HIT {hit['reference']}: {hit['kind']}, {hit['match_text']}; {hit['action']}"
                + (", screening first" if hit["screening_required"] else "")
                for hit in got.get("hits", [])
            ]
            if not got.get("complete"):
                lines.append(f"unreachable: {got.get('unreachable')} {ran.err}")
            return "\n".join(lines), ok

        owner = traveller.expected.hits[0].owner
        run.step(
            title,
            traveller.story,
            run.command(name),
            f"a hit on {owner}'s list: a question for a human, with whom to call",
            act,
            (
                Learned(f"officer in {traveller.asked_by}", "what to do and whom to call, no name, no reason"),
                Learned(owner, "nothing more than from a miss"),
            ),
            between=(traveller.asked_by, owner),
        )


def child(run: Run) -> None:
    """A missing child."""
    name = "missing_child" if "MEX" in run.nodes.nodes else "child_missing"
    traveller = run.region.traveller(name)

    def act() -> tuple[str, bool]:
        _, got, ok = run.ask(name)
        lines = [f"{hit['match_text']}: {hit['sentence']}" for hit in got.get("hits", [])]
        ok = ok and all(hit["action"] == "DO_NOT_DETAIN_CALL_OWNER" for hit in got.get("hits", []))
        return "\n".join(lines), ok

    run.step(
        "A missing child",
        traveller.story,
        run.command(name),
        "do not detain; call the owner's desk, which answers within an hour",
        act,
        (Learned(traveller.expected.hits[0].owner, "nothing yet: a person confirms first"),),
        between=(traveller.asked_by, traveller.expected.hits[0].owner),
    )


def flight(run: Run) -> None:
    """Three hundred travellers in one question."""
    owners = tuple(state for state in run.nodes.nodes if state not in ("PAN", "UTO"))
    aboard = run.region.flight(PASSENGERS, listed=PLANTED, owners=owners)

    def act() -> tuple[str, bool]:
        file = run.nodes.root / "flight.csv"
        file.write_bytes(passenger_list([one.passport.fields() for one in aboard]))
        ends_ns = SystemClock().now_ns() + 3 * 3600 * 10**9
        ran = run.nodes.flight("PAN", "centre-1", file, ends_ns=ends_ns)
        if ran.code != 0:
            return f"exit {ran.code}: {ran.err.strip()}", False
        hits = ran.json["hits"]
        met = {hit["traveller"] for hit in hits}
        planted = {place for place, one in enumerate(aboard) if one.entry_id}
        run.screen(json.dumps({"hits": [{name: hit[name] for name in ("traveller", "kind", "class", "owner", "action")}
                                        for hit in hits]}, indent=2))  # fmt: skip
        told = f"{len(aboard)} passengers in one question, {ran.seconds:.1f} s: {len(met)} to look at"
        places = ", ".join(f"{place + 1}: {hit['kind']}" for place in sorted(met) for hit in hits
                           if hit["traveller"] == place)  # fmt: skip
        return f"{told}\nby place on the list, no names: {places}", met == planted

    run.step(
        "A flight of 300",
        "The targeting centre asks about a whole flight at once. Of those who met nothing, nothing stays after it.",
        "limen check --purpose API.PRESCREEN --flight-ends ... --passengers flight.csv        (in Panama)",
        f"exactly the {PLANTED} passengers that were planted",
        act,
        (Learned("the other states", "padded questions of 1,280 points, whoever is on board"),),
        between=("PAN", "HND"),
    )


def refusal(run: Run) -> None:
    """A purpose that no agreement names."""

    def act() -> tuple[str, bool]:
        time.sleep(0.3)  # the line of the step before
        before = len(run.checks_seen("PAN"))
        ran, _, _ = run.ask("refused")
        sent = len(run.checks_seen("PAN")) - before
        ok = ran.code == 3 and "purpose_not_offered" in ran.err and sent == 0
        return f"{ran.err.strip()} (exit {ran.code}); messages sent: {sent}", ok

    run.step(
        "A question that policy forbids",
        run.region.traveller("refused").story,
        run.command("refused"),
        "exit 3 with the reason, and nothing sent",
        act,
        (Learned("the other states", "nothing: no message left"),),
        between=("HND", "PAN"),
    )


def _signed(body_bytes: int, *, reply: bool) -> int:
    """Size of a message whose body has this size, with its header and signature (docs/protocol/envelope.md)."""
    told = (CHECK, PeerId("HND"), PeerId("PAN"), bytes(32), SystemClock().now_ns(), bytes(32))
    fields = envelope.reply_fields(*told, bytes(64)) if reply else envelope.request_fields(*told)
    message = envelope.seal(fields, b"", lambda _: bytes(64))
    return body_bytes + len(message.header) + len(message.signature)


def passenger_list(rows: Sequence[Mapping[str, str]]) -> bytes:
    """A flight's list as `limen check --passengers` takes it."""
    out = io.StringIO(newline="")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


__all__ = ["PASSENGERS", "PLANTED", "child", "flight", "hits", "miss", "passenger_list", "refusal"]
