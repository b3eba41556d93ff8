"""`limen peer invite` and `accept` as operators type them: each side's files, the words between, and what fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import config
from gateway.cli.acts import federation
from gateway.cli.main import run
from gateway.clock import set_shift
from gateway.federation import document, fingerprint
from gateway.opa import bundle

DAY_NS = 86_400 * 10**9
STATES = ("PAN", "HND", "UTO")

Told = Callable[..., Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nodes as `init` leaves them: each with a baseline of its own."""
    root = tmp_path_factory.mktemp("made")
    set_shift(root / "clock", 0)
    for number, state in enumerate(STATES):
        port = 20_400 + 10 * number
        ports = [f"--{name}=127.0.0.1:{port + at}" for at, name in enumerate(("peers", "home", "auditors", "metrics"))]
        assert (
            run(["init", "--state", state, str(root / state), "-q", *ports, "--clock-file", str(root / "clock")]) == 0
        )
    return root


class Desk:
    """The three operators' machines, below one folder; files go by mail."""

    def __init__(self, root: Path, told: Told) -> None:
        self.root = root
        self.told = told

    def node(self, state: str) -> list[str]:
        return ["--config", str(self.root / state)]

    def invite(self, state: str, by: str, *more: object, code: int = 0) -> Any:
        out = self.root / f"{by}-{state}.invitation"
        out.unlink(missing_ok=True)
        return self.told("peer", "invite", state, "-o", out, *more, *self.node(by), code=code)

    def accept(self, state: str, file: object, words: str | None = None, *more: object, code: int = 0) -> Any:
        heard = [] if words is None else ["--words", words]
        return self.told("peer", "accept", file, *heard, *more, *self.node(state), code=code)

    def answer(self, state: str, by: str) -> Any:
        invited = self.invite(state, by)
        return self.accept(state, invited["file"], invited["words"], "-o", self.root / f"{state}-{by}.answer")

    def connect(self, state: str, by: str) -> Any:
        """Invitation, answer, list; as far as two can bring it."""
        answered = self.answer(state, by)
        out = self.root / f"members-{answered['version']}.list"
        return self.accept(by, answered["file"], answered["words"], "-o", out)

    def in_force(self, state: str) -> document.Document:
        held = federation.in_force(config.load(self.root / state, environ={}))
        assert held is not None
        return held.document

    def pass_days(self, days: float) -> None:
        set_shift(self.root / "clock", int(days * DAY_NS))


@pytest.fixture
def desk(made: Path, tmp_path: Path, told: Told) -> Desk:
    root = tmp_path / "states"
    shutil.copytree(made, root)
    for state in STATES:
        file = root / state / config.FILE_NAME
        file.write_text(file.read_text().replace(str(made / "clock"), str(root / "clock")))
    return Desk(root, told)


def test_two_states_connect_in_two_commands_each_after_init(desk: Desk) -> None:
    invited = desk.invite("HND", "PAN")
    answered = desk.accept("HND", invited["file"], invited["words"], "-o", desk.root / "answer")
    done = desk.accept("PAN", answered["file"], answered["words"], "-o", desk.root / "list")
    assert done["in_force"] and done["signed_by"] == ["HND", "PAN"] and done["missing"] == ""
    last = desk.accept("HND", done["file"], None, "-o", desk.root / "list")
    assert last["in_force"] and desk.in_force("HND") == desk.in_force("PAN")
    # The invited state has the region's rules now, as the list names them.
    for state in ("PAN", "HND"):
        policy = config.load(desk.root / state, environ={}).paths.policy
        raw = (policy / "baseline.tar.gz").read_bytes()
        keys = {path.stem: path.read_bytes() for path in (policy / "keys").glob("baseline-*.pem")}
        assert bundle.open_(raw, keys, bundle.BASELINE, 0, 1).digest == desk.in_force(state).baseline
        rows = {row["check"]: row for row in desk.told("doctor", "--offline", *desk.node(state))["checks"]}
        assert rows["own card"]["state"] == rows["policy baseline"]["state"] == "ok"


def test_the_list_is_in_force_nowhere_before_both_have_signed(desk: Desk) -> None:
    desk.answer("HND", "PAN")
    for state in ("PAN", "HND"):
        assert federation.in_force(config.load(desk.root / state, environ={})) is None


