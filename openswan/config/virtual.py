# SPDX-License-Identifier: GPL-2.0-or-later
"""virtual_private= and the vhost:, vnet: forms of leftsubnet=."""

from __future__ import annotations

import re
from dataclasses import dataclass

from openswan.base.address import Subnet, any_subnet, parse_classic_subnet
from openswan.base.errors import ConfigError
from openswan.config.keyword import split_list
from openswan.policy.virtual import Virtual

FORM = re.compile(r"(vhost|vnet):(.*)", re.IGNORECASE)
NET = re.compile(r"%v([46]):(!?)(.+)", re.IGNORECASE)
WORDS = "%priv, %no, %all, %v4:NET or %v6:NET"


@dataclass(frozen=True, slots=True)
class Private:
    """virtual_private=: the networks %priv stands for."""

    allowed: tuple[Subnet, ...] = ()
    refused: tuple[Subnet, ...] = ()


def is_virtual(text: str) -> bool:
    """Is a subnet= of the vhost: or vnet: form?"""
    return FORM.match(text) is not None


def parse_private(text: str) -> Private:
    """`%v4:10.0.0.0/8,%v4:!10.1.0.0/16,%v6:fd00::/8`; ConfigError names the item that is none."""
    allowed: list[Subnet] = []
    refused: list[Subnet] = []
    for item in split_list(text):
        net, excluded = _net(item)
        (refused if excluded else allowed).append(net)
    return Private(tuple(allowed), tuple(refused))


def parse_virtual(text: str, private: Private) -> Virtual:
    """A vhost: or vnet: value; ConfigError names what is wrong."""
    found = FORM.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"'{text[:40]}' is neither vhost:... nor vnet:...")
    allowed: list[Subnet] = []
    refused: list[Subnet] = []
    itself = named = False
    for item in split_list(found[2]):
        word = item.lower()
        if word == "%no":
            itself = True
        elif word == "%priv":
            named = True
            allowed += private.allowed
            refused += private.refused
        elif word == "%all":
            allowed += [any_subnet(4), any_subnet(6)]
        elif word in ("%dhcp", "%ike"):
            raise ConfigError(f"'{item}' is not available: addresspool= gives peers addresses")
        else:
            net, excluded = _net(item)
            (refused if excluded else allowed).append(net)
    if not (allowed or itself or named):
        raise ConfigError(f"'{text[:40]}' allows nothing: {WORDS} is wanted")
    return Virtual(
        tuple(dict.fromkeys(allowed)), tuple(dict.fromkeys(refused)), itself, networks=found[1].lower() == "vnet"
    )


def _net(item: str) -> tuple[Subnet, bool]:
    found = NET.fullmatch(item)
    if found is None:
        raise ConfigError(f"'{item[:40]}' is not understood: {WORDS} is wanted")
    version = int(found[1])
    net, port = parse_classic_subnet(found[3], version)
    if port or net.version != version:
        raise ConfigError(f"'{item[:40]}' is no IPv{version} network")
    return net, bool(found[2])
