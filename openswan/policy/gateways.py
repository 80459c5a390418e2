# SPDX-License-Identifier: GPL-2.0-or-later
"""From DNS records to gateways that can be tried: who they may delegate to, in which order, with which key.

An answer nobody has signed delegates to its own address and to no other: who forges answers, or runs a reverse zone of
somebody else's addresses, must not become everybody's gateway. A signed one delegates to whom it likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from openswan.base.address import Address
from openswan.base.errors import CryptoError, WireError
from openswan.crypto.dnskey import public_key_of, raw_octets
from openswan.crypto.rsakey import PublicKey
from openswan.policy.connection import SIGNATURES, Connection
from openswan.policy.grade import Grade
from openswan.policy.groups import group_end
from openswan.policy.identity import Identity, IdKind
from openswan.wire.oerecord import PARSERS, KeyKind, OeRecord

MOST_RECORDS = 32
"""Of one answer; what is beyond is not looked at."""
MOST_GATEWAYS = 8
"""That are tried for one destination."""
HOST_NAME = re.compile(rb"(?=.{1,254}\Z)(?:[A-Za-z0-9_-]{1,63}\.)+[A-Za-z][A-Za-z0-9-]{0,62}\.?")
"""A name with a domain, as octets."""
SOURCES = ("IPSECKEY", "TXT", "KEY")
"""Record types in the order in which they count where they say the same."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One way to reach a destination through IPsec."""

    address: Address
    key: PublicKey | None
    """None: the record has none, it is to be asked for under the gateway's own name."""
    octets: bytes
    """The key as the record has it, to compare."""
    preference: int
    source: str
    grade: Grade
    """DNSSEC or DNS: what a peer has proved that shows this key."""
    name: str = ""
    """What the record calls it; it may then identify by that name instead of its address."""


@dataclass(frozen=True, slots=True)
class Published:
    """The public keys that the DNS has under a name."""

    keys: tuple[PublicKey, ...]
    grade: Grade = Grade.DNS
    """DNSSEC or DNS: what a peer has proved that shows one of them."""
    ttl: float = 0.0
    """Seconds they may be believed, or their absence."""
    reason: str = ""
    """Why there are none."""
    names: tuple[str, ...] = ()
    """Gateways that its records name; their keys stand under those names (RFC 4025 2.5, RFC 4322 5.2)."""
    bogus: bool = False
    """They are signed, and wrongly: nobody may be believed to have none."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the records of a name come to."""

    records: tuple[OeRecord, ...]
    complaints: tuple[str, ...]
    """A line for each record that is malformed."""

    def names(self) -> tuple[str, ...]:
        """Gateways that are names and so have to be looked up."""
        return tuple(dict.fromkeys(one.gateway for one in self.records if isinstance(one.gateway, str)))


def reverse_name(address: Address) -> str:
    """The name an address has its records under: `4.3.2.1.in-addr.arpa`, or nibbles under ip6.arpa (RFC 3596 2.5)."""
    return address.reverse_pointer


def dns_name(identity: Identity) -> str:
    """The host name that an identity is (ID_FQDN), in lower case and without a last dot; empty: it is none."""
    if identity.kind is not IdKind.FQDN or not HOST_NAME.fullmatch(identity.body):
        return ""
    return identity.body.decode("ascii").lower().rstrip(".")


def read_records(owner: str, answers: Iterable[tuple[str, bytes]]) -> Found:
    """The records of `owner`, given as (type, data); a bad one is complained about and the others count."""
    records: list[OeRecord] = []
    complaints: list[str] = []
    for number, (kind, data) in enumerate(answers):
        if number == MOST_RECORDS:
            complaints.append(f"{owner} has more than {MOST_RECORDS} records, the others are not looked at")
            break
        parser = PARSERS.get(kind)
        if parser is None:
            continue
        try:
            record = parser(data)
        except WireError as why:
            complaints.append(f"{kind} record of {owner} is not used: {why}")
            continue
        if record is not None:
            records.append(record)
    return Found(tuple(records), tuple(complaints))


def gateways(
    destination: Address,
    found: Found,
    *,
    signed: bool,
    names: Mapping[str, tuple[Address, ...]] | None = None,
) -> tuple[tuple[Gateway, ...], tuple[str, ...]]:
    """The gateways for a destination, best first, and what is wrong with the others.

    `signed`: the answer was validated (DNSSEC). `names` are the addresses of gateways that are names. Ties keep the
    order of arrival.
    """
    usable: list[Gateway] = []
    complaints: list[str] = []
    owner = reverse_name(destination)

    def refuse(record: OeRecord, why: str) -> None:
        complaints.append(f"{record.source} record of {owner} is not used: {why}")

    for record in found.records:
        if record.source == "KEY":
            continue
        try:
            key = public_key_of(int(record.kind), record.key) if record.kind is not KeyKind.NONE else None
        except CryptoError as why:
            refuse(record, f"invalid key data: {why}")
            continue
        addresses = _addresses(record, destination, names or {})
        if not addresses:
            refuse(record, f"gateway {record.gateway} has no address")
        for address in addresses:
            if not signed and address != destination:
                refuse(record, f"it is unsigned and delegates to {address}: only a signed one may name another")
            elif _impossible(address):
                refuse(record, f"{address} cannot be a gateway")
            else:
                grade = Grade.DNSSEC if signed else Grade.DNS
                name = record.gateway if isinstance(record.gateway, str) else ""
                usable.append(Gateway(address, key, record.key, record.preference, record.source, grade, name))
    best: dict[tuple[Address, bytes], Gateway] = {}
    for one in sorted(usable, key=_order):
        best.setdefault((one.address, one.octets), one)
    ordered = tuple(best.values())
    if len(ordered) > MOST_GATEWAYS:
        complaints.append(f"{owner} names {len(ordered)} gateways, the first {MOST_GATEWAYS} are tried")
    return ordered[:MOST_GATEWAYS], tuple(dict.fromkeys(complaints))


def _order(one: Gateway) -> tuple[int, int]:
    return one.preference, SOURCES.index(one.source)


def _addresses(record: OeRecord, owner: Address, names: Mapping[str, tuple[Address, ...]]) -> tuple[Address, ...]:
    if record.gateway is None:
        return (owner,)
    return names.get(record.gateway, ()) if isinstance(record.gateway, str) else (record.gateway,)


def _impossible(address: Address) -> bool:
    return address.is_multicast or address.is_loopback or address.is_unspecified or address.is_link_local


def with_key(connection: Connection, gateway: Gateway) -> Connection:
    """An opportunistic conn whose peer has to be that gateway: nobody without its key will do, and no other proof."""
    end = group_end(connection)
    assert end is not None and gateway.key is not None, f"{gateway.address} has no key"
    signed = connection.proof(end) & SIGNATURES
    far = replace(end, rsa_keys=(raw_octets(gateway.key),), dns_key=False, auth=signed)
    return replace(connection, right=far) if end is connection.right else replace(connection, left=far)


def keys_of(owner: str, found: Found) -> tuple[tuple[tuple[bytes, PublicKey], ...], tuple[str, ...]]:
    """The public keys a name has with their octets, whatever is said of gateways (forward names, KEY records)."""
    keys: dict[bytes, PublicKey] = {}
    complaints: list[str] = []
    for record in sorted(found.records, key=lambda one: SOURCES.index(one.source)):
        if record.kind is KeyKind.NONE:
            continue
        try:
            keys.setdefault(record.key, public_key_of(int(record.kind), record.key))
        except CryptoError as why:
            complaints.append(f"{record.source} record of {owner} is not used: invalid key data: {why}")
    return tuple(keys.items()), tuple(complaints)