def test_wrong_words_stop_it_at_either_end(desk: Desk) -> None:
    wrong = " ".join(fingerprint.words("list", b"something else"))
    invited = desk.invite("HND", "PAN")
    said = desk.accept("HND", invited["file"], wrong, code=6)
    assert said == (
        "limen: words: the two sides hold different keys: somebody changed a file on its way, or one is not the newest"
    )
    assert "7 were typed" in desk.accept("HND", invited["file"], invited["words"].rpartition(" ")[0], code=8)
    answered = desk.accept("HND", invited["file"], invited["words"], "-o", desk.root / "answer")
    assert "different keys" in desk.accept("PAN", answered["file"], wrong, code=6)
    # The words of the invitation are not those of the list.
    assert "different keys" in desk.accept("PAN", answered["file"], invited["words"], code=6)
    assert "no terminal" in desk.accept("PAN", answered["file"], None, code=2)
    assert federation.in_force(config.load(desk.root / "PAN", environ={})) is None
    assert desk.accept("PAN", answered["file"], answered["words"], "-o", desk.root / "l")["in_force"]


def test_who_stands_between_has_no_words_that_agree(desk: Desk) -> None:
    """UTO takes the place of each towards the other; both operators still talk to each other."""
    real = desk.invite("HND", "PAN")
    false = desk.root / "PAN2"
    shutil.copytree(desk.root / "UTO", false)
    file = false / config.FILE_NAME
    file.write_text(file.read_text().replace('state = "UTO"', 'state = "PAN"'))
    forged = desk.told("peer", "invite", "HND", "-o", desk.root / "forged", "--config", false)
    assert "different keys" in desk.accept("HND", forged["file"], real["words"], code=6)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("127.0.0.1:20400", "127.0.0.1:20401", "was changed after it was signed"),
        ('"invited": "HND"', '"invited": "UTO"', "is for UTO, and this node is HND"),
        ("limen/invitation/1", "limen/invitation/2", "is no invitation, answer or list"),
        ("\n\n", "\n", "was damaged on its way"),
    ],
)
def test_a_card_changed_on_its_way_is_refused_whatever_the_words(desk: Desk, old: str, new: str, sentence: str) -> None:
    invited = desk.invite("HND", "PAN")
    path = Path(invited["file"])
    path.write_text(path.read_text().replace(old, new))
    assert sentence in desk.accept("HND", path, invited["words"], code=6 if "signed" in sentence else 8)


def test_an_answer_changed_on_its_way_is_refused(desk: Desk) -> None:
    answered = desk.answer("HND", "PAN")
    path = Path(answered["file"])
    good = path.read_text()
    path.write_text(good.replace("127.0.0.1:20410", "127.0.0.1:20411"))
    assert "was changed on its way; ask for the file again" in desk.accept("PAN", path, answered["words"], code=6)
    path.write_text(good)
    assert desk.accept("PAN", path, answered["words"], "-o", desk.root / "l")["in_force"]


def test_an_invitation_ends(desk: Desk) -> None:
    invited = desk.invite("HND", "PAN", "--days", 2)
    desk.pass_days(2.5)
    said = desk.accept("HND", invited["file"], invited["words"], code=8)
    assert said == "limen: this invitation's time is over; ask PAN for a new one"
    assert "1 to 30" in desk.told("peer", "invite", "HND", "--days", 31, *desk.node("PAN"), code=2)
    desk.pass_days(0)
    answered = desk.accept("HND", invited["file"], invited["words"], "-o", desk.root / "answer")
    desk.pass_days(2.5)
    assert "time is over" in desk.accept("PAN", answered["file"], answered["words"], code=8)


def test_an_answer_counts_once(desk: Desk) -> None:
    answered = desk.answer("HND", "PAN")
    done = desk.accept("PAN", answered["file"], answered["words"], "-o", desk.root / "list")
    said = desk.accept("PAN", answered["file"], answered["words"], code=8)
    assert said == "limen: HND's answer was accepted before and an invitation counts once; nothing was changed"
    assert desk.accept("HND", done["file"], None, "-o", desk.root / "list")["changed"]
    again = desk.accept("HND", done["file"], None)
    assert (again["in_force"], again["changed"]) == (True, False)


def test_each_step_may_be_repeated_before_the_next(desk: Desk) -> None:
    invited = desk.invite("HND", "PAN")
    first = desk.accept("HND", invited["file"], invited["words"], "-o", desk.root / "answer")
    data = (desk.root / "answer").read_bytes()
    second = desk.accept("HND", invited["file"], invited["words"], "-o", desk.root / "answer")
    assert first == second and (desk.root / "answer").read_bytes() == data


