# SPDX-License-Identifier: GPL-2.0-or-later
"""A manually keyed conn as ipsec.conf describes it: frozen plain data, not yet seen from either end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from openswan.base.address import Address, Subnet, host_subnet
from openswan.base.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ManualSa:
    """ESP or AH one way."""

    protocol: str
    """esp or ah."""
    spi: int
    cipher: str
    enc_key: bytes
    integ: str
    auth_key: bytes
    replay_window: int

    def __repr__(self) -> str:
        return f"ManualSa({self.protocol} 0x{self.spi:x} {self.cipher} {self.integ})"


@dataclass(frozen=True, slots=True)
class ManualEnd:
    """One end, and the SAs that lead to it, innermost first."""

    address: Address | None
    """None: %defaultroute, to be told by --iam."""
    subnet: Subnet | None
    nexthop: Address | None
    updown: str
    sas: tuple[ManualSa, ...]
    firewall: bool = False
    """leftfirewall,"""
    host_access: bool = False
    """and lefthostaccess: what is opened in the packet filter while the conn is up."""

    @property
    def client(self) -> Subnet:
        """What it protects: a subnet or itself."""
        assert self.address is not None
        return self.subnet if self.subnet is not None else host_subnet(self.address)


@dataclass(frozen=True, slots=True)
class ManualConn:
    """A manually keyed conn, not yet seen from either end."""

    name: str
    left: ManualEnd
    right: ManualEnd
    tunnel: bool = True
    leak_guard: bool = True
    metric: int = 0
    mtu: int = 0
    start: bool = False
    """auto=manual: it comes up with the daemon."""

    def oriented(
        self, ours: Iterable[Address], other: bool = False, iam: Address | None = None
    ) -> tuple[ManualEnd, ManualEnd]:
        """(our end, their end); ConfigError when it is neither, or both. `other` sees it from the far end."""
        local = set(ours) | ({iam} if iam else set())
        ends = [
            replace(end, address=iam) if end.address is None and iam is not None else end
            for end in (self.left, self.right)
        ]
        for end, name in zip(ends, ("left", "right"), strict=True):
            if end.address is None:
                raise ConfigError(f'conn "{self.name}": {name}=%defaultroute wants --iam ADDRESS@INTERFACE')
        mine = [end for end in ends if end.address in local]
        if len(mine) != 1:
            what = "neither end is" if not mine else "both ends are"
            raise ConfigError(f'conn "{self.name}": {what} this host; --iam ADDRESS@INTERFACE says which')
        theirs = ends[1 - ends.index(mine[0])]
        return (theirs, mine[0]) if other else (mine[0], theirs)
