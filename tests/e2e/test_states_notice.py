"""A missing child from the booth to child protection, and what the notices of it say: a number and a time, no more."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.test_states_case import done, state_of
from tests.support.receivers import Sink, make_pki, receiving
from tests.support.states import SETTINGS, States, running

CHILD = "child_missing"
"""Asked by HND under MISS.CHILD, listed by PAN for two persons to approve."""

HOUR_S = 3600


@dataclass(frozen=True)
class Told:
    """The region, and what both states' notices went to."""

    states: States
    webhook: Sink
    mail: Sink

    def posted(self) -> list[dict[str, str]]:
        """Bodies of the webhook's messages."""
        return [json.loads(message.partition(b"\r\n\r\n")[2]) for message in list(self.webhook.got)]

    def mails(self) -> list[bytes]:
        """Messages whole, without the lines of the conversation."""
        return [line for line in list(self.mail.got) if line.startswith(b"From: ")]


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with tempfile.TemporaryDirectory(prefix="limen-", dir="/tmp") as folder:
        pki = make_pki(Path(folder))
        with receiving(pki) as (webhook, mail):
            settings = {
                **SETTINGS,
                "notices.webhook": f"https://127.0.0.1:{webhook.port}/desk",
                "notices.webhook_ca": str(pki / "ca.pem"),
                "notices.mail_server": f"127.0.0.1:{mail.port}",
                "notices.mail_ca": str(pki / "ca.pem"),
                "notices.mail_from": "limen@border.example",
                "notices.mail_to": "desk@border.example",
                "notices.every_s": "1",
            }
            with running({"PAN": "SNM", "HND": "INM"}, settings=settings) as states:
                states.nodes.staff("PAN", "HND")
                yield Told(states, webhook, mail)


def test_a_missing_child_is_not_detained_and_is_told_of_to_child_protection_alone(told: Told) -> None:
    states, nodes = told.states, told.states.nodes
    states.whole("HND")
    # 1. At the booth: do not detain; call, within an hour.
    traveller = states.data.traveller(CHILD)
    ran = states.ask(CHILD)
    (hit,) = done(ran)["hits"]
    assert (hit["owner"], hit["kind"], hit["action"]) == ("PAN", "MISSING_CHILD", "DO_NOT_DETAIN_CALL_OWNER")
    assert "not detain" in hit["sentence"].lower() and hit["limit_s"] == HOUR_S
    number = hit["case"]

    # 2. A desk may confirm the hit; only child protection asks about a child.
    done(nodes.case("HND", "desk-1", "confirm", number))
    denied = nodes.case("HND", "desk-1", "request", number)
    assert denied.code == 3 and "role" in denied.err
    done(nodes.case("HND", "child-1", "request", number, "--urgency", "CHILD"))
    states.until(lambda: state_of(states, "PAN", number) == "UNDER_REVIEW", "the request is at PAN")
    (waiting,) = [one for one in nodes.cases("PAN", "child-1", "--due") if one["case"] == number]
    assert waiting["side"] == "owner"

    # 3. PAN's desk hears of a number and a time: by both ways, and nothing else of the case.
    states.until(lambda: number in [one["case"] for one in told.posted()], "the webhook is called")
    states.until(lambda: any(number.encode() in one for one in told.mails()), "the mail is sent")

    # 4. Two persons release; one alone does not.
    done(nodes.case("PAN", "child-1", "prepare", number))
    assert nodes.case("PAN", "child-1", "approve", number).code == 3
    done(nodes.case("PAN", "approver-1", "approve", number))
    states.until(lambda: state_of(states, "HND", number) == "GRANTED", "the decision is at HND")
    got = done(nodes.case("HND", "child-1", "show", number))
    assert got["disclosed"] and got["subject_category"] == "MISSING_PERSON"
    assert "DO_NOT_DETAIN_CALL_OWNER" in json.dumps(got["disclosed"]["action"])
    assert traveller.passport.surname in json.dumps(got["disclosed"]["names"])
    assert done(nodes.case("HND", "desk-1", "show", number))["disclosed"] == {}


def test_a_notice_is_a_number_and_a_time_and_nothing_else(told: Told) -> None:
    assert told.posted() and told.mails()
    for one in told.posted():
        assert one.keys() == {"case", "due"}
        assert re.fullmatch(r"case_[0-9a-f]{32}", one["case"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one["due"])
    for message in told.mails():
        assert re.fullmatch(
            rb"From: limen@border\.example\r\nTo: desk@border\.example\r\nSubject: A case is due\r\n\r\n"
            rb"case_[0-9a-f]{32}\r\nDue \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\r\n",
            message,
        )
    everything = b"".join([*told.webhook.got, *told.mail.got])
    passport = told.states.data.traveller(CHILD).passport
    for value in (passport.surname, passport.given_names, passport.document_number, passport.birth, "PAN", "HND",
                  "MISSING", "CHILD"):  # fmt: skip
        assert value.encode() not in everything


def test_each_due_time_is_told_once(told: Told) -> None:
    seen = [(one["case"], one["due"]) for one in told.posted()]
    assert len(seen) == len(set(seen))
    mails = told.mails()
    assert len(mails) == len(set(mails))