def test_an_answer_to_somebody_elses_invitation_is_refused(desk: Desk) -> None:
    answered = desk.answer("HND", "PAN")
    assert "answers no invitation of this node" in desk.accept("UTO", answered["file"], answered["words"], code=8)


def test_a_third_state_joins_when_enough_of_the_others_signed(desk: Desk) -> None:
    done = desk.connect("HND", "PAN")
    desk.accept("HND", done["file"], None, "-o", desk.root / "members-1.list")
    answered = desk.answer("UTO", "PAN")
    joined = desk.accept("PAN", answered["file"], answered["words"], "-o", desk.root / "members-2.list")
    assert not joined["in_force"]
    assert joined["missing"] == "1 more of the members of the list in force must sign (of HND)"
    assert desk.in_force("PAN").version == 1

    # UTO cannot go on without HND, and HND signs only what UTO's operator reads to it.
    waiting = desk.accept("UTO", joined["file"], None, "-o", desk.root / "waiting")
    assert not waiting["in_force"]
    assert "different keys" in desk.accept("HND", joined["file"], " ".join(fingerprint.words("list", b"")), code=6)
    signed = desk.accept("HND", joined["file"], answered["words"], "-o", desk.root / "members-2.list")
    assert signed["in_force"] and signed["signed_by"] == ["HND", "PAN", "UTO"]
    for state in ("PAN", "UTO"):
        assert desk.accept(state, signed["file"], None if state == "UTO" else answered["words"], "-o", desk.root / "x")[
            "in_force"
        ]
    assert {desk.in_force(state).version for state in STATES} == {2}
    assert [str(one.state) for one in desk.in_force("UTO").members] == ["HND", "PAN", "UTO"]
    # The first list is a thing of the past.
    said = desk.accept("HND", done["file"], None, code=6)
    assert said == "limen: version: this is version 1, and 2 is in force already"


def test_an_invitation_that_a_newer_list_has_overtaken_is_refused(desk: Desk) -> None:
    first = desk.answer("UTO", "PAN")
    desk.connect("HND", "PAN")
    said = desk.accept("PAN", first["file"], first["words"], code=8)
    assert said == "limen: the list of members has changed since the invitation was made; make a new one"


def test_a_state_with_peers_is_not_drawn_into_another_federation(desk: Desk) -> None:
    done = desk.connect("HND", "PAN")
    desk.accept("HND", done["file"], None, "-o", desk.root / "members-1.list")
    invited = desk.invite("HND", "UTO")
    assert "starts from another one" in desk.accept("HND", invited["file"], invited["words"], code=8)


def test_nobody_is_told_an_address_that_nobody_can_reach(desk: Desk) -> None:
    everywhere = ("--set", "listeners.peers=0.0.0.0:20400")
    said = desk.invite("HND", "PAN", *everywhere, code=8)
    assert said == "limen: nobody can connect to 0.0.0.0:20400: give --endpoint HOST:PORT, where peers reach us"
    assert desk.invite("HND", "PAN", *everywhere, "--endpoint", "gw.pan.example:7401")["words"]


def test_what_is_no_state_or_no_authority_is_refused(desk: Desk, tmp_path: Path) -> None:
    assert "three capital letters" in desk.invite("XXA", "PAN", code=2)
    assert "own state" in desk.invite("PAN", "PAN", code=2)
    (desk.root / "PAN" / "anchor").rename(tmp_path / "away")
    assert "cannot be read" in desk.invite("HND", "PAN", code=8)
    assert desk.invite("HND", "PAN", "--key", tmp_path / "away" / "federation.key")["words"]


def test_the_files_that_travel_hold_no_secret(desk: Desk) -> None:
    done = desk.connect("HND", "PAN")
    secrets = {
        path.read_text().split("secret: ")[1].strip()
        for state in ("PAN", "HND")
        for path in (desk.root / state).rglob("*.key")
        if "secret: " in path.read_text()
    }
    travelled = [desk.root / name for name in ("PAN-HND.invitation", "HND-PAN.answer", Path(done["file"]).name)]
    assert len(secrets) > 10
    assert not [path for path in travelled for secret in secrets if secret in path.read_text()]
    assert not [path for path in travelled if "PRIVATE" in path.read_text()]


def test_people_are_told_whom_to_call_and_what_to_do_next(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["peer", "invite", "HND", "-o", str(desk.root / "i"), *desk.node("PAN")]) == 0
    told = capsys.readouterr().out
    assert "Call HND by a number you know" in told and "Next: " in told
    assert [len(line.split()) for line in told.splitlines() if line.startswith("    ")] == [4, 4]
