"""From `init` to a list of members in force: what an operator types, in one process."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import config
from gateway.cli.acts import booth, federation
from gateway.cli.main import run
from gateway.clock import SystemClock, set_shift
from gateway.federation import certificates, document, officers
from gateway.keyring import files, personal
from gateway.primitives import ed25519
from gateway.terms.hidden import Hidden
from gateway.terms.ids import OfficerId, PeerId

PASSPHRASE = "correct horse battery"
DAY_NS = 86_400 * 10**9

Told = Callable[..., Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node of PAN as `init` leaves it; copied by the tests that change it."""
    folder = tmp_path_factory.mktemp("made") / "pan"
    assert run(["init", "--state", "PAN", "--agency", "SNM", str(folder), "-q"]) == 0
    return folder


@pytest.fixture
def pan(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "pan"))


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    return file


def everything(folder: Path) -> list[Path]:
    return [folder, *folder.rglob("*")]


def test_a_new_node_is_its_users_alone(made: Path) -> None:
    for path in everything(made):
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == allowed, path


def test_a_new_node_has_what_it_needs(made: Path) -> None:
    settings = config.load(made, environ={})
    assert (settings.state, settings.agencies) == ("PAN", ("SNM",))
    anchor = (settings.paths.tls / "anchor.crt").read_bytes()
    for place, name, who in (
        (settings.paths.tls, "gateway", "limen://PAN/gateway"),
        (settings.paths.tls, "home", "limen://PAN/home"),
        (settings.paths.tls, "auditors", "limen://PAN/auditors"),
        (made / "booth", "client", "limen://PAN/workstation/SNM.booth-1"),
        (made / "auditor", "client", "limen://PAN/auditor"),
    ):
        der = certificates.der_of((place / f"{name}.crt").read_bytes())
        certificates.verify_issued(der, anchor)
        leaf = certificates.identity(der)
        assert leaf.uri == who
        assert leaf.not_before_ns <= SystemClock().now_ns() - DAY_NS
    for reader in ("supervisor", "auditor", "protection"):
        private = files.read_secret(made / "handover" / f"{reader}.key", reader).copy()
        assert files.x25519_public(private).hex() == getattr(settings.recipients, reader)
    register = files.read_secret(made / "handover" / "register.key", "register").copy()
    assert ed25519.public(register).hex() == settings.register.public_key
    authority = files.read_secret(made / "anchor" / "federation.key", "federation").copy()
    assert ed25519.public(authority) == files.read_public(settings.paths.keys).authority
    assert {path.name for path in settings.paths.policy.glob("*.tar.gz")} == {"baseline.tar.gz", "national.tar.gz"}


def test_no_private_half_of_another_stands_on_the_node(made: Path) -> None:
    secrets = {
        path: path.read_text().split("secret: ")[1].strip()
        for folder in ("anchor", "handover")
        for path in (made / folder).glob("*.key")
        if "secret: " in path.read_text()
    }
    assert len(secrets) == 5
    node = b"".join(
        path.read_bytes()
        for name in ("keys", "tls", "policy", "officers")
        for path in (made / name).rglob("*")
        if path.is_file()
    )
    node += (made / "limen.toml").read_bytes()
    assert not [path for path, secret in secrets.items() if secret.encode() in node]


def test_nothing_is_overwritten(told: Told, pan: Path) -> None:
    before = {path: path.read_bytes() for path in everything(pan) if path.is_file()}
    assert "nothing is overwritten" in told("init", "--state", "HND", pan, code=8)
    assert {path: path.read_bytes() for path in everything(pan) if path.is_file()} == before
    assert os.listdir(pan.parent) == ["pan"]


