# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration payloads in IKE_AUTH, both sides: an address for the initiator, DNS servers, split DNS.

```
initiator                                          responder
HDR, SK {IDi, ..., AUTH, CP(CFG_REQUEST), SAi2, TSi, TSr}   -->
                                                   <--  HDR, SK {IDr, ..., AUTH, CP(CFG_REPLY), SAr2, TSi, TSr}
                                                   <--  HDR, SK {IDr, ..., AUTH, N(FAILED_CP_REQUIRED)}
                                                   <--  HDR, SK {IDr, ..., AUTH, N(INTERNAL_ADDRESS_FAILURE)}
```
RFC 7296 2.19 and 3.15, RFC 8598. TSi asks for everything; the responder narrows it to what it assigns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

from openswan.base.address import Address, any_subnet
from openswan.base.errors import IkeError
from openswan.ike.policy import AddressQuestion, ChildPolicy, IkePolicy
from openswan.ike.v2.core import Core
from openswan.ike.v2.narrow import common, show
from openswan.policy.modecfg import MOST_DOMAINS, MOST_SERVERS, Assigned, is_domain
from openswan.policy.selector import Selector
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.cp import Cp, CpAttribute
from openswan.wire.v2.numbers import CfgAttribute, CfgType, NotifyType

A = CfgAttribute
ADDRESS = {4: A.INTERNAL_IP4_ADDRESS, 6: A.INTERNAL_IP6_ADDRESS}
DNS = {4: A.INTERNAL_IP4_DNS, 6: A.INTERNAL_IP6_DNS}
OCTETS = {4: 4, 6: 16}
HOST_PREFIX = bytes([128])
"""Behind an IPv6 address: it is a host's (RFC 7296 3.15.1)."""


def asks(sa: Core, policy: IkePolicy) -> bool:
    """Does the initiator ask for an address?"""
    return bool(policy.ask_addresses) and (sa.nat_here or not policy.only_behind_nat)


def translated(sa: Core, policy: IkePolicy, child: ChildPolicy) -> ChildPolicy:
    """The child policy of a host that is behind NAT: it is known by the address assigned (libreswan's leftcat=)."""
    if not child.cat or child.virtual or not asks(sa, policy):
        return child
    everything = Selector.of(any_subnet(child.mine[0].first.version))
    return replace(child, mine=(everything,), virtual=True, trigger=None)


def request(sa: Core, policy: IkePolicy) -> list[Payload]:
    """What the initiator asks for; an address it had before is wished for again."""
    if not asks(sa, policy):
        return []
    found: list[CpAttribute] = []
    for version in policy.ask_addresses:
        wish = next((address for address in policy.wishes if address.version == version), None)
        found.append(CpAttribute(ADDRESS[version], _value(wish) if wish is not None else b""))
        found.append(CpAttribute(DNS[version]))
    return [Cp(CfgType.REQUEST, (*found, CpAttribute(A.INTERNAL_DNS_DOMAIN)))]


def learn(sa: Core, policy: IkePolicy, answer: Message) -> None:
    """What the responder has assigned. Whatever makes no sense is left out: without an address there is no child."""
    reply = next((cp for cp in answer.all(Cp) if cp.kind == CfgType.REPLY), None)
    if not asks(sa, policy) or reply is None:
        return
    addresses: dict[int, Address] = {}
    for version in policy.ask_addresses:
        for value in _values(reply, ADDRESS[version]):
            address = _address(value, version)
            if address is not None and _usable(sa, address):
                addresses.setdefault(version, address)
    servers = [_address(value, version) for version in (4, 6) for value in _values(reply, DNS[version])]
    dns = tuple(dict.fromkeys(server for server in servers if server is not None))[:MOST_SERVERS]
    names = [value.decode("ascii", "replace").rstrip(".").lower() for value in _values(reply, A.INTERNAL_DNS_DOMAIN)]
    domains = tuple(dict.fromkeys(name for name in names if is_domain(name)))[:MOST_DOMAINS]
    # Domains without a server to ask about them mean nothing (RFC 8598 3.2).
    sa.assigned = Assigned(tuple(addresses.values()), dns, domains if dns else ())
    for address in sa.assigned.addresses:
        sa.log(f"setting client address to {address}/{address.max_prefixlen}")
    for server in dns:
        sa.log(f"received DNS server {server}" + (f" for {', '.join(sa.assigned.domains)}" if domains else ""))


def grant(sa: Core, policy: IkePolicy, question: Message) -> list[Payload]:
    """The responder's assignment; IkeError when the initiator should have asked, or nothing is left."""
    asked = next((cp for cp in question.all(Cp) if cp.kind == CfgType.REQUEST), None)
    if not policy.assigns or (policy.only_behind_nat and (asked is None or not sa.nat_there)):
        return []
    versions = tuple(v for v in (4, 6) if asked is not None and any(a.type == ADDRESS[v] for a in asked.attributes))
    if asked is None or not versions:
        raise IkeError(f'"{policy.name}" assigns addresses and the peer asks for none', NotifyType.FAILED_CP_REQUIRED)
    if sa.peer_id is None:
        raise IkeError("the peer is not authenticated", NotifyType.AUTHENTICATION_FAILED)
    wishes = [_address(value, v) for v in versions for value in _values(asked, ADDRESS[v]) if value]
    assigned = sa.ask.addresses(
        AddressQuestion(policy, sa.peer_id, versions, tuple(wish for wish in wishes if wish is not None))
    )
    kinds = {attribute.type for attribute in asked.attributes}
    found = [CpAttribute(ADDRESS[address.version], _value(address)) for address in assigned.addresses]
    found += [CpAttribute(DNS[s.version], s.packed) for s in assigned.dns if DNS[s.version] in kinds]
    if A.INTERNAL_DNS_DOMAIN in kinds:
        found += [CpAttribute(A.INTERNAL_DNS_DOMAIN, name.encode()) for name in assigned.domains]
    sa.granted = assigned
    sa.log(f"assigning {', '.join(map(str, assigned.addresses))} to '{sa.peer_id}'")
    return [Cp(CfgType.REPLY, tuple(found))]


def leased(sa: Core, answer: Sequence[Selector]) -> tuple[Selector, ...]:
    """Of our side's selectors as the responder answers them, what the assigned address covers; IkeError: nothing."""
    hosts = [Selector.host(a) for a in sa.assigned.addresses] if sa.assigned is not None else []
    if not hosts:
        raise IkeError("the peer assigned no address (leftsourceip=%config, or leftcat= behind NAT, asks for one)")
    parts = common(answer, hosts)
    if not parts:
        raise IkeError(f"the peer assigned {show(hosts)} and lets us send from {show(answer)}")
    return parts


def _values(cp: Cp, kind: CfgAttribute) -> list[bytes]:
    return [attribute.value for attribute in cp.attributes if attribute.type == kind]


def _value(address: Address) -> bytes:
    return address.packed + (HOST_PREFIX if address.version == 6 else b"")


def _address(value: bytes, version: int) -> Address | None:
    """An address attribute's value; that of IPv6 may have a prefix length behind it. None: it is none."""
    octets = OCTETS[version]
    if len(value) not in ((octets,) if version == 4 else (octets, octets + 1)):
        return None
    address = ip_address(value[:octets])
    return None if address.is_unspecified or address.is_multicast or address.is_loopback else address


def _usable(sa: Core, address: Address) -> bool:
    """May it become ours? Not what is one end's outer address, nor what means something on every link."""
    return not address.is_link_local and address not in (sa.local.address, sa.remote.address)
