# SPDX-License-Identifier: GPL-2.0-or-later
"""What spi, eroute, spigrp, tncfg and klipsdebug have in common: options, options from a file, and giving an order."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from openswan.base.address import Address, parse_address
from openswan.base.errors import ConfigError, HostError, IpsecError
from openswan.base.log import Rc
from openswan.base.numbers import IpProtocol
from openswan.base.said import PROTOCOLS, Said
from openswan.cli.keyoptions import Parser
from openswan.cli.talk import request
from openswan.plane.orders import Order, order_to_plain

MOST_FILES = 8
"""Depth to which --optionsfrom files may name each other."""
LARGEST_FILE = 1 << 16
FAMILIES = {"inet": 4, "inet6": 6}


def expand(argv: Sequence[str], depth: int = 0) -> list[str]:
    """Put the words of each `--optionsfrom FILE` (or `+ FILE`) in its place; ConfigError when one cannot be read.

    Words are cut as a shell would cut them; `#` begins a comment. Keys given so show in no list of processes.
    """
    words: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name = word.removeprefix("--optionsfrom=") if word.startswith("--optionsfrom=") else ""
        if word in ("--optionsfrom", "+"):
            if not rest:
                raise ConfigError(f"{word} wants a file")
            name = rest.pop(0)
        if not name:
            words.append(word)
            continue
        if depth >= MOST_FILES:
            raise ConfigError(f"--optionsfrom {name}: files name each other more than {MOST_FILES} deep")
        words += expand(_words_of(Path(name)), depth + 1)
    return words


def _words_of(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise ConfigError(f"--optionsfrom {path}: longer than {LARGEST_FILE} octets")
        return shlex.split(data.decode(), comments=True)
    except OSError as why:
        raise ConfigError(f"--optionsfrom {path}: {why.strerror}") from None
    except ValueError:
        raise ConfigError(f"--optionsfrom {path}: quotes that do not close, or no text at all") from None


EVERYWHERE = """\
Also: --label TEXT stands before messages, --optionsfrom FILE (or + FILE) reads options from a file, --version;
      --debug is accepted and says no more."""


def parser(command: str, usage: str, status: int) -> Parser:
    """The options every one of these commands takes; `status` is its exit status for options that make no sense."""
    made = Parser(command, usage, status)
    made.add_argument("--label", default="")
    made.add_argument("--debug", action="store_true")
    made.add_argument("--json", action="store_true")
    return made


def add_sa_options(options: Parser) -> None:
    """--said, or --af --edst --spi --proto."""
    options.add_argument("--said", default="")
    options.add_argument("--af", default="")
    options.add_argument("--edst", default="")
    options.add_argument("--spi", default="")
    options.add_argument("--proto", default="")


def number(text: str, what: str, limit: int = 2**64 - 1) -> int:
    """A number, decimal or 0x hexadecimal."""
    digits = text.lower()
    try:
        value = int(digits, 16) if digits.startswith("0x") else int(digits) if digits.isdecimal() else -1
    except ValueError:
        value = -1
    if not 0 <= value <= limit:
        raise ConfigError(f"{what} '{text[:40]}' is not a number from 0 to {limit}")
    return value


def family(text: str) -> int:
    """4 or 6 of --af and --eraf."""
    if text not in FAMILIES:
        raise ConfigError(f"'{text[:40]}' is not an address family: there are {' and '.join(FAMILIES)}")
    return FAMILIES[text]


def protocol(text: str) -> IpProtocol:
    """ah, esp, comp, tun."""
    if text not in PROTOCOLS or text == "int":
        raise ConfigError(f"'{text[:40]}' is not a protocol of SAs: there are ah, esp, comp, tun")
    return PROTOCOLS[text]


def address_of(text: str, version: int, what: str) -> Address:
    """An address of that family; 0 takes any."""
    found = parse_address(text)
    if version and found.version != version:
        raise ConfigError(f"{what} {found} is not of the family that was named")
    return found


def said_of(af: str, edst: str, spi: str, proto: str) -> Said:
    """The SA that four options name; ConfigError says which is missing."""
    for name, value in (("--edst", edst), ("--spi", spi), ("--proto", proto)):
        if not value:
            raise ConfigError(f"{name} is missing; or give --said")
    version = family(af) if af else 0
    return Said(protocol(proto), number(spi, "SPI", 0xFFFFFFFF), address_of(edst, version, "--edst"))


def give(command: str, order: Order, label: str = "", status: int = 1) -> int:
    """Have the daemon carry out an order; the exit status. What went wrong is told on stderr."""
    try:
        order.check()
        for code, text in request("klips", timeout=30.0, **order_to_plain(order)):
            if code in (Rc.COMMENT, Rc.LOG, Rc.SUCCESS):
                print(text)
            else:
                raise HostError(text)
    except IpsecError as why:
        return complain(command, why, label, status)
    return 0


def complain(command: str, why: IpsecError, label: str = "", status: int = 1) -> int:
    """One line on stderr, with --label in front when there is one."""
    text = why.reason if isinstance(why, ConfigError) else str(why)
    print(f"{label + ' ' if label else ''}ipsec {command}: {text}", file=sys.stderr)
    return status
