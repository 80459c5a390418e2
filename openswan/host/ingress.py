# SPDX-License-Identifier: GPL-2.0-or-later
"""What packet rings hold need not go through the kernel's IP layer as well: dropped where an interface hands it in.

The table belongs to our netlink socket (NFT_TABLE_F_OWNER, Linux 5.12): nobody else can change it, and it goes with the
socket, however the daemon ends, so that raw sockets always get what no ring does. As long as the daemon lives the hook
stays: when one goes the kernel drops all that waits in NFQUEUE, and rings come and go with the load.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.base.numbers import IpProtocol
from openswan.host.nfnetlink import (
    NF_DROP,
    NFPROTO_NETDEV,
    TABLE_OWNER,
    Nftables,
    bitwise,
    compare,
    meta,
    payload,
    verdict,
)
from openswan.host.packetsock import ETHERTYPES, FRAGMENT, PACKET_HOST, PLAIN_HEAD

TABLE, CHAIN = "openswan_esp", "ingress"
FIRST = -500
"""Priority: before other people's chains, which would work on what is dropped all the same."""


def match(address: Address) -> list[bytes]:
    """A packet that packetsock.program() lets into a ring, for one of its addresses."""
    first = [
        meta("pkttype", 1),
        compare(1, bytes((PACKET_HOST,))),
        meta("protocol", 1),
        compare(1, struct.pack(">H", ETHERTYPES[address.version])),
    ]
    esp = bytes((IpProtocol.ESP,))
    if address.version == 6:
        return [
            *first,
            payload("network", 6, 1, 1),
            compare(1, esp),
            payload("network", 24, 16, 1),
            compare(1, address.packed),
        ]
    return [
        *first,
        payload("network", 0, 1, 1),
        compare(1, bytes((PLAIN_HEAD,))),
        # Flags and fragment offset, time to live, protocol: four octets at once, as each step costs every packet.
        payload("network", 6, 4, 1),
        bitwise(1, struct.pack(">HBB", FRAGMENT, 0, 0xFF), bytes(4)),
        compare(1, bytes(3) + esp),
        payload("network", 16, 4, 1),
        compare(1, address.packed),
    ]


class Ingress:
    """The drops of one interface. What has been hooked once stays so until close(): nothing else that waits is lost."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._nft: Nftables | None = None

    def drop(self, addresses: Sequence[Address]) -> None:
        """What rings take for these addresses goes no further.

        HostError when the kernel has no such hook, or knows no owner of a table; then everything passes.
        """
        # Several gateways may share a network namespace; each has a table of its own.
        nft = self._nft = self._nft or Nftables(f"{TABLE}_{os.getpid()}_{self._interface}", family=NFPROTO_NETDEV)
        rules = [nft.rule(CHAIN, [*match(each), verdict(NF_DROP)]) for each in addresses]
        hook = nft.base_chain(CHAIN, "filter", "ingress", FIRST, self._interface)
        try:
            nft.commit([nft.new_table(TABLE_OWNER), hook, nft.flush_chain(CHAIN), *rules])
        except HostError:
            self.close()
            raise

    def let_pass(self) -> None:
        """Everything passes again."""
        if self._nft is None:
            return
        try:
            self._nft.commit([self._nft.flush_chain()])
        except HostError:
            self.close()

    def close(self) -> None:
        """Everything passes again, and by no hook of ours."""
        if self._nft is not None:
            self._nft.close()
            self._nft = None