def test_an_empty_folder_is_filled(told: Told, tmp_path: Path) -> None:
    (tmp_path / "hnd").mkdir()
    found = told("init", "--state", "HND", tmp_path / "hnd")
    assert found["state"] == "HND" and "keys/seeds" in found["back_up"][-1]
    assert sorted(found["move_away"]) == ["anchor", "auditor", "booth", "handover", "policy-authority"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (["--state", "Pan"], 2),
        (["--state", "PAN", "--agency", "s"], 2),
        (["--state", "PAN", "--host", "a b"], 2),
        (["--state", "PAN", "--peers", "here"], 8),
        (["--state", "PAN", "--peers", "127.0.0.1:1", "--home", "127.0.0.1:1"], 8),
        (["--state", "PAN", "--clock-file", "/nonexistent/shift"], 8),
        (["--state", "PAN", "--baseline", "x"], 2),
        (["--state", "PAN", "--baseline", "/nonexistent/a", "--baseline-key", "/nonexistent/b"], 8),
    ],
)
def test_what_cannot_be_made_leaves_nothing_behind(told: Told, tmp_path: Path, wrong: list[str], code: int) -> None:
    told("init", *wrong, tmp_path / "node", code=code)
    assert os.listdir(tmp_path) == []


def test_a_path_too_long_for_sockets_leaves_nothing_behind(told: Told, tmp_path: Path) -> None:
    assert "shorter folder" in told("init", "--state", "PAN", tmp_path / ("d" * 90), code=8)
    assert os.listdir(tmp_path) == []


def test_a_second_state_takes_the_regions_baseline(told: Told, made: Path, tmp_path: Path) -> None:
    region = ["--baseline", made / "policy" / "baseline.tar.gz"]
    (key,) = (made / "policy" / "keys").glob("baseline-*.pem")
    told("init", "--state", "HND", tmp_path / "hnd", *region, "--baseline-key", key)
    assert (tmp_path / "hnd/policy/baseline.tar.gz").read_bytes() == (made / "policy/baseline.tar.gz").read_bytes()
    assert not list((tmp_path / "hnd/policy-authority").glob("baseline-*"))
    (other,) = (made / "policy" / "keys").glob("national-*.pem")
    assert "signature" in told("init", "--state", "UTO", tmp_path / "uto", *region, "--baseline-key", other, code=6)
    assert not (tmp_path / "uto").exists()


def test_ports_and_a_virtual_clock_are_told_at_once(told: Told, tmp_path: Path) -> None:
    shift = tmp_path / "shift"
    set_shift(shift, 100 * DAY_NS)
    ports = [part for name in ("peers", "home", "auditors", "metrics") for part in (f"--{name}", "127.0.0.1:0")]
    told("init", "--state", "PAN", tmp_path / "pan", *ports, "--clock-file", shift)
    settings = config.load(tmp_path / "pan", environ={})
    assert (settings.clock.kind, settings.clock.file) == ("virtual", shift)
    assert files.read_public(settings.paths.keys).made_ns > SystemClock().now_ns() + 99 * DAY_NS
    # TLS knows the system's clock only.
    leaf = certificates.identity(certificates.der_of((settings.paths.tls / "gateway.crt").read_bytes()))
    assert leaf.in_force(SystemClock().now_ns())
    booth_table = tomllib.loads((tmp_path / "pan/booth/booth.toml").read_text())
    assert booth_table["port_file"] == "../run/home.port"
    (tmp_path / "pan/run/home.port").write_text("40123\n")
    assert booth.read(tmp_path / "pan/booth").home.port == 40123


def test_the_settings_are_shown_with_their_origins(told: Told, pan: Path) -> None:
    rows = told("config", "show", "--origin", "--config", pan, "--set", "ticks.fetch_s=7")
    origins = {row["setting"]: (row["value"], row["origin"]) for row in rows}
    assert origins["state"] == ("PAN", "file limen.toml")
    assert origins["ticks.fetch_s"] == ("7", "flag --set ticks.fetch_s")
    assert origins["ticks.answer_tick_ms"] == ("10", "default")


# The list of members


