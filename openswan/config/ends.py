# SPDX-License-Identifier: GPL-2.0-or-later
"""left and right: from keyword values to policy.End. Every function takes text and raises ConfigError with a reason."""

from __future__ import annotations

import re
from ipaddress import ip_address

from openswan.base.address import Address, Subnet, host_subnet, parse_address, parse_classic_subnet
from openswan.base.errors import ConfigError, CryptoError
from openswan.base.octets import parse_octets
from openswan.config.keyword import split_list
from openswan.crypto.rsakey import decode_public
from openswan.policy.connection import Auth, Host, HostKind

HOST_WORDS = {
    "%any": HostKind.ANY,
    "%any4": HostKind.ANY,
    "%any6": HostKind.ANY,
    "%defaultroute": HostKind.DEFAULTROUTE,
    "%opportunistic": HostKind.OPPORTUNISTIC,
    "%oppo": HostKind.OPPORTUNISTIC,
    "%group": HostKind.GROUP,
    "%opportunisticgroup": HostKind.OPPORTUNISTIC_GROUP,
    "%oppogroup": HostKind.OPPORTUNISTIC_GROUP,
}
OPPORTUNISTIC = (HostKind.OPPORTUNISTIC, HostKind.GROUP, HostKind.OPPORTUNISTIC_GROUP)
HOST_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?")
DEVICE = re.compile(r"[^\s/:%]{1,15}")
AUTHS = {
    "secret": Auth.PSK,
    "psk": Auth.PSK,
    "rsasig": Auth.RSASIG,
    "rsa": Auth.RSASIG,
    "rsa-sha1": Auth.RSASIG,
    "rsa-sha2": Auth.RSASIG,
    "rsa-sha2-256": Auth.RSASIG,
    "rsa-sha2-384": Auth.RSASIG,
    "rsa-sha2-512": Auth.RSASIG,
    "ecdsa": Auth.ECDSA,
    "ecdsa-sha2": Auth.ECDSA,
    "ecdsa-sha2-256": Auth.ECDSA,
    "ecdsa-sha2-384": Auth.ECDSA,
    "ecdsa-sha2-512": Auth.ECDSA,
    "eddsa": Auth.EDDSA,
    "ed25519": Auth.EDDSA,
    "ed448": Auth.EDDSA,
    "eap": Auth.EAP_TLS | Auth.EAP_MSCHAPV2,
    "eap-tls": Auth.EAP_TLS,
    "eap-mschapv2": Auth.EAP_MSCHAPV2,
    "eaponly": Auth.EAP_ONLY,
    "eap-only": Auth.EAP_ONLY,
    "pubkey": Auth.RSASIG | Auth.ECDSA | Auth.EDDSA,
    "null": Auth.NULL,
    "xauth": Auth.XAUTH,
    "never": Auth.NEVER,
}
WORDS = "secret, rsasig, ecdsa, eddsa, eap-mschapv2, eap-tls, eaponly, xauth, null, never"
"""Of those, what an error names."""
DNS_KEYS = ("%dns", "%dnsonload", "%dnsondemand")
MOST_SUBNETS = 4096


def parse_host(text: str) -> Host:
    """left= or right=."""
    lowered = text.lower()
    if lowered in HOST_WORDS:
        return Host(HOST_WORDS[lowered])
    if text.startswith("%"):
        if not DEVICE.fullmatch(text[1:]):
            raise ConfigError(f"'{text[:40]}' is neither a known % word nor a device's name")
        return Host(HostKind.INTERFACE, name=text[1:])
    try:
        address = ip_address(text)
    except ValueError:
        if not HOST_NAME.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
            raise ConfigError(f"'{text[:60]}' is neither an address nor a host name") from None
        return Host(HostKind.NAME, name=text)
    if getattr(address, "scope_id", None):
        raise ConfigError(f"'{text}' has a scope: link-local addresses cannot be ends")
    # The unspecified address is the classic way to say %any.
    return Host(HostKind.ANY) if address.is_unspecified else Host(HostKind.ADDRESS, address)


def parse_client(text: str, version: int) -> tuple[Subnet, str]:
    """A subnet and, when its host bits were set, a warning about it."""
    if "/" not in text and text != "%default":
        try:
            return host_subnet(ip_address(text)), ""
        except ValueError:
            raise ConfigError(f"'{text[:60]}' is not a subnet: names are not looked up here") from None
    subnet, port = parse_classic_subnet(text, version if text == "%default" else 0)
    if port:
        raise ConfigError(f"'{text[:60]}': write the port in leftprotoport= or rightprotoport=")
    if text != "%default" and str(subnet) != text:
        written = text.partition("/")[0]
        try:
            if ip_address(written) != subnet[0]:
                return subnet, f"'{text}' has host bits set, {subnet} is used"
        except ValueError:
            pass  # 10/8 and the like: no host bits to speak of
    return subnet, ""


def parse_clients(text: str) -> tuple[tuple[Subnet, ...], tuple[str, ...]]:
    """The subnets of leftsubnets={...} and warnings."""
    found = [parse_client(item, 4) for item in re.split(r"[\s,]+", text.strip("{} \t")) if item]
    if not found:
        raise ConfigError("the list is empty")
    if len(found) > MOST_SUBNETS:
        raise ConfigError(f"{len(found)} subnets, at most {MOST_SUBNETS} are allowed")
    return tuple(subnet for subnet, _ in found), tuple(complaint for _, complaint in found if complaint)


def parse_sources(text: str) -> tuple[Address, ...]:
    """leftsourceip=: at most one address of each family."""
    addresses: list[Address] = []
    for item in re.split(r"[\s,]+", text.strip()):
        try:
            addresses.append(ip_address(item))
        except ValueError:
            raise ConfigError(f"'{item[:60]}' is not a numeric IP address") from None
    if len({address.version for address in addresses}) != len(addresses):
        raise ConfigError("at most one address of each family can be the source")
    return tuple(addresses)


def parse_gateways(text: str) -> tuple[Address, ...]:
    """redirect-to= and its kin: addresses."""
    return tuple(dict.fromkeys(parse_address(item) for item in split_list(text)))


def parse_nexthop(text: str) -> Address | None:
    """leftnexthop=; None: follow the actual route."""
    if text.lower() in ("%direct", "%defaultroute"):
        return None
    try:
        return ip_address(text)
    except ValueError:
        raise ConfigError(f"'{text[:60]}' is neither an address nor %direct nor %defaultroute") from None


def parse_key(text: str) -> bytes:
    """An inline RSA public key as RFC 3110 octets, checked."""
    try:
        octets = parse_octets(text, blanks=True)
        decode_public(octets)
    except (ConfigError, CryptoError) as why:
        raise ConfigError(f"not an RSA public key: {why}") from None
    return octets


def parse_auth(text: str) -> Auth:
    """authby=, leftauth=: one way or several."""
    flags = Auth(0)
    for item in re.split(r"[\s,|]+", text.strip().lower()):
        word = item.replace("_", "-")
        if word not in AUTHS:
            raise ConfigError(f"invalid value: {item[:40]} (there are {WORDS})")
        flags |= AUTHS[word]
    if Auth.NEVER in flags and flags != Auth.NEVER:
        raise ConfigError("never excludes all others")
    return flags
