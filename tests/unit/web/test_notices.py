"""A notice leaves as exactly these bytes, over TLS, to exactly one place; whatever goes wrong stops nothing."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from gateway import config
from gateway.app.notices import Notices, ways_of
from gateway.errors import ConfigRefused
from gateway.web.notices import Mail, Notice, NotTaken, Webhook
from tests.support.receivers import Sink, https, listening, make_pki, server_tls, smtp

pytestmark = pytest.mark.asyncio

DUE_NS = 1_790_000_000 * 10**9
NOTICE = Notice("case_" + "0a" * 16, DUE_NS)
DOCUMENT = b'{"case":"case_' + b"0a" * 16 + b'","due":"2026-09-21T14:13:20Z"}'
MAIL = (
    b"From: limen@border.example\r\nTo: desk@border.example\r\nSubject: A case is due\r\n\r\n"
    b"case_" + b"0a" * 16 + b"\r\nDue 2026-09-21T14:13:20Z\r\n"
)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private CA and a server's certificate by it."""
    return make_pki(tmp_path_factory.mktemp("pki"))


def mail(pki: Path, port: int) -> Mail:
    return Mail.of("127.0.0.1", port, "limen@border.example", "desk@border.example", pki / "ca.pem", 5.0)


async def test_the_webhook_gets_number_and_due_time_and_nothing_else(pki: Path) -> None:
    async with https(pki) as sink:
        await Webhook.of(f"https://127.0.0.1:{sink.port}/desk", pki / "ca.pem", 5.0).send(NOTICE)
    assert sink.got == [
        b"POST /desk HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        b"Connection: close\r\n\r\n" % (sink.port, len(DOCUMENT)) + DOCUMENT
    ]
    assert json.loads(DOCUMENT).keys() == {"case", "due"}
    assert sink.connections == 1


async def test_the_mail_says_number_and_due_time_and_nothing_else(pki: Path) -> None:
    async with smtp(pki) as sink:
        await mail(pki, sink.port).send(NOTICE)
    assert sink.got == [
        b"ehlo limen\r\n",
        b"STARTTLS\r\n",
        b"ehlo limen\r\n",
        b"mail FROM:<limen@border.example>\r\n",
        b"rcpt TO:<desk@border.example>\r\n",
        b"data\r\n",
        MAIL,
        b"QUIT\r\n",
    ]


async def test_a_mail_server_without_starttls_gets_no_notice(pki: Path) -> None:
    async with smtp(pki, offers_tls=False) as sink:
        with pytest.raises(NotTaken):
            await mail(pki, sink.port).send(NOTICE)
    assert all(b"case_" not in line and b"@" not in line for line in sink.got)


async def test_a_server_of_another_ca_gets_no_notice(pki: Path) -> None:
    async with https(pki) as sink:
        with pytest.raises(NotTaken):
            await Webhook.of(f"https://127.0.0.1:{sink.port}/", pki / "other.pem", 5.0).send(NOTICE)
    assert sink.got == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 No\r\n\r\n",
        b"HTTP/1.1 302 There\r\nLocation: https://example.org/\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"",
        b"x" * 20_000,
    ],
)
async def test_whatever_is_not_taken_is_an_error_without_the_case(pki: Path, answer: bytes) -> None:
    async with https(pki, answer) as sink:
        with pytest.raises(NotTaken) as failed:
            await Webhook.of(f"https://127.0.0.1:{sink.port}/", pki / "ca.pem", 5.0).send(NOTICE)
    assert "case_" not in str(failed.value)
    assert sink.connections == 1


async def test_a_silent_server_is_waited_for_until_the_deadline(pki: Path) -> None:
    sink = Sink()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(serve, sink, server_tls(pki)):
        started = time.monotonic()
        with pytest.raises(NotTaken):
            await Webhook.of(f"https://127.0.0.1:{sink.port}/", pki / "ca.pem", 0.2).send(NOTICE)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "url", ["http://h/", "https://h:0/", "https://h:99999/", "https://u:p@h/", "https://h/\r\nX: y", "https://h/?q=1"]
)
async def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigRefused):
        Webhook.of(url, None, 1.0)


# -- The queue --------------------------------------------------------------------------------------------------------


@dataclass
class Way:
    """Takes notices after `refusals` attempts."""

    refusals: int = 0
    attempts: list[Notice] = field(default_factory=list)

    async def send(self, notice: Notice) -> None:
        self.attempts.append(notice)
        if len(self.attempts) <= self.refusals:
            raise NotTaken("no")


def settings(folder: Path, more: str = "") -> config.Config:
    (folder / "run").mkdir(exist_ok=True)
    (folder / "store").mkdir(exist_ok=True)
    (folder / "limen.toml").write_text('state = "PAN"\nagencies = ["SNM"]\n' + more)
    return config.load(folder, environ={})


