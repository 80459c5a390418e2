# SPDX-License-Identifier: GPL-2.0-or-later
"""Packet filters as they matter here: which rule would decide about one packet, and how to take it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

from openswan.base.address import Address, Subnet

MOST_JUMPS = 16
UDP, ESP, ICMP = "udp", "esp", "icmp"


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet a filter sees."""

    protocol: str
    """udp, esp, tcp or icmp."""
    src: Address
    dst: Address
    port: int = 0
    """Of source and destination both; 0: none, or any."""
    inward: str = ""
    """The device it comes in by."""
    outward: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; what it matches that is not known here makes it `vague`, and then it decides nothing."""

    verdict: str
    """accept, drop, reject, return, masquerade, snat, or the name of a chain."""
    protocol: str = ""
    src: Subnet | None = None
    dst: Subnet | None = None
    sports: frozenset[int] | None = None
    dports: frozenset[int] | None = None
    inward: str = ""
    """A trailing + stands for anything."""
    outward: str = ""
    vague: bool = False
    text: str = ""
    remove: str = ""
    """The command that takes it out."""

    def matches(self, packet: Packet) -> bool:
        """Does it take the packet, as far as it is understood?"""
        return (
            not self.vague
            and self.protocol in ("", packet.protocol)
            and (self.src is None or packet.src in self.src)
            and (self.dst is None or packet.dst in self.dst)
            and (self.sports is None or packet.port in self.sports)
            and (self.dports is None or packet.port in self.dports)
            and _device(self.inward, packet.inward)
            and _device(self.outward, packet.outward)
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; `policy` is what becomes of packets no rule takes, empty for one that is jumped to."""

    name: str
    hook: str = ""
    """input, output, forward, postrouting; empty: none."""
    policy: str = ""
    rules: tuple[Rule, ...] = ()
    change: str = ""
    """The command that makes its policy accept."""


@dataclass(frozen=True, slots=True)
class Firewall:
    """Every table of one address family by its name: chains by name."""

    tables: Mapping[str, Mapping[str, Chain]] = field(default_factory=dict)

    def stops(self, hook: str, packet: Packet) -> Rule | None:
        """The rule, or policy as a rule, that would drop or reject the packet at that hook; None when none would."""
        for chains in self.tables.values():
            for chain in chains.values():
                found = _decide(chains, chain, packet, 0) if chain.hook == hook else None
                if found is not None and found.verdict in ("drop", "reject"):
                    return found
        return None

    def spared(self, device: str) -> tuple[Rule, ...]:
        """Rules that close something for another device, by its name, in chains that let in the rest."""
        return tuple(
            rule
            for chains in self.tables.values()
            for chain in chains.values()
            if chain.hook in ("", "input", "forward", "prerouting") and chain.policy not in ("drop", "reject")
            for rule in chain.rules
            if rule.verdict in ("drop", "reject")
            and not rule.inward.startswith(("lo", "ipsec"))
            and not _device(rule.inward, device)
        )

    def translates(self, packet: Packet) -> Rule | None:
        """The rule that would change the packet's source address; None when none would."""
        for chains in self.tables.values():
            for chain in chains.values():
                found = _decide(chains, chain, packet, 0) if chain.hook == "postrouting" else None
                if found is not None and found.verdict in ("masquerade", "snat"):
                    return found
        return None


def _decide(chains: Mapping[str, Chain], chain: Chain, packet: Packet, depth: int) -> Rule | None:
    """The rule that ends the packet's way through a chain; None: it falls out at the end."""
    for rule in chain.rules:
        if not rule.matches(packet):
            continue
        if rule.verdict == "return":
            break
        if rule.verdict in chains:
            if depth < MOST_JUMPS and (found := _decide(chains, chains[rule.verdict], packet, depth + 1)) is not None:
                return found
        elif rule.verdict:
            return rule
    if chain.policy:
        return Rule(chain.policy, text=f"policy {chain.policy} of chain {chain.name}", remove=chain.change)
    return None


