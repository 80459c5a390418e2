# SPDX-License-Identifier: GPL-2.0-or-later
"""A table of the guard's in nf_tables: owned by this process and persistent where the kernel knows how (6.9).

An owned table resists `nft flush ruleset`; a persistent one outlives its owner's death and can be adopted by the next.
Every change is one batch that the kernel takes whole or not at all, so there is never a moment without. Chains the
kernel calls stay while the table is in use, empty if need be: with any hook that goes it drops all that waits in
NFQUEUE.
"""

from __future__ import annotations

import errno
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.host import nfnetlink as nf
from openswan.host.guard.boxes import Box
from openswan.host.guard.expressions import ADDRESS_SIZE, Versions, by_nfproto, compile_rule
from openswan.host.guard.matches import IKE_PORTS, STREAM_PORTS
from openswan.host.guard.model import Change, Element, GuardModel
from openswan.host.guard.rules import TABLE, Chain, Rule, field_order
from openswan.host.nftables import hooks, rule_counts, set_names
from openswan.host.nlmsg import Message

SIZES = {"proto": 1, "rport": 2, "lport": 2, "device": 16}
Key = tuple[bytes, bytes | None]
"""First and last key of an element; None in a set without intervals."""


def set_type(name: str) -> nf.SetType:
    """Datatypes and sizes of a selector set's key."""
    address = nf.IPV4 if name.endswith("4") else nf.IPV6
    kinds = {"remote": address, "local": address, "proto": nf.PROTO, "device": nf.IFNAME}
    kinds |= {"rport": nf.SERVICE, "lport": nf.SERVICE}
    return nf.SetType(tuple(kinds[field] for field in field_order(name)), interval=True)


def pack_key(name: str, box: Box) -> tuple[bytes, bytes]:
    """First and last key of an element, network byte order, fields padded to four octets."""
    version = 4 if name.endswith("4") else 6
    ends = []
    for which in (0, 1):
        parts = []
        for field, span in zip(field_order(name), box, strict=True):
            octets = span[which].to_bytes(SIZES.get(field, ADDRESS_SIZE[version]), "big")
            parts.append(octets + bytes(-len(octets) & 3))
        ends.append(b"".join(parts))
    return ends[0], ends[1]


def port_keys(ports: Iterable[int]) -> Iterator[Key]:
    """Ports as their sets hold them."""
    return ((port.to_bytes(2, "big"), None) for port in ports)


