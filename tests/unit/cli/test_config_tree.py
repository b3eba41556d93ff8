"""The configuration: every value judged at load, every origin told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config
from gateway.config import Address, Origin
from gateway.errors import ConfigRefused

LEAST = 'state = "PAN"\nagencies = ["SNM"]\n'


def write(folder: Path, text: str) -> Path:
    file = folder / "limen.toml"
    file.write_text(text, "utf-8")
    return file


def refusal(
    folder: Path, text: str, *, environ: dict[str, str] | None = None, flags: dict[str, str] | None = None
) -> str:
    with pytest.raises(ConfigRefused) as caught:
        config.load(write(folder, text), environ=environ or {}, flags=flags)
    return str(caught.value)


def test_the_least_file_gives_a_whole_tree_with_absolute_paths(tmp_path: Path) -> None:
    tree = config.load(write(tmp_path, LEAST), environ={})
    assert (tree.state, tree.agencies, tree.root) == ("PAN", ("SNM",), tmp_path)
    assert tree.paths.keys == tmp_path / "keys"
    assert tree.socket("writer") == tmp_path / "run" / "writer.sock"
    assert tree.listeners.peers == Address("127.0.0.1", 7401)


def test_a_folder_stands_for_its_file(tmp_path: Path) -> None:
    write(tmp_path, LEAST)
    assert config.load(tmp_path, environ={}).state == "PAN"


def test_flags_win_over_environment_over_file_over_default(tmp_path: Path) -> None:
    file = write(tmp_path, LEAST + "[ticks]\nanswer_tick_ms = 20\nfetch_s = 30\npublish_s = 40\n")
    environ = {"LIMEN_TICKS_FETCH_S": "31", "LIMEN_TICKS_PUBLISH_S": "41", "HOME": "/"}
    loaded = config.load_with_origins(file, environ=environ, flags={"ticks.publish_s": "42"})
    ticks = loaded.config.ticks
    assert (ticks.answer_tick_ms, ticks.fetch_s, ticks.publish_s, ticks.cosign_s) == (20, 31, 42, 10)
    assert loaded.origins["ticks.answer_tick_ms"] == Origin("file", "limen.toml")
    assert loaded.origins["ticks.fetch_s"] == Origin("environment", "LIMEN_TICKS_FETCH_S")
    assert loaded.origins["ticks.publish_s"] == Origin("flag", "--set ticks.publish_s")
    assert str(loaded.origins["ticks.cosign_s"]) == "default"


def test_every_setting_has_an_origin_a_meaning_and_a_text(tmp_path: Path) -> None:
    loaded = config.load_with_origins(write(tmp_path, LEAST), environ={})
    keys = [row.key for row in config.settings()]
    assert list(loaded.origins) == keys == list(config.shown(loaded.config))
    assert all(row.doc for row in config.settings())


def test_what_is_shown_can_be_read_back_by_flags(tmp_path: Path) -> None:
    file = write(
        tmp_path, LEAST + "[clock]\nkind = 'virtual'\nfile = 'clock'\n[faults]\npoints = ['writer.commit=kill']\n"
    )
    tree = config.load(file, environ={})
    assert config.load(file, environ={}, flags=config.shown(tree)) == tree


def test_an_unknown_key_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    assert "ticks.answer_tick is not a setting; did you mean ticks.answer_tick_ms?" in refusal(
        tmp_path, LEAST + "[ticks]\nanswer_tick = 10\n"
    )
    assert "`limen config show` lists them all" in refusal(tmp_path, LEAST + "zzz = 1\n")
    assert "did you mean LIMEN_TICKS_FETCH_S?" in refusal(tmp_path, LEAST, environ={"LIMEN_TICK_FETCH_S": "1"})
    assert "--set stat: is not a setting; did you mean state?" in refusal(tmp_path, LEAST, flags={"stat": "PAN"})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("state = 'pan'", "three capital letters"),
        ("state = 7", "text in quotes"),
        ("agencies = []", "list of agency codes"),
        ("agencies = ['SNM', 'SNM']", "stands twice"),
        ("agencies = ['s']", "2 to 12 capital letters"),
        ("production = 1", "true or false"),
        ("ticks.answer_tick_ms = 0", "outside 1 to 1000 milliseconds"),
        ("ticks.answer_tick_ms = true", "a whole number of milliseconds"),
        ("ticks.answer_tick_ms = 1.5", "a whole number of milliseconds"),
        ("ticks.answer_tick_ms = '-1'", "a whole number of milliseconds"),
        ("listeners.peers = 'here'", '"host:port"'),
        ("listeners.peers = '127.0.0.1:70000'", '"host:port"'),
        ("listeners.home = '127.0.0.1:7401'", "share 127.0.0.1:7401"),
        ("recipients.auditor = 'AB'", "64 lower-case hexadecimal digits"),
        ("clock.kind = 'sundial'", "one of system, virtual"),
        ("clock.kind = 'virtual'", "clock.file is missing"),
        ("faults.points = ['everything']", "process.place=action"),
        ("paths.store = ''", "write a path"),
        ("state = ", "is not TOML"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(tmp_path: Path, line: str, told: str) -> None:
    lines = {"state": "state = 'PAN'", "agencies": "agencies = ['SNM']"}
    lines[line.split(" ")[0]] = line
    text = refusal(tmp_path, "\n".join(lines.values()))
    assert told in text
    assert line.split(".")[0].split(" ")[0] in text or told == "is not TOML"


def test_a_missing_required_key_says_what_it_is(tmp_path: Path) -> None:
    assert "state is missing: this state's code" in refusal(tmp_path, "agencies = ['SNM']")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="limen init"):
        config.load(tmp_path / "none.toml", environ={})


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "limen.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigRefused, match="not UTF-8"):
        config.load(tmp_path, environ={})


def test_a_run_folder_too_deep_for_sockets_is_refused(tmp_path: Path) -> None:
    assert "write a shorter folder" in refusal(tmp_path, LEAST + f"paths.run = '{'d' * 100}'")


KEY = "0" * 64
SAFE = LEAST + f"production = true\nregister.public_key = '{KEY}'\n[recipients]\n"
SAFE += "".join(f"{name} = '{KEY}'\n" for name in ("supervisor", "auditor", "protection"))


def test_production_takes_a_safe_tree(tmp_path: Path) -> None:
    assert config.load(write(tmp_path, SAFE), environ={}).production


@pytest.mark.parametrize(
    ("flags", "environ", "told"),
    [
        ({"clock.kind": "virtual", "clock.file": "shift"}, {}, "system clock only"),
        ({"faults.points": "writer.commit=kill"}, {}, "no fault points"),
        ({"listeners.peers": "127.0.0.1:0"}, {}, "fixed port"),
        ({"recipients.auditor": ""}, {}, "recipients.auditor"),
        ({"register.public_key": ""}, {}, "register.public_key"),
        ({}, {"GRPC_TRACE": "all"}, "GRPC_TRACE"),
    ],
)
def test_production_refuses_what_is_unsafe(
    tmp_path: Path, flags: dict[str, str], environ: dict[str, str], told: str
) -> None:
    assert told in refusal(tmp_path, SAFE, flags=flags, environ=environ)


def test_several_listeners_may_take_any_port_and_tell_it_in_a_file(tmp_path: Path) -> None:
    tree = config.load(write(tmp_path, LEAST + "[listeners]\npeers = '[::1]:0'\nhome = '127.0.0.1:0'\n"), environ={})
    with pytest.raises(ConfigRefused, match="limen serve"):
        tree.bound("home")
    tree.paths.run.mkdir()
    tree.port_file("peers").write_text("40123\n")
    assert str(tree.bound("peers")) == "[::1]:40123"
    assert tree.bound("auditors") == Address("127.0.0.1", 7403)
