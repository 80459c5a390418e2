# SPDX-License-Identifier: GPL-2.0-or-later
"""What this host has to say of itself in the DNS: its addresses, its name, the key it shows, the records for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from openswan.base.address import Address
from openswan.config import places
from openswan.config.secrets import SecretStore
from openswan.config.secretsfile import load_secrets
from openswan.crypto.rsakey import PublicKey
from openswan.host.machine import Machine
from openswan.policy.identity import Identity, IdKind, address_identity
from openswan.policy.ownrecords import PRECEDENCE, OwnRecord, of_address, of_name

MOST_ADDRESSES = 8


@dataclass(frozen=True, slots=True)
class OwnHost:
    """This host as peers are to know it."""

    addresses: tuple[Address, ...]
    name: str
    """Without its final dot; empty when it has no domain."""
    secrets: SecretStore
    complaints: tuple[str, ...] = ()
    """About ipsec.secrets."""

    def key_of(self, who: Address | str) -> PublicKey | None:
        """The public key that the host shows under that address or name; None: ipsec.secrets has none for it."""
        me = Identity(IdKind.FQDN, who.encode()) if isinstance(who, str) else address_identity(who)
        key = self.secrets.private_key(me)
        return None if key is None else key.public_key()

    def records(self, gateway: Address | None = None, precedence: int = PRECEDENCE) -> tuple[OwnRecord, ...]:
        """Those of every address and of the name that have a key."""
        found: list[OwnRecord] = []
        for address in self.addresses:
            if (key := self.key_of(address)) is not None:
                found += of_address(address, key, gateway, precedence)
        if self.name and (key := self.key_of(self.name)) is not None:
            found += of_name(self.name, key, precedence)
        return tuple(found)


def own_host(machine: Machine, name: str, address: Address | None = None) -> OwnHost:
    """The host with that name, and that address or those of its interfaces: public ones if there are any."""
    usable = [one for one, device in machine.addresses() if _outside(one) and not device.startswith("ipsec")]
    found = [address] if address else [one for one in usable if one.is_global] or usable
    store, complaints = load_secrets(places.secrets_file())
    name = name.rstrip(".")
    plain = OwnHost(tuple(dict.fromkeys(found))[:MOST_ADDRESSES], name if "." in name else "", store, tuple(complaints))
    # A record of ipsec.secrets whose index is the host's own name serves its addresses too.
    known = dict.fromkeys((each for each in store.host_names if each.rstrip(".") == name), plain.addresses)
    return replace(plain, secrets=store.with_addresses(known))


def _outside(address: Address) -> bool:
    return not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)
