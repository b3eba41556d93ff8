"""How commands find the node they are about."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import config
from gateway.cli.main import Refused
from gateway.config import Config, Loaded

if TYPE_CHECKING:
    from gateway.clock import SystemClock

CONFIG_VARIABLE = "LIMEN_CONFIG"


def add_config(parser: argparse.ArgumentParser) -> None:
    """Declare `--config` and `--set`, the same for every command about a node."""
    group = parser.add_argument_group("the node")
    group.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="the node's limen.toml or its folder (default: $LIMEN_CONFIG, else ./limen.toml)",
    )
    group.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="a setting that wins over file and environment"
    )


def add_booth(parser: argparse.ArgumentParser) -> None:
    """Declare `--booth`, the same for every command of an officer's (`gateway.cli.acts.booth`)."""
    group = parser.add_argument_group("the workstation")
    group.add_argument(
        "--booth", type=Path, metavar="DIR", help="the workstation's folder (default: $LIMEN_BOOTH, else ./booth)"
    )


def is_named(args: argparse.Namespace) -> bool:
    """Whether a node was named, or one is here."""
    return args.config is not None or CONFIG_VARIABLE in os.environ or Path(config.FILE_NAME).exists()


def loaded(args: argparse.Namespace) -> Loaded:
    """The settings with their origins. Raises ConfigRefused, or Refused for a `--set` without `=`."""
    path = args.config or Path(os.environ.get(CONFIG_VARIABLE) or config.FILE_NAME)
    return config.load_with_origins(path, flags=_flags(args.set))


def load(args: argparse.Namespace) -> Config:
    """The settings."""
    return loaded(args).config


def clock_of(settings: Config) -> SystemClock:
    """The node's clock. Raises ConfigRefused when the virtual clock's file cannot be read."""
    from gateway.clock import SystemClock, VirtualClock  # here, because a command's help needs no event loop

    if settings.clock.kind == "virtual" and settings.clock.file is not None:
        return VirtualClock(settings.clock.file)
    return SystemClock()


def _flags(given: list[str]) -> dict[str, str]:
    flags: dict[str, str] = {}
    for item in given:
        key, sign, value = item.partition("=")
        if not sign:
            raise Refused(f"--set {item}: write KEY=VALUE")
        flags[key] = value
    return flags
