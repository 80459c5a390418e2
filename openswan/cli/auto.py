# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec auto`: control of one connection, in whack's numbered lines and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from openswan.base import paths
from openswan.base.errors import HostError, IpsecError
from openswan.base.log import Rc
from openswan.cli import pairs
from openswan.cli.loading import Found, find
from openswan.cli.talk import converse, exit_status, initiate, request, show
from openswan.policy.pairnames import base_of
from openswan.wire.whack import LISTS

USAGE = """\
Usage: ipsec auto [--asynchronous] [--config FILE] [--verbose] --up | --down | --add | --delete | --replace |
                  --route | --unroute NAME
       ipsec auto --ready | --status [--json] | --rereadsecrets | --rereadgroups | --rereadcacerts | --rereadcrls |
                  --rereadall | --listall | --listpubkeys | --checkpubkeys | --listpsks | --listcerts |
                  --listcacerts | --listocspcerts | --listcrls | --listocsp | --fetchcrls | --purgeocsp
The same as --rereadcacerts: --rereadcerts, --rereadaacerts, --rereadocspcerts, --rereadacerts. Empty here:
--listaacerts, --listacerts, --listgroups. Accepted: --utc."""


@dataclass(frozen=True, slots=True)
class Options:
    """What stands beside the operation."""

    config: Path
    asynchronous: bool = False
    verbose: bool = False
    json: bool = False


NAMED = {"up": "initiate", "down": "terminate", "delete": "delete", "route": "route", "unroute": "unroute"}
"""Operation on a conn pluto knows -> verb."""
UNNAMED = {
    "ready": "listen",
    "rereadgroups": "rereadgroups",
    "status": "status",
    "rereadsecrets": "rereadsecrets",
    "rereadcacerts": "rereadcerts",
    "rereadaacerts": "rereadcerts",
    "rereadocspcerts": "rereadcerts",
    "rereadacerts": "rereadcerts",
    "rereadcrls": "rereadcerts",
    "rereadcerts": "rereadcerts",
    "rereadall": "rereadall",
    **{name: name for name in LISTS},
    "fetchcrls": "fetchcrls",
    "purgeocsp": "purgeocsp",
}
LOADING = ("add", "replace")
FLAGS = ("asynchronous", "verbose", "json")


def _load(operation: str, name: str, options: Options) -> int:
    """Read the conn from the configuration and give it to pluto; several when its subnets make several of it."""
    known = cache(pairs.running)
    found: Found = find(options.config, name, known)
    for line in found.complaints:
        print(line, file=sys.stderr)
    if not found.connections:
        print(f"{Rc.UNKNOWN_NAME:03d} {found.reason}")
        return int(Rc.UNKNOWN_NAME)
    send = partial(converse, hide_log=not options.verbose)
    if operation == "replace" and base_of(name) == name != found.connections[0]["name"]:
        return _replace_pairs(list(found.connections), known(), send)
    status = 0
    for plain in found.connections:
        # One request, so that what is guarded stays guarded while the new description replaces the old.
        status = send("add", {"connection": plain, "replace": operation == "replace"}) or status
    if operation == "replace" and not status and base_of(name) == name:
        for arguments in pairs.prunings([plain["name"] for plain in found.connections], ()):
            status = send("prune", arguments) or status
    return status


def _replace_pairs(plains: list[dict[str, Any]], known: Iterable[str], send: Callable[..., int]) -> int:
    status, refusal = pairs.replace(plains, known, send)
    if refusal:
        print(f"{status:03d} {refusal}")
    return exit_status(0, status)


def _named(operation: str, name: str, options: Options) -> int:
    arguments = {"name": name, "asynchronous": options.asynchronous}
    if operation == "up":
        return initiate(arguments, hide_log=not options.verbose, asynchronous=options.asynchronous)
    return converse(NAMED[operation], arguments, hide_log=not options.verbose, asynchronous=options.asynchronous)


def _unnamed(operation: str, options: Options) -> int:
    if operation == "status" and options.json:
        return show(request("status", timeout=30.0, json=True), plain=True)
    return converse(UNNAMED[operation], hide_log=not options.verbose)


def _parse(argv: list[str]) -> tuple[str, str, Options]:
    """(operation, name, options); ValueError says what is wrong."""
    operation = name = ""
    config = paths.conf_file()
    flags = dict.fromkeys(FLAGS, False)
    words = iter(argv)
    for word in words:
        option = word.removeprefix("--")
        if option == word:
            if name:
                raise ValueError(f"one NAME at a time, not also `{word}'")
            name = word
        elif option == "config":
            config = Path(next(words, "") or _missing("--config needs a file"))
        elif option in ("show", "showonly"):
            raise ValueError(f"{word}     is no longer supported")
        elif option in flags:
            flags[option] = True
        elif option == "utc":
            pass
        elif option in NAMED or option in UNNAMED or option in LOADING:
            if operation:
                raise ValueError(f"--{operation} and {word} together")
            operation = option
        else:
            raise ValueError(f"unknown option `{word}'")
    if not operation:
        raise ValueError("no operation given")
    if (operation in NAMED or operation in LOADING) and not name:
        raise ValueError(f"--{operation} needs the NAME of a connection")
    if operation in UNNAMED and name:
        raise ValueError(f"--{operation} takes no NAME")
    return operation, name, Options(config, **flags)


def _missing(reason: str) -> str:
    raise ValueError(reason)


def _modern(argv: list[str]) -> list[str]:
    """The FreeS/WAN 1.x order `auto NAME up`, turned round with a warning."""
    if len(argv) == 2 and not argv[0].startswith("-") and argv[1] in (*NAMED, *LOADING):
        print("warning: obsolete command syntax used", file=sys.stderr)
        return [f"--{argv[1]}", argv[0]]
    return argv


def main(argv: list[str]) -> int:
    """Run one operation; 2 for a usage error, otherwise as whack's last significant line says."""
    if "--help" in argv:
        print(USAGE)
        return 0
    try:
        operation, name, options = _parse(_modern(argv))
    except ValueError as why:
        print(f"ipsec auto: {why}\n{USAGE}", file=sys.stderr)
        return 2
    try:
        if operation in UNNAMED:
            return _unnamed(operation, options)
        carry: Callable[[str, str, Options], int] = _load if operation in LOADING else _named
        return carry(operation, name, options)
    except HostError as why:
        print(why, file=sys.stderr)
        return 1
    except IpsecError as why:
        print(f"ipsec auto: {why}", file=sys.stderr)
        return 3
