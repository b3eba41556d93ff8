"""The node's configuration: TOML, then environment, then flags, into one frozen tree.

Every value is judged when it is loaded, so that a node that starts has no setting it cannot use. A key that is not a
setting is refused with the nearest one that is. `load_with_origins` says where each value came from
(`limen config show --origin`). No secret stands in the configuration: keys lie in files of their own.

A setting `ticks.answer_tick_ms` is written as `answer_tick_ms` in the table `[ticks]`, as `LIMEN_TICKS_ANSWER_TICK_MS`
in the environment, and as `--set ticks.answer_tick_ms=10` on the command line. Lists are separated by commas there.
"""

# ruff: noqa: RUF009 (the calls in the dataclasses below make fields, not shared values)

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
import tomllib
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.errors import ConfigRefused
from gateway.terms.ids import AgencyId, PeerId
from gateway.terms.realm import SANDBOX_STATES, Realm

FILE_NAME: Final = "limen.toml"

FILE_BYTES_MAX: Final = 1 << 20
"""Longest configuration file taken, bytes."""

SOCKET_PATH_BYTES_MAX: Final = 107
"""Longest socket path Linux takes (unix(7), sun_path without its terminator)."""

LONGEST_SOCKET_NAME: Final = "writer.sock"

ENVIRONMENT_PREFIX: Final = "LIMEN_"

ENVIRONMENT_OF_OTHERS: Final = frozenset(
    {"LIMEN_CONFIG", "LIMEN_BOOTH", "LIMEN_LANGUAGE", "LIMEN_LIBSODIUM", "LIMEN_EXTRAS", "LIMEN_SHARED"}
)
"""Variables with our prefix that are not settings: where the node's file and the workstation's folder are, for commands
that are not told; the language of refusals; which libsodium to load (`primitives.sodium`); and what tests are told of
their surroundings."""

TRACING: Final = ("GRPC_TRACE", "GRPC_VERBOSITY")
"""gRPC's own tracing prints messages, so production refuses it (T15)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener binds. Port 0 means any free port; the one taken is written to `run/<listener>.port`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a listener bound there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: `default`, `file`, `environment` or `flag`, and which file or variable."""

    source: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.source} {self.detail}".strip()


class _Refused(ValueError):
    """A judge's reason, without the key's name."""


Judge = Callable[[object], Any]


def _setting(default: Any, judge: Judge, doc: str) -> Any:
    return dataclasses.field(default=default, metadata={"judge": judge, "doc": doc})


def _required(judge: Judge, doc: str) -> Any:
    return dataclasses.field(metadata={"judge": judge, "doc": doc})


def _section(kind: Callable[[], Any]) -> Any:
    return dataclasses.field(default_factory=kind, metadata={"section": kind})


def _whole(low: int, high: int, unit: str = "") -> Judge:
    """A whole number within bounds. Text from the environment counts when it is decimal digits."""

    def judge(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _Refused(f"write a whole number{' of ' + unit if unit else ''}, from {low} to {high}")
        if not low <= value <= high:
            raise _Refused(f"{value} is outside {low} to {high}{' ' + unit if unit else ''}")
        return value

    return judge


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise _Refused("write true or false")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Refused("write text in quotes")
    return value


def _pattern(pattern: str, meaning: str) -> Judge:
    shape = re.compile(pattern)

    def judge(value: object) -> str:
        text = _text(value)
        if not shape.fullmatch(text):
            raise _Refused(f"write {meaning}")
        return text

    return judge


def _one_of(*words: str) -> Judge:
    def judge(value: object) -> str:
        text = _text(value)
        if text not in words:
            raise _Refused(f"write one of {', '.join(words)}")
        return text

    return judge


def _list_of(judge_item: Judge, least: int, meaning: str) -> Judge:
    def judge(value: object) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = [item.strip() for item in value.split(",") if item.strip()]
        if not isinstance(value, list) or len(value) < least:
            raise _Refused(f"write a list of {meaning}")
        items = tuple(judge_item(item) for item in value)
        if len(set(items)) != len(items):
            raise _Refused("the same item stands twice")
        return items

    return judge


def _address(value: object) -> Address:
    text = _text(value)
    found = re.fullmatch(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})", text)
    if not found or int(found["port"]) > 65535:
        raise _Refused('write "host:port", the port from 0 (any free one) to 65535')
    return Address(found["six"] or found["host"], int(found["port"]))


def _optional_address(value: object) -> Address | None:
    return _address(value) if value != "" else None


