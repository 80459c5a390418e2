# SPDX-License-Identifier: GPL-2.0-or-later
"""Mode Config: the client gets an address, and is told of servers, names and networks (draft-dukes-ike-mode-cfg-02).

    client                       server          pull
    REQUEST(attributes)       ->
                              <- REPLY(values)
                              <- SET(values)     push
    ACK(attributes)           ->

With Cisco's Unity attributes also a banner, a default domain, and the networks behind the server (split tunnels). What
a server says is somebody else's text: names that are none, control characters and what is too much are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, ip_address

from openswan.base.address import Address
from openswan.base.errors import IkeError
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.ike.v1 import informational, transactions
from openswan.ike.v1.core import HALF_OPEN, Core
from openswan.ike.v1.policy import LeaseQuestion
from openswan.ike.v1.states import State
from openswan.ike.v1.transactions import Talk
from openswan.policy.modecfg import (
    MOST_BANNER,
    MOST_DOMAINS,
    MOST_ROUTES,
    MOST_SERVERS,
    Assigned,
    ConfigRole,
    is_domain,
)
from openswan.wire.attribute import Attribute
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.numbers import CfgAttribute, CfgType, NotifyType
from openswan.wire.v1.vendor import UNITY

A = CfgAttribute
ADDRESS = {4: A.INTERNAL_IP4_ADDRESS, 6: A.INTERNAL_IP6_ADDRESS}
DNS = {4: A.INTERNAL_IP4_DNS, 6: A.INTERNAL_IP6_DNS}
OCTETS = {4: (4,), 6: (16, 17)}
"""Of an address; one of IPv6 may have a prefix length behind it."""
ROUTE_OCTETS = 14
"""Of a network of UNITY_SPLIT_INCLUDE: address, mask, and six octets of protocol and ports that are zero."""


# --- the client


def ask(sa: Core, now: Instant) -> None:
    """Begin: ask, or wait to be told."""
    policy = sa.need_policy()
    sa.move(State.MODE_CFG_I1)
    if not policy.config_pull:
        sa.deadline = now + HALF_OPEN
        return
    sa.log("modecfg: Sending IP request (MODECFG_I1)")
    wanted: list[Attribute] = []
    for version in policy.ask_addresses:
        wish = next((address for address in policy.wishes if address.version == version), None)
        wanted.append(Attribute(ADDRESS[version], wish.packed if wish is not None else b""))
        wanted.append(Attribute(DNS[version], b""))
    if 4 in policy.ask_addresses:
        wanted += [Attribute(A.INTERNAL_IP4_NETMASK, b""), Attribute(A.INTERNAL_IP4_NBNS, b"")]
    if policy.unity or UNITY in sa.announced:
        names = (A.UNITY_BANNER, A.UNITY_DEF_DOMAIN, A.UNITY_SPLITDNS_NAME, A.UNITY_SPLIT_INCLUDE)
        wanted += [Attribute(name, b"") for name in names]
    transactions.ask(sa, CfgType.REQUEST, wanted, policy.retransmit_timeout, now)


def learn(sa: Core, said: Attributes) -> bool:
    """Take what the server gives; without an address there is no use in it, and the ISAKMP SA ends."""
    policy = sa.need_policy()
    addresses: dict[int, Address] = {}
    for version in policy.ask_addresses:
        for value in said.values(ADDRESS[version]):
            address = _address(value, version)
            if address is not None and _usable(sa, address):
                addresses.setdefault(version, address)
    dns = _servers(said, (DNS[4], 4), (DNS[6], 6))
    wins = _servers(said, (A.INTERNAL_IP4_NBNS, 4))
    routes = tuple(dict.fromkeys(_routes(said)))[:MOST_ROUTES]
    banner = "\n".join(_text(value) for value in said.values(A.UNITY_BANNER))[:MOST_BANNER]
    sa.assigned = Assigned(tuple(addresses.values()), dns, _domains(said) if dns else (), wins, banner, routes)
    sa.log("received mode cfg reply")
    for address in sa.assigned.addresses:
        sa.log(f"setting client address to {address}/{address.max_prefixlen}")
    for server in dns:
        sa.log(f"Received DNS {server}, len={len(str(server))}")
    for route in routes:
        sa.log(f"Received subnet {route.network_address}/{route.netmask}, maskbits {route.prefixlen}")
    for line in filter(None, banner.split("\n")[:8]):
        sa.log(f"banner: {line}")
    if not addresses:
        informational.delete_self(sa)
        sa.fail("the peer assigned no address (leftsourceip=%config and modecfgclient= ask for one)")
        return False
    return True


def take_set(sa: Core, talk: Talk, said: Attributes) -> bool:
    """The server pushes; is that what we wait for?"""
    if sa.state is not State.MODE_CFG_I1:
        sa.log("modecfg: ignoring what the peer sets, nobody asked for it", Rc.LOG_SERIOUS)
        transactions.answer(sa, talk, said, [])
        return False
    transactions.withdraw(sa)
    transactions.answer(sa, talk, said, [Attribute(one.type, b"") for one in said.attributes])
    return learn(sa, said)


# --- the server


def push(sa: Core, now: Instant) -> None:
    """Begin: say what the client gets."""
    sa.move(State.MODE_CFG_R1)
    versions = sa.need_policy().assigns
    try:
        given = _grant(sa, versions, None)
    except IkeError as why:
        sa.log(str(why), Rc.LOG_SERIOUS)
        informational.delete_self(sa)
        sa.fail(str(why), NotifyType.AUTHENTICATION_FAILED)
        return
    sa.log("modecfg: Sending IP address to the client (MODECFG_R1)")
    transactions.ask(sa, CfgType.SET, _values(given, None, sa), sa.need_policy().retransmit_timeout, now)


def take_request(sa: Core, talk: Talk, said: Attributes) -> bool:
    """The client asks; was that what a push of ours waits for?"""
    policy = sa.need_policy()
    asked = transactions.kinds(said)
    versions = tuple(v for v in policy.assigns if ADDRESS[v] in asked)
    if not versions or policy.config is not ConfigRole.SERVER:
        sa.log("modecfg: the peer asks for nothing we give", Rc.LOG_SERIOUS)
        transactions.answer(sa, talk, said, [])
        return False
    wish = next((w for v in versions for value in said.values(ADDRESS[v]) if (w := _address(value, v))), None)
    try:
        given = _grant(sa, versions, wish)
    except IkeError as why:
        sa.log(str(why), Rc.LOG_SERIOUS)
        transactions.answer(sa, talk, said, [])
        return False
    transactions.answer(sa, talk, said, _values(given, asked, sa))
    if sa.state is State.MODE_CFG_R1:
        transactions.withdraw(sa)
        return True
    return False


def _grant(sa: Core, versions: tuple[int, ...], wish: Address | None) -> Assigned:
    """What the client gets, the same however often it asks; IkeError when nothing is left."""
    assert sa.peer_id is not None
    if sa.granted is None:
        question = LeaseQuestion(sa.need_policy(), sa.peer_id, sa.user, versions, sa.remote.address, wish)
        sa.granted = sa.ask.lease(question)
        sa.log(f"assigning {', '.join(map(str, sa.granted.addresses))} to '{sa.user or sa.peer_id}'")
    return sa.granted


def _values(given: Assigned, asked: set[int] | None, sa: Core) -> list[Attribute]:
    """As attributes, those that were asked for; None: all that the peer understands."""
    found = [Attribute(ADDRESS[address.version], address.packed) for address in given.addresses]
    if given.address(4) is not None:
        found.append(Attribute(A.INTERNAL_IP4_NETMASK, b"\xff\xff\xff\xff"))
    found += [Attribute(DNS[server.version], server.packed) for server in given.dns]
    found += [Attribute(A.INTERNAL_IP4_NBNS, server.packed) for server in given.wins]
    if asked is not None or UNITY in sa.announced:
        found += [Attribute(A.UNITY_BANNER, given.banner.encode())] if given.banner else []
        found += [Attribute(A.UNITY_DEF_DOMAIN, name.encode()) for name in given.domains[:1]]
        found += [Attribute(A.UNITY_SPLITDNS_NAME, name.encode()) for name in given.domains[1:]]
        routes = b"".join(net.network_address.packed + net.netmask.packed + bytes(6) for net in given.routes)
        found += [Attribute(A.UNITY_SPLIT_INCLUDE, routes)] if routes else []
    return [one for one in found if asked is None or one.type in asked or one.type in ADDRESS.values()]


# --- what values say


def _address(value: bytes, version: int) -> Address | None:
    """An address attribute's value; None: it is none."""
    if len(value) not in OCTETS[version]:
        return None
    address = ip_address(value[: OCTETS[version][0]])
    nobody = address.is_unspecified or address.is_multicast or address.is_loopback
    return None if nobody or (version == 4 and address.is_reserved) else address


