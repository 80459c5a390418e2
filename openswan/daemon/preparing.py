# SPDX-License-Identifier: GPL-2.0-or-later
"""What config setup has done round a start of pluto: plutoopts=, prepluto=, postpluto=, dumpdir=."""

from __future__ import annotations

import os
import resource
import shlex
from functools import partial
from pathlib import Path

from openswan.base.errors import ConfigError, HostError
from openswan.config.setup import Setup
from openswan.daemon.options import Options, parse
from openswan.host import process
from openswan.host.logsink import Sink

TOO_LATE = ("nofork", "config", "ctlbase", "autostart", "help", "version")
"""Options that count before ipsec.conf is read."""
PATIENCE = 60.0
"""Seconds prepluto= and postpluto= may take."""
MOST_TOLD = 20
"""Lines of a command that failed."""


def with_opts(options: Options, setup: Setup) -> Options:
    """The command line with plutoopts= behind it: what it says itself stays. ConfigError names what makes no sense."""
    text = setup.value("plutoopts")
    if not text:
        return options
    try:
        more = parse(shlex.split(text))
    except (ConfigError, ValueError) as why:
        raise ConfigError(f"plutoopts=: {why}") from None
    if late := next((name for name in TOO_LATE if name in more or name in more.values), ""):
        raise ConfigError(f"plutoopts=: --{late} counts on the command line alone")
    return Options(more.flags | options.flags, more.values | options.values, more.interfaces + options.interfaces)


def run_before(setup: Setup) -> None:
    """prepluto=; HostError with what it wrote when it fails."""
    if trouble := _run("prepluto", setup.value("prepluto")):
        raise HostError("\n".join(trouble))


def run_after(setup: Setup, log: Sink) -> None:
    """postpluto=, beside what pluto does; what goes wrong is for the log."""
    if command := setup.value("postpluto"):
        process.beside(partial(_told, "postpluto", command, log))


def _told(name: str, command: str, log: Sink) -> None:
    for line in _run(name, command):
        log(line, True)


def _run(name: str, command: str) -> list[str]:
    """Nothing when all went well, or what did not."""
    status, said = process.command(["sh", "-c", command], PATIENCE) if command else (0, "")
    return [f"{name}=`{command}' failed with status {status}", *said.splitlines()[:MOST_TOLD]] if status else []


def allow_core(directory: str) -> str:
    """dumpdir=: where the kernel puts a core of this process, or that there are none; a complaint, or nothing."""
    try:
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard if directory else 0, hard))
    except (OSError, ValueError) as why:
        return f"dumpdir={directory}: the limit on core dumps stays as it was: {why}" if directory else ""
    if not directory:
        return ""
    try:
        os.chdir(Path(directory))
    except OSError as why:
        return f"dumpdir={directory}: {why.strerror}"
    return "" if hard else f"dumpdir={directory}: there are no core dumps, for the hard limit is 0 (LimitCORE=)"
