# SPDX-License-Identifier: GPL-2.0-or-later
"""The DNS records by which peers find a host and its key: IPSECKEY (RFC 4025), TXT (RFC 4322), KEY (RFC 2535).

Under an address' reverse name they say which gateway to call, under a host name whose key it is. TXT and KEY are for
RSA keys alone.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from openswan.base.address import Address
from openswan.crypto.dnskey import RSA, record_octets
from openswan.crypto.rsakey import PublicKey
from openswan.policy.gateways import reverse_name
from openswan.wire.oerecord import ATTRIBUTE, GatewayKind

STRING_OCTETS = 255
"""Longest character-string of a TXT record (RFC 1035 3.3)."""
PRECEDENCE = 10


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """One record."""

    owner: str
    """Its name, without the final dot."""
    kind: str
    """IPSECKEY, TXT or KEY."""
    data: str
    """As a zone file has it."""

    def line(self) -> str:
        """For a zone file."""
        return f"{self.owner}.\tIN\t{self.kind}\t{self.data}"


def key_text(key: PublicKey) -> str:
    """The key in base64, as records have it."""
    return base64.b64encode(record_octets(key)[1]).decode()


def ipseckey_words(key: PublicKey, gateway: Address | None, precedence: int = PRECEDENCE) -> str:
    """An IPSECKEY record's data but for the key; no gateway: the owner itself."""
    kind = GatewayKind.NONE if gateway is None else GatewayKind.IPV4 if gateway.version == 4 else GatewayKind.IPV6
    return f"{precedence} {int(kind)} {record_octets(key)[0]} {gateway or '.'}"


def txt_data(key: PublicKey, gateway: Address | str, precedence: int = PRECEDENCE) -> str:
    """A TXT record's data; `gateway` is an address or @NAME."""
    text = key_text(key)
    strings = [text[at : at + STRING_OCTETS] for at in range(0, len(text), STRING_OCTETS)]
    return " ".join(f'"{part}"' for part in (f"{ATTRIBUTE}({precedence})={gateway} ", *strings))


def key_data(key: PublicKey) -> str:
    """A KEY record's data: of a host, for IPsec; flags in decimal, as every server reads them."""
    return f"16896 4 1 {key_text(key)}"


def of_address(
    address: Address, key: PublicKey, gateway: Address | None = None, precedence: int = PRECEDENCE
) -> tuple[OwnRecord, ...]:
    """What stands under an address' reverse name; without a gateway the address is its own."""
    owner, through = reverse_name(address), gateway or address
    found = [OwnRecord(owner, "IPSECKEY", f"{ipseckey_words(key, through, precedence)} {key_text(key)}")]
    if record_octets(key)[0] == RSA:
        found.append(OwnRecord(owner, "TXT", txt_data(key, through, precedence)))
    return tuple(found)


def of_name(name: str, key: PublicKey, precedence: int = PRECEDENCE) -> tuple[OwnRecord, ...]:
    """What stands under a host name, for peers that call themselves by it."""
    found = [OwnRecord(name, "IPSECKEY", f"{ipseckey_words(key, None, precedence)} {key_text(key)}")]
    if record_octets(key)[0] == RSA:
        found.append(OwnRecord(name, "KEY", key_data(key)))
    return tuple(found)