def _path(value: object) -> Path:
    text = _text(value)
    if not text or "\0" in text:
        raise _Refused("write a path")
    return Path(text)


def _optional_path(value: object) -> Path | None:
    return _path(value) if value != "" else None


_server = _pattern(
    r"(?:unix:///[^\0]+|https://[A-Za-z0-9.-]+:[0-9]{1,5})?", "unix:///path/of/socket or https://host:port"
)
_webhook = _pattern(r"(?:https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/%-]*)?)?", "https://host:port/path")
_mailbox = _pattern(r"(?:[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+)?", "a mail address such as desk@example.org")
_state = _pattern(r"[A-Z]{3}", "the state's three capital letters, such as PAN")
_agency = _pattern(r"[A-Z][A-Z0-9]{1,11}", "an agency's code of 2 to 12 capital letters and digits, such as SNM")
_public_key = _pattern(r"[0-9a-f]{64}", "a public key as 64 lower-case hexadecimal digits")
_optional_public_key = _pattern(r"(?:[0-9a-f]{64})?", "a public key as 64 lower-case hexadecimal digits")
_fault = _pattern(r"[a-z][a-z0-9_.]*=[a-z0-9_.:]+", 'a fault point as "process.place=action"')


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where each audience reaches the node. No two audiences share a port."""

    peers: Address = _setting(Address("127.0.0.1", 7401), _address, "other states' gateways, mutual TLS")
    home: Address = _setting(Address("127.0.0.1", 7402), _address, "the agencies' own systems and officers, mutual TLS")
    auditors: Address = _setting(Address("127.0.0.1", 7403), _address, "the home auditors, mutual TLS")
    metrics: Address = _setting(Address("127.0.0.1", 7404), _address, "Prometheus metrics and log tiles, HTTP")


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of the node; relative ones start at the folder of `limen.toml`."""

    keys: Path = _setting(Path("keys"), _path, "secret keys, read by the key process only")
    tls: Path = _setting(Path("tls"), _path, "certificates and TLS keys of the listeners")
    policy: Path = _setting(Path("policy"), _path, "signed policy bundles")
    federation: Path = _setting(Path("federation"), _path, "the signed list of members")
    officers: Path = _setting(Path("officers"), _path, "the agencies' register of officers")
    store: Path = _setting(Path("store"), _path, "the node's database and log")
    lock: Path = _setting(Path("lock"), _path, "the log's lock record; best on another disk than the store")
    periods: Path = _setting(
        Path("periods"), _path, "the keys of payloads at rest; best on another disk than the store, never in a backup"
    )
    tables: Path = _setting(Path("tables"), _path, "tables made for peers")
    copies: Path = _setting(Path("copies"), _path, "tables received from peers")
    events: Path = _setting(Path("events"), _path, "events that statistics count, and the keys of their pseudonyms")
    run: Path = _setting(Path("run"), _path, "sockets and port files while the node runs; a short path")


@dataclass(frozen=True, slots=True)
class Ticks:
    """When timers fire."""

    answer_tick_ms: int = _setting(10, _whole(1, 1000, "milliseconds"), "answers to officers leave at its multiples")
    fetch_s: int = _setting(900, _whole(1, 86400, "seconds"), "how often peers' tables are fetched")
    publish_s: int = _setting(900, _whole(1, 86400, "seconds"), "how often own tables are made")
    checkpoint_s: int = _setting(10, _whole(1, 3600, "seconds"), "how often a checkpoint of the log is signed")
    case_s: int = _setting(5, _whole(1, 3600, "seconds"), "how often what waits in cases is sent, and time is kept")
    cosign_s: int = _setting(10, _whole(1, 3600, "seconds"), "how often peers are asked to cosign it")
    compare_s: int = _setting(
        86400, _whole(1, 7 * 86400, "seconds"), "how often a peer's log is held against its messages, at its multiples"
    )


@dataclass(frozen=True, slots=True)
class Statistics:
    """When private statistics are made and shown."""

    tick_s: int = _setting(60, _whole(1, 3600, "seconds"), "releases are started and shown at its multiples")


@dataclass(frozen=True, slots=True)
class PeerCalls:
    """How long this node waits for another state."""

    check_timeout_ms: int = _setting(2000, _whole(50, 60000, "milliseconds"), "a batch of a check")
    table_timeout_ms: int = _setting(30000, _whole(100, 600000, "milliseconds"), "a manifest or a chunk of a table")
    case_timeout_ms: int = _setting(5000, _whole(50, 60000, "milliseconds"), "a message of a case")
    cosign_timeout_ms: int = _setting(5000, _whole(50, 60000, "milliseconds"), "a cosignature")