class OwnedTable:
    """A table, the sets it takes of the model, and the chains that look into them; `nft` holds it."""

    def __init__(
        self,
        chains: Sequence[Chain],
        sets: Sequence[str],
        counters: Sequence[str],
        ports: tuple[Iterable[int], Iterable[int]],
        family: int = nf.NFPROTO_INET,
        versions: Versions = by_nfproto,
        marks: Marks = DEFAULT_MARKS,
    ) -> None:
        """`ports`: pluto's own in UDP, and those it takes TCP on. HostError when we may not use nf_tables here."""
        self.chains, self.sets, self.names = tuple(chains), tuple(sets), tuple(counters)
        self.ports, self.stream_ports = frozenset(ports[0]), frozenset(ports[1])
        self._versions, self._marks = versions, marks
        # An empty chain, whose name changes with the rules: a table with other ones is filled anew, not adopted.
        fingerprint = hashlib.sha256(repr((self.chains, sys.byteorder, marks.mask)).encode()).hexdigest()[:16]
        self.version = f"rules-{fingerprint}"
        self.flags = nf.TABLE_OWNER | nf.TABLE_PERSIST
        self.nft = nf.Nftables(TABLE, family=family)
        try:
            rule_counts(self.nft)
        except OSError as why:
            self.nft.close()
            raise HostError(f"nftables is not available: {why.strerror}") from None

    # -- what the two tables do differently ---------------------------------------------------------------------------

    def rules(self, chain: Chain) -> Iterable[Rule]:
        """Those this kernel can have."""
        return chain.rules

    def further_sets(self) -> Iterator[tuple[str, nf.SetType]]:
        """Sets that hold nothing of the selectors, beside those of ports."""
        return iter(())

    def further_keys(self, model: GuardModel) -> dict[str, set[Key]]:
        """What those hold."""
        return {}

    def further_chains(self, hooks: Mapping[str, frozenset[str]]) -> Iterator[Message]:
        """Chains beside the constant ones, with their rules. `hooks`: the chains that are there, empty, to be kept."""
        return iter(())

    def cope(self, why: OSError) -> bool:
        """The kernel has refused the whole for this reason: is there less that may do?"""
        return False

    # -- what they have in common -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the table without touching it."""
        self.nft.close()

    @property
    def portid(self) -> int:
        """Our netlink address: events that carry it are our own doing."""
        return self.nft.socket.portid

    def load(self, model: GuardModel) -> None:
        """Make the kernel hold exactly the model: adopt what a predecessor left and change only what differs.

        Another version's table is filled anew; only one whose chains are hooked elsewhere is replaced, hooks and all.
        """
        flags = self.nft.table_flags()
        if flags is not None and (self._adopt(model, flags) or self._refill(model, flags)):
            return
        while True:
            old = [self.nft.delete_table()] if flags is not None else []
            try:
                self.nft.commit([*old, *self._everything(model)])
                return
            except HostError as why:
                cause = why.__cause__
                if isinstance(cause, OSError):
                    if self.flags and cause.errno in (errno.EINVAL, errno.EOPNOTSUPP):
                        self.flags = 0  # a kernel before 6.9: a plain table, watched instead
                        continue
                    if self.cope(cause):
                        continue
                raise

    def _refill(self, model: GuardModel, flags: int) -> bool:
        """Empty the table that is there and fill it anew in one step; False: its chains are hooked elsewhere."""
        before = self.flags
        if not flags & nf.TABLE_PERSIST:
            self.flags = flags
        while True:
            try:
                self.nft.commit(self._anew(model))
                return True
            except HostError as why:
                cause = why.__cause__
                if isinstance(cause, PermissionError) and flags & nf.TABLE_OWNER:
                    raise HostError(f"table {TABLE} belongs to another process: is a pluto running here?") from why
                if not isinstance(cause, OSError):
                    raise
                if self.cope(cause):
                    continue
            except OSError:
                pass  # the table went while it was looked at
            self.flags = before
            return False

    def _anew(self, model: GuardModel) -> Iterator[Message]:
        """What does that, with the chains kept that the kernel calls; OSError."""
        nft, kept = self.nft, hooks(self.nft)
        yield nft.new_table(self.flags)
        yield nft.flush_chain()
        yield from (nft.delete_chain(name) for name in rule_counts(nft) if name not in kept)
        yield from (nft.delete_set(name) for name in set_names(nft))
        yield from self._contents(model, kept)

    def _adopt(self, model: GuardModel, flags: int) -> bool:
        """Take an orphan over as it stands, then make good the difference; False when it must be filled anew."""
        try:
            if flags & nf.TABLE_PERSIST:
                self.nft.commit([self.nft.new_table(self.flags)])
            else:
                self.flags = flags
            if not self.complete():
                return False
            self.nft.commit(self.difference(model))
        except (HostError, OSError):
            return False
        return True

    def check(self, model: GuardModel) -> bool:
        """Does the kernel hold exactly what the model says?"""
        try:
            return self.complete() and next(self.difference(model), None) is None
        except OSError:
            return False

    def clear(self) -> None:
        """Delete the table."""
        if self.nft.table_flags() is not None:
            self.nft.commit([self.nft.delete_table()])

    def counters(self) -> dict[str, int]:
        """Packets dropped, by counter name."""
        try:
            return {name: packets for name, (packets, _) in self.nft.dump_counters().items()}
        except OSError:
            return {}

    def complete(self) -> bool:
        """Are all the rules there that do not change? OSError."""
        counts = rule_counts(self.nft)
        return self.version in counts and all(
            counts.get(chain.name) == len(list(self.rules(chain))) for chain in self.chains
        )

    def _everything(self, model: GuardModel) -> Iterator[Message]:
        yield self.nft.new_table(self.flags)
        yield from self._contents(model, {})

    def _contents(self, model: GuardModel, kept: Mapping[str, frozenset[str]]) -> Iterator[Message]:
        nft = self.nft
        yield from (nft.counter(name) for name in self.names)
        kinds = dict(self.further_sets())
        kinds |= {name: nf.SetType((nf.SERVICE,)) for name in (IKE_PORTS, STREAM_PORTS)}
        kinds |= {name: set_type(name) for name in self.sets}
        for number, (name, kind) in enumerate(kinds.items(), 1):
            yield nft.new_set(name, number, kind)
        # Full sets before the chains that look into them, so that no packet meets an empty one.
        for name, keys in self._keys(model).items():
            yield from nft.elements(name, sorted(keys, key=_first))
        yield from self.make_chains(self.chains)
        yield from self.further_chains(kept)
        yield nft.chain(self.version)

    def make_chains(self, chains: Iterable[Chain]) -> Iterator[Message]:
        """Create them with their rules."""
        for chain in chains:
            if chain.hook:
                yield self.nft.base_chain(chain.name, chain.kind, chain.hook, chain.priority)
            else:
                yield self.nft.chain(chain.name)
            yield from self.make_rules(chain)

    def make_rules(self, chain: Chain) -> Iterator[Message]:
        """Append a chain's rules."""
        for rule in self.rules(chain):
            yield self.nft.rule(chain.name, compile_rule(rule, self._versions, self._marks))

    def change_elements(self, change: Change) -> Iterator[Message]:
        """What goes, then what comes, of the sets that are here."""
        yield from self._elements(change.remove, delete=True)
        yield from self._elements(change.add)

    def _elements(self, elements: Iterable[Element], delete: bool = False) -> Iterator[Message]:
        by_set: dict[str, list[Key]] = {}
        for name, box in elements:
            if name in self.sets:
                by_set.setdefault(name, []).append(pack_key(name, box))
        for name in sorted(by_set):
            yield from self.nft.elements(name, by_set[name], delete)

    def _keys(self, model: GuardModel) -> dict[str, set[Key]]:
        wanted: dict[str, set[Key]] = {name: set() for name in self.sets}
        for name, box in model.elements():
            if name in wanted:
                wanted[name].add(pack_key(name, box))
        wanted |= {IKE_PORTS: set(port_keys(self.ports)), STREAM_PORTS: set(port_keys(self.stream_ports))}
        return wanted | self.further_keys(model)

    def difference(self, model: GuardModel) -> Iterator[Message]:
        """What would bring the kernel's sets in line with the model; OSError."""
        for name, keys in self._keys(model).items():
            held = self.nft.dump_elements(name)
            yield from self.nft.elements(name, held - keys, delete=True)
            yield from self.nft.elements(name, keys - held)


def _first(key: Key) -> bytes:
    return key[0]
