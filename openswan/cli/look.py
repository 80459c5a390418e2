# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec look`: host and date, eroutes and where they lead, what ipsecN stands on, SAs, and the routes that matter."""

from __future__ import annotations

import json
import sys
from typing import Any

from openswan.base.errors import HostError
from openswan.cli.talk import request
from openswan.host import clock, process

USAGE = "Usage: ipsec look [--json]"
EVERYDAY = ("local", "broadcast", "multicast", "anycast", "unreachable", "fe80::/64")


def _ask(verb: str, as_json: bool = False) -> list[str]:
    return [text for _, text in request(verb, timeout=30.0, json=as_json)]


def _json(verb: str) -> Any:
    return json.loads("".join(_ask(verb, as_json=True)) or "null")


def eroute_lines(table: list[str]) -> list[str]:
    """`src -> dst => SA (count)` from the table's own `count src -> dst => SA`, sorted by source, then destination."""
    lines = []
    for row in table:
        count, _, rest = row.strip().partition(" ")
        lines.append(f"{' '.join(rest.split())} ({count})")
    return sorted(lines)


def routes(listing: str, devices: set[str]) -> list[str]:
    """The lines of `ip route` that go through one of `devices` or are the default; not what every address brings."""
    found = []
    for line in listing.splitlines():
        words = line.split()
        if (
            words
            and words[0] not in EVERYDAY
            and "local" not in words
            and (words[0] == "default" or devices & set(words))
        ):
            found.append(line.rstrip())
    return found


def main(argv: list[str]) -> int:
    """Print it; exit 0 also when only root could see more."""
    if "--help" in argv:
        print(USAGE)
        return 0
    if unknown := [word for word in argv if word != "--json"]:
        print(f"{USAGE}\nipsec look: `{unknown[0]}' not understood", file=sys.stderr)
        return 2
    heading = f"{process.hostname()} {clock.calendar()}"
    try:
        if "--json" in argv:
            tables = {verb: _json(verb) for verb in ("eroute", "tncfg", "spi", "spigrp", "counters")}
            print(json.dumps({"heading": heading, **tables}))
            return 0
        print(heading)
        for line in eroute_lines(_ask("eroute")):
            print(line)
        attached = [line for line in _ask("tncfg") if "-> NULL" not in line]
        print("  ".join(line.replace(" -> ", "->") for line in attached))
        for line in sorted(_ask("spi")):
            print(line)
    except HostError as why:
        print(f"ipsec look: {why}", file=sys.stderr)
        attached = []
    print("ROUTING TABLES")
    devices = {line.split()[0] for line in attached} | {line.split()[2] for line in attached if len(line.split()) > 2}
    for family in ("-4", "-6"):
        status, listing = process.command(["ip", family, "route", "show", "table", "all"])
        if status == 0:
            print("\n".join(routes(listing, devices)))
    return 0
