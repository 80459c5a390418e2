# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec pluto` options: one table; the ones that mean nothing here are accepted so that old start scripts work."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill

from openswan.base import paths
from openswan.base.address import Address, parse_address
from openswan.base.debugclasses import WORDS as DEBUG_WORDS
from openswan.base.errors import ConfigError

FLAGS = ("nofork", "stderrlog", "autostart", "uniqueids", "force-busy", "help", "version", "nocrsend",
         "strictcrlpolicy", "crl-strict", "force-keepalive", "log-no-time")  # fmt: skip
VALUES = (
    "optionsfrom",
    "logfile",
    "config",
    "ctlbase",
    "secretsfile",
    "ipsecdir",
    "listen",
    "ikeport",
    "nat-ikeport",
    "keep-alive",
    "interface",
    "dumpdir",
    "coredir",
)
IDLE_FLAGS = frozenset(
    """plutostderrlogtime log-append noklips use-nostack use-auto use-klips use-mast use-netkey use-bsdkame
    perpeerlog noretransmits nat-traversal disable-port-floating
    leak-detective""".split()
)
IDLE_VALUES = frozenset(
    """foodgroupsdir perpeerlogbase secctx-attr-value crlcheckinterval ocspuri ocsprequestcert
    virtual-private adns lwdnsq statsbin nssdir nhelpers""".split()
)
"""Accepted and without effect in this daemon."""


def _shown(option: str) -> str:
    return f"--{option} VALUE" if option in IDLE_VALUES else f"--{option}"


USAGE = f"""\
Usage: ipsec pluto [--help] [--version] [--optionsfrom FILE]
       [--nofork] [--stderrlog] [--logfile FILE] [--autostart] [--config FILE]
       [--ctlbase PATH] [--secretsfile FILE] [--ipsecdir DIR]
       [--listen ADDRESS] [--ikeport PORT] [--nat-ikeport PORT] [--interface DEV]...
       [--uniqueids] [--force-busy] [--keep-alive SECONDS] [--nocrsend]
       [--strictcrlpolicy | --crl-strict] [--force-keepalive] [--log-no-time] [--dumpdir DIR | --coredir DIR]
       [--debug-CLASS]... [--debug-all] [--debug-none]
Without --autostart pluto loads no connection and listens to nobody until whack tells it to.
Accepted and without effect, for old start scripts:
{fill(" ".join(sorted(map(_shown, IDLE_FLAGS | IDLE_VALUES))), 110, break_on_hyphens=False)}"""
MAX_NESTING = 10
MAX_OPTIONS_FILE = 1 << 20


@dataclass(slots=True)
class Options:
    """What the command line says; None or empty: not said."""

    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    interfaces: list[str] = field(default_factory=list)
    debug: list[str] = field(default_factory=list)
    """Classes of debugging lines."""

    def __contains__(self, flag: str) -> bool:
        return flag in self.flags

    def path(self, option: str, default: Path) -> Path:
        """The value of an option that names a file."""
        return Path(self.values[option]) if option in self.values else default

    @property
    def config(self) -> Path:
        """ipsec.conf."""
        return self.path("config", paths.conf_file())

    @property
    def secrets(self) -> Path:
        """ipsec.secrets."""
        return self.path("secretsfile", paths.secrets_file())

    @property
    def ipsec_d(self) -> Path:
        """The directory of cacerts and crls."""
        return self.path("ipsecdir", paths.ipsec_d())

    @property
    def control(self) -> Path:
        """pluto.ctl."""
        return Path(f"{self.values['ctlbase']}.ctl") if "ctlbase" in self.values else paths.control_socket()

    @property
    def pid_file(self) -> Path:
        """pluto.pid."""
        return Path(f"{self.values['ctlbase']}.pid") if "ctlbase" in self.values else paths.pid_file()

    @property
    def listen(self) -> Address | None:
        """--listen."""
        return parse_address(self.values["listen"]) if "listen" in self.values else None

    def number(self, option: str, default: int, limit: int) -> int:
        """The value of an option that is a number; ConfigError when it is none or beyond `limit`."""
        text = self.values.get(option)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal()) or not 0 <= int(text) <= limit:
            raise ConfigError(f"--{option}: '{text}' is not a number from 0 to {limit}")
        return int(text)


def parse(argv: list[str], into: Options | None = None, depth: int = 0) -> Options:
    """Read a command line; ConfigError names the first word that makes no sense."""
    options = into or Options()
    words = iter(argv)
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.replace("_", "-")
        if not word.startswith("--"):
            raise ConfigError(f"unexpected argument `{word}'")
        if name in FLAGS or name in IDLE_FLAGS:
            if value != "no":
                options.flags.add(name)
        elif name in VALUES or name in IDLE_VALUES:
            value = value if equals else next(words, "")
            if not value:
                raise ConfigError(f"--{name} needs a value")
            _take(options, name, value, depth)
        elif name.startswith("debug-") and name.removeprefix("debug-") in DEBUG_WORDS:
            options.debug.append(name.removeprefix("debug-"))
        elif not name.startswith("impair"):
            raise ConfigError(f"unrecognized option `{word}'")
    return options


def _take(options: Options, name: str, value: str, depth: int) -> None:
    if name == "optionsfrom":
        if depth >= MAX_NESTING:
            raise ConfigError("--optionsfrom nested too deeply")
        try:
            with Path(value).open("rb") as file:
                words = shlex.split(file.read(MAX_OPTIONS_FILE).decode(errors="replace"), comments=True)
        except (OSError, ValueError) as why:
            raise ConfigError(f"--optionsfrom {value}: {why}") from None
        parse(words, options, depth + 1)
    elif name == "interface":
        options.interfaces.append(value)
    else:
        options.values[name] = value
