"""The operator's page tells every setting, with its default, and every listener and folder."""

from __future__ import annotations

import re
from dataclasses import fields

from gateway import config
from tests.extras import ROOT

PAGE = (ROOT / "docs" / "operating.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its own head."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_setting_has_a_row_with_its_default_and_its_failure_story() -> None:
    told = {cells[0].strip("`"): cells for cells in rows("Settings")}
    known = config.settings()
    assert list(told) == [setting.key for setting in known]
    for setting in known:
        _, default, story = told[setting.key]
        assert default == ("required" if setting.default is None else setting.default or "empty"), setting.key
        assert len(story) > 15, setting.key


def test_every_listener_has_a_row_with_its_default() -> None:
    told = {cells[0].strip("`"): cells[1] for cells in rows("Ports")}
    assert told == {place.name: str(place.default) for place in fields(config.Listeners)}


def test_every_folder_is_told_with_whether_it_is_backed_up() -> None:
    told = [cells[0] for cells in rows("The folder")]
    assert all(len(cells) == 3 and cells[2] for cells in rows("The folder"))
    for place in fields(config.Paths):
        assert any(f"`{place.default}/`" in cell for cell in told), place.name
    assert "`keys/seeds/`" in told


def test_what_production_refuses_is_marked() -> None:
    marked = {cells[0].strip("`") for cells in rows("Settings") if "*not in production*" in cells[2]}
    assert marked == {
        *(f"listeners.{place.name}" for place in fields(config.Listeners)),
        *(f"recipients.{place.name}" for place in fields(config.Recipients)),
        "register.public_key",
        "realm",
        "clock.kind",
        "faults.points",
    }


def test_the_environments_names_are_those_of_the_settings() -> None:
    variables = set(re.findall(r"`(LIMEN_[A-Z_]+)`", PAGE))
    assert variables and variables <= {config.variable(setting.key) for setting in config.settings()}


def test_a_setting_that_nothing_reads_is_marked_and_no_other() -> None:
    code = [path for path in (ROOT / "gateway").rglob("*.py") if path.name != "config.py" and "wire" not in path.parts]
    text = "\n".join(path.read_text("utf-8") for path in code)
    unread = {
        setting.key
        for setting in config.settings()
        if not re.search(rf"\b{setting.key.replace('.', r'[.]')}\b", text)
        # Read one by one, by name.
        and not setting.key.startswith(("listeners.", "recipients."))
    }
    marked = {cells[0].strip("`") for cells in rows("Settings") if "not enforced yet" in cells[2]}
    assert marked == unread, "say in docs/operating.md what is not enforced yet, and no longer what is"