def _device(pattern: str, name: str) -> bool:
    if not pattern:
        return True
    negated, pattern = pattern.startswith("!"), pattern.removeprefix("!")
    found = name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern
    return found != negated


# -- iptables-save ----------------------------------------------------------------------------------------------------

WORDS = {
    "ACCEPT": "accept",
    "DROP": "drop",
    "REJECT": "reject",
    "RETURN": "return",
    "MASQUERADE": "masquerade",
    "SNAT": "snat",
}
PROTOCOLS = {"50": ESP, "esp": ESP, "17": UDP, "udp": UDP, "1": ICMP, "icmp": ICMP, "6": "tcp", "tcp": "tcp"}
HARMLESS = {"-m", "--comment", "--reject-with", "--to-source", "--random", "--random-fully"}
"""Words of a rule that restrict nothing we know of; each takes a value, except where noted below."""
ALONE = {"--random", "--random-fully"}


def read_iptables(text: str, command: str = "iptables") -> Firewall:
    """What `iptables-save` prints; `command` is the one that would take a rule out."""
    tables: dict[str, dict[str, Chain]] = {}
    table = ""
    rules: dict[tuple[str, str], list[Rule]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
            tables[f"{command} {table}"] = {}
        elif line.startswith(":") and table:
            name, policy = line[1:].split()[:2]
            hook = name.lower() if name in ("INPUT", "OUTPUT", "FORWARD", "POSTROUTING") else ""
            change = f"{command} -P {name} ACCEPT" if table == "filter" else ""
            tables[f"{command} {table}"][name] = Chain(name, hook, WORDS.get(policy, ""), change=change)
        elif line.startswith("-A ") and table:
            words = line.split()
            where = "" if table == "filter" else f"-t {table} "
            rule = _iptables_rule(words[2:], line, f"{command} {where}-D {line[3:]}")
            rules.setdefault((f"{command} {table}", words[1]), []).append(rule)
    return Firewall(
        {
            table: {
                name: Chain(name, chain.hook, chain.policy, tuple(rules.get((table, name), ())), chain.change)
                for name, chain in chains.items()
            }
            for table, chains in tables.items()
        }
    )


def _iptables_rule(words: list[str], text: str, remove: str) -> Rule:
    found: dict[str, object] = {"verdict": "", "text": text, "remove": remove}
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word in ALONE:
            continue
        negated = word == "!"
        if negated:
            word = queue.pop(0) if queue else ""
        value = queue.pop(0) if queue else ""
        if word in ("-i", "-o"):
            found["inward" if word == "-i" else "outward"] = ("!" if negated else "") + value
        elif negated:
            found["vague"] = True
        elif word in ("-j", "-g"):
            found["verdict"] = WORDS.get(value, value)
        elif word == "-p":
            found["protocol"] = PROTOCOLS.get(value, value)
        elif word in ("-s", "-d"):
            found["src" if word == "-s" else "dst"] = _subnet(value)
        elif word in ("--sport", "--sports", "--dport", "--dports"):
            found["sports" if word.startswith("--s") else "dports"] = _ports(value)
        elif word in ("--ctstate", "--state"):
            # A packet that begins something is NEW; what belongs to something else is not asked about.
            found["vague"] = bool(found.get("vague")) or "NEW" not in value
        elif word not in HARMLESS:
            found["vague"] = True
    return Rule(**found)  # type: ignore[arg-type]


def _subnet(text: str) -> Subnet | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _ports(text: str) -> frozenset[int]:
    ports: set[int] = set()
    for item in text.split(","):
        first, _, last = item.partition(":")
        if first.isdecimal():
            ports.update(range(int(first), min(int(last) if last.isdecimal() else int(first), 65535) + 1))
    return frozenset(ports)


def merged(*firewalls: Firewall) -> Firewall:
    """All tables of several."""
    return Firewall({name: chains for one in firewalls for name, chains in one.tables.items()})
