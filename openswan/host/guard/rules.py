# SPDX-License-Identifier: GPL-2.0-or-later
"""THE table of the guard's rules: chains, where the kernel calls them, and what each rule matches and does.

They never change with connections: those, like the queries that stay open, are elements of the sets
(openswan.host.guard.model). Back ends compile the table, `ipsec _updown --print` shows it.

POSTROUTING, INPUT and FORWARD at mangle priority: after a re-route by mark, filter OUTPUT still sees the old device,
and source NAT has not happened yet. Ordinary tunnel traffic matches its device in the first rule. Exemptions hold only
for packets this host itself sends or receives; what it forwards has none, other people's IKE and ESP included, but for
that of hosts which groups are about (openswan.host.intercept.table marks it).
"""

from __future__ import annotations

from dataclasses import dataclass

from openswan.base.numbers import IpProtocol
from openswan.host.guard.matches import (
    DESTINATION,
    SOURCE,
    Family,
    FromStreamPort,
    Guarded,
    HasSocket,
    Home,
    HopLimit,
    IcmpTypes,
    LaterFragment,
    Local,
    Marked,
    Opening,
    Ours,
    OwnStream,
    Protocol,
    Spared,
    Test,
    Through,
    ToIkePort,
    ToIkeStream,
    ToStreamPort,
    UdpPorts,
)

TABLE = "openswan"
MANGLE, BEFORE_SRCNAT = -150, 99


@dataclass(frozen=True, slots=True)
class Rule:
    """All tests hold: then `action` (accept, drop, jump, goto, mark, keep) with `target` (a counter or a chain)."""

    tests: tuple[Test, ...]
    action: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """A list of rules; with a hook the kernel calls it."""

    name: str
    rules: tuple[Rule, ...]
    kind: str = "filter"
    hook: str = ""
    priority: int = 0


def field_order(set_name: str) -> tuple[str, ...]:
    """The fields of a set's key."""
    plane = set_name[:-1]
    return {
        "rl": ("remote", "local"),
        "lr": ("local", "remote"),
        "proto": ("remote", "local", "proto"),
        "port": ("remote", "local", "proto", "rport", "lport"),
        "frag": ("remote", "local", "proto"),
        "open": ("remote", "local", "proto", "rport", "lport"),
        "home": ("local", "device"),
        "known": ("local", "proto"),
    }[plane]


def set_names(version: int) -> tuple[str, ...]:
    """The selector sets of one IP version."""
    return tuple(f"{plane}{version}" for plane in ("rl", "lr", "proto", "port", "frag"))


def home_names(version: int) -> tuple[str, ...]:
    """The sets of one IP version that say where our own side lives."""
    return f"home{version}", f"known{version}"


def open_name(version: int) -> str:
    """The set of what this host may say in clear although it is guarded, of one IP version."""
    return f"open{version}"


COUNTERS = ("out4", "out6", "in4", "in6")
LAST_COUNTERS = ("last4", "last6")
ICMP = {4: IpProtocol.ICMP, 6: IpProtocol.ICMP6}
ERRORS = {4: ((3, 5), (11, 12)), 6: ((1, 4),)}
"""ICMP types that quote the packet they are about (RFC 792, RFC 4443)."""


def _selector_chains(direction: str, version: int) -> tuple[Chain, ...]:
    """`out4`, `last4` and their kin drop what is guarded; quoting errors go through `out4-icmp`, `out4-quote`."""
    name = f"{direction}{version}"
    remote, quoted_remote = (SOURCE, DESTINATION) if direction == "in" else (DESTINATION, SOURCE)

    def guarded(plane: str, quoted: bool = False) -> Rule:
        where = quoted_remote if quoted else remote
        return Rule((Guarded(f"{plane}{version}", version, where, quoted),), "drop", name)

    return (
        Chain(f"{name}-quote", tuple(guarded(plane, True) for plane in ("rl", "lr", "proto", "frag"))),
        Chain(
            f"{name}-icmp",
            tuple(Rule((IcmpTypes(version, *span),), "jump", f"{name}-quote") for span in ERRORS[version]),
        ),
        Chain(
            name,
            (
                guarded("rl"),
                guarded("lr"),
                guarded("proto"),
                Rule((Protocol(ICMP[version]),), "jump", f"{name}-icmp"),
                guarded("port"),
                Rule(
                    (LaterFragment(version), Guarded(f"frag{version}", version, remote)),
                    "drop",
                    name,
                ),
            ),
        ),
    )