@dataclass(frozen=True, slots=True)
class Witnesses:
    """How many peers must have seen our log, and how lately, before anything is disclosed."""

    quorum: int = _setting(0, _whole(0, 1000), "witnesses that must agree; 0: more than half of the other members")
    silence_s: int = _setting(
        14400, _whole(1, 30 * 86400, "seconds"), "after so long without them nothing is disclosed"
    )
    policy: Path | None = _setting(None, _optional_path, "a tlog-policy: who must agree, outside witnesses too")
    ca: Path | None = _setting(None, _optional_path, "for outside witnesses: their private CA, PEM")


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one officer may ask in a day (UTC); what a peer may ask stands in the agreement."""

    officer_checks_per_day: int = _setting(2000, _whole(1, 10**6), "checks by one officer")
    officer_travellers_per_day: int = _setting(20000, _whole(1, 10**7), "travellers in checks by one officer")


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """What one peer may use of this node, so that no peer can stop the others' service (T19)."""

    calls_per_s: int = _setting(50, _whole(1, 10**5), "calls a second, on average")
    burst: int = _setting(100, _whole(1, 10**6), "calls at once above the average")
    concurrent: int = _setting(32, _whole(1, 1000), "calls in progress")
    errors_per_minute: int = _setting(120, _whole(1, 10**5), "refusals a minute before calls are cut unread")


@dataclass(frozen=True, slots=True)
class Recipients:
    """X25519 public keys that the log seals to. Their private halves are never on the node (T11)."""

    supervisor: str = _setting("", _optional_public_key, "the supervisor's key")
    auditor: str = _setting("", _optional_public_key, "the home auditor's key")
    protection: str = _setting("", _optional_public_key, "the protection desk's key")


@dataclass(frozen=True, slots=True)
class Register:
    """Who signs the register of officers."""

    public_key: str = _setting("", _optional_public_key, "Ed25519 key of the agencies' register")


@dataclass(frozen=True, slots=True)
class Policy:
    """Which engine evaluates the rules. Both read the same signed bundles, and neither stands in for the other."""

    engine: str = _setting("embedded", _one_of("embedded", "opa"), "in this process, or an OPA server beside it")
    server: str = _setting("", _server, "for opa: unix:///path/of/socket, or https://host:port")
    server_ca: Path | None = _setting(None, _optional_path, "for https: the private CA of the server, PEM")
    server_certificate: Path | None = _setting(None, _optional_path, "for https: our client certificate, PEM")
    server_key: Path | None = _setting(None, _optional_path, "for https: its key, PEM")
    timeout_ms: int = _setting(250, _whole(10, 5000, "milliseconds"), "for opa: a whole decision; later is a no")


@dataclass(frozen=True, slots=True)
class Notices:
    """How a desk is told that a case waits. A notice carries the case's number and its due time, and nothing else."""

    webhook: str = _setting("", _webhook, "where a notice is posted: https://host:port/path")
    webhook_ca: Path | None = _setting(None, _optional_path, "its private CA, PEM; empty for the system's")
    mail_server: Address | None = _setting(None, _optional_address, "a mail server with STARTTLS, host:port")
    mail_ca: Path | None = _setting(None, _optional_path, "its private CA, PEM; empty for the system's")
    mail_from: str = _setting("", _mailbox, "whom a notice comes from")
    mail_to: str = _setting("", _mailbox, "the desk's mailbox")
    every_s: int = _setting(60, _whole(1, 3600, "seconds"), "how often waiting cases are looked for")
    timeout_ms: int = _setting(5000, _whole(50, 60000, "milliseconds"), "how long one attempt may take")


