# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec top`: connections and how much they carry right now, in a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openswan.cli.metrics import State, ask
from openswan.cli.syntax import Given, Option, Syntax, run
from openswan.host import clock, process

CLEAR = "\033[H\033[J"
UNITS = ("", "k", "M", "G", "T")
LATEST = 5
"""Reasons for drops that are shown."""
LAYOUT = "{:<24} {:<24} {:<12} {:>5} {:>7} {:>7} {:>7} {:>7}"
TITLE = LAYOUT.format("CONNECTION", "PEER", "STATE", "AGE", "IN/s", "OUT/s", "PKT IN", "PKT OUT")

SYNTAX = Syntax(
    "top",
    "watch connections and how much they carry",
    (
        Option("--delay", "seconds between two pictures, 2 unless given", "SECONDS"),
        Option("--count", "so many pictures, then end; without a terminal one, otherwise until ^C", "N"),
    ),
    details=(
        "Each connection that is up, or is being brought up, is a line: its name, its peer, the state of its route, "
        "the age of its IPsec SA, octets a second and packets in all, in and out; the busiest come first. Above "
        "stand the sums, below what has been dropped since the picture before.",
    ),
    statuses={0: "ended", 1: "there is no daemon to ask", 2: "usage error"},
    see=("ipsec_trafficstatus(8)", "ipsec_status(8)", "ipsec_metrics(8)"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One connection in one picture."""

    name: str
    peer: str
    state: str
    age: float
    octets: tuple[int, int]
    """In, out: since the picture before."""
    packets: tuple[int, int]
    """In, out: by its SAs of now."""


def short(number: float) -> str:
    """`0`, `950`, `12.3k`, `4.0M`: four digits at most."""
    unit = 0
    while number >= 1000 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f}" if not unit else f"{number:.1f}{UNITS[unit]}"


def lasting(seconds: float) -> str:
    """`45s`, `12m`, `5h`, `3d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def rows(before: State, now: State) -> list[Row]:
    """The connections worth a line, the busiest first."""
    then = {(row["serial"], row["spi"], row["direction"]): row["octets"] for row in before.sas}
    found = []
    for conn in now.status.get("connections", ()):
        children = [row for row in now.status["child_sas"] if _is(row["connection"], conn)]
        if not children and not conn["wanted"]:
            continue
        serials = {row["serial"] for row in children}
        octets, packets = {"in": 0, "out": 0}, {"in": 0, "out": 0}
        for sa in now.sas:
            if sa["serial"] in serials:
                key = (sa["serial"], sa["spi"], sa["direction"])
                octets[sa["direction"]] += sa["octets"] - then.get(key, sa["octets"] if before.alive else 0)
                packets[sa["direction"]] += sa["packets"]
        age = min((row["age"] for row in children), default=0.0)
        name = conn["name"] + (f"[{conn['instance']}]" if conn["instance"] else "")
        state = "up" if children else conn["routing"]
        found.append(Row(name, conn["peer"] or "?", state, age, (octets["in"], octets["out"]),
                         (packets["in"], packets["out"])))  # fmt: skip
    return sorted(found, key=lambda row: (-sum(row.octets), row.name))


def _is(name: str, conn: Mapping[str, Any]) -> bool:
    instance = f"[{conn['instance']}]" if conn["instance"] else ""
    return name == f"{conn['name']}{instance}"


def dropped(before: State, now: State) -> list[str]:
    """`engine no_sa 12`: what was dropped in between."""
    found = []
    for where, counted in now.counters.items():
        for reason, count in counted.items():
            new = count - before.counters.get(where, {}).get(reason, count if before.alive else 0)
            if new > 0 and before.alive:
                found.append(f"{where} {reason} {new}")
    return found


def picture(before: State, now: State, seconds: float, size: tuple[int, int], heading: str) -> list[str]:
    """The lines of one picture, none longer and not more than `size` (columns, lines) has room for."""
    columns, lines = size
    found = rows(before, now)
    ins, outs = (sum(row.octets[way] for row in found) / seconds for way in (0, 1))
    up = sum(row.state == "up" for row in found)
    ikes = len(now.status.get("ike_sas", ()))
    held = sum(row["held"] for row in now.eroutes)
    text = [
        heading,
        f"{up} up, {ikes} IKE SAs, {held} packets held, {short(ins)}B/s in, {short(outs)}B/s out",
        "",
        TITLE,
    ]
    last = [f"dropped: {', '.join(dropped(before, now)[:LATEST])}"] if dropped(before, now) else []
    room = max(lines - len(text) - len(last) - 1, 1)
    text += [_line(row, seconds) for row in found[:room]]
    text += [f"... and {len(found) - room} more"] if len(found) > room else []
    return [line[:columns] for line in [*text, *last]]


def _line(row: Row, seconds: float) -> str:
    rates = [short(octets / seconds) for octets in row.octets]
    packets = [short(count) for count in row.packets]
    age = lasting(row.age) if row.state == "up" else "-"
    cells = (row.name[:24], row.peer[:24], row.state[:12], age, *rates, *packets)
    return LAYOUT.format(*cells)


def show(lines: Iterable[str], terminal: bool) -> None:
    """Put a picture on the terminal, in place of the one before."""
    print((CLEAR if terminal else "") + "\n".join(lines), flush=True)


def _act(given: Given) -> int:
    delay = given.number("--delay", 2, 1, 3600)
    terminal = sys.stdout.isatty()
    count = given.number("--count", 0 if terminal else 1, 0, 1_000_000)
    before, done = ask(), 0
    while True:
        clock.pause(float(delay))
        now = ask()
        if not now.alive:
            print("ipsec top: Pluto is not running", file=sys.stderr)
            return 1
        heading = f"ipsec top - {process.hostname()} {clock.calendar()}"
        size: Sequence[int] = shutil.get_terminal_size()
        show(picture(before, now, float(delay), (size[0], size[1] if terminal else 10**6), heading), terminal)
        before, done = now, done + 1
        if count and done >= count:
            return 0


def main(argv: list[str]) -> int:
    """Look and show until told to end."""
    return run(SYNTAX, argv, _act)
