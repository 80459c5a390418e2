# SPDX-License-Identifier: GPL-2.0-or-later
"""What to guard for a connection before this machine has the addresses that tell which end of it we are.

    addresses known     pluto guards what it routes (engine.router)
    not known yet       these flows, seen from each end that may be us; replaced under the same name once they are known

At boot nothing is known; later it is so for a link that is not up. A selector of ours that will be known by then only
stands for anything, so that what goes to the peer's net waits whatever its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from openswan.base.address import Subnet, any_subnet, host_subnet, less
from openswan.engine.conn import Kind, client, kind_of
from openswan.engine.effects import GuardEntry, SetGuard
from openswan.engine.orient import FIRST_DEVICE
from openswan.policy.connection import Connection, End, HostKind, ShuntPolicy, Startup
from openswan.policy.groups import Target, group_end, group_file, lines_of, own_targets, stance_of
from openswan.policy.manual import ManualConn, ManualEnd
from openswan.policy.selector import FlowKey, Selector, flow_keys

MOST_HOLES = 128
"""As pluto itself leaves open (engine.groups)."""
OUTRIGHT = (HostKind.DEFAULTROUTE, HostKind.INTERFACE)
"""These say that the end is us."""


def guards(connections: Iterable[Connection], device: str = FIRST_DEVICE) -> Iterator[SetGuard]:
    """What is to be in force before anything is routed, by connection; nothing for those that nobody would guard.

    They are those that ipsec.conf has routed or started; for the lines of policy groups see group_guards().
    """
    for each in connections:
        entries = tuple(_entries(each, device))
        if entries:
            yield SetGuard(each.name, entries, _families(each, entries))


def group_guards(
    connections: Iterable[Connection],
    files: Mapping[str, Iterable[Target]],
    device: str = FIRST_DEVICE,
    known: Callable[[Connection], bool] = lambda policy: False,
) -> Iterator[SetGuard]:
    """The same for each line of the policy groups that let nothing out in clear, under the line's own name.

    `files` are the groups' files by name. What a narrower line lets go in clear is left open, MOST_HOLES nets of each.
    Groups that are `known` to pluto already are left to it.
    """
    open_nets: set[Subnet] = set()
    closed: list[tuple[Connection, End, Subnet, bool]] = []
    for group in connections:
        if not _routed(group) or group_end(group) is None:
            continue
        for target in own_targets(group) or files.get(group_file(group), ()):
            for line in lines_of(group, target):
                far = group_end(line)
                if far is None or far.subnet is None:
                    continue
                if stance_of(group).permits_clear:
                    open_nets.add(far.subnet)
                else:
                    closed.append((line, far, far.subnet, known(group)))
    holes = _holes({net for _, _, net, _ in closed}, open_nets)
    for line, far, net, left_to_pluto in closed:
        local = _local(line.left if far is line.right else line.right, Selector.of(net, far.protocol, far.port))
        if left_to_pluto or local is None:
            continue
        pieces: list[Subnet] = [net]
        for hole in holes.get(net, ()):
            pieces = [piece for whole in pieces for piece in less(whole, hole)]
        keys = (key for piece in pieces for key in flow_keys(local, Selector.of(piece, far.protocol, far.port)))
        yield SetGuard(line.name, tuple(GuardEntry(key, device) for key in keys), ())


def _holes(closed: set[Subnet], open_nets: set[Subnet]) -> dict[Subnet, list[Subnet]]:
    """Of each closed net the open ones inside it."""
    holes: dict[Subnet, list[Subnet]] = {}
    for net in sorted(open_nets, key=lambda each: (each.version, each)):
        for length in range(net.prefixlen):
            around = net.supernet(new_prefix=length)
            if around in closed and len(holes.setdefault(around, [])) < MOST_HOLES:
                holes[around].append(net)
    return holes


def _routed(policy: Connection) -> bool:
    return policy.startup in (Startup.ROUTE, Startup.START) and policy.leak_guard


def manual_guards(conns: Iterable[ManualConn], prefix: str, device: str = FIRST_DEVICE) -> Iterator[SetGuard]:
    """The same for manually keyed conns that come up with the daemon; `prefix` goes before their names."""
    for each in conns:
        if each.start and each.leak_guard:
            keys = _flows((each.left, each.right), (each.right, each.left))
            yield SetGuard(prefix + each.name, tuple(GuardEntry(key, device) for key in keys), ())


def _flows(*ends: tuple[ManualEnd, ManualEnd]) -> Iterator[FlowKey]:
    for mine, other in ends:
        remote = other.subnet or (host_subnet(other.address) if other.address is not None else None)
        if remote is not None:
            unknown = mine.subnet is None and mine.address is None
            yield FlowKey(any_subnet(remote.version) if unknown else mine.client, remote)


def _entries(policy: Connection, device: str) -> Iterator[GuardEntry]:
    if not _routed(policy):
        return
    if policy.prospective is ShuntPolicy.PASS or kind_of(policy) is not Kind.PERMANENT:
        return
    ends = [(policy.left, policy.right), (policy.right, policy.left)]
    outright = [pair for pair in ends if pair[0].host.kind in OUTRIGHT]
    for mine, other in outright or ends:
        remote = client(other, other.host.address) if not other.pools else None
        if remote is None:
            continue  # nobody can tell what a peer protects whose very address is a secret of the DNS
        local = _local(mine, remote)
        if local is not None:
            for key in flow_keys(local, remote):
                yield GuardEntry(key, device)


def _local(mine: End, remote: Selector) -> Selector | None:
    """What stands on our side; None when it cannot be of the peer's family."""
    version = remote.first.version
    known = None if mine.ask_addresses else client(mine, mine.host.address)
    if known is None:
        return Selector.of(any_subnet(version), mine.protocol, mine.port)
    return known if known.first.version == version else None


def _families(policy: Connection, entries: tuple[GuardEntry, ...]) -> tuple[int, ...]:
    """Who sends everything of one family into a tunnel sends nothing of the other in clear."""
    if policy.other_family_clear:
        return ()
    return tuple(sorted({10 - entry.key.dst.version for entry in entries if entry.key.dst.prefixlen == 0}))