@dataclass(frozen=True, slots=True)
class Alerts:
    """When the node says that it, or somebody who uses it, should be looked at. Ordinary work stays below these."""

    every_s: int = _setting(5, _whole(1, 60, "seconds"), "how often the rules look; answers never wait for them")
    due_h: int = _setting(24, _whole(1, 720, "hours"), "how soon a supervisor should have looked at an alert")
    officer_repeats: int = _setting(5, _whole(2, 64), "questions of a day by one officer about one subject")
    unit_repeats: int = _setting(8, _whole(2, 64), "units that ask about one subject on one day")
    block_numbers: int = _setting(12, _whole(3, 100), "document numbers within a hundred, of a day, by one officer")
    burst_per_minute: int = _setting(60, _whole(2, 10**4), "questions a minute by one officer")
    case_questions: int = _setting(40, _whole(2, 10**5), "questions of a day under one case reference, by one officer")
    shift_questions: int = _setting(1000, _whole(2, 10**5), "the same for those who work at a line of travellers")
    words_cases: int = _setting(10, _whole(2, 60), "cases of a day justified by the same words, by one officer")
    pair_releases: int = _setting(10, _whole(2, 10**4), "releases of 30 days, prepared and approved by the same two")
    pair_percent: int = _setting(90, _whole(50, 100, "per cent"), "and so much of all that the one has prepared")
    silence_s: int = _setting(300, _whole(10, 86400, "seconds"), "the log does not grow for so long")
    checkpoint_gap_s: int = _setting(120, _whole(5, 86400, "seconds"), "the log grows and no checkpoint leaves")


@dataclass(frozen=True, slots=True)
class Epochs:
    """The life of the pseudonym keys."""

    days: int = _setting(30, _whole(1, 92, "days"), "how long one epoch's key serves")


@dataclass(frozen=True, slots=True)
class Serving:
    """How many processes answer, and how they stop."""

    processes: int = _setting(1, _whole(1, 64), "gateway processes")
    number: int = _setting(1, _whole(1, 64), "which of them a process is; told by the supervisor")
    drain_s: int = _setting(5, _whole(0, 300, "seconds"), "how long calls in progress may finish after SIGTERM")


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """Where time comes from."""

    kind: str = _setting(
        "system", _one_of("system", "virtual"), "the system's clock, or one shifted for demonstrations"
    )
    file: Path | None = _setting(None, _optional_path, "for the virtual clock: a file holding its shift")


@dataclass(frozen=True, slots=True)
class Storage:
    """The node's database and log."""

    log_number: int = _setting(
        1, _whole(1, 10**6), "which log of this state this is; `limen node recover` raises it where one has ended"
    )
    pages_max: int = _setting(0, _whole(0, 1 << 31, "pages"), "most pages of 4 KiB in the database; 0 for no bound")