NEIGHBOURS = Chain(
    "neighbours",
    (
        # Router and neighbour discovery, redirect: 255 says that no router has had it in hand (RFC 4861 7.1).
        Rule((IcmpTypes(6, 133, 137), HopLimit(255)), "accept"),
        Rule((IcmpTypes(6, 130, 132), HopLimit(1)), "accept"),  # MLD (RFC 2710)
        Rule((IcmpTypes(6, 143, 143), HopLimit(1)), "accept"),  # MLDv2 (RFC 3810)
    ),
)
"""The kernel's own packets, so not told by Ours(): those have a device from the start."""
DHCP = Chain(
    "dhcp",
    tuple(
        Rule((Family(version), UdpPorts(src, dst)), "accept")
        for version, client, server in ((4, 68, 67), (6, 546, 547))
        for src, dst in ((client, server), (server, client))
    ),
)


def _answers(version: int) -> Chain:
    """What comes back to queries that are open: never the beginning of a connection, nor what has no ports to see."""
    name = f"in{version}"
    return Chain(
        f"answers{version}",
        (
            Rule((LaterFragment(version),), "goto", name),
            Rule((Opening(),), "goto", name),
            Rule((Guarded(open_name(version), version, SOURCE),), "accept"),
        ),
    )


def _queries(version: int) -> Rule:
    return Rule((Ours(), Guarded(open_name(version), version, DESTINATION)), "accept")


def _to_answers() -> tuple[Rule, ...]:
    return tuple(
        Rule((Family(version), Protocol(number)), "jump", f"answers{version}")
        for version in (4, 6)
        for number in (IpProtocol.UDP, IpProtocol.TCP)
    )


TO_NEIGHBOURS = Rule((Protocol(IpProtocol.ICMP6),), "jump", "neighbours")


def _by_family(direction: str) -> tuple[Rule, ...]:
    return tuple(Rule((Family(version),), "goto", f"{direction}{version}") for version in (4, 6))


