# SPDX-License-Identifier: GPL-2.0-or-later
"""The checks of `ipsec verify` about opportunistic encryption: who can find this host, and what meets its packets."""

from __future__ import annotations

from collections.abc import Iterator

from openswan.base import paths
from openswan.base.address import Address
from openswan.base.errors import ConfigError
from openswan.cli.gathermachine import filters, firewalls
from openswan.cli.ownhost import OwnHost, own_host
from openswan.cli.verdict import DISABLED, FAILED, MISSING, NOTHING, OK, WARNING, Check, Finding, Scene
from openswan.config import places
from openswan.config.load import Loaded, load
from openswan.config.secrets import spki
from openswan.config.setup import Setup
from openswan.engine.oeevents import Learned, Verdict
from openswan.host import process
from openswan.host.dnsrecords import published
from openswan.host.errands import Errands
from openswan.host.intercept.table import TABLE
from openswan.host.oelookup import NameKeys
from openswan.policy.dnsanswer import DnsStatus
from openswan.policy.grade import Grade

FILTER_SECONDS = 3.0
"""What packet filters may take to tell their rules."""
MOST_RULES = 5
"""Of a firewall that are shown."""
GRADES = {Grade.DNSSEC: "signed", Grade.DNS: "not signed: it proves little, and delegates to nobody else"}


def interception(scene: Scene) -> Iterator[Finding]:
    """How packets that nothing is decided about are stopped now."""
    text = " KLIPS: how policy groups meet first packets"
    machine = scene.machine
    status, output = machine.output("nft", "list", "table", "ip", TABLE) if machine.tool("nft") else (1, "")
    if status:
        yield Finding(text, NOTHING, ("no group that looks for tunnels is in force",))
        return
    how = "forwarded ones by NFQUEUE" if "queue" in output.lower() else "forwarded ones by the route into ipsecN"
    yield Finding(text, OK, (f"{how}, this host's own by the route into ipsecN",))


def groups(scene: Scene) -> Iterator[Finding]:
    """Is anything opportunistic?"""
    loaded = _loaded()
    names = sorted({one.name for one in loaded.opportunistic}) if loaded else []
    hint = "config setup oe=yes, and lines in ipsec.d/policies: see ipsec_policies(5)"
    yield Finding("Policy groups", OK if names else DISABLED, (", ".join(names),) if names else (hint,))


def strangers(scene: Scene) -> Iterator[Finding]:
    """Rules that close something for an interface by its name say nothing of where strangers' packets come out."""
    loaded = _loaded()
    device = (loaded.setup if loaded else Setup()).oe_interface
    rules = firewalls(filters(scene.machine, Errands(FILTER_SECONDS))).spared(device)
    hints = [rule.text for rule in rules[:MOST_RULES]]
    if rules:
        hints.append(f"what peers of policy groups send comes out of {device}, which these rules do not mean: close it")
        hints.append(f"without naming an interface, or for {device} as well")
    yield Finding(f"Firewall rules that spare {device}", WARNING if rules else OK, tuple(hints))


def records(scene: Scene) -> Iterator[Finding]:
    """What peers learn of this host, and what they should."""
    host = own_host(scene.machine, scene.name, scene.address)
    if host.complaints:
        yield Finding(f"Checking {places.secrets_file()}", FAILED, host.complaints[:MOST_RULES])
    names = [host.name] if host.name else []
    learned, keys = published(host.addresses, names)
    for (found, complaints), address in zip(learned, host.addresses, strict=True):
        yield of_address(host, address, found, complaints)
    for known, name in zip(keys, names, strict=True):
        yield of_name(host, name, known)
    yield advertised(host, [found for found, _ in learned])
    lines = tuple(record.line() for record in host.records())
    without = (f"ipsec.secrets has no private key: ipsec newhostkey --output {places.secrets_file()} makes one",)
    yield Finding("Records to publish (ipsec publish does it)", NOTHING if lines else MISSING, lines or without)


def of_address(host: OwnHost, address: Address, found: Learned, complaints: tuple[str, ...]) -> Finding:
    """The records under one address."""
    text = f" Gateway of {address} in the DNS"
    if found.verdict is Verdict.BOGUS:
        return Finding(text, FAILED, (found.reason, "peers that check signatures refuse this host: sign the zone anew"))
    if found.verdict is Verdict.FAILED:
        return Finding(text, WARNING, (found.reason,))
    if found.verdict is Verdict.NONE:
        return Finding(text, MISSING, complaints or (found.reason,))
    mine = [one for one in found.gateways if one.address in (address, *host.addresses)]
    if not mine:
        others = ", ".join(dict.fromkeys(str(one.address) for one in found.gateways))
        return Finding(text, OK, (f"peers reach it through {others}", *complaints))
    key = host.key_of(address)
    same = [one for one in mine if key is not None and spki(one.key) == spki(key)]
    if not same:
        what = (
            "another key than the one ipsec.secrets has for it" if key else "a key, and ipsec.secrets has none for it"
        )
        return Finding(text, FAILED, (f"{mine[0].source} has {what}: peers refuse this host", *complaints))
    said = (f"{one.source}: {one.address}, precedence {one.preference}, {GRADES[one.grade]}" for one in same)
    return Finding(text, OK, (*said, *complaints))


def of_name(host: OwnHost, name: str, known: NameKeys) -> Finding:
    """The keys under the host's name, for who calls itself by it."""
    text = f" Keys of {name} in the DNS"
    if known.status is DnsStatus.BOGUS:
        return Finding(text, FAILED, (known.reason, "peers that check signatures refuse this host: sign the zone anew"))
    if known.status is not DnsStatus.FOUND:
        verdict = WARNING if known.status is DnsStatus.FAILED else MISSING
        return Finding(text, verdict, known.complaints or (known.reason, "needed only by who calls itself by its name"))
    key = host.key_of(name)
    if key is None or spki(key) not in [spki(each) for each, _ in known.keys]:
        why = f"none of them is the one that ipsec.secrets has for @{name}"
        return Finding(text, FAILED, (why, *known.complaints))
    return Finding(text, OK, (GRADES[known.grade], *known.complaints))


def advertised(host: OwnHost, learned: list[Learned]) -> Finding:
    """Who is told that this host encrypts waits for its answer."""
    text = "Does pluto answer whom the DNS sends?"
    ours = any(one.address in host.addresses for found in learned for one in found.gateways)
    if process.pid_state(paths.pid_file()).alive:
        return Finding(text, OK)
    if not ours:
        return Finding(text, NOTHING, ("pluto is not running, and the DNS sends nobody",))
    remedy = "ipsec setup start, or take the records away: ipsec publish --remove"
    return Finding(text, WARNING, ("the DNS tells peers that this host encrypts, and pluto is not running", remedy))


def _loaded() -> Loaded | None:
    try:
        return load()
    except ConfigError:
        return None


CHECKS: tuple[Check, ...] = (groups, interception, strangers, records)
