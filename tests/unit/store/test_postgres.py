"""What PostgreSQL is told: the description of the server, and statements in its words. No server is needed here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigRefused
from gateway.store import db as database
from gateway.store import postgres
from gateway.store.postgres import Place, migration, statement

TABLES = {"pair": (["peer", "seq", "head"], ["peer"]), "hold": (["hold_id", "first"], ["hold_id"])}


def table(name: str) -> tuple[list[str], list[str]]:
    return TABLES[name]


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ("SELECT 1 FROM peer WHERE peer = ? AND epoch <> ?", "SELECT 1 FROM peer WHERE peer = :p1 AND epoch <> :p2"),
        ("SELECT ?1 FROM a WHERE b = ?1", "SELECT :p1 FROM a WHERE b = :p1"),
        ("SELECT '?' FROM a WHERE b = ?", "SELECT '?' FROM a WHERE b = :p1"),
        ("SELECT x'' FROM a", "SELECT CAST('' AS BYTEA) FROM a"),
        ("INSERT OR IGNORE INTO hold VALUES (?, ?)", "INSERT INTO hold VALUES (:p1, :p2) ON CONFLICT DO NOTHING"),
        (
            "INSERT OR REPLACE INTO pair VALUES (?, ?, ?)",
            "INSERT INTO pair VALUES (:p1, :p2, :p3) ON CONFLICT (peer) DO UPDATE SET seq = EXCLUDED.seq,"
            " head = EXCLUDED.head",
        ),
        (
            "INSERT OR REPLACE INTO pair (peer, seq) VALUES (?, ?)",
            "INSERT INTO pair (peer, seq) VALUES (:p1, :p2) ON CONFLICT (peer) DO UPDATE SET seq = EXCLUDED.seq,"
            " head = DEFAULT",
        ),
    ],
)
def test_a_statement_is_said_in_the_servers_words(given_: str, told: str) -> None:
    assert statement(given_, table) == told


def test_no_word_of_sqlites_is_left_in_a_migration() -> None:
    for _, script in database.migrations():
        told = migration(script)
        for word in ("WITHOUT ROWID", "RAISE(", "BLOB", "INTEGER", "x''", "IS NOT OLD"):
            assert word not in told
        assert told.count("CREATE TRIGGER") >= script.count("CREATE TRIGGER")
        assert told.count(" TEXT") == told.count(' TEXT COLLATE "C"')


GOOD = 'socket = "/run/db"\ndatabase = "limen"\nuser = "limen"\n'


def described(tmp_path: Path, text: str) -> Place:
    file = tmp_path / postgres.FILE
    file.write_text(text)
    return postgres.read(file)


def test_a_description_says_again_what_was_read(tmp_path: Path) -> None:
    place = described(tmp_path, GOOD + 'password_file = "a\\\\b"\nport = 6000\n')
    assert (
        described(tmp_path, place.encode())
        == place
        == Place("limen", "limen", "/run/db", port=6000, password_file="a\\b")
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("user = 1", "user is not a text"),
        ('port = "5432"', "port is not a number"),
        ("port = true", "port is not a number"),
        ('database = "limen"', "user is missing"),
        ('database = "limen"\nuser = "limen"', "give either socket"),
        (GOOD + 'host = "db"', "give either socket"),
        ('host = "db"\ndatabase = "limen"\nuser = "limen"', "ca_file is missing"),
        (GOOD + 'password = "S3CRET"', "password is no key of it"),
        (GOOD + 'schema = "limen; drop"', "schema is not a plain name"),
        (GOOD + "port = 0", "port is not between"),
        ("user", "is not TOML"),
    ],
)
def test_a_bad_description_is_refused_with_its_key_and_no_value(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigRefused, match=says) as caught:
        described(tmp_path, text)
    assert "S3CRET" not in str(caught.value) and "drop" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_description_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(data)
    try:
        assert isinstance(postgres.read(file), Place)
    except ConfigRefused as refusal:
        assert str(file) in str(refusal)


def test_a_long_file_and_none_are_refused(tmp_path: Path) -> None:
    file = tmp_path / postgres.FILE
    with pytest.raises(ConfigRefused, match="cannot be read"):
        postgres.read(file)
    file.write_bytes(b"#" * (postgres.FILE_BYTES_MAX + 1))
    with pytest.raises(ConfigRefused, match="no description"):
        postgres.read(file)
