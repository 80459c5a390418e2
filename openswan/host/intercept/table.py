# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's part: for each family a table of our own that knows what has been decided, and stops what has not been.

    prerouting  from ipsecN, or of an ordinary conn -> on          decided -> its mark, or dropped
                of a host behind us, undecided      -> NFQUEUE, closed groups and open ones apart, so many new pairs a
                                                       second: those of hosts that begin few before those of one that
                                                       begins many; the rest is dropped here, and its senders repeat it
                inbound in clear, undecided         -> NFQUEUE once a minute a pair: it triggers us
                of nobody groups are about          -> past the routes into ipsecN
    learn       a verdict's mark -> the decision of its pair, before the next packet
    itself      IKE and ESP of a host behind us, to where groups may have a tunnel for it: past ipsecN and the guard, as
                it is not in clear, where no tunnel can be had, or its peer has spoken so to the host itself of late,
                past any tunnel; else like anything else. What comes so for such a host passes at any time
    errors      ICMP errors of this host's own: forged senders get so many a second, which begin something, and no more
    output      what would go into ipsecN: in clear if that is decided, or if no group is about it

Routes lead undecided packets into ipsecN also when this table is gone, and the engine holds or drops them there:
nothing leaks by a foreign flush. The tables belong to our netlink sockets where the kernel knows owners.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import IKE_PORT, NATT_PORT, IpProtocol
from openswan.engine.effects import Intercept, Way
from openswan.host import nfnetlink as nf
from openswan.host.guard.boxes import Range
from openswan.host.intercept import firsts
from openswan.host.intercept.holding import Hosts
from openswan.host.intercept.packets import (
    ACCEPT,
    DROP,
    Addressing,
    R,
    icmp,
    marked,
    native,
    of_its_own,
    protocol,
    set_mark,
    tcp,
    udp_to,
)
from openswan.host.intercept.spans import cover, flatten, without
from openswan.host.nftables import rule_counts
from openswan.host.nlmsg import Message

TABLE = "openswan_oe"
BEFORE, AFTER, OUTPUT = -140, -139, -150
"""Priorities: after the guard has marked what is for our own sockets, and before destination NAT."""
QUEUES = {"closed": 4950, "open": 4951, "trigger": 4952}
MOST_DECISIONS, MOST_SEEN = 200_000, 65_536
PASS_LIFE = 300.0
"""Seconds after which a pair in clear is asked about again, so that it is known to be in use."""
SEEN_LIFE = 60.0
"""Seconds between two triggers by one pair."""
SPOKEN_LIFE = 60.0
"""Seconds for which IKE and ESP for a host behind us say that it encrypts for itself."""
TRIGGERS, BURST = 200, 400
"""Pairs a second, and at once, whose inbound packets we hear of: more than may begin a tunnel, and no flood of them."""
RANGES = ("closed", "open", "inside", "own", "others_from", "others_to", "selves")
"""Sets of addresses."""
RTN_UNICAST, RTN_LOCAL = 1, 2
ICMP6_FIRST, ICMP6_LAST = 133, 137
ICMP_ERRORS = {4: (IpProtocol.ICMP, ((3, 5), (11, 12))), 6: (IpProtocol.ICMP6, ((1, 4),))}
"""By family: protocol, and types from first to last (RFC 792, RFC 4443)."""
SYN, RST, ACK = 0x02, 0x04, 0x10
"""Flags of TCP (RFC 9293 3.1): the host answers forged senders with RST, or SYN and ACK."""
FAMILY = {4: nf.NFPROTO_IPV4, 6: nf.NFPROTO_IPV6}
SETS = ("devices", "decided", "seen", "waiting", "spoken", *firsts.SOURCES, *RANGES)
DEVICES = ("lo", *(f"ipsec{number}" for number in range(256)))
"""What comes from there has been decided; there need not be any of that name."""


@dataclass(frozen=True, slots=True)
class Note:
    """What has been decided about a pair."""

    hosts: Hosts
    code: int
    """0: nothing any more."""
    life: float
    """Seconds; 0: for good."""
    there: bool
    """Has the table been told of the pair before? It may have forgotten meanwhile."""


