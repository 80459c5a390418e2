# SPDX-License-Identifier: GPL-2.0-or-later
"""A peer whose key is in the DNS asks for a host behind it: the host's own records have to name it (RFC 4322 3.2).

They are looked up in IKE_AUTH before anything is answered. Requests for later children are set aside meanwhile, where
the window has room for others, and refused for the moment when it takes too long (TEMPORARY_FAILURE, RFC 7296 2.25), so
that one slow name does not hold up an IKE SA.
"""

from __future__ import annotations

from openswan.ike.later import GatewaysJob
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.ike.v2.narrow import from_wire
from openswan.wire.message import Message
from openswan.wire.v2.ts import TsI

MOST_HOSTS = 2
"""Of one request: the selector of its first packet, and the one that is meant."""


def learn(sa: Core, policy: IkePolicy, request: Message) -> None:
    """Have the hosts looked up that the first child is about; Later while they are."""
    wanted = request.first(TsI)
    if not policy.peer_published or wanted is None:
        return
    for selector in from_wire(wanted)[:MOST_HOSTS]:
        host = selector.first
        if selector.last == host != sa.remote.address and not sa.ask.knows_gateways(host):
            sa.need(GatewaysJob(host))
