# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec whack`: one request to pluto, in the classic options."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openswan import __version__
from openswan.base.debugclasses import WORDS as DEBUG_WORDS
from openswan.base.errors import HostError
from openswan.cli.talk import converse, initiate, request, show
from openswan.wire.whack import LISTS

USAGE = """\
Usage: ipsec whack [--ctlbase PATH] [--label TEXT] [--optionsfrom FILE] ACTION
where ACTION is one of:
       --initiate | --terminate | --route | --unroute | --delete   --name NAME [--asynchronous]
       --initiate --name NAME [--xauthname USER] [--xauthpass PASSWORD]
       --oppohere ADDRESS --oppothere ADDRESS [--deletepair]
       --redirect-to ADDRESS[,ADDRESS...] [--name NAME]
       --listen | --unlisten | --status [--json] | --addresspoolstatus | --shutdown [--leave-state]
       --rereadsecrets | --rereadgroups | --rereadcacerts | --rereadcrls | --rereadall | --listall | --listpubkeys |
       --checkpubkeys | --listpsks | --listcerts | --listcacerts | --listocspcerts | --listcrls | --listocsp |
       --fetchcrls | --purgeocsp
       --debug-CLASS... | --debug-all | --debug-none | --debug CLASS | --no-debug CLASS   [--name NAME]
       --eroutes | --spis | --counters | --events [--json]
The same: --xauthuser as --xauthname, and as --rereadcacerts: --rereadcerts, --rereadaacerts,
--rereadocspcerts, --rereadacerts. Empty here: --listaacerts, --listacerts, --listgroups. Accepted: --utc.
Connections are described in ipsec.conf and loaded with `ipsec auto --add NAME'."""

NEED_NAME = ("initiate", "terminate", "route", "unroute", "delete")
ACTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    **{verb: (verb, {}) for verb in NEED_NAME},
    **{
        verb: (verb, {})
        for verb in (
            "listen",
            "unlisten",
            "status",
            "addresspoolstatus",
            "rereadsecrets",
            "rereadgroups",
            "rereadall",
            "fetchcrls",
            "purgeocsp",
        )
    },
    **{
        name: ("rereadcerts", {})
        for name in ("rereadcerts", "rereadcacerts", "rereadaacerts", "rereadocspcerts", "rereadacerts", "rereadcrls")
    },
    **{name: (name, {}) for name in LISTS},
    "shutdown": ("shutdown", {"keep_guard": False}),
    "eroutes": ("eroute", {}),
    "spis": ("spi", {}),
    "counters": ("counters", {}),
    "events": ("events", {}),
}
"""Action -> (verb, arguments)."""
WITH_VALUE = (
    "name",
    "xauthname",
    "xauthuser",
    "xauthpass",
    "oppohere",
    "oppothere",
    "redirect-to",
    "ctlbase",
    "label",
    "optionsfrom",
    "debug",
    "no-debug",
)
DEBUG = {"debug": "add", "no-debug": "remove"}
FLAGS = ("asynchronous", "deletepair", "json", "leave-state", "utc")
OPPO = {"oppohere", "oppothere"}
MAX_OPTIONS_FILE = 1 << 20
MAX_NESTING = 10


class WhackError(Exception):
    """An option that makes no sense; printed as `whack error: ...`."""


@dataclass(slots=True)
class Options:
    """What the command line says."""

    action: str = ""
    values: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    debug: dict[str, list[str]] = field(default_factory=dict)
    """Classes of debugging lines: words (exactly these), add, remove."""


def _options_from(name: str) -> list[str]:
    try:
        with Path(name).open("rb") as file:
            return shlex.split(file.read(MAX_OPTIONS_FILE).decode(errors="replace"), comments=True)
    except (OSError, ValueError) as why:
        raise WhackError(f"--optionsfrom {name}: {why}") from None


