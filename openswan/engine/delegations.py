# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts that peers speak for: whether the DNS, or a certificate, says that a host is behind the gateway that asks.

    child for a host that is not the peer itself -> its records known? -> one names the peer, with the key it has shown?
                                                                 no -> LearnGateways -> GatewaysLearned -> asked again

Only signed records name another host's gateway (openswan.policy.gateways), and nobody who has proved nothing speaks for
anybody, nor anybody for a host on a link of ours: that one answers past its gateway, in clear.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from openswan.base.address import Address
from openswan.base.interval import Instant
from openswan.crypto.dnskey import raw_octets
from openswan.engine.core import Core
from openswan.engine.demux import Bucket
from openswan.engine.effects import LearnGateways
from openswan.engine.events import GatewaysLearned
from openswan.ike.machine import Machine
from openswan.ike.v2.tasks.cert import carries_name
from openswan.policy.gateways import Gateway
from openswan.policy.identity import address_identity

MOST_AT_ONCE = 256
"""Hosts that are looked up for peers at a time,"""
RATE, BURST = 250.0, 500.0
"""and how many a second, and at once: who asks has shown a key that the DNS has for its own address."""
MOST_KNOWN = 4096
LEAST_AGE = 5.0
"""Seconds for which an answer is good whatever its TTL: whoever asked for it comes back for it."""


class Delegations:
    """What is known of hosts' gateways, and who waits for more."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.known: OrderedDict[Address, tuple[Instant, tuple[Gateway, ...]]] = OrderedDict()
        """By host, and until when."""
        self.waiting: dict[Address, list[Callable[[], None]]] = {}
        self.bucket = Bucket(RATE, BURST)

    def knows(self, host: Address) -> bool:
        """Is it known who a host's gateways are, or that nobody will say?"""
        return self.known.get(host, (0.0, ()))[0] > self.core.now

    def start(self, host: Address, done: Callable[[], None]) -> None:
        """Look a host up and call `done`, at once when too many are; one look-up however many wait."""
        if host in self.waiting:
            self.waiting[host].append(done)
        elif len(self.waiting) >= MOST_AT_ONCE or not self.bucket.take(self.core.now):
            done()
        else:
            self.waiting[host] = [done]
            self.core.emit(LearnGateways(host))

    def learned(self, event: GatewaysLearned) -> None:
        """The DNS has answered, or has not; also what somebody else has asked for counts."""
        learned = event.learned
        host = learned.destination
        self.known.pop(host, None)
        self.known[host] = (self.core.now + max(LEAST_AGE, learned.ttl), learned.gateways)
        while len(self.known) > MOST_KNOWN:
            self.known.popitem(last=False)
        for done in self.waiting.pop(host, ()):
            done()

    def allows(self, host: Address, peer: Machine) -> bool:
        """May the peer of an IKE SA speak for a host that is not itself?"""
        if peer.anonymous or host in self.core.plugs.onlink:
            return False
        if peer.peer_chain and carries_name(peer.peer_chain[0], address_identity(host)):
            return True
        until, gateways = self.known.get(host, (0.0, ()))
        return until > self.core.now and any(
            one.address == peer.remote.address and one.key is not None and raw_octets(one.key) == peer.peer_key
            for one in gateways
        )
