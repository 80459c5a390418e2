# SPDX-License-Identifier: GPL-2.0-or-later
"""What an opening lets through: packets of one tunnel's selectors by one ipsecN, and by nothing else."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from openswan.base.address import Subnet
from openswan.base.numbers import IpProtocol
from openswan.host.guard.model import WITH_PORTS
from openswan.policy.selector import FlowKey

CHAINS = {"forward": "ipsec-fw-fwd", "input": "ipsec-fw-in", "output": "ipsec-fw-out"}
"""Our chain in each table of others, by the hook from whose chains it is called."""
REMARK = "ipsec: leftfirewall, lefthostaccess"
"""Beside the jump to a chain of ours."""
LONGEST_REMARK = 60


@dataclass(frozen=True, slots=True)
class Opening:
    """What one tunnel has opened; two that open the same are two, each goes by itself."""

    connection: str
    peer: str
    """The other end's outer address: instances of a conn differ in it."""
    device: str
    flows: tuple[FlowKey, ...]
    """Seen outbound, all of one IP version."""
    forward: bool
    """What is forwarded,"""
    host: bool
    """and what this host itself sends and receives."""

    @property
    def tunnel(self) -> Hashable:
        """Whose it is: one tunnel may have several, which go together."""
        return self.connection, self.peer, self.device, self.flows

    def accepts(self) -> Iterator[Accept]:
        """The rules it comes to."""
        hooks = [("forward", "forward")] if self.forward else []
        hooks += [("input", "output")] if self.host else []
        remark = "".join(c if c.isalnum() or c in "-_./%" else "_" for c in self.connection)[:LONGEST_REMARK]
        for inward, outward in hooks:
            for key in self.flows:
                near, far = (key.src_port, key.dst_port) if key.protocol in WITH_PORTS else (0, 0)
                icmp = divmod(key.src_port or key.dst_port, 256) if _is_icmp(key) else (0, 0)
                named = icmp if any(icmp) else None
                yield Accept(inward, "iifname", self.device, key.dst, key.src, key.protocol, far, near, named, remark)
                yield Accept(outward, "oifname", self.device, key.src, key.dst, key.protocol, near, far, named, remark)


def _is_icmp(key: FlowKey) -> bool:
    return key.protocol == (IpProtocol.ICMP if key.src.version == 4 else IpProtocol.ICMP6)


@dataclass(frozen=True, slots=True)
class Accept:
    """One rule."""

    hook: str
    """forward, input or output."""
    way: str
    """Which device is asked for: `iifname` or `oifname`."""
    device: str
    source: Subnet
    target: Subnet
    protocol: int
    """0: any; so are ports."""
    source_port: int
    target_port: int
    icmp: tuple[int, int] | None
    """Type and code of the only messages meant, which go both ways; None: all of them."""
    remark: str
    """The conn's name, in characters every filter takes."""


def by_hook(openings: Iterable[Opening], versions: Iterable[int]) -> dict[str, list[Accept]]:
    """The rules of these IP versions, by hook, in the order in which they were opened."""
    found: dict[str, list[Accept]] = {hook: [] for hook in CHAINS}
    for opening in openings:
        for accept in opening.accepts():
            if accept.source.version in versions:
                found[accept.hook].append(accept)
    return found


def to_line(opening: Opening) -> str:
    """As the file of openings has it."""
    flows = [[str(key.src), str(key.dst), key.protocol, key.src_port, key.dst_port] for key in opening.flows]
    return json.dumps(
        [opening.connection, opening.peer, opening.device, flows, opening.forward, opening.host], separators=(",", ":")
    )


def from_line(line: str) -> Opening:
    """The reverse; ValueError or TypeError when it is something else."""
    connection, peer, device, flows, forward, host = json.loads(line)
    if not all(isinstance(text, str) for text in (connection, peer, device)) or not 0 < len(device.encode()) < 16:
        raise ValueError("no opening")
    return Opening(connection, peer, device, tuple(flow_of(*each) for each in flows), bool(forward), bool(host))


def flow_of(src: str, dst: str, *numbers: int | str) -> FlowKey:
    """A flow from its two nets, protocol and two ports; ValueError or TypeError when it is none."""
    protocol, src_port, dst_port = (int(number) for number in numbers)
    key = FlowKey(ip_network(src), ip_network(dst), protocol, src_port, dst_port)
    if key.src.version != key.dst.version:
        raise ValueError("mixed families")
    return key