def parse(argv: list[str], into: Options | None = None, depth: int = 0) -> Options:
    """Options of a command line; WhackError names the first one that makes no sense."""
    options = into or Options()
    words = iter(argv)
    for word in words:
        option, equals, value = word.removeprefix("--").partition("=")
        if word == "+":
            option = "optionsfrom"
        elif not word.startswith("--"):
            raise WhackError(f'unexpected argument "{word}"')
        if option in WITH_VALUE:
            value = value if equals else next(words, "")
            if not value:
                raise WhackError(f"--{option} needs a value")
            if option == "optionsfrom":
                if depth >= MAX_NESTING:
                    raise WhackError("--optionsfrom nested too deeply")
                parse(_options_from(value), options, depth + 1)
            elif option in DEBUG:
                _debug(options, DEBUG[option], value)
            else:
                options.values[option] = value
        elif option in FLAGS:
            options.flags.add(option)
        elif option.startswith("debug-"):
            _debug(options, "words", option.removeprefix("debug-"))
        elif option in ACTIONS:
            if options.action:
                raise WhackError(f"--{options.action} and --{option} together")
            options.action = option
        else:
            raise WhackError(f"unrecognized option `--{option}'")
    return options


def _debug(options: Options, kind: str, value: str) -> None:
    for word in value.replace(",", " ").split():
        plain = word.removeprefix("no-")
        if plain not in DEBUG_WORDS:
            raise WhackError(f"--debug {word}: there are {', '.join(DEBUG_WORDS)}")
        options.debug.setdefault("remove" if plain != word else kind, []).append(plain)


def check(options: Options) -> None:
    """Do the options fit together? WhackError in whack's words when not."""
    if "redirect-to" in options.values and not options.action:
        return
    if OPPO & options.values.keys() or "deletepair" in options.flags:
        if not options.values.keys() >= OPPO:
            raise WhackError("--oppohere and --oppothere must be used together")
        if options.action or "name" in options.values:
            raise WhackError("--oppohere and --oppothere stand alone, or with --deletepair")
        return
    if options.debug and (not options.action or "name" in options.values):
        return
    if not options.action:
        raise WhackError(
            "connections are loaded with `ipsec auto --add', not by whack"
            if "name" in options.values
            else "no action specified; try --help for hints"
        )
    if options.action in NEED_NAME and "name" not in options.values:
        raise WhackError("missing --name <connection_name>")
    if options.action not in NEED_NAME and "name" in options.values:
        raise WhackError("no reason for --name")
    if options.action != "initiate" and any(name.startswith("xauth") for name in options.values):
        raise WhackError("--xauthname and --xauthpass go with --initiate")


def main(argv: list[str]) -> int:
    """Send one request; exit as the last significant line says, 1 for whack's own problems."""
    if "--help" in argv:
        print(USAGE)
        return 0
    if "--version" in argv:
        print(f"ipsec whack {__version__}")
        return 0
    options = Options()
    try:
        parse(argv, options)
        check(options)
    except WhackError as why:
        label = f"{options.values['label']} " if "label" in options.values else ""
        name = f'"{options.values["name"]}" ' if "name" in options.values else ""
        print(f"whack error: {label}{name}{why}", file=sys.stderr)
        return 1
    if options.debug:
        order: dict[str, object] = {"name": options.values.get("name", ""), **options.debug}
        status = converse("debug", order, ctlbase=options.values.get("ctlbase", ""))
        if status or not (options.action or OPPO & options.values.keys() or "redirect-to" in options.values):
            return status
    if options.values.keys() >= OPPO:
        pair = {"here": options.values["oppohere"], "there": options.values["oppothere"]}
        verb = "deletepair" if "deletepair" in options.flags else "oppo"
        return converse(verb, pair, ctlbase=options.values.get("ctlbase", ""))
    if not options.action:
        addresses = options.values["redirect-to"].replace(",", " ").split()
        where = {"to": addresses, "name": options.values.get("name", "")}
        return converse("redirect", where, ctlbase=options.values.get("ctlbase", ""))
    verb, arguments = ACTIONS[options.action]
    ctlbase = options.values.get("ctlbase", "")
    asynchronous = "asynchronous" in options.flags
    if options.action in NEED_NAME:
        arguments = {"name": options.values["name"], "asynchronous": asynchronous}
    elif options.action == "shutdown" and "leave-state" in options.flags:
        arguments = {"keep_guard": True}
    if "json" in options.flags:
        try:
            return show(request(verb, ctlbase, timeout=30.0, json=True, **arguments), plain=True)
        except HostError as why:
            print(why, file=sys.stderr)
            return 1
    if options.action == "initiate":
        for option in ("xauthuser", "xauthname", "xauthpass"):
            if option in options.values:
                arguments[option.replace("user", "name")] = options.values[option]
        return initiate(arguments, ctlbase=ctlbase, asynchronous=asynchronous)
    return converse(verb, arguments, ctlbase=ctlbase, asynchronous=asynchronous)
