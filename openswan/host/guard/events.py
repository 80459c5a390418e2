# SPDX-License-Identifier: GPL-2.0-or-later
"""What others do to packet filters, as nf_tables tells it."""

from __future__ import annotations

import struct
from collections.abc import Sequence, Set

from openswan.host import nfnetlink as nf
from openswan.host.nlmsg import NETLINK_NETFILTER, NetlinkSocket, parse_attrs, split_from


class Events:
    """nf_tables events of others: which concern our tables, which somebody's chains."""

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

    def read(self) -> tuple[bool, bool]:
        """(one of our tables was touched, chains came or went) since the last call."""
        ours = nat = False
        while True:
            try:
                data = self._socket.sock.recv(1 << 20)
            except BlockingIOError:
                return ours, nat
            except OSError:
                ours = nat = True  # events were lost
                continue
            for kind, _seq, portid, body in split_from(data):
                if portid in self._own or kind >> 8 != nf.SUBSYS_NFTABLES:
                    continue
                what = kind & 0xFF
                if what in (nf.NEWCHAIN, nf.DELCHAIN, nf.NEWTABLE, nf.DELTABLE):
                    nat = True
                table = dict(parse_attrs(body[struct.calcsize("BBH") :])).get(1, memoryview(b""))
                name = bytes(table).rstrip(b"\0").decode(errors="replace")
                if name in self._tables:
                    ours = True
