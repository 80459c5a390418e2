# SPDX-License-Identifier: GPL-2.0-or-later
"""What a diagnosis wants to know of this machine and of the way to its peers; nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.base.interval import Duration
from openswan.base.marks import Marks
from openswan.base.numbers import IKE_PORT, NATT_PORT, ROUTE_TABLE, RULE_PRIORITY
from openswan.cli.ourmarks import configured
from openswan.diagnosis.facts import Link, Machine, Peer, Way
from openswan.diagnosis.firewall import Firewall, merged, read_iptables
from openswan.diagnosis.nftables import read_nft
from openswan.diagnosis.xfrmpolicies import KernelPolicy, read_policies
from openswan.host import process
from openswan.host.entropy import SystemRng
from openswan.host.errands import Errand, Errands
from openswan.host.ikeping import Target, ask
from openswan.host.machine import Machine as Kernel
from openswan.host.rtnetlink import Rtnetlink
from openswan.wire.header import SPI_OCTETS
from openswan.wire.ikeping import questions

NAME_SECONDS = 1.0
"""The most the DNS may take."""
PING_SECONDS = 1.0
"""The most a peer may take to answer."""
XFRM = "ip xfrm policy"
FILTERS = (
    ("iptables-save", ("iptables-save",)),
    ("ip6tables-save", ("ip6tables-save",)),
    ("nft", ("nft", "-j", "list", "ruleset")),
    (XFRM, ("ip", "xfrm", "policy")),
)
"""What tells of packet filters and of the kernel's own IPsec, and how to ask it."""
MOST_PEERS = 20
"""Peers that are asked and looked up; the others are judged by the rest."""


def machine(kernel: Kernel, pid: int) -> Machine:
    """The machine; `pid` is the daemon's, 0 when it does not live."""
    with closing(Rtnetlink()) as netlink:
        addresses = tuple(one for one in netlink.addresses() if not one[1].startswith("ipsec"))
        routed = tuple(
            str(route.subnet)
            for version in (4, 6)
            for route in netlink.routes(version, ROUTE_TABLE)
            if route.device.startswith("ipsec")
        )
        rules = {version: any(rule.priority == RULE_PRIORITY for rule in netlink.rules(version)) for version in (4, 6)}
    devices = sorted({device for _, device in addresses} - {"lo"})
    tunnels = [name for name in kernel.devices() if name.startswith("ipsec")]
    return Machine(
        tun=kernel.device("/dev/net/tun"),
        queueing=kernel.queueing(),
        owners=_owners(kernel, pid),
        forwarding={
            4: kernel.number("ipv4/ip_forward") != 0,
            6: kernel.number("ipv6/conf/all/forwarding") != 0,
        },
        addresses=addresses,
        links={name: _link(kernel, name) for name in devices},
        tunnels={name: _link(kernel, name) for name in tunnels},
        routed=routed,
        rules=rules,
    )


def _owners(kernel: Kernel, pid: int) -> dict[int, str]:
    found = {}
    # Its own are known at once; whose another is takes a look at every process.
    own = kernel.sockets(pid) if pid else set()
    for bound in kernel.bound():
        if bound.port in (IKE_PORT, NATT_PORT) and bound.inode not in own:
            owner, name = kernel.owner(bound.inode)
            if owner and owner != pid:
                found[bound.port] = f"{name} (process {owner})"
    return found


def _link(kernel: Kernel, name: str) -> Link:
    state = (kernel.text(f"/sys/class/net/{name}/operstate") or "").strip()
    flags = (kernel.text(f"/sys/class/net/{name}/flags") or "0x1").strip()
    mtu = (kernel.text(f"/sys/class/net/{name}/mtu") or "").strip()
    wanted = max(kernel.number(f"ipv4/conf/{each}/rp_filter") or 0 for each in ("all", name))
    marked = any(kernel.number(f"ipv4/conf/{each}/src_valid_mark") for each in ("all", name))
    return Link(
        name,
        up=bool(int(flags, 16) & 1) and state not in ("down", "lowerlayerdown"),
        mtu=int(mtu) if mtu.isdecimal() else 1500,
        strict=wanted == 1 and not marked,
    )


def filters(kernel: Kernel, errands: Errands) -> dict[str, Errand[str]]:
    """Every one of FILTERS that is installed is being asked: what it is -> what it prints."""
    return {
        name: errands.send(name, partial(_printed, kernel, argv, errands))
        for name, argv in FILTERS
        if kernel.tool(argv[0])
    }


def _printed(kernel: Kernel, argv: Sequence[str], errands: Errands) -> str:
    status, text = kernel.output(*argv, timeout=errands.patience())
    if status == process.TOO_SLOW:
        raise TimeoutError
    return "" if status else text


