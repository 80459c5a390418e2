# SPDX-License-Identifier: GPL-2.0-or-later
"""What others do to packet filters, as nf_tables tells it."""

from __future__ import annotations

import struct
from collections.abc import Sequence, Set
from typing import NamedTuple

from openswan.host import nfnetlink as nf
from openswan.host.nlmsg import NETLINK_NETFILTER, NetlinkSocket, parse_attrs, split_from

CHAINS = frozenset((nf.NEWTABLE, nf.DELTABLE, nf.NEWCHAIN, nf.DELCHAIN))
RULES = frozenset((nf.NEWRULE, nf.DELRULE))


class Seen(NamedTuple):
    """What has happened."""

    ours: bool = False
    """One of our tables was touched,"""
    chains: bool = False
    """tables or chains, whosever, came or went,"""
    rules: bool = False
    """and rules."""


class Events:
    """nf_tables events of others: which concern our tables, which somebody's chains and rules."""

    def __init__(self, own: Set[int], tables: Sequence[str]) -> None:
        """`own`: netlink addresses of ours, whose events are no news; 0 is nobody's."""
        self._own, self._tables = own, frozenset(tables)
        self._socket = NetlinkSocket(NETLINK_NETFILTER, (nf.NFNLGRP_NFTABLES,))
        self._socket.sock.setblocking(False)

    def fileno(self) -> int:
        """The descriptor, for an event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def read(self) -> Seen:
        """What has happened since the last call; elements of other people's sets are no news."""
        ours = chains = rules = False
        while True:
            try:
                data = self._socket.sock.recv(1 << 20)
            except BlockingIOError:
                return Seen(ours, chains, rules)
            except OSError:
                ours = chains = rules = True  # events were lost
                continue
            for kind, _seq, portid, body in split_from(data):
                if portid in self._own or kind >> 8 != nf.SUBSYS_NFTABLES:
                    continue
                chains |= kind & 0xFF in CHAINS
                rules |= kind & 0xFF in RULES
                table = dict(parse_attrs(body[struct.calcsize("BBH") :])).get(1, memoryview(b""))
                name = bytes(table).rstrip(b"\0").decode(errors="replace")
                ours |= name in self._tables