@dataclass(frozen=True, slots=True)
class Faults:
    """Points at which tests make a process fail. Refused in production."""

    points: tuple[str, ...] = _setting((), _list_of(_fault, 0, "fault points"), "faults to trigger")


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a node is told. Paths are absolute."""

    state: PeerId = _required(_state, "this state's code")
    agencies: tuple[AgencyId, ...] = _required(_list_of(_agency, 1, "agency codes"), "the agencies that may ask")
    realm: str = _setting(
        "live", _one_of("live", "sandbox"), "a state's own node, or one of a sandbox; they never meet"
    )
    production: bool = _setting(False, _flag, "refuse every setting that is unsafe outside a demonstration")
    listeners: Listeners = _section(Listeners)
    paths: Paths = _section(Paths)
    ticks: Ticks = _section(Ticks)
    statistics: Statistics = _section(Statistics)
    peers: PeerCalls = _section(PeerCalls)
    witnesses: Witnesses = _section(Witnesses)
    quotas: Quotas = _section(Quotas)
    limits: PeerLimits = _section(PeerLimits)
    recipients: Recipients = _section(Recipients)
    register: Register = _section(Register)
    policy: Policy = _section(Policy)
    notices: Notices = _section(Notices)
    alerts: Alerts = _section(Alerts)
    epochs: Epochs = _section(Epochs)
    serve: Serving = _section(Serving)
    clock: ClockSettings = _section(ClockSettings)
    store: Storage = _section(Storage)
    faults: Faults = _section(Faults)
    root: Path = dataclasses.field(default=Path(), metadata={"derived": True})
    """The folder of `limen.toml`; not a setting."""

    def socket(self, process: str) -> Path:
        """The unix socket of a process of this node (`writer`, `keys`, `jobs`)."""
        return self.paths.run / f"{process}.sock"

    def port_file(self, listener: str) -> Path:
        """Where a running node writes the port a listener took: decimal digits and a newline."""
        return self.paths.run / f"{listener}.port"

    def bound(self, listener: str) -> Address:
        """Where a listener of the running node is reached: as configured, or by its port file when that says 0.

        Raises:
            ConfigRefused: the port is 0 and the node does not run.
        """
        configured: Address = getattr(self.listeners, listener)
        if configured.port:
            return configured
        try:
            return Address(configured.host, int(self.port_file(listener).read_text("ascii")))
        except (OSError, ValueError):
            raise ConfigRefused(
                f"listeners.{listener}: the port is 0 and the node does not run; start it with `limen serve`"
            ) from None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The tree, and the origin of each value by dotted key, in the order of the tree."""

    config: Config
    origins: Mapping[str, Origin]


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the reference: dotted key, default as text (None when required) and meaning."""

    key: str
    default: str | None
    doc: str


def load(path: Path, *, environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None) -> Config:
    """Read the file (or the `limen.toml` of a node's folder), the environment and the flags.

    Raises:
        ConfigRefused: the file, a key or a value cannot be used; the text says what to write instead.
    """
    return load_with_origins(path, environ=environ, flags=flags).config


def load_with_origins(
    path: Path, *, environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> Loaded:
    """As `load`, with the origin of each value."""
    file = path / FILE_NAME if path.is_dir() else path
    environ = os.environ if environ is None else environ
    reading = _Reading(
        file=file,
        from_file=_flatten(_parse(file)),
        from_environment=_from_environment(environ),
        from_flags=dict(flags or {}),
    )
    reading.refuse_unknown()
    root = file.resolve().parent
    config = dataclasses.replace(reading.build(Config, "", root), root=root)
    _judge_whole(file, config, environ)
    return Loaded(config, reading.origins)


def settings() -> list[Setting]:
    """Every setting, in the order of the tree (`docs/operating.md` and `limen config show`)."""
    return list(_settings(Config, ""))


def shown(config: Config) -> dict[str, str]:
    """Each value as text by dotted key, in the order of the tree."""
    return {key: _as_text(_lookup(config, key)) for key in (row.key for row in settings())}


def _settings(kind: Any, prefix: str) -> typing.Iterator[Setting]:
    for place in dataclasses.fields(kind):
        if "section" in place.metadata:
            yield from _settings(place.metadata["section"], f"{place.name}.")
        elif "judge" in place.metadata:
            default = None if place.default is dataclasses.MISSING else _as_text(place.default)
            yield Setting(prefix + place.name, default, place.metadata["doc"])


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return "" if value is None else str(value)


def _lookup(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def read_bounded(path: Path, bytes_max: int) -> bytes:
    """A file's bytes where it has at most `bytes_max`, else that many and one more: the caller judges the size.

    Of a device or a pipe without an end no more is read either. Raises OSError.
    """
    with path.open("rb") as file:
        return file.read(bytes_max + 1)


def _parse(file: Path) -> dict[str, Any]:
    try:
        data = read_bounded(file, FILE_BYTES_MAX)
        if len(data) > FILE_BYTES_MAX:
            raise ConfigRefused(f"{file}: is longer than {FILE_BYTES_MAX >> 20} MiB, the most that is taken here")
        return tomllib.loads(data.decode("utf-8"))
    except FileNotFoundError:
        raise ConfigRefused(f"{file}: there is no such file; make a node with `limen init --state AAA DIR`") from None
    except OSError as cause:
        raise ConfigRefused(f"{file}: cannot be read ({cause.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigRefused(f"{file}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as cause:
        raise ConfigRefused(f"{file}: is not TOML: {cause}") from None


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(ENVIRONMENT_PREFIX) and name not in ENVIRONMENT_OF_OTHERS
    }


def variable(key: str) -> str:
    """The environment variable of a setting."""
    return ENVIRONMENT_PREFIX + key.upper().replace(".", "_")


@dataclass
class _Reading:
    """One load: the three sources, and the origins found while building."""

    file: Path
    from_file: dict[str, Any]
    from_environment: dict[str, str]
    from_flags: dict[str, str]
    origins: dict[str, Origin] = dataclasses.field(default_factory=dict)

    def refuse_unknown(self) -> None:
        """Refuse the first key or variable that names no setting."""
        keys = [row.key for row in settings()]
        for key in self.from_file:
            if key not in keys:
                raise ConfigRefused(f"{self.file}: {key} is not a setting{_nearest(key, keys)}")
        for key in self.from_flags:
            if key not in keys:
                raise ConfigRefused(f"--set {key}: is not a setting{_nearest(key, keys)}")
        variables = [variable(key) for key in keys]
        for name in self.from_environment:
            if name not in variables:
                raise ConfigRefused(f"environment: {name} is not a setting{_nearest(name, variables)}")

    def build(self, kind: Any, prefix: str, root: Path) -> Any:
        """The dataclass `kind` from the sources; sections first to last."""
        values: dict[str, Any] = {}
        for place in dataclasses.fields(kind):
            if "section" in place.metadata:
                values[place.name] = self.build(place.metadata["section"], f"{place.name}.", root)
            elif "judge" in place.metadata:
                value = self.take(prefix + place.name, place)
                values[place.name] = root / value if isinstance(value, Path) else value
        return kind(**values)

    def take(self, key: str, place: dataclasses.Field[Any]) -> Any:
        """The judged value of one setting from the strongest source that names it."""
        name = variable(key)
        if key in self.from_flags:
            raw, origin, where = self.from_flags[key], Origin("flag", f"--set {key}"), f"--set {key}"
        elif name in self.from_environment:
            raw, origin, where = self.from_environment[name], Origin("environment", name), f"environment: {name}"
        elif key in self.from_file:
            raw, origin, where = self.from_file[key], Origin("file", self.file.name), f"{self.file}: {key}"
        elif place.default is not dataclasses.MISSING:
            self.origins[key] = Origin("default")
            return place.default
        else:
            raise ConfigRefused(f"{self.file}: {key} is missing: {place.metadata['doc']}")
        self.origins[key] = origin
        try:
            return place.metadata["judge"](raw)
        except _Refused as refused:
            raise ConfigRefused(f"{where}: {refused}") from None


def _nearest(word: str, words: list[str]) -> str:
    found = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else "; `limen config show` lists them all"


def _judge_whole(file: Path, config: Config, environ: Mapping[str, str]) -> None:
    """What no value shows alone."""
    if config.state in SANDBOX_STATES and config.realm != Realm.SANDBOX:
        raise ConfigRefused(
            f'{file}: state: {config.state} is a code of sandboxes; write your own, or realm = "sandbox"'
        )
    taken: dict[Address, str] = {}
    for place in dataclasses.fields(Listeners):
        address: Address = getattr(config.listeners, place.name)
        if address.port and address in taken:
            raise ConfigRefused(
                f"{file}: listeners.{place.name} and listeners.{taken[address]} share {address}; "
                "each audience needs a port of its own"
            )
        taken[address] = place.name
    longest = len(os.fsencode(config.paths.run / LONGEST_SOCKET_NAME))
    if longest > SOCKET_PATH_BYTES_MAX:
        raise ConfigRefused(
            f"{file}: paths.run: socket paths there have {longest} bytes and Linux takes {SOCKET_PATH_BYTES_MAX}; "
            "write a shorter folder"
        )
    if config.clock.kind == "virtual" and config.clock.file is None:
        raise ConfigRefused(f"{file}: clock.file is missing: the virtual clock reads its shift from a file")
    if config.policy.engine == "opa" and not config.policy.server:
        raise ConfigRefused(f"{file}: policy.server is missing: where the OPA server is")
    files = (config.policy.server_ca, config.policy.server_certificate, config.policy.server_key)
    if config.policy.server.startswith("https:") and None in files:
        raise ConfigRefused(
            f"{file}: policy.server: https needs policy.server_ca, policy.server_certificate and policy.server_key"
        )
    if config.notices.mail_server is not None and not (config.notices.mail_from and config.notices.mail_to):
        raise ConfigRefused(f"{file}: notices.mail_server: mail needs notices.mail_from and notices.mail_to")
    if config.production:
        _judge_production(file, config, environ)


def _judge_production(file: Path, config: Config, environ: Mapping[str, str]) -> None:
    """Refuse what a demonstration may do and a node with live data may not."""
    if config.realm != Realm.LIVE:
        raise ConfigRefused(f"{file}: realm: production takes a live node only; make one with `limen init`")
    if config.clock.kind != "system":
        raise ConfigRefused(f'{file}: clock.kind: production takes the system clock only; write "system"')
    if config.faults.points:
        raise ConfigRefused(f"{file}: faults.points: production takes no fault points; remove them")
    for place in dataclasses.fields(Listeners):
        if getattr(config.listeners, place.name).port == 0:
            raise ConfigRefused(f"{file}: listeners.{place.name}: production needs a fixed port, not 0")
    for place in dataclasses.fields(Recipients):
        if not getattr(config.recipients, place.name):
            raise ConfigRefused(f"{file}: recipients.{place.name}: production needs this key to seal the log to")
    if not config.register.public_key:
        raise ConfigRefused(f"{file}: register.public_key: production needs a signed register of officers")
    for name in TRACING:
        if environ.get(name):
            raise ConfigRefused(f"environment: {name}: production takes no gRPC tracing; unset it")