@pytest.fixture(scope="module")
def region_made(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cards of PAN, HND and UTO beside PAN's node."""
    folder = tmp_path_factory.mktemp("region")
    shutil.copytree(made, folder / "pan")
    for number, state in enumerate(("HND", "UTO"), 1):
        peers = f"127.0.0.1:{7500 + number}"
        assert run(["init", "--state", state, str(folder / state), "--peers", peers, "-q"]) == 0
    for state, name in (("PAN", "pan"), ("HND", "HND"), ("UTO", "UTO")):
        out = str(folder / f"{state}.card")
        assert run(["federation", "card", "--config", str(folder / name), "-o", out, "-q"]) == 0
    return folder


@pytest.fixture
def region(region_made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(region_made, tmp_path / "r"))


def listing(told: Told, region: Path, version: int, *signers: str, more: tuple[object, ...] = ()) -> Path:
    file = region / f"list-{version}"
    cards = [region / f"{state}.card" for state in ("PAN", "HND", "UTO")]
    baseline = region / "pan" / "policy" / "baseline.tar.gz"
    told(
        "federation", "make", *cards, "--version", version, "--threshold", 2, "--baseline", baseline, "-o", file, *more
    )
    for state in signers:
        folder = region / ("pan" if state == "PAN" else state)
        told("federation", "sign", file, "--state", state, "--key", folder / "anchor" / "federation.key")
    return file


def test_states_make_sign_verify_and_accept_a_list(told: Told, region: Path) -> None:
    file = listing(told, region, 1, "PAN")
    assert "signed by 1 of 2" in told("federation", "verify", file, code=6)
    assert "signed by 1 of 2" in told("federation", "accept", file, "--config", region / "pan", code=6)
    told("federation", "sign", file, "--state", "HND", "--key", region / "HND/anchor/federation.key")
    assert told("federation", "verify", file)["signed_by"] == ["HND", "PAN"]
    found = told("federation", "accept", file, "--config", region / "pan")
    assert (found["version"], found["logged"]) == (1, False)
    shown = told("federation", "show", "--config", region / "pan")
    assert [member["state"] for member in shown["members"]] == ["HND", "PAN", "UTO"]
    assert shown["digest"] == found["digest"]


def test_an_older_list_and_one_without_us_are_refused(told: Told, region: Path) -> None:
    first, second = listing(told, region, 1, "PAN", "HND"), listing(told, region, 2, "PAN", "HND")
    told("federation", "accept", second, "--config", region / "pan")
    assert "version 1" in told("federation", "accept", first, "--config", region / "pan", code=6)
    assert "version 1" in told("federation", "verify", first, "--previous", second, code=6)
    told("federation", "verify", second, "--config", region / "pan")
    other = region / "SLV"
    told("init", "--state", "SLV", other, "--peers", "127.0.0.1:7599")
    assert "does not list SLV" in told("federation", "accept", second, "--config", other, code=8)
    assert not (other / "federation" / document.FILE_NAME).exists()


def test_a_suspended_state_is_listed_as_such_and_does_not_count(told: Told, region: Path) -> None:
    file = listing(told, region, 1, "PAN", "HND", more=("--suspend", "UTO", "--days", 30))
    found = told("federation", "verify", file)
    assert {member["state"]: member["status"] for member in found["members"]}["UTO"] == "suspended"
    told("federation", "sign", file, "--state", "UTO", "--key", region / "UTO/anchor/federation.key")
    assert told("federation", "verify", file)["signed_by"] == ["HND", "PAN"]


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        (("--threshold", "1"), 8, "more than half"),
        (("--days", "0"), 2, "write 1 to 366"),
        (("--suspend", "SLV"), 2, "no card of that state"),
        (("--suspend", "slv"), 2, "three capital letters"),
        (("--baseline", "/nonexistent"), 8, "cannot be read"),
    ],
)
def test_what_makes_no_list_is_refused(
    told: Told, region: Path, change: tuple[str, str], code: int, sentence: str
) -> None:
    command: dict[str, object] = {"--version": 1, "--threshold": 2, "--baseline": "0" * 64, "-o": region / "list"}
    command[change[0]] = change[1]
    flat = [part for pair in command.items() for part in pair]
    assert sentence in told("federation", "make", region / "PAN.card", region / "HND.card", *flat, code=code)
    assert not (region / "list").exists()


