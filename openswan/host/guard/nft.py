# SPDX-License-Identifier: GPL-2.0-or-later
"""The nftables back end: table inet openswan, whose chains see packets on their way through the IP layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import IKE_PORT, NATT_PORT
from openswan.host import nfnetlink as nf
from openswan.host.guard.matches import DEVICES, OwnStream
from openswan.host.guard.model import Change, GuardModel
from openswan.host.guard.rules import (
    CHAINS,
    COUNTERS,
    NAT_CHAINS,
    Chain,
    Rule,
    home_names,
    open_name,
    set_names,
)
from openswan.host.guard.table import Key, OwnedTable
from openswan.host.nftables import foreign_nat_chains, rule_counts
from openswan.host.nlmsg import Message

ALL_SETS = tuple(name for version in (4, 6) for name in (*set_names(version), open_name(version), *home_names(version)))


class NftBackend(OwnedTable):
    """Holds the netlink socket that owns the table. HostError when the kernel has no nf_tables or we may not use it."""

    name = "nft"

    def __init__(
        self,
        ike_ports: Iterable[int] = (IKE_PORT, NATT_PORT),
        stream_ports: Iterable[int] = (),
        marks: Marks = DEFAULT_MARKS,
    ) -> None:
        self.sockets = True
        """Does the kernel know whose socket a packet is for (nft_socket)?"""
        self.nat = False
        super().__init__(CHAINS, ALL_SETS, COUNTERS, (ike_ports, stream_ports), marks=marks)

    def rules(self, chain: Chain) -> Iterable[Rule]:
        """Those this kernel can have."""
        return (rule for rule in chain.rules if self.sockets or OwnStream() not in rule.tests)

    def further_sets(self) -> Iterator[tuple[str, nf.SetType]]:
        """That of devices."""
        yield DEVICES, nf.SetType((nf.IFNAME,))

    def further_keys(self, model: GuardModel) -> dict[str, set[Key]]:
        """Their names."""
        return {DEVICES: {(nf.device_key(name), None) for name in model.devices()}}

    def further_chains(self, hooks: Mapping[str, frozenset[str]]) -> Iterator[Message]:
        """Those that exempt from NAT, if there is any."""
        if self.nat:
            yield from self.make_chains(NAT_CHAINS)

    def cope(self, why: OSError) -> bool:
        """Without nft_socket."""
        if self.sockets and isinstance(why, FileNotFoundError):
            self.sockets = False  # streams between addresses that are guarded themselves will not work
            return True
        return False

    def load(self, model: GuardModel) -> None:
        """Make the kernel hold exactly the model, and the NAT exemption if somebody translates or it is there."""
        self.nat = foreign_nat_chains(self.nft) or self._keeps()
        super().load(model)
        self.nat = self._keeps()

    def _keeps(self) -> bool:
        return rule_counts(self.nft).get("keep", 0) > 0

    def apply(self, change: Change) -> None:
        """Carry a change out, atomically."""
        self.nft.commit(self._messages(change))

    def follow_nat(self) -> None:
        """Have the NAT exemption from when somebody else translates sources.

        It stays when they no longer do: connection tracking, which it may be the last to need, has hooks as well.
        """
        if not self.nat and foreign_nat_chains(self.nft):
            self.nft.commit(self.make_chains(NAT_CHAINS))
            self.nat = True

    def _messages(self, change: Change) -> Iterator[Message]:
        yield from self.nft.elements(DEVICES, ((nf.device_key(name), None) for name in sorted(change.devices_add)))
        yield from self.change_elements(change)
        yield from self.nft.elements(
            DEVICES, ((nf.device_key(name), None) for name in sorted(change.devices_remove)), True
        )