def selves(plan: Intercept, version: int) -> list[Range]:
    """Where hosts behind us may have IKE and ESP of their own."""
    return without(cover(plan.selves, version), cover(plan.refused, version))


class Table:
    """The table of one family. HostError when the kernel cannot have it."""

    def __init__(self, version: int, inherited: socket.socket | None = None, marks: Marks = DEFAULT_MARKS) -> None:
        """`inherited`: the socket of a daemon that has died, which the table belongs to."""
        self.at = Addressing(version)
        self.marks = marks
        self.nft = nf.Nftables(TABLE, family=FAMILY[version], inherited=inherited)
        self.flags = nf.TABLE_OWNER | nf.TABLE_PERSIST
        self.queue: bool | None = True
        """How packets are queued: natively, by iptables' target (False), or not at all (None)."""
        self._plan = Intercept()

    def close(self) -> None:
        """Let go of the table, leaving it as it is."""
        self.nft.close()

    @property
    def portid(self) -> int:
        """Events that carry it are our own doing."""
        return self.nft.socket.portid

    @property
    def sock(self) -> socket.socket:
        """The table is nobody else's to change as long as somebody has this open."""
        return self.nft.socket.sock

    def load(self, plan: Intercept) -> None:
        """Have the table for this plan, in one step; what was learned is forgotten, and asked about again.

        Chains stay where they are: with any hook that goes the kernel drops whatever it has queued.
        """
        self._plan = plan
        flags = self.nft.table_flags()
        if flags is not None and self._refill(flags):
            return
        while True:
            old = [self.nft.delete_table()] if flags is not None else []
            try:
                self.nft.commit([*old, *self._everything()])
            except HostError as why:
                cause = why.__cause__
                number = cause.errno if isinstance(cause, OSError) else 0
                if self.flags and number in (22, 95):  # EINVAL, EOPNOTSUPP: a kernel before 6.9
                    self.flags = 0
                elif self.queue is not None and number == 2:  # ENOENT: no such expression, or no such target
                    self.queue = False if self.queue else None
                else:
                    raise
                continue
            return

    def _refill(self, flags: int) -> bool:
        """Empty the table that is there and fill it anew; False: it is another one, or stays as it is."""
        if rule_counts(self.nft).keys() != {name for name, _, _ in self._chains()}:
            return False
        before = self.flags, self.queue
        self.flags = self.flags if flags & nf.TABLE_PERSIST else 0
        old = [self.nft.flush_chain(), *(self.nft.delete_set(name) for name in SETS)]
        for queue in (True, False) if self.queue else (self.queue,):
            self.queue = queue
            try:
                self.nft.commit([*old, *self._everything()])
                return True
            except HostError:
                continue
        self.flags, self.queue = before
        return False

    def clear(self) -> None:
        """Take it away."""
        if self.nft.table_flags() is not None:
            self.nft.commit([self.nft.delete_table()])

    def check(self) -> bool:
        """Is it there, with all its chains?"""
        try:
            counts = rule_counts(self.nft)
        except OSError:
            return False
        return all(counts.get(name) == len(rules) for name, _, rules in self._chains())

    def note(self, notes: Sequence[Note]) -> None:
        """Note decisions about pairs in place of others: in one step, unless the table lacks some it should have."""
        old = [(self.at.key(note.hosts), None) for note in notes if note.there]
        try:
            self.nft.commit([*self.nft.elements("decided", old, delete=True), *self._entries(notes)])
        except HostError:
            for note in notes:
                self._note(note)

    def _entries(self, notes: Iterable[Note]) -> Iterator[Message]:
        rows = ((self.at.key(note.hosts), native(note.code), int(note.life * 1000)) for note in notes if note.code)
        return self.nft.entries("decided", rows)

    def _note(self, note: Note) -> None:
        try:
            self.nft.commit(self.nft.elements("decided", [(self.at.key(note.hosts), None)], delete=True))
        except HostError as why:
            if not isinstance(why.__cause__, FileNotFoundError):
                raise
        self.nft.commit(self._entries([note]))

    def counts(self) -> int:
        """Pairs that are decided."""
        try:
            return len(self.nft.dump_elements("decided"))
        except OSError:
            return 0

    def _everything(self) -> Iterator[Message]:
        nft, kind, version = self.nft, self.at.kind, self.at.version
        pair = (kind, kind)
        yield nft.new_table(self.flags)
        yield nft.counter("dropped")
        yield nft.counter("refused")
        yield nft.new_set("devices", 1, nf.SetType((nf.IFNAME,)))
        yield nft.new_set("decided", 2, nf.SetType(pair, data=nf.MARK, size=MOST_DECISIONS, learns=True))
        yield nft.new_set("seen", 3, nf.SetType(pair, size=MOST_SEEN, learns=True))
        yield nft.new_set("waiting", 4, nf.SetType(pair, size=firsts.MOST_WAITING, learns=True))
        yield nft.new_set("spoken", 5, nf.SetType(pair, size=MOST_SEEN, learns=True))
        for number, name in enumerate(firsts.SOURCES, 6):
            yield nft.new_set(name, number, nf.SetType((kind,), size=firsts.MOST_SOURCES, learns=True))
        yield from nft.elements("devices", [(nf.device_key(name), None) for name in DEVICES])
        flat = flatten(self._plan.nets, version)
        ranges = (
            flat[Way.CLOSED],
            flat[Way.OPEN],
            cover(self._plan.inside, version),
            cover(self._plan.own, version),
            cover((src for src, _ in self._plan.others), version),
            cover((dst for _, dst in self._plan.others), version),
            selves(self._plan, version),
        )
        for number, (name, spans) in enumerate(zip(RANGES, ranges, strict=True), 8):
            yield nft.new_set(name, number, nf.SetType((kind,), interval=True))
            yield from nft.spans(name, self._ends(spans))
        chains = self._chains()
        for name, hook, _ in chains:
            yield nft.base_chain(name, *hook) if hook else nft.chain(name)
        for name, _, rules in chains:
            yield from (nft.rule(name, rule) for rule in rules)

    def _ends(self, spans: Iterable[Range]) -> Iterator[tuple[bytes, bytes | None]]:
        size = self.at.size
        most = (1 << 8 * size) - 1
        for first, last in spans:
            yield first.to_bytes(size, "big"), (last + 1).to_bytes(size, "big") if last < most else None

    def _chains(self) -> list[tuple[str, tuple[str, str, int] | None, list[list[bytes]]]]:
        """Name, where the kernel calls it, rules; each stands before those that jump to it."""
        at, marks = self.at, self.marks
        names = ("spoken", "trigger", "inward", "elsewhere", "answers", "ours", *firsts.CHAINS)
        goto = {name: nf.verdict(nf.NFT_GOTO, name) for name in names}

        def into(name: str, address: bytes, absent: bool = False) -> list[bytes]:
            return [address, nf.lookup(name, R, absent=absent)]

        def decided(pair: list[bytes], code: int) -> list[bytes]:
            return [*pair, nf.lookup("decided", R, into=at.after), nf.compare(at.after, native(code))]

        def stop(name: str) -> list[bytes]:
            if self.queue is None:
                return [ACCEPT]
            return [nf.queue(QUEUES[name], name != "closed", self.queue)]

        passes = [*set_mark(marks, marks.clear), ACCEPT]
        spares = [*set_mark(marks, marks.spared), ACCEPT]
        into_ipsec = (marks.tunnel, marks.refused)
        decisions = (marks.clear, marks.dropped, marks.refused)
        itself = [
            *([*decided(at.outward(), code), *spares] for code in decisions),
            [*at.outward(), nf.lookup("spoken", R), *spares],
        ]
        others = [
            [*into("others_from", at.source()), *into("others_to", at.destination()), ACCEPT],
            [*into("others_from", at.destination()), *into("others_to", at.source()), ACCEPT],
        ]
        neighbours = [[*icmp(IpProtocol.ICMP6, ICMP6_FIRST, ICMP6_LAST), ACCEPT]]
        trigger = [
            *([*decided(at.inward(), code), ACCEPT] for code in (marks.clear, marks.dropped)),
            [*at.inward(), nf.lookup("seen", R, absent=True), nf.limit(TRIGGERS, BURST),
             nf.learn("seen", R, timeout=int(SEEN_LIFE * 1000)), *stop("trigger")],
        ]  # fmt: skip
        own = of_its_own(at.version)
        inward = [
            [*marked(marks.own, marks.own), ACCEPT],
            *([*protocol(each), ACCEPT] for each in (IpProtocol.ESP, IpProtocol.AH)),
            *([*udp_to(port), ACCEPT] for port in (IKE_PORT, NATT_PORT)),
            *(neighbours if at.version == 6 else []),
            [*into("closed", at.source()), goto["trigger"]],
            [*into("open", at.source()), goto["trigger"]],
        ]
        # What there is no room for is not noted, and passes all the same.
        spoken = [[*at.inward(), nf.learn("spoken", R, timeout=int(SPOKEN_LIFE * 1000)), *spares], spares]
        elsewhere = [
            *([*each, *into("inside", at.destination()), *into("selves", at.source()), goto["spoken"]] for each in own),
            [*into("inside", at.destination()), goto["inward"]],
            [*into("closed", at.destination()), *passes],
            [*into("open", at.destination()), *passes],
        ]
        kind = [nf.fib_type(R)]
        before = [
            [nf.meta("iifname", R), nf.lookup("devices", R), ACCEPT],
            *others,
            [*kind, nf.compare(R, native(RTN_LOCAL)), goto["inward"]],
            [*kind, nf.compare(R, native(RTN_UNICAST), "!="), ACCEPT],
            [*into("inside", at.source(), absent=True), goto["elsewhere"]],
            [*into("inside", at.destination()), ACCEPT],
            *([*each, *into("selves", at.destination()), nf.verdict(nf.NFT_JUMP, "itself")] for each in own),
            [*decided(at.outward(), marks.clear), *passes],
            *([*decided(at.outward(), code), ACCEPT] for code in into_ipsec),
            [*decided(at.outward(), marks.dropped), nf.count("dropped"), DROP],
            [*into("closed", at.destination()), goto["first_closed"]],
            [*into("open", at.destination()), goto["first_open"]],
        ]
        answers = [
            [nf.limit(TRIGGERS, BURST), ACCEPT],
            [*into("closed", at.destination()), nf.count("dropped"), DROP],
            [*into("open", at.destination()), *passes],
        ]
        number, types = ICMP_ERRORS[at.version]
        errors = [icmp(number, first, last) for first, last in types]
        ours = [*([*answer, goto["answers"]] for answer in (*errors, tcp(RST), tcp(SYN, ACK))), [ACCEPT]]
        learned = ((marks.clear, int(PASS_LIFE * 1000), marks.clear), *((code, 0, 0) for code in into_ipsec))
        learn = [
            [*marked(marks.learn | code, marks.mask), *at.outward(), nf.load(at.after, native(code)),
             nf.learn("decided", R, at.after, life), *set_mark(marks, kept), ACCEPT]
            for code, life, kept in learned
        ]  # fmt: skip
        output = [
            [*marked(marks.own, marks.own), ACCEPT],
            [nf.meta("oifname", R), nf.compare(R, nf.device_key("lo")), ACCEPT],
            [nf.meta("oifname", R), nf.lookup("devices", R, absent=True), ACCEPT],
            others[0],
            [*decided(at.outward(), marks.clear), *passes],
            *([*decided(at.outward(), code), ACCEPT] for code in into_ipsec),
            [*into("own", at.source()), goto["ours"]],
            [*into("inside", at.source()), goto["ours"]],
            [*into("closed", at.destination()), *passes],
            [*into("open", at.destination()), *passes],
        ]
        return [
            *((name, None, firsts.chain(at, queue, stop(queue))) for name, queue in firsts.CHAINS.items()),
            ("itself", None, itself),
            ("spoken", None, spoken),
            ("trigger", None, trigger),
            ("inward", None, inward),
            ("elsewhere", None, elsewhere),
            ("answers", None, answers),
            ("ours", None, ours),
            ("before", ("filter", "prerouting", BEFORE), before),
            ("learn", ("filter", "prerouting", AFTER), learn),
            ("output", ("route", "output", OUTPUT), output),
        ]

    def refused(self) -> int:
        """Packets of new pairs beyond those that may begin."""
        try:
            return self.nft.dump_counters().get("refused", (0, 0))[0]
        except OSError:
            return 0