def test_a_card_names_the_nodes_own_keys_and_the_next_certificate(told: Told, pan: Path, tmp_path: Path) -> None:
    settings = config.load(pan, environ={})
    anchor = certificates.KeyPair((pan / "anchor/anchor.key").read_bytes(), (pan / "anchor/anchor.crt").read_bytes())
    coming = certificates.issue_leaf(anchor, PeerId("PAN"), "gateway", SystemClock().now_ns())
    (tmp_path / "next.crt").write_bytes(coming.certificate_pem)
    member = federation.card(settings, endpoints=["gw.example:7401"], next_certificate=tmp_path / "next.crt")
    assert member.endpoints == ("gw.example:7401",)
    assert member.tls_pins[1] == certificates.spki_pin(certificates.der_of(coming.certificate_pem))
    public = files.read_public(settings.paths.keys)
    assert member.message_keys[0].public == public.message
    assert member.log_vkey.startswith("limen/PAN/log+") and member.witness_vkey.startswith("limen/PAN/witness+")
    assert "the card cannot be made" in told("federation", "card", "--config", pan, "--endpoint", "no port", code=8)


# Officers


def enrol(told: Told, pan: Path, passphrase: Path, number: str, *more: object, code: int = 0) -> Any:
    key = pan / "booth" / f"{number}.key"
    return told(
        "officer", "enrol", "--config", pan, "--officer", number, "--role", "list.officer", "--key", key,
        "--passphrase-file", passphrase, *more, code=code,
    )  # fmt: skip


def test_an_officer_is_enrolled_listed_and_retired(told: Told, pan: Path, passphrase: Path) -> None:
    found = enrol(told, pan, passphrase, "4711", "--role", "supervisor", "--days", 30)
    assert (found["in_force"], found["key_made"], found["logged"]) == ("yes", True, False)
    rows = told("officer", "list", "--config", pan)
    assert [(row["officer"], row["agency"], row["roles"]) for row in rows] == [
        ("4711", "SNM", "list.officer,supervisor")
    ]
    key = personal.open_((pan / "booth/4711.key").read_bytes(), Hidden(PASSPHRASE))
    settings = config.load(pan, environ={})
    register = officers.read(
        (pan / "officers/register.jsonl").read_bytes(), bytes.fromhex(settings.register.public_key)
    )
    assert register.people()[0].public_key == key.public_key
    told("officer", "retire", "--officer", "4711", "--config", pan)
    assert told("officer", "list", "--config", pan)[0]["in_force"] == "no"
    assert "to retire" in told("officer", "retire", "--officer", "4711", "--config", pan, code=8)


def test_a_person_may_bring_the_key_made_elsewhere(told: Told, pan: Path, passphrase: Path) -> None:
    data, public = personal.create(OfficerId("12"), Hidden(PASSPHRASE))
    (pan / "booth/12.key").write_bytes(data)
    assert enrol(told, pan, passphrase, "12")["key_made"] is False
    assert personal.officer_of((pan / "booth/12.key").read_bytes())[1] == public
    (pan / "booth/13.key").write_bytes(data)
    assert "another personnel number" in enrol(told, pan, passphrase, "13", code=8)


def test_what_is_refused_leaves_register_and_keys_as_they_were(
    told: Told, pan: Path, passphrase: Path, tmp_path: Path
) -> None:
    enrol(told, pan, passphrase, "4711")
    before = (pan / "officers/register.jsonl").read_bytes()
    assert "retire it first" in told(
        "officer", "enrol", "--config", pan, "--officer", "4711", "--role", "supervisor", "--key", tmp_path / "new.key",
        "--passphrase-file", passphrase, code=8,
    )  # fmt: skip
    short = tmp_path / "short"
    short.write_text("short\n")
    assert "at least 12" in enrol(told, pan, short, "1", code=8)
    assert "write one of" in enrol(told, pan, passphrase, "2", "--role", "king", code=2)
    assert "write one of SNM" in enrol(told, pan, passphrase, "3", "--agency", "XYZ", code=2)
    foreign = tmp_path / "foreign.key"
    files.write_secret(foreign, "register", b"f" * 32)
    assert "is not the key" in enrol(told, pan, passphrase, "5", "--register-key", foreign, code=8)
    assert (pan / "officers/register.jsonl").read_bytes() == before
    assert sorted(path.name for path in (pan / "booth").glob("[0-9]*.key")) == ["4711.key"]
    assert not (tmp_path / "new.key").exists()


