# SPDX-License-Identifier: GPL-2.0-or-later
"""Public keys that the DNS has for peers who ask us: looked up while their IKE_AUTH waits, and bounded.

    stranger's IKE_AUTH -> name -> known? -> its keys -> the proof is judged
                                     no -> LearnKeys -> KeysLearned -> the machine goes on from where it asked

What is asked depends on where the peer is: a claim costs us questions about its own address alone. A peer may call
itself by a name if the records of its address name that gateway: then the keys under the name are asked for as well.
That the name has the address among its own does not do: whoever has a domain can say so of any address.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from openswan.base.address import Address
from openswan.base.errors import CryptoError
from openswan.base.interval import Instant
from openswan.engine.core import Core
from openswan.engine.demux import Bucket
from openswan.engine.effects import LearnKeys
from openswan.engine.events import KeysLearned
from openswan.policy.gateways import Published, dns_name, reverse_name
from openswan.policy.identity import Identity, address_identity

MOST_AT_ONCE = 64
"""Names that are looked up for strangers at a time,"""
RATE, BURST = 50.0, 200.0
"""and how many a second, and at once."""
MOST_KNOWN = 4096
LEAST_AGE = 5.0
"""Seconds for which an answer is good whatever its TTL: whoever asked for it comes back for it."""


class PeerKeys:
    """What is known, and who waits for more."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.known: OrderedDict[str, tuple[Instant, Published]] = OrderedDict()
        """By name, and until when."""
        self.waiting: dict[str, list[Callable[[], None]]] = {}
        self.bucket = Bucket(RATE, BURST)

    def published(self, identity: Identity, remote: Address) -> Published | str:
        """The keys of a peer at `remote` that claims `identity`, or the name that has to be looked up first.

        CryptoError when it claims something that the DNS does not bind to its address, and when too many are asked for.
        """
        claimed = dns_name(identity)
        if not claimed and identity != address_identity(remote):
            raise CryptoError(
                f"keys from the DNS are an address's: the peer at {remote} has to use it as its identity, or the host "
                "name of the gateway that its records name"
            )
        of_address = self._known(reverse_name(remote))
        if not claimed or isinstance(of_address, str):
            return of_address
        if claimed not in {name.lower().rstrip(".") for name in of_address.names}:
            raise CryptoError(f"the records of {remote} do not name {claimed}, which the peer there claims to be")
        of_name = self._known(claimed)
        if isinstance(of_name, str):
            return of_name
        if not of_name.keys and of_address.keys:
            return of_address  # the key stands where the name does
        grade = of_name.grade if of_address.grade.meets(of_name.grade) else of_address.grade
        return replace(of_name, keys=of_name.keys + of_address.keys, grade=grade)

    def _known(self, name: str) -> Published | str:
        """What the DNS has under a name, or the name, which has to be looked up; CryptoError when too many have."""
        until, published = self.known.get(name, (0.0, None))
        if published is not None and until > self.core.now:
            return published
        if name not in self.waiting and (len(self.waiting) >= MOST_AT_ONCE or not self.bucket.take(self.core.now)):
            raise CryptoError("too many strangers have their keys looked up at the moment")
        return name

    def start(self, name: str, done: Callable[[], None]) -> None:
        """Look a name up and call `done`; one look-up however many wait."""
        if name not in self.waiting:
            self.core.emit(LearnKeys(name))
        self.waiting.setdefault(name, []).append(done)

    def learned(self, event: KeysLearned) -> None:
        """The DNS has answered, or has not."""
        for complaint in event.complaints:
            self.core.log(complaint, event="dns-record")
        self.known.pop(event.name, None)
        self.known[event.name] = (self.core.now + max(LEAST_AGE, event.published.ttl), event.published)
        while len(self.known) > MOST_KNOWN:
            self.known.popitem(last=False)
        for done in self.waiting.pop(event.name, ()):
            done()