CHAINS: tuple[Chain, ...] = (
    NEIGHBOURS,
    DHCP,
    *_selector_chains("out", 4),
    *_selector_chains("out", 6),
    *_selector_chains("in", 4),
    *_selector_chains("in", 6),
    _answers(4),
    _answers(6),
    Chain(
        "out",
        (
            Rule((Through("oifname"),), "accept"),
            Rule((Ours(), Marked()), "accept"),
            Rule((Spared(),), "accept"),
            Rule((Ours(), Protocol(IpProtocol.UDP)), "jump", "dhcp"),
            TO_NEIGHBOURS,
            *map(_queries, (4, 6)),
            *_by_family("out"),
        ),
        hook="postrouting",
        priority=MANGLE,
    ),
    Chain(
        "in",
        (
            Rule((Through("iifname"),), "accept"),
            Rule((Protocol(IpProtocol.UDP),), "jump", "dhcp"),
            TO_NEIGHBOURS,
            Rule((Protocol(IpProtocol.ESP),), "accept"),
            Rule((Protocol(IpProtocol.AH),), "accept"),
            Rule((Protocol(IpProtocol.COMP),), "accept"),
            Rule((ToIkePort(),), "accept"),
            Rule((ToStreamPort(),), "accept"),
            Rule((OwnStream(),), "accept"),
            *_to_answers(),
            *_by_family("in"),
        ),
        hook="input",
        priority=MANGLE,
    ),
    # What has been decrypted goes to where its destination lives, not back to the wire because somebody's default route
    # says so: then it meets the same sets as what comes in undecrypted.
    Chain(
        "decrypted",
        (
            Rule((Through("oifname"),), "accept"),
            *(Rule((Home(f"home{version}", version),), "accept") for version in (4, 6)),
            *(Rule((Home(f"known{version}", version),), "goto", f"in{version}") for version in (4, 6)),
        ),
    ),
    Chain(
        "through",
        (Rule((Through("iifname"),), "goto", "decrypted"), Rule((Spared(),), "accept"), *_by_family("in")),
        hook="forward",
        priority=MANGLE,
    ),
    # With src_valid_mark a strict rp_filter on the physical device looks the peer up as our own sockets would, past
    # the routes into ipsecN.
    Chain(
        "outer",
        (
            Rule((Protocol(IpProtocol.ESP), Local()), "mark"),
            Rule((Protocol(IpProtocol.AH), Local()), "mark"),
            Rule((Protocol(IpProtocol.COMP), Local()), "mark"),
            Rule((ToIkePort(), Local()), "mark"),
            Rule((ToStreamPort(), Local()), "mark"),
            Rule((OwnStream(), Local()), "mark"),
        ),
        hook="prerouting",
        priority=MANGLE,
    ),
)
"""The chains in an order in which each stands before those that jump to it."""


def _nat_chain(version: int) -> Chain:
    tests = (Guarded(f"{plane}{version}", version, DESTINATION) for plane in ("rl", "lr", "proto", "port"))
    return Chain(f"keep{version}", tuple(Rule((test,), "keep", str(version)) for test in tests))


NAT_CHAINS: tuple[Chain, ...] = (
    _nat_chain(4),
    _nat_chain(6),
    Chain(
        "keep",
        tuple(Rule((Through("oifname"), Family(version)), "goto", f"keep{version}") for version in (4, 6)),
        kind="nat",
        hook="postrouting",
        priority=BEFORE_SRCNAT,
    ),
)
"""Only there from when somebody else translates sources: a nat chain costs every packet connection tracking.

`keep` translates a source to itself, which ends the matter for that connection: accepting alone would not, because the
kernel goes on to the next table until a translation is settled.
"""

LAST_CHAINS: tuple[Chain, ...] = (
    NEIGHBOURS,
    DHCP,
    *_selector_chains("last", 4),
    *_selector_chains("last", 6),
    # What a closed connection still has to say (RFC 9293 3.6) comes from no socket any more.
    Chain("own", tuple(Rule((test,), "accept") for test in (HasSocket(), ToIkeStream(), FromStreamPort()))),
    Chain(
        "sent",
        (
            Rule((Protocol(IpProtocol.UDP),), "jump", "dhcp"),
            *(Rule((Guarded(open_name(version), version, DESTINATION),), "accept") for version in (4, 6)),
        ),
    ),
    Chain(
        "last",
        (
            Rule((Marked(), Protocol(IpProtocol.ESP)), "accept"),  # by the thousand, and asking for a socket takes time
            Rule((Spared(),), "accept"),
            Rule((Marked(),), "jump", "own"),
            Rule((HasSocket(),), "jump", "sent"),
            Rule((Family(4),), "goto", "last4"),
            TO_NEIGHBOURS,
            Rule((Family(6),), "goto", "last6"),
        ),
    ),
)
"""The last guard's, on netdev egress: each physical device has a hooked chain of its own that goes to `last`.

Rules that look into a set are there while it holds something: every packet of every device comes by.
What leaves by ipsecN or lo has no such chain. Packets come here whatever way they took, past the chains of inet even:
offloaded flows, what tc or `fwd` redirects, and what packet sockets send. Their addresses are those of the wire.
"""
