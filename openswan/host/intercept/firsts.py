# SPDX-License-Identifier: GPL-2.0-or-later
"""First packets of new pairs, of hosts behind this one: as many a second go to the daemon as it can decide about.

    the pair has begun           -> NFQUEUE, beside its first packet
    its host begins few pairs    -> NFQUEUE, so many a second of all such hosts
    its host begins many         -> NFQUEUE, so many a second of all of those
    beyond that                  -> dropped and counted in the kernel, at next to no cost; whoever sent it repeats it

So one host that scans an address space is not in the way of the others.
"""

from __future__ import annotations

import struct

from openswan.host import nfnetlink as nf
from openswan.host.intercept.packets import DROP, Addressing, R
from openswan.host.nlmsg import attr, be32, nest, zstr

FEW, FEW_BURST = 100, 400
"""New pairs a second, and at once, up to which a host behind us counts as one that begins few."""
OF_FEW, OF_MANY, NEW_BURST = 1000, 1200, 2000
"""New pairs a second that are decided about, of all such hosts and of all others, and at once of each."""
MOST_WAITING, MOST_SOURCES = 65_536, 16_384
WAITING_LIFE = 15.0
"""Seconds for which a pair counts as begun, so that its next packets wait beside its first: longer than any is kept."""
SOURCE_LIFE = 10.0
"""Seconds for which a host is remembered that begins nothing any more."""
SOURCES = ("from_closed", "from_open")
"""Hosts that begin pairs in closed groups, and in open ones."""
CHAINS = {"first_closed": "closed", "first_open": "open"}
"""Chains of packets that meet no decision, and the queue each leads to."""


def each(set_name: str, life: float, expression: bytes) -> bytes:
    """Go on only where `expression`, of which each key in the register has one of its own, does."""
    timeout = attr(6, struct.pack(">Q", int(life * 1000)))
    head = attr(1, zstr(set_name)), attr(3, be32(1)), attr(4, be32(R))
    return nf.expression("dynset", *head, timeout, nest(7, expression[4:]))


def chain(at: Addressing, queue: str, stop: list[bytes]) -> list[list[bytes]]:
    """The rules about packets that meet no decision; `stop` hands one to the queue."""
    begin = [*at.outward(), nf.learn("waiting", R, timeout=int(WAITING_LIFE * 1000)), *stop]
    few = each(f"from_{queue}", SOURCE_LIFE, nf.limit(FEW, FEW_BURST))
    return [
        [*at.outward(), nf.lookup("waiting", R), *stop],
        [at.source(), few, nf.limit(OF_FEW, NEW_BURST), *begin],
        [nf.limit(OF_MANY, NEW_BURST), *begin],
        [nf.count("refused"), DROP],
    ]