def firewalls(asked: Mapping[str, Errand[str]]) -> Firewall:
    """What the programs of FILTERS say, as one."""
    printed = {name: errand.result("") for name, errand in asked.items() if name != XFRM}
    found: list[Firewall] = []
    skip: set[tuple[str, str]] = set()
    for command, family in (("iptables", "ip"), ("ip6tables", "ip6")):
        if text := printed.get(f"{command}-save"):
            found.append(read_iptables(text, command))
            skip |= {(family, table) for table in ("filter", "nat", "mangle", "raw", "security")}
    if text := printed.get("nft"):
        found.append(read_nft(text, frozenset(skip)))
    return merged(*found)


def kernel_policies(asked: Mapping[str, Errand[str]]) -> tuple[KernelPolicy, ...]:
    """What the kernel's own IPsec takes."""
    return read_policies(asked[XFRM].result("")) if XFRM in asked else ()


def peers(wanted: Mapping[str, Peer], ping: bool, errands: Errands) -> dict[str, Errand[dict[str, Peer]]]:
    """Peers by conn, each with a name or an address, are looked at. `ping`: may they be asked?

    Those with addresses together, names each for itself: one that has no answer holds up nobody else.
    """
    wanted = dict(list(wanted.items())[:MOST_PEERS])
    known = {conn: peer for conn, peer in wanted.items() if peer.address is not None}
    parties = {"the peers": known} if known else {}
    parties |= {f"the peer {peer.name}": {conn: peer} for conn, peer in wanted.items() if peer.address is None}
    return {what: errands.send(what, partial(_peers, party, ping, errands)) for what, party in parties.items()}


def _peers(party: Mapping[str, Peer], ping: bool, errands: Errands) -> dict[str, Peer]:
    found = {conn: peer if peer.address is not None else _named(peer, errands) for conn, peer in party.items()}
    addresses = tuple(dict.fromkeys(peer.address for peer in found.values() if peer.address is not None))
    marks = configured()
    answers, errors = _answers(addresses, errands.patience(PING_SECONDS), marks) if ping and addresses else ({}, {})
    with closing(Rtnetlink()) as netlink:
        ways = {address: _way(netlink, address, marks.own) for address in addresses}
        hops = {address: _neighbour(netlink, way, address) for address, way in ways.items()}
    return {
        conn: peer
        if peer.address is None
        else replace(
            peer,
            way=ways[peer.address],
            neighbour=hops[peer.address],
            answers=answers.get(peer.address, {}),
            errors=errors.get(peer.address, {}),
        )
        for conn, peer in found.items()
    }


def _named(peer: Peer, errands: Errands) -> Peer:
    # Imported late: most peers are addresses, and the resolver takes longer to load than all else here.
    from openswan.host.naming import addresses_of

    try:
        patience = errands.patience(NAME_SECONDS)
        return replace(peer, address=addresses_of(peer.name, lifetime=patience, marks=configured())[0])
    except HostError as why:
        return replace(peer, lookup=str(why))


def _way(netlink: Rtnetlink, address: Address, mark: int) -> Way:
    try:
        way = netlink.way(address, mark=mark)
    except HostError as why:
        return Way(error=str(why))
    if way.kind not in ("unicast", "local"):
        return Way(way.device, error=f"the route to {address} says {way.kind}")
    return Way(way.device, way.gateway, way.source)


def _neighbour(netlink: Rtnetlink, way: Way, address: Address) -> str:
    try:
        return "" if way.error else netlink.neighbour(way.gateway or address)
    except OSError:
        return ""


def _answers(
    addresses: Sequence[Address], wait: Duration, marks: Marks
) -> tuple[dict[Address, dict[int, bool]], dict[Address, dict[int, str]]]:
    """Who speaks IKE on ports 500 and 4500, and what ICMP says; all are asked at once."""
    rng = SystemRng()
    targets = []
    for address in addresses:
        for port in (IKE_PORT, NATT_PORT):
            targets.append(Target(address, port, questions(rng.octets(SPI_OCTETS), marker=port == NATT_PORT)))
    answers = {address: {IKE_PORT: False, NATT_PORT: False} for address in addresses}
    errors: dict[Address, dict[int, str]] = {address: {} for address in addresses}
    try:
        for answer in ask(targets, wait, marks=marks):
            if answer.error:
                errors[answer.target.address][answer.target.port] = answer.error
            else:
                answers[answer.target.address][answer.target.port] = True
    except HostError:
        return {}, {}
    return answers, errors