@dataclass
class Clock:
    """Stands until it is moved."""

    at_ns: int = DUE_NS

    def now_ns(self) -> int:
        return self.at_ns

    def later(self, seconds: float) -> None:
        self.at_ns += int(seconds * 10**9)


def notices(
    folder: Path, way: Way, waiting: list[Notice], said: list[str] | None = None, clock: Clock | None = None
) -> Notices:
    complain = (said if said is not None else []).append
    return Notices(settings(folder), (way,), lambda: waiting, complain, (clock or Clock()).now_ns)


async def test_each_case_is_told_once_for_each_due_time(tmp_path: Path) -> None:
    way, waiting = Way(), [NOTICE]
    told = notices(tmp_path, way, waiting)
    await told.tick()
    await told.tick()
    assert way.attempts == [NOTICE]
    waiting[:] = [NOTICE, Notice(NOTICE.case, DUE_NS + 10**9)]
    await told.tick()
    assert way.attempts == [NOTICE, waiting[1]]


async def test_what_was_told_is_not_told_again_after_a_restart(tmp_path: Path) -> None:
    way, waiting = Way(), [NOTICE]
    for _ in range(3):
        await notices(tmp_path, way, waiting).tick()
    assert way.attempts == [NOTICE]
    waiting.clear()
    await notices(tmp_path, way, waiting).tick()
    assert (tmp_path / "store" / "notices.told").read_bytes() == b""
    kept = (tmp_path / "store" / "notices.told").stat().st_mode & 0o777
    assert kept == 0o600


async def test_a_restart_between_two_notices_tells_neither_twice(tmp_path: Path) -> None:
    other = Notice("case_" + "0" * 31 + "9", DUE_NS)
    way = Way()
    real = way.send

    async def killed_at_the_second(notice: Notice) -> None:
        if way.attempts:
            raise KeyboardInterrupt
        await real(notice)

    way.send = killed_at_the_second  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await notices(tmp_path, way, [NOTICE, other]).tick()
    way.send = real  # type: ignore[method-assign]
    await notices(tmp_path, way, [NOTICE, other]).tick()
    assert way.attempts == [NOTICE, other]


async def test_what_is_not_taken_is_tried_at_longer_distances_for_a_day(tmp_path: Path) -> None:
    way, said, clock = Way(10**6), list[str](), Clock()
    told = notices(tmp_path, way, [NOTICE], said, clock)
    start = clock.at_ns
    tries = []
    for _ in range(4 * 1440):
        before = len(way.attempts)
        await told.tick()
        if len(way.attempts) > before:
            tries.append((clock.at_ns - start) // 10**9)
        clock.later(60)
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses[:6] == [60, 120, 240, 480, 960, 1920] and set(pauses[6:]) == {3600}
    assert 24 * 3600 <= tries[-1] < 25 * 3600
    assert "given up after a day" in said[-1] and len(said) == len(tries)
    assert all("case_" not in line for line in said)


async def test_a_webhook_that_comes_back_within_the_day_is_told(tmp_path: Path) -> None:
    way, clock = Way(5), Clock()
    told = notices(tmp_path, way, [NOTICE], clock=clock)
    for _ in range(200):
        await told.tick()
        clock.later(60)
    assert len(way.attempts) == 6


async def test_a_store_that_takes_no_file_stops_no_notice(tmp_path: Path) -> None:
    way = Way()
    told = notices(tmp_path, way, [NOTICE])
    (tmp_path / "store").rmdir()
    await told.tick()
    assert way.attempts == [NOTICE]


async def test_of_several_processes_one_tells(tmp_path: Path) -> None:
    way = Way()
    first, second = (notices(tmp_path, way, [NOTICE]) for _ in range(2))
    with first._mine() as mine:
        assert mine
        await second.tick()
    assert way.attempts == []
    await second.tick()
    assert way.attempts == [NOTICE]


async def test_the_settings_make_the_ways(tmp_path: Path, pki: Path) -> None:
    assert ways_of(settings(tmp_path)) == ()
    table = (
        '[notices]\nwebhook = "https://desk.example/limen"\nmail_server = "mail.example:587"\n'
        f'mail_from = "a@example.org"\nmail_to = "b@example.org"\nwebhook_ca = "{pki}/ca.pem"\n'
    )
    hook, post = ways_of(settings(tmp_path, table))
    assert isinstance(hook, Webhook) and (hook.host, hook.port, hook.path) == ("desk.example", 443, "/limen")
    assert isinstance(post, Mail) and (post.host, post.port, post.to) == ("mail.example", 587, "b@example.org")
    with pytest.raises(ConfigRefused):
        settings(tmp_path, '[notices]\nmail_server = "mail.example:587"\n')
    with pytest.raises(ConfigRefused):
        ways_of(settings(tmp_path, f'[notices]\nwebhook = "https://h/"\nwebhook_ca = "{pki}/server.key"\n'))
