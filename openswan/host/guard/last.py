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
from collections.abc import Iterable, Iterator, Mapping
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
from openswan.host.nftables import hooks, rule_counts
from openswan.host.nlmsg import NETLINK_ROUTE, NLM_F_DUMP, Message, NetlinkSocket, parse_attrs

SETS = tuple(name for version in (4, 6) for name in (*set_names(version), open_name(version)))
PRIORITY = 500
"""Behind other people's chains, which may yet change a packet."""
PREFIX = "dev-"
"""Before a device's name: what its chain is called at first."""
RTM_GETLINK = 18
IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_INFO_SLAVE_KIND = 3, 10, 18, 4
IFF_LOOPBACK = 0x8
BELOW = frozenset(("bridge", "bond", "team", "openvswitch"))
"""What is a port of these carries frames for the device above, which has the guard, or between other hosts."""


def _looks(test: Test) -> TypeGuard[Guarded]:
    return isinstance(test, Guarded)


def links() -> dict[str, bool]:
    """Every device there is: does it lead out of this host or to its guests? OSError.

    All do but loopback, our own, and ports of a bridge or bond.
    """
    found = {}
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
            found[name] = not flags & IFF_LOOPBACK and not is_virtual(name) and not port
    return found


def physical() -> frozenset[str]:
    """Devices that should have the last guard."""
    return frozenset(name for name, out in links().items() if out)


def guarded(nft: nf.Nftables) -> frozenset[str]:
    """Those that have it; OSError."""
    counts = rule_counts(nft)
    return frozenset(device for chain, devices in hooks(nft).items() if counts[chain] for device in devices)


def in_force() -> frozenset[str]:
    """The devices that have the last guard, whoever holds it. HostError or OSError when that cannot be asked."""
    nft = nf.Nftables(TABLE, family=nf.NFPROTO_NETDEV)
    try:
        return guarded(nft) & links().keys()
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

    def devices(self) -> tuple[str, ...]:
        """Those it stands on; none when that cannot be asked."""
        try:
            return tuple(sorted(guarded(self.nft) & links().keys()))
        except OSError:
            return ()

    def further_chains(self, hooks: Mapping[str, frozenset[str]]) -> Iterator[Message]:
        """One for each device."""
        taken = dict(hooks)
        for device in sorted(physical()):
            yield from self._cover(device, taken)

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
        """Have every device's packets come by, and no longer those of what has become a port. HostError or OSError.

        The chain of a device that is still there is emptied, not deleted.
        """
        present = links()
        counts, taken = rule_counts(self.nft), hooks(self.nft)
        for chain, devices in list(taken.items()):
            here = devices & present.keys()
            if not here:
                # The kernel may have taken it away with its device; it calls it for none any more.
                with suppress(HostError):
                    self.nft.commit([self.nft.flush_chain(chain), self.nft.delete_chain(chain)])
                del taken[chain]
            elif counts[chain] and not any(present[device] for device in here):
                self.nft.commit([self.nft.flush_chain(chain)])
        covered = {device for chain, devices in taken.items() if counts[chain] for device in devices}
        for device in sorted(name for name, out in present.items() if out and name not in covered):
            try:
                self.nft.commit(self._cover(device, taken))
            except HostError:
                if device in physical():
                    raise

    def _cover(self, device: str, taken: dict[str, frozenset[str]]) -> Iterator[Message]:
        """Have its packets come by: in the chain it has, which is empty, or in a new one, which is noted in `taken`."""
        chain = next((name for name, devices in taken.items() if device in devices), "")
        if not chain:
            # Devices may change their names, and their chains do not.
            names = (f"{PREFIX}{device}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
            chain = next(name for name in names if name not in taken)
            taken[chain] = frozenset((device,))
            yield self.nft.base_chain(chain, "filter", "egress", PRIORITY, device)
        yield self.nft.rule(chain, [nf.verdict(nf.NFT_GOTO, "last")])
