# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs of gateways whose conns are IKEv1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from openswan.policy.algorithms import parse_esp, parse_ike
from openswan.policy.connection import Auth, Connection
from tests.sim.net import Faults
from tests.sim.pair import Pair, make_pair, rfc3110, rsa_key, rsa_secrets, tunnel

V1: dict[str, Any] = {
    "ike_version": 1,
    "ike_proposals": parse_ike("aes128-sha1-ecp256", ikev1=True).proposals,
    "esp_proposals": parse_esp("aes128-sha1", ikev1=True).proposals,
}
"""What makes a connection IKEv1, by algorithms that are quick to compute."""


def v1_tunnel(nat: bool = False, rsa: bool = False, **more: Any) -> tuple[Connection, Connection]:
    """The connection as each end writes it."""
    west, east = tunnel(nat=nat, **{**V1, **more})
    if not rsa:
        return west, east
    keys = rfc3110(rsa_key(1)), rfc3110(rsa_key(2))
    signed = (
        replace(
            it,
            auth=Auth.RSASIG,
            left=replace(it.left, rsa_keys=keys[:1]),
            right=replace(it.right, rsa_keys=keys[1:]),
        )
        for it in (west, east)
    )
    return next(signed), next(signed)


def v1_pair(seed: int | str = 1, faults: Faults | None = None, nat: bool = False, rsa: bool = False) -> Pair:
    """Two gateways with the secrets for it."""
    secrets = {"west_secrets": rsa_secrets(1), "east_secrets": rsa_secrets(2)} if rsa else {}
    return make_pair(seed, faults or Faults(), nat=nat, **secrets)


def v1_up(seed: int = 1, faults: Faults | None = None, nat: bool = False, rsa: bool = False, **more: Any) -> Pair:
    """And their tunnel."""
    pair = v1_pair(seed, faults, nat, rsa)
    west, east = v1_tunnel(nat, rsa, **more)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(120.0, lambda: pair.up() and pair.agreed()), pair.west.lines[-8:]
    pair.run(1.0)
    return pair
