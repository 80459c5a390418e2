# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec policy`: which traffic is to be encrypted, one line each; of this engine, or of the kernel's own IPsec."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from openswan.base.errors import HostError
from openswan.cli.syntax import Given, Misuse, Option, Syntax, run
from openswan.cli.talk import request
from openswan.host.process import command

STACKS = ("klips", "netkey")
SYNTAX = Syntax(
    "policy",
    "show which traffic is to be encrypted, one line each",
    (
        Option("--all", "show all directions, which is also the default"),
        Option("--inbound", "show what may come in"),
        Option("--outbound", "show what goes out"),
        Option("--forward", "show what the kernel may pass on (netkey)"),
        Option("--stack", "klips (this engine, the default) or netkey (the kernel's own IPsec)", "STACK"),
        Option("--detect-stack", "print which of the two is at work, and nothing else"),
        Option("--read", "read what `ip xfrm policy' printed, - for standard input", "FILE"),
        Option("--debug", "accepted for old scripts"),
    ),
    details=(
        "Each line is a direction, the source and destination nets, the protocol, and what becomes of such packets: "
        "an SA, a shunt such as %trap, or for the kernel's policies what they ask for. Inbound lines say which "
        "packets may come out of which SA.",
    ),
    statuses={0: "printed", 1: "there is no daemon, or no such policies can be read", 2: "usage error"},
    see=("ipsec_eroute(8)", "ipsec_spi(8)", "ipsec_status(8)"),
)
DIRECTIONS = {"--outbound": "out", "--inbound": "in", "--forward": "fwd"}
LARGEST = 16 << 20


def engine_lines(eroutes: Iterable[dict[str, Any]], state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(direction, line) of what the packet engine enforces: eroutes out, the child SAs' selectors in."""
    for row in eroutes:
        ports = f" ports {row['src_port']}->{row['dst_port']}" if row["src_port"] or row["dst_port"] else ""
        yield (
            "out",
            f"{row['src']} -> {row['dst']} proto {row['protocol'] or 'any'}{ports} => {row['target']}"
            + (f' ("{row["owner"]}")' if row["owner"] else ""),
        )
    for child in state["child_sas"]:
        nets = f"{'+'.join(child['remote'])} -> {'+'.join(child['local'])}"
        yield "in", f'{nets} {child["mode"]} => {child["in"]} ("{child["connection"]}")'


def kernel_lines(listing: str) -> Iterator[tuple[str, str]]:
    """(direction, line) of each policy in what `ip xfrm policy` prints."""
    block: list[str] = []
    for line in [*listing.splitlines(), "src"]:
        if line.startswith("src") and block:
            yield from _policy(block)
            block = []
        block.append(line.strip())


def _policy(block: list[str]) -> Iterator[tuple[str, str]]:
    words = block[0].split()
    rest = " ".join(block[1:]).split()
    if len(words) < 4 or "dir" not in rest[:-1]:
        return
    protocol = words[words.index("proto") + 1] if "proto" in words[:-1] else "any"
    asked = []
    for number, word in enumerate(rest):
        if word == "tmpl":
            template = rest[number + 1 :]
            pairs = dict(zip(template[::2], template[1::2], strict=False))
            ends = f"@{pairs.get('src', '?')}->{pairs.get('dst', '?')}" if pairs.get("mode") == "tunnel" else ""
            asked.append(f"{pairs.get('proto', '?')}/{pairs.get('mode', '?')}{ends}")
    if not asked:
        asked = ["%drop" if "block" in rest else "%pass"]
    yield rest[rest.index("dir") + 1], f"{words[1]} -> {words[3]} proto {protocol} => {' '.join(asked)}"


def _lines(given: Given) -> list[tuple[str, str]]:
    if "--read" in given:
        return list(kernel_lines(_saved(given.value("--read"))))
    if given.value("--stack", "klips") == "netkey":
        status, output = command(["ip", "xfrm", "policy"])
        if status:
            raise HostError(f"ip xfrm policy: {output.strip()}")
        return list(kernel_lines(output))
    tables = {
        verb: json.loads("".join(text for _, text in request(verb, timeout=30.0, json=True)) or "null")
        for verb in ("eroute", "status")
    }
    return list(engine_lines(tables["eroute"], tables["status"]))


def _saved(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read(LARGEST)
        with Path(name).open("rb") as file:
            return file.read(LARGEST).decode(errors="replace")
    except OSError as why:
        raise HostError(f"cannot read '{name}': {why.strerror}") from None


def _act(given: Given) -> int:
    stack = given.value("--stack", "klips")
    if stack not in STACKS:
        raise Misuse(f"--stack: `{stack}' is neither {' nor '.join(STACKS)}")
    if "--detect-stack" in given:
        print("klips")
        return 0
    wanted = [direction for option, direction in DIRECTIONS.items() if option in given]
    if "--all" in given or not wanted:
        wanted = list(DIRECTIONS.values())
    try:
        for direction, line in _lines(given):
            if direction in wanted:
                print(f"{direction:<3} {line}")
    except HostError as why:
        print(f"ipsec policy: {why}", file=sys.stderr)
        return 1
    return 0


def main(argv: list[str]) -> int:
    """Print them; 1 when they cannot be read, 2 for a usage error."""
    return run(SYNTAX, argv, _act)