def _usable(sa: Core, address: Address) -> bool:
    """May it become ours? Not what is one end's outer address, nor what means something on every link."""
    return not address.is_link_local and address not in (sa.local.address, sa.remote.address)


def _servers(said: Attributes, *kinds: tuple[CfgAttribute, int]) -> tuple[Address, ...]:
    found = [_address(value, version) for kind, version in kinds for value in said.values(kind)]
    return tuple(dict.fromkeys(one for one in found if one is not None))[:MOST_SERVERS]


def _domains(said: Attributes) -> tuple[str, ...]:
    """The default domain first; a name that is none is nobody's (CVE-2010-3302)."""
    values = [*said.values(A.UNITY_DEF_DOMAIN), *said.values(A.UNITY_SPLITDNS_NAME)]
    names = [value.rstrip(b"\0").decode("ascii", "replace").rstrip(".").lower() for value in values]
    return tuple(dict.fromkeys(name for name in names if is_domain(name)))[:MOST_DOMAINS]


def _text(value: bytes) -> str:
    """Printable lines (CVE-2010-3308)."""
    text = value[:MOST_BANNER].decode("utf-8", "replace").replace("\r\n", "\n")
    return "".join(c for c in text if c == "\n" or c.isprintable())


def _routes(said: Attributes) -> Iterator[IPv4Network]:
    for value in said.values(A.UNITY_SPLIT_INCLUDE):
        for at in range(0, len(value) - ROUTE_OCTETS + 1, ROUTE_OCTETS):
            address, mask = IPv4Address(value[at : at + 4]), IPv4Address(value[at + 4 : at + 8])
            try:
                yield IPv4Network((str(address), str(mask)), strict=False)
            except ValueError:
                continue
