# SPDX-License-Identifier: GPL-2.0-or-later
"""The last guard: table netdev openswan, whose chains see each packet where a device is given it (Linux 5.16).

It is behind NAT and behind what goes round the IP layer's hooks: offloaded flows (nft's flowtables), what tc redirects,
what packet sockets send. A hooked chain belongs to one device, so each has one of its own, made when the device
is there and gone with it.

    dev-eth0 ─┐
    dev-eth1 ─┴─► last ─► own (our mark), sent (by a socket of ours), neighbours ─► last4, last6: the sets
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TypeGuard

from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import IKE_PORT, NATT_PORT
from openswan.host import nfnetlink as nf
from openswan.host.devices import is_virtual
from openswan.host.guard.expressions import by_ethertype
from openswan.host.guard.matches import Guarded, Test
from openswan.host.guard.model import Change, GuardModel
from openswan.host.guard.rules import LAST_CHAINS, LAST_COUNTERS, TABLE, Chain, Rule, open_name, set_names
from openswan.host.guard.table import OwnedTable
from openswan.host.nlmsg import NETLINK_ROUTE, NLM_F_DUMP, Message, NetlinkSocket, parse_attrs

SETS = tuple(name for version in (4, 6) for name in (*set_names(version), open_name(version)))
PRIORITY = 500
"""Behind other people's chains, which may yet change a packet."""
PREFIX = "dev-"
"""Before a device's name: what its chain is called."""
TRIAL = "openswan_trial"
RTM_GETLINK = 18
IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_INFO_SLAVE_KIND = 3, 10, 18, 4
IFF_LOOPBACK = 0x8
BELOW = frozenset(("bridge", "bond", "team", "openvswitch"))
"""What is a port of these carries frames for the device above, which has the guard, or between other hosts."""


def supported() -> str:
    """Has the kernel the hook? Empty if so, else why not.

    A hook that goes makes the kernel drop all that waits in queues of NFQUEUE: not to be asked where anything may.
    """
    nft = None
    try:
        nft = nf.Nftables(TRIAL, family=nf.NFPROTO_NETDEV)
        nft.commit([nft.new_table(0), nft.base_chain("trial", "filter", "egress", PRIORITY, "lo"), nft.delete_table()])
    except (HostError, OSError) as why:
        return str(why)
    finally:
        if nft is not None:
            nft.close()
    return ""


def _looks(test: Test) -> TypeGuard[Guarded]:
    return isinstance(test, Guarded)


def physical() -> frozenset[str]:
    """Devices that lead out of this host or to its guests: all but loopback, our own, and ports of a bridge or bond."""
    found = set()
    with NetlinkSocket(NETLINK_ROUTE) as netlink:
        for _, body in netlink.ask(Message(RTM_GETLINK, NLM_F_DUMP, struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0))):
            flags = struct.unpack_from("=I", body, 8)[0]
            attrs = dict(parse_attrs(body[16:]))
            info = dict(parse_attrs(attrs.get(IFLA_LINKINFO, memoryview(b""))))
            name, above = (
                bytes(value).rstrip(b"\0").decode(errors="replace")
                for value in (attrs[IFLA_IFNAME], info.get(IFLA_INFO_SLAVE_KIND, b""))
            )
            port = IFLA_MASTER in attrs and above in BELOW
            if not flags & IFF_LOOPBACK and not is_virtual(name) and not port:
                found.add(name)
    return frozenset(found)


def hooked(counts: Collection[str]) -> frozenset[str]:
    """The devices whose chains are among these."""
    return frozenset(name.removeprefix(PREFIX) for name in counts if name.startswith(PREFIX))


def in_force() -> frozenset[str]:
    """The devices that have the last guard, whoever holds it. HostError or OSError when that cannot be asked."""
    nft = nf.Nftables(TABLE, family=nf.NFPROTO_NETDEV)
    try:
        return hooked(nft.rule_counts())
    finally:
        nft.close()


class LastGuard(OwnedTable):
    """Holds the netlink socket that owns the table. HostError when we may not; load() says if there is no hook."""

    def __init__(
        self,
        ike_ports: Iterable[int] = (IKE_PORT, NATT_PORT),
        stream_ports: Iterable[int] = (),
        marks: Marks = DEFAULT_MARKS,
    ) -> None:
        self._sizes: Counter[str] = Counter()
        """Elements each set holds."""
        ports = ike_ports, stream_ports
        super().__init__(LAST_CHAINS, SETS, LAST_COUNTERS, ports, nf.NFPROTO_NETDEV, by_ethertype, marks)

    def further_chains(self) -> Iterator[Message]:
        """One for each device."""
        for device in sorted(physical()):
            yield from self._hook(device)

    def rules(self, chain: Chain) -> Iterable[Rule]:
        """Without those that look into an empty set."""
        return (rule for rule in chain.rules if all(self._sizes[test.set] for test in rule.tests if _looks(test)))

    def apply(self, change: Change) -> None:
        """Carry a change out, atomically."""
        before, sizes = self._sizes, Counter(self._sizes)
        sizes.update(name for name, _ in change.add)
        sizes.subtract(name for name, _ in change.remove)
        old = {chain: tuple(self.rules(chain)) for chain in self.chains}
        self._sizes = sizes
        try:
            self.nft.commit([*self.change_elements(change), *self._rewritten(old)])
        except HostError:
            self._sizes = before
            raise

    def _rewritten(self, old: Mapping[Chain, tuple[Rule, ...]]) -> Iterator[Message]:
        for chain, rules in old.items():
            if tuple(self.rules(chain)) != rules:
                yield self.nft.flush_chain(chain.name)
                yield from self.make_rules(chain)

    def load(self, model: GuardModel) -> None:
        """Make the kernel hold exactly the model, on the devices there are."""
        self._sizes = Counter(name for name, _ in model.elements())
        super().load(model)
        self.follow()

    def follow(self) -> None:
        """Have a chain for each device, and none for what is no such device any more. HostError or OSError."""
        there = physical()
        counts = self.nft.rule_counts()
        whole = {device for device in hooked(counts) if counts[PREFIX + device]}
        gone = [PREFIX + device for device in sorted(hooked(counts) - (there & whole))]
        # The kernel may have taken the chain of a device away meanwhile; and a device may be gone before it has one.
        for chain in gone:
            with suppress(HostError):
                self.nft.commit([self.nft.flush_chain(chain), self.nft.delete_chain(chain)])
        for device in sorted(there - whole):
            try:
                self.nft.commit(self._hook(device))
            except HostError:
                if device in physical():
                    raise

    def _hook(self, device: str) -> Iterator[Message]:
        chain = PREFIX + device
        yield self.nft.base_chain(chain, "filter", "egress", PRIORITY, device)
        yield self.nft.rule(chain, [nf.verdict(nf.NFT_GOTO, "last")])