def test_without_a_terminal_a_passphrase_is_not_asked_for(told: Told, pan: Path) -> None:
    assert "--passphrase-file" in told(
        "officer", "enrol", "--config", pan, "--officer", "1", "--role", "supervisor", "--key", pan / "k", code=2
    )


def test_a_changed_register_is_not_read(told: Told, pan: Path, passphrase: Path) -> None:
    enrol(told, pan, passphrase, "4711")
    file = pan / "officers" / "register.jsonl"
    file.write_bytes(file.read_bytes().replace(b"list.officer", b"desk.officer"))
    assert "unknown role" in told("officer", "list", "--config", pan, code=8)
    file.write_bytes(file.read_bytes().replace(b"desk.officer", b"visa.officer"))
    assert "not signed by the register's key" in told("officer", "list", "--config", pan, code=6)


# The doctor


def findings(told: Told, pan: Path, code: int = 0) -> dict[str, dict[str, str]]:
    document = told("doctor", "--config", pan, code=code)
    assert document["ok"] is (code == 0)
    return {row["check"]: row for row in document["checks"]}


def test_a_new_node_is_well_and_told_what_is_left_to_do(told: Told, pan: Path) -> None:
    found = findings(told, pan)
    assert not [row for row in found.values() if row["state"] == "fail"]
    assert (
        found["group arithmetic"]["state"] == found["certificate gateway"]["state"] == found["store"]["state"] == "ok"
    )
    for check in ("off the node", "officers", "federation"):
        assert found[check]["state"] == "warn" and found[check]["fix"]
    for folder in ("anchor", "handover", "policy-authority"):
        shutil.rmtree(pan / folder)
    assert findings(told, pan)["off the node"]["state"] == "ok"


def test_each_thing_that_is_broken_is_found_with_its_fix(told: Told, pan: Path, made: Path, passphrase: Path) -> None:
    (pan / "keys" / "log.key").unlink()
    shutil.copy(pan / "tls/home.key", pan / "tls/gateway.key")
    (pan / "policy/national.tar.gz").write_bytes(b"no bundle")
    shutil.rmtree(pan / "store")
    (pan / "officers/register.jsonl").write_text("{}\n")
    found = findings(told, pan, code=1)
    broken = {check for check, row in found.items() if row["state"] == "fail"}
    assert broken == {"keys", "certificate gateway", "policy national", "store", "officers"}
    assert all(found[check]["fix"] for check in broken)
    assert "log.key" in found["keys"]["detail"]
    assert "not the key of the certificate" in found["certificate gateway"]["detail"]


def test_a_clock_that_stands_before_the_store_is_found(told: Told, pan: Path, tmp_path: Path) -> None:
    ahead_s = SystemClock().now_ns() // 10**9 + 600
    os.utime(pan / "store" / "node.db", (ahead_s, ahead_s))
    assert "before the store's last change" in findings(told, pan, code=1)["clock"]["detail"]
    set_shift(tmp_path / "shift", 3 * DAY_NS)
    virtual = ("--set", "clock.kind=virtual", "--set", f"clock.file={tmp_path / 'shift'}")
    rows = told("doctor", "--config", pan, *virtual)["checks"]
    assert (rows[0]["state"], rows[0]["detail"]) == ("warn", "a virtual clock, +3.0 days from this machine's")
    (tmp_path / "shift").unlink()
    assert told("doctor", "--config", pan, *virtual, code=1)["checks"][0]["state"] == "fail"


def test_a_certificate_of_another_state_or_past_its_end_is_found(told: Told, pan: Path) -> None:
    anchor = certificates.KeyPair((pan / "anchor/anchor.key").read_bytes(), (pan / "anchor/anchor.crt").read_bytes())
    now = SystemClock().now_ns()
    for made_ns, days, state, told_state, detail in (
        (now, 10, "PAN", "warn", "ends in"),
        (now - 20 * DAY_NS, 10, "PAN", "fail", "not in force"),
        (now, 90, "HND", "fail", "limen://HND/gateway"),
    ):
        leaf = certificates.issue_leaf(anchor, PeerId(state), "gateway", made_ns, days=days)
        (pan / "tls/gateway.crt").write_bytes(leaf.certificate_pem)
        (pan / "tls/gateway.key").write_bytes(leaf.key_pem)
        row = findings(told, pan, code=1 if told_state == "fail" else 0)["certificate gateway"]
        assert row["state"] == told_state and detail in row["detail"]


