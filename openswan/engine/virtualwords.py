# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of IKEv1 about clients of road warriors (vhost:, vnet:, rightsubnetwithin=) that cannot be had."""

from __future__ import annotations

from openswan.engine.conn import Conn
from openswan.engine.conndb import wanted_peer
from openswan.policy.identity import Identity
from openswan.policy.selector import Selector
from openswan.policy.virtual import Virtual

REJECTED = "peer proposal was reject in a virtual connection policy because:"


def overlap(client: Selector, taker: Conn, holder: Conn, peer_id: Identity) -> tuple[str, ...]:
    """A client that is another peer's already: whose, who would have to agree (overlapip=), and who asks."""
    agreeing = [conn.policy.overlap_ip for conn in (taker, holder)]
    who = f"{(holder if agreeing[0] else taker).name} does not agree" if any(agreeing) else "neither agrees"
    return (
        f"Virtual IP {client} overlaps with connection {holder.label} (kind={holder.kind.value})"
        f" '{wanted_peer(holder) or '%any'}'",
        f"overlap is forbidden ({who} to overlap)",
        f"Your ID is '{peer_id}'",
    )


def rejected(client: Selector, virtual: Virtual) -> tuple[str, ...]:
    """A client that a peer may not have; empty when its own side is not what is wrong."""
    if virtual.fits(client):
        return ()
    if not virtual.networks and client.first != client.last:
        return REJECTED, "  only virtual host IPs are allowed"
    return (
        REJECTED,
        "  a private network virtual IP was required, but the proposed IP did not match our list (virtual_private=)",
    )
