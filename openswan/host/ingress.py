# SPDX-License-Identifier: GPL-2.0-or-later
"""What packet rings hold need not go through the kernel's IP layer as well: dropped where an interface hands it in.

The table belongs to our netlink socket (NFT_TABLE_F_OWNER, Linux 5.12): nobody else can change it, and it goes with the
socket, however the daemon ends, so that raw sockets always get what no ring does.
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

TABLE = "openswan_esp"
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
    """The drops of one interface, for as long as it is open."""

    def __init__(self, interface: str, addresses: Sequence[Address]) -> None:
        """HostError when the kernel has no such hook, or knows no owner of a table."""
        # Several gateways may share a network namespace; each has a table of its own.
        self._nft = Nftables(f"{TABLE}_{os.getpid()}_{interface}", family=NFPROTO_NETDEV)
        chain = "ingress"
        try:
            self._nft.commit(
                [
                    self._nft.new_table(TABLE_OWNER),
                    self._nft.base_chain(chain, "filter", "ingress", FIRST, interface),
                    *(self._nft.rule(chain, [*match(each), verdict(NF_DROP)]) for each in addresses),
                ]
            )
        except HostError:
            self._nft.close()
            raise

    def close(self) -> None:
        """Let everything pass again."""
        self._nft.close()