def test_a_list_that_does_not_know_this_node_is_found(told: Told, region: Path) -> None:
    pan = region / "pan"
    told("federation", "accept", listing(told, region, 1, "PAN", "HND"), "--config", pan)
    found = findings(told, pan)
    assert found["own card"]["state"] == found["federation version 1"]["state"] == "ok"
    # Nobody listens at the others' endpoints.
    assert found["peer HND"]["state"] == found["peer UTO"]["state"] == "warn"

    anchor = certificates.KeyPair((pan / "anchor/anchor.key").read_bytes(), (pan / "anchor/anchor.crt").read_bytes())
    leaf = certificates.issue_leaf(anchor, PeerId("PAN"), "gateway", SystemClock().now_ns())
    (pan / "tls/gateway.crt").write_bytes(leaf.certificate_pem)
    (pan / "tls/gateway.key").write_bytes(leaf.key_pem)
    shutil.copy(region / "HND/policy/baseline.tar.gz", pan / "policy/baseline.tar.gz")
    for key in (region / "HND/policy/keys").glob("baseline-*.pem"):
        shutil.copy(key, pan / "policy/keys")
    document = told("doctor", "--config", pan, "--offline", code=1)
    found = {row["check"]: row for row in document["checks"]}
    assert "not pinned" in found["own card"]["detail"]
    assert "not the one the federation names" in found["policy baseline"]["detail"]
    assert "peer HND" not in found


@contextmanager
def listening(folder: Path, port: int) -> Iterator[None]:
    """A TLS listener with the folder's gateway certificate, for handshakes only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "tls/gateway.crt", folder / "tls/gateway.key")
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(0.1)

        def serve() -> None:
            while not stop.is_set():
                try:
                    plain, _ = server.accept()
                    context.wrap_socket(plain, server_side=True).close()
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        stop.set()
        thread.join()


def test_a_peer_is_well_only_with_its_pinned_key(told: Told, region: Path) -> None:
    pan, hnd = region / "pan", region / "HND"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told("federation", "card", "--config", hnd, "--endpoint", f"127.0.0.1:{port}", "-o", region / "HND.card2")
    (region / "HND.card2").replace(region / "HND.card")
    told("federation", "accept", listing(told, region, 1, "PAN", "HND"), "--config", pan)
    with listening(hnd, port):
        assert findings(told, pan)["peer HND"]["detail"] == f"127.0.0.1:{port} shows its pinned key"
    # Another state's gateway at that address: its anchor is not HND's.
    with listening(region / "UTO", port):
        assert "certificate verify failed" in findings(told, pan)["peer HND"]["detail"]
    # HND's own anchor, but a key that nobody listed.
    anchor = certificates.KeyPair((hnd / "anchor/anchor.key").read_bytes(), (hnd / "anchor/anchor.crt").read_bytes())
    leaf = certificates.issue_leaf(anchor, PeerId("HND"), "gateway", SystemClock().now_ns())
    (hnd / "tls/gateway.crt").write_bytes(leaf.certificate_pem)
    (hnd / "tls/gateway.key").write_bytes(leaf.key_pem)
    with listening(hnd, port):
        assert "not pinned" in findings(told, pan, code=1)["peer HND"]["detail"]


def test_the_firewall_form_names_every_door_and_every_peer(told: Told, region: Path) -> None:
    pan = region / "pan"
    told("federation", "accept", listing(told, region, 1, "PAN", "HND"), "--config", pan)
    rows = told("doctor", "--ports", "--config", pan)
    assert [row["direction"] for row in rows] == ["in"] * 4 + ["out"] * 2
    assert {row["who"] for row in rows if row["direction"] == "out"} == {"HND", "UTO"}
