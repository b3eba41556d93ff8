"""What the repository must not hold: this machine's paths, hosts of package indexes, secrets, large or made files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.tracked import files, text
from tests.extras import ROOT

LARGE: dict[str, int] = {}
"""Files that may be larger than a megabyte, with their limit in bytes."""

# In pieces, so that this file does not hold what it forbids.
MACHINE_PATHS = re.compile(
    r"(?<![\w.])/(?:"
    + "|".join(("wor" + "k/", "roo" + "t/", "hom" + r"e/\w", "User" + r"s/\w", "opt/wheel" + "s"))
    + ")"
)
INDEX_HOSTS = re.compile(
    r"\b(?:"
    + "|".join(
        host.replace(".", r"\.")
        for host in (
            "pypi." + "org",
            "pythonhosted." + "org",
            "registry.npmjs." + "org",
            "registry.yarnpkg." + "com",
            "proxy.golang." + "org",
            "sum.golang." + "org",
            "deb.debian." + "org",
            "security.debian." + "org",
            "crates." + "io",
            "repo.maven.apache." + "org",
        )
    )
    + r")\b"
    + r"|--(?:extra-)?index-"
    + "url|--find-"
    + "links|GOPROXY="
    + "http"
)
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|HA" + r"CK)\b")
PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}")

LOCKS = [
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-setup.lock",
    "requirements-statistics.lock",
    "requirements-postgres.lock",
]


def hits(pattern: re.Pattern[str], *, only: str | None = None) -> list[str]:
    found = []
    for path in files():
        if only and path.suffix not in only.split():
            continue
        for number, line in enumerate((text(path) or "").splitlines(), 1):
            match = pattern.search(line)
            if match:
                found.append(f"{path}:{number}: {match.group(0)}")
    return found


def test_no_paths_of_a_machine() -> None:
    here = "|".join(re.escape(str(path)) + r"(?!\w)" for path in {ROOT, Path.home()} if len(path.parts) > 2)
    pattern = re.compile(MACHINE_PATHS.pattern + (f"|{here}" if here else ""))
    assert hits(pattern) == []


def test_no_host_of_a_package_index() -> None:
    assert hits(INDEX_HOSTS) == []


def test_no_private_key() -> None:
    assert [str(path) for path in files() if PRIVATE_KEY.search(text(path) or "")] == []


def test_nothing_is_marked_unfinished() -> None:
    assert hits(UNFINISHED, only=".py .sh .rego .proto .toml .md") == []


def test_no_large_file() -> None:
    sizes = {str(path): (ROOT / path).stat().st_size for path in files()}
    assert {name: size for name, size in sizes.items() if size > LARGE.get(name, 1_000_000)} == {}


def test_nothing_that_verbs_make_is_kept() -> None:
    made = re.compile(
        r"(?:^|/)(?:__pycache__|\.venv|\.cache|node_modules|[^/]+\.egg-info)/|\.pyc$|(?:^|/)report\.html$"
    )
    assert [str(path) for path in files() if made.search(path.as_posix())] == []


def test_no_link_leads_out_of_the_repository() -> None:
    links = [path for path in files() if (ROOT / path).is_symlink()]
    assert [path for path in links if not (ROOT / path).resolve().is_relative_to(ROOT)] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_with_hashes_and_names_no_address(name: str) -> None:
    content = (ROOT / name).read_text("utf-8")
    assert "://" not in content
    assert not re.search(r"^-", content, re.MULTILINE), "options decide where packages come from"
    packages = re.split(r"\n(?=\S)", content.strip())
    for package in packages:
        first, *rest = package.split("\n")
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.]+(?: ; [^\\]+)? \\", first), first
        assert rest and all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line) for line in rest), first


def pins(name: str) -> dict[str, str]:
    content = (ROOT / name).read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==([\w.]+)", content, re.MULTILINE))


def wanted(requirements: list[str]) -> dict[str, str]:
    found = dict(requirement.split("==") for requirement in requirements)
    assert all(re.fullmatch(r"[\w.]+", version) for version in found.values()), "exact pins only"
    return found


def test_the_locks_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    runtime, developer, setup, statistics, postgres = (pins(name) for name in LOCKS)
    assert wanted(project["project"]["dependencies"]).items() <= runtime.items()
    assert wanted(project["dependency-groups"]["dev"]).items() <= developer.items()
    assert wanted(project["build-system"]["requires"]).items() <= setup.items()
    assert wanted(project["project"]["optional-dependencies"]["statistics"]).items() <= statistics.items()
    assert wanted(project["project"]["optional-dependencies"]["postgres"]).items() <= postgres.items()
    assert runtime.items() <= developer.items()
    assert statistics.items() <= developer.items() and postgres.items() <= developer.items()
    assert not runtime.keys() & (statistics.keys() | postgres.keys())
    assert {
        name: (setup[name], developer[name])
        for name in setup.keys() & developer.keys()
        if setup[name] != developer[name]
    } == {}


def test_the_licence_is_the_one_that_is_declared() -> None:
    licence = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in licence and "Version 2.0, January 2004" in licence
