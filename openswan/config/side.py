# SPDX-License-Identifier: GPL-2.0-or-later
"""left or right of a conn: who an end is, how it is reached, what is behind it and by which keys it proves itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from openswan.base.address import Address, Subnet, host_subnet
from openswan.base.protoport import parse_protoport
from openswan.config.ends import (
    DNS_KEYS,
    parse_client,
    parse_clients,
    parse_host,
    parse_key,
    parse_nexthop,
    parse_sources,
)
from openswan.config.modecfg import parse_families, parse_pools
from openswan.config.opportunistic import is_opportunistic, limits
from openswan.config.setup import Setup
from openswan.config.values import Values
from openswan.config.virtual import is_virtual, parse_virtual
from openswan.policy.connection import SAME_CA, End, Host, HostKind, SendCa, SendCert
from openswan.policy.dn import parse_dn
from openswan.policy.identity import MY_ID, Identity, IdKind, parse_identity
from openswan.policy.modecfg import Pool
from openswan.policy.virtual import Virtual

CertReader = Callable[[str], tuple[bytes, ...]]
"""Name in leftcert= to DER of the certificate and of those above it; ConfigError names the file."""
SINGLE = re.compile(r"([0-9A-Fa-f.:]+?)(?:/32|/128)?")
"""A subnet that is one address."""
NO_CERTS: tuple[bytes, ...] = ()
NO_ADDRESSES: tuple[Address, ...] = ()
NO_POOLS: tuple[Pool, ...] = ()
NO_CLIENT: tuple[Subnet | None, str] = (None, "")
NO_CLIENTS: tuple[tuple[Subnet, ...], tuple[str, ...]] = ((), ())


@dataclass(frozen=True, slots=True)
class Side:
    """One end half built: what subnets= expands comes on top."""

    end: End
    protocol_given: bool
    clients: tuple[tuple[int, Subnet | None], ...]
    """(index for the name, subnet) of each expansion; index 0 is subnet= itself."""
    expanded: bool


def read_side(values: Values, side: str, setup: Setup, certs: CertReader) -> Side | None:
    """left or right with all that is said of it; None, and a complaint where one is due, when it cannot be had."""
    if values.param("", side) is None:
        # A conn that is only there for others' also=, or to suppress an implicit one, need not be whole.
        if values.value("auto", "ignore") != "ignore":
            values.error(f"{side}= is missing")
        return None
    before = values.broken
    host = values.read("", side, parse_host, Host(HostKind.ANY))
    if values.broken > before:
        return None
    asks, pools = _assigned(values, side)
    sources = NO_ADDRESSES if asks else values.read("sourceip", side, parse_sources, NO_ADDRESSES)
    virtual = _virtual(values, side, host.kind, setup)
    param = values.param("subnet", side)
    clients, expanded = (
        (((0, None),), False)
        if param is not None and is_virtual(param.value)
        else _clients(values, side, host.kind, sources)
    )
    protocol, port, _ = values.read("protoport", side, parse_protoport, (0, 0, False))
    cert_name, cert = _cert(values, side, certs)
    keys, by_cert, by_dns = _keys(values, side)
    end = End(
        host,
        id=_identity(values, side, host.kind, setup),
        virtual=virtual,
        protocol=protocol,
        port=port,
        source_ips=sources,
        ask_addresses=asks,
        pools=pools,
        cat=values.of_side("cat", side) != "no",
        xauth_server=values.of_side("xauthserver", side) == "yes",
        xauth_client=values.of_side("xauthclient", side) == "yes",
        xauth_name=values.of_side("xauthname", side, ""),
        nexthop=values.read("nexthop", side, parse_nexthop, None),
        updown=_updown(values, side),
        firewall=values.of_side("firewall", side) == "yes",
        host_access=values.of_side("hostaccess", side) == "yes",
        rsa_keys=keys,
        cert=cert[0] if cert else b"",
        cert_chain=cert[1:],
        ca=_ca(values, side),
        send_ca=SendCa(values.value("sendca", "all")),
        cert_name=cert_name,
        dns_key=by_dns,
        use_cert_key=by_cert or bool(cert_name),
        send_cert=SendCert(values.of_side("sendcert", side, "always")),
    )
    return Side(end, values.param("protoport", side) is not None, clients, expanded)


def _assigned(values: Values, side: str) -> tuple[tuple[int, ...], tuple[Pool, ...]]:
    """Families of addresses an end asks the other for, and the pools it gets them from."""
    param = values.param("sourceip", side)
    asks = parse_families(param.value) if param is not None else None
    client = values.of_side("modecfgclient", side) == "yes"
    pools = values.read("addresspool", side, parse_pools, NO_POOLS)
    asks = asks if asks is not None else (4, 6) if client and param is None else ()
    if client and param is not None and not asks:
        values.error(f"{side}modecfgclient=yes asks for an address, {side}sourceip= has one: leave one out", param)
    if not asks and not pools:
        return (), ()
    if client and param is None and not pools and (own := _own_address(values, side)):
        return asks, own
    for keyword in ("subnet", "subnets"):
        given = values.param(keyword, side)
        if given is not None and given.value not in ("0.0.0.0/0", "::/0", "%default", "0/0"):
            values.error(f"{side}{keyword}= and an assigned address exclude each other", given)
    return asks, pools


def _own_address(values: Values, side: str) -> tuple[Pool, ...]:
    """subnet= of a client that asks for an address: where it is a single one, that is what the server gives it."""
    given = values.param("subnet", side)
    single = SINGLE.fullmatch(given.value) if given is not None else None
    return values.read("subnet", side, lambda _: parse_pools(single[1]), NO_POOLS) if single else NO_POOLS


def _updown(values: Values, side: str) -> str:
    param = values.param("updown", side)
    if param is None:
        return "ipsec _updown"
    return "" if param.value.lower() in ("", "%disabled") else param.value


def _identity(values: Values, side: str, kind: HostKind, setup: Setup) -> Identity | None:
    param = values.param("id", side)
    if param is None or param.value.lower() == "%none":
        return None
    if param.value.lower() == "%any" and kind is HostKind.ANY:
        return None  # as it is when nothing is said of a peer that may be anywhere
    if param.value.lower() == "%myid":
        if setup.my_id is None and is_opportunistic(values.canonical):
            return MY_ID
        if setup.my_id is None:
            values.error(f"{side}id=%myid: config setup has no myid=", param)
        return setup.my_id
    identity = values.read("id", side, parse_identity, None)
    if identity is not None and identity.kind is IdKind.FQDN and param.value[:1] != "@":
        values.warn(f"{side}id={param.value[:60]} is taken as @{param.value[:60]}, names are not looked up", param)
    return identity


def _virtual(values: Values, side: str, kind: HostKind, setup: Setup) -> Virtual | None:
    """leftsubnet=vhost:... and leftsubnetwithin=, for peers whose own addresses are not known before they come."""
    param, within = values.param("subnet", side), values.param("subnetwithin", side)
    if param is not None and not is_virtual(param.value):
        param = None
    if param is not None and within is not None:
        values.error(f"{side}subnet=vhost: and {side}subnetwithin= both say what the peer may have: give one", within)
    param = param or within
    if param is None:
        return None
    if kind is not HostKind.ANY:
        values.error(f"virtual IP must only be used with %any and without client: {side}= is not %any", param)
    for other in ("subnets", "sourceip", "addresspool"):
        if (more := values.param(other, side)) is not None:
            values.error(f"virtual IP must only be used without client: leave {more.spelled}= out", more)
    if param is within:
        return _within(values, side)
    virtual = values.read("subnet", side, lambda text: parse_virtual(text, setup.private), None)
    if virtual is not None and not virtual.allowed and not virtual.itself and values.value("type") != "transport":
        values.warn(f"{side}subnet=: %priv is what virtual_private= in config setup lists, which is empty", param)
    return virtual


def _within(values: Values, side: str) -> Virtual | None:
    """leftsubnetwithin=: any subnet inside of one."""
    if (given := values.param("subnet", side)) is not None:
        values.error(f"{side}subnet= is one subnet, {side}subnetwithin= any inside of one: give one of them", given)
    version = 6 if values.value("connaddrfamily") == "ipv6" else 4
    net, complaint = values.read("subnetwithin", side, lambda text: parse_client(text, version), NO_CLIENT)
    if complaint:
        values.warn(f"{side}subnetwithin: {complaint}", values.param("subnetwithin", side))
    return Virtual((net,), networks=True) if net is not None else None


def _clients(
    values: Values, side: str, kind: HostKind, sources: tuple[Address, ...]
) -> tuple[tuple[tuple[int, Subnet | None], ...], bool]:
    version = 6 if values.value("connaddrfamily") == "ipv6" else 4
    given = values.param("subnet", side)
    # libreswan 5 takes a list in leftsubnet= too.
    listed = given is not None and "," in given.value
    if listed and values.param("subnets", side) is not None:
        values.error(f"{side}subnet= and {side}subnets= both have lists: give one", given)
    subnet, complaint = NO_CLIENT
    if not listed:
        subnet, complaint = values.read("subnet", side, lambda text: parse_client(text, version), NO_CLIENT)
    many, complaints = values.read("subnet" if listed else "subnets", side, parse_clients, NO_CLIENTS)
    for text in (complaint, *complaints):
        if text:
            values.warn(f"{side}subnet: {text}", values.param("subnet", side) or values.param("subnets", side))
    if any(_assigned(values, side)):
        return ((0, None),), False
    if subnet is None and not many and len(sources) == 1:
        subnet = host_subnet(sources[0])
    subnet = limits(kind, subnet, values.value("connaddrfamily"))
    plain = [(0, subnet)] if subnet is not None or not many else []
    return (*plain, *enumerate(many, 1)), bool(many)


def _ca(values: Values, side: str) -> str:
    param = values.param("ca", side)
    if param is None or param.value.lower() in ("%any", "%none"):
        return ""
    if param.value.lower() == SAME_CA:
        return SAME_CA
    values.read("ca", side, parse_dn, b"")
    return param.value


def _cert(values: Values, side: str, certs: CertReader) -> tuple[str, tuple[bytes, ...]]:
    param = values.param("cert", side)
    if param is None:
        return "", ()
    return param.value, values.read("cert", side, certs, NO_CERTS)


def _keys(values: Values, side: str) -> tuple[tuple[bytes, ...], bool, bool]:
    """leftrsasigkey= and the second one: keys, whether a certificate has them, whether the DNS has."""
    keys: list[bytes] = []
    by_cert = by_dns = False
    for name in ("rsasigkey", "rsasigkey2"):
        param = values.param(name, side)
        lowered = param.value.lower() if param else "%none"
        if param is None or lowered == "%none":
            continue
        if lowered == "%cert":
            by_cert = True
        elif lowered in DNS_KEYS and is_opportunistic(values.canonical):
            by_dns = True
        elif lowered in DNS_KEYS:
            text = "the key of a peer that the conn names is not looked up: give it, or say right=%opportunistic"
            values.error(f"{param.spelled}={lowered}: {text}", param)
        elif lowered.startswith("%"):
            values.error(f"{param.spelled}={lowered[:40]}: 0s..., 0x..., %cert or %none is wanted", param)
        elif key := values.read(name, side, parse_key, b""):
            keys.append(key)
    return tuple(dict.fromkeys(keys)), by_cert, by_dns
