# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses given to peers: who has which, kept for each identity, released and used again.

An identity finds its address again as long as nobody else needed it: fresh addresses are given before those that were
somebody's, and of those the one released longest ago goes first. What is remembered of absent peers is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_network

from openswan.base.address import Address, Subnet
from openswan.policy.modecfg import Pool

Busy = Callable[[Address], bool]
MOST_REMEMBERED = 65536
"""Absent identities whose address is remembered, for each pool."""
LEAST_SHARE, SHARE = 16, 4
"""Peers that prove nothing and come from one outer address, or one /64, have one part in so many of what pools hold,
and so many addresses at least: who is behind one NAT box does not use up what is there for all."""
NEIGHBOURHOOD = {4: 32, 6: 64}
"""Prefix lengths of what counts as one outer address."""


@dataclass(eq=False, slots=True)
class Lease:
    """One address and whose it is."""

    address: Address
    owner: Hashable
    holders: set[int] = field(default_factory=set)
    """Serials of the IKE SAs that use it; empty: released, and kept for its owner as long as may be."""


class Book:
    """The leases of one pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.owners: dict[Hashable, Lease] = {}
        self.released: dict[Hashable, Lease] = {}
        """Oldest first."""
        self.returned: dict[Address, None] = {}
        """Addresses whose owner was forgotten, oldest first."""
        self.fresh = 0
        """Addresses from this place on have never been given, unless somebody wished for one."""

    @property
    def in_use(self) -> int:
        """Leases that are not released."""
        return len(self.owners) - len(self.released)


class Leases:
    """All pools. An address is given once, also where pools overlap."""

    def __init__(self) -> None:
        self.books: dict[Pool, Book] = {}
        self.given: dict[Address, Lease] = {}
        self.held: dict[int, list[tuple[Book, Lease]]] = {}
        """By the serial of an IKE SA."""
        self.origins: dict[int, Subnet] = {}
        """Where IKE SAs come from whose peers prove nothing, by serial; and how many of those have addresses."""
        self.crowds: Counter[Subnet] = Counter()
        self.refused = 0
        """Requests of more peers of one origin than may have addresses."""
        self.complained: set[Subnet] = set()
        """Origins that have been refused so, until none of theirs is left."""

    def crowded(self, pools: Iterable[Pool], origin: Address, holder: int) -> tuple[Subnet, int] | None:
        """Have as many peers of an origin, that prove nothing, addresses of these pools as may? Then what counts as the
        origin and how many may; else the IKE SA is counted once it has taken one."""
        share = max(LEAST_SHARE, sum(pool.size for pool in pools) // SHARE)
        where = ip_network((origin, NEIGHBOURHOOD[origin.version]), strict=False)
        if holder not in self.held and self.crowds[where] >= share:
            self.refused += 1
            return where, share
        if holder not in self.origins:
            self.origins[holder] = where
        return None

    def take(
        self,
        pools: Iterable[Pool],
        owner: Hashable,
        holder: int,
        wish: Address | None = None,
        busy: Busy = lambda address: False,
    ) -> Address | None:
        """An address for `owner`, used by IKE SA `holder`; None when the pools are used up.

        `wish`: given when it is nobody's. `busy` addresses are never given.
        """
        books = [self.books.setdefault(pool, Book(pool)) for pool in pools]
        for way in (self._again, self._wished, self._unused, self._longest_released):
            for book in books:
                lease = way(book, owner, wish, busy)
                if lease is not None:
                    book.released.pop(lease.owner, None)
                    if holder not in lease.holders:
                        lease.holders.add(holder)
                        if holder in self.origins and holder not in self.held:
                            self.crowds[self.origins[holder]] += 1
                        self.held.setdefault(holder, []).append((book, lease))
                    return lease.address
        return None

    def release(self, holder: int) -> None:
        """An IKE SA has ended: what only it used is free, and remembered."""
        origin = self.origins.pop(holder, None)
        if origin is not None and holder in self.held:
            self.crowds[origin] -= 1
            if not self.crowds[origin]:
                del self.crowds[origin]
                self.complained.discard(origin)
        for book, lease in self.held.pop(holder, ()):
            lease.holders.discard(holder)
            if lease.holders:
                continue
            book.released[lease.owner] = lease
            # A number is nobody: who has no identity of its own comes back as another one, and may wish for this one.
            nobody = isinstance(lease.owner, int)
            if nobody or len(book.released) > MOST_REMEMBERED:
                oldest = lease if nobody else next(iter(book.released.values()))
                self._forget(book, oldest)
                book.returned[oldest.address] = None

    def move(self, old: int, new: int) -> None:
        """A rekeyed IKE SA inherits."""
        moved = self.held.pop(old, [])
        for _, lease in moved:
            lease.holders.discard(old)
            lease.holders.add(new)
        if (origin := self.origins.pop(old, None)) is not None and moved:
            self.origins[new] = origin
        if moved:
            self.held.setdefault(new, []).extend(moved)

    # Ways to find one, best first.

    def _again(self, book: Book, owner: Hashable, wish: Address | None, busy: Busy) -> Lease | None:
        lease = book.owners.get(owner)
        return None if lease is None or busy(lease.address) else lease

    def _wished(self, book: Book, owner: Hashable, wish: Address | None, busy: Busy) -> Lease | None:
        if wish is None or wish not in book.pool or wish in self.given or busy(wish):
            return None
        return self._give(book, wish, owner)

    def _unused(self, book: Book, owner: Hashable, wish: Address | None, busy: Busy) -> Lease | None:
        while book.fresh < book.pool.size and len(book.returned) <= MOST_REMEMBERED:
            address = book.pool.at(book.fresh)
            book.fresh += 1
            if address not in self.given and not busy(address):
                return self._give(book, address, owner)
        while book.returned:
            address = next(iter(book.returned))
            del book.returned[address]
            if address not in self.given and not busy(address):
                return self._give(book, address, owner)
        return None

    def _longest_released(self, book: Book, owner: Hashable, wish: Address | None, busy: Busy) -> Lease | None:
        for lease in book.released.values():
            if not busy(lease.address):
                self._forget(book, lease)
                return self._give(book, lease.address, owner)
        return None

    def _give(self, book: Book, address: Address, owner: Hashable) -> Lease:
        lease = Lease(address, owner)
        # An owner that had another address here, which is busy now, loses it.
        if (former := book.owners.get(owner)) is not None:
            self._forget(book, former)
        book.returned.pop(address, None)
        self.given[address] = book.owners[owner] = lease
        return lease

    def _forget(self, book: Book, lease: Lease) -> None:
        book.released.pop(lease.owner, None)
        book.owners.pop(lease.owner, None)
        self.given.pop(lease.address, None)
